import { ShapeError } from '../errors.js';
import { checkInteger, checkNumber } from '../check.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import { isGradEnabled, type Rule } from '../autograd/graph.js';
import { formatShape, numelOf } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, passNs, record, recording, result } from './apply.js';
import { add, mul, pow, sub } from './binary.js';
import { contiguous } from './cast.js';
import { pad } from './image.js';
import { avgPool2d } from './pool.js';
import { square } from './unary.js';
import { reshape } from './views.js';

const LOCAL = opcodeOf('local_response_norm');
const LOCAL_BACKWARD = opcodeOf('local_response_norm_backward');

/** Options of {@link localResponseNorm}. */
export interface LocalResponseNormOptions {
  /** Default 1e-4. */
  alpha?: number;
  /** Default 0.75. */
  beta?: number;
  /** Default 1. */
  k?: number;
}

type Params = readonly [size: number, alpha: number, beta: number, k: number];

/** The mean over windows of `size` channels, `before` of them ahead; channels that are not there count as 0. */
function windowMean(x: Tensor, size: number, before: number): Tensor {
  const [batch, channels] = x.shape as [number, number];
  const planes = reshape(x, [batch, 1, channels, numelOf(x.shape.slice(2))]);
  const padded = pad(planes, [0, 0, before, size - 1 - before]);
  return reshape(avgPool2d(padded, [size, 1], { stride: 1 }), x.shape);
}

const localRule: Rule = {
  name: 'localResponseNorm',
  backward: (dy, node) => {
    const params = node.extra as Params;
    const x = node.saved(0);
    if (!isGradEnabled()) {
      const dx = result(x.shape, x.code, x.numel);
      emit(LOCAL_BACKWARD, [contiguous(dy), x], [dx], params, passNs(20 * x.numel));
      return [dx];
    }
    const [size, alpha, beta, k] = params;
    const before = Math.floor(size / 2);
    const d = add(mul(windowMean(square(x), size, before), alpha), k);
    const spread = windowMean(mul(mul(dy, x), pow(d, -beta - 1)), size, size - 1 - before);
    return [sub(mul(dy, pow(d, -beta)), mul(mul(x, spread), 2 * alpha * beta))];
  },
};

/**
 * Local response normalisation (Krizhevsky, Sutskever and Hinton, 2012) of x (N, C, …): x / (k + alpha · mean of x² over `size`
 * channels around)^beta; channels that are not there count as 0.
 */
export function localResponseNorm(
  x: Tensor,
  size: number,
  { alpha = 1e-4, beta = 0.75, k = 1 }: LocalResponseNormOptions = {},
): Tensor {
  const fn = 'localResponseNorm';
  checkFloat(fn, 'input', x);
  checkInteger(fn, 'size', size, { min: 1, max: 2 ** 31 - 1 });
  checkNumber(fn, 'alpha', alpha);
  checkNumber(fn, 'beta', beta);
  checkNumber(fn, 'k', k);
  if (x.ndim < 3) {
    throw new ShapeError(`${fn}: expected input of at least 3 dimensions [N, C, ...], got ${formatShape(x.shape)}`);
  }
  const input = contiguous(x);
  const out = result(x.shape, x.code, x.numel);
  const params: Params = [size, alpha, beta, k];
  emit(LOCAL, [input], [out], params, passNs(10 * x.numel));
  return record(localRule, out, [x], recording([x]) ? [input] : [], params);
}
