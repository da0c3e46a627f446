/**
 * What one epoch of training left behind: one line of `metrics.jsonl`, one point of every curve in the report.
 * `train_*` are means over the epoch's steps, `test_*` come from the evaluation after it.
 */
export interface EpochRecord {
  /** Epochs finished, counted from 1. */
  epoch: number;
  /** Optimizer steps finished since the start of the run. */
  step: number;
  /** Learning rate of the first parameter group during the epoch's last step. */
  lr: number;
  /** Seconds of training and evaluation since the start of the run, resumed parts included. */
  seconds: number;
  /** Training rows a second in this epoch, evaluation not counted. */
  samples_per_s: number;
  /** `train_loss`, `test_loss` and, for each metric, `train_<name>` and `test_<name>`. */
  [curve: `train_${string}` | `test_${string}`]: number;
}

/** A record's figures by name, in their order. */
export const figuresOf = (record: EpochRecord): [name: string, value: number][] =>
  Object.entries(record as unknown as Record<string, number>);

/** The names that records hold for a quantity: `['train_loss', 'test_loss']` for `loss`, if both occur. */
export function curvesOf(records: readonly EpochRecord[], quantity: string): (`train_${string}` | `test_${string}`)[] {
  const names = [`train_${quantity}`, `test_${quantity}`] as const;
  return names.filter((name) => records.some((record) => record[name] !== undefined));
}

/** Every quantity in the records (`loss`, `accuracy`, …) in order of appearance, loss first. */
export function quantitiesOf(records: readonly EpochRecord[]): string[] {
  const found = new Set<string>(['loss']);
  for (const record of records) {
    for (const key of Object.keys(record)) {
      const match = /^(?:train|test)_(.+)$/.exec(key);
      if (match?.[1] !== undefined) found.add(match[1]);
    }
  }
  return [...found];
}

/** One JSON line without its newline; numbers keep at most 7 significant digits, NaN and infinities become null. */
export function recordLine(record: EpochRecord): string {
  return JSON.stringify(record, (_key, value: unknown) =>
    typeof value === 'number' && !Number.isInteger(value) && Number.isFinite(value)
      ? Number(value.toPrecision(7))
      : value,
  );
}
