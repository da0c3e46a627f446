import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { generateMnist1d, mnist1d } from '../../lib/data/mnist1d.js';
import { Mt19937 } from '../../lib/data/mt19937.js';
import { ValueError } from '../../lib/errors.js';

interface Golden {
  labels: string;
  testLabels: string;
  rows: { row: number; y: number; x: number[] }[];
}
const golden = JSON.parse(readFileSync(new URL('../golden/mnist1d.json', import.meta.url), 'utf8')) as Golden;
const published = new URL('../../../shared/data/mnist1d/', import.meta.url);

const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  let worst = 0;
  for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
  return worst;
};

describe('generateMnist1d', () => {
  const data = generateMnist1d();

  it('equals rows of the published arrays', () => {
    expect(data.x.length).toBe(5000 * 40);
    for (const { row, y, x } of golden.rows) {
      expect(data.y[row]).toBe(y);
      expect(largestDifference(data.x.subarray(40 * row, 40 * row + 40), x)).toBeLessThan(1e-12);
    }
    expect([...data.y.subarray(0, 100)].join('')).toBe(golden.labels);
    expect([...data.y.subarray(4000, 4100)].join('')).toBe(golden.testLabels);
  });

  it.skipIf(!existsSync(published))(
    'equals the published arrays in full (where they lie beside the repository)',
    () => {
      const bytes = readFileSync(new URL('mnist1d_x.f64le', published));
      const x = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
      expect(largestDifference(data.x, x)).toBeLessThan(1e-12);
      expect(Buffer.from(data.y).equals(readFileSync(new URL('mnist1d_y.u8', published)))).toBe(true);
    },
  );

  it('has 500 examples of each digit, mean 0 and variance 1', () => {
    const counts = Array<number>(10).fill(0);
    for (const label of data.y) counts[label]!++;
    expect(counts).toEqual(Array(10).fill(500));
    let [sum, squares] = [0, 0];
    for (const v of data.x) {
      sum += v;
      squares += v * v;
    }
    expect(sum / data.x.length).toBeCloseTo(0, 12);
    expect(squares / data.x.length).toBeCloseTo(1, 12);
  });

  it('gives the templates: they begin at 0 and have deviation 1/6', () => {
    expect(data.templates.length).toBe(120);
    for (let digit = 0; digit < 10; digit++) {
      const t = data.templates.subarray(12 * digit, 12 * digit + 12);
      expect(t[0]).toBe(0);
      const mean = t.reduce((a, b) => a + b) / 12;
      expect(Math.sqrt(t.reduce((a, b) => a + (b - mean) ** 2, 0) / 12)).toBeCloseTo(1 / 6, 14);
    }
  });

  it('permutes the points of all examples alike in the shuffled variant', () => {
    const shuffled = generateMnist1d({ shuffleSequence: true });
    const columns = new Mt19937(42).permutation(40);
    expect(shuffled.y).toEqual(data.y);
    for (const row of [0, 17, 4999]) {
      const expected = Array.from(columns, (j) => data.x[40 * row + j]!);
      expect([...shuffled.x.subarray(40 * row, 40 * row + 40)]).toEqual(expected);
    }
  });

  it('takes well under a second of processor time', () => {
    const before = process.cpuUsage();
    generateMnist1d();
    const { user } = process.cpuUsage(before);
    expect(user / 1000).toBeLessThan(1000);
  });
});

describe('mnist1d', () => {
  it('splits 4000 and 1000 examples into tensors', async () => {
    const data = generateMnist1d();
    const train = mnist1d();
    const test = mnist1d({ split: 'test', dtype: 'float64' });
    expect([train.length, test.length]).toEqual([4000, 1000]);
    expect(train.tensors.map((t) => [t.dtype, t.shape])).toEqual([
      ['float32', [4000, 40]],
      ['int32', [4000]],
    ]);
    expect(await train.tensors[0].data()).toEqual(Float32Array.from(data.x.subarray(0, 160_000)));
    expect(await test.tensors[0].data()).toEqual(data.x.slice(160_000));
    expect(await test.tensors[1].data()).toEqual(Int32Array.from(data.y.subarray(4000)));
    const shuffled = mnist1d({ shuffleSequence: true });
    expect(await shuffled.tensors[0].data()).not.toEqual(await train.tensors[0].data());
  });

  it('refuses other splits and dtypes', () => {
    expect(() => mnist1d({ split: 'all' as 'train' })).toThrow(ValueError);
    expect(() => mnist1d({ dtype: 'int32' as 'float32' })).toThrow(ValueError);
    expect(() => generateMnist1d({ shuffleSequence: 1 as unknown as boolean })).toThrow(ValueError);
  });
});
