import { checkInteger } from './check.js';

/** Where a generator stands: everything needed to continue its sequence. */
export interface GeneratorState {
  /** The seed, 0 to 2^53 - 1. */
  readonly seed: number;
  /** How many blocks of four 32-bit words were drawn. */
  readonly offset: number;
}

/**
 * A seeded source of random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011). It is
 * counter-based: a value depends on the seed and its position only, not on threads or instruction set.
 */
export class Generator {
  #seed: number;
  #offset = 0;

  /** @param seed 0 to 2^53 - 1; by default one drawn from the clock. */
  constructor(seed: number = Math.floor(Math.random() * 2 ** 48)) {
    this.#seed = checkInteger('Generator', 'seed', seed, { min: 0 });
  }

  /** Starts the sequence of `seed` from its beginning. */
  manualSeed(seed: number): this {
    this.#seed = checkInteger('manualSeed', 'seed', seed, { min: 0 });
    this.#offset = 0;
    return this;
  }

  /** The present position, to be given to {@link setState} later. */
  getState(): GeneratorState {
    return { seed: this.#seed, offset: this.#offset };
  }

  /** Continues at a position that {@link getState} returned. */
  setState(state: GeneratorState): void {
    const seed = checkInteger('setState', 'seed', state?.seed, { min: 0 });
    const offset = checkInteger('setState', 'offset', state?.offset, { min: 0 });
    this.#seed = seed;
    this.#offset = offset;
  }

  /** Takes `blocks` blocks from the sequence: the parameters that native random ops begin with. @internal */
  take(blocks: number): [seedLow: number, seedHigh: number, offset: number] {
    const offset = this.#offset;
    this.#offset += blocks;
    return [this.#seed % 2 ** 32, Math.floor(this.#seed / 2 ** 32), offset];
  }
}

/** The generator that is used wherever none is given. */
export const defaultGenerator = new Generator();

/** Seeds the {@link defaultGenerator}: weights, shuffles, dropout and random tensors repeat from here. */
export function manualSeed(seed: number): Generator {
  return defaultGenerator.manualSeed(seed);
}
