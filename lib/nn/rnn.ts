import { checkBoolean, checkInteger, checkNumber, checkOneOf, show } from '../check.js';
import type { DType } from '../dtype.js';
import { ShapeError, ValueError } from '../errors.js';
import { checkFloat } from '../ops/apply.js';
import { lt, mul } from '../ops/binary.js';
import { arange, empty, tensor } from '../ops/create.js';
import { castCode } from '../ops/cast.js';
import { dropout } from '../ops/random.js';
import { gatesOf, recurrent, type Cell, type RecurrentOutputs } from '../ops/recurrent.js';
import { cat, select, stack, transpose, unsqueeze } from '../ops/views.js';
import type { Generator } from '../random.js';
import { formatShape, sameShape } from '../shape.js';
import { Tensor } from '../tensor.js';
import { uniform_ } from './init.js';
import { checkFloatDType } from './linear.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';
import { isPacked, type PackedSequence } from './packed.js';

/** Options of {@link RNN}, {@link LSTM} and {@link GRU}. */
export interface RecurrentOptions {
  /** Layers on top of each other; 1. */
  readonly numLayers?: number;
  /** Whether there are biases; true. */
  readonly bias?: boolean;
  /** Input and output as (B, T, …) instead of (T, B, …); false. States stay (layers, B, H). */
  readonly batchFirst?: boolean;
  /** Probability of dropping outputs between layers, in training; 0. */
  readonly dropout?: number;
  /** Whether a second direction runs from the end, its outputs beside the first's; false. */
  readonly bidirectional?: boolean;
  /** `float32` (the default) or `float64`. */
  readonly dtype?: DType;
  readonly generator?: Generator | undefined;
}

/** Options of a call of {@link RNN}, {@link LSTM} and {@link GRU}. */
export interface RecurrentCallOptions {
  /** Steps of each row, 1 to T: after them outputs are 0, and the last states are those of the last step that counts. */
  readonly lengths?: readonly number[] | Tensor | null;
}

const NAMES = ['weight_ih', 'weight_hh', 'bias_ih', 'bias_hh'] as const;

type Sequence = Tensor | PackedSequence;

/** What {@link RNN}, {@link LSTM} and {@link GRU} share. */
abstract class Recurrent extends Module {
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly bias: boolean;
  readonly batchFirst: boolean;
  readonly dropout: number;
  readonly bidirectional: boolean;
  protected readonly cell: Cell;
  readonly #generator: Generator | undefined;

  constructor(cell: Cell, inputSize: number, hiddenSize: number, options: RecurrentOptions) {
    super();
    const name = this.constructor.name;
    const { numLayers = 1, bias = true, batchFirst = false, dropout: p = 0, bidirectional = false } = options;
    const { dtype = 'float32', generator } = options;
    this.cell = cell;
    this.inputSize = checkInteger(name, 'inputSize', inputSize, { min: 1 });
    this.hiddenSize = checkInteger(name, 'hiddenSize', hiddenSize, { min: 1 });
    this.numLayers = checkInteger(name, 'numLayers', numLayers, { min: 1 });
    this.bias = checkBoolean(name, 'bias', bias);
    this.batchFirst = checkBoolean(name, 'batchFirst', batchFirst);
    this.dropout = checkNumber(name, 'dropout', p, { min: 0, max: 1 });
    this.bidirectional = checkBoolean(name, 'bidirectional', bidirectional);
    checkFloatDType(name, dtype);
    this.#generator = generator;
    const rows = gatesOf(cell) * hiddenSize;
    const self = this as unknown as Record<string, Parameter>;
    for (let layer = 0; layer < numLayers; layer++) {
      for (const suffix of this.#suffixes(layer)) {
        const width = layer === 0 ? inputSize : hiddenSize * this.#directions;
        self[`weight_ih${suffix}`] = new Parameter(empty([rows, width], { dtype }));
        self[`weight_hh${suffix}`] = new Parameter(empty([rows, hiddenSize], { dtype }));
        if (!bias) continue;
        self[`bias_ih${suffix}`] = new Parameter(empty([rows], { dtype }));
        self[`bias_hh${suffix}`] = new Parameter(empty([rows], { dtype }));
      }
    }
    this.resetParameters(generator);
  }

