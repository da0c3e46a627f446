import { describe, expect, it } from 'vitest';
import { catalogue, find, select } from '../../bench/catalogue.js';
import { chartPoints, renderChart } from '../../bench/chart.js';
import { ints, uni } from '../../bench/data.js';
import { parseOptions, UsageError } from '../../bench/options.js';
import { calmState, isDisturbed, type MachineState } from '../../bench/probe.js';
import { limitMs, lossesAgree, summarize, type Result, type Round } from '../../bench/result.js';
import { median, quantile, timed } from '../../bench/statistics.js';
import { aligned, GrowingTable, markdown, ms, ratio, reportText } from '../../bench/table.js';
import { fnv, u } from '../../bench/values.js';

const state: MachineState = {
  gflops: 100,
  gbs: { cache: 80, memory: 40, read: 36, copy: 38, write: 20 },
  cacheBytes: 32 << 20,
};

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

describe('bench catalogue', () => {
  it('has every name once', () => {
    const names = catalogue.map((entry) => entry.name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('gemm-nt-64x200x784');
    expect(names).toContain('infer-mlp-b1');
  });

  it('counts the work of a step', () => {
    const entry = find('mlp-mnist');
    if (entry === undefined || entry.kind === 'kernel') throw new Error('mlp-mnist is a workload');
    expect(entry.workload.flops).toBe(64 * (4 * 784 * 200 + 6 * 200 * 200 + 6 * 200 * 10));
    expect(entry.workload.bytes).toBe(12 * 199210 + 20 * 64 * 1194);
  });

  it('selects by name, beginning, kind and size, in its own order', () => {
    const names = (...words: string[]): string[] => select(words).map((entry) => entry.name);
    expect(names('shallow-1d', 'mlp-mnist')).toEqual(['mlp-mnist', 'shallow-1d']);
    expect(names('softmax-')).toEqual(['softmax-fwd-4096x1024', 'softmax-bwd-4096x1024']);
    expect(names('kernels', 'training', 'inference')).toEqual(catalogue.map((entry) => entry.name));
    expect(names('gemm-tn-7x8x9', 'gemm-nn-512')).toEqual(['gemm-nn-512x512x512', 'gemm-tn-7x8x9']);
    for (const word of ['', 'gemm-tt-4', 'gemm-nn-0', 'gemm-nn-1x2', 'gemm-nn-99999', 'nothing'])
      expect(() => select([word]), word).toThrow(/no workload or kernel/);
  });

  // Steps of large networks take long: of these the first value must do, and the largest are left to the bench itself.
  const small = catalogue.flatMap((entry) =>
    entry.kind === 'kernel' || entry.workload.flops > 6e10 ? [] : [[entry.name, entry.workload] as const],
  );
  it.each(small)(
    '%s computes what every correct implementation does',
    async (name, workload) => {
      const { kind, flops, check } = workload;
      const job = await workload.make();
      const values: number[] = [];
      const steps = flops > 1e10 ? 1 : kind === 'training' ? 10 : 3;
      for (let i = 0; i < steps; i++) values.push(await job.step());
      const last = steps === 1 ? check[1] : (values.at(-1) ?? NaN);
      const result = { name, threads: 1, lib: 'myelin', loss_first: values[0] ?? NaN, loss_last: last };
      expect(lossesAgree(result), values.join(' ')).toBe(true);
    },
    120_000,
  );

  it('notices wrong values', () => {
    const result = { name: 'shallow-1d', threads: 1, lib: 'myelin', loss_first: 0.3571641, loss_last: 0.33 };
    expect(lossesAgree(result)).toBe(false);
    expect(lossesAgree({ ...result, loss_last: NaN })).toBe(false);
    expect(lossesAgree({ ...result, loss_last: 0.3250542 })).toBe(true);
  });
});

describe('bench options', () => {
  it('has defaults that depend on the comparison', () => {
    expect(parseOptions([], 4)).toMatchObject({ threads: [4], rounds: 1, against: [], list: false });
    expect(parseOptions(['--against', 'torch,onednn'], 4)).toMatchObject({
      threads: [1, 2],
      rounds: 5,
      against: ['torch', 'onednn'],
    });
    expect(parseOptions(['--threads', '2,1,2', '--budget', '0.25', '--only', 'mlp-mnist'], 4)).toMatchObject({
      threads: [2, 1],
      budget: 0.25,
      entries: [{ name: 'mlp-mnist' }],
    });
  });

  it.each([
    [['--threads', '0']],
    [['--threads', '1.5']],
    [['--budget', 'x']],
    [['--rounds', '-1']],
    [['--against', 'jax']],
    [['--against', '']],
    [['--only', 'no-such']],
    [['--what']],
    [['--from', '/no/such/file']],
    [['mlp-mnist']],
  ])('refuses %s', (argv) => {
    expect(() => parseOptions(argv)).toThrow(UsageError);
  });
});

describe('bench statistics', () => {
  it('times short calls in blocks', async () => {
    let calls = 0;
    const run = (n: number): Promise<void> => Promise.resolve(void (calls += n));
    const times = await timed(run, { budget: 0.02, least: 7, blockMs: 2 });
    expect(times.length).toBeGreaterThanOrEqual(7);
    expect(calls).toBeGreaterThan(times.length * 10);
  });

  it('measures a call that is longer than the budget once, the first being warm enough', async () => {
    let calls = 0;
    const run = async (n: number): Promise<void> => {
      calls += n;
      await new Promise((resolve) => setTimeout(resolve, 20));
    };
    expect(await timed(run, { budget: 0.005, least: 1, blockMs: 2 })).toHaveLength(1);
    expect(calls).toBe(1);
    expect(await timed(run, { budget: 0.005, least: 3, blockMs: 2 })).toHaveLength(3);
    expect(calls).toBe(4);
  });

  it('takes quantiles', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3]), quantile([5, 1, 9], 0.75)]).toEqual([2, 2.5, 7]);
    expect(median([])).toBeNaN();
  });

  it('knows a disturbed machine', () => {
    const slow = { ...state, gflops: 60 };
    const calm = calmState([slow, state, state, state]);
    expect(calm).toEqual(state);
    expect(isDisturbed(slow, calm)).toBe(true);
    expect(isDisturbed({ ...state, gbs: { ...state.gbs, cache: 10, memory: 20 } }, calm)).toBe(true);
    expect(isDisturbed({ ...state, gflops: 95 }, calm)).toBe(false);
    expect(isDisturbed(undefined, calm)).toBe(false);
    expect(calmState([])).toBeUndefined();
  });
});

