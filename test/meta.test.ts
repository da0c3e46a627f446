import { describe, expect, it } from 'vitest';
import * as m from '../lib/index.js';

describe('meta', () => {
  it('builds, calls and differentiates without memory or random draws', () => {
    m.synchronize().catch(() => undefined);
    const before = m.memory();
    const generator = m.defaultGenerator.getState();
    const model = m.meta(() => {
      const net = new m.Sequential(new m.Linear(1e6, 1e5), new m.ReLU(), new m.Linear(1e5, 10));
      const logits = net.forward(m.randn([512, 1e6]));
      expect([logits.shape, logits.device]).toEqual([[512, 10], 'meta']);
      m.crossEntropy(logits, m.zeros([512], { dtype: 'int32' })).backward();
      new m.AdamW(net.parameters()).step();
      return net;
    });
    const count = model.parameters().reduce((sum, p) => sum + p.numel, 0);
    expect(count).toBe(1e11 + 1e5 + 1e6 + 10);
    expect(model.parameters()[0]!.grad!.shape).toEqual([1e5, 1e6]);
    expect(m.memory().peak).toBe(before.peak);
    expect(m.memory().handles).toBe(before.handles);
    expect(m.defaultGenerator.getState()).toEqual(generator);
  });

  it('fills by every initialiser', () => {
    m.meta(() => {
      const w = m.empty([1e6, 1e5]);
      for (const init of [m.init.truncNormal_, m.init.orthogonal_, m.init.eye_, m.init.kaimingNormal_]) init(w);
      expect(m.init.sparse_(w, 0.1)).toBe(w);
    });
  });

  it('still checks shapes', () => {
    expect(() => m.meta(() => new m.Linear(3, 4).forward(m.zeros([2, 5])))).toThrow(
      'Linear: expected input of shape [..., 3], got [2, 5]',
    );
    expect(m.zeros([1]).device).toBe('cpu');
  });

  it('refuses to read, and to mix with tensors that have values', async () => {
    const nowhere = m.meta(() => m.ones([2, 2]));
    const wrong = 'expected a tensor with values';
    expect(() => nowhere.dataSync()).toThrow(m.ValueError);
    expect(() => m.meta(() => m.ones([1])).itemSync()).toThrow(wrong);
    await expect(nowhere.data()).rejects.toThrow(wrong);
    expect(() => nowhere.add(1)).toThrow(wrong);
    expect(() => m.ones([2, 2]).matmul(nowhere)).toThrow(wrong);
    expect(() => m.ones([2]).add_(nowhere)).toThrow();
    expect(m.ones([2]).add(1).dataSync()).toEqual(new Float32Array([2, 2]));
    expect(() => m.meta(() => Promise.resolve(1))).toThrow('expected a synchronous function');
    expect(() => m.meta(1 as never)).toThrow(m.ValueError);
  });
});
