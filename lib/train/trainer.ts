import { basename, join, resolve } from 'node:path';
import { noGrad } from '../autograd/graph.js';
import { scope } from '../autograd/scope.js';
import { checkNumber, checkOneOf, show } from '../check.js';
import { ValueError } from '../errors.js';
import { writeAtomic } from '../io/atomic.js';
import { JsonlWriter } from '../io/jsonl.js';
import { saveFile } from '../io/safetensors.js';
import { clipGradNorm } from '../nn/clip.js';
import { manualSeed, type Generator } from '../random.js';
import type { Tensor } from '../tensor.js';
import { applyCheckpoint, readCheckpoint, saveCheckpoint } from './checkpoint.js';
import { BestTracker, type EarlyStoppingOptions } from './early_stopping.js';
import { evaluate } from './evaluate.js';
import {
  checkFit,
  checkSource,
  makeDirectory,
  nonFinite,
  rowsOf,
  stepsInAll,
  walk,
  weightOf,
  type FitOptions,
} from './fit.js';
import { Meter } from './meter.js';
import { Pace } from './pace.js';
import { recordLine, type EpochRecord } from './record.js';
import { renderReport } from './report.js';
import { Breather } from './scalars.js';
import { checkTrainerState, defaultMonitor, type Monitor, type TrainerState } from './state.js';
import type {
  AnyModel,
  Batch,
  BatchSource,
  Callable,
  Callback,
  FitResult,
  FitStatus,
  OptimizerLike,
  Progress,
  SchedulerLike,
} from './types.js';

/** What a {@link Trainer} is made of. */
export interface TrainerOptions<I = Tensor, O = Tensor> {
  model: AnyModel;
  optimizer: OptimizerLike;
  /** From a batch's input to the output that `loss` and `metrics` take. Default: `model.forward(input)`. */
  forward?: (input: I) => O;
  /** From the model's output and the target to a loss of one element, a mean over the batch's rows. */
  loss: (output: O, target: Tensor) => Tensor;
  scheduler?: SchedulerLike;
  /** When the scheduler steps. After an epoch it is given the watched figure. Default `epoch`. */
  schedulerEvery?: 'epoch' | 'step';
  /** Figures of merit by name: `{ accuracy }` gives `train_accuracy` and `test_accuracy`. */
  metrics?: Readonly<Record<string, (output: O, target: Tensor) => Tensor>>;
  /** Figures made of an epoch's means, by name: `{ perplexity: ({ loss }) => Math.exp(loss) }`. */
  derived?: Readonly<Record<string, (means: Readonly<Record<string, number>>) => number>>;
  callbacks?: readonly Callback[];
  /** Upper limit of the gradient's norm. Default: none. */
  clipGradNorm?: number;
  /**
   * Directory of the run, made if needed: `checkpoint.safetensors`, `best.safetensors` (the best epoch's parameters alone),
   * `metrics.jsonl` and `report.svg`. Default: nothing is written.
   */
  out?: string;
  /** Seeds the library's generator, which dropout draws from. Default: it is left as it is. */
  seed?: number;
  /** The generator that checkpoints hold. Default: the library's own. */
  generator?: Generator;
  /** Kept in every checkpoint and given back by {@link readCheckpoint}: JSON, such as the model's name. */
  config?: unknown;
  /** Title and second line of `report.svg`. Default: the directory's name. */
  report?: { title?: string; subtitle?: string | ((result: FitResult) => string) };
}

/** Pause between two `onProgress`. */
const PROGRESS_MS = 100;

/**
 * The training loop with its surroundings: epochs, evaluation, metrics, early stopping, checkpoints, resume, a report. What it
 * does to the model is `optimizer.zeroGrad(); loss.backward(); optimizer.step()`, as in a loop written by hand; losses are
 * read a few steps late, so that reading never makes the processor wait.
 *
 * @example
 * const trainer = new Trainer({ model, optimizer, loss: crossEntropy, metrics: { accuracy }, out: 'runs/first' });
 * const { last } = await trainer.fit(new DataLoader(train, { batchSize: 64, shuffle: true }), { epochs: 6, validation });
 */