describe('bench results', () => {
  const round = (ours: number[], peers: number[], disturbed: boolean): Round => ({
    slices: new Map([
      ['myelin', { ms: ours, facts: { loss_first: 2.353784, loss_last: 1.848507 }, lib: 'myelin' }],
      ['torch', { ms: peers, facts: { peak_rss_mb: 300.12345 }, lib: 'torch1.13' }],
    ]),
    disturbed,
  });

  it('limits by arithmetic, by memory, or not at all', () => {
    expect(limitMs('gemm-nn-512', state)).toBeCloseTo((2 * 512 ** 3) / 100e6, 9);
    expect(limitMs('ew-add-16M', state)).toBeCloseTo((12 * 2 ** 24) / 38e6, 9);
    expect(limitMs('red-sum-all-4096x4096', state)).toBeCloseTo((4 * 2 ** 24) / 36e6, 9);
    expect(limitMs('adam-10M', state)).toBeCloseTo((28 * 1e7) / 40e6, 9);
    expect(limitMs('fill-16M', state)).toBeCloseTo((4 * 2 ** 24) / 20e6, 9);
    expect(limitMs('ew-add-out-64K', state)).toBeCloseTo((12 * 2 ** 16) / 80e6, 9);
    expect(limitMs('op-add-1', state)).toBeUndefined();
    expect(limitMs('ew-add-16M', undefined)).toBeUndefined();
  });

  it('pairs the rounds, without the disturbed ones', () => {
    const rounds = [round([1, 1, 1], [2], false), round([2], [3, 3], false), round([1], [9], true)];
    expect(summarize('mlp-mnist', 2, 'torch', rounds, state)).toMatchObject({
      lib: 'torch1.13',
      step_ms_min: 2,
      step_ms_median: 2.5,
      ratio_median: 1.75,
      ratio_low: 1.5,
      ratio_high: 2,
      pairs: 2,
      rounds: 3,
      disturbed: 1,
      peak_rss_mb: 300.123,
    });
    const ours = summarize('mlp-mnist', 2, 'myelin', rounds, state);
    expect(ours).toMatchObject({ step_ms_min: 1, step_ms_median: 1.5, loss_first: 2.353784 });
    expect(ours?.ratio_median).toBeUndefined();
    expect(summarize('mlp-mnist', 2, 'ort', rounds, state)).toBeUndefined();
    expect(summarize('mlp-mnist', 2, 'torch', [round([1], [3], true)], state)).toMatchObject({ ratio_median: 3 });
  });

  it('measures rates against the best of the stretches beside them', () => {
    const beside = (peak: number, disturbed: boolean): Round => ({ ...round([2.8, 3], [4], disturbed), peak });
    const rounds = [beside(90, false), beside(96, false), beside(99, true)];
    const line = summarize('gemm-nn-512', 1, 'myelin', rounds, state);
    expect(line).toMatchObject({ peak_gflops: 96, ms_min: 2.8 });
    expect(line?.limit_ms).toBeCloseTo((2 * 512 ** 3) / 96e6, 5);
    expect(summarize('gemm-nn-512', 1, 'myelin', [round([3], [4], false)], state)?.limit_ms).toBeCloseTo(2.68435, 4);
  });

  it('lays out tables', () => {
    expect(
      aligned([
        ['a', 'b'],
        ['long', '1'],
        ['x', '22'],
      ]),
    ).toBe('a      b\n────────\nlong   1\nx     22');
    expect(
      markdown([
        ['a', 'b'],
        ['x|y', '1'],
      ]),
    ).toBe('| a | b |\n| --- | ---: |\n| x\\|y | 1 |');
    expect([ms(undefined), ms(NaN), ms(0.01234), ms(12.345), ms(1234.5)]).toEqual([
      '–',
      '–',
      '0.0123',
      '12.35',
      '1234.5',
    ]);
    const line: Result = { name: 'gemm-nn-512', threads: 1, lib: 'myelin', ms_min: 3, ms_median: 3.1, gflops_best: 90 };
    const peer: Result = { ...line, lib: 'onednn2.6', ms_median: 3.41, ratio_median: 1.1, pairs: 3 };
    const lines = [
      { ...line, limit_ms: 2.7, rounds: 3, disturbed: 3 },
      { ...peer, ratio_low: 1, ratio_high: 1.2, rounds: 3, disturbed: 0 },
    ];
    expect(ratio(peer)).toContain('1.10 (');
    const text = reportText(lines, new Map([[1, state]]), aligned);
    expect(text).toContain('100.0 GFLOP/s');
    expect(text).toMatch(
      /^gemm-nn-512 +1 +3\.10 \* +3\.00 +90\.0 GFLOP\/s +2\.70 +90 % +3\.41 +1\.10 \(1\.00–1\.20\)$/m,
    );
    expect(text).toContain('* the machine was slower');
  });
});

