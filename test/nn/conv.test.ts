import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';

const layers = [
  ['Conv1d', new m.Conv1d(4, 6, 3, { groups: 2, stride: 2, padding: 1 }), [6, 2, 3], [2, 4, 9], [2, 6, 5]],
  ['Conv2d', new m.Conv2d(3, 8, [3, 5], { padding: 'same' }), [8, 3, 3, 5], [3, 7, 7], [8, 7, 7]],
  ['ConvTranspose1d', new m.ConvTranspose1d(4, 6, 3, { stride: 2, groups: 2 }), [4, 3, 3], [2, 4, 5], [2, 6, 11]],
  [
    'ConvTranspose2d',
    new m.ConvTranspose2d(4, 2, 2, { stride: 2, outputPadding: 1, bias: false }),
    [4, 2, 2, 2],
    [1, 4, 3, 3],
    [1, 2, 7, 7],
  ],
] as const;

describe('convolution layers', () => {
  it.each(layers)('%s has the parameters and output shape of PyTorch', (_, layer, weight, input, output) => {
    expect(layer.weight.shape).toEqual(weight);
    expect([...Object.keys(layer.stateDict())]).toEqual(layer.bias === null ? ['weight'] : ['weight', 'bias']);
    expect(layer.forward(m.ones([...input])).shape).toEqual(output);
  });

  it('start within the bound of PyTorch', () => {
    const layer = new m.Conv2d(16, 32, 3);
    const bound = 1 / Math.sqrt(16 * 9);
    for (const p of layer.parameters()) {
      const values = [...p.dataSync()] as number[];
      expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(bound);
      expect(Math.max(...values.map(Math.abs))).toBeGreaterThan(0.8 * bound);
    }
  });

  it('say what they are', () => {
    expect(String(new m.Conv2d(3, 8, 3, { padding: 1, bias: false }))).toBe(
      'Conv2d(3, 8, kernelSize=[3, 3], stride=[1, 1], padding=[1, 1], bias=false)',
    );
    expect(String(new m.ConvTranspose1d(3, 6, 3, { stride: 2, outputPadding: 1, groups: 3 }))).toBe(
      'ConvTranspose1d(3, 6, kernelSize=3, stride=2, outputPadding=1, groups=3)',
    );
  });
});
