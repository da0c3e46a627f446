import { describe, expect, it } from 'vitest';
import {
  generateMnist1d,
  Generator,
  playground,
  playgroundNames,
  ValueError,
  type PlaygroundName,
} from '../../lib/index.js';
import { DataLoader } from '../../lib/data/loader.js';
import { numbers } from '../nn/values.js';

async function points(name: PlaygroundName, noise = 0): Promise<[x: number, y: number, label: number][]> {
  const data = await playground(name, { examples: 400, noise, generator: new Generator(2) });
  const [x, y] = [...new DataLoader(data, { batchSize: 400 })][0]!;
  expect([x.shape, y.shape]).toEqual([
    [400, 2],
    [400, 1],
  ]);
  const [at, labels] = [numbers(x), numbers(y)];
  return labels.map((label, i) => [at[2 * i]!, at[2 * i + 1]!, label]);
}

describe('playground', () => {
  it('has the shapes that it is known for', async () => {
    for (const [x, y, label] of await points('circle')) {
      const r = Math.hypot(x, y);
      expect(label === 1 ? r < 2.5001 : r > 3.4999 && r < 5.0001).toBe(true);
    }
    for (const [x, y, label] of await points('xor')) {
      expect(Math.sign(x * y)).toBe(label);
      expect(Math.min(Math.abs(x), Math.abs(y))).toBeGreaterThan(0.299);
    }
    const clouds = await points('gauss');
    const mean = clouds.filter(([, , label]) => label === 1).reduce((sum, [x]) => sum + x, 0) / 200;
    expect(mean).toBeCloseTo(2, 0);
    const arms = await points('spiral');
    // One arm is the other turned by half a turn.
    arms.slice(0, 200).forEach(([x, y], i) => {
      expect(x).toBeCloseTo(-arms[i + 200]![0], 5);
      expect(y).toBeCloseTo(-arms[i + 200]![1], 5);
    });
    for (const name of playgroundNames) {
      const labels = (await points(name)).map(([, , label]) => label);
      expect(new Set(labels)).toEqual(new Set([-1, 1]));
    }
  });

  it('is noisy on demand, and the same for a seed', async () => {
    expect(await points('spiral', 0.3)).not.toEqual(await points('spiral'));
    expect(await points('circle', 0.5)).toEqual(await points('circle', 0.5));
    const wrong = (await points('circle', 0.5)).filter(([x, y, label]) => Math.hypot(x, y) < 2.5 !== (label === 1));
    expect(wrong.length).toBeGreaterThan(10);
    await expect(playground('moons' as never)).rejects.toThrow(ValueError);
    await expect(playground('xor', { noise: 1 })).rejects.toThrow(ValueError);
  });
});

describe('generateMnist1d', () => {
  it('makes as many examples as are wanted', () => {
    const { x, y } = generateMnist1d({ examples: 300 });
    expect([x.length, y.length]).toEqual([12_000, 300]);
    expect(Array.from({ length: 10 }, (_, k) => y.filter((label) => label === k).length)).toEqual(
      new Array(10).fill(30),
    );
    expect(x.reduce((sum, v) => sum + v, 0) / x.length).toBeCloseTo(0, 9);
    expect(() => generateMnist1d({ examples: 301 })).toThrow('expected examples to be a multiple of 10, got 301');
  });
});
