import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { StateDictError, ValueError } from '../../lib/errors.js';
import { Parameter } from '../../lib/nn/parameter.js';
import { ones } from '../../lib/ops/create.js';
import { Adagrad } from '../../lib/optim/adagrad.js';
import { Adam } from '../../lib/optim/adam.js';
import { OneCycleLR } from '../../lib/optim/onecycle.js';
import type { Optimizer } from '../../lib/optim/optimizer.js';
import { ReduceLROnPlateau } from '../../lib/optim/plateau.js';
import type { SchedulerState } from '../../lib/optim/scheduler.js';
import {
  CosineAnnealingLR,
  ExponentialLR,
  LambdaLR,
  LinearLR,
  MultiStepLR,
  NoamLR,
  StepLR,
} from '../../lib/optim/schedulers.js';
import { SGD } from '../../lib/optim/sgd.js';
import { distance } from '../nn/values.js';

const golden = JSON.parse(readFileSync(new URL('../golden/optim.json', import.meta.url), 'utf8')) as {
  metrics: number[];
  curves: Record<string, number[][]>;
};

interface Scheduler {
  step(metric: number): void;
  stateDict(): SchedulerState;
  loadStateDict(state: SchedulerState): void;
}

function twoGroups(adam = false): Optimizer {
  const groups = [
    { params: [new Parameter(ones([1]))], lr: 0.1 },
    { params: [new Parameter(ones([1]))], lr: 0.5 },
  ];
  return adam ? new Adam(groups) : new SGD(groups, { lr: 1, momentum: 0.9 });
}

const plain = (make: (optimizer: Optimizer) => { step(): void } & Omit<Scheduler, 'step'>) =>
  make as (o: Optimizer) => Scheduler;

const makers: Record<string, (optimizer: Optimizer) => Scheduler[]> = {
  StepLR: (o) => [plain((p) => new StepLR(p, { stepSize: 4, gamma: 0.5 }))(o)],
  MultiStepLR: (o) => [plain((p) => new MultiStepLR(p, { milestones: [3, 8, 8, 20], gamma: 0.3 }))(o)],
  ExponentialLR: (o) => [plain((p) => new ExponentialLR(p, { gamma: 0.93 }))(o)],
  CosineAnnealingLR: (o) => [plain((p) => new CosineAnnealingLR(p, { tMax: 12, etaMin: 0.01 }))(o)],
  LinearLR: (o) => [plain((p) => new LinearLR(p))(o)],
  'LinearLR down': (o) => [plain((p) => new LinearLR(p, { startFactor: 1, endFactor: 0.1, totalIters: 10 }))(o)],
  LambdaLR: (o) => [plain((p) => new LambdaLR(p, [(t) => 0.9 ** t, (t) => 1 / (1 + t)]))(o)],
  OneCycleLR: (o) => [plain((p) => new OneCycleLR(p, { maxLr: 0.3, totalSteps: 30 }))(o)],
  'OneCycleLR linear': (o) => [
    plain(
      (p) =>
        new OneCycleLR(p, { maxLr: [0.3, 0.6], epochs: 5, stepsPerEpoch: 6, annealStrategy: 'linear', pctStart: 0.2 }),
    )(o),
  ],
  'OneCycleLR three': (o) => [
    plain(
      (p) => new OneCycleLR(p, { maxLr: 0.3, totalSteps: 30, threePhase: true, divFactor: 10, finalDivFactor: 100 }),
    )(o),
  ],
  ReduceLROnPlateau: (o) => [new ReduceLROnPlateau(o, { factor: 0.5, patience: 2, cooldown: 1 })],
  'ReduceLROnPlateau max': (o) => [
    new ReduceLROnPlateau(o, { mode: 'max', patience: 1, threshold: 0.01, thresholdMode: 'abs', minLr: [0.02, 0.001] }),
  ],
  NoamLR: (o) => [plain((p) => new NoamLR(p, { modelSize: 512, warmupSteps: 10, factor: 2 }))(o)],
  'warm-up and cosine': (o) => [
    plain((p) => new LinearLR(p, { startFactor: 0.2, totalIters: 5 }))(o),
    plain((p) => new CosineAnnealingLR(p, { tMax: 40 }))(o),
  ],
};

/** Rates of the groups and the momentum of the first. */
function row(optimizer: Optimizer): number[] {
  const first = optimizer.paramGroups[0] as unknown as { momentum?: number; betas?: readonly number[] };
  return [...optimizer.paramGroups.map((group) => group.lr), first.betas?.[0] ?? first.momentum!];
}

