// Elementwise kernels from functors: a functor of vectors serves float32 and float64, one of plain values the integers.
#pragma once
#include <math.h>
#include <stdint.h>

#include "../simd/elementary.h"
#include "rows.h"

namespace myelin {
namespace MYELIN_ISA {

template <class T>
MYELIN_INLINE Vec<T> number(Vec<T>, double value) {
  return set1<T>(static_cast<T>(value));
}

// float32 and float64, vectors.
template <class F>
Status unary_float(const Call& c, const F& f, int cost) {
  const Status status = check_operands(c, 1);
  if (status != kOk) return status;
  if (c.in[0].dtype != c.out[0].dtype) return kBadDType;
  switch (c.out[0].dtype) {
    case kFloat32:
      return run_rows(c, vector_row1<float, F>, &f, grain_of(cost), false, true);
    case kFloat64:
      return run_rows(c, vector_row1<double, F>, &f, grain_of(cost), false, true);
    default:
      return kBadDType;
  }
}

// The same, and int32 and uint8 by a functor of their own.
template <class F, class G>
Status unary_number(const Call& c, const F& f, const G& whole) {
  const DType dtype = c.nout == 1 ? c.out[0].dtype : kDTypeCount;
  if (dtype != kInt32 && dtype != kUint8) return unary_float(c, f, kPlain);
  const Status status = check_operands(c, 1);
  if (status != kOk) return status;
  if (c.in[0].dtype != dtype) return kBadDType;
  if (dtype == kInt32) return run_rows(c, plain_row1<int32_t, int32_t, G>, &whole, grain_of(kPlain), false);
  return run_rows(c, plain_row1<uint8_t, uint8_t, G>, &whole, grain_of(kPlain), false);
}

// Gradients: dx = f(dy, saved).
template <class F>
Status backward(const Call& c, const F& f, int cost) {
  const Status status = check_operands(c, 2);
  if (status != kOk) return status;
  if (c.in[0].dtype != c.out[0].dtype || c.in[1].dtype != c.out[0].dtype) return kBadDType;
  switch (c.out[0].dtype) {
    case kFloat32:
      return run_rows(c, vector_row2_adjacent<float, F>, &f, grain_of(cost), false, true);
    case kFloat64:
      return run_rows(c, vector_row2_adjacent<double, F>, &f, grain_of(cost), false, true);
    default:
      return kBadDType;
  }
}

inline bool has_params(const Call& c, int count) {
  if (c.nparams != count) return false;
  for (int i = 0; i < count; i++)
    if (isnan(c.params[i])) return false;
  return true;
}

inline Status check_binary(const Call& c) {
  const Status status = check_operands(c, 2);
  if (status != kOk) return status;
  return c.in[0].dtype == c.in[1].dtype ? kOk : kBadDType;
}

// float32 and float64, vectors.
template <class F>
Status binary_float(const Call& c, const F& f, int cost) {
  const Status status = check_binary(c);
  if (status != kOk) return status;
  if (c.out[0].dtype != c.in[0].dtype) return kBadDType;
  switch (c.out[0].dtype) {
    case kFloat32:
      return run_rows(c, vector_row2<float, F>, &f, grain_of(cost), true, true);
    case kFloat64:
      return run_rows(c, vector_row2<double, F>, &f, grain_of(cost), true, true);
    default:
      return kBadDType;
  }
}

// The same, and int32 and uint8 by a functor on unsigned (arithmetic that wraps) or signed values.
template <class I, class F, class G>
Status binary_number(const Call& c, const F& f, const G& whole, int cost = kPlain) {
  const DType dtype = c.nout == 1 ? c.out[0].dtype : kDTypeCount;
  if (dtype != kInt32 && dtype != kUint8) return binary_float(c, f, cost);
  const Status status = check_binary(c);
  if (status != kOk) return status;
  if (c.in[0].dtype != dtype) return kBadDType;
  if (dtype == kInt32) return run_rows(c, plain_row2<I, I, G>, &whole, grain_of(cost), true);
  return run_rows(c, plain_row2<uint8_t, uint8_t, G>, &whole, grain_of(cost), true);
}

// out = f(a, b, c) for float32 and float64.
template <class F>
Status ternary_float(const Call& c, const F& f, int cost) {
  const Status status = check_operands(c, 3);
  if (status != kOk) return status;
  for (int k = 0; k < 3; k++)
    if (c.in[k].dtype != c.out[0].dtype) return kBadDType;
  switch (c.out[0].dtype) {
    case kFloat32:
      return run_rows(c, vector_row3<float, F>, &f, grain_of(cost), false);
    case kFloat64:
      return run_rows(c, vector_row3<double, F>, &f, grain_of(cost), false);
    default:
      return kBadDType;
  }
}

}  // namespace MYELIN_ISA
}  // namespace myelin
