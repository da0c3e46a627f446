import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import { DTypeError, IndexOutOfRangeError, ShapeError, type Tensor, ValueError } from '../../lib/index.js';
import { readDump } from '../conformance/dump.js';
import { complaints, runDump } from '../conformance/run.js';
import { fileURLToPath } from 'node:url';

const f64 = (values: m.NestedArray): Tensor => m.tensor(values, { dtype: 'float64' });
const leaf = (values: m.NestedArray): Tensor => f64(values).requiresGrad_();
const ints = (values: m.NestedArray): Tensor => m.tensor(values, { dtype: 'int32' });

describe('losses as PyTorch computes them, extreme inputs included', () => {
  const dump = readDump(fileURLToPath(new URL('../golden/losses', import.meta.url)));
  it('has cases', () => expect(dump.cases.length).toBeGreaterThan(50));
  for (const dtype of ['float32', 'float64'] as const) {
    it(dtype, () => expect(complaints(runDump(dump, null, { dtype }))).toEqual([]));
  }
});

describe('extreme logits', () => {
  it('give exact losses and gradients in crossEntropy', () => {
    const x = leaf([
      [1e4, -1e4, 0],
      [-3e38, 3e38, 0],
    ]);
    const loss = m.crossEntropy(x, ints([1, 1]), { reduction: 'none' });
    expect(Array.from(loss.dataSync())).toEqual([2e4, 0]);
    loss.sum().backward();
    expect(Array.from(x.grad!.dataSync())).toEqual([1, -1, 0, 0, 0, 0]);
  });

  it('give exact losses and gradients in binaryCrossEntropyWithLogits', () => {
    const x = leaf([-1e4, 1e4, -1e4, 1e4, -745]);
    const loss = m.binaryCrossEntropyWithLogits(x, f64([0, 1, 1, 0, 0]), { reduction: 'none' });
    expect(Array.from(loss.dataSync())).toEqual([0, 0, 1e4, 1e4, Math.exp(-745)]);
    loss.sum().backward();
    expect(Array.from(x.grad!.dataSync())).toEqual([0, 0, -1, 1, Math.exp(-745)]);
  });

  it('do not make NaN of impossible classes', () => {
    const x = leaf([
      [0, -Infinity],
      [-Infinity, 0],
    ]);
    const loss = m.nllLoss(x, ints([0, -100]));
    expect(Math.abs(loss.itemSync())).toBe(0);
    loss.backward();
    expect(Array.from(x.grad!.dataSync())).toEqual([-1, 0, 0, 0]);
  });

  it('keep the slope of binaryCrossEntropy finite at 0 and 1', () => {
    const x = leaf([0, 1, 0, 1]);
    const loss = m.binaryCrossEntropy(x, f64([0, 1, 1, 0]), { reduction: 'none' });
    expect(Array.from(loss.dataSync(), Math.abs)).toEqual([0, 0, 100, 100]);
    loss.sum().backward();
    expect(Array.from(x.grad!.dataSync())).toEqual([0, 0, -1e12, 1e12]);
  });
});

describe('gradients where there is no slope', () => {
  it('are 0 in norms of zeros', () => {
    for (const p of [0.5, 1, 2, 3, Infinity]) {
      const x = leaf([
        [0, 0],
        [3, 4],
      ]);
      m.vectorNorm(x, p, 1).sum().backward();
      expect(Array.from(x.grad!.dataSync()).every(Number.isFinite), String(p)).toBe(true);
      expect(Array.from(x.grad!.dataSync().slice(0, 2), Math.abs), String(p)).toEqual([0, 0]);
    }
  });

  it('pass a variance that is too small', () => {
    const v = leaf([1e-9]);
    m.gaussianNllLoss(f64([2]), f64([1]), v, { eps: 0.5 }).backward();
    expect(v.grad!.itemSync()).toBeCloseTo(0.5 * (1 / 0.5 - 1 / 0.25), 12);
  });
});

describe('empty batches', () => {
  it('have a mean of NaN and a sum of 0', () => {
    const none = m.zeros([0, 3], { dtype: 'float64' });
    const labels = m.zeros([0], { dtype: 'int32' });
    for (const loss of [
      (reduction: m.Reduction) => m.crossEntropy(none, labels, { reduction }),
      (reduction: m.Reduction) => m.nllLoss(none, labels, { reduction }),
      (reduction: m.Reduction) => m.l1Loss(none, none, { reduction }),
      (reduction: m.Reduction) => m.binaryCrossEntropyWithLogits(none, none, { reduction }),
    ]) {
      expect(loss('mean').itemSync()).toBeNaN();
      expect(Math.abs(loss('sum').itemSync())).toBe(0);
      expect(loss('none').numel).toBe(0);
    }
  });
});