const isAdam = (name: string): boolean => name === 'OneCycleLR three';
const columns = (name: string): number => (name === 'NoamLR' ? 2 : 3);

describe('schedulers', () => {
  it.each(Object.keys(golden.curves))('%s follows PyTorch', (name) => {
    const optimizer = twoGroups(isAdam(name));
    const schedulers = makers[name]!(optimizer);
    golden.curves[name]!.forEach((expected, i) => {
      if (i > 0) for (const scheduler of schedulers) scheduler.step(golden.metrics[(i - 1) % golden.metrics.length]!);
      expect(distance(row(optimizer).slice(0, columns(name)), expected.slice(0, columns(name)))).toBeLessThan(1e-13);
    });
  });

  it.each(Object.keys(golden.curves))('%s continues from its state, through JSON', (name) => {
    const optimizer = twoGroups(isAdam(name));
    const schedulers = makers[name]!(optimizer);
    const advance = (list: Scheduler[], from: number, to: number): void => {
      for (let i = from; i < to; i++) for (const each of list) each.step(golden.metrics[i % golden.metrics.length]!);
    };
    advance(schedulers, 0, 7);
    const other = twoGroups(isAdam(name));
    const resumed = makers[name]!(other);
    schedulers.forEach((scheduler, i) => {
      resumed[i]!.loadStateDict(JSON.parse(JSON.stringify(scheduler.stateDict())) as SchedulerState);
    });
    expect(row(other)).toEqual(row(optimizer));
    advance(schedulers, 7, 25);
    advance(resumed, 7, 25);
    expect(row(other)).toEqual(row(optimizer));
  });

  it('take in groups that are added later', () => {
    const o = twoGroups();
    const schedulers = [new CosineAnnealingLR(o, { tMax: 4 }), new StepLR(o, { stepSize: 1, gamma: 0.5 })];
    o.addParamGroup({ params: [new Parameter(ones([1]))], lr: 0.8 });
    for (let i = 0; i < 4; i++) for (const scheduler of schedulers) scheduler.step();
    expect(row(o).slice(0, 3).every(Number.isFinite)).toBe(true);
    expect(o.paramGroups[2]!.initialLr).toBe(0.8);
  });

  it('refuse bad options', () => {
    const o = twoGroups();
    expect(() => new StepLR(o, { stepSize: 0 })).toThrow(ValueError);
    expect(() => new StepLR({} as never, { stepSize: 1 })).toThrow('StepLR: expected an optimizer, got an object');
    expect(() => new MultiStepLR(o, { milestones: 3 as never })).toThrow(ValueError);
    expect(() => new ExponentialLR(o, { gamma: NaN })).toThrow(ValueError);
    expect(() => new LambdaLR(o, [() => 1])).toThrow('expected a function or 2');
    expect(() => new LambdaLR(o, () => NaN)).toThrow(ValueError);
    expect(() => new LinearLR(o, { startFactor: 0 })).toThrow(ValueError);
    expect(() => new CosineAnnealingLR(o, { tMax: 0 })).toThrow(ValueError);
    expect(() => new NoamLR(o, { modelSize: 0 })).toThrow(ValueError);
    expect(() => new OneCycleLR(o, { maxLr: 1 })).toThrow('expected totalSteps, or epochs and stepsPerEpoch');
    expect(() => new OneCycleLR(o, { maxLr: [1, 2, 3], totalSteps: 2 })).toThrow('expected maxLr for 2 groups, got 3');
    const without = new Adagrad([new Parameter(ones([1]))]);
    expect(() => new OneCycleLR(without, { maxLr: 1, totalSteps: 2 })).toThrow('pass cycleMomentum: false');
    expect(() => new ReduceLROnPlateau(o, { factor: 1 })).toThrow(ValueError);
    expect(() => new ReduceLROnPlateau(o).step(undefined as never)).toThrow('expected metric to be a number');
  });

  it('refuse too many steps and states that do not fit', () => {
    const o = twoGroups();
    const cycle = new OneCycleLR(o, { maxLr: 1, totalSteps: 2 });
    cycle.step();
    cycle.step();
    expect(() => cycle.step()).toThrow('expected at most 2 steps');
    const step = new StepLR(o, { stepSize: 1 });
    for (const bad of [null, {}, { lastEpoch: -1 }, { lastEpoch: 1, baseLrs: [1], lastLr: [1] }]) {
      expect(() => step.loadStateDict(bad as never)).toThrow(StateDictError);
      expect(() => new ReduceLROnPlateau(o).loadStateDict(bad as never)).toThrow(StateDictError);
    }
  });
});
