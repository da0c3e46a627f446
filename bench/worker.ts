// One workload or kernel in a process of its own: node worker.js NAME THREADS BUDGET. Prints one JSON line.
import { parseGemm } from './figures.js';
import { median, rounded, timed } from './timing.js';

const [name = '', threadsText = '1', budgetText = '2'] = process.argv.slice(2);
const threads = Number(threadsText);
const budget = Number(budgetText);
const peakRssMb = (): number => process.resourceUsage().maxRSS / 1024;

const importStarted = performance.now();
const { setNumThreads } = await import('myelin');
const importMs = performance.now() - importStarted;
const rssAfterImportMb = peakRssMb();
setNumThreads(threads);

async function training(): Promise<object> {
  const built = performance.now();
  const { workloads } = await import('./workloads.js');
  const make = workloads[name];
  if (make === undefined) throw new Error(`unknown workload ${name}`);
  const work = make();
  const losses = [await work.step()];
  const firstStep = performance.now() - built;
  while (losses.length < 10) losses.push(await work.step());
  const ms = await timed(async (calls) => {
    for (let i = 0; i < calls; i++) await work.step();
  }, budget);
  const middle = median(ms);
  return {
    name,
    threads,
    step_ms_min: rounded(Math.min(...ms), 5),
    step_ms_median: rounded(middle, 5),
    samples_per_s: rounded((work.rows / middle) * 1e3, 2),
    loss_first: losses[0],
    loss_last: losses[9],
    params: work.params,
    reps: ms.length,
    peak_rss_mb: rounded(peakRssMb(), 1),
    rss_after_import_mb: rounded(rssAfterImportMb, 1),
    import_ms: rounded(importMs, 1),
    build_and_first_step_s: rounded(firstStep / 1e3, 3),
    lib: 'myelin',
  };
}

async function kernel(): Promise<object> {
  const shape = parseGemm(name);
  if (shape === undefined) throw new Error(`unknown kernel ${name}`);
  const { matmul, randn, synchronize } = await import('myelin');
  const { kind, m, n, k } = shape;
  const a = kind === 'tn' ? randn([k, m]).t() : randn([m, k]);
  const b = kind === 'nt' ? randn([n, k]).t() : randn([k, n]);
  const run = async (calls: number): Promise<void> => {
    for (let i = 0; i < calls; i++) matmul(a, b).dispose();
    await synchronize();
  };
  await run(3);
  // Many calls to one wait: the kernel is measured, not the way to its thread and back.
  const ms = await timed(run, budget, 25);
  const flops = 2 * m * n * k;
  const best = Math.min(...ms);
  const middle = median(ms);
  return {
    name,
    threads,
    ms_min: rounded(best, 5),
    ms_median: rounded(middle, 5),
    reps: ms.length,
    gflops_best: rounded(flops / best / 1e6, 1),
    gflops_median: rounded(flops / middle / 1e6, 1),
    lib: 'myelin',
  };
}

console.log(JSON.stringify(await (name.startsWith('gemm-') ? kernel() : training())));
