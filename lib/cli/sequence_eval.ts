import { dirname } from 'node:path';
import { UsageError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { checkVocabulary } from '../text/tokenizer.js';
import type { Evaluation } from '../train/evaluate.js';
import type { Io } from './common.js';
import type { RunConfig } from './config.js';
import { isSequenceDataset } from './recipes.js';
import { checkSequences, openSequences, type Tokenizers } from './sequence_data.js';
import { makeSequenceModel, readTokenizers, type SequenceModel } from './sequence_model.js';

/** Tables of embeddings by the name of their parameter, and the tokenizer whose tokens they hold. */
const tables = { 'wte.weight': 'text', 'emb.weight': 'text', 'src_emb.weight': 'source', 'tgt_emb.weight': 'target' };

/** The model of a run with its parameters, and the tokenizers beside its checkpoint. */
export async function loadSequenceModel(
  fn: string,
  path: string,
  parameters: Readonly<Record<string, Tensor>>,
  { model, dataset, length }: RunConfig,
): Promise<SequenceModel & { readonly tokenizers: Tokenizers }> {
  if (!isSequenceDataset(dataset)) throw new UsageError(`model ${model} is not one of text or sequences`);
  const { isSequenceModel, sequenceEntry } = await import('../models/sequences.js');
  if (!isSequenceModel(model)) throw new UsageError(`model ${model} is not one of text or sequences`);
  const entry = sequenceEntry(model);
  checkSequences(model, entry, dataset);
  const tokenizers = await readTokenizers(dirname(path));
  for (const [parameter, name] of Object.entries(tables)) {
    const rows = parameters[parameter]?.shape[0];
    const tokenizer = tokenizers[name];
    if (rows !== undefined && tokenizer !== undefined) checkVocabulary(fn, tokenizer, rows);
  }
  const made = await makeSequenceModel(model, dataset, tokenizers, length ?? entry.context);
  made.model.loadStateDict(parameters);
  made.model.eval();
  return { ...made, tokenizers };
}

/** What {@link evaluateSequences} was given. */
interface EvaluateOptions {
  readonly dataDir?: string;
  readonly dataset?: string;
  readonly model?: string;
  readonly split: 'train' | 'test';
  readonly batchSize: number;
}

/** Means over a split of a run's data set. */
export async function evaluateSequences(
  path: string,
  parameters: Readonly<Record<string, Tensor>>,
  config: RunConfig,
  options: EvaluateOptions,
  io: Io,
): Promise<Evaluation> {
  for (const [name, given, own] of [
    ['--model', options.model, config.model],
    ['--dataset', options.dataset, config.dataset],
  ] as const) {
    if (given !== undefined && given !== own)
      throw new UsageError(`${name} of ${path} is ${own}, got ${given}; its tokens mean nothing elsewhere`);
  }
  const [{ evaluate }, { DataLoader }, { sequenceEntry }] = await Promise.all([
    import('../train/evaluate.js'),
    import('../data/loader.js'),
    import('../models/sequences.js'),
  ]);
  const { model, tokenizers, ...how } = await loadSequenceModel('eval', path, parameters, config);
  const context = config.length ?? sequenceEntry(config.model).context;
  const dataDir = options.dataDir ?? config.data_dir;
  const dataset = config.dataset as Parameters<typeof openSequences>[0];
  const { splits } = await openSequences(dataset, { dataDir, context, seed: config.seed, tokenizers }, io);
  const { data, lengths } = splits[options.split];
  // Synthetic training data have no end: as many as are held out will do.
  const few = data.length > 1e6 && options.split === 'train' ? { draws: 1000, shuffle: true } : {};
  const loader = new DataLoader(data, { batchSize: options.batchSize, lengths, ...few });
  const { rows, scores } = await evaluate(model, loader, { loss: how.loss, ...how.metrics }, { forward: how.forward });
  const derived = Object.entries(how.derived ?? {}).map(([name, of]) => [name, of(scores)]);
  return { rows, scores: { ...scores, ...(Object.fromEntries(derived) as Record<string, number>) } };
}