  get #directions(): number {
    return this.bidirectional ? 2 : 1;
  }

  #suffixes(layer: number): string[] {
    return this.bidirectional ? [`_l${layer}`, `_l${layer}_reverse`] : [`_l${layer}`];
  }

  /** Draws new initial values, U(−1/√H, 1/√H). */
  resetParameters(generator?: Generator): void {
    const bound = 1 / Math.sqrt(this.hiddenSize);
    for (const parameter of this.parameters()) uniform_(parameter, -bound, bound, generator);
  }

  /** Output (T,B,directions·H) and the last states (layers·directions,B,H), in the layout of the input. */
  protected run(input: Sequence, h0: Tensor | null, c0: Tensor | null, call: RecurrentCallOptions): RecurrentResult {
    const name = this.constructor.name;
    const packed = isPacked(input) ? input : null;
    const given = checkFloat(name, 'input', packed === null ? input : packed.padded);
    const batchFirst = packed === null ? this.batchFirst : packed.batchFirst;
    if (given.shape[given.ndim - 1] !== this.inputSize || (given.ndim !== 3 && (given.ndim !== 2 || packed !== null))) {
      const wanted = batchFirst ? `[B, T, ${this.inputSize}]` : `[T, B, ${this.inputSize}]`;
      throw new ShapeError(
        `${name}: expected input of shape ${wanted} or [T, ${this.inputSize}], got ${formatShape(given.shape)}`,
      );
    }
    if (given.shape[given.ndim === 3 && batchFirst ? 1 : 0] === 0) {
      throw new ShapeError(`${name}: expected at least one step, got input of shape ${formatShape(given.shape)}`);
    }
    const single = given.ndim === 2;
    const x = single ? unsqueeze(given, 1) : batchFirst ? transpose(given, 0, 1) : given;
    const [steps, batch] = x.shape as [number, number];
    const lengths = lengthsOf(name, packed?.lengths ?? call.lengths ?? null, steps, batch);
    const starts = [h0, c0].map((state, i) => this.#start(i === 0 ? 'h0' : 'c0', state, batch, single));
    const { y, hn, cn } = this.#layers(x, starts[0]!, starts[1]!, lengths);
    const output = single ? select(y, 1, 0) : batchFirst ? transpose(y, 0, 1) : y;
    const last = (list: Tensor[]): Tensor => {
      const states = list.length === 1 ? unsqueeze(list[0]!, 0) : stack(list, 0);
      return single ? select(states, 1, 0) : states;
    };
    return {
      output: packed === null ? output : { ...packed, padded: output },
      hn: last(hn),
      cn: cn.length === 0 ? null : last(cn),
    };
  }

  /** A given first state as (layers·directions, B, H). */
  #start(which: string, state: Tensor | null, batch: number, single: boolean): Tensor | null {
    if (state === null) return null;
    checkFloat(this.constructor.name, which, state);
    const rows = this.numLayers * this.#directions;
    const want = single ? [rows, this.hiddenSize] : [rows, batch, this.hiddenSize];
    if (!sameShape(state.shape, want)) {
      throw new ShapeError(
        `${this.constructor.name}: expected ${which} of shape ${formatShape(want)}, got ${formatShape(state.shape)}`,
      );
    }
    return single ? unsqueeze(state, 1) : state;
  }

  #layers(
    input: Tensor,
    h0: Tensor | null,
    c0: Tensor | null,
    lengths: Tensor | null,
  ): { y: Tensor; hn: Tensor[]; cn: Tensor[] } {
    const self = this as unknown as Record<string, Parameter | undefined>;
    const hn: Tensor[] = [];
    const cn: Tensor[] = [];
    const counts = lengths === null ? null : stepsThatCount(lengths, input);
    let x = input;
    for (let layer = 0; layer < this.numLayers; layer++) {
      if (layer > 0) x = dropout(x, { p: this.dropout, training: this.training, generator: this.#generator });
      const outputs = this.#suffixes(layer).map((suffix, direction): RecurrentOutputs => {
        const [weightIh, weightHh, biasIh, biasHh] = NAMES.map((name) => self[name + suffix] ?? null);
        const at = layer * this.#directions + direction;
        const state = (s: Tensor | null): Tensor | null => (s === null ? null : select(s, 0, at));
        return recurrent(
          {
            x,
            h0: state(h0),
            c0: state(c0),
            weightIh: weightIh!,
            weightHh: weightHh!,
            biasIh: biasIh!,
            biasHh: biasHh!,
          },
          this.cell,
          { reverse: direction === 1, lengths },
        );
      });
      for (const output of outputs) {
        hn.push(output.hn);
        if (output.cn !== null) cn.push(output.cn);
      }
      const sides = outputs.map(({ y }) => y);
      x = sides.length === 1 ? sides[0]! : cat(sides, 2);
      if (counts !== null) x = mul(x, counts);
    }
    return { y: x, hn, cn };
  }

  protected override extraRepr(): string {
    const { inputSize, hiddenSize, numLayers, batchFirst, bidirectional } = this;
    const parts = [`${inputSize}, ${hiddenSize}`];
    if (numLayers !== 1) parts.push(`numLayers=${numLayers}`);
    if (!this.bias) parts.push('bias=false');
    if (batchFirst) parts.push('batchFirst=true');
    if (this.dropout !== 0) parts.push(`dropout=${this.dropout}`);
    if (bidirectional) parts.push('bidirectional=true');
    return parts.join(', ');
  }
}

