import { join } from 'node:path';
import { Command } from 'commander';
import { columns, examples, integer, oneOf, type Io } from './common.js';
import { watchInterrupts } from './interrupt.js';

interface CourseOptions {
  full?: true;
  dataDir?: string;
  out: string;
  seed: number;
  threads?: number;
  json?: true;
}

/** `myelin course [NAME]`. */
export function courseCommand(io: Io, finish: (code: number) => void): Command {
  return new Command('course')
    .description(
      'Run an experiment of a course on neural networks; leaves its figures and a picture. Without a name: list them.',
    )
    .argument('[experiment]', 'name of the experiment')
    .option('--full', 'do all that was published instead of a part that shows the same in a minute or two')
    .option('--data-dir <dir>', 'read data sets from local files instead of downloading them')
    .option('--out <dir>', 'directory of the files', 'course')
    .option('--seed <n>', 'seed of all random numbers', integer(0), 1)
    .option('--threads <n>', 'compute threads (default: all that this process may use)', integer(1))
    .option('--json', 'the figures as one JSON line on standard output; for the list, one line an experiment')
    .addHelpText(
      'after',
      examples('myelin course', 'myelin course regions', 'myelin course double-descent --full --seed 3'),
    )
    .action(async (name: string | undefined, options: CourseOptions) => finish(await course(name, options, io)));
}

async function course(name: string | undefined, options: CourseOptions, io: Io): Promise<number> {
  const { experiments } = await import('../course/index.js');
  if (name === undefined) {
    io.out.write(await list(options.json === true));
    return 0;
  }
  const { load, title, section } = experiments[oneOf('experiment', name, Object.keys(experiments))]!;
  const [{ run }, { Generator, manualSeed }, { renderSvg }, { makeDirectory }, { writeAtomic }, runtime] =
    await Promise.all([
      load(),
      import('../random.js'),
      import('../train/plot.js'),
      import('../train/fit.js'),
      import('../io/atomic.js'),
      import('../runtime.js'),
    ]);
  if (options.threads !== undefined) runtime.setNumThreads(options.threads);
  const interrupts = watchInterrupts(io.err);
  const started = performance.now();
  try {
    const { signal } = interrupts;
    manualSeed(options.seed);
    const { figures, picture } = await run({
      full: options.full === true,
      dataDir: options.dataDir,
      generator: (stream = 0) => new Generator(options.seed + 1_000_003 * stream),
      say: (line) => void io.err.write(`${line}\n`),
      check: () => signal.throwIfAborted(),
    });
    const seconds = Number(((performance.now() - started) / 1000).toFixed(2));
    const record = {
      experiment: name,
      section,
      title,
      seed: options.seed,
      full: options.full === true,
      seconds,
      figures,
    };
    const directory = join(options.out, name);
    await makeDirectory(directory);
    const [data, drawing] = [join(directory, 'figures.json'), join(directory, 'figure.svg')];
    await writeAtomic(data, `${JSON.stringify(record, null, 2)}\n`);
    await writeAtomic(drawing, await renderSvg(picture));
    io.out.write(
      options.json === true
        ? `${JSON.stringify({ ...record, files: [data, drawing] })}\n`
        : `${text(figures)}\n  ${data}\n  ${drawing}\n`,
    );
    return 0;
  } catch (error) {
    if (!interrupts.signal.aborted) throw error;
    io.err.write('myelin: interrupted\n');
    return interrupts.code();
  } finally {
    interrupts.dispose();
  }
}

async function list(json: boolean): Promise<string> {
  const { experiments } = await import('../course/index.js');
  const entries = Object.entries(experiments);
  if (json)
    return entries
      .map(([experiment, { section, title }]) => `${JSON.stringify({ experiment, section, title })}\n`)
      .join('');
  const sections = new Set(entries.map(([, { section }]) => section));
  const parts = Array.from(sections, (section) => {
    const rows = entries
      .filter(([, entry]) => entry.section === section)
      .map(([name, { title }]) => [name, title] as const);
    return `${section}\n${columns(rows, '  ')}\n`;
  });
  return parts.join('\n');
}

/** Figures for a person: one a line, what is nested on the line of its name. */
function text(figures: Readonly<Record<string, unknown>>): string {
  return columns(Object.entries(figures).map(([name, value]) => [name.replaceAll('_', ' '), inline(value)] as const));
}

function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([name, item]) => `${name.replaceAll('_', ' ')} ${inline(item)}`)
    .join(', ');
}
