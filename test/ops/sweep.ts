import { expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import { grad, type Tensor, type TypedArray } from '../../lib/index.js';

/** What an operation gives: tensors, also in a record. */
export type Result = Tensor | readonly Tensor[] | m.ValuesAndIndices;

/** A call of an operation whose varying dimension has size n: inputs, those of floats in float64, and the call itself. */
export interface Call {
  inputs: Tensor[];
  fn: (...inputs: Tensor[]) => Result;
}

export interface Row {
  /** The public function, and what tells rows of one function apart. */
  name: string;
  make: (n: number) => Call;
  /** A size that is split among threads. */
  big: number;
  /** Each element of the result depends on the elements in its place alone, and has the same bits wherever they stand. */
  pointwise?: boolean;
  /** How far float32 may be from float64, of the largest element of a result. Default 1e-5; null where they draw other numbers. */
  near?: number | null;
  /** The greatest n of the odd lengths. Default 67. */
  most?: number;
}

const call = (inputs: Tensor[], fn: Call['fn']): Call => ({ inputs, fn });
export { call as on };

/** Numbers that float32 holds too, away from 0. */
export function values(shape: readonly number[], salt = 0, low = -1.5, high = 1.5): Tensor {
  const n = shape.reduce((a, b) => a * b, 1);
  const data = Float64Array.from({ length: n }, (_, i) => {
    const u = Math.abs(Math.sin(12.9898 * (i + 1) + 78.233 * (salt + 1)) * 43758.5453) % 1;
    const x = low + (high - low) * u;
    return Math.fround(Math.abs(x) < 0.05 && low < 0 ? x + 0.1 : x);
  });
  return m.fromTypedArray(data, shape);
}

/** Whole numbers in [0, high). */
export const indices = (shape: readonly number[], high: number, salt = 0): Tensor =>
  values(shape, salt, 0, Math.max(high, 1e-9)).floor().to('int32');

export const outputsOf = (result: Result): Tensor[] =>
  result instanceof m.Tensor ? [result] : (Object.values(result) as Tensor[]);

type Layout = (x: Tensor) => Tensor;

/** The outputs of a call and the gradients of their weighted sum; `around` has the inputs laid out, and the gradients of outputs. */
function outcome({ inputs, fn }: Call, dtype: m.DType, around: Layout = (x) => x, upstream = around): TypedArray[] {
  const leaves = inputs.map((x) => (x.dtype === 'float64' ? x.to(dtype).detach().clone().requiresGrad_() : x));
  const outputs = outputsOf(fn(...leaves.map(around)));
  const recorded = outputs.filter((y) => y.requiresGrad);
  const differentiated = leaves.filter((x) => x.requiresGrad);
  const gradients =
    recorded.length === 0
      ? []
      : grad(recorded, differentiated, {
          gradOutputs: recorded.map((y) => upstream(values(y.shape, 7).to(y.dtype))),
          allowUnused: true,
        });
  return [...outputs, ...gradients.flatMap((g) => (g === null ? [] : [g]))].map((y) => y.dataSync());
}

/** The bits of numbers; NaN of any kind are one. */
function bits(data: TypedArray): string {
  const clean =
    data instanceof Float32Array || data instanceof Float64Array ? data.map((v) => (v !== v ? NaN : v)) : data;
  return Buffer.from(clean.buffer, clean.byteOffset, clean.byteLength).toString('base64');
}

/** Throws where an element is further off than `near` times the largest. */
function expectNear(got: readonly TypedArray[], wanted: readonly TypedArray[], near: number, what: string): void {
  expect(got.length, `${what}: results`).toBe(wanted.length);
  got.forEach((data, k) => {
    const reference = wanted[k]!;
    expect(data.length, `${what}: result ${k}`).toBe(reference.length);
    let scale = 1;
    for (const x of reference) if (Number.isFinite(x)) scale = Math.max(scale, Math.abs(x));
    for (let i = 0; i < data.length; i++) {
      const [a, b] = [data[i]!, reference[i]!];
      if (a !== b && !(a !== a && b !== b) && !(Math.abs(a - b) <= near * scale)) {
        expect.fail(`${what}: result ${k}, element ${i} of ${data.length} is ${a}, expected ${b}`);
      }
    }
  });
}

const numbered = (x: Tensor): boolean => x.ndim > 0 && x.numel > 0;
const zerosOf = (x: Tensor, shape: readonly number[]): Tensor => m.zeros(shape, { dtype: x.dtype });

/** The same numbers, lying elsewhere. */
const layouts: Readonly<Record<string, Layout>> = {
  'at an odd place': (x) =>
    numbered(x)
      ? m
          .cat([zerosOf(x, [3]), x.reshape([-1])])
          .slice(0, 3, 3 + x.numel)
          .view(x.shape)
      : x,
  'with gaps': (x) => (numbered(x) ? m.stack([x, zerosOf(x, x.shape)], x.ndim).select(x.ndim, 0) : x),
  'every second of rows': (x) =>
    numbered(x)
      ? m
          .stack([x, zerosOf(x, x.shape)], 1)
          .flatten(0, 1)
          .slice(0, 0, 2 * x.shape[0]!, 2)
      : x,
  transposed: (x) => (x.ndim > 1 ? x.transpose(0, -1).contiguous().transpose(0, -1) : x),
};

/** The same numbers all along the first dimension. */
const repeated: Layout = (x) => (numbered(x) ? x.slice(0, 0, 1).expand(x.shape) : x);
const copied: Layout = (x) => repeated(x).contiguous();

/** Under a sanitizer, where all is several times slower, every eighth. */
const odd = Array.from({ length: 34 }, (_, i) => 2 * i + 1).filter(
  (_, i) => process.env['MYELIN_SANITIZER'] === undefined || i % 8 === 1,
);

function checkLengths({ make, near = 1e-5, most = 67 }: Row): void {
  for (const n of odd) {
    if (n > most) break;
    const single = outcome(make(n), 'float32');
    if (near !== null) expectNear(single, outcome(make(n), 'float64'), near, `${n} in float32`);
  }
}

/** Numbers that loops treat apart: not a number, infinite, tiny, zero of either sign, large. */
function special(dtype: m.DType): number[] {
  const least = dtype === 'float32' ? 2 ** -126 : 2 ** -1022;
  const tiny = dtype === 'float32' ? 2 ** -149 : Number.MIN_VALUE;
  return [NaN, Infinity, -Infinity, tiny, -tiny, least / 3, -least / 5, 0, -0, 1e30, -1e30, 0.5, -0.75, 2, -3];
}

/** Elements among others, in vectors and in what is left of them, give the bits that they give alone. */
function checkAlone({ make }: Row): void {
  const { inputs, fn } = make(67);
  for (const dtype of ['float32', 'float64'] as const) {
    const whole = inputs.map((x, i) => {
      if (x.dtype !== 'float64') return x;
      const pool = [...special(dtype), ...special(dtype).reverse()].slice(i, i + 15);
      return m.cat([m.tensor(pool, { dtype }), x.slice(0, 15).to(dtype)]);
    });
    const run = (from: number, to: number): TypedArray =>
      outputsOf(fn(...whole.map((x) => x.slice(0, from, to).contiguous())))[0]!.dataSync();
    const wanted = outputsOf(fn(...whole.map((x) => x.reshape([67, 1]).t())))[0]!.dataSync();
    for (const n of odd) expect(bits(run(0, n)), `${n} of ${dtype}`).toBe(bits(wanted.slice(0, n)));
    for (const i of [3, 7, 16, 33, 66]) expect(bits(run(i, i + 1)), `${dtype} ${i}`).toBe(bits(wanted.slice(i, i + 1)));
  }
}

function checkLayouts({ make, near = 1e-5, most = 67, pointwise = false }: Row): void {
  for (const n of [1, 33, 67]) {
    if (n > most && n > 1) continue;
    for (const dtype of ['float32', 'float64'] as const) {
      const close = dtype === 'float64' ? 1e-11 : (near ?? 1e-5);
      const wanted = outcome(make(n), dtype);
      for (const [how, layout] of Object.entries(layouts)) {
        const got = outcome(make(n), dtype, layout);
        if (pointwise) expect(got.map(bits), `${n} ${how}`).toEqual(wanted.map(bits));
        else expectNear(got, wanted, close, `${n} of ${dtype} ${how}`);
      }
      expectNear(
        outcome(make(n), dtype, repeated),
        outcome(make(n), dtype, copied),
        close,
        `${n} of ${dtype}, expanded`,
      );
    }
  }
}

/** Operands of different shapes against the same, expanded. */
function checkBroadcast({ make }: Row): void {
  const { inputs, fn } = make(17);
  if (inputs.length < 2 || !inputs.every((x) => x.ndim === 1 && x.numel === 17)) return;
  const shapes = [[5, 1], [17], [1, 1]];
  const parts = inputs.map((x, i) => x.slice(0, 0, [5, 17, 1][i % 3]).reshape(shapes[i % 3]!));
  const narrow = outputsOf(fn(...parts)).map((y) => bits(y.dataSync()));
  const wide = outputsOf(fn(...parts.map((x) => x.expand([5, 17]).contiguous()))).map((y) => bits(y.dataSync()));
  expect(narrow, 'broadcast').toEqual(wide);
}

function checkThreads({ make, big }: Row): void {
  const threads = m.getNumThreads();
  try {
    const run = (count: number): string[] => {
      m.setNumThreads(count);
      return outcome(make(big), 'float32').map(bits);
    };
    const wanted = run(1);
    for (const count of [2, 3]) expect(run(count), `${count} threads`).toEqual(wanted);
  } finally {
    m.setNumThreads(threads);
  }
}

/**
 * Tests of one operation: float32 against float64 at odd lengths from 1 to 67, with gradients; inputs and upstream gradients at odd
 * places, with gaps, strided, transposed and expanded against contiguous ones; elementwise ones at special values and broadcast; the
 * same bits from 1, 2 and 3 threads. What is empty, NaN, infinite or denormal is compared with PyTorch in specials.test.ts.
 */
export function sweep(row: Row): void {
  it(row.name, () => {
    m.scope(() => checkLengths(row));
    m.scope(() => checkLayouts(row));
    if (row.pointwise === true) {
      m.scope(() => checkAlone(row));
      m.scope(() => checkBroadcast(row));
    }
    m.scope(() => checkThreads(row));
  });
}
