import { composedGradients } from '../autograd/compose.js';
import { accumulator, isGradEnabled, Node, type Rule } from '../autograd/graph.js';
import { INT32 } from '../dtype.js';
import { DTypeError, ShapeError } from '../errors.js';
import { free, newSavedStorages } from '../native/storage.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import { formatShape, sameShape, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkSameDType, checkTensor, record, recording, result, savedResult } from './apply.js';
import { add, mul, sub } from './binary.js';
import { contiguous } from './cast.js';
import { where, zeros } from './create.js';
import { gemmNs, linear, matmul, productInto } from './matmul.js';
import { sum } from './reduce.js';
import { relu } from './activation.js';
import { sigmoid, tanh } from './unary.js';
import { cat, expand, narrow, select, stack, t, unsqueeze, viewAs } from './views.js';

/** The cells of recurrent networks, in the order of the native core. */
export const CELLS = ['tanh', 'relu', 'lstm', 'gru'] as const;
export type Cell = (typeof CELLS)[number];

const RECURRENT = opcodeOf('recurrent');
const RECURRENT_BACKWARD = opcodeOf('recurrent_backward');
const MATMUL = opcodeOf('matmul');

/** Gates of a cell: rows of its weights are that many times the hidden size. */
export const gatesOf = (cell: Cell): number => (cell === 'lstm' ? 4 : cell === 'gru' ? 3 : 1);

/** One direction of one layer: x (T,B,I); h0, c0 (B,H), c0 for an LSTM only; the weights (G·H, I), (G·H, H) and biases (G·H). */
export interface RecurrentInputs {
  x: Tensor;
  h0: Tensor | null;
  c0: Tensor | null;
  weightIh: Tensor;
  weightHh: Tensor;
  biasIh: Tensor | null;
  biasHh: Tensor | null;
}

/** States of every step (T,B,H), the last (B,H), and an LSTM's last cell. */
export interface RecurrentOutputs {
  y: Tensor;
  hn: Tensor;
  cn: Tensor | null;
}

type List = readonly [
  x: Tensor,
  h0: Tensor | null,
  c0: Tensor | null,
  weightIh: Tensor,
  weightHh: Tensor,
  biasIh: Tensor | null,
  biasHh: Tensor | null,
];

interface Spec {
  cell: Cell;
  reverse: boolean;
  /** Whether there are lengths; they are saved last. */
  ragged: boolean;
  steps: number;
  batch: number;
  hidden: number;
  /** Where each input lies among the saved tensors; -1 when it was left out. */
  places: readonly number[];
  /** The tensor of states, not its view; saved after the inputs, with extra and gates. */
  first: number;
  /** Gradients of hn and cn that wait for the node's turn. */
  side: [Tensor | null, Tensor | null];
  /** Stands for a gradient of y where none arrived. */
  nothing: Tensor | null;
}

/**
 * A second output of `node`: its gradient waits in the node's spec. Recorded right after the node, so that by the time its turn comes in
 * a backward pass, all that uses the first output has had its own.
 */
const sideRule = (which: 0 | 1): Rule => ({
  name: which === 0 ? 'recurrent hn' : 'recurrent cn',
  backward: (dy, port) => {
    const node = port.inputs[0]!;
    const spec = node.extra as Spec;
    spec.side[which] = dy;
    dy.storage.flowing++;
    if (node.gradient !== null) return [null];
    spec.nothing = expand(zeros([1, 1, 1], { dtype: dy.dtype }), [spec.steps, spec.batch, spec.hidden]);
    return [spec.nothing];
  },
});
const sideRules = [sideRule(0), sideRule(1)] as const;

const recurrentRule: Rule = {
  name: 'recurrent',
  backward: (dy, node) => {
    const spec = node.extra as Spec;
    const inputs = spec.places.map((at) => (at < 0 ? null : node.saved(at))) as unknown as List;
    const [dhn, dcn] = spec.side;
    const dyn = dy === spec.nothing ? null : dy;
    spec.side = [null, null];
    spec.nothing = null;
    for (const d of [dhn, dcn]) if (d !== null) d.storage.flowing--;
    if (isGradEnabled()) {
      const compose = (list: List): Tensor[] => {
        const { y, hn, cn } = composedRecurrent(asInputs(list), spec.cell, {
          reverse: spec.reverse,
          lengths: lengthsOf(node),
        });
        return cn === null ? [y, hn] : [y, hn, cn];
      };
      return composedGradients(node, inputs, compose, [dyn, dhn, dcn]);
    }
    return gradients(node, spec, inputs, dyn, dhn, dcn);
  },
};

