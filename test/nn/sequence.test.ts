import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  Adagrad,
  Adam,
  clipGradNorm,
  clipGradValue,
  Embedding,
  grad,
  GRU,
  GRUCell,
  LSTM,
  LSTMCell,
  meta as onMeta,
  MultiheadAttention,
  packPaddedSequence,
  padPackedSequence,
  padSequence,
  RNN,
  RNNCell,
  SGD,
  SparseAdam,
  tensor,
  Transformer,
  TransformerDecoderLayer,
  TransformerEncoderLayer,
  type Module,
  type MultiheadCallOptions,
  type Optimizer,
  type Parameter,
  type RecurrentOptions,
  type Tensor,
} from '../../lib/index.js';
import { distance, fillParameters, floats, liveHandles, numbers, values } from './values.js';

interface Recorded {
  outputs: number[][];
  shapes: number[][];
  grads: number[][];
  names: string[];
}

interface Golden {
  recurrent: Record<string, Recorded>;
  lengths: Record<string, Recorded>;
  cells: Record<string, Recorded>;
  attention: Record<string, Recorded>;
  layers: Record<string, Recorded>;
  embedding: Recorded;
  sparse: Record<string, number[]>;
  transformer_parameters: number;
}

const golden = JSON.parse(readFileSync(new URL('../golden/sequence.json', import.meta.url), 'utf8')) as Golden;

const input = (shape: readonly number[], seed: number): Tensor =>
  floats(
    values(
      shape.reduce((a, b) => a * b, 1),
      seed,
      -1,
      1,
    ),
    shape,
  ).requiresGrad_();

/** Outputs, names and gradients of `model` are those of the golden file. */
function compare(model: Module, outputs: readonly Tensor[], inputs: readonly Tensor[], want: Recorded): void {
  expect(model.namedParameters().map(([name]) => name)).toEqual(want.names);
  expect(outputs.map(({ shape }) => shape)).toEqual(want.shapes);
  const weights = outputs.map((y, i) => floats(values(y.numel, 50 + i, -1, 1), y.shape));
  const grads = grad(outputs, [...inputs, ...model.parameters()], { gradOutputs: weights });
  outputs.forEach((y, i) => expect(distance(numbers(y.contiguous()), want.outputs[i]!)).toBeLessThan(1e-12));
  grads.forEach((g, i) => expect(distance(numbers(g.contiguous()), want.grads[i]!)).toBeLessThan(1e-11));
}

const filled = <M extends Module>(model: M): M => {
  fillParameters(model);
  return model;
};

const layers = { RNN, LSTM, GRU };
const variants: Record<string, RecurrentOptions & { nonlinearity?: 'relu' }> = {
  plain: {},
  relu: { nonlinearity: 'relu' },
  stacked: { numLayers: 2, bidirectional: true },
  'no bias': { bias: false, batchFirst: true },
};

function run(kind: keyof typeof layers, options: RecurrentOptions, lengths?: number[]): [Module, Tensor[], Tensor[]] {
  const model = filled(new layers[kind](4, 6, { ...options, dtype: 'float64' }));
  const x = input(options.batchFirst === true ? [3, 5, 4] : [5, 3, 4], 60);
  const rows = options.bidirectional === true ? 4 : 1;
  const states = [61, 62].slice(0, kind === 'LSTM' ? 2 : 1).map((seed) => input([rows, 3, 6], seed));
  const call = lengths === undefined ? {} : { lengths };
  if (model instanceof LSTM) {
    const [y, last] = model.forward(x, states as [Tensor, Tensor], call);
    return [model, [y, ...last], [x, ...states]];
  }
  const [y, last] = model.forward(x, states[0], call);
  return [model, [y, last], [x, ...states]];
}

