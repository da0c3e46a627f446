import { basename, join } from 'node:path';
import { Command, Option } from 'commander';
import { UsageError } from '../errors.js';
import { figuresOf, type EpochRecord } from '../train/record.js';
import type { Callback, FitResult } from '../train/types.js';
import { examples, integer, nonNegative, oneOf, positive, type Io } from './common.js';
import { exists, newRunDirectory, readConfig, writeConfig, type RunConfig } from './config.js';
import { newConfig, resumedConfig, type TrainOptions } from './options.js';
import { checkInputs, openDataset } from './datasets.js';
import { watchInterrupts } from './interrupt.js';
import { datasetNames, optimizerRates, scheduleNames } from './recipes.js';
import { criterion, makeOptimizer, makeScheduler } from './training.js';

/** `myelin train`. `finish` is given the exit code. */
export function trainCommand(io: Io, finish: (code: number) => void): Command {
  return new Command('train')
    .description('Train a model, by default an MLP on MNIST-1D, and keep checkpoint, metrics and a picture in runs/.')
    .option('--model <name>', 'model (see myelin params); default: the one for the dataset')
    .option('--dataset <name>', `data set: ${datasetNames.join(', ')}; default: the one for the model`)
    .option('--data-dir <dir>', 'read the data set from local files instead of downloading it')
    .option('--epochs <n>', 'passes over the training data, those before a resume included', integer(1))
    .option('--steps <n>', 'end after this many steps', integer(1))
    .option('--batch-size <n>', 'rows a step', integer(1))
    .option('--shuffle', 'draw a new order every epoch')
    .option('--no-shuffle', 'take the rows in the order of the data set')
    .option('--optimizer <name>', `one of ${Object.keys(optimizerRates).join(', ')}`)
    .option('--lr <rate>', 'learning rate', positive)
    .option('--weight-decay <n>', 'L2 penalty (AdamW: decoupled decay)', nonNegative)
    .option('--schedule <name>', `course of the learning rate: ${scheduleNames.join(', ')}`)
    .option('--augment', 'shift images at random, and mirror those that are not digits')
    .option('--no-augment', 'take images as they are')
    .option('--patience <n>', 'stop after this many epochs without a better test accuracy', integer(1))
    .option('--seed <n>', 'seed of the initial parameters and of every order (default: 1)', integer(0))
    .option('--threads <n>', 'compute threads (default: all that this process may use)', integer(1))
    .option('--out <dir>', 'directory of the run (default: runs/<model>, numbered)')
    .addOption(
      new Option('--resume [run]', 'go on with a run that was interrupted, bit for bit (default: the one in --out)'),
    )
    .option('--json', 'JSON lines on standard output: one an epoch, and one when done')
    .addHelpText(
      'after',
      examples(
        'myelin train',
        'myelin train --model mlp --dataset mnist --data-dir ~/data/mnist',
        'myelin train --dataset mnist --optimizer sgd --lr 0.1 --epochs 10 --seed 7',
        'myelin train --resume runs/mnist1d-mlp --epochs 300',
        'myelin train --json | jq .test_accuracy',
      ),
    )
    .action(async (options: TrainOptions) => finish(await train(options, io)));
}

