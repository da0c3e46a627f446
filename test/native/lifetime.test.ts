import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';

/**
 * Megabytes by which resident memory rises over as many steps again, the least of up to four such stretches: a leak shows in each,
 * the collector's heap growing now and then only in some.
 */
async function rise(step: () => unknown, steps: number, wait: boolean, enough: number): Promise<number> {
  const stretch = async (): Promise<number> => {
    for (let i = 0; i < steps; i++) {
      const result = step();
      if (wait && i % 10 === 9) await result;
    }
    return process.memoryUsage().rss / 2 ** 20;
  };
  let before = await stretch();
  let least = Infinity;
  for (let i = 0; i < 4 && least >= enough; i++) {
    const after = await stretch();
    least = Math.min(least, after - before);
    before = after;
  }
  return least;
}

function trainingStep(): () => Promise<number> | null {
  m.manualSeed(0);
  const model = new m.Sequential(new m.Linear(16, 32), new m.ReLU(), new m.Linear(32, 4));
  const optimizer = new m.SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const x = m.randn([64, 16]);
  const y = m.randint(0, 4, [64]);
  let n = 0;
  return () => {
    const loss = m.crossEntropy(model.forward(x), y);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    return n++ % 10 === 9 ? loss.item() : null;
  };
}

describe('memory without dispose or scope', () => {
  it('stays flat over training steps that are awaited now and then', async () => {
    expect(await rise(trainingStep(), 6_000, true, 24)).toBeLessThan(24);
  });

  it('stays flat in a loop that never yields', async () => {
    expect(await rise(trainingStep(), 6_000, false, 24)).toBeLessThan(24);
  });

  it('stays flat for plain tensors that are dropped, in a loop that never yields', async () => {
    const x = m.randn([128, 128]);
    expect(await rise(() => x.mul(2).add(1).tanh(), 6_000, false, 80)).toBeLessThan(80);
  });

  it('a training step leaves no handle behind but what the user holds', async () => {
    const model = new m.Sequential(new m.Linear(8, 8), new m.ReLU(), new m.Linear(8, 3));
    const optimizer = new m.SGD(model.parameters(), { lr: 0.1 });
    const x = m.randn([5, 8]);
    const y = m.randint(0, 3, [5]);
    const step = async (): Promise<void> => {
      const out = model.forward(x);
      const loss = m.crossEntropy(out, y);
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      await loss.item();
      out.dispose();
      loss.dispose();
    };
    for (let i = 0; i < 3; i++) await step();
    const before = m.memory().handles;
    for (let i = 0; i < 20; i++) await step();
    expect(m.memory().handles).toBe(before);
  });
});
