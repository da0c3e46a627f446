import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { noGrad } from '../../lib/autograd/graph.js';
import { Rows } from '../../lib/data/rows.js';
import { readJsonl } from '../../lib/io/jsonl.js';
import { loadFile } from '../../lib/io/safetensors.js';
import { evaluate } from '../../lib/train/evaluate.js';
import { accuracy } from '../../lib/train/metrics.js';
import { crossEntropy } from '../../lib/ops/loss.js';
import { Linear } from '../../lib/nn/linear.js';
import { Module } from '../../lib/nn/module.js';
import { full, ones, tensor, zeros } from '../../lib/ops/create.js';
import { SGD } from '../../lib/optim/sgd.js';
import { manualSeed } from '../../lib/random.js';
import type { Tensor } from '../../lib/tensor.js';
import { sequenceAccuracy, tokenAccuracy } from '../../lib/train/metrics.js';
import type { EpochRecord } from '../../lib/train/record.js';
import { Trainer } from '../../lib/train/trainer.js';
import type { Batch } from '../../lib/train/types.js';
import { makeRun, numbersOf, temporaryDirectory } from './task.js';

const withoutTime = (records: readonly EpochRecord[]): unknown =>
  records.map(({ seconds: _seconds, samples_per_s: _rate, ...rest }) => rest);