async function train(options: TrainOptions, io: Io): Promise<number> {
  const [
    { Trainer },
    { makeDirectory },
    { progress, resultLine, formatInteger, formatShare },
    runtime,
    random,
    registry,
    { summary },
  ] = await Promise.all([
    import('../train/trainer.js'),
    import('../train/fit.js'),
    import('../train/progress.js'),
    import('../runtime.js'),
    import('../random.js'),
    import('../models/registry.js'),
    import('../nn/summary.js'),
  ]);
  const resume = options.resume !== undefined;
  const given = typeof options.resume === 'string' ? options.resume : undefined;
  if (given !== undefined && options.out !== undefined && given !== options.out) {
    throw new UsageError('--resume RUN goes on in RUN; leave out --out');
  }
  if (resume && given === undefined && options.out === undefined)
    throw new UsageError('--resume needs a run: --resume runs/NAME');
  const config = resume
    ? resumedConfig(options, await readConfig(given ?? options.out ?? ''))
    : newConfig(options, registry.modelNames, (name) => registry.modelEntry(name).dataset);
  const entry = registry.modelEntry(oneOf('model', config.model, registry.modelNames));
  checkInputs(entry.inputShape, config);
  const chosen = given ?? options.out;
  if (!resume && chosen !== undefined && (await exists(join(chosen, 'checkpoint.safetensors')))) {
    throw new UsageError(`${chosen} holds a run already; go on with --resume ${chosen}, or choose another --out`);
  }

  const interrupts = watchInterrupts(io.err);
  let started = false;
  try {
    const { signal } = interrupts;
    if (options.threads !== undefined) runtime.setNumThreads(options.threads);
    random.manualSeed(config.seed);
    const model = entry.create();
    const optimizer = await makeOptimizer(config, model.parameters());
    const data = {
      inputShape: entry.inputShape,
      pixels: entry.pixels,
      target: entry.reconstructs === true ? ('input' as const) : ('class' as const),
      batchSize: config.batch_size,
      signal,
      seed: config.seed,
      ...(config.data_dir === null ? {} : { dataDir: config.data_dir }),
    };
    const { shuffle, augment } = config;
    const loader = await openDataset(config.dataset, { ...data, split: 'train', shuffle, augment }, io);
    const validation = await openDataset(config.dataset, { ...data, split: 'test', batchSize: 1000 }, io);

    const layers = summary(model, [config.batch_size, ...entry.inputShape]);
    const setup = `${config.model} on ${config.dataset} · ${formatInteger(layers.totalParameters)} parameters · ${config.optimizer} lr ${config.lr} · batch ${config.batch_size}`;
    const json = options.json === true;
    const line = (value: object): void => void io.out.write(`${JSON.stringify(value)}\n`);
    if (!json)
      io.out.write(`${layers.toString()}\n\n${setup} · seed ${config.seed} · ${runtime.getNumThreads()} threads\n`);
    const epochLines: Callback = { onEpochEnd: (record) => line({ event: 'epoch', ...rounded(record) }) };

    const out = chosen ?? (await newRunDirectory(config.model));
    started = true;
    const trainer = new Trainer({
      model,
      optimizer,
      ...(await criterion(model, entry)),
      ...(await makeScheduler(config, optimizer, loader.length)),
      callbacks: json ? [epochLines] : [progress({ stream: io.err })],
      out,
      config,
      report: {
        title: basename(out),
        subtitle: (result) => `${setup} · ${resultLine(result)}`,
      },
    });
    await makeDirectory(out);
    await writeConfig(out, config);
    const result = await trainer.fit(loader, {
      ...(config.epochs === null ? {} : { epochs: config.epochs }),
      ...(config.steps === null ? {} : { steps: config.steps }),
      validation,
      signal,
      ...(resume ? { resume: true } : {}),
      ...(options.patience === undefined ? {} : { earlyStopping: { patience: options.patience } }),
    });

    const done = doneLine(result, config, out);
    if (json) line(done);
    else {
      if (done.test_accuracy !== null) {
        const best =
          result.best?.monitor === 'test_accuracy'
            ? `  (best ${formatShare(result.best.value)} at epoch ${result.best.epoch})`
            : '';
        io.out.write(`\ntest accuracy ${formatShare(done.test_accuracy)}${best}\n`);
      } else if (done.test_squared_error !== undefined) {
        io.out.write(`\ntest squared error ${done.test_squared_error}\n`);
      }
      io.out.write(`${resultLine(result)}\n`);
      for (const path of [done.checkpoint, done.metrics, done.config, done.report])
        if (path !== null) io.out.write(`  ${path}\n`);
    }
    if (result.status !== 'interrupted') return 0;
    io.err.write(`myelin: interrupted; go on with: myelin train --resume ${out}\n`);
    return interrupts.code();
  } catch (error) {
    if (started || !interrupts.signal.aborted) throw error;
    io.err.write('myelin: interrupted before training began\n');
    return interrupts.code();
  } finally {
    interrupts.dispose();
  }
}

function doneLine(result: FitResult, config: RunConfig, out: string) {
  const { last, best } = result;
  const finite = (value: number | undefined): number | null =>
    value !== undefined && Number.isFinite(value) ? Number(value.toPrecision(7)) : null;
  return {
    event: 'done',
    status: result.status,
    model: config.model,
    dataset: config.dataset,
    epochs: result.epoch,
    steps: result.step,
    seconds: Number(result.seconds.toFixed(3)),
    train_loss: finite(last?.train_loss),
    train_accuracy: finite(last?.train_accuracy),
    test_loss: finite(last?.test_loss),
    test_accuracy: finite(last?.test_accuracy),
    ...(last?.test_squared_error === undefined ? {} : { test_squared_error: finite(last.test_squared_error) }),
    best: best === undefined ? null : { ...best, value: finite(best.value) },
    run: out,
    checkpoint: join(out, 'checkpoint.safetensors'),
    metrics: join(out, 'metrics.jsonl'),
    config: join(out, 'config.json'),
    report: last === undefined ? null : join(out, 'report.svg'),
  };
}

function rounded(record: EpochRecord): Record<string, number | null> {
  return Object.fromEntries(
    figuresOf(record).map(([key, value]) => [key, Number.isFinite(value) ? Number(value.toPrecision(7)) : null]),
  );
}
