import { fromTypedArray, noGrad, type Module, type Tensor } from 'myelin';

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

/** float32 values in [low, high) by the name's sequence, row-major. */
export function uni(name: string, shape: readonly number[], low: number, high: number): Tensor {
  const seed = fnv(name);
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
  for (let i = 0; i < values.length; i++) values[i] = low + (high - low) * u(seed, i);
  return fromTypedArray(values, shape);
}

/** int32 values in [0, k) by the name's sequence. */
export function ints(name: string, shape: readonly number[], k: number): Tensor {
  const seed = fnv(name);
  const values = new Int32Array(shape.reduce((a, b) => a * b, 1));
  for (let i = 0; i < values.length; i++) values[i] = Math.floor(u(seed, i) * k);
  return fromTypedArray(values, shape);
}

/** Matrices from their names' sequences in ±√(3 / fan-in), biases zero. */
export function initialise<M extends Module>(model: M): M {
  noGrad(() => {
    for (const [name, parameter] of model.namedParameters()) {
      const fanIn = parameter.shape[1];
      if (fanIn === undefined) parameter.zero_();
      else parameter.copy_(uni(name, parameter.shape, -Math.sqrt(3 / fanIn), Math.sqrt(3 / fanIn)));
    }
  });
  return model;
}
