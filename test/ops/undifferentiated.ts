import type { OpName } from '../../lib/native/ops.generated.js';

const reasons = <Name extends string>(groups: Record<string, readonly Name[]>): Partial<Record<Name, string>> =>
  Object.fromEntries(
    Object.entries(groups).flatMap(([reason, names]) => names.map((name) => [name, reason])),
  ) as Partial<Record<Name, string>>;

/** Why an op of the native core is reached by no gradient case. */
export const undifferentiatedOps: Partial<Record<OpName, string>> = reasons<OpName>({
  'it makes numbers out of nothing': ['uniform', 'normal', 'randint', 'randperm', 'bernoulli'],
  'its result is bool': ['logical_not', 'any', 'all'],
  'its result is an index or a count': ['searchsorted'],
  'it takes integers': ['bitwise_and', 'bitwise_or', 'bitwise_xor'],
  'it updates parameters in place': [
    'sgd_step',
    'adam_step',
    'rmsprop_step',
    'adagrad_step',
    'foreach_norm',
    'foreach_clip',
    'foreach_clamp',
    'index_add',
  ],
});

/** Why a public operation has no gradient case. */
export const undifferentiatedFunctions: Partial<Record<string, string>> = reasons({
  'it makes a tensor out of numbers': [
    'arange',
    'bernoulli',
    'empty',
    'exponential',
    'eye',
    'fromTypedArray',
    'full',
    'linspace',
    'ones',
    'onesLike',
    'rand',
    'randint',
    'randn',
    'randperm',
    'tensor',
    'trilIndices',
    'triuIndices',
    'zeros',
    'zerosLike',
  ],
  'its result is bool': [
    'all',
    'allclose',
    'any',
    'eq',
    'equal',
    'ge',
    'gt',
    'isclose',
    'isfinite',
    'isinf',
    'isnan',
    'le',
    'logicalAnd',
    'logicalNot',
    'logicalOr',
    'logicalXor',
    'lt',
    'ne',
  ],
  'its result is indices or counts': [
    'argmax',
    'argmin',
    'argsort',
    'bincount',
    'bucketize',
    'countNonzero',
    'multinomial',
    'nonzero',
    'oneHot',
    'searchsorted',
    'unique',
  ],
  'it is a setting': ['getWinograd', 'setWinograd'],
  'it takes integers': ['bitwiseAnd', 'bitwiseNot', 'bitwiseOr', 'bitwiseXor'],
});
