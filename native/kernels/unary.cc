// Elementwise functions of one tensor and their gradients.
#include <math.h>
#include <stdint.h>

#include "../simd/math.h"
#include "rows.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

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
      return run_rows(c, vector_row1<float, F>, &f, grain_of(cost), false);
    case kFloat64:
      return run_rows(c, vector_row1<double, F>, &f, grain_of(cost), false);
    default:
      return kBadDType;
  }
}

// The same, and int32 by a functor of its own.
template <class F, class G>
Status unary_number(const Call& c, const F& f, const G& whole) {
  if (c.nin == 1 && c.nout == 1 && c.in[0].dtype == kInt32 && c.out[0].dtype == kInt32) {
    const Status status = check_operands(c, 1);
    return status != kOk ? status : run_rows(c, plain_row1<int32_t, int32_t, G>, &whole, grain_of(1), false);
  }
  return unary_float(c, f, 1);
}

// Gradients: dx = f(dy, saved).
template <class F>
Status backward(const Call& c, const F& f, int cost) {
  const Status status = check_operands(c, 2);
  if (status != kOk) return status;
  if (c.in[0].dtype != c.out[0].dtype || c.in[1].dtype != c.out[0].dtype) return kBadDType;
  switch (c.out[0].dtype) {
    case kFloat32:
      return run_rows(c, vector_row2_adjacent<float, F>, &f, grain_of(cost), false);
    case kFloat64:
      return run_rows(c, vector_row2_adjacent<double, F>, &f, grain_of(cost), false);
    default:
      return kBadDType;
  }
}

bool has_params(const Call& c, int count) {
  if (c.nparams != count) return false;
  for (int i = 0; i < count; i++)
    if (isnan(c.params[i])) return false;
  return true;
}

constexpr double kGeluScale = 0.7978845608028654;  // √(2/π)
constexpr double kGeluCubic = 0.044715;
// Beyond this every gelu is x or 0 and its gradient 1 or 0: keeps x^3 finite.
constexpr double kGeluFar = 64;

template <class V>
MYELIN_INLINE V clamp_to(V x, double limit) {
  return min(number(x, limit), max(number(x, -limit), x));
}

}  // namespace

