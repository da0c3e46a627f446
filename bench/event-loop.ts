// Does training keep the event loop free? Trains mlp-mnist-b1024 at full speed and meanwhile measures the loop's delay and the
// time that fs.readFile takes, beside the same without training: node event-loop.js [SECONDS] [THREADS]
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { getNumThreads, setNumThreads } from 'myelin';
import { quantile } from './statistics.js';
import { workloads } from './workloads/index.js';

interface Measurement {
  readonly delay_p50_ms: number;
  readonly delay_p99_ms: number;
  readonly delay_max_ms: number;
  readonly read_p50_ms: number;
  readonly read_p99_ms: number;
  readonly reads: number;
}

/** Delay and reading times until `done` resolves. */
async function measure(file: string, done: Promise<void>): Promise<Measurement> {
  let running = true;
  void done.finally(() => (running = false));
  const reads: number[] = [];
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  while (running) {
    const t = performance.now();
    await readFile(file);
    reads.push(performance.now() - t);
    await sleep(2);
  }
  delay.disable();
  const round = (value: number): number => Number(value.toFixed(3));
  return {
    delay_p50_ms: round(delay.percentile(50) / 1e6),
    delay_p99_ms: round(delay.percentile(99) / 1e6),
    delay_max_ms: round(delay.max / 1e6),
    read_p50_ms: round(quantile(reads, 0.5)),
    read_p99_ms: round(quantile(reads, 0.99)),
    reads: reads.length,
  };
}

const seconds = Number(process.argv[2] ?? 4);
if (process.argv[3] !== undefined) setNumThreads(Number(process.argv[3]));
const directory = await mkdtemp(join(tmpdir(), 'myelin-loop-'));
try {
  const file = join(directory, 'file');
  await writeFile(file, Buffer.alloc(64 * 1024));
  const work = await workloads.find(({ name }) => name === 'mlp-mnist-b1024')?.make();
  if (work === undefined) throw new Error('no workload');
  for (let i = 0; i < 10; i++) await work.step();

  const idle = await measure(file, sleep(seconds * 1e3));
  let steps = 0;
  const train = async (): Promise<void> => {
    const end = performance.now() + seconds * 1e3;
    while (performance.now() < end) {
      await work.step();
      steps++;
    }
  };
  const training = await measure(file, train());
  const base = { threads: getNumThreads(), resolution_ms: 1 };
  console.log(JSON.stringify({ name: 'event-loop-idle', ...base, ...idle }));
  console.log(
    JSON.stringify({
      name: 'event-loop-training',
      ...base,
      step_ms: Number(((seconds * 1e3) / steps).toFixed(3)),
      ...training,
    }),
  );
  console.error(
    `while training: loop delay p99 ${training.delay_p99_ms} ms (idle ${idle.delay_p99_ms}), ` +
      `readFile p50 ${training.read_p50_ms} ms (idle ${idle.read_p50_ms}), p99 ${training.read_p99_ms} ms (idle ${idle.read_p99_ms})`,
  );
} finally {
  await rm(directory, { recursive: true, force: true });
}
