import { checkDType, FLOAT32, FLOAT64, INT32, isFloat, BOOL } from '../dtype.js';
import { DTypeError, ShapeError, ValueError } from '../errors.js';
import { checkBoolean, checkInteger, checkNumber, checkShape, show } from '../check.js';
import { isMeta } from '../native/storage.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import type { Rule } from '../autograd/graph.js';
import { defaultGenerator, Generator } from '../random.js';
import { formatShape, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, passNs, record, result } from './apply.js';
import { div, lt, mul, sub } from './binary.js';
import { castCode } from './cast.js';
import { clamp } from './clamp.js';
import { where, zerosLike, type TensorOptions } from './create.js';
import { cumsum } from './scan.js';
import { searchsorted, topk } from './sort.js';
import { log, neg } from './unary.js';

const UNIFORM = opcodeOf('uniform');
const NORMAL = opcodeOf('normal');
const RANDINT = opcodeOf('randint');
const RANDPERM = opcodeOf('randperm');
const BERNOULLI = opcodeOf('bernoulli');
const DROPOUT = opcodeOf('dropout');

/** Options of random tensors. */
export interface RandomOptions extends TensorOptions {
  /** Where the numbers come from; the default generator when left out. */
  generator?: Generator | undefined;
}

/** Blocks that `n` elements take: float64 uses two words an element, everything else one. */
const blocks = (n: number, code: number): number => Math.ceil(n / (code === FLOAT64 ? 2 : 4));

/** The seed and offset for n elements, taken from the generator. */
export function draw(fn: string, generator: Generator | undefined, n: number, code: number): number[] {
  if (generator !== undefined && !(generator instanceof Generator)) {
    throw new ValueError(`${fn}: expected generator to be a Generator, got ${show(generator)}`);
  }
  if (isMeta()) return [0, 0, 0];
  return (generator ?? defaultGenerator).take(blocks(n, code));
}

function random(fn: string, op: number, shape: Shape, options: RandomOptions, a: number, b: number): Tensor {
  checkShape(fn, shape);
  const code = options.dtype === undefined ? FLOAT32 : checkDType(fn, options.dtype);
  if (!isFloat(code)) throw new DTypeError(`${fn}: expected dtype float32 or float64, got ${options.dtype!}`);
  const out = result([...shape], code);
  emit(op, [], [out], [...draw(fn, options.generator, out.numel, code), a, b], passNs(8 * out.numel));
  if (options.requiresGrad === true) out.requiresGrad = true;
  return out;
}

/** Uniform on [0, 1). float32 unless given. */
export const rand = (shape: Shape, options: RandomOptions = {}): Tensor =>
  random('rand', UNIFORM, shape, options, 0, 1);

/** Standard normal. float32 unless given. */
export const randn = (shape: Shape, options: RandomOptions = {}): Tensor =>
  random('randn', NORMAL, shape, options, 0, 1);

/** Integers from `low` to `high` − 1, each as likely. int32. */
export function randint(
  low: number,
  high: number,
  shape: Shape,
  { generator }: { generator?: Generator } = {},
): Tensor {
  const fn = 'randint';
  checkInteger(fn, 'low', low, { min: -(2 ** 31), max: 2 ** 31 - 1 });
  checkInteger(fn, 'high', high, { min: low + 1, max: 2 ** 31 });
  checkShape(fn, shape);
  const out = result([...shape], INT32);
  emit(RANDINT, [], [out], [...draw(fn, generator, out.numel, INT32), low, high], passNs(4 * out.numel));
  return out;
}

/** A random order of 0 … n − 1. int32. */
export function randperm(n: number, { generator }: { generator?: Generator | undefined } = {}): Tensor {
  checkInteger('randperm', 'n', n, { min: 0, max: 2 ** 31 - 1 });
  const out = result([n], INT32);
  emit(RANDPERM, [], [out], draw('randperm', generator, n, INT32), passNs(20 * n));
  return out;
}

/** Where random numbers come from. */
export interface FromGenerator {
  /** The default generator when left out. */
  generator?: Generator | undefined;
}

/**
 * true with probability `p`, of the given shape; bool. A tensor of probabilities gives a tensor of its shape and dtype, 1 with
 * the probability that stands there; the second argument is then the options.
 */
export function bernoulli(p: number, shape: Shape, options?: FromGenerator): Tensor;
export function bernoulli(p: Tensor, options?: FromGenerator): Tensor;
export function bernoulli(p: number | Tensor, shape?: Shape | FromGenerator, options: FromGenerator = {}): Tensor {
  const fn = 'bernoulli';
  if (typeof p !== 'number') {
    const { dtype, shape: own, code } = checkFloat(fn, 'p', p);
    const { generator } = (shape ?? {}) as FromGenerator;
    return castCode(lt(rand(own, { dtype, generator }), p.detach()), code);
  }
  const { generator } = options;
  checkNumber(fn, 'p', p, { min: 0, max: 1 });
  const out = result([...checkShape(fn, shape)], BOOL);
  emit(BERNOULLI, [], [out], [...draw(fn, generator, out.numel, BOOL), p], passNs(4 * out.numel));
  return out;
}

