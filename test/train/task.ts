import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { TensorDataset } from '../../lib/data/dataset.js';
import { DataLoader } from '../../lib/data/loader.js';
import { Dropout } from '../../lib/nn/dropout.js';
import { Linear } from '../../lib/nn/linear.js';
import { Module } from '../../lib/nn/module.js';
import { fromTypedArray } from '../../lib/ops/create.js';
import { crossEntropy } from '../../lib/ops/loss.js';
import { relu } from '../../lib/ops/activation.js';
import { Adam } from '../../lib/optim/adam.js';
import { StepLR } from '../../lib/optim/schedulers.js';
import { Generator, manualSeed } from '../../lib/random.js';
import type { Tensor } from '../../lib/tensor.js';
import { accuracy } from '../../lib/train/metrics.js';
import { Trainer, type TrainerOptions } from '../../lib/train/trainer.js';

/** A directory that goes when the test ends. */
export async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'myelin-train-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** 4-16-3 with dropout, so that training draws random numbers. */
export class Net extends Module {
  readonly hidden = new Linear(4, 16);
  readonly drop = new Dropout(0.2);
  readonly out = new Linear(16, 3);

  forward(x: Tensor): Tensor {
    return this.out.forward(this.drop.forward(relu(this.hidden.forward(x))));
  }
}

/** Three separable clouds in four dimensions: `rows` examples, the same every time. */
export function clouds(rows: number, seed = 1): TensorDataset<[Tensor, Tensor]> {
  let state = seed;
  const next = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const x = new Float32Array(rows * 4);
  const y = new Int32Array(rows);
  for (let i = 0; i < rows; i++) {
    y[i] = i % 3;
    for (let j = 0; j < 4; j++) x[i * 4 + j] = (j === i % 3 ? 1.5 : 0) + next() - 0.5;
  }
  return new TensorDataset<[Tensor, Tensor]>(fromTypedArray(x, [rows, 4]), fromTypedArray(y, [rows]));
}

/** A run with everything that has a state: dropout, Adam, a scheduler, a shuffled loader with a short last batch. */
export function makeRun(options: Partial<TrainerOptions> = {}) {
  manualSeed(7);
  const model = new Net();
  const optimizer = new Adam(model.parameters(), { lr: 0.01 });
  const scheduler = new StepLR(optimizer, { stepSize: 2, gamma: 0.5 });
  const loader = new DataLoader(clouds(130), { batchSize: 20, shuffle: true, generator: new Generator(3) });
  const validation = new DataLoader(clouds(60, 9), { batchSize: 25 });
  const trainer = new Trainer({
    model,
    optimizer,
    scheduler,
    loss: (output, target) => crossEntropy(output, target),
    metrics: { accuracy },
    ...options,
  });
  return { model, optimizer, scheduler, loader, validation, trainer };
}

/** All numbers of a model and of its optimizer, exactly. */
export async function numbersOf(run: ReturnType<typeof makeRun>): Promise<unknown> {
  const model = await Promise.all(
    Object.entries(run.model.stateDict()).map(async ([name, value]) => [name, [...(await value.data())]] as const),
  );
  const state = run.optimizer.stateDict();
  const optimizer = await Promise.all(
    Object.values(state.state).map((entry) =>
      Promise.all(
        Object.entries(entry).map(async ([name, value]) => [
          name,
          typeof value === 'number' ? value : [...(await value.data())],
        ]),
      ),
    ),
  );
  return { model, optimizer, groups: state.paramGroups, scheduler: run.scheduler.stateDict() };
}
