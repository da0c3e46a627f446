import { access, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FileFormatError, UsageError } from '../errors.js';
import { ioError, writeAtomic } from '../io/atomic.js';
import {
  datasetNames,
  optimizerRates,
  scheduleNames,
  type DatasetName,
  type OptimizerName,
  type ScheduleName,
} from './recipes.js';

/** What `config.json` of a run says: enough to build its model, data and optimizer again. */
export interface RunConfig {
  readonly model: string;
  readonly dataset: DatasetName;
  readonly epochs: number | null;
  readonly steps: number | null;
  readonly batch_size: number;
  readonly shuffle: boolean;
  readonly optimizer: OptimizerName;
  readonly lr: number;
  readonly weight_decay: number;
  readonly schedule: ScheduleName;
  readonly warmup: number;
  readonly clip_norm: number | null;
  /** Tokens of a sequence; null is what the model is usually trained on. */
  readonly length: number | null;
  /** Batches an epoch; null is a pass over the data. */
  readonly batches: number | null;
  readonly augment: boolean;
  readonly seed: number;
  readonly data_dir: string | null;
  /** Names of the classes of a folder of images; null for other data. */
  readonly classes: readonly string[] | null;
}

/** Writes `config.json` of a run. */
export async function writeConfig(out: string, config: RunConfig): Promise<void> {
  await writeAtomic(join(out, 'config.json'), `${JSON.stringify(config, null, 2)}\n`, 'myelin train');
}

/** Reads `config.json` of a run. */
export async function readConfig(out: string): Promise<RunConfig> {
  const path = join(out, 'config.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw ioError('myelin', 'read', path, error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new FileFormatError(`myelin: expected ${path} to be JSON`, path);
  }
  return checkConfig(value, path);
}

/** Throws unless `value`, which came from `path`, is a run's configuration. */
export function checkConfig(value: unknown, path: string): RunConfig {
  const wrong = (what: string): never => {
    throw new FileFormatError(`myelin: expected ${path} to hold ${what}`, path);
  };
  if (value === null || typeof value !== 'object') return wrong('the configuration of a run');
  const config = value as Partial<RunConfig>;
  if (typeof config.model !== 'string') wrong('the name of a model');
  if (!datasetNames.includes(config.dataset as DatasetName)) wrong(`a dataset of ${datasetNames.join(', ')}`);
  if (!Object.hasOwn(optimizerRates, config.optimizer ?? ''))
    wrong(`an optimizer of ${Object.keys(optimizerRates).join(', ')}`);
  for (const key of ['batch_size', 'lr', 'seed'] as const) {
    if (typeof config[key] !== 'number' || !(config[key] >= 0)) wrong(`a number ${key}`);
  }
  if (!((config.batch_size ?? 0) >= 1)) wrong('a batch_size of at least 1');
  // Runs of earlier versions do not say these.
  const usual = {
    weight_decay: 0,
    schedule: 'constant',
    augment: false,
    warmup: 0,
    clip_norm: null,
    batches: null,
    length: null,
    classes: null,
  };
  const full = { ...usual, ...config };
  if (!(full.weight_decay >= 0)) wrong('a number weight_decay');
  if (!scheduleNames.includes(full.schedule as ScheduleName)) wrong(`a schedule of ${scheduleNames.join(', ')}`);
  if (!Number.isSafeInteger(full.warmup) || full.warmup < 0) wrong('a number of steps as warmup');
  if (full.clip_norm !== null && !(full.clip_norm > 0)) wrong('a number or null as clip_norm');
  if (full.batches !== null && !(Number.isSafeInteger(full.batches) && full.batches > 0))
    wrong('a number or null as batches');
  if (full.length !== null && !(Number.isSafeInteger(full.length) && full.length > 0))
    wrong('a number or null as length');
  const { classes } = full as { classes: unknown };
  if (classes !== null && !(Array.isArray(classes) && classes.every((name) => typeof name === 'string')))
    wrong('names or null as classes');
  if (typeof full.augment !== 'boolean') wrong('true or false as augment');
  return full as RunConfig;
}

/** Whether a path is there. */
export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Makes and returns `runs/<name>`, or `runs/<name>-2`, … when that is taken. */
export async function newRunDirectory(name: string): Promise<string> {
  const fail = (path: string, error: unknown): never => {
    throw ioError('myelin train', 'create', path, error);
  };
  await mkdir('runs', { recursive: true }).catch((error: unknown) => fail('runs', error));
  for (let i = 1; i < 100_000; i++) {
    const path = join('runs', i === 1 ? name : `${name}-${i}`);
    try {
      await mkdir(path);
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') fail(path, error);
    }
  }
  throw new UsageError(`runs/${name} and its successors are all taken; choose a directory with --out`);
}
