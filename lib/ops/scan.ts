// Running results along a dimension.
import { BOOL, checkDType, INT32, isFloat, UINT8, type DType } from '../dtype.js';
import { DTypeError } from '../errors.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import type { OpName } from '../native/ops.generated.js';
import type { Node, Rule } from '../autograd/graph.js';
import { normalizeDim } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkTensor, passNs, record, recording, result } from './apply.js';
import { mul } from './binary.js';
import { castCode } from './cast.js';
import { cat } from './join.js';
import { scatterAlong, type Along } from './gather.js';
import { onesLike } from './create.js';
import { slicedView } from './strided.js';

const RECURRENCE = opcodeOf('recurrence');

interface Scan {
  dim: number;
  reverse: boolean;
}

/** Values of an operation along a dimension and where in it they stood. */
export interface ValuesAndIndices {
  values: Tensor;
  /** int32. */
  indices: Tensor;
}

/** Options of cumulative sums and products. */
export interface DTypeOption {
  /** Element type to compute in. Integers and booleans are int32 when left out. */
  dtype?: DType;
}

/** Scalars are lines of one element. */
function checkScan(fn: string, x: Tensor, dim: number, options: DTypeOption): [Tensor, number] {
  const d = normalizeDim(fn, dim, checkTensor(fn, 'input', x).ndim);
  const wanted = options.dtype === undefined ? x.code : checkDType(fn, options.dtype);
  return [castCode(x, wanted === BOOL || wanted === UINT8 ? INT32 : wanted), d];
}

function scanned(op: number, rule: Rule, x: Tensor, scan: Scan, keep: boolean): Tensor {
  const out = result(x.shape, x.code, x.numel);
  emit(op, [x], [out], [scan.dim, scan.reverse ? 1 : 0], passNs(3 * x.numel));
  if (!isFloat(x.code)) return out;
  return record(rule, out, [x], keep && recording([x]) ? [x] : [], scan);
}

const CUMSUM = opcodeOf('cumsum');
const cumsumRule: Rule = {
  name: 'cumsum',
  backward: (dy, node) => {
    const { dim, reverse } = node.extra as Scan;
    return [scanned(CUMSUM, cumsumRule, dy, { dim, reverse: !reverse }, false)];
  },
};

/** Sums of the elements up to each along `dim`. Integers and booleans give int32, which wraps. */
export function cumsum(x: Tensor, dim: number, options: DTypeOption = {}): Tensor {
  const [input, d] = checkScan('cumsum', x, dim, options);
  return scanned(CUMSUM, cumsumRule, input, { dim: d, reverse: false }, false);
}

const CUMPROD = opcodeOf('cumprod');

/** y with 1 put in before its first element along dim (after the last when reversed) and the one at the other end left out. */
function shifted(y: Tensor, { dim, reverse }: Scan): Tensor {
  const n = y.shape[dim]!;
  const one = onesLike(slicedView(y.detach(), dim, 0, 1, 1, false));
  const rest = slicedView(y, dim, reverse ? 1 : 0, n - 1, 1, false);
  return cat(reverse ? [rest, one] : [one, rest], dim);
}

const cumprodRule: Rule = {
  name: 'cumprod',
  // dx[k] = Π_{j<k} x[j] · Σ_{i≥k} dy[i] Π_{k<j≤i} x[j]; the sums follow a recurrence from the end, so zeros do no harm.
  backward: (dy, node) => {
    const x = node.saved(0);
    const scan = node.extra as Scan;
    if (x.ndim === 0 || x.numel === 0) return [dy];
    const against = { dim: scan.dim, reverse: !scan.reverse };
    return [mul(exclusiveProduct(x, scan), recurrence(shifted(x, against), dy, against))];
  },
};

/** Products of the elements before each along a dimension. @internal */
export const exclusiveProduct = (x: Tensor, scan: Scan): Tensor =>
  scanned(CUMPROD, cumprodRule, shifted(x, scan), scan, true);

/** Products of the elements up to each along `dim`. Integers and booleans give int32, which wraps. */
export function cumprod(x: Tensor, dim: number, options: DTypeOption = {}): Tensor {
  const [input, d] = checkScan('cumprod', x, dim, options);
  return scanned(CUMPROD, cumprodRule, input, { dim: d, reverse: false }, true);
}

const recurrenceRule: Rule = {
  name: 'recurrence',
  // db runs against the direction: db[t] = a[t + 1] db[t + 1] + dout[t]; da[t] = db[t] out[t − 1].
  backward: (dout, node) => {
    const scan = node.extra as Scan;
    const a = node.saved(0);
    const against = { dim: scan.dim, reverse: !scan.reverse };
    const db = recurrence(shifted(a, against), dout, against);
    return [node.needs(0) ? mul(db, delayed(node.saved(1), scan)) : null, db];
  },
};

/** y one place later, 0 at the first. */
function delayed(y: Tensor, { dim, reverse }: Scan): Tensor {
  const n = y.shape[dim]!;
  const zero = mul(slicedView(y.detach(), dim, 0, 1, 1, false), 0);
  const rest = slicedView(y, dim, reverse ? 1 : 0, n - 1, 1, false);
  return cat(reverse ? [rest, zero] : [zero, rest], dim);
}

/** out[t] = a[t] out[t − 1] + b[t] along a dimension; a of the first does not count. */
function recurrence(a: Tensor, b: Tensor, scan: Scan): Tensor {
  const out = result(b.shape, b.code, b.numel);
  emit(RECURRENCE, [a, b], [out], [scan.dim, scan.reverse ? 1 : 0], passNs(4 * b.numel));
  return record(recurrenceRule, out, [a, b], recording([a, b]) ? [a, out] : [], scan);
}

function runningExtreme(name: OpName, fn: string): (x: Tensor, dim: number) => ValuesAndIndices {
  const op = opcodeOf(name);
  const rule: Rule = {
    name: fn,
    backward: (dy: Tensor, node: Node) => [scatterAlong(dy, node.saved(0), node.extra as Along)],
  };
  return (x, dim) => {
    const d = normalizeDim(fn, dim, checkTensor(fn, 'input', x).ndim);
    if (x.code === BOOL || x.code === UINT8) throw new DTypeError(`${fn}: expected float or int32, got ${x.dtype}`);
    const values = result(x.shape, x.code, x.numel);
    const indices = result(x.shape, INT32, x.numel);
    emit(op, [x], [values, indices], [d], passNs(4 * x.numel));
    record(rule, values, [x], recording([x]) ? [indices] : [], { dim: d, shape: x.shape });
    return { values, indices };
  };
}

/** The largest element up to each along `dim` and where it stands, the last of equals; a NaN stays. */
export const cummax = runningExtreme('cummax', 'cummax');

/** The smallest element up to each along `dim` and where it stands, the last of equals; a NaN stays. */
export const cummin = runningExtreme('cummin', 'cummin');