describe('recurrent layers equal those of PyTorch', () => {
  it.each(Object.keys(golden.recurrent))('%s', (name) => {
    const kind = name.split(' ')[0] as keyof typeof layers;
    const [model, outputs, inputs] = run(kind, variants[name.slice(kind.length + 1)]!);
    compare(model, outputs, inputs, golden.recurrent[name]!);
  });
  it.each(['RNN', 'LSTM', 'GRU'] as const)('%s of several lengths', (kind) => {
    const [model, outputs, inputs] = run(kind, { numLayers: 2, bidirectional: true }, [2, 5, 3]);
    compare(model, outputs, inputs, golden.lengths[kind]!);
  });
  it('takes packed sequences', () => {
    const model = filled(new GRU(4, 6, { numLayers: 2, bidirectional: true, dtype: 'float64' }));
    const packed = packPaddedSequence(input([5, 3, 4], 60), [2, 5, 3]);
    const [y, hn] = model.forward(packed, input([4, 3, 6], 61));
    const [padded, lengths] = padPackedSequence(y);
    expect(lengths).toEqual([2, 5, 3]);
    expect(distance(numbers(padded.contiguous()), golden.lengths['GRU']!.outputs[0]!)).toBeLessThan(1e-12);
    expect(distance(numbers(hn), golden.lengths['GRU']!.outputs[1]!)).toBeLessThan(1e-12);
  });
  it('takes one sequence without a batch', () => {
    const model = filled(new LSTM(4, 6, { dtype: 'float64' }));
    const x = input([5, 1, 4], 60);
    const [y, [h, c]] = model.forward(x);
    const [y1, [h1, c1]] = model.forward(x.squeeze(1));
    expect([y1.shape, h1.shape, c1.shape]).toEqual([
      [5, 6],
      [1, 6],
      [1, 6],
    ]);
    expect([y1, h1, c1].map(numbers)).toEqual([y, h, c].map(numbers));
  });
  it('drops between layers in training only', () => {
    const model = filled(new RNN(4, 6, { numLayers: 2, dropout: 0.5 }));
    const x = input([5, 3, 4], 60).to('float32');
    const noisy = numbers(model.forward(x)[0]);
    expect(numbers(model.forward(x)[0])).not.toEqual(noisy);
    model.eval();
    expect(numbers(model.forward(x)[0])).toEqual(numbers(model.forward(x)[0]));
  });
  it('start in ±1/√H', () => {
    const bounds = new GRU(3, 16).parameters().map((p) => p.abs().amax().itemSync());
    for (const bound of bounds) expect(bound).toBeLessThanOrEqual(0.25);
    expect(Math.max(...bounds)).toBeGreaterThan(0.23);
  });
  it.each(['RNNCell', 'LSTMCell', 'GRUCell'] as const)('%s', (kind) => {
    const [x, h, c] = [input([3, 4], 60), input([3, 6], 61), input([3, 6], 62)] as const;
    if (kind === 'LSTMCell') {
      const model = filled(new LSTMCell(4, 6, { dtype: 'float64' }));
      compare(model, model.forward(x, [h, c]), [x, h, c], golden.cells[kind]!);
      return;
    }
    const model = filled(new { RNNCell, GRUCell }[kind](4, 6, { dtype: 'float64' }));
    compare(model, [model.forward(x, h)], [x, h], golden.cells[kind]!);
  });
  it('refuse what does not fit', () => {
    const model = new LSTM(4, 6);
    const x = input([5, 3, 4], 1).to('float32');
    expect(() => model.forward(input([5, 3, 3], 1))).toThrow(
      'LSTM: expected input of shape [T, B, 4] or [T, 4], got [5, 3, 3]',
    );
    expect(() => model.forward(x, [x, x])).toThrow('LSTM: expected h0 of shape [1, 3, 6], got [5, 3, 4]');
    expect(() => model.forward(x, null, { lengths: [1, 2] })).toThrow('expected 3 lengths, one for each row, got 2');
    expect(() => model.forward(x, null, { lengths: [1, 2, 6] })).toThrow(
      'lengths[2] to be an integer in [1, 5], got 6',
    );
    expect(() => new GRU(0, 3)).toThrow('GRU: expected inputSize to be an integer of at least 1, got 0');
    expect(() => padSequence([])).toThrow('padSequence: expected at least one sequence, got []');
  });
});

const padding = tensor([
  [false, false, true, false, true],
  [false, true, false, false, false],
  [false, false, false, false, false],
]);
const pairs = tensor(Array.from({ length: 4 }, (_, i) => Array.from({ length: 5 }, (__, j) => j > i + 1)));