export class Trainer<I = Tensor, O = Tensor> {
  readonly model: AnyModel;
  readonly optimizer: OptimizerLike;
  readonly out: string | undefined;
  readonly #options: TrainerOptions<I, O>;
  readonly #forward: (input: I) => O;
  readonly #metrics: readonly (readonly [string, (output: O, target: Tensor) => Tensor])[];
  readonly #callbacks: readonly Callback[];

  #epoch = 0;
  #step = 0;
  #stepInEpoch = 0;
  #seconds = 0;
  #history: EpochRecord[] = [];
  #monitor: Monitor | undefined;
  #tracker = new BestTracker();
  #best: Record<string, Tensor> | null = null;
  #meter: Meter;
  #badStep: { step: number; loss: number } | undefined;
  #losses = 0;
  #stop = false;
  #fitting = false;

  constructor(options: TrainerOptions<I, O>) {
    if (options === null || typeof options !== 'object') {
      throw new ValueError(`Trainer: expected an object of options, got ${show(options)}`);
    }
    const { model, optimizer, loss, metrics = {}, callbacks = [], seed, out } = options;
    if (typeof model?.forward !== 'function')
      throw new ValueError(`Trainer: expected model to be a Module, got ${show(model)}`);
    if (typeof optimizer?.step !== 'function') {
      throw new ValueError(`Trainer: expected optimizer to be an Optimizer, got ${show(optimizer)}`);
    }
    if (typeof loss !== 'function') throw new ValueError(`Trainer: expected loss to be a function, got ${show(loss)}`);
    for (const [name, metric] of Object.entries(metrics)) {
      if (typeof metric !== 'function' || name === 'loss') {
        throw new ValueError(
          `Trainer: expected metrics to hold functions under names other than loss, got ${name}: ${show(metric)}`,
        );
      }
    }
    if (options.clipGradNorm !== undefined) checkNumber('Trainer', 'clipGradNorm', options.clipGradNorm, { min: 0 });
    checkOneOf('Trainer', 'schedulerEvery', options.schedulerEvery ?? 'epoch', ['epoch', 'step']);
    if (seed !== undefined) manualSeed(seed);
    const { forward } = options;
    this.model = model;
    this.#forward =
      forward === undefined
        ? (input) => (model as unknown as Callable<I, O>).forward(input)
        : (input) => scope(() => forward(input));
    this.optimizer = optimizer;
    this.out = out === undefined ? undefined : resolve(out);
    this.#options = options;
    this.#metrics = Object.entries(metrics);
    this.#callbacks = callbacks;
    this.#meter = new Meter(1 + this.#metrics.length, (values) => this.#onValues(values[0] ?? NaN));
  }

  /** One record for every epoch finished so far. */
  get history(): readonly EpochRecord[] {
    return this.#history;
  }

  /** Makes a running {@link fit} end after the step in progress, as completed; for callbacks. */
  stop(): void {
    this.#stop = true;
  }

