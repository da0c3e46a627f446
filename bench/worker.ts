// Our side of a measurement, in a process of its own: node worker.js THREADS, then requests as serve.ts says.
import { preparedSteps, processFacts, serve, type Prepared } from './serve.js';

const importStarted = performance.now();
const { emptyCache, setNumThreads, synchronize } = await import('myelin');
const facts = processFacts(performance.now() - importStarted);
setNumThreads(Number(process.argv[2] ?? '1'));
const { find } = await import('./catalogue.js');
const { KERNEL_BLOCK_MS, LONG_CALL_MS } = await import('./statistics.js');

async function prepare(name: string): Promise<Prepared | undefined> {
  emptyCache();
  const entry = find(name);
  if (entry === undefined) return undefined;
  if (entry.kind === 'kernel') {
    const call = entry.kernel.setUp();
    // Many to one wait: the kernel is measured, not the way to its thread and back.
    const run = async (calls: number): Promise<void> => {
      for (let i = 0; i < calls; i++) call();
      await synchronize();
    };
    const begun = performance.now();
    await run(1);
    if (performance.now() - begun < LONG_CALL_MS) await run(2);
    return { run, blockMs: KERNEL_BLOCK_MS, facts: {} };
  }
  const begun = performance.now();
  const job = await entry.workload.make();
  return preparedSteps(() => job.step(), entry.kind, begun, { params: job.params });
}

await serve('myelin', facts, prepare);
