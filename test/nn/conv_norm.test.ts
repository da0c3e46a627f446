import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';

const generator = (): m.Generator => new m.Generator(11);

/** Layers whose statistics and weights are not those at the start. */
function layers(bias: boolean, affine = true): { conv: m.Conv2d; norm: m.BatchNorm2d } {
  const conv = new m.Conv2d(6, 20, 3, { padding: 1, bias, generator: generator() });
  const norm = new m.BatchNorm2d(20, { affine });
  m.noGrad(() => {
    norm.running_mean!.copy_(m.rand([20], { generator: generator() }));
    norm.running_var!.copy_(m.rand([20], { generator: generator() }).add(0.5));
    norm.weight?.copy_(m.rand([20], { generator: generator() }).sub(0.5));
    norm.bias?.copy_(m.rand([20], { generator: generator() }));
  });
  return { conv, norm };
}

const input = (): Tensor => m.rand([2, 6, 9, 10], { generator: generator() }).sub(0.5);
const after = (y: Tensor, add: Tensor | null, activation: string): Tensor => {
  const sum = add === null ? y : y.add(add);
  return activation === 'relu' ? m.relu(sum) : sum;
};

function expectClose(got: Tensor, want: Tensor, tolerance: number): void {
  expect(got.shape).toEqual(want.shape);
  expect(got.sub(want).abs().max().itemSync()).toBeLessThanOrEqual(tolerance);
}

describe('convNorm', () => {
  for (const activation of ['none', 'relu'] as const) {
    for (const [bias, affine, added] of [
      [true, true, false],
      [false, true, true],
      [true, false, true],
    ] as const) {
      it(`is its parts: ${activation}, ${bias ? 'bias, ' : ''}${affine ? 'affine, ' : ''}${added ? 'added' : ''}`, () => {
        const { conv, norm } = layers(bias, affine);
        const x = input();
        const add = added ? m.rand([2, 20, 9, 10], { generator: generator() }) : null;
        const parts = (): Tensor => after(norm.forward(conv.forward(x)), add, activation);
        norm.eval();
        const got = m.noGrad(() => m.convNorm(x, conv, norm, { add, activation }));
        expectClose(got, m.noGrad(parts), 2e-6);
        // With gradients it is the same operations.
        expect(m.convNorm(x, conv, norm, { add, activation }).dataSync()).toEqual(parts().dataSync());
        const gradients = (y: Tensor): m.TypedArray => m.grad(m.sum(y.mul(y)), [conv.weight])[0]!.dataSync();
        norm.train();
        norm.running_mean!.zero_();
        const want = gradients(parts());
        expect(gradients(m.convNorm(x, conv, norm, { add, activation }))).toEqual(want);
      });
    }
  }

  it('follows its statistics and parameters', () => {
    const { conv, norm } = layers(true);
    norm.eval();
    const x = input();
    m.noGrad(() => {
      const check = (): void => expectClose(m.convNorm(x, conv, norm), norm.forward(conv.forward(x)), 4e-6);
      check();
      for (const t of [norm.running_mean, norm.running_var, norm.weight, norm.bias, conv.bias, conv.weight]) {
        t!.mul_(1.5);
        check();
        check();
      }
    });
  });

  it('is what Sequential does, and leaves hooks their results', () => {
    const { conv, norm } = layers(false);
    const net = new m.Sequential(conv, norm, new m.ReLU());
    net.eval();
    const x = input();
    m.noGrad(() => {
      const want = m.relu(norm.forward(conv.forward(x)));
      expectClose(net.forward(x), want, 2e-6);
      const seen: Tensor[] = [];
      const hook = norm.registerForwardHook((_, __, y) => void seen.push(m.keep(y as Tensor)));
      expect(net.forward(x).dataSync()).toEqual(want.dataSync());
      hook.remove();
      expectClose(m.relu(seen[0]!), want, 0);
      const acts: number[] = [];
      net.get(2).registerForwardHook((_, __, y) => void acts.push((y as Tensor).numel));
      expect(net.forward(x).numel).toBe(acts[0]);
    });
  });

  it('frees what lies between its parts', async () => {
    const chain = Array.from({ length: 4 }, () => layers(false));
    const first = input();
    const peakOf = async (block: (x: Tensor, i: number) => Tensor): Promise<number> => {
      await m.synchronize();
      m.resetPeakMemory();
      const before = m.memory().allocated;
      const y = m.scope(() => chain.reduce((x, _, i) => block(x.slice(1, 0, 6), i), first));
      await m.synchronize();
      y.dispose();
      return m.memory().peak - before;
    };
    const apart = await peakOf((x, i) => m.relu(chain[i]!.norm.forward(chain[i]!.conv.forward(x))));
    const together = await peakOf((x, i) => m.convNorm(x, chain[i]!.conv, chain[i]!.norm, { activation: 'relu' }));
    expect(together).toBeLessThan(apart - first.shape[0]! * 20 * 9 * 10 * 4);
  });

  it('refuses what its parts refuse', () => {
    const { conv, norm } = layers(true);
    norm.eval();
    m.noGrad(() => {
      expect(() => m.convNorm(m.zeros([1, 5, 4, 4]), conv, norm)).toThrow(m.ShapeError);
      expect(() => m.convNorm(input(), conv, new m.BatchNorm2d(7).eval())).toThrow(m.ShapeError);
      expect(() => m.convNorm(input(), conv, norm, { add: m.zeros([3]) })).toThrow(m.ShapeError);
    });
  });
});