describe('wrong arguments', () => {
  const x = m.ones([2, 3]);
  const wrong = (value: unknown): never => value as never;
  const rows: [what: string, call: () => unknown, type: new (...args: never[]) => Error, message: RegExp][] = [
    [
      'a target of another shape',
      () => m.l1Loss(x, m.ones([2])),
      ShapeError,
      /^l1Loss: expected target of shape \[2, 3\], got \[2\]/,
    ],
    [
      'a target of another dtype',
      () => m.huberLoss(x, x.to('float64')),
      DTypeError,
      /^huberLoss: expected input and target of one dtype/,
    ],
    [
      'integers',
      () => m.l1Loss(ints([1]), ints([1])),
      DTypeError,
      /^l1Loss: expected input of dtype float32 or float64/,
    ],
    [
      'an unknown reduction',
      () => m.klDiv(x, x, { reduction: wrong('max') }),
      ValueError,
      /^klDiv: expected reduction to be one of/,
    ],
    [
      'batchmean of a scalar',
      () => m.klDiv(m.tensor(1), m.tensor(1), { reduction: 'batchmean' }),
      ShapeError,
      /^klDiv: /,
    ],
    [
      'batchmean elsewhere',
      () => m.mseLoss(x, x, { reduction: wrong('batchmean') }),
      ValueError,
      /^mseLoss: expected reduction/,
    ],
    [
      'a negative beta',
      () => m.smoothL1Loss(x, x, { beta: -1 }),
      ValueError,
      /^smoothL1Loss: expected beta to be a number of at least 0/,
    ],
    ['a delta of 0', () => m.huberLoss(x, x, { delta: 0 }), ValueError, /^huberLoss: expected delta/],
    [
      'a weight that would grow the loss',
      () => m.binaryCrossEntropy(x, x, { weight: m.ones([4, 2, 3]) }),
      ShapeError,
      /^binaryCrossEntropy: expected weight that broadcasts to \[2, 3\], got \[4, 2, 3\]/,
    ],
    [
      'a posWeight of the wrong length',
      () => m.binaryCrossEntropyWithLogits(x, x, { posWeight: m.ones([2]) }),
      ShapeError,
      /^binaryCrossEntropyWithLogits: /,
    ],
    [
      'a weight that is no tensor',
      () => m.nllLoss(x, ints([0, 1]), { weight: wrong([1, 1, 1]) }),
      ValueError,
      /^nllLoss: expected weight to be a Tensor/,
    ],
    [
      'float classes',
      () => m.nllLoss(x, m.ones([2])),
      DTypeError,
      /^nllLoss: expected target of dtype int32, got float32/,
    ],
    [
      'a scalar of classes',
      () => m.nllLoss(m.tensor(1), ints(0)),
      ShapeError,
      /^nllLoss: expected input of shape \[N, C\]/,
    ],
    [
      'probabilities of another shape',
      () => m.crossEntropy(x, m.ones([2, 4])),
      ShapeError,
      /^crossEntropy: expected target of probabilities of shape \[2, 3\]/,
    ],
    [
      'probabilities of another dtype',
      () => m.crossEntropy(x, x.to('float64')),
      DTypeError,
      /^crossEntropy: expected logits and target of one dtype/,
    ],
    [
      'a variance of the wrong shape',
      () => m.gaussianNllLoss(x, x, m.ones([3, 2])),
      ShapeError,
      /^gaussianNllLoss: expected variance of shape \[2, 3\], \[2, 1\] or \[2\], got \[3, 2\]/,
    ],
    [
      'p of 3',
      () => m.multiMarginLoss(x, ints([0, 1]), { p: wrong(3) }),
      ValueError,
      /^multiMarginLoss: expected p to be 1 or 2, got 3/,
    ],
    [
      'embeddings of three dimensions',
      () => m.cosineEmbeddingLoss(m.ones([1, 2, 3]), m.ones([1, 2, 3]), m.ones([1])),
      ShapeError,
      /^cosineEmbeddingLoss: /,
    ],
    ['a distance of scalars', () => m.pairwiseDistance(m.tensor(1), m.tensor(2)), ShapeError, /^pairwiseDistance: /],
    ['a norm of NaN', () => m.vectorNorm(x, NaN), ValueError, /^vectorNorm: expected p to be a number, got NaN/],
    [
      'a dim that is not there',
      () => m.cosineSimilarity(x, x, { dim: 2 }),
      IndexOutOfRangeError,
      /^cosineSimilarity: expected dim in/,
    ],
    [
      'an option that is not there',
      () => new m.HuberLoss({ beta: 1 } as never),
      ValueError,
      /^HuberLoss: there is no option "beta"/,
    ],
    [
      'a margin that is no number',
      () => new m.TripletMarginLoss({ margin: wrong('1') }),
      ValueError,
      /^TripletMarginLoss: expected margin/,
    ],
  ];
  for (const [what, call, type, message] of rows) {
    it(what, () => {
      expect(call).toThrow(type);
      expect(call).toThrow(message);
    });
  }

  it('a class that is not there', () => {
    expect(() => m.nllLoss(x, ints([0, 3])).itemSync()).toThrow(IndexOutOfRangeError);
    expect(() => m.multiMarginLoss(x, ints([0, 3])).itemSync()).toThrow(IndexOutOfRangeError);
  });
});

