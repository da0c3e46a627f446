import type { SingleBar } from 'cli-progress';
import { figuresOf, type EpochRecord } from './record.js';
import type { Callback, FitResult, Progress } from './types.js';

/** Where progress goes: a terminal gets a bar, anything else plain lines. */
export interface ProgressOptions {
  /** Default: standard error. */
  stream?: NodeJS.WriteStream;
  /** Whether `stream` is a terminal. Default: what it says itself. */
  terminal?: boolean;
  /** Clock in milliseconds, for tests. */
  now?: () => number;
}

/** Pauses between two plain lines: within an epoch, and between epochs. */
const LINE_MS = 5000;
const EPOCH_LINE_MS = 1000;

/**
 * A callback that shows how a run is going: on a terminal one bar with epoch, loss, rate and time left; elsewhere a line every few
 * seconds, with the first and the last epoch always among them.
 */
export function progress(options: ProgressOptions = {}): Callback {
  const stream = options.stream ?? process.stderr;
  const terminal = options.terminal ?? stream.isTTY;
  return terminal ? bar(stream) : lines(stream, options.now ?? (() => performance.now()));
}

function bar(stream: NodeJS.WriteStream): Callback {
  const options = {
    stream,
    format: '{bar} {percentage}% · {where} · loss {loss}{test} · {rate} · {left}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 24,
    hideCursor: true,
    fps: 8,
    // Redrawn by the clock alone, so that an update costs nothing.
    synchronousUpdate: false,
    clearOnComplete: false,
    gracefulExit: false,
  };
  let view: SingleBar | undefined;
  let test = '';
  let epochs: number | undefined;
  const place = (epoch: number): string => `epoch ${epoch}${epochs === undefined ? '' : `/${epochs}`}`;
  const payload = (p: Progress): Record<string, string> => ({
    where: place(p.epoch),
    loss: Number.isNaN(p.loss) ? '…' : formatFigure(p.loss),
    test,
    rate: `${formatCount(p.samplesPerSecond)} rows/s`,
    left: p.secondsLeft === undefined ? '…' : `${formatDuration(p.secondsLeft)} left`,
  });
  let last: Record<string, string> | undefined;
  return {
    async onStart(p) {
      const { default: cliProgress } = await import('cli-progress');
      view = new cliProgress.SingleBar(options);
      epochs = p.epochs;
      last = payload(p);
      view.start(p.steps ?? 0, p.step, last);
    },
    onProgress(p) {
      last = payload(p);
      view?.update(p.step, last);
    },
    onEpochEnd(record) {
      const figure = testFigure(record);
      test = figure === undefined ? '' : ` · ${figure}`;
      last = {
        ...last,
        where: place(record.epoch),
        loss: formatFigure(record.train_loss ?? NaN),
        test,
        rate: `${formatCount(record.samples_per_s)} rows/s`,
      };
      view?.update(record.step, last);
    },
    onEnd(result) {
      view?.update(result.step, { ...last, test, left: `${formatDuration(result.seconds)} in all` });
      view?.stop();
    },
    onError() {
      view?.stop();
    },
  };
}

function lines(stream: NodeJS.WritableStream, now: () => number): Callback {
  let shown = -Infinity;
  let last: EpochRecord | undefined;
  let lastShown: EpochRecord | undefined;
  const epoch = (record: EpochRecord): void => {
    shown = now();
    lastShown = record;
    stream.write(`${epochLine(record)}\n`);
  };
  return {
    onStart() {
      shown = -Infinity;
    },
    onProgress(p) {
      if (shown === -Infinity) shown = now();
      if (now() - shown < LINE_MS) return;
      shown = now();
      stream.write(`${progressLine(p)}\n`);
    },
    onEpochEnd(record) {
      last = record;
      if (lastShown === undefined || now() - shown >= EPOCH_LINE_MS) epoch(record);
    },
    onEnd() {
      if (last !== undefined && last !== lastShown) epoch(last);
    },
  };
}

/** `epoch 3  step 120  loss 0.7012  test_loss 0.8123  test_accuracy 65.10 %  412k rows/s`. */
export function epochLine(record: EpochRecord): string {
  const parts = [`epoch ${record.epoch}`, `step ${record.step}`, `loss ${formatFigure(record.train_loss ?? NaN)}`];
  for (const [name, value] of figuresOf(record)) {
    if (name.startsWith('test_'))
      parts.push(`${name} ${name.endsWith('accuracy') ? formatShare(value) : formatFigure(value)}`);
  }
  parts.push(`${formatCount(record.samples_per_s)} rows/s`);
  return parts.join('  ');
}

/** One line for a moment within an epoch. */
export function progressLine(p: Progress): string {
  const parts = [
    `epoch ${p.epoch}${p.epochs === undefined ? '' : `/${p.epochs}`}`,
    `step ${p.step}${p.steps === undefined ? '' : `/${p.steps}`}`,
    `loss ${formatFigure(p.loss)}`,
    `${formatCount(p.samplesPerSecond)} rows/s`,
  ];
  if (p.secondsLeft !== undefined) parts.push(`${formatDuration(p.secondsLeft)} left`);
  return parts.join('  ');
}

/** One line for the whole run: `6 epochs, 5,628 steps in 24.1 s`. */
export function resultLine(result: FitResult): string {
  const epochs = `${formatInteger(result.epoch)} ${result.epoch === 1 ? 'epoch' : 'epochs'}`;
  return `${epochs}, ${formatInteger(result.step)} steps in ${formatDuration(result.seconds)}`;
}

function testFigure(record: EpochRecord): string | undefined {
  if (record.test_accuracy !== undefined) return `test ${formatShare(record.test_accuracy)}`;
  return record.test_loss === undefined ? undefined : `test loss ${formatFigure(record.test_loss)}`;
}

/** Four significant digits. */
export const formatFigure = (value: number): string => (Number.isFinite(value) ? value.toPrecision(4) : String(value));

/** `65.10 %`. */
export const formatShare = (value: number): string => `${(value * 100).toFixed(2)} %`;

/** `15,210`. */
export const formatInteger = (value: number): string => Math.round(value).toLocaleString('en-US');

/** Three digits with a suffix: `412k`, `1.25M`. */
export function formatCount(value: number): string {
  if (!Number.isFinite(value)) return '–';
  for (const [limit, factor, suffix] of [
    [1e3, 1, ''],
    [1e6, 1e3, 'k'],
    [1e9, 1e6, 'M'],
    [Infinity, 1e9, 'G'],
  ] as const) {
    const scaled = Number((value / factor).toPrecision(3));
    if (value < limit && scaled < 1000) return `${scaled}${suffix}`;
  }
  return String(value);
}

/** `0.8 s`, `42 s`, `3 min 05 s`, `2 h 10 min`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '–';
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const pad = (n: number): string => String(n).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
}
