// Sums of products by Einstein's convention, as batched matrix products.
import { ShapeError, ValueError } from '../errors.js';
import { show } from '../check.js';
import { formatShape, numelOf } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkTensor } from './apply.js';
import { matmul } from './matmul.js';
import { sum } from './reduce.js';
import { diagonal, expand, permute, unsqueeze, viewAs } from './views.js';

/** A tensor and the subscript of each of its dimensions; the dimensions of an ellipsis are '0', '1', …, the last the highest. */
interface Labelled {
  x: Tensor;
  labels: string[];
}

function labelsOf(fn: string, term: string, x: Tensor | null, dots: number): string[] {
  const parts = term.split('...');
  if (parts.length > 2 || parts.some((part) => !/^[A-Za-z]*$/.test(part))) {
    throw new ValueError(`${fn}: expected letters and at most one '...', got ${show(term)}`);
  }
  const named = parts.join('').length;
  const open = x === null ? dots : x.ndim - named;
  if (x !== null && (open < 0 || (open > 0 && parts.length === 1))) {
    throw new ShapeError(`${fn}: expected a shape with the dimensions ${show(term)}, got ${formatShape(x.shape)}`);
  }
  const ellipsis = parts.length === 1 ? [] : Array.from({ length: open }, (_, i) => String(dots - open + i));
  return [...Array.from(parts[0]!), ...ellipsis, ...Array.from(parts[1] ?? '')];
}

/** Repeated subscripts as diagonals. */
function withoutRepeats({ x, labels }: Labelled): Labelled {
  const second = labels.findIndex((label, i) => labels.indexOf(label) < i);
  if (second < 0) return { x, labels };
  const label = labels[second]!;
  const first = labels.indexOf(label);
  if (x.shape[first] !== x.shape[second]) {
    throw new ShapeError(`einsum: expected equal sizes of ${label}, got ${formatShape(x.shape)}`);
  }
  const rest = labels.filter((_, i) => i !== first && i !== second);
  return withoutRepeats({ x: diagonal(x, 0, first, second), labels: [...rest, label] });
}

/** x with its dimensions in the order of `labels`, those it has not as 1. */
function arranged({ x, labels: own }: Labelled, labels: readonly string[]): Tensor {
  const present = labels.filter((label) => own.includes(label));
  let out = permute(
    x,
    present.map((label) => own.indexOf(label)),
  );
  labels.forEach((label, i) => {
    if (!own.includes(label)) out = unsqueeze(out, i);
  });
  return out;
}

/** The product of two, summed over the subscripts that are wanted no more. */
function contracted(a: Labelled, b: Labelled, wanted: ReadonlySet<string>): Labelled {
  const alone = (t: Labelled, other: Labelled): Labelled => {
    const gone = t.labels.flatMap((label, i) => (wanted.has(label) || other.labels.includes(label) ? [] : [i]));
    return gone.length === 0 ? t : { x: sum(t.x, gone), labels: t.labels.filter((_, i) => !gone.includes(i)) };
  };
  const [left, right] = [alone(a, b), alone(b, a)];
  const shared = left.labels.filter((label) => right.labels.includes(label));
  const batch = shared.filter((label) => wanted.has(label));
  const inner = shared.filter((label) => !wanted.has(label));
  const rows = left.labels.filter((label) => !shared.includes(label));
  const columns = right.labels.filter((label) => !shared.includes(label));
  const size = (label: string): number =>
    Math.max(...[left, right].map(({ x, labels }) => (labels.includes(label) ? x.shape[labels.indexOf(label)]! : 1)));
  const lay = (t: Labelled, first: string[], second: string[]): Tensor => {
    const order = [...batch, ...first, ...second];
    // Subscripts of size 1 broadcast; a 0 stays.
    const sizes = order.map((label) => (t.x.shape[t.labels.indexOf(label)] === 0 ? 0 : size(label)));
    const whole = expand(arranged(t, order), sizes);
    const count = (labels: string[], from: number): number => numelOf(sizes.slice(from, from + labels.length));
    return viewAs(whole, [count(batch, 0), count(first, batch.length), count(second, batch.length + first.length)]);
  };
  const y = matmul(lay(left, rows, inner), lay(right, inner, columns));
  const labels = [...batch, ...rows, ...columns];
  return { x: viewAs(y, labels.map(size)), labels };
}

/**
 * The sum of products that an equation such as `'bij,bjk->bik'` describes: a subscript for each dimension of each operand,
 * `...` for any number of them, which broadcast; what stands after `->` stays, the rest is summed. Without `->` the subscripts
 * that occur once stay, in alphabetical order, after those of the ellipsis. A subscript repeated in an operand takes its
 * diagonal. float32 or float64. Operands are multiplied from left to right, as batched matrix products.
 */
export function einsum(equation: string, ...operands: readonly Tensor[]): Tensor {
  const fn = 'einsum';
  if (typeof equation !== 'string') throw new ValueError(`${fn}: expected an equation, got ${show(equation)}`);
  const [inputs, output, ...more] = equation.replaceAll(' ', '').split('->') as [string, string?];
  const terms = inputs.split(',');
  if (more.length > 0) throw new ValueError(`${fn}: expected at most one '->', got ${show(equation)}`);
  if (terms.length !== operands.length) {
    throw new ValueError(`${fn}: expected ${terms.length} operands for ${show(equation)}, got ${operands.length}`);
  }
  const dots = Math.max(
    0,
    ...terms.map((term, i) =>
      term.includes('...') ? checkTensor(fn, `operands[${i}]`, operands[i]).ndim - term.replace('...', '').length : 0,
    ),
  );
  const list = terms.map((term, i) => {
    const x = checkTensor(fn, `operands[${i}]`, operands[i]);
    return withoutRepeats({ x, labels: labelsOf(fn, term, x, dots) });
  });
  const all = list.flatMap(({ labels }) => labels);
  const letters = terms.join('').replaceAll('.', '');
  const ellipsis = Array.from({ length: dots }, (_, i) => String(i));
  const once = [...new Set(letters)].filter((l) => letters.indexOf(l) === letters.lastIndexOf(l)).sort();
  const out = output === undefined ? [...ellipsis, ...once] : labelsOf(fn, output, null, dots);
  const unknown = out.find((label, i) => !all.includes(label) || out.indexOf(label) !== i);
  if (unknown !== undefined) {
    throw new ValueError(
      `${fn}: expected each subscript after '->' once and among the operands', got ${show(equation)}`,
    );
  }
  const sizes = new Map<string, number>();
  for (const { x, labels } of list) {
    labels.forEach((label, i) => {
      const [known, size] = [sizes.get(label) ?? 1, x.shape[i]!];
      if (known !== 1 && size !== 1 && known !== size) {
        throw new ShapeError(`${fn}: expected equal sizes of ${label} in ${show(equation)}, got ${known} and ${size}`);
      }
      if (size !== 1 || known === 1) sizes.set(label, size);
    });
  }
  let total = list[0]!;
  for (let i = 1; i < list.length; i++) {
    const later = list.slice(i + 1).flatMap(({ labels }) => labels);
    total = contracted(total, list[i]!, new Set([...out, ...later]));
  }
  const gone = total.labels.flatMap((label, i) => (out.includes(label) ? [] : [i]));
  const rest = gone.length === 0 ? total.x : sum(total.x, gone);
  return arranged({ x: rest, labels: total.labels.filter((label) => out.includes(label)) }, out);
}
