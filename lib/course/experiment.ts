import type { TopLevelSpec } from 'vega-lite';
import type { Generator } from '../random.js';

/** What an experiment is given. */
export interface Setting {
  /** Whether to do all that the published experiment does, instead of what shows the same in seconds to a minute or two. */
  readonly full: boolean;
  /** A fresh generator of the experiment's seed, or of another stream of it. */
  generator(stream?: number): Generator;
  /** Directory of local data files; data sets are downloaded without it. */
  readonly dataDir?: string | undefined;
  /** One line about how it is going. */
  say(line: string): void;
  /** Throws when the run is to end. */
  check(): void;
}

/** What an experiment finds. */
export interface Finding {
  /** Plain JSON: what was computed, and what theory or a publication says. */
  readonly figures: Readonly<Record<string, unknown>>;
  readonly picture: TopLevelSpec;
}

/** One experiment of the course. */
export interface Experiment {
  /** One line for the list. */
  readonly title: string;
  run(setting: Setting): Promise<Finding>;
}
