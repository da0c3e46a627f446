// Elementwise functions of two and three tensors: arithmetic, comparison, logic, choice.
#include <math.h>
#include <stdint.h>

#include "../simd/math.h"
#include "rows.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

Status check_binary(const Call& c) {
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
      return run_rows(c, vector_row2<float, F>, &f, grain_of(cost), true);
    case kFloat64:
      return run_rows(c, vector_row2<double, F>, &f, grain_of(cost), true);
    default:
      return kBadDType;
  }
}

// The same, and int32 and uint8 by a functor on unsigned (arithmetic that wraps) or signed values.
template <class I, class F, class G>
Status binary_number(const Call& c, const F& f, const G& whole) {
  const DType dtype = c.nout == 1 ? c.out[0].dtype : kDTypeCount;
  if (dtype != kInt32 && dtype != kUint8) return binary_float(c, f, kPlain);
  const Status status = check_binary(c);
  if (status != kOk) return status;
  if (c.in[0].dtype != dtype) return kBadDType;
  if (dtype == kInt32) return run_rows(c, plain_row2<I, I, G>, &whole, grain_of(kPlain), true);
  return run_rows(c, plain_row2<uint8_t, uint8_t, G>, &whole, grain_of(kPlain), true);
}

// Any one dtype to bool.
template <class F>
Status comparison(const Call& c, const F& f) {
  const Status status = check_binary(c);
  if (status != kOk) return status;
  if (c.out[0].dtype != kBool) return kBadDType;
  switch (c.in[0].dtype) {
    case kFloat32:
      return run_rows(c, plain_row2<float, uint8_t, F>, &f, grain_of(kPlain), true);
    case kFloat64:
      return run_rows(c, plain_row2<double, uint8_t, F>, &f, grain_of(kPlain), true);
    case kInt32:
      return run_rows(c, plain_row2<int32_t, uint8_t, F>, &f, grain_of(kPlain), true);
    case kUint8:
    case kBool:
      return run_rows(c, plain_row2<uint8_t, uint8_t, F>, &f, grain_of(kPlain), true);
    default:
      return kBadDType;
  }
}

template <class F>
Status logical(const Call& c, const F& f) {
  const Status status = check_binary(c);
  if (status != kOk) return status;
  if (c.out[0].dtype != kBool || c.in[0].dtype != kBool) return kBadDType;
  return run_rows(c, plain_row2<uint8_t, uint8_t, F>, &f, grain_of(kPlain), true);
}

// The number x is at every index, when it is one; else NaN.
double constant_value(const View& x) {
  if (x.numel < 1 || x.data == nullptr) return NAN;
  for (int d = 0; d < x.ndim; d++)
    if (x.shape[d] != 1 && x.strides[d] != 0) return NAN;
  if (x.dtype == kFloat32) return static_cast<double>(*static_cast<const float*>(x.data));
  return x.dtype == kFloat64 ? *static_cast<const double*>(x.data) : NAN;
}

template <class B>
void where_row(const void*, int64_t n, char* out, const char* const* in, uint32_t) {
  const unsigned char* condition = as<unsigned char>(in[0]);
  const B *a = as<B>(in[1]), *b = as<B>(in[2]);
  B* y = as<B>(out);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) {
    const B chosen = a[i], other = b[i];
    y[i] = condition[i] != 0 ? chosen : other;
  }
}

}  // namespace

Status add(const Call& c) {
  return binary_number<uint32_t>(
      c, [](auto a, auto b) { return a + b; }, [](auto a, auto b) { return a + b; });
}
Status sub(const Call& c) {
  return binary_number<uint32_t>(
      c, [](auto a, auto b) { return a - b; }, [](auto a, auto b) { return a - b; });
}
Status mul(const Call& c) {
  return binary_number<uint32_t>(
      c, [](auto a, auto b) { return a * b; }, [](auto a, auto b) { return a * b; });
}
Status div(const Call& c) {
  return binary_float(
      c, [](auto a, auto b) { return a / b; }, kDivide);
}
Status maximum(const Call& c) {
  return binary_number<int32_t>(
      c, [](auto a, auto b) { return max_nan(a, b); }, [](auto a, auto b) { return a > b ? a : b; });
}
Status minimum(const Call& c) {
  return binary_number<int32_t>(
      c, [](auto a, auto b) { return min_nan(a, b); }, [](auto a, auto b) { return a < b ? a : b; });
}
// Exponents 2 and -1 for all elements need no logarithm.
Status pow(const Call& c) {
  const double exponent = c.nin == 2 ? constant_value(c.in[1]) : NAN;
  if (exponent == 2)
    return binary_float(
        c, [](auto a, auto) { return a * a; }, kPlain);
  if (exponent == -1)
    return binary_float(
        c, [](auto a, auto b) { return b * b / a; }, kDivide);
  return binary_float(
      c, [](auto a, auto b) { return pow(a, b); }, kPower);
}

Status eq(const Call& c) {
  return comparison(c, [](auto a, auto b) { return a == b; });
}
Status ne(const Call& c) {
  return comparison(c, [](auto a, auto b) { return a != b; });
}
Status lt(const Call& c) {
  return comparison(c, [](auto a, auto b) { return a < b; });
}
Status le(const Call& c) {
  return comparison(c, [](auto a, auto b) { return a <= b; });
}
Status gt(const Call& c) {
  return comparison(c, [](auto a, auto b) { return a > b; });
}
Status ge(const Call& c) {
  return comparison(c, [](auto a, auto b) { return a >= b; });
}

Status logical_and(const Call& c) {
  return logical(c, [](uint8_t a, uint8_t b) { return (a != 0) & (b != 0); });
}
Status logical_or(const Call& c) {
  return logical(c, [](uint8_t a, uint8_t b) { return (a | b) != 0; });
}

// The choice moves bits, whatever the dtype.
Status where(const Call& c) {
  const Status status = check_operands(c, 3);
  if (status != kOk) return status;
  if (c.in[0].dtype != kBool || c.in[1].dtype != c.out[0].dtype || c.in[2].dtype != c.out[0].dtype) return kBadDType;
  switch (item_size(c.out[0].dtype)) {
    case 4:
      return run_rows(c, where_row<Bits32>, nullptr, grain_of(kPlain), false);
    case 8:
      return run_rows(c, where_row<Bits64>, nullptr, grain_of(kPlain), false);
    case 1:
      return run_rows(c, where_row<unsigned char>, nullptr, grain_of(kPlain), false);
    default:
      return kBadDType;
  }
}

}  // namespace MYELIN_ISA
}  // namespace myelin
