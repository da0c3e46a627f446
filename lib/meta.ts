import { show } from './check.js';
import { ValueError } from './errors.js';
import { setMeta } from './native/storage.js';

/**
 * Runs `fn` on the `meta` device: every tensor that it makes has a shape and a dtype but no memory, nothing is computed and no
 * random numbers are drawn, while shapes and dtypes are checked as ever. So a model of any size can be built, called and
 * counted. The tensors can be used inside other calls of `meta`; reading them, or computing with them elsewhere, throws
 * {@link ValueError}.
 *
 * @example meta(() => summary(createModel('vgg16'), [1, 3, 224, 224])).totalParameters; // 138,357,544
 */
export function meta<T>(fn: () => T): T {
  if (typeof fn !== 'function') throw new ValueError(`meta: expected a function, got ${show(fn)}`);
  const previous = setMeta(true);
  let result: T;
  try {
    result = fn();
  } finally {
    setMeta(previous);
  }
  if (result instanceof Promise) {
    result.catch(() => undefined);
    throw new ValueError('meta: expected a synchronous function, got one that returns a promise');
  }
  return result;
}
