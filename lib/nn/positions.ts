import { checkInteger, checkNumber } from '../check.js';
import type { DType } from '../dtype.js';
import { ShapeError } from '../errors.js';
import { checkFloat } from '../ops/apply.js';
import { add, mul, sub } from '../ops/binary.js';
import { empty, fromTypedArray } from '../ops/create.js';
import { cat, narrow } from '../ops/views.js';
import type { Generator } from '../random.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { normal_ } from './init.js';
import { checkFloatDType } from './linear.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';

/** f(position · base^(−2i/width)) for positions [0, length) and i in [0, width / 2), computed in double. */
function angles(length: number, width: number, base: number, f: (angle: number) => number): Float64Array {
  const half = Math.ceil(width / 2);
  return Float64Array.from({ length: length * half }, (_, at) => {
    const i = at % half;
    return f(((at - i) / half) * Math.pow(base, (-2 * i) / width));
  });
}

/**
 * The sinusoids of "Attention is all you need" (Vaswani et al., 2017), (length, width): sin(p / base^(2i/width)) in the even columns 2i,
 * the cosine in the odd ones.
 */
export function sinusoids(
  length: number,
  width: number,
  { base = 10000, dtype = 'float32' }: { readonly base?: number; readonly dtype?: DType } = {},
): Tensor {
  checkInteger('sinusoids', 'length', length, { min: 0 });
  checkInteger('sinusoids', 'width', width, { min: 1 });
  checkNumber('sinusoids', 'base', base, { min: 1 });
  checkFloatDType('sinusoids', dtype);
  const half = Math.ceil(width / 2);
  const sine = angles(length, width, base, Math.sin);
  const cosine = angles(length, width, base, Math.cos);
  const values = new Float64Array(length * width);
  for (let p = 0; p < length; p++) {
    for (let c = 0; c < width; c++) values[p * width + c] = (c % 2 === 0 ? sine : cosine)[p * half + (c >> 1)]!;
  }
  return fromTypedArray(values, [length, width], { dtype });
}

/** The first `steps` rows of a table (length, width) for x (…, steps, width), from row `start` on. */
function rowsFor(fn: string, table: Tensor, x: Tensor, start: number): Tensor {
  checkFloat(fn, 'input', x);
  const [length, width] = table.shape as [number, number];
  const steps = x.shape[x.ndim - 2];
  if (x.ndim < 2 || x.shape[x.ndim - 1] !== width) {
    throw new ShapeError(`${fn}: expected input of shape [..., T, ${width}], got ${formatShape(x.shape)}`);
  }
  checkInteger(fn, 'start', start, { min: 0 });
  if (start + steps! > length) {
    throw new ShapeError(`${fn}: expected at most ${length} positions, got ${start + steps!}`);
  }
  return narrow(table, 0, start, steps!);
}

/** Adds {@link sinusoids} to x (…, T, width). */
export class SinusoidalPositions extends Module {
  declare readonly table: Tensor;

  constructor(length: number, width: number, options: { readonly base?: number; readonly dtype?: DType } = {}) {
    super();
    this.registerBuffer('table', sinusoids(length, width, options), { persistent: false });
  }

  forward(x: Tensor, { start = 0 }: { readonly start?: number } = {}): Tensor {
    return add(x, rowsFor('SinusoidalPositions', this.table, x, start));
  }
}

/** Adds a trained vector for every position to x (…, T, width); they start as N(0, 0.02²). */
export class LearnedPositions extends Module {
  readonly weight: Parameter;

  constructor(
    length: number,
    width: number,
    { dtype = 'float32', generator }: { readonly dtype?: DType; readonly generator?: Generator | undefined } = {},
  ) {
    super();
    checkInteger('LearnedPositions', 'length', length, { min: 1 });
    checkInteger('LearnedPositions', 'width', width, { min: 1 });
    checkFloatDType('LearnedPositions', dtype);
    this.weight = new Parameter(empty([length, width], { dtype }));
    normal_(this.weight, 0, 0.02, generator);
  }

  forward(x: Tensor, { start = 0 }: { readonly start?: number } = {}): Tensor {
    return add(x, rowsFor('LearnedPositions', this.weight, x, start));
  }
}

/**
 * Rotary positions (Su et al., "RoFormer", 2021) for queries and keys (…, T, width): the pairs (x_i, x_{i + width/2}) are turned by the
 * angle position · base^(−2i/width), so that products of queries and keys depend on distances only.
 */
export class RotaryPositions extends Module {
  declare readonly cos: Tensor;
  declare readonly sin: Tensor;

  constructor(
    length: number,
    width: number,
    { base = 10000, dtype = 'float32' }: { readonly base?: number; readonly dtype?: DType } = {},
  ) {
    super();
    checkInteger('RotaryPositions', 'length', length, { min: 1 });
    checkInteger('RotaryPositions', 'width', width, { min: 2 });
    if (width % 2 !== 0) throw new ShapeError(`RotaryPositions: expected an even width, got ${width}`);
    checkFloatDType('RotaryPositions', dtype);
    const table = (f: (angle: number) => number): Tensor => {
      const half = fromTypedArray(angles(length, width, base, f), [length, width / 2], { dtype });
      return cat([half, half], 1);
    };
    this.registerBuffer('cos', table(Math.cos), { persistent: false });
    this.registerBuffer('sin', table(Math.sin), { persistent: false });
  }

  forward(x: Tensor, { start = 0 }: { readonly start?: number } = {}): Tensor {
    const cos = rowsFor('RotaryPositions', this.cos, x, start);
    const sin = rowsFor('RotaryPositions', this.sin, x, start);
    const half = x.shape[x.ndim - 1]! / 2;
    const [a, b] = [narrow(x, -1, 0, half), narrow(x, -1, half, half)];
    const [c, s] = [narrow(cos, -1, 0, half), narrow(sin, -1, 0, half)];
    return cat([sub(mul(a, c), mul(b, s)), add(mul(b, c), mul(a, s))], -1);
  }
}
