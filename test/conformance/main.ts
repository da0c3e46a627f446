import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { MyelinError } from 'myelin';
import type { Float } from './arguments.js';
import { readDump } from './dump.js';
import { complaints, runDump, table, totals } from './run.js';

const HELP = `Usage: npm run conformance -- DIR [options]

Runs the cases of DIR/manifest.json and DIR/data.bin (or .gz) and compares outputs and gradients with the expected ones.

  --only NAME,…     operations by PyTorch's name, with or without nn.functional.
  --dtype D         float32 (default) or float64, then to a millionth of the tolerances
  --methods         call methods instead of functions where there are both
  --json FILE       the verdict of every case

Exit code: 0 when all cases pass, 1 when any fails or is unsupported, 2 for wrong use or a dump that cannot be read.
`;

function stop(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        only: { type: 'string' },
        dtype: { type: 'string', default: 'float32' },
        methods: { type: 'boolean', default: false },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    return stop(`conformance: ${(error as Error).message}\n\n${HELP}`);
  }
}

const { values, positionals } = parse();
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const [directory] = positionals;
if (directory === undefined || positionals.length > 1) stop(`conformance: expected one directory\n\n${HELP}`);
if (values.dtype !== 'float32' && values.dtype !== 'float64') {
  stop(`conformance: expected --dtype float32 or float64, got ${values.dtype}`);
}

try {
  const dump = readDump(directory);
  const only = values.only === undefined ? null : values.only.split(',').filter((name) => name !== '');
  const verdicts = runDump(dump, only, { dtype: values.dtype satisfies Float, methods: values.methods });
  if (verdicts.length === 0) stop(`conformance: no case of ${values.only ?? directory}`);
  process.stdout.write(`${table(verdicts)}\n\n`);
  for (const line of complaints(verdicts)) process.stdout.write(`${line}\n`);
  process.stdout.write(`${totals(verdicts)}\n`);
  if (values.json !== undefined) {
    try {
      writeFileSync(values.json, `${JSON.stringify({ totals: totals(verdicts), cases: verdicts }, null, 1)}\n`);
    } catch (error) {
      stop(`conformance: cannot write ${values.json}: ${(error as Error).message}`);
    }
  }
  process.exitCode = verdicts.every((v) => v.status === 'passed') ? 0 : 1;
} catch (error) {
  if (!(error instanceof MyelinError) && (error as NodeJS.ErrnoException).code === undefined) throw error;
  stop((error as Error).message);
}