const asInputs = ([x, h0, c0, weightIh, weightHh, biasIh, biasHh]: List): RecurrentInputs => ({
  x,
  h0,
  c0,
  weightIh,
  weightHh,
  biasIh,
  biasHh,
});

function lengthsOf(node: Node): Tensor | null {
  const { ragged, first, cell } = node.extra as Spec;
  return ragged ? node.saved(first + (isGated(cell) ? 3 : 2)) : null;
}

const dense = (x: Tensor | null): Tensor | null => (x === null ? null : contiguous(x));

/** The fused backward pass: step by step the gradients of the gates, then one product for each of x and the weights. */
function gradients(
  node: Node,
  spec: Spec,
  [x, h0, , weightIh, weightHh]: List,
  dy: Tensor | null,
  dhn: Tensor | null,
  dcn: Tensor | null,
): (Tensor | null)[] {
  const { cell, steps, batch, hidden, first } = spec;
  const states = node.saved(first);
  const extra = node.saved(first + 1);
  const gates = isGated(cell) ? node.saved(first + 2) : null;
  const rows = steps * batch;
  const g = gatesOf(cell);
  const width = cell === 'gru' ? 4 * hidden : g * hidden;
  const dgates = result([steps, batch, width], x.code);
  const dh0 = result([batch, hidden], x.code);
  const dc0 = result([cell === 'lstm' ? batch : 0, hidden], x.code);
  const weight = steps === 1 ? null : weightHh;
  emit(
    RECURRENT_BACKWARD,
    [weight, gates, states, extra, dense(dy), dense(dhn), dense(dcn), lengthsOf(node)],
    [dgates, dh0, dc0],
    [CELLS.indexOf(cell), spec.reverse ? 1 : 0],
    gemmNs(rows * g * hidden * hidden),
  );
  const flat = viewAs(dgates, [rows, width]);
  // A GRU's gradients lie as q r z n: the last three reach the input's weights; r and z, and then q, those of the state.
  const ofInput = cell === 'gru' ? narrow(flat, 1, hidden, 3 * hidden) : flat;
  const ofState: Part[] =
    cell === 'gru'
      ? [
          { d: narrow(flat, 1, hidden, 2 * hidden), from: 0, count: 2 * hidden },
          { d: narrow(flat, 1, 0, hidden), from: 2 * hidden, count: hidden },
        ]
      : [{ d: flat, from: 0, count: width }];
  if (weight === null && node.needs(1)) {
    for (const { d, from, count } of ofState) {
      emit(MATMUL, [d, narrow(weightHh, 0, from, count), null], [dh0], [0, 1], gemmNs(rows * count * hidden));
    }
  }
  const bias = node.needs(5) || node.needs(6) ? sum(flat, 0) : null;
  const input = x.shape[2]!;
  return [
    node.needs(0) ? viewAs(matmul(ofInput, weightIh), [steps, batch, input]) : null,
    node.needs(1) ? dh0 : null,
    node.needs(2) ? dc0 : null,
    node.needs(3) ? productInto(node.inputs[3]!, t(ofInput), viewAs(x, [rows, input])) : null,
    !node.needs(4)
      ? null
      : steps === 1 && h0 === null
        ? zeros(weightHh.shape, { dtype: x.dtype })
        : stateWeights(
            node.inputs[4]!,
            ofState,
            viewAs(narrow(states, 0, spec.reverse ? 1 : 0, steps), [rows, hidden]),
          ),
    node.needs(5) ? (cell === 'gru' ? narrow(bias!, 0, hidden, 3 * hidden) : bias) : null,
    node.needs(6)
      ? cell === 'gru'
        ? cat([narrow(bias!, 0, hidden, 2 * hidden), narrow(bias!, 0, 0, hidden)], 0)
        : bias
      : null,
  ];
}

/** Gradients (T·B, count) of the gates that rows `from` … of the recurrent weights make. */
interface Part {
  d: Tensor;
  from: number;
  count: number;
}

