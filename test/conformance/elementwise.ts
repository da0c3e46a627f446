import type { Arguments } from './arguments.js';
import { cancelling, exact, product, total, transcendental, weightGradient, type Gate } from './gates.js';
import { callFunction, camelCase, one, operation, options, type Operation } from './operation.js';

const unary = (name: string, gate: Gate, grads: Gate = total): Operation =>
  operation('input', (a) => one(camelCase(name), a.tensor('input')), gate, grads);

const binary = (name: string, gate: Gate, grads: Gate = total): Operation =>
  operation('input other', (a) => one(camelCase(name), a.operand('input'), a.operand('other')), gate, grads);

/** input ± alpha · other. */
const scaled = (name: string): Operation =>
  operation(
    'input other alpha',
    (a) => {
      const alpha = a.number('alpha');
      const other = a.operand('other');
      return one(name, a.operand('input'), alpha === undefined ? other : one('mul', other, alpha));
    },
    (a) => (a.given('alpha') ? total : exact),
    total,
  );

const divide = operation(
  'input other rounding_mode',
  (a) => one('div', a.operand('input'), a.operand('other'), options(a, { rounding_mode: 'string' })),
  exact,
);

const valued = (name: string): Operation =>
  operation('input tensor1 tensor2 value', (a) =>
    one(name, a.tensor('input'), a.tensor('tensor1'), a.tensor('tensor2'), options(a, { value: 'number' })),
  );

const multiplyAdd = (name: string, first: string, second: string): Operation =>
  operation(
    `input ${first} ${second} beta alpha`,
    (a) =>
      one(name, a.tensor('input'), a.tensor(first), a.tensor(second), options(a, { beta: 'number', alpha: 'number' })),
    product,
    weightGradient,
  );

const multiply = (name: string, second: string): Operation =>
  operation(`input ${second}`, (a) => one(name, a.tensor('input'), a.tensor(second)), product, weightGradient);

const bound = (a: Arguments, name: string): unknown => (a.given(name) ? optionalOperand(a, name) : undefined);

/** null stays undefined: clamp without that bound. */
function optionalOperand(a: Arguments, name: string): unknown {
  try {
    return a.optionalTensor(name);
  } catch {
    return a.number(name);
  }
}

/** Elementwise maths, comparisons, logic and products. */
export const elementwise: Readonly<Record<string, Operation>> = {
  abs: unary('abs', exact, exact),
  atan: unary('atan', transcendental),
  ceil: unary('ceil', exact, exact),
  cos: unary('cos', transcendental),
  exp: unary('exp', transcendental),
  expm1: unary('expm1', transcendental),
  erf: unary('erf', transcendental),
  floor: unary('floor', exact, exact),
  log: unary('log', transcendental),
  log1p: unary('log1p', transcendental),
  log2: unary('log2', transcendental),
  logical_not: unary('logical_not', exact),
  neg: unary('neg', exact, exact),
  reciprocal: unary('reciprocal', exact),
  rsqrt: unary('rsqrt', transcendental),
  // Where y is near 1, 1 - y in its gradient cancels.
  sigmoid: unary('sigmoid', transcendental, cancelling),
  sign: unary('sign', exact, exact),
  sin: unary('sin', transcendental),
  sqrt: unary('sqrt', exact),
  square: unary('square', exact),
  tanh: unary('tanh', transcendental),
  round: operation(
    'input decimals',
    (a) => one('round', a.tensor('input'), options(a, { decimals: 'number' })),
    (a) => (a.given('decimals') ? total : exact),
    exact,
  ),

  add: scaled('add'),
  sub: scaled('sub'),
  mul: binary('mul', exact),
  div: divide,
  true_divide: divide,
  fmod: binary('fmod', exact),
  remainder: binary('remainder', exact),
  pow: binary('pow', transcendental),
  maximum: binary('maximum', exact, total),
  minimum: binary('minimum', exact, total),
  eq: binary('eq', exact),
  ne: binary('ne', exact),
  lt: binary('lt', exact),
  le: binary('le', exact),
  gt: binary('gt', exact),
  ge: binary('ge', exact),
  logical_and: binary('logical_and', exact),
  logical_or: binary('logical_or', exact),
  lerp: operation('input end weight', (a) => one('lerp', a.tensor('input'), a.tensor('end'), a.operand('weight'))),
  addcmul: valued('addcmul'),
  addcdiv: valued('addcdiv'),
  clamp: operation(
    'input min max',
    (a) => one('clamp', a.tensor('input'), bound(a, 'min'), bound(a, 'max')),
    exact,
    total,
  ),
  masked_fill: operation(
    'input mask value',
    (a) => one('maskedFill', a.tensor('input'), a.tensor('mask'), a.operand('value')),
    exact,
    total,
  ),
  // torch.where(condition, input, other): the sample's input is what the condition chooses.
  where: operation(
    'input condition other',
    (a) => callFunction('where', a.tensor('condition'), a.tensor('input'), a.operand('other')),
    exact,
    total,
  ),

  matmul: multiply('matmul', 'other'),
  mm: multiply('mm', 'mat2'),
  bmm: multiply('bmm', 'mat2'),
  mv: multiply('mv', 'vec'),
  dot: multiply('dot', 'other'),
  outer: operation('input vec2', (a) => one('outer', a.tensor('input'), a.tensor('vec2')), exact, weightGradient),
  addmm: multiplyAdd('addmm', 'mat1', 'mat2'),
  baddbmm: multiplyAdd('baddbmm', 'batch1', 'batch2'),
};