  /**
   * Trains until `epochs` or `steps` is reached, early stopping says so, {@link stop} is called or `signal` is aborted. A second
   * call goes on where the first ended. Afterwards the model is in evaluation mode.
   *
   * @throws IoError if the run's directory cannot be written; MyelinError with code `ERR_NON_FINITE` if the loss is NaN or
   *   infinite; whatever the model throws. The files in `out` stay whole.
   */
  async fit(loader: BatchSource<I>, options: FitOptions<I>): Promise<FitResult> {
    checkFit(loader, options);
    if (this.#fitting) throw new ValueError('Trainer.fit: expected no other fit to be running on this trainer');
    this.#fitting = true;
    try {
      return await this.#fit(loader, options);
    } finally {
      this.#fitting = false;
      this.model.eval();
    }
  }

  /** Mean loss and metrics over a loader's rows, in evaluation mode and without gradients. */
  async evaluate(loader: BatchSource<I>): Promise<Record<string, number>> {
    checkSource('Trainer.evaluate', 'loader', loader);
    const { forward, loss } = this.#options;
    const { scores } = await evaluate(this.model, loader, { loss, ...Object.fromEntries(this.#metrics) }, { forward });
    return this.#withDerived({ ...scores });
  }

  /** Writes a checkpoint from which {@link load} and `fit({ resume })` go on. */
  async save(path: string, loader?: BatchSource<I>): Promise<void> {
    await this.#meter.flush();
    const state: TrainerState = {
      epoch: this.#epoch,
      step: this.#step,
      stepInEpoch: this.#stepInEpoch,
      seconds: this.#seconds,
      meter: this.#meter.state(),
      history: this.#history,
      ...(this.#monitor === undefined ? {} : { monitor: this.#monitor, best: this.#tracker.state() }),
      ...(this.#best === null ? {} : { bestModel: this.#best }),
    };
    await saveCheckpoint(path, this.#parts(loader), { trainer: state, config: this.#options.config });
  }

  /** Goes back to the moment at which a checkpoint was written: model, optimizer, scheduler, generators, counters. */
  async load(path: string, loader?: BatchSource<I>): Promise<void> {
    const contents = await readCheckpoint(path);
    const state = checkTrainerState(path, contents.extra, 1 + this.#metrics.length);
    applyCheckpoint(path, contents, this.#parts(loader));
    this.#epoch = state.epoch;
    this.#step = state.step;
    this.#losses = state.step;
    this.#stepInEpoch = state.stepInEpoch;
    this.#seconds = state.seconds;
    this.#meter.loadState(state.meter);
    this.#history = [...state.history];
    this.#monitor = state.monitor;
    this.#tracker = new BestTracker({ mode: state.monitor?.mode ?? 'min' });
    if (state.best !== undefined) this.#tracker.loadState(state.best);
    this.#best = state.bestModel ?? null;
  }

  async #fit(loader: BatchSource<I>, options: FitOptions<I>): Promise<FitResult> {
    const { epochs, steps, validation, signal, earlyStopping } = options;
    const { out } = this;
    if (out !== undefined) await makeDirectory(out);
    if (options.resume !== undefined && options.resume !== false) {
      if (options.resume === true && out === undefined)
        throw new ValueError('Trainer.fit: expected out with resume: true, got none');
      await this.load(options.resume === true ? join(out ?? '', 'checkpoint.safetensors') : options.resume, loader);
    }
    const tracker = new BestTracker({
      mode: this.#monitor?.mode ?? 'min',
      ...(earlyStopping && { patience: earlyStopping.patience ?? 10, minDelta: earlyStopping.minDelta ?? 0 }),
    });
    tracker.loadState(this.#tracker.state());
    this.#tracker = tracker;
    this.#badStep = undefined;
    this.#stop = false;

    const lines = out === undefined ? undefined : await this.#openMetrics(out);
    const every = { minutes: 1, ...options.checkpointEvery };
    if (options.checkpointEvery?.epochs !== undefined && options.checkpointEvery.minutes === undefined)
      every.minutes = Infinity;
    const totalSteps = stepsInAll(loader, epochs, steps);
    const pace = new Pace(this.#seconds, this.#step, totalSteps);
    let status = 'completed' as FitStatus;
    let saved = performance.now();
    let shown = saved;
    const breather = new Breather();
    /** Whether the file holds the present moment, or a better one to go on from. */
    let current = false;
    const checkFinite = (): void => {
      if (this.#badStep !== undefined && options.nonFinite !== 'ignore') throw nonFinite(this.#badStep);
    };
    const checkpoint = async (): Promise<void> => {
      if (out === undefined || current) return;
      this.#seconds = pace.seconds();
      await this.#meter.flush();
      checkFinite();
      await this.save(join(out, 'checkpoint.safetensors'), loader);
      await this.#saveBest(out);
      saved = performance.now();
    };
    const progress = (): Progress => ({
      epoch: this.#epoch + 1,
      epochs,
      step: this.#step,
      steps: totalSteps,
      loss: this.#meter.means()[0] ?? NaN,
      samplesPerSecond: pace.rate(),
      secondsLeft: pace.secondsLeft(this.#step),
    });
    const finished = (): boolean =>
      this.#stop ||
      this.#step >= (steps ?? Infinity) ||
      (this.#stepInEpoch === 0 && this.#epoch >= (epochs ?? Infinity));
    const exhausted = (): boolean => earlyStopping !== undefined && this.#tracker.exhausted;

    try {
      for (const callback of this.#callbacks) await callback.onStart?.(progress());
      while (!finished() || this.#stepInEpoch > 0) {
        if (exhausted()) break;
        this.model.train();
        pace.startEpoch();
        const visit = async (batch: Batch<I>): Promise<boolean> => {
          const turn = this.#trainStep(batch);
          pace.addRows(rowsOf(batch));
          current = false;
          if (turn !== undefined) await turn;
          const pause = breather.breathe();
          if (pause !== undefined) await pause;
          const now = performance.now();
          checkFinite();
          if (now - shown > PROGRESS_MS) {
            shown = now;
            for (const callback of this.#callbacks) callback.onProgress?.(progress());
          }
          if (signal?.aborted === true) {
            status = 'interrupted';
            await checkpoint();
            current = true;
            return false;
          }
          if (now - saved > every.minutes * 60_000) await checkpoint();
          if (!finished()) return true;
          // Ended by its steps amid an epoch: the checkpoint is of this moment, so that a longer run goes on from here.
          if (this.#stepInEpoch !== loader.length) {
            await checkpoint();
            current = true;
          }
          return false;
        };
        if (!finished()) await walk(loader, visit);
        if (status === 'interrupted') {
          // A later fit in this process goes on here, too.
          if (loader.state !== undefined) loader.loadState?.(loader.state() as never);
          break;
        }
        if (this.#stepInEpoch === 0)
          throw new ValueError('Trainer.fit: expected loader to give at least one batch, got none');
        await this.#meter.flush();
        checkFinite();
        const record = await this.#endEpoch(pace, validation, earlyStopping);
        await lines?.appendLine(recordLine(record));
        for (const callback of this.#callbacks) await callback.onEpochEnd?.(record);
        if (signal?.aborted === true) {
          status = 'interrupted';
          break;
        }
        if (every.epochs !== undefined && this.#epoch % every.epochs === 0) await checkpoint();
      }
      this.#seconds = pace.seconds();
      if (status === 'completed' && exhausted()) status = 'stopped-early';
      await checkpoint();
      if (status === 'stopped-early' && earlyStopping?.restoreBest !== false && this.#best !== null) {
        this.model.loadStateDict(this.#best);
      }
      const result = this.#result(status);
      if (out !== undefined && this.#history.length > 0) await this.#writeReport(out, result);
      for (const callback of this.#callbacks) await callback.onEnd?.(result);
      return result;
    } catch (error) {
      for (const callback of this.#callbacks) callback.onError?.(error);
      throw error;
    } finally {
      await lines?.close();
    }
  }

  /** One optimizer step; a promise when it is time to wait for earlier losses. */
  #trainStep(batch: Batch<I>): Promise<void> | undefined {
    const { optimizer } = this;
    const [input, target] = batch;
    const { loss: lossOf, clipGradNorm: maxNorm, scheduler, schedulerEvery } = this.#options;
    const output = this.#forward(input);
    const loss = lossOf(output, target);
    const metrics =
      this.#metrics.length === 0
        ? []
        : noGrad(() => scope(() => this.#metrics.map(([, metric]) => metric(output, target))));
    optimizer.zeroGrad();
    loss.backward();
    if (maxNorm !== undefined) clipGradNorm(this.model.parameters(), maxNorm);
    optimizer.step();
    this.#step++;
    this.#stepInEpoch++;
    if (schedulerEvery === 'step') scheduler?.step();
    return this.#meter.add([loss, ...metrics], weightOf(batch));
  }

  #onValues(loss: number): void {
    this.#losses++;
    if (!Number.isFinite(loss)) this.#badStep ??= { step: this.#losses, loss };
    for (const callback of this.#callbacks) callback.onStep?.({ step: this.#losses, loss });
  }

  async #endEpoch(
    pace: Pace,
    validation: BatchSource<I> | undefined,
    earlyStopping: EarlyStoppingOptions | undefined,
  ): Promise<EpochRecord> {
    const rate = pace.rate();
    const lr = this.optimizer.paramGroups[0]?.lr ?? NaN;
    const train = this.#named(this.#meter.means());
    const test = validation === undefined ? {} : await this.evaluate(validation);
    this.#meter.reset();
    this.#stepInEpoch = 0;
    this.#epoch++;
    this.#seconds = pace.seconds();
    const record: EpochRecord = {
      epoch: this.#epoch,
      step: this.#step,
      lr,
      seconds: this.#seconds,
      samples_per_s: rate,
    };
    for (const [name, value] of Object.entries(train)) record[`train_${name}`] = value;
    for (const [name, value] of Object.entries(test)) record[`test_${name}`] = value;
    this.#history.push(record);

    if (this.#monitor === undefined) {
      this.#monitor = defaultMonitor(record, earlyStopping);
      const { patience, minDelta } = this.#tracker;
      this.#tracker = new BestTracker({ mode: this.#monitor.mode, patience, minDelta });
    }
    const watched = record[this.#monitor.name] ?? NaN;
    if (this.#tracker.update(watched, this.#epoch) && (this.out !== undefined || earlyStopping !== undefined))
      this.#keepBest();
    const { scheduler, schedulerEvery = 'epoch' } = this.#options;
    if (schedulerEvery === 'epoch') scheduler?.step(watched);
    return record;
  }

  #keepBest(): void {
    const state = this.model.stateDict();
    noGrad(() => {
      if (this.#best === null) {
        this.#best = Object.fromEntries(Object.entries(state).map(([name, value]) => [name, value.clone()]));
      } else for (const [name, value] of Object.entries(state)) this.#best[name]?.copy_(value);
    });
  }

  async #saveBest(out: string): Promise<void> {
    if (this.#best === null || this.#monitor === undefined) return;
    const metadata = {
      format: 'pt',
      monitor: this.#monitor.name,
      value: String(this.#tracker.value),
      epoch: String(this.#tracker.epoch),
      config: JSON.stringify(this.#options.config ?? null),
    };
    await saveFile(this.#best, join(out, 'best.safetensors'), metadata);
  }

  /** `metrics.jsonl` with exactly the epochs of the history, open for more. */
  async #openMetrics(out: string): Promise<JsonlWriter> {
    const path = join(out, 'metrics.jsonl');
    await writeAtomic(path, this.#history.map((record) => `${recordLine(record)}\n`).join(''), 'Trainer.fit');
    return JsonlWriter.open(path);
  }

  async #writeReport(out: string, result: FitResult): Promise<void> {
    const { title = basename(out), subtitle } = this.#options.report ?? {};
    const second = typeof subtitle === 'function' ? subtitle(result) : subtitle;
    const svg = await renderReport(this.#history, { title, ...(second === undefined ? {} : { subtitle: second }) });
    await writeAtomic(join(out, 'report.svg'), svg, 'Trainer.fit');
  }

  #parts(loader: BatchSource<I> | undefined) {
    const { scheduler, generator } = this.#options;
    return {
      model: this.model,
      optimizer: this.optimizer,
      ...(scheduler && { scheduler }),
      ...(generator && { generator }),
      ...(loader?.state && { loader }),
    };
  }

  #named(means: readonly number[]): Record<string, number> {
    const names = ['loss', ...this.#metrics.map(([name]) => name)];
    return this.#withDerived(Object.fromEntries(names.map((name, i) => [name, means[i] ?? NaN])));
  }

  #withDerived(means: Record<string, number>): Record<string, number> {
    const derived = Object.entries(this.#options.derived ?? {}).map(([name, of]) => [name, of(means)] as const);
    return { ...means, ...Object.fromEntries(derived) };
  }

  #result(status: FitStatus): FitResult {
    const { value, epoch } = this.#tracker;
    return {
      status,
      epoch: this.#epoch,
      step: this.#step,
      history: [...this.#history],
      last: this.#history.at(-1),
      best: this.#monitor === undefined || value === null ? undefined : { monitor: this.#monitor.name, value, epoch },
      seconds: this.#seconds,
    };
  }
}