/** The gradient of the recurrent weights from those of their gates and the states before, or null when it was added in place. */
function stateWeights(node: Node, parts: readonly Part[], before: Tensor): Tensor | null {
  const present = accumulator(node);
  if (present === null) {
    const products = parts.map(({ d }) => matmul(t(d), before));
    return products.length === 1 ? products[0]! : cat(products, 0);
  }
  for (const { d, from, count } of parts) {
    const rows = narrow(present, 0, from, count);
    emit(MATMUL, [t(d), before, null], [rows], [0, 1], gemmNs(d.numel * before.shape[1]!));
  }
  return null;
}

/** Whether the backward pass needs the gates. */
const isGated = (cell: Cell): boolean => cell === 'lstm' || cell === 'gru';

function check(fn: string, inputs: RecurrentInputs, cell: Cell, lengths: Tensor | null): void {
  const { x, h0, c0, weightIh, weightHh, biasIh, biasHh } = inputs;
  checkFloat(fn, 'input', x);
  if (x.ndim !== 3) throw new ShapeError(`${fn}: expected input of shape [T, B, I], got ${formatShape(x.shape)}`);
  const [steps, batch, input] = x.shape as [number, number, number];
  if (steps === 0)
    throw new ShapeError(`${fn}: expected at least one step, got input of shape ${formatShape(x.shape)}`);
  const rows = checkFloat(fn, 'weightHh', weightHh).shape[0] ?? 0;
  const hidden = rows / gatesOf(cell);
  const want: [string, Tensor | null, Shape][] = [
    ['weightHh', weightHh, [rows, Math.floor(hidden)]],
    ['weightIh', weightIh, [rows, input]],
    ['biasIh', biasIh, [rows]],
    ['biasHh', biasHh, [rows]],
    ['h0', h0, [batch, hidden]],
    ['c0', c0, [batch, hidden]],
  ];
  for (const [name, value, shape] of want) {
    if (value === null) continue;
    checkFloat(fn, name, value);
    checkSameDType(fn, 'input', x, name, value);
    if (!sameShape(value.shape, shape)) {
      throw new ShapeError(`${fn}: expected ${name} of shape ${formatShape(shape)}, got ${formatShape(value.shape)}`);
    }
  }
  if (lengths === null) return;
  if (checkTensor(fn, 'lengths', lengths).code !== INT32) {
    throw new DTypeError(`${fn}: expected lengths of dtype int32, got ${lengths.dtype}`);
  }
  if (lengths.ndim !== 1 || lengths.shape[0] !== batch) {
    throw new ShapeError(`${fn}: expected lengths of shape [${batch}], got ${formatShape(lengths.shape)}`);
  }
}

/**
 * A recurrent layer in one direction over whole sequences: Elman's with tanh or relu, LSTM (gates i f g o) or GRU (r z n, with
 * n = tanh(W_in x + b_in + r (W_hn h + b_hn))). Rows of a batch stop at their `lengths`: after that their state stays (and y
 * repeats it); `reverse` runs from the last step to the first. Missing h0 and c0 are zeros.
 */
