import { join } from 'node:path';
import { writeAtomic } from '../io/atomic.js';
import { sequenceEntry } from '../models/sequences.js';
import { summary, type Summary } from '../nn/summary.js';
import type { AnyModel, BatchSource } from '../train/types.js';
import { oneOf, type Io } from './common.js';
import type { RunConfig } from './config.js';
import { checkInputs, evalRows, openDataset } from './datasets.js';
import { isSequenceDataset } from './recipes.js';
import { checkSequences, openSequences, type SequenceInput, type Tokenizers } from './sequence_data.js';
import { makeSequenceModel, TOKENIZERS } from './sequence_model.js';
import { criterion, type Criterion } from './training.js';

/** A model with its data: what a run trains. Classifiers and autoencoders take tensors, sequence models what {@link SequenceInput} says. */
export interface Task {
  readonly model: AnyModel;
  readonly criterion: Criterion<SequenceInput>;
  readonly loader: BatchSource<SequenceInput> & { readonly length: number };
  readonly validation: BatchSource<SequenceInput>;
  readonly layers: Summary;
  /** Width of the model, for schedules that ask for it. */
  readonly width?: number;
  /** Writes what a run's directory needs besides its checkpoint. */
  prepare(out: string): Promise<void>;
  /** After training: text for a person, and paths of the files that were written. */
  finish(out: string, signal: AbortSignal): Promise<Shown>;
}

/** What a finished run shows. */
export interface Shown {
  readonly text: string;
  readonly files: readonly string[];
}

/** What {@link openTask} needs besides the configuration. */
export interface TaskOptions {
  readonly signal: AbortSignal;
  /** Those of a run that goes on. */
  readonly tokenizers?: Tokenizers;
}

/** Rows that are evaluated at a time. */
const EVAL_SEQUENCES = 128;

/** Throws unless a run's model can be trained on its data set. */
export async function checkTask({ model, dataset }: RunConfig): Promise<void> {
  if (isSequenceDataset(dataset)) {
    const { sequenceModelNames } = await import('../models/sequences.js');
    checkSequences(model, sequenceEntry(oneOf(`model for ${dataset}`, model, sequenceModelNames)), dataset);
    return;
  }
  const registry = await import('../models/registry.js');
  checkInputs(registry.modelEntry(oneOf(`model for ${dataset}`, model, registry.modelNames)).inputShape, {
    model,
    dataset,
  });
}

/** Opens the data and makes the model with fresh weights; the library's generator must be seeded before. */
export async function openTask(config: RunConfig, options: TaskOptions, io: Io): Promise<Task> {
  return isSequenceDataset(config.dataset) ? sequences(config, options, io) : classes(config, options, io);
}

async function classes(config: RunConfig, { signal }: TaskOptions, io: Io): Promise<Task> {
  const { modelEntry } = await import('../models/registry.js');
  const entry = modelEntry(config.model);
  const model = entry.create(config.classes === null ? {} : { classes: config.classes.length });
  const data = {
    classes: config.classes,
    inputShape: entry.inputShape,
    pixels: entry.pixels,
    target: entry.reconstructs === true ? ('input' as const) : ('class' as const),
    batchSize: config.batch_size,
    signal,
    seed: config.seed,
    ...(config.data_dir === null ? {} : { dataDir: config.data_dir }),
  };
  const { shuffle, augment } = config;
  const dataset = config.dataset as Parameters<typeof openDataset>[0];
  return {
    model,
    criterion: (await criterion(model, entry)) as Criterion<SequenceInput>,
    loader: await openDataset(dataset, { ...data, split: 'train', shuffle, augment }, io),
    validation: await openDataset(dataset, { ...data, split: 'test', batchSize: evalRows(dataset) }, io),
    layers: summary(model, [config.batch_size, ...entry.inputShape]),
    prepare: () => Promise.resolve(),
    finish: () => Promise.resolve({ text: '', files: [] }),
  };
}

async function sequences(config: RunConfig, { signal, tokenizers: kept }: TaskOptions, io: Io): Promise<Task> {
  const [{ DataLoader }, { Generator }, { saveTokenizers }] = await Promise.all([
    import('../data/loader.js'),
    import('../random.js'),
    import('../text/files.js'),
  ]);
  const dataset = config.dataset as Parameters<typeof openSequences>[0];
  const entry = sequenceEntry(config.model);
  const { data_dir: dataDir, seed, batch_size: batchSize, shuffle, batches } = config;
  const context = config.length ?? entry.context;
  const options = {
    dataDir,
    context,
    seed,
    signal,
    ...(kept === undefined ? {} : { tokenizers: kept }),
  };
  const data = await openSequences(dataset, options, io);
  const { tokenizers, splits } = data;
  const { model, width, ...rest } = await makeSequenceModel(config.model, dataset, tokenizers, context);
  const { generate, translate, ...how } = rest;
  const { train, test } = splits;
  return {
    model,
    width,
    criterion: how,
    loader: new DataLoader(train.data, {
      batchSize,
      shuffle,
      lengths: train.lengths,
      draws: batches === null || !shuffle ? undefined : batches * batchSize,
      generator: new Generator(seed),
    }),
    validation: new DataLoader(test.data, { batchSize: EVAL_SEQUENCES, lengths: test.lengths }),
    layers: summary(model, entry.inputs, { dtype: entry.inputs.map(() => 'int32' as const) }),
    prepare: (out) => saveTokenizers(join(out, TOKENIZERS), tokenizers),
    finish: async (out, stopped) => {
      const show = await import('./sequence_show.js');
      if (generate !== null) {
        const sample = await show.sampleText(generate, { dataset, tokenizer: tokenizers.text!, seed, signal: stopped });
        const path = join(out, 'sample.txt');
        await writeAtomic(path, `${sample}\n`, 'myelin train');
        return { text: sample, files: [path] };
      }
      const { table, picture } = await show.showPairs(model, translate!, data, stopped);
      const files = [join(out, 'examples.txt')];
      await writeAtomic(files[0]!, `${table}\n`, 'myelin train');
      if (picture !== null) {
        files.push(join(out, 'attention.svg'));
        await writeAtomic(files[1]!, picture, 'myelin train');
      }
      return { text: table, files };
    },
  };
}