Status neg(const Call& c) {
  return unary_number(
      c, [](auto x) { return -x; }, [](int32_t x) { return static_cast<int32_t>(0u - static_cast<uint32_t>(x)); });
}
Status abs(const Call& c) {
  return unary_number(
      c, [](auto x) { return abs(x); },
      [](int32_t x) { return static_cast<int32_t>(x < 0 ? 0u - static_cast<uint32_t>(x) : static_cast<uint32_t>(x)); });
}
// 0 for NaN, as in PyTorch.
Status sign(const Call& c) {
  return unary_number(
      c,
      [](auto x) {
        const auto none = number(x, 0), one = number(x, 1);
        return zero_unless(x > none, one) - zero_unless(x < none, one);
      },
      [](int32_t x) { return (x > 0) - (x < 0); });
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
Status exp(const Call& c) {
  return unary_float(
      c, [](auto x) { return exp(x); }, kCurve);
}
Status log(const Call& c) {
  return unary_float(
      c, [](auto x) { return log(x); }, kCurve);
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
Status erf(const Call& c) {
  return unary_float(
      c, [](auto x) { return erf(x); }, kCurve);
}

Status tanh(const Call& c) {
  return unary_float(
      c, [](auto x) { return tanh(x); }, kCurve);
}
// dy (1 - y^2)
Status tanh_backward(const Call& c) {
  return backward(
      c, [](auto dy, auto y) { return dy * fnma(y, y, number(y, 1)); }, kPlain);
}

Status sigmoid(const Call& c) {
  return unary_float(
      c, [](auto x) { return sigmoid(x); }, kCurve);
}
// dy y (1 - y)
Status sigmoid_backward(const Call& c) {
  return backward(
      c, [](auto dy, auto y) { return dy * (y * (number(y, 1) - y)); }, kPlain);
}

Status relu(const Call& c) {
  return unary_float(
      c, [](auto x) { return select(x <= number(x, 0), number(x, 0), x); }, kPlain);
}
Status relu_backward(const Call& c) {
  return backward(
      c, [](auto dy, auto y) { return select(y <= number(y, 0), number(y, 0), dy); }, kPlain);
}

// x Φ(x)
Status gelu(const Call& c) {
  return unary_float(
      c, [](auto x) { return x * normal_cdf(x); }, kCurve);
}
// dy (Φ(x) + x φ(x))
Status gelu_backward(const Call& c) {
  return backward(
      c,
      [](auto dy, auto x) {
        const auto normal = normal_pdf_cdf(x);
        return dy * fma(clamp_to(x, kGeluFar), normal.pdf, normal.cdf);
      },
      kCurve);
}

// x σ(2 √(2/π) (x + 0.044715 x^3)), which is x (1 + tanh …) / 2.
Status gelu_tanh(const Call& c) {
  return unary_float(
      c,
      [](auto x) {
        const auto z = clamp_to(x, kGeluFar);
        const auto inner = z * fma(z * z, number(z, 2 * kGeluScale * kGeluCubic), number(z, 2 * kGeluScale));
        return x * sigmoid(inner);
      },
      kCurve);
}
// With u the argument of σ: dy (σ + x σ (1 - σ) u').
Status gelu_tanh_backward(const Call& c) {
  return backward(
      c,
      [](auto dy, auto x) {
        const auto z = clamp_to(x, kGeluFar), square = z * z;
        const auto inner = z * fma(square, number(z, 2 * kGeluScale * kGeluCubic), number(z, 2 * kGeluScale));
        const auto slope = fma(square, number(z, 6 * kGeluScale * kGeluCubic), number(z, 2 * kGeluScale));
        const auto s = sigmoid(inner), other = sigmoid(-inner);
        return dy * fma(z * slope, s * other, s);
      },
      kCurve);
}

Status silu(const Call& c) {
  return unary_float(
      c, [](auto x) { return x * sigmoid(x); }, kCurve);
}
// dy σ(x) (1 + x σ(-x))
Status silu_backward(const Call& c) {
  return backward(
      c, [](auto dy, auto x) { return dy * (sigmoid(x) * fma(x, sigmoid(-x), number(x, 1))); }, kCurve);
}

// log(1 + e^(beta x)) / beta, or x where beta x is above the threshold.
Status softplus(const Call& c) {
  if (!has_params(c, 2)) return kBadParameter;
  const double beta = c.params[0], threshold = c.params[1];
  return unary_float(
      c,
      [=](auto x) {
        const auto z = x * number(x, beta);
        return select(z > number(x, threshold), x, softplus(z) / number(x, beta));
      },
      kCurve);
}
Status softplus_backward(const Call& c) {
  if (!has_params(c, 2)) return kBadParameter;
  const double beta = c.params[0], threshold = c.params[1];
  return backward(
      c,
      [=](auto dy, auto x) {
        const auto z = x * number(x, beta);
        return select(z > number(x, threshold), dy, dy * sigmoid(z));
      },
      kCurve);
}

Status leaky_relu(const Call& c) {
  if (!has_params(c, 1)) return kBadParameter;
  const double slope = c.params[0];
  return unary_float(
      c, [=](auto x) { return select(x > number(x, 0), x, x * number(x, slope)); }, kPlain);
}
Status leaky_relu_backward(const Call& c) {
  if (!has_params(c, 1)) return kBadParameter;
  const double slope = c.params[0];
  return backward(
      c, [=](auto dy, auto x) { return select(x > number(x, 0), dy, dy * number(x, slope)); }, kPlain);
}

// alpha (e^x - 1) for x <= 0
Status elu(const Call& c) {
  if (!has_params(c, 1)) return kBadParameter;
  const double alpha = c.params[0];
  return unary_float(
      c,
      [=](auto x) {
        const auto none = number(x, 0);
        return select(x > none, x, number(x, alpha) * expm1(min(none, x)));
      },
      kCurve);
}
// NaN gives dy, as in PyTorch.
Status elu_backward(const Call& c) {
  if (!has_params(c, 1)) return kBadParameter;
  const double alpha = c.params[0];
  return backward(
      c, [=](auto dy, auto x) { return select(x <= number(x, 0), dy * (number(x, alpha) * exp(x)), dy); }, kCurve);
}

// min(max(x, low), high); int32 takes the whole numbers inside the bounds.
Status clamp(const Call& c) {
  if (!has_params(c, 2)) return kBadParameter;
  const double low = c.params[0], high = c.params[1];
  const auto whole = [](double x) {
    return static_cast<int32_t>(x <= -2147483648.0 ? -2147483648.0 : x >= 2147483647.0 ? 2147483647.0 : x);
  };
  const int32_t first = whole(::ceil(low)), last = whole(::floor(high));
  return unary_number(
      c, [=](auto x) { return min(number(x, high), max(number(x, low), x)); },
      [=](int32_t x) {
        const int32_t above = x < first ? first : x;
        return above > last ? last : above;
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