describe('Trainer', () => {
  it('learns, records every epoch and writes its files', async () => {
    const out = join(await temporaryDirectory(), 'deep', 'run');
    const run = makeRun({ out, report: { title: 'clouds', subtitle: (result) => `${result.step} steps` } });
    const result = await run.trainer.fit(run.loader, { epochs: 12, validation: run.validation });
    expect(result.status).toBe('completed');
    expect(result.epoch).toBe(12);
    expect(result.step).toBe(12 * 7);
    expect(result.last?.test_accuracy).toBeGreaterThan(0.9);
    expect(result.history[0]?.train_loss).toBeGreaterThan(result.last?.train_loss ?? Infinity);
    expect(result.history.map((r) => r.lr)).toEqual([
      0.01,
      0.01,
      5e-3,
      5e-3,
      2.5e-3,
      2.5e-3,
      ...result.history.slice(6).map((r) => r.lr),
    ]);
    expect((await readdir(out)).sort()).toEqual([
      'best.safetensors',
      'checkpoint.safetensors',
      'metrics.jsonl',
      'report.svg',
    ]);
    const lines = (await readJsonl(join(out, 'metrics.jsonl'))) as EpochRecord[];
    expect(lines).toHaveLength(12);
    expect(Object.keys(lines[3] ?? {})).toEqual([
      'epoch',
      'step',
      'lr',
      'seconds',
      'samples_per_s',
      'train_loss',
      'train_accuracy',
      'test_loss',
      'test_accuracy',
    ]);
    const svg = await readFile(join(out, 'report.svg'), 'utf8');
    expect(svg).toContain('84 steps');
    expect((await loadFile(join(out, 'best.safetensors'))).size).toBe(4);
    expect(run.model.training).toBe(false);
  });

  it('gives the numbers of a loop written by hand', async () => {
    const a = makeRun();
    await a.trainer.fit(a.loader, { epochs: 3 });

    const b = makeRun();
    b.model.train();
    const means: number[] = [];
    for (let epoch = 0; epoch < 3; epoch++) {
      let sum = 0;
      for (const [x, y] of b.loader) {
        const loss = crossEntropy(b.model.forward(x), y);
        b.optimizer.zeroGrad();
        loss.backward();
        b.optimizer.step();
        sum += (await loss.item()) * (x.shape[0] ?? 0);
      }
      means.push(sum / 130);
      b.scheduler.step();
    }
    expect(await numbersOf(a)).toEqual(await numbersOf(b));
    expect(a.trainer.history.map((record) => record.train_loss)).toEqual(means);
  });

  it('evaluates like a pass over the whole set and leaves the mode alone', async () => {
    const run = makeRun();
    run.model.train();
    const scores = await run.trainer.evaluate(run.validation);
    expect(run.model.training).toBe(true);
    run.model.eval();
    const [x, y] = run.validation.dataset.getBatch(Rows.range(0, 60));
    const output = noGrad(() => run.model.forward(x));
    expect(scores.loss).toBeCloseTo(await crossEntropy(output, y).item(), 5);
    expect(scores.accuracy).toBeCloseTo(await accuracy(output, y).item(), 6);
    const again = await evaluate(run.model, run.validation, { accuracy });
    expect(again).toEqual({ rows: 60, scores: { accuracy: scores.accuracy } });
  });

  it('stops after a number of steps amid an epoch, and goes on from there', async () => {
    const out = await temporaryDirectory();
    const whole = makeRun();
    await whole.trainer.fit(whole.loader, { steps: 25, validation: whole.validation });

    const first = makeRun({ out });
    const partial = await first.trainer.fit(first.loader, { steps: 10, validation: first.validation });
    expect([partial.epoch, partial.step]).toEqual([2, 10]);
    const second = makeRun({ out });
    const result = await second.trainer.fit(second.loader, { steps: 25, validation: second.validation, resume: true });
    expect(await numbersOf(second)).toEqual(await numbersOf(whole));
    expect(withoutTime(result.history)).toEqual(withoutTime(whole.trainer.history));
    expect(await readJsonl(join(out, 'metrics.jsonl'))).toHaveLength(result.history.length);
  });

  it('calls back in order, every step with its loss', async () => {
    const calls: string[] = [];
    const losses: number[] = [];
    const run = makeRun({
      callbacks: [
        {
          onStart: () => void calls.push('start'),
          onStep: ({ step, loss }) => {
            losses.push(loss);
            expect(step).toBe(losses.length);
          },
          onEpochEnd: (record) => {
            calls.push(`epoch ${record.epoch}`);
            return Promise.resolve();
          },
          onEnd: (result) => void calls.push(result.status),
        },
      ],
    });
    await run.trainer.fit(run.loader, { epochs: 2 });
    expect(calls).toEqual(['start', 'epoch 1', 'epoch 2', 'completed']);
    expect(losses).toHaveLength(14);
  });

  it('ends when a callback says so', async () => {
    const run = makeRun({
      callbacks: [
        {
          onEpochEnd: (record) => {
            if (record.epoch === 2) run.trainer.stop();
          },
        },
      ],
    });
    expect((await run.trainer.fit(run.loader, { epochs: 50 })).epoch).toBe(2);
    expect((await run.trainer.fit(run.loader, { epochs: 3 })).epoch).toBe(3);
  });

  it('stops early and brings the best epoch back', async () => {
    const run = makeRun();
    for (const group of run.optimizer.paramGroups) group.lr = 0;
    const result = await run.trainer.fit(run.loader, {
      epochs: 40,
      validation: run.validation,
      earlyStopping: { monitor: 'test_loss', patience: 3 },
    });
    expect(result.status).toBe('stopped-early');
    expect(result.epoch).toBe(4);
    expect(result.best).toMatchObject({ monitor: 'test_loss', epoch: 1 });
    const scores = await run.trainer.evaluate(run.validation);
    expect(scores.loss).toBe(result.best?.value);
  });

  it('restores the parameters of the best epoch, not of the last', async () => {
    const run = makeRun({
      callbacks: [
        {
          onEpochEnd: (record) => {
            // From the third epoch on it unlearns.
            if (record.epoch === 3) for (const group of run.optimizer.paramGroups) group.lr = 3;
          },
        },
      ],
    });
    const { loader, validation } = run;
    const result = await run.trainer.fit(loader, {
      epochs: 60,
      validation,
      earlyStopping: { monitor: 'test_loss', patience: 4 },
    });
    expect(result.status).toBe('stopped-early');
    expect((await run.trainer.evaluate(validation)).loss).toBe(result.best?.value);
  });

  it('fails readably when the loss is not finite, and keeps the last good checkpoint', async () => {
    const run = makeRun({ loss: (output, target) => crossEntropy(output.mul(NaN), target) });
    await expect(run.trainer.fit(run.loader, { epochs: 1 })).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_NON_FINITE', message: expect.stringContaining('got NaN at step 1;') }),
    );
    const ignoring = makeRun({ loss: (output, target) => crossEntropy(output.mul(NaN), target) });
    const result = await ignoring.trainer.fit(ignoring.loader, { epochs: 1, nonFinite: 'ignore' });
    expect(result.last?.train_loss).toBeNaN();
  });

  it('lets the event loop turn while it trains', async () => {
    const run = makeRun();
    let turns = 0;
    const timer = setInterval(() => {
      if (++turns === 3) run.trainer.stop();
    }, 1);
    const result = await run.trainer.fit(run.loader, { epochs: 20_000 });
    clearInterval(timer);
    expect(result.epoch).toBeLessThan(20_000);
  });

  it('refuses wrong arguments where the call stands', async () => {
    const run = makeRun();
    const { trainer, loader } = run;
    const code = { code: 'ERR_VALUE' };
    await expect(trainer.fit(loader, {})).rejects.toMatchObject(code);
    await expect(trainer.fit(loader, { epochs: 0 })).rejects.toMatchObject(code);
    await expect(trainer.fit(loader, { epochs: NaN })).rejects.toMatchObject(code);
    await expect(trainer.fit(5 as never, { epochs: 1 })).rejects.toMatchObject(code);
    await expect(trainer.fit([], { epochs: 1 })).rejects.toThrow('at least one batch');
    await expect(trainer.fit([[1, 2, 3]] as never, { epochs: 1 })).rejects.toThrow('[input, target]');
    await expect(trainer.fit(loader, { epochs: 1, earlyStopping: { monitor: 'test_f2' } })).rejects.toThrow('monitor');
    await expect(trainer.fit(loader, { epochs: 1, resume: true })).rejects.toThrow('expected out');
    expect(() => makeRun({ loss: 3 as never })).toThrow('loss');
    expect(() => makeRun({ metrics: { loss: accuracy } })).toThrow('metrics');
    const both = [trainer.fit(loader, { epochs: 1 }), trainer.fit(loader, { epochs: 1 })];
    await expect(both[1]).rejects.toThrow('no other fit');
    await both[0];
  });

  it('says which directory it could not write', async () => {
    const file = join(await temporaryDirectory(), 'file');
    await writeFile(file, '');
    const run = makeRun({ out: join(file, 'run') });
    await expect(run.trainer.fit(run.loader, { epochs: 1 })).rejects.toMatchObject({
      code: 'ERR_IO',
      path: join(file, 'run'),
    });
  });

  it('calls the model as it is told, weights batches, and derives figures', async () => {
    manualSeed(1);
    const model = new Pairwise();
    const batches: Batch<{ a: Tensor; b: Tensor }>[] = [3, 1].map((rows) => [
      { a: ones([rows, 2]), b: full([rows, 2], rows) },
      zeros([rows]),
      rows === 3 ? 1 : 9,
    ]);
    const seen: number[] = [];
    const trainer = new Trainer({
      model,
      optimizer: new SGD(model.parameters(), { lr: 1e-9 }),
      forward: ({ a, b }: { a: Tensor; b: Tensor }) => model.forward(a, b),
      loss: ([output], target) => output.sub(target).square().mean(),
      metrics: { shift: ([, shift]) => shift.mean() },
      derived: { doubled: ({ loss, shift }) => 2 * loss! + shift! },
      callbacks: [{ onStep: ({ loss }) => void seen.push(loss) }],
    });
    const { last } = await trainer.fit(batches, { epochs: 1, validation: batches });
    const mean = 0.1 * seen[0]! + 0.9 * seen[1]!;
    expect(last!.train_loss).toBeCloseTo(mean, 6);
    expect(last!.test_loss).toBeCloseTo(mean, 5);
    expect(last!.train_shift).toBeCloseTo(0.1 * 3 + 0.9 * 1, 6);
    expect(last!['train_doubled']).toBe(2 * last!.train_loss! + last!.train_shift!);
    expect(last!['test_doubled']).toBeCloseTo(2 * mean + 1.2, 5);
    await expect(trainer.fit([[{}, zeros([1]), -1]] as never, { epochs: 2 })).rejects.toThrow(
      '[input, target, weight]',
    );
  });
});

