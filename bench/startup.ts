// What importing the library costs: node startup.js [RUNS] starts Node bare and Node with the import in turns, and prints the
// medians of the time that the import takes and of the resident memory that it adds.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { median, rounded } from './statistics.js';

const run = promisify(execFile);

interface Sample {
  readonly ms: number;
  readonly rssMb: number;
}

/** Runs a statement in a fresh process; milliseconds it took and the resident memory after it. */
async function sample(statement: string): Promise<Sample> {
  const program = `
    const started = performance.now();
    ${statement};
    const ms = performance.now() - started;
    console.log(JSON.stringify({ ms, rssMb: process.memoryUsage.rss() / 2 ** 20 }));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
  });
  return JSON.parse(stdout) as Sample;
}

const runs = Number(process.argv[2] ?? 15);
const bare: Sample[] = [];
const imported: Sample[] = [];
const used: Sample[] = [];
for (let i = 0; i < runs; i++) {
  bare.push(await sample(''));
  imported.push(await sample(`await import('myelin')`));
  used.push(await sample(`const { ones } = await import('myelin'); await ones([2]).add(1).data()`));
}
const middle = (samples: readonly Sample[], key: keyof Sample): number => median(samples.map((each) => each[key]));
const nodeMb = middle(bare, 'rssMb');
const line = (name: string, samples: readonly Sample[]): void =>
  console.log(
    JSON.stringify({
      name,
      runs,
      ms_median: rounded(middle(samples, 'ms'), 1),
      ms_min: rounded(Math.min(...samples.map(({ ms }) => ms)), 1),
      rss_over_node_mb: rounded(middle(samples, 'rssMb') - nodeMb, 1),
      node_rss_mb: rounded(nodeMb, 1),
    }),
  );
line('import', imported);
line('import-and-first-operation', used);
