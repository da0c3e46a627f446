import { detached, readValues } from './scalars.js';
import type { Tensor } from '../tensor.js';

/** A meter's position, exact in JSON: sums are doubles taken in the order of the steps. */
export interface MeterState {
  rows: number;
  sums: number[];
}

interface Pending {
  readonly values: readonly Tensor[];
  readonly rows: number;
}

/** Steps whose values may wait together, and the wall time that one group of them should cover. */
const MAX_GROUP = 64;
const GROUP_MS = 8;

/**
 * Means over rows of the scalars that every step gives (loss, then metrics), read from the stream one group of steps behind, so
 * that reading never stalls it. Groups hold about 8 ms of steps; at most two of them are unread. The sums are the same
 * whatever the grouping.
 */
export class Meter {
  readonly #width: number;
  readonly #onValues: ((values: readonly number[], rows: number) => void) | undefined;
  #pending: Pending[] = [];
  #reading: Promise<void> | null = null;
  #group = 1;
  #groupStart = performance.now();
  #rows = 0;
  #sums: number[];

  /**
   * @param width how many scalars a step gives.
   * @param onValues called with every step's scalars, in order, once they are known.
   */
  constructor(width: number, onValues?: (values: readonly number[], rows: number) => void) {
    this.#width = width;
    this.#onValues = onValues;
    this.#sums = new Array<number>(width).fill(0);
  }

  /** Adds a step's scalar tensors, each a mean over `rows` rows. Returns a promise to await when a group is full. */
  add(values: readonly Tensor[], rows: number): Promise<void> | undefined {
    this.#pending.push({ values: detached(values), rows });
    return this.#pending.length >= this.#group ? this.#turn() : undefined;
  }

  /** Reads what is still unread. */
  async flush(): Promise<void> {
    await this.#turn();
    await this.#turn();
  }

  /** Means over the rows so far; call {@link flush} first. NaN when there is none. */
  means(): number[] {
    return this.#sums.map((sum) => sum / this.#rows);
  }

  reset(): void {
    this.#rows = 0;
    this.#sums = new Array<number>(this.#width).fill(0);
  }

  state(): MeterState {
    return { rows: this.#rows, sums: [...this.#sums] };
  }

  loadState(state: MeterState): void {
    this.#rows = state.rows;
    this.#sums = [...state.sums];
  }

  /** Starts reading the present group, then waits for the one before it. */
  async #turn(): Promise<void> {
    const before = this.#reading;
    const group = this.#pending;
    this.#pending = [];
    if (group.length > 0) {
      const now = performance.now();
      const stepMs = (now - this.#groupStart) / group.length;
      this.#groupStart = now;
      this.#group = Math.max(1, Math.min(MAX_GROUP, 2 * this.#group, Math.round(GROUP_MS / Math.max(stepMs, 1e-3))));
      const values = readValues(group.flatMap((entry) => entry.values));
      this.#reading = before === null ? this.#take(group, values) : before.then(() => this.#take(group, values));
      // A failure is thrown where the group is awaited; until then it must not count as unhandled.
      this.#reading.catch(() => undefined);
      values.catch(() => undefined);
    } else this.#reading = null;
    if (before !== null) await before;
  }

  async #take(group: readonly Pending[], read: Promise<ArrayLike<number>>): Promise<void> {
    const all = await read;
    let at = 0;
    for (const { rows } of group) {
      const values: number[] = [];
      for (let i = 0; i < this.#width; i++) {
        const value = all[at++] ?? NaN;
        values.push(value);
        this.#sums[i] = (this.#sums[i] ?? 0) + value * rows;
      }
      this.#rows += rows;
      this.#onValues?.(values, rows);
    }
  }
}
