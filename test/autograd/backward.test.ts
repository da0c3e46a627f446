import { beforeEach, describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import { AnomalyError, AutogradError, DisposedError, ShapeError, ValueError } from '../../lib/index.js';

const leaf = (data: number[]): m.Tensor => m.tensor(data, { dtype: 'float64', requiresGrad: true });
const values = (t: m.Tensor | null): number[] => Array.from(t!.dataSync());

describe('backward', () => {
  it('adds up over calls and over uses', () => {
    const x = leaf([1, 2]);
    x.mul(x).sum().backward();
    expect(values(x.grad)).toEqual([2, 4]);
    x.mul(3).sum().backward();
    expect(values(x.grad)).toEqual([5, 7]);
    x.grad = null;
    x.sum().backward();
    expect(values(x.grad)).toEqual([1, 1]);
  });

  it('gathers the gradient of weights that are used again and again', () => {
    const w = m.tensor(
      [
        [1, 2],
        [3, 4],
      ],
      { dtype: 'float64', requiresGrad: true },
    );
    const xs = [leaf([1, 2]), leaf([3, -1]), leaf([0.5, 4])];
    const seen: number[][] = [];
    w.registerHook((g) => void seen.push(values(g)));
    const loss = (): m.Tensor =>
      xs
        .map((x, i) =>
          m
            .linear(x, w)
            .mul(i + 1)
            .sum(),
        )
        .reduce((a, b) => a.add(b));
    const y = loss();
    y.backward(undefined, { retainGraph: true });
    const want = [0, 1, 2, 3].map((at) => xs.reduce((sum, x, i) => sum + (i + 1) * values(x)[at % 2]!, 0));
    expect(values(w.grad)).toEqual(want);
    expect(seen).toEqual([want]);
    y.backward();
    expect(values(w.grad)).toEqual(want.map((v) => 2 * v));
    expect(values(m.grad(loss(), w)[0])).toEqual(want);
    expect(values(xs[1]!.grad)).toEqual([16, 24]);
  });

  it('leaves a gradient that goes two ways as it is when more arrives on one', () => {
    const x = leaf([1, 2]);
    const y = x.mul(2);
    const z = y.add(x);
    z.add(y.exp().mul(0)).add(y).sum().backward();
    expect(values(x.grad)).toEqual([5, 5]);
  });

  it('gives each leaf of a sum a gradient of its own', () => {
    const a = leaf([1, 2]);
    const b = leaf([3, 4]);
    a.add(b).sum().backward();
    m.noGrad(() => a.grad!.fill_(9));
    expect(values(b.grad)).toEqual([1, 1]);
  });

  it('differentiates the lecture example (2x - 3)^3 to 6 (2x - 3)^2, and again', () => {
    const x = leaf([2]);
    const y = x.mul(2).sub(3).pow(3).sum();
    const [first] = m.grad(y, x, { createGraph: true });
    expect(values(first)).toEqual([6]);
    const [second] = m.grad(first.sum(), x, { createGraph: true });
    expect(values(second)).toEqual([24]);
    const [third] = m.grad(second.sum(), x);
    expect(values(third)).toEqual([48]);
    expect(x.grad).toBeNull();
  });

  it('goes through a graph of 100,000 nodes without recursion', () => {
    const x = leaf([1]);
    let y: m.Tensor = x;
    for (let i = 0; i < 100_000; i++) y = y.add(1);
    y.sum().backward();
    expect(values(x.grad)).toEqual([1]);
  });

  it('refuses a graph that was freed, and keeps it on request', () => {
    const x = leaf([2]);
    const y = x.exp().sum();
    y.backward(null, { retainGraph: true });
    y.backward();
    expect(() => y.backward()).toThrow(AutogradError);
    expect(() => y.backward()).toThrow(/retainGraph/);
  });

  it('notices a saved tensor that was changed in place', () => {
    const x = leaf([2]);
    const w = m.tensor([3], { dtype: 'float64' });
    const y = x.mul(w).sum();
    w.add_(1);
    expect(() => y.backward()).toThrow(/changed in place/);
  });

  it('says why it cannot start', () => {
    expect(() => m.ones([1]).backward()).toThrow(AutogradError);
    const x = leaf([1, 2]);
    expect(() => x.mul(2).backward()).toThrow(ShapeError);
    expect(() => x.mul(2).backward(m.ones([3], { dtype: 'float64' }))).toThrow(/shape \[2\], got \[3\]/);
    expect(() => x.sum().backward(m.ones([], { dtype: 'float32' }))).toThrow(/float64, got float32/);
  });

  it('runs hooks on leaves and results, and lets them replace the gradient', () => {
    const x = leaf([1, 2]);
    const h = x.mul(2);
    const seen: number[][] = [];
    h.registerHook((g) => {
      seen.push(values(g));
      return g.mul(10);
    });
    const remove = x.registerHook((g) => void seen.push(values(g)));
    h.sum().backward();
    expect(seen).toEqual([
      [1, 1],
      [20, 20],
    ]);
    expect(values(x.grad)).toEqual([20, 20]);
    remove();
    x.sum().backward();
    expect(seen).toHaveLength(2);
  });

  it('keeps the gradient of a result on request', () => {
    const x = leaf([1, 2]);
    const h = x.square();
    h.retainGrad();
    h.mul(3).sum().backward();
    expect(values(h.grad)).toEqual([3, 3]);
  });

  it('accumulates when create graph asks for gradients with a history', () => {
    const x = leaf([3]);
    x.pow(3).sum().backward(null, { createGraph: true });
    const g = x.grad!;
    expect(values(g)).toEqual([27]);
    const [second] = m.grad(g.sum(), x);
    expect(values(second)).toEqual([18]);
  });
});

describe('grad', () => {
  it('returns gradients of results too and touches no .grad', () => {
    const x = leaf([1, 2]);
    const h = x.mul(2);
    const y = h.square().sum();
    const [dx, dh] = m.grad(y, [x, h]);
    expect(values(dx!)).toEqual([8, 16]);
    expect(values(dh!)).toEqual([4, 8]);
    expect(x.grad).toBeNull();
  });

  it('says when an input is not used', () => {
    const x = leaf([1]);
    const z = leaf([1]);
    const y = x.mul(2).sum();
    expect(() => m.grad(y, z, { retainGraph: true })).toThrow(/allowUnused/);
    expect(m.grad(y, [x, z], { allowUnused: true })[1]).toBeNull();
    expect(() => m.grad([], x)).toThrow(ValueError);
    expect(() => m.grad(x.sum(), m.ones([1]))).toThrow(AutogradError);
  });
});

describe('noGrad and detach', () => {
  it('record nothing', () => {
    const x = leaf([1]);
    expect(m.noGrad(() => x.mul(2)).requiresGrad).toBe(false);
    expect(m.noGrad(() => m.enableGrad(() => x.mul(2))).requiresGrad).toBe(true);
    expect(x.detach().mul(2).requiresGrad).toBe(false);
    expect(m.isGradEnabled()).toBe(true);
    expect(() => m.noGrad(() => Promise.resolve(1))).toThrow(/synchronous/);
    expect(m.isGradEnabled()).toBe(true);
  });

  it('guard writes in place', () => {
    const x = leaf([1]);
    expect(() => x.add_(1)).toThrow(AutogradError);
    m.noGrad(() => x.add_(1));
    expect(values(x)).toEqual([2]);
  });
});

describe('detectAnomaly', () => {
  it('names the first operation that gave NaN or Inf', () => {
    const x = leaf([-1]);
    expect(() => m.detectAnomaly(() => x.log().mul(2))).toThrow(AnomalyError);
    expect(() => m.detectAnomaly(() => x.mul(2).sqrt().add(1))).toThrow(/sqrt gave NaN/);
    const zero = leaf([0]);
    expect(() => m.detectAnomaly(() => zero.sqrt().sum().backward())).toThrow(/sqrt backward|div/);
    expect(m.detectAnomaly(() => leaf([2]).log().sum()).itemSync()).toBeCloseTo(Math.log(2));
  });
});

describe('memory', () => {
  // What earlier tests dropped must be gone before handles are counted.
  beforeEach(settle);

  it('scope frees what it does not return', async () => {
    const before = await live();
    const out = m.scope(() => m.ones([4]).add(1).mul(3).sum());
    expect(out.itemSync()).toBe(24);
    expect((await live()) - before).toBe(1);
    out.dispose();
    expect(await live()).toBe(before);
    expect(() => out.itemSync()).toThrow(DisposedError);
    expect(() => out.add(1)).toThrow(/disposed/);
  });

  it('scope keeps what keep() was told, and what the graph needs', () => {
    const x = leaf([1, 2]);
    let kept: m.Tensor | undefined;
    const y = m.scope(() => {
      kept = m.keep(x.mul(2));
      return x.exp().mul(kept).sum();
    });
    y.backward();
    expect(values(kept!)).toEqual([2, 4]);
    expect(values(x.grad)[0]).toBeCloseTo(4 * Math.E, 10);
  });

  it('backward leaves nothing behind but gradients', async () => {
    const x = m.randn([8, 8], { requiresGrad: true });
    const loop = (): void => {
      const y = m.scope(() => x.matmul(x).tanh().relu().sum());
      y.backward();
      y.dispose();
    };
    loop();
    const before = await live();
    for (let i = 0; i < 10; i++) loop();
    expect(await live()).toBe(before);
  });

  it('a graph that is dropped without backward goes to the collector', async () => {
    const x = m.randn([8, 8], { requiresGrad: true });
    const before = await live();
    for (let i = 0; i < 50; i++) m.scope(() => x.exp().tanh().sum());
    await settle();
    expect((await live()) - before).toBeLessThanOrEqual(4);
  });
});

async function live(): Promise<number> {
  await m.synchronize();
  return m.memory().handles;
}

async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  m.zeros([1]).dispose(); // sweeps
}
