// Elementwise functions of two and three tensors: arithmetic, comparison, logic, choice.
#include "functors.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

// A whole number, whose int32 wraps: -2^31 / -1.
MYELIN_INLINE int32_t wrapped(double x) { return static_cast<int32_t>(static_cast<int64_t>(x)); }

// base^exponent by squaring, modulo 2^32.
MYELIN_INLINE int32_t whole_power(int32_t base, int32_t exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent & 1 ? -1 : 1) : 0;
  uint32_t result = 1, square = static_cast<uint32_t>(base);
  for (uint32_t left = static_cast<uint32_t>(exponent); left != 0; left >>= 1) {
    if (left & 1) result *= square;
    square *= square;
  }
  return static_cast<int32_t>(result);
}

// int32, uint8 and bool.
template <class F>
Status bitwise(const Call& c, const F& f) {
  const Status status = check_binary(c);
  if (status != kOk) return status;
  if (c.out[0].dtype != c.in[0].dtype) return kBadDType;
  switch (c.out[0].dtype) {
    case kInt32:
      return run_rows(c, plain_row2<int32_t, int32_t, F>, &f, grain_of(kPlain), true);
    case kUint8:
    case kBool:
      return run_rows(c, plain_row2<uint8_t, uint8_t, F>, &f, grain_of(kPlain), true);
    default:
      return kBadDType;
  }
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

// kernel with its two inputs in the other order.
Status turned(const Call& c, Kernel kernel) {
  if (c.nin != 2) return kBadParameter;
  const View in[] = {c.in[1], c.in[0]};
  Call turned = c;
  turned.in = in;
  return kernel(turned);
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
// Quotients of integers: computed in double, where every int32 is exact; by 0 they are 0.
Status floor_divide(const Call& c) {
  return binary_number<int32_t>(
      c, [](auto a, auto b) { return floor_divide(a, b); },
      [](auto a, auto b) { return b == 0 ? 0 : wrapped(::floor(static_cast<double>(a) / static_cast<double>(b))); },
      kPower);
}
Status trunc_divide(const Call& c) {
  return binary_number<int32_t>(
      c, [](auto a, auto b) { return trunc(a / b); },
      [](auto a, auto b) { return b == 0 ? 0 : wrapped(static_cast<double>(a) / static_cast<double>(b)); }, kDivide);
}
Status fmod(const Call& c) {
  return binary_number<int32_t>(
      c, [](auto a, auto b) { return fmod(a, b); },
      [](auto a, auto b) { return b == 0 ? 0 : static_cast<int64_t>(a) % static_cast<int64_t>(b); }, kPower);
}
Status remainder(const Call& c) {
  return binary_number<int32_t>(
      c, [](auto a, auto b) { return remainder(a, b); },
      [](auto a, auto b) {
        const int64_t divisor = b == 0 ? 1 : b, rest = a % divisor;
        return rest != 0 && (rest < 0) != (divisor < 0) ? rest + divisor : rest;
      },
      kPower);
}
Status maximum(const Call& c) {
  return binary_number<int32_t>(
      c, [](auto a, auto b) { return max_nan(a, b); }, [](auto a, auto b) { return a > b ? a : b; });
}
Status minimum(const Call& c) {
  return binary_number<int32_t>(
      c, [](auto a, auto b) { return min_nan(a, b); }, [](auto a, auto b) { return a < b ? a : b; });
}
// The other operand where one is NaN.
Status fmax(const Call& c) {
  return binary_float(
      c, [](auto a, auto b) { return select(is_nan(b), a, max(a, b)); }, kPlain);
}
Status fmin(const Call& c) {
  return binary_float(
      c, [](auto a, auto b) { return select(is_nan(b), a, min(a, b)); }, kPlain);
}
Status atan2(const Call& c) {
  return binary_float(
      c, [](auto a, auto b) { return atan2(a, b); }, kPower);
}
Status hypot(const Call& c) {
  return binary_float(
      c, [](auto a, auto b) { return hypot(a, b); }, kCurve);
}
Status logaddexp(const Call& c) {
  return binary_float(
      c, [](auto a, auto b) { return log_add_exp(a, b); }, kPower);
}
// a log b, and 0 where a is 0 unless b is NaN.
Status xlogy(const Call& c) {
  return binary_float(
      c, [](auto a, auto b) { return select((a == number(a, 0)) & ~is_nan(b), number(a, 0), a * log(b)); }, kCurve);
}

// Exponents that a few multiplications, a division or a root do for all elements need no logarithm. Integers wrap; to a
// negative power they are 0 but for 1 and -1.
Status pow(const Call& c) {
  const double exponent = c.nin == 2 ? constant_value(c.in[1]) : NAN;
  if (exponent == 2)
    return binary_float(
        c, [](auto a, auto) { return a * a; }, kPlain);
  if (exponent == 3)
    return binary_float(
        c, [](auto a, auto) { return a * a * a; }, kPlain);
  if (exponent == -1)
    return binary_float(
        c, [](auto a, auto b) { return b * b / a; }, kDivide);
  return binary_number<int32_t>(
      c, [](auto a, auto b) { return pow(a, b); }, [](auto a, auto b) { return whole_power(a, b); }, kPower);
}

Status bitwise_and(const Call& c) {
  return bitwise(c, [](auto a, auto b) { return a & b; });
}
Status bitwise_or(const Call& c) {
  return bitwise(c, [](auto a, auto b) { return a | b; });
}
Status bitwise_xor(const Call& c) {
  return bitwise(c, [](auto a, auto b) { return a ^ b; });
}

// a + weight (b - a), from the nearer end.
Status lerp(const Call& c) {
  return ternary_float(
      c,
      [](auto a, auto b, auto weight) {
        const auto way = b - a, rest = number(a, 1) - weight;
        return select(abs(weight) < number(a, 0.5), fma(weight, way, a), fnma(rest, way, b));
      },
      kPlain);
}
// x + value a b and x + value a / b
Status addcmul(const Call& c) {
  if (!has_params(c, 1)) return kBadParameter;
  const double value = c.params[0];
  return ternary_float(
      c, [=](auto x, auto a, auto b) { return x + number(x, value) * a * b; }, kPlain);
}
Status addcdiv(const Call& c) {
  if (!has_params(c, 1)) return kBadParameter;
  const double value = c.params[0];
  return ternary_float(
      c, [=](auto x, auto a, auto b) { return x + number(x, value) * a / b; }, kDivide);
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
Status gt(const Call& c) { return turned(c, lt); }
Status ge(const Call& c) { return turned(c, le); }

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
