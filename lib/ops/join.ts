// Tensors put together.
import { ShapeError, ValueError } from '../errors.js';
import { checkRank, show } from '../check.js';
import { promote } from '../dtype.js';
import { code as opcodeOf, emit, MAX_LIST } from '../native/stream.js';
import type { Rule } from '../autograd/graph.js';
import { formatShape, normalizeDim, sameShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkTensor, passNs, record, result } from './apply.js';
import { castCode } from './cast.js';
import { slicedView } from './strided.js';
import { unsqueeze, viewAs } from './views.js';

const CAT = opcodeOf('cat');

const catRule: Rule = {
  name: 'cat',
  backward: (dy, node) => {
    const { dim, sizes } = node.extra as { dim: number; sizes: readonly number[] };
    let start = 0;
    return sizes.map((size, i) => {
      const part = node.needs(i) ? slicedView(dy, dim, start, size, 1, false) : null;
      start += size;
      return part;
    });
  },
};

function checkList(fn: string, tensors: unknown): Tensor[] {
  if (!Array.isArray(tensors) || tensors.length === 0) {
    throw new ValueError(`${fn}: expected an array of at least one Tensor, got ${show(tensors)}`);
  }
  return tensors.map((x, i) => checkTensor(fn, `tensors[${i}]`, x));
}

/**
 * The tensors one after the other along `dim`; other sizes must agree. Dtypes meet in the highest. Tensors of shape [0] are
 * passed over.
 */
export function cat(tensors: readonly Tensor[], dim = 0): Tensor {
  const fn = 'cat';
  const given = checkList(fn, tensors);
  const first = given.find((x) => x.ndim !== 1 || x.numel > 0) ?? given[0]!;
  if (first.ndim === 0)
    throw new ShapeError(`${fn}: expected tensors of at least 1 dimension, got a scalar; stack joins scalars`);
  const d = normalizeDim(fn, dim, first.ndim);
  const code = given.reduce((common, x) => promote(common, x.code), given[0]!.code);
  const list = given.filter((x, i) => {
    if (x.ndim === 1 && x.numel === 0 && first.ndim !== 1) return false;
    if (x.ndim !== first.ndim || x.shape.some((size, k) => k !== d && size !== first.shape[k])) {
      const want = first.shape.map((size, k) => (k === d ? 'any' : size)).join(', ');
      throw new ShapeError(`${fn}: expected tensors[${i}] of shape [${want}], got ${formatShape(x.shape)}`);
    }
    return true;
  });
  return joined(
    list.map((x) => castCode(x, code)),
    d,
    code,
  );
}

function joined(list: readonly Tensor[], dim: number, code: number): Tensor {
  if (list.length > MAX_LIST) {
    const parts: Tensor[] = [];
    for (let i = 0; i < list.length; i += MAX_LIST) parts.push(joined(list.slice(i, i + MAX_LIST), dim, code));
    return joined(parts, dim, code);
  }
  const sizes = list.map((x) => x.shape[dim]!);
  const total = sizes.reduce((a, b) => a + b, 0);
  const out = result(
    list[0]!.shape.map((size, i) => (i === dim ? total : size)),
    code,
  );
  emit(CAT, list, [out], [dim], passNs(out.numel));
  return record(catRule, out, list, [], { dim, sizes });
}

/** Tensors of one shape along a new dimension. */
export function stack(tensors: readonly Tensor[], dim = 0): Tensor {
  const fn = 'stack';
  const list = checkList(fn, tensors);
  const first = list[0]!;
  const d = normalizeDim(fn, dim, first.ndim + 1);
  checkRank(fn, first.ndim + 1);
  list.forEach((x, i) => {
    if (!sameShape(x.shape, first.shape)) {
      throw new ShapeError(
        `${fn}: expected tensors[${i}] of shape ${formatShape(first.shape)}, got ${formatShape(x.shape)}`,
      );
    }
  });
  return cat(
    list.map((x) => unsqueeze(x, d)),
    d,
  );
}

/** Tensors side by side: along dimension 1, or 0 for vectors and scalars. */
export function hstack(tensors: readonly Tensor[]): Tensor {
  const list = checkList('hstack', tensors).map((x) => (x.ndim === 0 ? viewAs(x, [1]) : x));
  return cat(list, list[0]!.ndim === 1 ? 0 : 1);
}

/** Tensors above one another: along dimension 0; vectors and scalars are rows. */
export function vstack(tensors: readonly Tensor[]): Tensor {
  return cat(checkList('vstack', tensors).map((x) => (x.ndim < 2 ? viewAs(x, [1, x.numel]) : x)));
}