export function recurrent(
  inputs: RecurrentInputs,
  cell: Cell,
  { reverse = false, lengths = null }: { reverse?: boolean; lengths?: Tensor | null } = {},
): RecurrentOutputs {
  check('recurrent', inputs, cell, lengths);
  const x = contiguous(inputs.x);
  const h0 = dense(inputs.h0);
  const c0 = dense(inputs.c0);
  const { weightIh, weightHh } = inputs;
  const biasIh = dense(inputs.biasIh);
  const biasHh = dense(inputs.biasHh);
  const [steps, batch, input] = x.shape as [number, number, number];
  const hidden = weightHh.shape[1]!;
  const rows = steps * batch;
  const width = weightHh.shape[0]!;
  const list: List = [x, h0, c0, weightIh, weightHh, biasIh, biasHh];
  const recorded = recording(list);

  const [gatesStorage] = newSavedStorages(1) as [never];
  const gates = savedResult(gatesStorage, [steps, batch, width], x.code);
  const product = (a: Tensor, w: Tensor, bias: Tensor | null, out: Tensor): void => {
    const turned = w.asView([w.shape[1]!, w.shape[0]!], [w.strides[1]!, w.strides[0]!], w.offset);
    emit(MATMUL, [a, turned, bias], [out], [0, 0], gemmNs(a.numel * width));
  };
  product(x.asView([rows, input], null), weightIh, biasIh, gates.asView([rows, width], null));
  // For one step packing the recurrent weights does not pay.
  let through: Tensor | null = null;
  if (steps === 1 && h0 !== null) {
    through = result([batch, width], x.code);
    product(h0, weightHh, null, through);
  } else if (steps === 1) through = zeros([batch, width], { dtype: x.dtype });

  const states = result([steps + 1, batch, hidden], x.code);
  const planes = cell === 'lstm' ? steps + 1 : cell === 'gru' ? steps : 0;
  const extra = result([planes, batch, hidden], x.code);
  emit(
    RECURRENT,
    [through === null ? weightHh : null, through, h0, c0, biasHh, lengths],
    [gates, states, extra],
    [CELLS.indexOf(cell), reverse ? 1 : 0],
    gemmNs(rows * width * hidden),
  );
  const plane = batch * hidden;
  const last = reverse ? 0 : steps * plane;
  const y = states.asView([steps, batch, hidden], null, reverse ? 0 : plane);
  const hn = states.asView([batch, hidden], null, last);
  const cn = cell === 'lstm' ? extra.asView([batch, hidden], null, last) : null;
  if (!recorded) {
    free(gates.storage);
    return { y, hn, cn };
  }
  const present = list.filter((value) => value !== null);
  let next = 0;
  const spec: Spec = {
    cell,
    reverse,
    ragged: lengths !== null,
    steps,
    batch,
    hidden,
    places: list.map((value) => (value === null ? -1 : next++)),
    first: present.length,
    side: [null, null],
    nothing: null,
  };
  const saved = [...present, states, extra];
  if (isGated(cell)) saved.push(gates);
  if (lengths !== null) saved.push(lengths);
  record(recurrentRule, y, list, saved, spec);
  if (!isGated(cell)) free(gates.storage);
  hn.gradFn = new Node(sideRules[0], [y.gradFn], null, undefined);
  if (cn !== null) cn.gradFn = new Node(sideRules[1], [y.gradFn], null, undefined);
  return { y, hn, cn };
}

/** The same out of differentiable parts. @internal */
export function composedRecurrent(
  { x, h0, c0, weightIh, weightHh, biasIh, biasHh }: RecurrentInputs,
  cell: Cell,
  { reverse, lengths }: { reverse: boolean; lengths: Tensor | null },
): RecurrentOutputs {
  const [steps, batch] = x.shape as [number, number, number];
  const hidden = weightHh.shape[1]!;
  let h = h0 ?? zeros([batch, hidden], { dtype: x.dtype });
  let c = c0 ?? zeros([batch, hidden], { dtype: x.dtype });
  const states = new Array<Tensor>(steps);
  for (let step = 0; step < steps; step++) {
    const at = reverse ? steps - 1 - step : step;
    const a = linear(select(x, 0, at), weightIh, biasIh);
    const b = linear(h, weightHh, biasHh);
    const part = (v: Tensor, i: number): Tensor => narrow(v, 1, i * hidden, hidden);
    let nextH: Tensor;
    let nextC = c;
    if (cell === 'lstm') {
      const s = add(a, b);
      const [i, f, o] = [0, 1, 3].map((k) => sigmoid(part(s, k))) as [Tensor, Tensor, Tensor];
      nextC = add(mul(f, c), mul(i, tanh(part(s, 2))));
      nextH = mul(o, tanh(nextC));
    } else if (cell === 'gru') {
      const r = sigmoid(add(part(a, 0), part(b, 0)));
      const z = sigmoid(add(part(a, 1), part(b, 1)));
      const n = tanh(add(part(a, 2), mul(r, part(b, 2))));
      nextH = add(n, mul(z, sub(h, n)));
    } else {
      nextH = (cell === 'relu' ? relu : tanh)(add(a, b));
    }
    if (lengths === null) {
      h = nextH;
      c = nextC;
    } else {
      const active = unsqueeze(lengths.gt(at), 1);
      h = where(active, nextH, h);
      c = where(active, nextC, c);
    }
    states[at] = h;
  }
  return { y: stack(states, 0), hn: h, cn: cell === 'lstm' ? c : null };
}
