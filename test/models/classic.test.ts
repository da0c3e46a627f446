import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import { distance, fillParameters, floats, numbers, values } from '../nn/values.js';

interface Fit {
  y: number[];
  coefficients: number[];
  logLikelihood: number;
  deviance: number;
}

const golden = JSON.parse(readFileSync(new URL('../golden/models.json', import.meta.url), 'utf8')) as {
  glm: { x: number[]; fits: Record<m.GLMFamily, Fit> };
  pca: { variance: number[]; components: number[] };
  rbm: { freeEnergy: number[]; loss: number; gradients: number[][] };
  autoencoder: number[];
};

const count = (model: m.Module): number => model.parameters().reduce((sum, p) => sum + p.numel, 0);

describe('Perceptron', () => {
  const x = m.tensor(
    [
      [2, 1],
      [1, 3],
      [-1, -2],
      [-2, 0.5],
      [0.5, 0.5],
      [-0.5, -1],
    ],
    { dtype: 'float64' },
  );
  const y = m.tensor([1, 1, -1, -1, 1, -1]);

  it('separates what can be separated, within the bound on its mistakes', async () => {
    for (const rate of [1, 0.05]) {
      const model = new m.Perceptron(2);
      const { converged, mistakes } = await model.fit(x, y, { rate });
      expect(converged).toBe(true);
      expect(numbers(model.forward(x))).toEqual(numbers(y));
      const bound = await m.mistakeBound(x, y, numbers(model.weight), model.bias.itemSync());
      expect(mistakes).toBeGreaterThan(0);
      expect(mistakes).toBeLessThanOrEqual(bound);
    }
  });

  it('makes one update by the rule', async () => {
    const model = new m.Perceptron(2);
    // From 0 every ŷ is 1; the only row is a -1, so w = −2 η x.
    await model.fit(m.tensor([[3, 4]]), m.tensor([-1]), { rate: 0.5, maxEpochs: 1 });
    expect([...numbers(model.weight), model.bias.itemSync()]).toEqual([-3, -4, -1]);
  });

  it('says when it does not converge, and refuses other classes', async () => {
    const model = new m.Perceptron(1);
    const same = m.tensor([[1], [1]]);
    expect(await model.fit(same, m.tensor([1, -1]), { maxEpochs: 7 })).toMatchObject({ converged: false, epochs: 7 });
    await expect(model.fit(same, m.tensor([1, 0]))).rejects.toThrow('expected classes -1 and 1 in y, got 0 at 1');
    await expect(model.fit(same, m.tensor([1]))).rejects.toThrow(m.ShapeError);
    await expect(model.fit(m.ones([2, 2]), m.tensor([1, 1]))).rejects.toThrow('expected x of shape [N, 1]');
    expect(await m.mistakeBound(same, m.tensor([1, -1]), [1], 0)).toBe(Infinity);
  });
});