describe('bench table that grows', () => {
  const calm = { threads: 1, rounds: 3, disturbed: 0 };
  const kernel: Result = { ...calm, name: 'gemm-nn-64', lib: 'myelin', ms_min: 3, ms_median: 3.1, gflops_best: 90 };
  const peer: Result = { ...kernel, lib: 'onednn2.6', ratio_median: 1.1, ratio_low: 1, ratio_high: 1.2, pairs: 3 };
  const workload: Result = { ...calm, name: 'shallow-1d', lib: 'myelin', step_ms_median: 5 };

  it('keeps its columns, and begins anew with another kind', () => {
    const table = new GrowingTable(
      ['gemm-nn-64', 'gemm-tn-4096x4096x4096', 'shallow-1d'],
      ['onednn', 'torch'],
      aligned,
    );
    const [head = '', rule = '', first = ''] = table.add([kernel, peer]).split('\n');
    expect(head).toMatch(/^kernel .* onednn2\.6 ms +ratio +torch ms +ratio$/);
    expect(first).toMatch(/^gemm-nn-64 +1 .* 1\.10 \(1\.00–1\.20\) +– +–$/);
    expect([head.length, first.length]).toEqual([rule.length, rule.length]);
    const second = table.add([{ ...kernel, name: 'gemm-tn-4096x4096x4096', ms_median: 1234.5 }]);
    expect(second).toHaveLength(rule.length + 1);
    expect(second.indexOf('1234.5') + 6).toBe(first.indexOf('3.10') + 4);
    expect(table.add([workload])).toMatch(/^training .*\n─+\nshallow-1d .*\n$/);
    expect(table.add([peer])).toBe('');
  });

  it('is one table of Markdown', () => {
    const table = new GrowingTable([kernel.name], ['onednn'], markdown);
    expect(table.add([kernel, peer]).split('\n')).toHaveLength(4);
    expect(table.add([kernel, peer])).toMatch(/^\| gemm-nn-64 \| 1 \|.*\|\n$/);
  });
});

describe('bench chart', () => {
  const ours: Result = { name: 'mlp-mnist', threads: 1, lib: 'myelin', step_ms_median: 0.5, limit_ms: 0.25 };
  const overhead: Result = { name: 'shallow-1d', threads: 2, lib: 'myelin', step_ms_median: 0.005, limit_ms: 4e-5 };
  const torch: Result = { name: 'mlp-mnist', threads: 1, lib: 'torch1.13', step_ms_median: 1, ratio_median: 2.1 };

  it('places everything as a multiple of our time', () => {
    const own = { name: 'mlp-mnist', kind: 'training', threads: '1 thread', label: '0.500 ms' };
    expect(chartPoints([ours, torch, overhead])).toEqual([
      { ...own, lib: 'myelin', times: 1 },
      { ...own, lib: 'limit of the machine', times: 0.5 },
      { ...own, lib: 'torch1.13', times: 2.1 },
      { name: 'shallow-1d', kind: 'training', threads: '2 threads', label: '5.00 µs', lib: 'myelin', times: 1 },
    ]);
  });

  it('draws names, libraries and times', async () => {
    const svg = await renderChart([ours, torch, overhead], 'a processor');
    expect(svg).toMatch(/^<svg/);
    for (const text of ['mlp-mnist', 'shallow-1d', 'torch1.13', 'a processor', '0.500 ms', 'training, 2 threads'])
      expect(svg).toContain(text);
    expect(svg).not.toMatch(/NaN|undefined/);
  });
});
