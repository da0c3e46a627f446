import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { select, type Entry } from './catalogue.js';
import { peers } from './peers.js';

/** What a run is to do. */
export interface Options {
  readonly entries: readonly Entry[];
  readonly threads: readonly number[];
  /** Seconds of timed calls for each party, number of threads and entry; undefined: by kind. */
  readonly budget: number | undefined;
  readonly rounds: number;
  /** Whether there are to be so many rounds however long they take. */
  readonly exact: boolean;
  readonly against: readonly string[];
  readonly python: string;
  readonly json: string | undefined;
  readonly chart: string | undefined;
  /** Files of earlier runs to show instead of running. */
  readonly from: readonly string[];
  readonly markdown: boolean;
  readonly list: boolean;
  readonly help: boolean;
}

/** The words of `--help`. */
export const HELP = `Usage: npm run bench -- [options]

  --only a,b         names of workloads and kernels, beginnings of them such as gemm- or conv-fwd, and the words
                     kernels, training and inference (default: everything). --list prints the names;
                     gemm-{nn,nt,tn}-N and -MxNxK take any sizes, and conv-{fwd,bwd,bwdd,bwdw}-32x64x28-128k3s2p1g4
                     (batch × channels × size, channels out, kernel, stride, padding, groups) and conv1d- too
  --threads N[,N]    compute threads (default: all; 1 and 2 with --against)
  --budget S         seconds of timed calls for each (default 2, kernels 0.5)
  --rounds N         turns among which the budget is divided (default 1; 5 with --against, 3 where those take over 10 s)
  --against a,b      the same work in other libraries, turn by turn with ours:
${Object.entries(peers)
  .map(([name, { about }]) => `                       ${name.padEnd(9)} ${about}`)
  .join('\n')}
  --python PATH      the interpreter that has PyTorch (default: $MYELIN_BENCH_PYTHON or /usr/bin/python3)
  --json FILE        results as JSON lines, each written when it is there
  --chart FILE       results as an SVG picture
  --from a,b         show the JSON lines of earlier runs instead of running
  --markdown         tables for a page of Markdown
  --list             names of everything
`;

/** A mistake in the arguments. */
export class UsageError extends Error {}

function positive(name: string, text: string, integer = true): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value) || (integer && !Number.isInteger(value)))
    throw new UsageError(`--${name}: expected a${integer ? ' whole' : ''} number above 0, got ${text}`);
  return value;
}

const words = (text: string): string[] => text.split(',').map((word) => word.trim());

/**
 * Reads the command line.
 * @throws UsageError saying what is wrong
 */
export function parseOptions(argv: readonly string[], cores = availableParallelism()): Options {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        only: { type: 'string' },
        threads: { type: 'string' },
        budget: { type: 'string' },
        rounds: { type: 'string' },
        against: { type: 'string' },
        python: { type: 'string' },
        json: { type: 'string' },
        chart: { type: 'string' },
        from: { type: 'string' },
        markdown: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  const against = values.against === undefined ? [] : words(values.against);
  for (const peer of against) {
    if (peers[peer] === undefined)
      throw new UsageError(`--against: expected some of ${Object.keys(peers).join(', ')}, got ${peer || 'nothing'}`);
  }
  const from = values.from === undefined ? [] : words(values.from);
  for (const file of from) if (!existsSync(file)) throw new UsageError(`--from: there is no file ${file}`);
  const threads = words(values.threads ?? (against.length === 0 ? String(cores) : cores > 1 ? '1,2' : '1')).map(
    (text) => positive('threads', text),
  );
  let entries: readonly Entry[];
  try {
    entries = select(words(values.only ?? 'kernels,training,inference'));
  } catch (error) {
    throw new UsageError(`--only: ${(error as Error).message}; --list prints the names`);
  }
  return {
    entries,
    threads: [...new Set(threads)],
    budget: values.budget === undefined ? undefined : positive('budget', values.budget, false),
    rounds: positive('rounds', values.rounds ?? (against.length === 0 ? '1' : '5')),
    exact: values.rounds !== undefined,
    against: [...new Set(against)],
    python: values.python ?? process.env['MYELIN_BENCH_PYTHON'] ?? '/usr/bin/python3',
    json: values.json,
    chart: values.chart,
    from,
    markdown: values.markdown,
    list: values.list,
    help: values.help,
  };
}