describe('GLM', () => {
  const x = floats(golden.glm.x, [60, 3]);
  const families = ['gaussian', 'bernoulli', 'poisson', 'categorical'] as const;
  const target = (family: m.GLMFamily): m.Tensor =>
    m.tensor(golden.glm.fits[family].y, { dtype: family === 'categorical' ? 'int32' : 'float64' });
  const coefficients = (model: m.GLM): number[] => numbers(m.cat([model.weight, model.bias.unsqueeze(1)], 1));

  it.each(families.flatMap((family) => [[family, 'newton'] as const, [family, 'gradient'] as const]))(
    '%s by %s is the fit of NumPy',
    async (family, method) => {
      const model = new m.GLM(3, family, 4);
      const fit = await model.fit(x, target(family), { method });
      const want = golden.glm.fits[family];
      expect(fit.converged).toBe(true);
      expect(distance(coefficients(model), want.coefficients)).toBeLessThan(1e-6);
      expect(fit.logLikelihood).toBeCloseTo(want.logLikelihood, 8);
      expect(fit.deviance).toBeCloseTo(want.deviance, 8);
      // The maximum is where X ᵀ(y − μ) = 0, by autograd of the loss.
      model.loss(x, target(family)).backward();
      expect(Math.max(...model.parameters().flatMap((p) => numbers(p.grad!).map(Math.abs)))).toBeLessThan(1e-8);
    },
  );

  it('has the gradient (y − μ) x for every family', () => {
    for (const family of families) {
      const model = new m.GLM(3, family, 4);
      fillParameters(model);
      model.loss(x, target(family)).backward();
      const mean = model.forward(x).detach();
      const y = family === 'categorical' ? m.oneHot(target(family), 4).to('float64') : target(family).unsqueeze(1);
      const mu = family === 'categorical' ? mean : mean.unsqueeze(1);
      const gradient = mu.sub(y).t().matmul(x).div(60).slice(0, 0, model.weight.shape[0]);
      expect(distance(numbers(model.weight.grad!), numbers(gradient))).toBeLessThan(1e-12);
    }
  });

  it('refuses values that the family does not have, dependent columns and wrong shapes', async () => {
    const [bad, fine] = [m.tensor([0, 2]), m.tensor([0, 1])];
    const two = m.tensor([[1], [2]], { dtype: 'float64' });
    await expect(new m.GLM(1, 'bernoulli').fit(two, bad)).rejects.toThrow(
      'GLM.fit: expected y to hold 0 and 1 for bernoulli, got 2 at 1',
    );
    await expect(new m.GLM(1, 'poisson').fit(two, m.tensor([0.5, 1]))).rejects.toThrow('whole numbers from 0');
    await expect(new m.GLM(1, 'categorical', 2).fit(two, m.tensor([0, 2], { dtype: 'int32' }))).rejects.toThrow(
      m.ValueError,
    );
    await expect(new m.GLM(2, 'gaussian').fit(m.ones([2, 2]), fine)).rejects.toThrow('do not depend on one another');
    await expect(new m.GLM(2, 'gaussian').fit(two, fine)).rejects.toThrow(m.ShapeError);
    expect(() => new m.GLM(1, 'gamma' as never)).toThrow('expected family to be one of gaussian, bernoulli');
  });
});

describe('shallow networks', () => {
  it.each([
    [1, 3, 1, 10],
    [2, 3, 1, 13],
    [1, 4, 2, 18],
  ])('%i-%i-%i have %i parameters', (inputs, hidden, outputs, parameters) => {
    expect(count(new m.ShallowNetwork(inputs, hidden, outputs))).toBe(parameters);
  });

  it('count as their formulas say', () => {
    expect(count(new m.MLP([1, 3, 3, 1]))).toBe(22);
    expect(count(new m.TwoLayerNetwork(5, 7))).toBe((5 + 1) * 7 + 7 + 1);
    expect(count(new m.MLP([784, 200, 200, 10]))).toBe(m.mlpWeights(784, 200, 2, 10) + 2 * 200 + 10);
  });

  it('bend where a hidden unit turns on', async () => {
    const net = new m.ShallowNetwork(1, 3, 1);
    m.noGrad(() => {
      net.hidden.bias!.copy_(m.tensor([0.3, -1, -0.5]));
      net.hidden.weight.copy_(m.tensor([[-1], [2], [0.65]]));
      net.output.bias!.copy_(m.tensor([-0.3]));
      net.output.weight.copy_(m.tensor([[2, -1, 7]]));
    });
    const joints = await net.joints();
    expect(distance(joints, [0.3, 0.5, 0.5 / 0.65])).toBeLessThan(1e-6);
    expect(net.activationPattern(m.tensor([[0], [0.4], [0.6], [1]])).dataSync()).toEqual(
      new Uint8Array([1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 1]),
    );
    // y = −0.3 + 2·0.3 at x = 0; the slope right of all joints is −1·2 + 7·0.65.
    const y = numbers(net.forward(m.tensor([[0], [2], [3]])));
    expect(y[0]).toBeCloseTo(0.3, 6);
    expect(y[2]! - y[1]!).toBeCloseTo(2.55, 5);
    await expect(new m.ShallowNetwork(2, 3).joints()).rejects.toThrow('expected a network of one input, got 2');
  });

  it('give probabilities with logistic units', () => {
    const p = numbers(new m.TwoLayerNetwork(2, 4).forward(m.randn([50, 2])));
    expect(Math.min(...p)).toBeGreaterThan(0);
    expect(Math.max(...p)).toBeLessThan(1);
  });

  it('collapse to one layer without nonlinearities', () => {
    const net = new m.MLP([5, 7, 6, 3], { activation: 'linear' });
    const x = m.randn([4, 5]);
    expect(distance(numbers(m.collapse(net.fc).forward(x)), numbers(net.forward(x)))).toBeLessThan(1e-6);
    expect(() => m.collapse([])).toThrow(m.ValueError);
    expect(() => new m.MLP([1, 2], { activation: 'cos' as never })).toThrow('MLP: expected activation to be one of');
  });
});

