import type { TypedArray } from 'myelin';

/**
 * How near a result of float32 must be to what float64 gives. Computed in float64, results are held to 1e-6 of that, and
 * `exact` to equality.
 * - `exact`: the value rounded to the dtype, nothing else; for what copies, compares, chooses, or rounds once
 * - `ulp`: so many units in the last place, for each element
 * - `norm`: ‖error‖ ≤ limit · ‖reference‖
 * - `relative`: |error| ≤ limit · |reference|, for each element
 * - `near`: |error| ≤ limit · max|reference|, for each element
 * - `unit`: |error| ≤ limit · max(1, max|reference|), for each element: terms of the size of 1 that may cancel
 */
export interface Gate {
  kind: 'exact' | 'ulp' | 'norm' | 'relative' | 'near' | 'unit';
  limit: number;
}

export const exact: Gate = { kind: 'exact', limit: 0 };
/** exp, log, tanh and their like. */
export const transcendental: Gate = { kind: 'ulp', limit: 4 };
/** Products of matrices and convolutions. */
export const product: Gate = { kind: 'norm', limit: 1e-6 };
/** Gradients of what has weights. */
export const weightGradient: Gate = { kind: 'norm', limit: 5e-6 };
export const probability: Gate = { kind: 'relative', limit: 1e-5 };
/**
 * Sums; and all that is made of several roundings and sums, and its gradients, for which that of sums is taken: over these
 * samples PyTorch's own float32 is up to 3e-7 off.
 */
export const total: Gate = { kind: 'near', limit: 5e-7 };
/** What is summed or subtracted in the end from terms of the size of 1, such as losses and gradients of softmax. */
export const cancelling: Gate = { kind: 'unit', limit: 5e-7 };
/**
 * Norms: 2e-6 of what has size 1. Gradients are often 0 but for rounding there; where the variance is less than eps PyTorch's
 * own are 9e-5 off.
 */
export const normalised: Gate = { kind: 'unit', limit: 2e-6 };

/** The distance of a float32 from its neighbour away from zero. */
function ulp32(x: number): number {
  return 2 ** Math.max(Math.floor(Math.log2(Math.abs(x))) - 23, -149);
}

/** Smallest difference that float32 can show at all. */
const tiny = 2 ** -149;

/**
 * Compares element by element; null when all is within the gate, else what is worst. `single`: the result is float32.
 * What is beyond the range of float32 is expected as it rounds; NaN equals NaN.
 */
export function compare(actual: TypedArray, expected: TypedArray, gate: Gate, single: boolean): string | null {
  const slack = single ? 1 : 1e-6;
  const least = single ? tiny : 0;
  let scale = 0;
  let reference = 0;
  for (const e of expected) {
    if (!Number.isFinite(e)) continue;
    scale = Math.max(scale, Math.abs(e));
    reference += e * e;
  }
  const limitOf = (e: number): number => {
    switch (gate.kind) {
      case 'exact':
        return 0;
      case 'ulp':
        return gate.limit * ulp32(e);
      case 'norm':
        return Infinity;
      case 'relative':
        return gate.limit * Math.abs(e);
      case 'near':
        return gate.limit * scale;
      case 'unit':
        return gate.limit * Math.max(1, scale);
    }
  };
  let squares = 0;
  let worst = 0;
  let said: string | null = null;
  for (let i = 0; i < actual.length; i++) {
    const a = actual[i]!;
    const e = expected[i]!;
    const rounded = single ? Math.fround(e) : e;
    if (Object.is(a, rounded) || a === rounded) continue;
    const error = Math.abs(a - e);
    squares += error * error;
    const excess = error / (limitOf(e) * slack + (gate.kind === 'exact' ? 0 : least));
    // NaN and infinities that differ give an excess that is not a finite number.
    if (!(excess <= 1) && !(excess <= worst)) {
      worst = Number.isNaN(excess) ? Infinity : excess;
      said = `element ${i} is ${a}, expected ${e}`;
    }
  }
  if (said !== null) return `${said} (${worst.toPrecision(3)} times the ${gate.kind} gate)`;
  if (gate.kind === 'norm') {
    const limit = gate.limit * slack * Math.sqrt(reference) + least;
    if (!(Math.sqrt(squares) <= limit)) {
      return `‖error‖ is ${Math.sqrt(squares).toPrecision(3)}, the norm gate ${limit.toPrecision(3)}`;
    }
  }
  return null;
}
