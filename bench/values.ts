/** FNV-1a, 32 bits, of ASCII text. */
export function fnv(text: string): number {
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  return h >>> 0;
}

/** The i-th number in [0, 1) of a seed's sequence: a hash of the position, with 24 bits. */
export function u(seed: number, i: number): number {
  let x = (Math.imul(i, 0x9e3779b9) + seed) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  x ^= x >>> 16;
  return (x >>> 8) / 2 ** 24;
}

const numel = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** float32 values in [low, high) by the name's sequence, row-major. */
export function uniValues(name: string, shape: readonly number[], low: number, high: number): Float32Array {
  const seed = fnv(name);
  const values = new Float32Array(numel(shape));
  for (let i = 0; i < values.length; i++) values[i] = low + (high - low) * u(seed, i);
  return values;
}

/** int32 values in [0, k) by the name's sequence. */
export function intValues(name: string, shape: readonly number[], k: number): Int32Array {
  const seed = fnv(name);
  const values = new Int32Array(numel(shape));
  for (let i = 0; i < values.length; i++) values[i] = Math.floor(u(seed, i) * k);
  return values;
}