describe('PCA', () => {
  it('finds the components that NumPy finds', async () => {
    const x = floats(values(120, 2, -1, 1), [20, 6]).mul(m.tensor([3, 2, 1.5, 1, 0.5, 0.2], { dtype: 'float64' }));
    const pca = await new m.PCA(6, 6).fit(x);
    expect(distance(numbers(pca.explained_variance), golden.pca.variance)).toBeLessThan(1e-12);
    expect(distance(numbers(pca.components), golden.pca.components)).toBeLessThan(1e-10);
    expect(distance(numbers(pca.forward(x)), numbers(x))).toBeLessThan(1e-12);
    expect(pca.totalVariance).toBeCloseTo(golden.pca.variance.reduce((a, b) => a + b));
    const two = await new m.PCA(6, 2).fit(x);
    const error = two.forward(x).sub(x).square().sum().div(19).itemSync();
    expect(error).toBeCloseTo(golden.pca.variance.slice(2).reduce((a, b) => a + b));
    expect(two.transform(x.to('float32')).dtype).toBe('float32');
  });

  it('copes with equal and zero variances', async () => {
    for (const n of [1, 2, 3, 40]) {
      const pca = await new m.PCA(n, n).fit(m.cat([m.eye(n), m.eye(n).neg()], 0));
      const gram = pca.components.matmul(pca.components.t());
      expect(distance(numbers(gram), numbers(m.eye(n)))).toBeLessThan(1e-12);
    }
    const flat = await new m.PCA(3, 2).fit(m.ones([4, 3]));
    expect(numbers(flat.explained_variance)).toEqual([0, 0]);
    await expect(new m.PCA(3, 2).fit(m.ones([1, 3]))).rejects.toThrow('expected at least 2 rows');
    await expect(new m.PCA(3, 2).fit(m.ones([4, 2]))).rejects.toThrow(m.ShapeError);
    expect(() => new m.PCA(3, 4)).toThrow(m.ValueError);
  });
});

