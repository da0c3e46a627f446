import { basename, join } from 'node:path';
import { Command, Option } from 'commander';
import { UsageError } from '../errors.js';
import { formatFigure, formatShare } from '../train/progress.js';
import { figuresOf, type EpochRecord } from '../train/record.js';
import type { Callback, FitResult } from '../train/types.js';
import { examples, integer, nonNegative, positive, type Io } from './common.js';
import { exists, newRunDirectory, readConfig, writeConfig, type RunConfig } from './config.js';
import { newConfig, resumedConfig, type TrainOptions } from './options.js';
import { watchInterrupts } from './interrupt.js';
import { datasetNames, isSequenceDataset, optimizerRates, scheduleNames } from './recipes.js';
import { makeOptimizer, makeScheduler } from './training.js';

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
    .option('--length <n>', 'tokens that a text model sees at once; symbols to reverse or to copy', integer(1))
    .option('--shuffle', 'draw a new order every epoch')
    .option('--no-shuffle', 'take the rows in the order of the data set')
    .option('--optimizer <name>', `one of ${Object.keys(optimizerRates).join(', ')}`)
    .option('--lr <rate>', 'learning rate', positive)
    .option('--weight-decay <n>', 'L2 penalty (AdamW: decoupled decay)', nonNegative)
    .option('--schedule <name>', `course of the learning rate: ${scheduleNames.join(', ')}`)
    .option('--warmup <n>', 'steps during which warmup-cosine and noam rise', integer(0))
    .option('--clip-norm <n>', "upper limit of the gradient's norm", positive)
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
        'myelin train --model resnet18 --data-dir pets       images in pets/train/CLASS/ and pets/val/CLASS/',
        'myelin train --model char-gpt                 a character model of Shakespeare, and a sample of it',
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
    { progress, resultLine, formatInteger },
    runtime,
    random,
    { modelEntry, modelNames },
    { isSequenceModel, sequenceEntry, sequenceModelNames },
    { checkTask, openTask },
  ] = await Promise.all([
    import('../train/trainer.js'),
    import('../train/fit.js'),
    import('../train/progress.js'),
    import('../runtime.js'),
    import('../random.js'),
    import('../models/registry.js'),
    import('../models/sequences.js'),
    import('./task.js'),
  ]);
  const resume = options.resume !== undefined;
  const given = typeof options.resume === 'string' ? options.resume : undefined;
  if (given !== undefined && options.out !== undefined && given !== options.out) {
    throw new UsageError('--resume RUN goes on in RUN; leave out --out');
  }
  if (resume && given === undefined && options.out === undefined)
    throw new UsageError('--resume needs a run: --resume runs/NAME');
  const asked = resume
    ? resumedConfig(options, await readConfig(given ?? options.out ?? ''))
    : newConfig(options, [...modelNames, ...sequenceModelNames], (name) =>
        isSequenceModel(name) ? sequenceEntry(name).dataset : modelEntry(name).dataset,
      );
  await checkTask(asked);
  const config =
    asked.dataset === 'folder' && asked.classes === null
      ? { ...asked, classes: await (await import('./datasets.js')).folderClasses(asked.data_dir) }
      : asked;
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
    const tokenizers =
      resume && isSequenceDataset(config.dataset)
        ? await (await import('./sequence_model.js')).readTokenizers(given ?? options.out ?? '')
        : undefined;
    const task = await openTask(config, { signal, ...(tokenizers === undefined ? {} : { tokenizers }) }, io);
    const { model, loader, validation, layers, width } = task;
    const optimizer = await makeOptimizer(config, model.parameters());

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
      ...task.criterion,
      ...(await makeScheduler(config, optimizer, loader.length, width)),
      ...(config.clip_norm === null ? {} : { clipGradNorm: config.clip_norm }),
      callbacks: json ? [epochLines] : [progress({ stream: io.err })],
      out,
      config,
      report: {
        title: basename(out),
        subtitle: (result) => `${setup} · ${resultLine(result)}`,
      },
    });
    await makeDirectory(out);
    await task.prepare(out);
    await writeConfig(out, config);
    const result = await trainer.fit(loader, {
      ...(config.epochs === null ? {} : { epochs: config.epochs }),
      ...(config.steps === null ? {} : { steps: config.steps }),
      validation,
      signal,
      ...(resume ? { resume: true } : {}),
      ...(options.patience === undefined ? {} : { earlyStopping: { patience: options.patience } }),
    });

    const shown = result.status === 'interrupted' ? { text: '', files: [] } : await task.finish(out, interrupts.signal);
    const done = doneLine(result, config, out);
    if (json) line(done);
    else {
      if (shown.text !== '') io.out.write(`\n${shown.text}\n`);
      io.out.write(`\n${testLine(result)}\n`);
      io.out.write(`${resultLine(result)}\n`);
      for (const path of [done.checkpoint, done.metrics, done.config, done.report, ...shown.files])
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
    ...Object.fromEntries(
      figuresOf(last ?? ({} as EpochRecord))
        .filter(([name]) => name.startsWith('test_') && name !== 'test_loss' && name !== 'test_accuracy')
        .map(([name, value]) => [name, finite(value)]),
    ),
    best: best === undefined ? null : { ...best, value: finite(best.value) },
    run: out,
    checkpoint: join(out, 'checkpoint.safetensors'),
    metrics: join(out, 'metrics.jsonl'),
    config: join(out, 'config.json'),
    report: last === undefined ? null : join(out, 'report.svg'),
  };
}

/** `test accuracy 65.10 %  (best 65.30 % at epoch 8)`, or `test loss 1.882 · perplexity 6.57`. */
function testLine({ last, best }: FitResult): string {
  const figures = last === undefined ? [] : figuresOf(last).filter(([name]) => name.startsWith('test_'));
  const accuracy = last?.test_accuracy;
  if (accuracy !== undefined) {
    const higher =
      best?.monitor === 'test_accuracy' ? `  (best ${formatShare(best.value)} at epoch ${best.epoch})` : '';
    return `test accuracy ${formatShare(accuracy)}${higher}`;
  }
  const parts = figures.map(([name, value]) => {
    const words = name.slice('test_'.length).replaceAll('_', ' ');
    return `${words} ${name.endsWith('accuracy') ? formatShare(value) : formatFigure(value)}`;
  });
  return `test ${parts.join(' · ')}`;
}

function rounded(record: EpochRecord): Record<string, number | null> {
  return Object.fromEntries(
    figuresOf(record).map(([key, value]) => [key, Number.isFinite(value) ? Number(value.toPrecision(7)) : null]),
  );
}
