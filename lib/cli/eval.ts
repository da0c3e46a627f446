import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { FileFormatError, UsageError } from '../errors.js';
import { ioError } from '../io/atomic.js';
import type { Tensor } from '../tensor.js';
import type { Evaluation } from '../train/evaluate.js';
import { formatInteger, formatShare } from '../train/progress.js';
import { columns, examples, integer, oneOf, type Io } from './common.js';
import { checkConfig } from './config.js';
import { checkInputs, evalRows, folderClasses, openDataset } from './datasets.js';
import { classDatasets, datasetNames, isSequenceDataset } from './recipes.js';
import { criterion } from './training.js';

interface EvalOptions {
  model?: string;
  dataset?: string;
  dataDir?: string;
  split: string;
  batchSize?: number;
  best?: true;
  threads?: number;
  json?: true;
}

/** `myelin eval RUN`. */
export function evalCommand(io: Io): Command {
  return new Command('eval')
    .description('Measure loss and accuracy of a trained model.')
    .argument('<run>', 'directory of a run, a checkpoint, or a safetensors file of parameters')
    .option('--model <name>', 'model that the parameters belong to (default: what the file says)')
    .option('--dataset <name>', `data set: ${datasetNames.join(', ')} (default: what the file says)`)
    .option('--data-dir <dir>', 'read the data set from local files instead of downloading it')
    .option('--split <name>', 'test or train', 'test')
    .option('--batch-size <n>', 'rows at a time (default: 1000; 128 sequences, 32 images of a folder)', integer(1))
    .option('--best', 'the best epoch of a run instead of the last')
    .option('--threads <n>', 'compute threads (default: all that this process may use)', integer(1))
    .option('--json', 'one JSON line instead of the table')
    .addHelpText(
      'after',
      examples(
        'myelin eval runs/mnist1d-mlp',
        'myelin eval runs/mlp --best --data-dir ~/data/mnist --json',
        'myelin eval weights.safetensors --model mlp',
      ),
    )
    .action(async (run: string, options: EvalOptions) => evalRun(run, options, io));
}

async function evalRun(run: string, options: EvalOptions, io: Io): Promise<void> {
  const [{ evaluate }, registry, runtime] = await Promise.all([
    import('../train/evaluate.js'),
    import('../models/registry.js'),
    import('../runtime.js'),
  ]);
  const split = oneOf('split', options.split, ['test', 'train'] as const);
  const path = await weightsFile('eval', run, options.best === true);
  const { config, parameters } = await readWeights(path);
  const name = options.model ?? config?.model;
  if (name === undefined) throw new UsageError(`${path} does not say which model it belongs to; add --model`);
  if (config !== undefined && isSequenceDataset(config.dataset)) {
    if (options.threads !== undefined) runtime.setNumThreads(options.threads);
    const { evaluateSequences } = await import('./sequence_eval.js');
    const figures = await evaluateSequences(
      path,
      parameters,
      config,
      { ...options, split, batchSize: options.batchSize ?? 128 },
      io,
    );
    report(figures, { name: config.model, dataset: config.dataset, split, path, json: options.json === true }, io);
    return;
  }
  const entry = registry.modelEntry(oneOf('model', name, registry.modelNames));
  const { inputShape, pixels, reconstructs = false } = entry;
  const wanted = options.dataset ?? config?.dataset ?? entry.dataset;
  if (wanted === null) throw new UsageError(`model ${name} has no data set here`);
  const dataset = oneOf(`dataset for ${name}`, wanted, classDatasets);
  checkInputs(inputShape, { model: name, dataset });
  if (options.threads !== undefined) runtime.setNumThreads(options.threads);
  const dataDir = options.dataDir ?? config?.data_dir ?? undefined;
  const classes = dataset === 'folder' ? (config?.classes ?? (await folderClasses(dataDir ?? null))) : null;
  const model = entry.create(classes === null ? {} : { classes: classes.length });
  model.loadStateDict(parameters);
  const loader = await openDataset(
    dataset,
    {
      split,
      inputShape,
      pixels,
      target: reconstructs ? 'input' : 'class',
      batchSize: options.batchSize ?? evalRows(dataset),
      classes,
      ...(dataDir === undefined ? {} : { dataDir }),
    },
    io,
  );
  const { loss: lossOf, metrics } = await criterion(model, entry);
  const { rows, scores } = await evaluate(model, loader, { loss: lossOf, ...metrics });
  report({ rows, scores }, { name, dataset, split, path, json: options.json === true }, io);
}

/** Says what was measured, of what. */
function report(
  { rows, scores }: Evaluation,
  { name, dataset, split, path, json }: { name: string; dataset: string; split: string; path: string; json: boolean },
  io: Io,
): void {
  if (json) {
    const short = Object.entries(scores).map(([key, value]) => [key, Number(value.toPrecision(7))]);
    const line = {
      event: 'eval',
      model: name,
      dataset,
      split,
      rows,
      ...(Object.fromEntries(short) as Record<string, number>),
      file: path,
    };
    io.out.write(`${JSON.stringify(line)}\n`);
    return;
  }
  const table = [
    ['model', `${name} (${path})`],
    ['data', `${dataset}, ${split}, ${formatInteger(rows)} rows`],
    ...Object.entries(scores).map(([key, value]) => [
      key.replaceAll('_', ' '),
      key.endsWith('accuracy') ? formatShare(value) : value.toPrecision(5),
    ]),
  ] as [string, string][];
  io.out.write(`${columns(table)}\n`);
}

/** The file of parameters that a run, a checkpoint or another file means. */
export async function weightsFile(command: string, run: string, best: boolean): Promise<string> {
  try {
    const isDirectory = (await stat(run)).isDirectory();
    if (isDirectory) return join(run, best ? 'best.safetensors' : 'checkpoint.safetensors');
  } catch (error) {
    throw ioError(`myelin ${command}`, 'read', run, error);
  }
  if (best) throw new UsageError('--best needs the directory of a run');
  return run;
}

/** Parameters and, where the file says it, the configuration of their run. */
export async function readWeights(path: string) {
  const [{ readCheckpoint, isCheckpoint }, { loadFileWithMetadata }] = await Promise.all([
    import('../train/checkpoint.js'),
    import('../io/safetensors.js'),
  ]);
  if (await isCheckpoint(path)) {
    const { model, extra } = await readCheckpoint(path);
    const config = (extra as { config?: unknown } | undefined)?.config;
    return { parameters: model, config: config === undefined ? undefined : checkConfig(config, path) };
  }
  const { tensors, metadata } = await loadFileWithMetadata(path);
  const parameters: Record<string, Tensor> = Object.fromEntries(tensors);
  if (metadata?.config === undefined) return { parameters, config: undefined };
  let config: unknown;
  try {
    config = JSON.parse(metadata.config);
  } catch {
    throw new FileFormatError(`myelin: the configuration in ${path} is not JSON`, path);
  }
  return { parameters, config: config === null ? undefined : checkConfig(config, path) };
}
