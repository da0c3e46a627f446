import { checkInteger, checkNumber, show } from '../check.js';
import { ValueError } from '../errors.js';
import { pad, type PadMode } from '../ops/image.js';
import type { Sizes } from '../ops/pool.js';
import type { Tensor } from '../tensor.js';
import { Module } from './module.js';

/**
 * Padding of the last dimensions by {@link pad}: one number for all sides, or those before and after the last dimension, then
 * of the one before it, and so on. Negative numbers cut off.
 */
abstract class Padding extends Module {
  readonly padding: readonly number[];
  readonly value: number;
  readonly #mode: PadMode;

  constructor(dims: number, mode: PadMode, padding: Sizes, value = 0) {
    super();
    const name = this.constructor.name;
    const list: readonly number[] = typeof padding === 'number' ? new Array<number>(2 * dims).fill(padding) : padding;
    if (!Array.isArray(list) || list.length !== 2 * dims) {
      throw new ValueError(`${name}: expected padding to be a number or ${2 * dims} numbers, got ${show(padding)}`);
    }
    this.padding = list.map((p) => checkInteger(name, 'padding', p));
    this.value = checkNumber(name, 'value', value, { finite: false });
    this.#mode = mode;
  }

  forward(x: Tensor): Tensor {
    return pad(x, this.padding, { mode: this.#mode, value: this.value });
  }

  protected override extraRepr(): string {
    return `${show(this.padding)}${this.#mode === 'constant' ? `, value=${this.value}` : ''}`;
  }
}

/** Surrounds (N, C, H, W) with zeros. */
export class ZeroPad2d extends Padding {
  constructor(padding: Sizes) {
    super(2, 'constant', padding);
  }
}

/** Surrounds (N, C, W) with `value`. */
export class ConstantPad1d extends Padding {
  constructor(padding: Sizes, value: number) {
    super(1, 'constant', padding, value);
  }
}

/** Surrounds (N, C, H, W) with `value`. */
export class ConstantPad2d extends Padding {
  constructor(padding: Sizes, value: number) {
    super(2, 'constant', padding, value);
  }
}

/** Surrounds (N, C, D, H, W) with `value`. */
export class ConstantPad3d extends Padding {
  constructor(padding: Sizes, value: number) {
    super(3, 'constant', padding, value);
  }
}

/** Surrounds (N, C, W) with mirrors of what lies inside the edge. */
export class ReflectionPad1d extends Padding {
  constructor(padding: Sizes) {
    super(1, 'reflect', padding);
  }
}

/** Surrounds (N, C, H, W) with mirrors of what lies inside the edge. */
export class ReflectionPad2d extends Padding {
  constructor(padding: Sizes) {
    super(2, 'reflect', padding);
  }
}

/** Surrounds (N, C, D, H, W) with mirrors of what lies inside the edge. */
export class ReflectionPad3d extends Padding {
  constructor(padding: Sizes) {
    super(3, 'reflect', padding);
  }
}

/** Surrounds (N, C, W) with its edge. */
export class ReplicationPad1d extends Padding {
  constructor(padding: Sizes) {
    super(1, 'replicate', padding);
  }
}

/** Surrounds (N, C, H, W) with its edge. */
export class ReplicationPad2d extends Padding {
  constructor(padding: Sizes) {
    super(2, 'replicate', padding);
  }
}

/** Surrounds (N, C, D, H, W) with its edge. */
export class ReplicationPad3d extends Padding {
  constructor(padding: Sizes) {
    super(3, 'replicate', padding);
  }
}

/** Surrounds (N, C, W) with what lies at its other end. */
export class CircularPad1d extends Padding {
  constructor(padding: Sizes) {
    super(1, 'circular', padding);
  }
}

/** Surrounds (N, C, H, W) with what lies at its other end. */
export class CircularPad2d extends Padding {
  constructor(padding: Sizes) {
    super(2, 'circular', padding);
  }
}

/** Surrounds (N, C, D, H, W) with what lies at its other end. */
export class CircularPad3d extends Padding {
  constructor(padding: Sizes) {
    super(3, 'circular', padding);
  }
}