describe('modules', () => {
  it('give what their functions give', () => {
    const x = f64([
      [0.2, -0.5, 0.9],
      [1.4, 0.1, -0.7],
    ]);
    const y = f64([
      [0.1, 0.4, 0.8],
      [0.9, 0.2, 0.3],
    ]);
    const p = x.sigmoid();
    const sign = f64([
      [1, -1, 1],
      [-1, 1, -1],
    ]);
    const labels = ints([2, 0]);
    const weight = f64([0.5, 1, 2]);
    const rows: [m.Module, unknown[], Tensor][] = [
      [new m.L1Loss(), [x, y], m.l1Loss(x, y)],
      [new m.MSELoss({ reduction: 'sum' }), [x, y], m.mseLoss(x, y, { reduction: 'sum' })],
      [new m.SmoothL1Loss({ beta: 0.5 }), [x, y], m.smoothL1Loss(x, y, { beta: 0.5 })],
      [new m.HuberLoss({ delta: 0.5 }), [x, y], m.huberLoss(x, y, { delta: 0.5 })],
      [new m.BCELoss({ weight }), [p, y], m.binaryCrossEntropy(p, y, { weight })],
      [
        new m.BCEWithLogitsLoss({ posWeight: weight }),
        [x, y],
        m.binaryCrossEntropyWithLogits(x, y, { posWeight: weight }),
      ],
      [new m.KLDivLoss({ reduction: 'batchmean' }), [x, y], m.klDiv(x, y, { reduction: 'batchmean' })],
      [new m.GaussianNLLLoss({ full: true }), [x, y, p], m.gaussianNllLoss(x, y, p, { full: true })],
      [new m.PoissonNLLLoss({ logInput: false }), [p, y], m.poissonNllLoss(p, y, { logInput: false })],
      [new m.HingeEmbeddingLoss({ margin: 2 }), [x, sign], m.hingeEmbeddingLoss(x, sign, { margin: 2 })],
      [new m.MarginRankingLoss({ margin: 2 }), [x, y, sign], m.marginRankingLoss(x, y, sign, { margin: 2 })],
      [new m.SoftMarginLoss(), [x, sign], m.softMarginLoss(x, sign)],
      [new m.TripletMarginLoss({ p: 1 }), [x, y, p], m.tripletMarginLoss(x, y, p, { p: 1 })],
      [new m.CosineEmbeddingLoss(), [x, y, f64([1, -1])], m.cosineEmbeddingLoss(x, y, f64([1, -1]))],
      [new m.MultiMarginLoss({ weight }), [x, labels], m.multiMarginLoss(x, labels, { weight })],
      [new m.MultiLabelSoftMarginLoss({ weight }), [x, y], m.multilabelSoftMarginLoss(x, y, { weight })],
      [new m.NLLLoss({ weight }), [x, labels], m.nllLoss(x, labels, { weight })],
      [new m.CrossEntropyLoss({ weight }), [x, labels], m.crossEntropy(x, labels, { weight })],
      [new m.CosineSimilarity(), [x, y], m.cosineSimilarity(x, y)],
      [new m.PairwiseDistance({ keepdim: true }), [x, y], m.pairwiseDistance(x, y, { keepdim: true })],
    ];
    for (const [module, inputs, wanted] of rows) {
      const got = (module.forward as (...args: unknown[]) => Tensor).apply(module, inputs);
      expect(Array.from(got.dataSync()), module.constructor.name).toEqual(Array.from(wanted.dataSync()));
    }
    expect(Object.keys(new m.BCEWithLogitsLoss({ weight, posWeight: weight }).stateDict())).toEqual([
      'weight',
      'pos_weight',
    ]);
  });
});
