// Elementwise functions of one tensor. Activations are in activation.cc.
#include "functors.h"

namespace myelin {
namespace MYELIN_ISA {

Status neg(const Call& c) {
  return unary_number(
      c, [](auto x) { return -x; }, [](auto x) { return static_cast<decltype(x)>(0u - static_cast<uint32_t>(x)); });
}
Status abs(const Call& c) {
  return unary_number(
      c, [](auto x) { return abs(x); },
      [](auto x) {
        const uint32_t bits = static_cast<uint32_t>(x);
        return static_cast<decltype(x)>(x < 0 ? 0u - bits : bits);
      });
}
// 0 for NaN, as in PyTorch.
Status sign(const Call& c) {
  return unary_number(
      c,
      [](auto x) {
        const auto none = number(x, 0), one = number(x, 1);
        return zero_unless(x > none, one) - zero_unless(x < none, one);
      },
      [](auto x) { return static_cast<decltype(x)>((x > 0) - (x < 0)); });
}
Status floor(const Call& c) {
  return unary_float(
      c, [](auto x) { return floor(x); }, kPlain);
}
Status ceil(const Call& c) {
  return unary_float(
      c, [](auto x) { return ceil(x); }, kPlain);
}
Status round(const Call& c) {
  return unary_float(
      c, [](auto x) { return round(x); }, kPlain);
}
Status trunc(const Call& c) {
  return unary_float(
      c, [](auto x) { return trunc(x); }, kPlain);
}
Status exp(const Call& c) {
  return unary_float(
      c, [](auto x) { return exp(x); }, kCurve);
}
Status exp2(const Call& c) {
  return unary_float(
      c, [](auto x) { return exp2(x); }, kCurve);
}
Status expm1(const Call& c) {
  return unary_float(
      c, [](auto x) { return expm1_any(x); }, kCurve);
}
Status log(const Call& c) {
  return unary_float(
      c, [](auto x) { return log(x); }, kCurve);
}
Status log1p(const Call& c) {
  return unary_float(
      c, [](auto x) { return log1p(x); }, kCurve);
}
Status log2(const Call& c) {
  return unary_float(
      c, [](auto x) { return log2(x); }, kCurve);
}
Status log10(const Call& c) {
  return unary_float(
      c, [](auto x) { return log10(x); }, kCurve);
}
Status sqrt(const Call& c) {
  return unary_float(
      c, [](auto x) { return sqrt(x); }, kDivide);
}
Status rsqrt(const Call& c) {
  return unary_float(
      c, [](auto x) { return number(x, 1) / sqrt(x); }, kDivide);
}
Status reciprocal(const Call& c) {
  return unary_float(
      c, [](auto x) { return number(x, 1) / x; }, kDivide);
}
Status square(const Call& c) {
  return unary_float(
      c, [](auto x) { return x * x; }, kPlain);
}
Status sin(const Call& c) {
  return unary_float(
      c, [](auto x) { return sin(x); }, kCurve);
}
Status cos(const Call& c) {
  return unary_float(
      c, [](auto x) { return cos(x); }, kCurve);
}
Status tan(const Call& c) {
  return unary_float(
      c, [](auto x) { return tan(x); }, kCurve);
}
Status asin(const Call& c) {
  return unary_float(
      c, [](auto x) { return asin(x); }, kCurve);
}
Status acos(const Call& c) {
  return unary_float(
      c, [](auto x) { return acos(x); }, kCurve);
}
Status atan(const Call& c) {
  return unary_float(
      c, [](auto x) { return atan(x); }, kCurve);
}
Status sinh(const Call& c) {
  return unary_float(
      c, [](auto x) { return sinh(x); }, kCurve);
}
Status cosh(const Call& c) {
  return unary_float(
      c, [](auto x) { return cosh(x); }, kCurve);
}
Status asinh(const Call& c) {
  return unary_float(
      c, [](auto x) { return asinh(x); }, kCurve);
}
Status acosh(const Call& c) {
  return unary_float(
      c, [](auto x) { return acosh(x); }, kCurve);
}
Status atanh(const Call& c) {
  return unary_float(
      c, [](auto x) { return atanh(x); }, kCurve);
}
Status erf(const Call& c) {
  return unary_float(
      c, [](auto x) { return erf(x); }, kCurve);
}
Status erfc(const Call& c) {
  return unary_float(
      c, [](auto x) { return erfc(x); }, kCurve);
}

// min(max(x, low), high); integers take the whole numbers inside the bounds.
Status clamp(const Call& c) {
  if (!has_params(c, 2)) return kBadParameter;
  const double low = c.params[0], high = c.params[1];
  const auto bound = [](double x) {
    return static_cast<int64_t>(x <= -2147483648.0 ? -2147483648.0 : x >= 2147483647.0 ? 2147483647.0 : x);
  };
  const int64_t first = bound(::ceil(low)), last = bound(::floor(high));
  return unary_number(
      c, [=](auto x) { return min(number(x, high), max(number(x, low), x)); },
      [=](auto x) {
        const int64_t above = x < first ? first : x;
        return static_cast<decltype(x)>(above > last ? last : above);
      });
}

namespace {

template <class T, class F>
Status bool_of(const Call& c, const F& f) {
  return run_rows(c, plain_row1<T, uint8_t, F>, &f, grain_of(1), false);
}

}  // namespace

Status logical_not(const Call& c) {
  const Status status = check_operands(c, 1);
  if (status != kOk) return status;
  if (c.out[0].dtype != kBool) return kBadDType;
  const auto is_zero = [](auto x) { return x == 0; };
  switch (c.in[0].dtype) {
    case kFloat32:
      return bool_of<float>(c, is_zero);
    case kFloat64:
      return bool_of<double>(c, is_zero);
    case kInt32:
      return bool_of<int32_t>(c, is_zero);
    case kUint8:
    case kBool:
      return bool_of<uint8_t>(c, is_zero);
    default:
      return kBadDType;
  }
}

Status isfinite(const Call& c) {
  const Status status = check_operands(c, 1);
  if (status != kOk) return status;
  if (c.out[0].dtype != kBool) return kBadDType;
  const auto finite = [](auto x) { return x - x == 0; };
  switch (c.in[0].dtype) {
    case kFloat32:
      return bool_of<float>(c, finite);
    case kFloat64:
      return bool_of<double>(c, finite);
    default:
      return kBadDType;
  }
}

}  // namespace MYELIN_ISA
}  // namespace myelin