describe('MultiheadAttention equals that of PyTorch', () => {
  const memory = [5, 3, 8];
  const cases: Record<string, [options: object, shapes: number[][], call: MultiheadCallOptions]> = {
    cross: [{}, [[4, 3, 8], memory, memory], {}],
    weights: [{}, [[4, 3, 8], memory, memory], { needWeights: true }],
    masks: [{}, [[4, 3, 8], memory, memory], { needWeights: true, keyPaddingMask: padding, attnMask: pairs }],
    widths: [
      { kdim: 6, vdim: 7 },
      [
        [4, 3, 8],
        [5, 3, 6],
        [5, 3, 7],
      ],
      {},
    ],
    'batch first': [
      { batchFirst: true, bias: false },
      [
        [3, 4, 8],
        [3, 5, 8],
        [3, 5, 8],
      ],
      {},
    ],
  };
  it.each(Object.keys(cases))('%s', (name) => {
    const [options, shapes, call] = cases[name]!;
    const model = filled(new MultiheadAttention(8, 2, { ...options, dtype: 'float64' }));
    const inputs = shapes.map((shape, i) => input(shape, 60 + i)) as [Tensor, Tensor, Tensor];
    const [output, weights] = model.forward(...inputs, call);
    compare(model, weights === null ? [output] : [output, weights], inputs, golden.attention[name]!);
  });
  it('self', () => {
    const model = filled(new MultiheadAttention(8, 2, { dtype: 'float64' }));
    const x = input([5, 3, 8], 60);
    compare(model, [model.forward(x, x, x, { keyPaddingMask: padding })[0]], [x], golden.attention['self']!);
  });
  it('with one memory for keys and values, and without a batch', () => {
    const model = filled(new MultiheadAttention(8, 2, { dtype: 'float64' }));
    const [q, k] = [input([4, 3, 8], 60), input([5, 3, 8], 61)];
    const together = model.forward(q, k, k)[0];
    const apart = model.forward(q, k, k.clone())[0];
    expect(distance(numbers(together.contiguous()), numbers(apart.contiguous()))).toBeLessThan(1e-13);
    const [row, column] = [q.select(1, 1), k.select(1, 1)];
    const alone = model.forward(row, column, column)[0];
    expect(distance(numbers(alone), numbers(together.select(1, 1).contiguous()))).toBeLessThan(1e-13);
  });
});

describe('Transformer layers equal those of PyTorch', () => {
  it.each(['encoder', 'encoder normFirst', 'decoder', 'decoder normFirst'])('%s', (name) => {
    const normFirst = name.endsWith('normFirst');
    const options = { dimFeedforward: 12, dropout: 0, normFirst, dtype: 'float64' } as const;
    const [x, memory] = [input([4, 3, 8], 60), input([5, 3, 8], 61)];
    if (name.startsWith('encoder')) {
      const model = filled(new TransformerEncoderLayer(8, 2, { ...options, activation: normFirst ? 'gelu' : 'relu' }));
      compare(model, [model.forward(x)], [x], golden.layers[name]!);
      return;
    }
    const model = filled(new TransformerDecoderLayer(8, 2, options));
    compare(model, [model.forward(x, memory, { causal: true })], [x, memory], golden.layers[name]!);
  });
  it('whole', () => {
    const model = filled(
      new Transformer({
        dModel: 8,
        nhead: 2,
        numEncoderLayers: 2,
        numDecoderLayers: 2,
        dimFeedforward: 12,
        dropout: 0,
        batchFirst: true,
        dtype: 'float64',
      }),
    );
    const [x, y] = [input([3, 5, 8], 60), input([3, 4, 8], 61)];
    compare(model, [model.forward(x, y, { causal: true })], [x, y], golden.layers['transformer']!);
  });
  it('has as many parameters', () => {
    const count = onMeta(() => new Transformer().parameters().reduce((sum, p) => sum + p.numel, 0));
    expect(count).toBe(golden.transformer_parameters);
    expect(count).toBe(44_140_544);
  });
});

