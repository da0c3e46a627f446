import type { Tensor } from './tensor.js';

/** Elements shown at each end of a long dimension, and how many elements are shown whole. */
const EDGE = 3;
const WHOLE = 200;

/** A tensor's values in aligned columns, with its shape and dtype; long dimensions are cut in the middle. */
export function format(tensor: Tensor): string {
  const cut = tensor.numel > WHOLE;
  const { shape } = tensor;
  const head = `Tensor [${shape.join(', ')}] ${tensor.dtype}${tensor.requiresGrad ? ', requiresGrad' : ''}`;
  if (tensor.numel === 0) return `${head} (empty)`;
  const data = tensor.detach().dataSync();
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
  const positions = (size: number): (number | null)[] =>
    cut && size > 2 * EDGE + 1
      ? [0, 1, 2, null, size - 3, size - 2, size - 1]
      : Array.from({ length: size }, (_, i) => i);

  const texts: string[] = [];
  const write = (value: number): string => {
    if (tensor.dtype === 'bool') return value !== 0 ? 'true' : 'false';
    if (Number.isInteger(value)) return String(value);
    const magnitude = Math.abs(value);
    if (!Number.isFinite(value)) return String(value);
    return magnitude >= 1e5 || magnitude < 1e-4 ? value.toExponential(4) : value.toFixed(4);
  };
  const collect = (depth: number, base: number): void => {
    if (depth === shape.length) {
      texts.push(write(data[base]!));
      return;
    }
    for (const i of positions(shape[depth]!)) if (i !== null) collect(depth + 1, base + i * strides[depth]!);
  };
  collect(0, 0);
  const width = Math.max(...texts.map((t) => t.length));
  let next = 0;
  const show = (depth: number): string => {
    if (depth === shape.length) return texts[next++]!.padStart(width);
    const parts = positions(shape[depth]!).map((i) => (i === null ? '…' : show(depth + 1)));
    const inner = depth === shape.length - 1;
    return `[${parts.join(inner ? ', ' : `,\n${' '.repeat(depth + 1)}`)}]`;
  };
  return `${head}\n${shape.length === 0 ? texts[0]! : show(0)}`;
}