describe('autoencoders', () => {
  it('train as in PyTorch', async () => {
    const model = new m.Autoencoder([12, 8, 3], { output: 'sigmoid' });
    expect(Object.keys(model.stateDict())).toEqual(
      ['encoder.0', 'encoder.2', 'decoder.0', 'decoder.2'].flatMap((n) => [`${n}.weight`, `${n}.bias`]),
    );
    fillParameters(model);
    const x = floats(values(72, 3, 0, 1), [6, 12], 'float32');
    const optimizer = new m.Adam(model.parameters(), { lr: 0.01 });
    const losses: number[] = [];
    for (const _ of golden.autoencoder) {
      const loss = m.mseLoss(model.forward(x), x);
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      losses.push(await loss.item());
    }
    expect(distance(losses, golden.autoencoder)).toBeLessThan(2e-6);
  });

  it('reach the error of PCA when linear', async () => {
    m.manualSeed(1);
    const x = m.randn([64, 6]).matmul(m.randn([6, 6]));
    const pca = await new m.PCA(6, 2).fit(x);
    const best = m.mseLoss(pca.forward(x), x).itemSync();
    const model = new m.LinearAutoencoder(6, 2);
    const optimizer = new m.Adam(model.parameters(), { lr: 0.02 });
    for (let i = 0; i < 1500; i++) {
      optimizer.zeroGrad();
      m.mseLoss(model.forward(x), x).backward();
      optimizer.step();
    }
    const reached = m.mseLoss(model.forward(x), x).itemSync();
    expect(reached / best).toBeGreaterThan(1 - 1e-5);
    expect(reached / best).toBeLessThan(1.001);
  });

  it('see corrupted inputs in training only', () => {
    m.manualSeed(2);
    const x = m.full([100, 100], 0.5);
    for (const kind of ['masking', 'salt-and-pepper', 'gaussian'] as const) {
      const corruption = new m.Corruption(kind, 0.3);
      expect(corruption.eval().forward(x)).toBe(x);
      const seen = numbers(corruption.train().forward(x));
      const share = (v: number): number => seen.filter((s) => s === v).length / seen.length;
      if (kind === 'masking') expect(share(0)).toBeCloseTo(0.3, 1);
      if (kind === 'salt-and-pepper') expect(share(0) + share(1)).toBeCloseTo(0.3, 1);
      if (kind !== 'gaussian') expect(share(0.5)).toBeCloseTo(0.7, 1);
      else expect(Math.sqrt(seen.reduce((sum, s) => sum + (s - 0.5) ** 2, 0) / seen.length)).toBeCloseTo(0.3, 2);
    }
    expect(() => new m.Corruption('masking', 1.5)).toThrow(m.ValueError);
    const model = new m.DenoisingAutoencoder([100, 4]);
    expect(numbers(model.eval().forward(x))).toEqual(numbers(model.decode(model.encode(x))));
  });

  it('pay for active codes when sparse', () => {
    for (const penalty of ['l1', 'kl'] as const) {
      const model = new m.SparseAutoencoder([5, 8], { penalty, weight: 0.1, target: 0.2 });
      const x = m.rand([7, 5]);
      const loss = m.mseLoss(model.forward(x), x).add(model.penalty!);
      loss.backward();
      const h = model.encode(x).detach();
      const a = numbers(h.mean(0));
      const want =
        penalty === 'l1'
          ? h.abs().sum().itemSync() / 7
          : a.reduce((sum, q) => sum + 0.2 * Math.log(0.2 / q) + 0.8 * Math.log(0.8 / (1 - q)), 0);
      expect(model.penalty!.itemSync()).toBeCloseTo(0.1 * want, 5);
    }
  });
});