describe('Embedding', () => {
  it('equals that of PyTorch', () => {
    const model = filled(new Embedding(7, 3, { paddingIdx: 2, dtype: 'float64' }));
    const index = tensor(
      [
        [1, 2, 6],
        [2, 1, 0],
      ],
      { dtype: 'int32' },
    );
    compare(model, [model.forward(index)], [], golden.embedding);
  });
  const lookedUp = [
    [1, 4, 1, 2],
    [4, 0],
    [2, 2, 5],
  ].map((rows) => tensor(rows, { dtype: 'int32' }));
  const lossOf = (model: Embedding, step: number): Tensor => {
    const y = model.forward(lookedUp[step]!);
    return y.mul(floats(values(y.numel, 50 + step, -1, 1), y.shape)).sum();
  };
  const sparse = { paddingIdx: 2, sparse: true, dtype: 'float64' } as const;
  it.each<[string, (params: Parameter[]) => Optimizer]>([
    ['SGD', (params) => new SGD(params, { lr: 0.1 })],
    ['Adagrad', (params) => new Adagrad(params, { lr: 0.1, lrDecay: 0.1 })],
    ['SparseAdam', (params) => new SparseAdam(params, { lr: 0.1, betas: [0.8, 0.9], eps: 1e-3 })],
  ])('with sparse: true trains by %s as that of PyTorch', async (name, optimizerOf) => {
    const model = filled(new Embedding(7, 3, sparse));
    const optimizer = optimizerOf(model.parameters());
    lossOf(model, 0).backward();
    optimizer.zeroGrad();
    const before = await liveHandles();
    for (let step = 0; step < lookedUp.length; step++) {
      optimizer.zeroGrad();
      lossOf(model, step).backward();
      expect(model.weight.grad).toBe(null);
      optimizer.step();
    }
    expect(distance(numbers(model.weight), golden.sparse[name]!)).toBeLessThan(1e-12);
    optimizer.zeroGrad();
    const states = Object.keys(optimizer.stateDict().state[0] ?? { step: 0 }).length - 1;
    expect(await liveHandles()).toBe(before + states);
  });
  it('with sparse: true adds up, clips and joins dense gradients as without', () => {
    const models = [filled(new Embedding(7, 3, sparse)), filled(new Embedding(7, 3, { ...sparse, sparse: false }))];
    const tables = models.map((model) => {
      const optimizer = new SGD(model.parameters(), { lr: 0.5 });
      lossOf(model, 0).backward();
      lossOf(model, 2).backward();
      const norm = clipGradNorm(model.parameters(), 0.5).itemSync();
      optimizer.step();
      optimizer.zeroGrad();
      // A tied head: both kinds for one table.
      lossOf(model, 1).add(model.weight.square().sum()).backward();
      clipGradValue(model.parameters(), 0.3);
      optimizer.step();
      return [norm, ...numbers(model.weight)];
    });
    expect(distance(tables[0]!, tables[1]!)).toBeLessThan(1e-14);
    const [rows, all] = models.map((model) => numbers(grad(lossOf(model, 0), model.weight)[0]));
    expect(rows).toEqual(all);
    const hooked = filled(new Embedding(7, 3, sparse));
    hooked.weight.registerHook((g) => g.mul(2));
    lossOf(hooked, 0).backward();
    expect(hooked.weight.grad!.shape).toEqual([7, 3]);
  });
  it('with sparse: true tells optimizers that cannot take it', () => {
    const model = filled(new Embedding(7, 3, sparse));
    for (const optimizer of [
      new SGD(model.parameters(), { momentum: 0.9 }),
      new SGD(model.parameters(), { weightDecay: 0.1 }),
      new Adam(model.parameters()),
      new Adagrad(model.parameters(), { weightDecay: 0.1 }),
    ]) {
      optimizer.zeroGrad();
      lossOf(model, 0).backward();
      expect(() => optimizer.step()).toThrow('for a parameter of shape [7, 3], got rows of one (sparse: true)');
    }
    const dense = new Embedding(7, 3, { dtype: 'float64' });
    lossOf(dense, 0).backward();
    expect(() => new SparseAdam(dense.parameters()).step()).toThrow('SparseAdam: expected gradients of rows');
  });
  it('starts with zeros for padding, and takes a table', () => {
    expect(numbers(new Embedding(3, 2, { paddingIdx: -1 }).weight.select(0, 2))).toEqual([0, 0]);
    const layer = Embedding.fromPretrained(
      tensor([
        [1, 2],
        [3, 4],
      ]),
    );
    expect(layer.weight.requiresGrad).toBe(false);
    expect(numbers(layer.forward(tensor([1], { dtype: 'int32' })))).toEqual([3, 4]);
  });
});