/** Options of {@link multinomial}. */
export interface MultinomialOptions extends FromGenerator {
  /** Whether a class may come more than once; default false. */
  replacement?: boolean;
}

/**
 * `count` int32 classes drawn from each line of weights (C) or (N, C), which need not add up to 1 and of which each must have
 * enough that are not 0.
 */
export function multinomial(
  weights: Tensor,
  count: number,
  { replacement = false, generator }: MultinomialOptions = {},
): Tensor {
  const fn = 'multinomial';
  const { ndim, shape, dtype } = checkFloat(fn, 'weights', weights);
  if (ndim !== 1 && ndim !== 2) {
    throw new ShapeError(`${fn}: expected weights of shape [C] or [N, C], got ${formatShape(shape)}`);
  }
  const classes = shape[ndim - 1]!;
  if (classes === 0)
    throw new ShapeError(`${fn}: expected at least one class, got weights of shape ${formatShape(shape)}`);
  checkInteger(fn, 'count', count, replacement ? { min: 1 } : { min: 1, max: classes });
  checkBoolean(fn, 'replacement', replacement);
  const plain = weights.detach();
  if (replacement) {
    const sums = cumsum(plain, -1);
    const places = mul(rand([...shape.slice(0, -1), count], { dtype, generator }), sums.narrow(-1, classes - 1, 1));
    // A product rounded up to the last sum must not fall past the last class.
    return clamp(searchsorted(sums, places, { right: true }), 0, classes - 1);
  }
  // The first of exponential waiting times, at rates of the weights.
  return topk(div(plain, exponential(shape, { dtype, generator })), count).indices;
}

/** Waiting times at a rate: density rate · e^(−rate x), above 0. float32 unless given. */
export function exponential(shape: Shape, options: RandomOptions & { rate?: number } = {}): Tensor {
  const { rate = 1, ...rest } = options;
  checkNumber('exponential', 'rate', rate, { min: Number.MIN_VALUE });
  // 1 − u lies in (0, 1]; u = 0 would wait no time at all and is moved up by the smallest step.
  const u = rand(shape, { ...rest, requiresGrad: false });
  const tiny = u.dtype === 'float64' ? 2 ** -54 : 2 ** -25;
  const out = div(neg(log(sub(1, clamp(u, tiny)))), rate);
  if (rest.requiresGrad === true) out.requiresGrad = true;
  return out;
}

/** Fills x in place. @internal */
export function fillRandom(
  fn: string,
  kind: 'uniform' | 'normal',
  x: Tensor,
  a: number,
  b: number,
  generator?: Generator,
): void {
  if (!isFloat(x.code)) throw new DTypeError(`${fn}: expected float32 or float64, got ${x.dtype}`);
  const seed = draw(fn, generator, x.numel, x.code);
  emit(kind === 'uniform' ? UNIFORM : NORMAL, [], [x], [...seed, a, b], passNs(8 * x.numel));
}

const dropoutRule: Rule = {
  name: 'dropout',
  backward: (dy, node) => [where(node.saved(0), mul(dy, node.extra as number), 0)],
};

/** Options of {@link dropout}. */
export interface DropoutOptions {
  /** Probability of an element to become 0; default 0.5. */
  p?: number;
  /** false returns x as it is. Default true. */
  training?: boolean;
  generator?: Generator | undefined;
}

/** Sets elements to 0 with probability p and scales the rest by 1/(1 − p) (Srivastava et al., 2014). */
export function dropout(x: Tensor, { p = 0.5, training = true, generator }: DropoutOptions = {}): Tensor {
  const fn = 'dropout';
  checkFloat(fn, 'input', x);
  checkNumber(fn, 'p', p, { min: 0, max: 1 });
  checkBoolean(fn, 'training', training);
  if (!training || p === 0) return x;
  return p === 1 ? mul(x, zerosLike(x)) : dropWith(x, [...drawDropout(fn, generator, x.numel), p]);
}

/** The seed of dropout of n elements, of one word each in either dtype. @internal */
export const drawDropout = (fn: string, generator: Generator | undefined, n: number): number[] =>
  draw(fn, generator, n, FLOAT32);

/** {@link dropout} with parameters drawn before: the seed, then p < 1. @internal */
export function dropWith(x: Tensor, parameters: readonly number[]): Tensor {
  const out = result(x.shape, x.code, x.numel);
  const mask = result(x.shape, BOOL, x.numel);
  emit(DROPOUT, [x], [out, mask], parameters, passNs(4 * x.numel));
  return record(dropoutRule, out, [x], [mask], 1 / (1 - parameters[3]!));
}