interface RecurrentResult {
  output: Sequence;
  hn: Tensor;
  cn: Tensor | null;
}

/** Lengths as an int32 tensor, checked when they are given as numbers. */
function lengthsOf(
  name: string,
  lengths: readonly number[] | Tensor | null,
  steps: number,
  batch: number,
): Tensor | null {
  if (lengths === null || lengths instanceof Tensor) return lengths;
  if (!Array.isArray(lengths)) throw new ValueError(`${name}: expected lengths to be an array, got ${show(lengths)}`);
  if (lengths.length !== batch) {
    throw new ShapeError(`${name}: expected ${batch} lengths, one for each row, got ${lengths.length}`);
  }
  lengths.forEach((length, i) => checkInteger(name, `lengths[${i}]`, length, { min: 1, max: steps }));
  return tensor([...(lengths as readonly number[])], { dtype: 'int32' });
}

/** 1 at (t, b) while t is below the length of row b, else 0; (T,B,1). */
const stepsThatCount = (lengths: Tensor, x: Tensor): Tensor =>
  unsqueeze(castCode(lt(unsqueeze(arange(0, x.shape[0], 1, { dtype: 'int32' }), 1), lengths), x.code), 2);

/** Options of {@link RNN}. */
export interface RNNOptions extends RecurrentOptions {
  /** `tanh` (the default) or `relu`. */
  readonly nonlinearity?: 'tanh' | 'relu';
}

/**
 * Elman's network, h_t = tanh(W_ih x_t + b_ih + W_hh h_{t−1} + b_hh), "Finding structure in time" (1990). Parameters are named and
 * laid out as PyTorch's: `weight_ih_l0` (H, I), `weight_hh_l0` (H, H), `bias_ih_l0`, `bias_hh_l0`, … `_l0_reverse`.
 */
export class RNN extends Recurrent {
  readonly nonlinearity: 'tanh' | 'relu';

