import { checkInteger, checkNumber, show } from '../check.js';
import { StateDictError, ValueError } from '../errors.js';
import { Optimizer } from './optimizer.js';

/** What a scheduler needs to continue: plain numbers that survive JSON. */
export type SchedulerState = Record<string, number | null | readonly number[]>;

/**
 * Base of the schedulers that set every group's learning rate from the number of steps taken. The rate of step 0 is set
 * when a scheduler is made; `step()` is called after the optimizer's, once a batch or once an epoch. Rates are computed
 * from the present ones where PyTorch does so, so that several schedulers may act on one optimizer.
 */
export abstract class LRScheduler {
  readonly optimizer: Optimizer;
  /** Steps taken. */
  lastEpoch = 0;
  /** The rate of each group before any scheduler touched it. */
  protected baseLrs: number[];

  constructor(optimizer: Optimizer) {
    this.optimizer = checkOptimizer(this.constructor.name, optimizer);
    this.baseLrs = optimizer.paramGroups.map((group) => (group.initialLr ??= group.lr));
  }

  /** The rate of each group at `lastEpoch`. */
  protected abstract rates(): number[];

  /** Sets the rates of `lastEpoch`. Subclasses call it at the end of their constructors. */
  protected update(): void {
    const { paramGroups } = this.optimizer;
    // Groups may have been added since.
    for (const group of paramGroups.slice(this.baseLrs.length)) this.baseLrs.push((group.initialLr ??= group.lr));
    const rates = this.rates();
    paramGroups.forEach((group, i) => (group.lr = rates[i] ?? group.lr));
  }

  /** Moves on to the next rates. */
  step(): void {
    this.lastEpoch++;
    this.update();
  }

  /** The rates that the groups have. */
  getLastLr(): number[] {
    return this.optimizer.paramGroups.map((group) => group.lr);
  }

  /** Position and rates; what the constructor was given is not included. */
  stateDict(): SchedulerState {
    return { lastEpoch: this.lastEpoch, baseLrs: [...this.baseLrs], lastLr: this.getLastLr() };
  }

  /** Continues from {@link LRScheduler.stateDict}, and gives every group the rate that it had. */
  loadStateDict(state: SchedulerState): void {
    const name = this.constructor.name;
    const lastEpoch = stateInteger(name, state, 'lastEpoch');
    const baseLrs = stateNumbers(name, state, 'baseLrs', this.optimizer);
    const lastLr = stateNumbers(name, state, 'lastLr', this.optimizer);
    this.lastEpoch = lastEpoch;
    this.baseLrs = [...baseLrs];
    this.optimizer.paramGroups.forEach((group, i) => {
      group.lr = lastLr[i]!;
      group.initialLr = baseLrs[i]!;
    });
  }

  /** Every group's present rate. */
  protected get lrs(): number[] {
    return this.optimizer.paramGroups.map((group) => group.lr);
  }
}

/** Throws unless `optimizer` is one. */
export function checkOptimizer(fn: string, optimizer: unknown): Optimizer {
  if (optimizer instanceof Optimizer) return optimizer as Optimizer;
  throw new ValueError(`${fn}: expected an optimizer, got ${show(optimizer)}`);
}

/** One number for each group of the optimizer. */
export function perGroup(fn: string, name: string, value: number | readonly number[], optimizer: Optimizer): number[] {
  const { length } = optimizer.paramGroups;
  const list = Array.isArray(value) ? (value as readonly number[]) : new Array<number>(length).fill(value as number);
  if (list.length !== length) throw new ValueError(`${fn}: expected ${name} for ${length} groups, got ${list.length}`);
  return list.map((item) => checkNumber(fn, name, item, { min: 0 }));
}

/** A non-negative integer of a scheduler's state. */
export function stateInteger(name: string, state: SchedulerState, key: string): number {
  try {
    return checkInteger(name, key, state?.[key], { min: 0 });
  } catch (error) {
    throw new StateDictError(`${name}.loadStateDict: ${(error as Error).message}`);
  }
}

/** A list of a scheduler's state with a number for each group. */
export function stateNumbers(
  name: string,
  state: SchedulerState,
  key: string,
  optimizer: Optimizer,
): readonly number[] {
  const value = state?.[key];
  const { length } = optimizer.paramGroups;
  if (Array.isArray(value) && value.length === length && value.every((item) => typeof item === 'number')) {
    return value;
  }
  throw new StateDictError(`${name}.loadStateDict: expected ${key} to be ${length} numbers, got ${show(value)}`);
}
