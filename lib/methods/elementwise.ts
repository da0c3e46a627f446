import * as binary from '../ops/binary.js';
import { hardshrink, prelu, relu } from '../ops/activation.js';
import * as cast from '../ops/cast.js';
import { clamp, clampMax, clampMin } from '../ops/clamp.js';
import { where } from '../ops/create.js';
import * as logic from '../ops/logic.js';
import { addcdiv, addcmul, lerp, type ValueOptions } from '../ops/ternary.js';
import * as unary from '../ops/unary.js';
import type { Tensor } from '../tensor.js';

type Operand = binary.Operand;

/** Elementwise operations as methods: each is the function of the same name with the tensor as its first argument. */
export abstract class ElementwiseMethods {
  add(this: Tensor, other: Operand, options?: binary.AlphaOptions): Tensor {
    return binary.add(this, other, options);
  }
  sub(this: Tensor, other: Operand, options?: binary.AlphaOptions): Tensor {
    return binary.sub(this, other, options);
  }
  mul(this: Tensor, other: Operand): Tensor {
    return binary.mul(this, other);
  }
  div(this: Tensor, other: Operand, options?: binary.DivOptions): Tensor {
    return binary.div(this, other, options);
  }
  pow(this: Tensor, other: Operand): Tensor {
    return binary.pow(this, other);
  }
  maximum(this: Tensor, other: Operand): Tensor {
    return binary.maximum(this, other);
  }
  minimum(this: Tensor, other: Operand): Tensor {
    return binary.minimum(this, other);
  }
  eq(this: Tensor, other: Operand): Tensor {
    return binary.eq(this, other);
  }
  ne(this: Tensor, other: Operand): Tensor {
    return binary.ne(this, other);
  }
  lt(this: Tensor, other: Operand): Tensor {
    return binary.lt(this, other);
  }
  le(this: Tensor, other: Operand): Tensor {
    return binary.le(this, other);
  }
  gt(this: Tensor, other: Operand): Tensor {
    return binary.gt(this, other);
  }
  ge(this: Tensor, other: Operand): Tensor {
    return binary.ge(this, other);
  }
  logicalAnd(this: Tensor, other: Tensor): Tensor {
    return binary.logicalAnd(this, other);
  }
  logicalOr(this: Tensor, other: Tensor): Tensor {
    return binary.logicalOr(this, other);
  }
  logicalNot(this: Tensor): Tensor {
    return cast.logicalNot(this);
  }
  isfinite(this: Tensor): Tensor {
    return cast.isfinite(this);
  }
  neg(this: Tensor): Tensor {
    return unary.neg(this);
  }
  abs(this: Tensor): Tensor {
    return unary.abs(this);
  }
  sign(this: Tensor): Tensor {
    return unary.sign(this);
  }
  floor(this: Tensor): Tensor {
    return unary.floor(this);
  }
  ceil(this: Tensor): Tensor {
    return unary.ceil(this);
  }
  round(this: Tensor, options?: { decimals?: number }): Tensor {
    return unary.round(this, options);
  }
  exp(this: Tensor): Tensor {
    return unary.exp(this);
  }
  log(this: Tensor): Tensor {
    return unary.log(this);
  }
  sqrt(this: Tensor): Tensor {
    return unary.sqrt(this);
  }
  rsqrt(this: Tensor): Tensor {
    return unary.rsqrt(this);
  }
  reciprocal(this: Tensor): Tensor {
    return unary.reciprocal(this);
  }
  square(this: Tensor): Tensor {
    return unary.square(this);
  }
  sin(this: Tensor): Tensor {
    return unary.sin(this);
  }
  cos(this: Tensor): Tensor {
    return unary.cos(this);
  }
  erf(this: Tensor): Tensor {
    return unary.erf(this);
  }
  tanh(this: Tensor): Tensor {
    return unary.tanh(this);
  }
  sigmoid(this: Tensor): Tensor {
    return unary.sigmoid(this);
  }
  relu(this: Tensor): Tensor {
    return relu(this);
  }
  hardshrink(this: Tensor, lambda?: number): Tensor {
    return hardshrink(this, lambda);
  }
  prelu(this: Tensor, weight: Tensor): Tensor {
    return prelu(this, weight);
  }
  /** This where `condition` is true, else `other`. */
  where(this: Tensor, condition: Tensor, other: Operand): Tensor {
    return where(condition, this, other);
  }
  clamp(this: Tensor, min?: Tensor | number, max?: Tensor | number): Tensor {
    return clamp(this, min, max);
  }
  trueDivide(this: Tensor, other: Operand): Tensor {
    return binary.trueDivide(this, other);
  }
  floorDivide(this: Tensor, other: Operand): Tensor {
    return binary.floorDivide(this, other);
  }
  fmod(this: Tensor, other: Operand): Tensor {
    return binary.fmod(this, other);
  }
  remainder(this: Tensor, other: Operand): Tensor {
    return binary.remainder(this, other);
  }
  atan2(this: Tensor, other: Operand): Tensor {
    return binary.atan2(this, other);
  }
  hypot(this: Tensor, other: Operand): Tensor {
    return binary.hypot(this, other);
  }
  logaddexp(this: Tensor, other: Operand): Tensor {
    return binary.logaddexp(this, other);
  }
  xlogy(this: Tensor, other: Operand): Tensor {
    return binary.xlogy(this, other);
  }
  fmax(this: Tensor, other: Operand): Tensor {
    return binary.fmax(this, other);
  }
  fmin(this: Tensor, other: Operand): Tensor {
    return binary.fmin(this, other);
  }
  lerp(this: Tensor, end: Tensor, weight: Operand): Tensor {
    return lerp(this, end, weight);
  }
  addcmul(this: Tensor, a: Tensor, b: Tensor, options?: ValueOptions): Tensor {
    return addcmul(this, a, b, options);
  }
  addcdiv(this: Tensor, a: Tensor, b: Tensor, options?: ValueOptions): Tensor {
    return addcdiv(this, a, b, options);
  }
  logicalXor(this: Tensor, other: Tensor): Tensor {
    return logic.logicalXor(this, other);
  }
  bitwiseAnd(this: Tensor, other: Operand): Tensor {
    return logic.bitwiseAnd(this, other);
  }
  bitwiseOr(this: Tensor, other: Operand): Tensor {
    return logic.bitwiseOr(this, other);
  }
  bitwiseXor(this: Tensor, other: Operand): Tensor {
    return logic.bitwiseXor(this, other);
  }
  bitwiseNot(this: Tensor): Tensor {
    return logic.bitwiseNot(this);
  }
  isnan(this: Tensor): Tensor {
    return logic.isnan(this);
  }
  isinf(this: Tensor): Tensor {
    return logic.isinf(this);
  }
  isclose(this: Tensor, other: Tensor, options?: logic.CloseOptions): Tensor {
    return logic.isclose(this, other, options);
  }
  allclose(this: Tensor, other: Tensor, options?: logic.CloseOptions): Promise<boolean> {
    return logic.allclose(this, other, options);
  }
  equal(this: Tensor, other: Tensor): Promise<boolean> {
    return logic.equal(this, other);
  }
  nanToNum(this: Tensor, options?: logic.NanToNumOptions): Tensor {
    return logic.nanToNum(this, options);
  }
  heaviside(this: Tensor, values: Operand): Tensor {
    return logic.heaviside(this, values);
  }
  trunc(this: Tensor): Tensor {
    return unary.trunc(this);
  }
  frac(this: Tensor): Tensor {
    return unary.frac(this);
  }
  exp2(this: Tensor): Tensor {
    return unary.exp2(this);
  }
  expm1(this: Tensor): Tensor {
    return unary.expm1(this);
  }
  log1p(this: Tensor): Tensor {
    return unary.log1p(this);
  }
  log2(this: Tensor): Tensor {
    return unary.log2(this);
  }
  log10(this: Tensor): Tensor {
    return unary.log10(this);
  }
  tan(this: Tensor): Tensor {
    return unary.tan(this);
  }
  asin(this: Tensor): Tensor {
    return unary.asin(this);
  }
  acos(this: Tensor): Tensor {
    return unary.acos(this);
  }
  atan(this: Tensor): Tensor {
    return unary.atan(this);
  }
  sinh(this: Tensor): Tensor {
    return unary.sinh(this);
  }
  cosh(this: Tensor): Tensor {
    return unary.cosh(this);
  }
  asinh(this: Tensor): Tensor {
    return unary.asinh(this);
  }
  acosh(this: Tensor): Tensor {
    return unary.acosh(this);
  }
  atanh(this: Tensor): Tensor {
    return unary.atanh(this);
  }
  erfc(this: Tensor): Tensor {
    return unary.erfc(this);
  }
  logit(this: Tensor, eps?: number): Tensor {
    return unary.logit(this, eps);
  }
  clampMin(this: Tensor, min: Tensor | number): Tensor {
    return clampMin(this, min);
  }
  clampMax(this: Tensor, max: Tensor | number): Tensor {
    return clampMax(this, max);
  }
}