  constructor(inputSize: number, hiddenSize: number, options: RNNOptions = {}) {
    const { nonlinearity = 'tanh' } = options;
    super(checkOneOf('RNN', 'nonlinearity', nonlinearity, ['tanh', 'relu']), inputSize, hiddenSize, options);
    this.nonlinearity = nonlinearity;
  }

  /** input (T,B,I), (B,T,I) when batch first, or (T,I); h0 (layers·directions,B,H) or zeros. Gives the output and h_n. */
  forward(input: PackedSequence, h0?: Tensor | null): [output: PackedSequence, hn: Tensor];
  forward(input: Tensor, h0?: Tensor | null, options?: RecurrentCallOptions): [output: Tensor, hn: Tensor];
  forward(input: Sequence, h0: Tensor | null = null, options: RecurrentCallOptions = {}): [Sequence, Tensor] {
    const { output, hn } = this.run(input, h0, null, options);
    return [output, hn];
  }
}

/**
 * Gated recurrent units (Cho et al., 2014) in PyTorch's form: gates r z n, n = tanh(W_in x + b_in + r ⊙ (W_hn h + b_hn)),
 * h' = (1 − z) ⊙ n + z ⊙ h. Parameters as for {@link RNN}, with 3·H rows.
 */
export class GRU extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super('gru', inputSize, hiddenSize, options);
  }

  /** As {@link RNN.forward}. */
  forward(input: PackedSequence, h0?: Tensor | null): [output: PackedSequence, hn: Tensor];
  forward(input: Tensor, h0?: Tensor | null, options?: RecurrentCallOptions): [output: Tensor, hn: Tensor];
  forward(input: Sequence, h0: Tensor | null = null, options: RecurrentCallOptions = {}): [Sequence, Tensor] {
    const { output, hn } = this.run(input, h0, null, options);
    return [output, hn];
  }
}

/** The states of an {@link LSTM}. */
export type LSTMState = readonly [h: Tensor, c: Tensor];

/**
 * Long short-term memory (Hochreiter and Schmidhuber, 1997; forget gate of Gers et al., 2000): gates i f g o,
 * c' = f ⊙ c + i ⊙ g, h' = o ⊙ tanh(c'). Parameters as for {@link RNN}, with 4·H rows.
 */
export class LSTM extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super('lstm', inputSize, hiddenSize, options);
  }

  /** As {@link RNN.forward}, with the states h and c. */
  forward(input: PackedSequence, state?: LSTMState | null): [output: PackedSequence, state: [Tensor, Tensor]];
  forward(
    input: Tensor,
    state?: LSTMState | null,
    options?: RecurrentCallOptions,
  ): [output: Tensor, state: [Tensor, Tensor]];
  forward(
    input: Sequence,
    state: LSTMState | null = null,
    options: RecurrentCallOptions = {},
  ): [Sequence, [Tensor, Tensor]] {
    const { output, hn, cn } = this.run(input, state?.[0] ?? null, state?.[1] ?? null, options);
    return [output, [hn, cn!]];
  }
}

/** Options of {@link RNNCell}, {@link LSTMCell} and {@link GRUCell}. */
export interface CellOptions {
  readonly bias?: boolean;
  readonly dtype?: DType;
  readonly generator?: Generator | undefined;
}

/** What the single cells share. */
abstract class SingleCell extends Module {
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly weight_ih: Parameter;
  readonly weight_hh: Parameter;
  readonly bias_ih: Parameter | null;
  readonly bias_hh: Parameter | null;
  protected readonly cell: Cell;

