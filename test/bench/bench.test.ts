import { describe, expect, it } from 'vitest';
import { fnv, ints, u, uni } from '../../bench/data.js';
import { figures, gemmNames, parseGemm } from '../../bench/figures.js';
import { best, lossesAgree, type Result } from '../../bench/result.js';
import { kernelTable, stepTable } from '../../bench/table.js';
import { median, quantile, timed } from '../../bench/timing.js';
import { workloads } from '../../bench/workloads.js';

describe('bench data', () => {
  it('hashes names and positions', async () => {
    expect(fnv('')).toBe(2166136261);
    expect(fnv('x')).toBe(0xfd0c5087);
    expect(u(fnv('x'), 0)).toBe(3103990 / 2 ** 24);
    const x = await uni('x', [2, 3], -1, 1).data();
    expect(x).toHaveLength(6);
    for (const value of x) expect(Math.abs(value)).toBeLessThanOrEqual(1);
    const y = await ints('y', [500], 10).data();
    expect(new Set(y)).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
  });
});

describe('bench workloads', () => {
  it.each(Object.keys(figures))('%s has the losses of every correct implementation', async (name) => {
    const work = workloads[name]?.();
    const losses: number[] = [];
    for (let i = 0; i < 10; i++) losses.push((await work?.step()) ?? NaN);
    const result = { name, threads: 1, lib: 'myelin', loss_first: losses[0] ?? NaN, loss_last: losses[9] ?? NaN };
    expect(lossesAgree(result), `${losses[0]} ${losses[9]}`).toBe(true);
  });

  it('notices wrong losses', () => {
    const result = { name: 'shallow-1d', threads: 1, lib: 'myelin', loss_first: 0.3571641, loss_last: 0.33 };
    expect(lossesAgree(result)).toBe(false);
    expect(lossesAgree({ ...result, loss_last: NaN })).toBe(false);
  });

  it('counts the multiplications of a step', () => {
    expect(figures['mlp-mnist']?.flops).toBe(64 * (4 * 784 * 200 + 6 * 200 * 200 + 6 * 200 * 10));
    expect(parseGemm('gemm-nt-64x200x784')).toEqual({ kind: 'nt', m: 64, n: 200, k: 784 });
    expect(parseGemm('gemm-tn-512')).toEqual({ kind: 'tn', m: 512, n: 512, k: 512 });
    for (const name of ['gemm-tt-4', 'gemm-nn-0', 'gemm-nn-1x2', 'gemm-nn-99999', 'mlp'])
      expect(parseGemm(name)).toBeUndefined();
    for (const name of gemmNames) expect(parseGemm(name)).toBeDefined();
  });
});

describe('bench timing and tables', () => {
  it('times short calls in blocks', async () => {
    let calls = 0;
    const ms = await timed((n) => Promise.resolve(void (calls += n)), 0.02);
    expect(ms.length).toBeGreaterThanOrEqual(7);
    expect(calls).toBeGreaterThan(ms.length * 10);
    expect([median([3, 1, 2]), median([4, 1, 2, 3]), quantile([5, 1, 9], 0.99)]).toEqual([2, 2.5, 9]);
  });

  it('shows ratios against the peer at its best', () => {
    const ours: Result = {
      name: 'mlp-mnist',
      threads: 2,
      lib: 'myelin',
      step_ms_median: 0.5,
      step_ms_min: 0.4,
      fma_peak_gflops: 200,
      loss_first: 2.353784,
      loss_last: 1.848507,
    };
    const torch = (threads: number, median: number): Result => ({
      ...ours,
      lib: 'torch1.13',
      threads,
      step_ms_median: median,
    });
    const table = stepTable([ours, torch(1, 1.5), torch(2, 1.25)]);
    expect(table).toContain('2.50×');
    expect(table.split('\n')[2]).toMatch(/^mlp-mnist +2 +0\.5000 +0\.4000 .* ok +1\.250 +2\.50×$/);
    expect(best([torch(1, 3), { ...torch(1, 2), step_ms_min: 1.9 }])).toMatchObject({
      step_ms_median: 2,
      step_ms_min: 0.4,
      rounds: 2,
    });
    const kernel: Result = {
      name: 'gemm-nn-512',
      threads: 1,
      lib: 'myelin',
      ms_min: 3,
      ms_median: 3.1,
      gflops_best: 90,
      fma_peak_gflops: 100,
    };
    expect(kernelTable([kernel])).toContain('90.0 %');
  });
});