describe('RBM', () => {
  const make = (): m.RBM => {
    const rbm = new m.RBM(6, 4);
    m.noGrad(() => {
      rbm.weight.copy_(floats(values(24, 1), [4, 6]));
      rbm.v_bias.copy_(floats(values(6, 2), [6]));
      rbm.h_bias.copy_(floats(values(4, 3), [4]));
    });
    return rbm;
  };
  const binary = (seed: number): m.Tensor => floats(values(30, seed), [5, 6]).gt(0).to('float32');

  it('has the free energy of its joint distribution, and its gradients', () => {
    const rbm = make();
    const [v, sample] = [binary(4), binary(5)];
    expect(distance(numbers(rbm.freeEnergy(v)), golden.rbm.freeEnergy)).toBeLessThan(1e-6);
    const loss = rbm.freeEnergy(v).mean().sub(rbm.freeEnergy(sample).mean());
    expect(loss.itemSync()).toBeCloseTo(golden.rbm.loss, 5);
    loss.backward();
    rbm.parameters().forEach((p, i) => expect(distance(numbers(p.grad!), golden.rbm.gradients[i]!)).toBeLessThan(1e-6));
    // F(v) = min over h plus entropy: below the energy of any h.
    expect(numbers(rbm.energy(v, rbm.sampleHidden(v)).sub(rbm.freeEnergy(v))).every((d) => d > 0)).toBe(true);
  });

  it('samples its own distribution', () => {
    m.manualSeed(3);
    const rbm = make();
    m.noGrad(() => rbm.weight.mul_(3));
    const states = Array.from({ length: 64 }, (_, s) => Array.from({ length: 6 }, (_, i) => (s >> i) & 1));
    const weights = numbers(rbm.freeEnergy(m.tensor(states))).map((f) => Math.exp(-f));
    const total = weights.reduce((a, b) => a + b);
    const samples = rbm.gibbs(m.zeros([20000, 6]), { steps: 30 });
    const seen = new Array<number>(64).fill(0);
    const data = Float32Array.from(samples.dataSync());
    for (let i = 0; i < 20000; i++) seen[data.subarray(6 * i, 6 * i + 6).reduce((s, bit, j) => s + bit * 2 ** j, 0)]!++;
    const worst = Math.max(...seen.map((n, s) => Math.abs(n / 20000 - weights[s]! / total)));
    expect(worst).toBeLessThan(0.006);
  });

  it.each(['contrastiveDivergence', 'persistentContrastiveDivergence'] as const)('learns by %s', (method) => {
    m.manualSeed(4);
    const rbm = new m.RBM(6, 8);
    const patterns = m.tensor([
      [1, 1, 1, 0, 0, 0],
      [0, 0, 0, 1, 1, 1],
    ]);
    const v = patterns.indexSelect(0, m.randint(0, 2, [64]));
    const optimizer = new m.SGD(rbm.parameters(), { lr: 0.1 });
    for (let i = 0; i < 300; i++) {
      optimizer.zeroGrad();
      rbm[method](v, { steps: 2 }).backward();
      optimizer.step();
    }
    const samples = rbm.gibbs(m.rand([500, 6]).round(), { steps: 50 });
    const [data, p] = [samples, patterns].map((t) => Float32Array.from(t.dataSync())) as [Float32Array, Float32Array];
    const hits = Array.from({ length: 500 }, (_, i) => data.subarray(6 * i, 6 * i + 6)).filter((row) =>
      [0, 6].some((at) => row.every((bit, j) => bit === p[at + j])),
    );
    expect(hits.length).toBeGreaterThan(400);
    expect(() => rbm[method](m.ones([2, 5]))).toThrow(m.ShapeError);
  });
});

describe('gating', () => {
  it('adds, gates and mixes', () => {
    const x = m.randn([3, 4], { dtype: 'float64' });
    const t = new m.Linear(4, 4, { dtype: 'float64' });
    const y = t.forward(x).detach();
    expect(distance(numbers(new m.Residual(t).forward(x)), numbers(x.add(y)))).toBeLessThan(1e-15);
    const half = new m.Highway(4, t, { bias: 0, dtype: 'float64' });
    m.noGrad(() => half.gate.weight.zero_());
    expect(distance(numbers(half.forward(x)), numbers(x.add(y).div(2)))).toBeLessThan(1e-15);
    const glu = new m.GatedLinear(4, 2);
    m.noGrad(() => glu.gate.bias!.fill_(100));
    const input = x.to('float32');
    expect(distance(numbers(glu.forward(input)), numbers(glu.transform.forward(input)))).toBeLessThan(1e-6);
    const narrow = new m.Residual(new m.Linear(4, 2), { projection: new m.Linear(4, 2, { bias: false }) });
    expect(narrow.forward(input).shape).toEqual([3, 2]);
    expect(Object.keys(narrow.stateDict())).toEqual(['transform.weight', 'transform.bias', 'projection.weight']);
    expect(() => new m.Residual(new m.Linear(4, 2)).forward(input)).toThrow(
      'Residual: expected transform to give shape [3, 4], got [3, 2]',
    );
    expect(() => new m.Highway(4, new m.Linear(4, 2)).forward(input)).toThrow(m.ShapeError);
    expect(() => new m.Residual(null as never)).toThrow(m.ValueError);
  });
});
