import { BOOL, FLOAT32, INT32, isFloat, promote } from '../dtype.js';
import { ValueError } from '../errors.js';
import { checkNumber } from '../check.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import { noGrad, type Rule } from '../autograd/graph.js';
import { Tensor } from '../tensor.js';
import { checkTensor, passNs, record, result } from './apply.js';
import { commonCode, ge, gt, le, logicalAnd, logicalOr, lt, maximum, minimum } from './binary.js';
import { castCode } from './cast.js';
import { fullScalar, where } from './create.js';
import { gradient } from './elementwise.js';
import { sumTo } from './reduce.js';

const CLAMP = opcodeOf('clamp');
const clampBackward = gradient('clamp_backward', 'clamp', null);
const clampRule: Rule = {
  name: 'clamp',
  backward: (dy, node) => [clampBackward(dy, node.saved(0), node.extra as readonly number[])],
};

function clampNumbers(x: Tensor, min: number, max: number): Tensor {
  checkNumber('clamp', 'min', min, { finite: false });
  checkNumber('clamp', 'max', max, { finite: false });
  // A bound with a fraction makes integers floating point; an open one does not.
  const whole = (bound: number): boolean => Number.isInteger(bound) || !Number.isFinite(bound);
  const input = !isFloat(x.code) && !(whole(min) && whole(max)) ? castCode(x, FLOAT32) : x;
  const out = result(input.shape, input.code, input.numel);
  emit(CLAMP, [input], [out], [min, max], passNs(x.numel));
  return record(clampRule, out, [input], [input], [min, max]);
}

/** x has dy where it is inside the bounds, a bound where it took x's place; max wins where min is above it. */
const clampTensorsRule: Rule = {
  name: 'clamp',
  backward: (dy, node) => {
    const x = node.saved(0);
    const { hasMin, hasMax } = node.extra as { hasMin: boolean; hasMax: boolean };
    const min = hasMin ? node.saved(1) : null;
    const max = hasMax ? node.saved(hasMin ? 2 : 1) : null;
    let dx = dy;
    if (min !== null) dx = where(ge(x, min), dx, 0);
    if (max !== null) dx = where(le(x, max), dx, 0);
    const below = min === null || !node.needs(1) ? null : lt(x, min);
    const above = max === null || !node.needs(2) ? null : gt(x, max);
    const lost = min === null || max === null ? null : lt(max, min);
    return [
      node.needs(0) ? sumTo(dx, x.shape) : null,
      below === null
        ? null
        : sumTo(where(lost === null ? below : logicalAnd(below, le(min!, max!)), dy, 0), min!.shape),
      above === null ? null : sumTo(where(lost === null ? above : logicalOr(above, lost), dy, 0), max!.shape),
    ];
  },
};

function clampTensors(x: Tensor, min: Tensor | number | undefined, max: Tensor | number | undefined): Tensor {
  const fn = 'clamp';
  const bounds = [min, max].filter((bound) => bound !== undefined);
  const code = bounds.map((bound) => commonCode(fn, x, bound)).reduce(promote);
  const tensor = (name: string, bound: Tensor | number | undefined): Tensor | null => {
    if (bound === undefined) return null;
    return castCode(typeof bound === 'number' ? fullScalar(bound, code) : checkTensor(fn, name, bound), code);
  };
  const input = castCode(x, code);
  const low = tensor('min', min);
  const high = tensor('max', max);
  const out = noGrad(() => {
    const raised = low === null ? input : maximum(input, low);
    return high === null ? raised : minimum(raised, high);
  });
  const saved = [input, low, high].filter((t) => t !== null);
  return record(clampTensorsRule, out, [input, low, high], saved, { hasMin: low !== null, hasMax: high !== null });
}

/** Limits x (booleans as int32) to [min, max], numbers or tensors that broadcast; a bound left out is open. NaN stays. */
export function clamp(x: Tensor, min?: Tensor | number, max?: Tensor | number): Tensor {
  checkTensor('clamp', 'input', x);
  if (min === undefined && max === undefined) throw new ValueError('clamp: expected min, max or both');
  if (min instanceof Tensor || max instanceof Tensor) return clampTensors(x, min, max);
  return clampNumbers(x.code === BOOL ? castCode(x, INT32) : x, min ?? -Infinity, max ?? Infinity);
}

/** x, and `min` where it is below. */
export const clampMin = (x: Tensor, min: Tensor | number): Tensor => clamp(x, min);

/** x, and `max` where it is above. */
export const clampMax = (x: Tensor, max: Tensor | number): Tensor => clamp(x, undefined, max);