  constructor(cell: Cell, inputSize: number, hiddenSize: number, options: CellOptions) {
    super();
    const name = this.constructor.name;
    const { bias = true, dtype = 'float32', generator } = options;
    this.cell = cell;
    this.inputSize = checkInteger(name, 'inputSize', inputSize, { min: 1 });
    this.hiddenSize = checkInteger(name, 'hiddenSize', hiddenSize, { min: 1 });
    checkBoolean(name, 'bias', bias);
    checkFloatDType(name, dtype);
    const rows = gatesOf(cell) * hiddenSize;
    this.weight_ih = new Parameter(empty([rows, inputSize], { dtype }));
    this.weight_hh = new Parameter(empty([rows, hiddenSize], { dtype }));
    this.bias_ih = bias ? new Parameter(empty([rows], { dtype })) : null;
    this.bias_hh = bias ? new Parameter(empty([rows], { dtype })) : null;
    this.resetParameters(generator);
  }

  /** Draws new initial values, U(−1/√H, 1/√H). */
  resetParameters(generator?: Generator): void {
    const bound = 1 / Math.sqrt(this.hiddenSize);
    for (const parameter of this.parameters()) uniform_(parameter, -bound, bound, generator);
  }

  protected step(input: Tensor, h: Tensor | null, c: Tensor | null): { hn: Tensor; cn: Tensor | null } {
    const name = this.constructor.name;
    checkFloat(name, 'input', input);
    const single = input.ndim === 1;
    if ((!single && input.ndim !== 2) || input.shape[input.ndim - 1] !== this.inputSize) {
      throw new ShapeError(
        `${name}: expected input of shape [B, ${this.inputSize}] or [${this.inputSize}], got ${formatShape(input.shape)}`,
      );
    }
    const rows = (x: Tensor | null): Tensor | null => (x === null || !single ? x : unsqueeze(x, 0));
    const { weight_ih: weightIh, weight_hh: weightHh, bias_ih: biasIh, bias_hh: biasHh } = this;
    const { y, cn } = recurrent(
      { x: unsqueeze(rows(input)!, 0), h0: rows(h), c0: rows(c), weightIh, weightHh, biasIh, biasHh },
      this.cell,
    );
    const next = select(y, 0, 0);
    if (!single) return { hn: next, cn };
    return { hn: select(next, 0, 0), cn: cn === null ? null : select(cn, 0, 0) };
  }

  protected override extraRepr(): string {
    return `${this.inputSize}, ${this.hiddenSize}${this.bias_ih === null ? ', bias=false' : ''}`;
  }
}

/** One step of an {@link RNN}: input (B, I) or (I), h (B, H) or (H) or zeros; gives the next h. */
export class RNNCell extends SingleCell {
  constructor(
    inputSize: number,
    hiddenSize: number,
    options: CellOptions & { readonly nonlinearity?: 'tanh' | 'relu' } = {},
  ) {
    const { nonlinearity = 'tanh' } = options;
    super(checkOneOf('RNNCell', 'nonlinearity', nonlinearity, ['tanh', 'relu']), inputSize, hiddenSize, options);
  }

  forward(input: Tensor, h: Tensor | null = null): Tensor {
    return this.step(input, h, null).hn;
  }
}

/** One step of a {@link GRU}: input (B, I) or (I), h (B, H) or (H) or zeros; gives the next h. */
export class GRUCell extends SingleCell {
  constructor(inputSize: number, hiddenSize: number, options: CellOptions = {}) {
    super('gru', inputSize, hiddenSize, options);
  }

  forward(input: Tensor, h: Tensor | null = null): Tensor {
    return this.step(input, h, null).hn;
  }
}

/** One step of an {@link LSTM}: input (B, I) or (I), the states h and c (B, H) or (H) or zeros; gives the next. */
export class LSTMCell extends SingleCell {
  constructor(inputSize: number, hiddenSize: number, options: CellOptions = {}) {
    super('lstm', inputSize, hiddenSize, options);
  }

  forward(input: Tensor, state: LSTMState | null = null): [h: Tensor, c: Tensor] {
    const { hn, cn } = this.step(input, state?.[0] ?? null, state?.[1] ?? null);
    return [hn, cn!];
  }
}