describe('metrics of sequences', () => {
  it('count right tokens and wholly right sequences, without padding', async () => {
    // Likeliest tokens: [[1, 0, 1], [0, 1, 1]].
    const output = tensor([
      [
        [0, 1],
        [1, 0],
        [0, 1],
      ],
      [
        [1, 0],
        [0, 1],
        [0, 1],
      ],
    ]);
    const target = tensor(
      [
        [1, 0, -100],
        [0, 0, 1],
      ],
      { dtype: 'int32' },
    );
    expect(await tokenAccuracy(output, target).item()).toBeCloseTo(4 / 5, 6);
    expect(await sequenceAccuracy(output, target).item()).toBe(0.5);
    const nothing = full([2, 3], -100, { dtype: 'int32' });
    expect(await tokenAccuracy(output, nothing).item()).toBe(0);
    expect(await sequenceAccuracy(output, nothing).item()).toBe(1);
    expect(() => sequenceAccuracy(output, zeros([2, 2], { dtype: 'int32' }))).toThrow(
      'sequenceAccuracy: expected output of shape [N, T, V] and target of shape [N, T], got [2, 3, 2] and [2, 2]',
    );
  });
});

/** Takes two tensors and gives two. */
class Pairwise extends Module {
  readonly linear = new Linear(2, 1);

  forward(a: Tensor, b: Tensor): [output: Tensor, shift: Tensor] {
    return [this.linear.forward(a.add(b)).flatten(), b];
  }
}
