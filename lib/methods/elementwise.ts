import * as binary from '../ops/binary.js';
import * as cast from '../ops/cast.js';
import * as unary from '../ops/unary.js';
import type { Tensor } from '../tensor.js';

type Operand = binary.Operand;

/** Elementwise operations as methods: each is the function of the same name with the tensor as its first argument. */
export abstract class ElementwiseMethods {
  add(this: Tensor, other: Operand): Tensor {
    return binary.add(this, other);
  }
  sub(this: Tensor, other: Operand): Tensor {
    return binary.sub(this, other);
  }
  mul(this: Tensor, other: Operand): Tensor {
    return binary.mul(this, other);
  }
  div(this: Tensor, other: Operand): Tensor {
    return binary.div(this, other);
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
  round(this: Tensor): Tensor {
    return unary.round(this);
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
    return unary.relu(this);
  }
  clamp(this: Tensor, min?: number, max?: number): Tensor {
    return unary.clamp(this, min, max);
  }
}
