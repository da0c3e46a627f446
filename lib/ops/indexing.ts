import { INT32 } from '../dtype.js';
import { ShapeError } from '../errors.js';
import { checkBoolean, checkInteger, checkRank } from '../check.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import { isFillingLeaves, isGradEnabled, LeafNode, type Rule } from '../autograd/graph.js';
import { addRowGradient } from '../autograd/rows.js';
import { setScope } from '../native/storage.js';
import { formatShape, normalizeDim, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkTensor, passNs, record, result } from './apply.js';
import { mul, ne } from './binary.js';
import { castCode, clone } from './cast.js';
import { checkIndex } from './gather.js';
import { narrow, transpose, viewAs } from './views.js';

const INDEX_SELECT = opcodeOf('index_select');
const EMBEDDING = opcodeOf('embedding');
const SCATTER_ROWS = opcodeOf('scatter_rows');
const FILL = opcodeOf('fill');
const ONE_HOT = opcodeOf('one_hot');

const selectRule: Rule = {
  name: 'indexSelect',
  backward: (dy, node) => [scatterRows(dy, node.saved(0), node.extra as Shape)],
};

const scatterRule: Rule = { name: 'indexSelect backward', backward: (g, node) => [rows(g, node.saved(0))] };

/** Rows of x at `index`, not recorded. */
function gathered(x: Tensor, index: Tensor, op = INDEX_SELECT): Tensor {
  const out = result([index.numel, ...x.shape.slice(1)], x.code);
  emit(op, [x, index], [out], [], passNs(out.numel));
  return out;
}

function rows(x: Tensor, index: Tensor, op = INDEX_SELECT): Tensor {
  const out = gathered(x, index, op);
  return record(selectRule, out, [x], [index], x.shape);
}

/** Zeros of `shape` with the rows of dy added at `index`. */
function scatterRows(dy: Tensor, index: Tensor, shape: Shape): Tensor {
  const out = result(shape, dy.code);
  emit(SCATTER_ROWS, [dy, index], [out], [], passNs(dy.numel + out.numel));
  return record(scatterRule, out, [dy], [index]);
}

/**
 * The parts of x at `index` (int32, one dimension) along `dim`.
 * @throws IndexOutOfRangeError from the read of the result when an index is outside the dimension
 */
export function indexSelect(x: Tensor, dim: number, index: Tensor): Tensor {
  const fn = 'indexSelect';
  const d = normalizeDim(fn, dim, checkTensor(fn, 'input', x).ndim);
  const given = checkIndex(fn, index);
  const at = given.ndim === 0 ? viewAs(given, [1]) : given;
  if (x.ndim === 0 && at.numel === 1) return viewAs(rows(viewAs(x, [1]), at), []);
  if (x.ndim === 0) throw new ShapeError(`${fn}: expected one index for a scalar, got ${formatShape(at.shape)}`);
  if (at.ndim !== 1) throw new ShapeError(`${fn}: expected index of shape [n], got ${formatShape(at.shape)}`);
  if (d === 0) return rows(x, at);
  return transpose(rows(transpose(x, 0, d), at), 0, d);
}

/** Rows without a gradient for the padding row. */
const embeddingRule: Rule = {
  name: 'embedding',
  backward: (dy, node) => {
    const index = node.saved(0);
    const { shape, padding } = node.extra as { shape: Shape; padding: number };
    if (isGradEnabled()) {
      const counts = castCode(ne(index, padding), dy.code);
      return [scatterRows(mul(dy, viewAs(counts, [index.numel, 1])), index, shape)];
    }
    const out = scatterRows(dy, index, shape);
    emit(FILL, [], [narrow(out, 0, padding, 1)], [0], passNs(shape[1]!));
    return [out];
  },
};

/** Rows whose gradient is kept as rows, when it goes to a leaf. */
const sparseRule: Rule = {
  name: 'embedding',
  backward: (dy, node) => {
    const index = node.saved(0);
    const { shape, padding } = node.extra as { shape: Shape; padding: number };
    const counted = (): Tensor =>
      padding < 0 ? dy : mul(dy, viewAs(castCode(ne(index, padding), dy.code), [index.numel, 1]));
    const target = node.inputs[0]!;
    if (!isFillingLeaves() || !(target instanceof LeafNode) || target.hooks !== null) {
      return [scatterRows(counted(), index, shape)];
    }
    // Copies beyond the pass: both may be changed before the optimizer's step.
    const rows = counted();
    const outer = setScope(null);
    addRowGradient(target.leaf, { index: clone(index), rows: clone(rows) });
    setScope(outer);
    return [null];
  },
};

/** Options of {@link embedding}. */
export interface EmbeddingCallOptions {
  /** A row that gets no gradient; negative counts from the end. */
  readonly paddingIdx?: number | null;
  /** Keep the gradient of a leaf as rows, see {@link Embedding}; false. */
  readonly sparse?: boolean;
}

/**
 * Rows of weight (V, D) at `index` (any shape, int32): gives (…index, D). The row `paddingIdx` gets no gradient.
 * @throws IndexOutOfRangeError from the read of the result when an index is outside [0, V)
 */
export function embedding(
  index: Tensor,
  weight: Tensor,
  { paddingIdx = null, sparse = false }: EmbeddingCallOptions = {},
): Tensor {
  const fn = 'embedding';
  checkFloat(fn, 'weight', weight);
  if (weight.ndim !== 2)
    throw new ShapeError(`${fn}: expected weight of shape [V, D], got ${formatShape(weight.shape)}`);
  const at = checkIndex(fn, index);
  const flat = viewAs(at, [at.numel]);
  checkRank(fn, at.ndim + 1);
  const shape = [...at.shape, weight.shape[1]!];
  checkBoolean(fn, 'sparse', sparse);
  if (paddingIdx === null && !sparse) return viewAs(rows(weight, flat, EMBEDDING), shape);
  const size = weight.shape[0]!;
  const given = paddingIdx === null ? null : checkInteger(fn, 'paddingIdx', paddingIdx, { min: -size, max: size - 1 });
  const padding = given === null ? -1 : given < 0 ? given + size : given;
  const out = gathered(weight, flat, EMBEDDING);
  return viewAs(
    record(sparse ? sparseRule : embeddingRule, out, [weight], [flat], { shape: weight.shape, padding }),
    shape,
  );
}

/** 1 at the class of each index, else 0: index (…) of int32 gives (…, classes) of int32. */
export function oneHot(index: Tensor, classes: number): Tensor {
  const fn = 'oneHot';
  const at = checkIndex(fn, index);
  checkInteger(fn, 'classes', classes, { min: 1 });
  checkRank(fn, at.ndim + 1);
  const out = result([...at.shape, classes], INT32);
  emit(ONE_HOT, [at], [out], [], passNs(out.numel));
  return out;
}
