import { UsageError } from '../errors.js';
import { oneOf } from './common.js';
import type { RunConfig } from './config.js';
import {
  datasetNames,
  modelFor,
  optimizerRates,
  recipeOf,
  scheduleNames,
  type DatasetName,
  type OptimizerName,
} from './recipes.js';

/** What `myelin train` was given. */
export interface TrainOptions {
  model?: string;
  dataset?: string;
  dataDir?: string;
  epochs?: number;
  steps?: number;
  batchSize?: number;
  shuffle?: boolean;
  optimizer?: string;
  lr?: number;
  weightDecay?: number;
  schedule?: string;
  length?: number;
  warmup?: number;
  clipNorm?: number;
  augment?: boolean;
  patience?: number;
  seed?: number;
  threads?: number;
  out?: string;
  resume?: string | true;
  json?: true;
}

/** The configuration of a new run: what was given, else the recipe of the data set. */
export function newConfig(
  options: TrainOptions,
  models: readonly string[],
  datasetOf: (model: string) => DatasetName | null,
): RunConfig {
  const wanted = options.model === undefined ? undefined : oneOf('model', options.model, models);
  const usual = wanted === undefined ? 'mnist1d' : datasetOf(wanted);
  const dataset = options.dataset === undefined ? usual : oneOf('dataset', options.dataset, datasetNames);
  if (dataset === null) {
    throw new UsageError(`model ${wanted} has no data set here; train it from a program`);
  }
  const model = wanted ?? modelFor(dataset);
  const recipe = recipeOf(model, dataset);
  const names = Object.keys(optimizerRates) as OptimizerName[];
  const optimizer = options.optimizer === undefined ? recipe.optimizer : oneOf('optimizer', options.optimizer, names);
  return {
    model,
    dataset,
    epochs: options.epochs ?? (options.steps === undefined ? recipe.epochs : null),
    steps: options.steps ?? null,
    batch_size: options.batchSize ?? recipe.batchSize,
    shuffle: options.shuffle ?? recipe.shuffle,
    optimizer,
    lr: options.lr ?? (optimizer === recipe.optimizer ? recipe.lr : optimizerRates[optimizer]),
    weight_decay: options.weightDecay ?? recipe.weightDecay,
    schedule: options.schedule === undefined ? recipe.schedule : oneOf('schedule', options.schedule, scheduleNames),
    warmup: options.warmup ?? recipe.warmup,
    clip_norm: options.clipNorm ?? recipe.clipNorm,
    length: options.length ?? null,
    batches: recipe.batches,
    augment: options.augment ?? recipe.augment,
    seed: options.seed ?? 1,
    data_dir: options.dataDir ?? null,
    classes: null,
  };
}

/** The run's own configuration; only how long it goes and where its data lie may be new. */
export function resumedConfig(options: TrainOptions, config: RunConfig): RunConfig {
  const fixed = [
    ['--model', options.model, config.model],
    ['--dataset', options.dataset, config.dataset],
    ['--batch-size', options.batchSize, config.batch_size],
    ['--optimizer', options.optimizer, config.optimizer],
    ['--lr', options.lr, config.lr],
    ['--weight-decay', options.weightDecay, config.weight_decay],
    ['--schedule', options.schedule, config.schedule],
    ['--length', options.length, config.length],
    ['--warmup', options.warmup, config.warmup],
    ['--clip-norm', options.clipNorm, config.clip_norm],
    ['--augment', options.augment, config.augment],
    ['--seed', options.seed, config.seed],
    ['--shuffle', options.shuffle, config.shuffle],
  ] as const;
  for (const [name, wanted, had] of fixed) {
    if (wanted !== undefined && wanted !== had) {
      throw new UsageError(`${name} cannot change on --resume: the run has ${String(had)}, got ${String(wanted)}`);
    }
  }
  const longer = options.epochs !== undefined || options.steps !== undefined;
  if (longer && config.schedule !== 'constant') {
    throw new UsageError(
      `--epochs and --steps cannot change on --resume: the schedule ${config.schedule} counts on them`,
    );
  }
  return {
    ...config,
    epochs: longer ? (options.epochs ?? null) : config.epochs,
    steps: longer ? (options.steps ?? null) : config.steps,
    data_dir: options.dataDir ?? config.data_dir,
  };
}
