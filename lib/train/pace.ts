/** Keeps the time of a fit: seconds in all, rows a second, seconds left. */
export class Pace {
  readonly #begun = performance.now();
  readonly #before: number;
  readonly #firstStep: number;
  readonly #steps: number | undefined;
  #epochStart = this.#begun;
  #rows = 0;

  /**
   * @param before seconds of the run before this fit.
   * @param firstStep steps of the run before this fit.
   * @param steps steps of the whole run, if known.
   */
  constructor(before: number, firstStep: number, steps: number | undefined) {
    this.#before = before;
    this.#firstStep = firstStep;
    this.#steps = steps;
  }

  startEpoch(): void {
    this.#epochStart = performance.now();
    this.#rows = 0;
  }

  addRows(rows: number): void {
    this.#rows += rows;
  }

  /** Seconds of the run so far. */
  seconds(): number {
    return this.#before + (performance.now() - this.#begun) / 1e3;
  }

  /** Rows a second in this epoch so far. */
  rate(): number {
    return this.#rows / Math.max((performance.now() - this.#epochStart) / 1e3, 1e-9);
  }

  /** Seconds until the end at this fit's rate so far, all that happens between steps included. */
  secondsLeft(step: number): number | undefined {
    const done = step - this.#firstStep;
    if (this.#steps === undefined || done === 0) return undefined;
    return ((performance.now() - this.#begun) / 1e3 / done) * (this.#steps - step);
  }
}
