// Activation functions and their gradients.
#include "functors.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr double kGeluSlope = 1.5957691216057308, kGeluCube = kGeluSlope * 0.044715;  // 2 √(2/π), and times x^3
// Beyond this every gelu is x or 0 and its gradient 1 or 0: keeps x^3 finite.
constexpr double kGeluFar = 64;

template <class V>
MYELIN_INLINE V clamp_to(V x, double limit) {
  return min(number(x, limit), max(number(x, -limit), x));
}

// e^-u of gelu's u = 2 √(2/π) (x + 0.044715 x^3); for float, which rounds u anyway, a power of 2 whose factors are in the cubic.
MYELIN_INLINE Vec<float> gelu_decay(Vec<float> x) {
  constexpr double kLog2e = 1.4426950408889634;
  const Vec<float> t = x * fma(x * x, number(x, -kGeluCube * kLog2e), number(x, -kGeluSlope * kLog2e));
  return exp2_within(max(number(x, -126), min(number(x, 128), t)));
}
MYELIN_INLINE Vec<double> gelu_decay(Vec<double> x) {
  const Vec<double> z = clamp_to(x, kGeluFar);
  return exp(-z * fma(z * z, number(z, kGeluCube), number(z, kGeluSlope)));
}

// Beyond this mish is x.
constexpr double kMishFar = 20;

template <class V>
MYELIN_INLINE V ramp(V x) {
  return min(number(x, 6), max(number(x, 0), x + number(x, 3)));
}

}  // namespace

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
      c, [](auto x) { return gelu(x); }, kCurve);
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

// x σ(u) with u = 2 √(2/π) (x + 0.044715 x^3), which is x (1 + tanh …) / 2.
Status gelu_tanh(const Call& c) {
  return unary_float(
      c, [](auto x) { return x / (number(x, 1) + gelu_decay(x)); }, kCurve);
}
// dy (σ + x σ (1 - σ) u')
Status gelu_tanh_backward(const Call& c) {
  return backward(
      c,
      [](auto dy, auto x) {
        const auto z = clamp_to(x, kGeluFar), square = z * z;
        const auto e = min(number(x, 0x1p125), gelu_decay(z)), s = number(x, 1) / (number(x, 1) + e);
        const auto slope = fma(square, number(z, 3 * kGeluCube), number(z, kGeluSlope));
        return dy * (s * fma(z * slope, e * s, number(z, 1)));
      },
      kCurve);
}

Status silu(const Call& c) {
  return unary_float(
      c, [](auto x) { return x / (number(x, 1) + exp_minus(x)); }, kCurve);
}
// dy σ (1 + x (1 - σ))
Status silu_backward(const Call& c) {
  return backward(
      c,
      [](auto dy, auto x) {
        const auto one = number(x, 1), s = one / (one + exp_minus(x));
        return dy * (s * fma(x, one - s, one));
      },
      kCurve);
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

// scale x where positive, else scale alpha (e^(rate x) - 1)
Status elu(const Call& c) {
  if (!has_params(c, 3)) return kBadParameter;
  const double alpha = c.params[0], scale = c.params[1], rate = c.params[2];
  return unary_float(
      c,
      [=](auto x) {
        const auto none = number(x, 0);
        return select(x > none, number(x, scale) * x, number(x, scale * alpha) * expm1(min(none, number(x, rate) * x)));
      },
      kCurve);
}
// NaN gives scale dy, as in PyTorch.
Status elu_backward(const Call& c) {
  if (!has_params(c, 3)) return kBadParameter;
  const double alpha = c.params[0], scale = c.params[1], rate = c.params[2];
  return backward(
      c,
      [=](auto dy, auto x) {
        const auto below = number(x, scale * alpha * rate) * exp(number(x, rate) * x);
        return dy * select(x <= number(x, 0), below, number(x, scale));
      },
      kCurve);
}

// x tanh(softplus(x)): with n = e^x (e^x + 2) that is x n / (n + 2).
Status mish(const Call& c) {
  return unary_float(
      c,
      [](auto x) {
        const auto e = exp(min(number(x, kMishFar), x)), n = e * (e + number(x, 2));
        return x * (n / (n + number(x, 2)));
      },
      kCurve);
}
// dy (n / (n + 2) + 4 x e^x (1 + e^x) / (n + 2)^2)
Status mish_backward(const Call& c) {
  return backward(
      c,
      [](auto dy, auto x) {
        const auto z = min(number(x, kMishFar), x), e = exp(z), n = e * (e + number(x, 2)), below = n + number(x, 2);
        const auto slope = number(x, 4) * e * (e + number(x, 1)) / (below * below);
        return dy * fma(max(number(x, -kMishFar * 10), z), slope, n / below);
      },
      kCurve);
}

// log σ(x) = -log(1 + e^-x)
Status log_sigmoid(const Call& c) {
  return unary_float(
      c, [](auto x) { return -softplus(-x); }, kCurve);
}
Status log_sigmoid_backward(const Call& c) {
  return backward(
      c, [](auto dy, auto x) { return dy * sigmoid(-x); }, kCurve);
}

// x / (1 + |x|)
Status softsign(const Call& c) {
  return unary_float(
      c, [](auto x) { return x / (number(x, 1) + abs(x)); }, kDivide);
}
Status softsign_backward(const Call& c) {
  return backward(
      c,
      [](auto dy, auto x) {
        const auto below = number(x, 1) + abs(x);
        return dy / (below * below);
      },
      kDivide);
}

// min(max(x + 3, 0), 6) / 6
Status hardsigmoid(const Call& c) {
  return unary_float(
      c, [](auto x) { return ramp(x) / number(x, 6); }, kDivide);
}
Status hardsigmoid_backward(const Call& c) {
  return backward(
      c, [](auto dy, auto x) { return zero_unless((x > number(x, -3)) & (x < number(x, 3)), dy / number(x, 6)); },
      kDivide);
}

// x hardsigmoid(x)
Status hardswish(const Call& c) {
  return unary_float(
      c, [](auto x) { return x * (ramp(x) / number(x, 6)); }, kDivide);
}
// 0 below -3, dy above 3, else dy (x / 3 + 1/2)
Status hardswish_backward(const Call& c) {
  return backward(
      c,
      [](auto dy, auto x) {
        const auto inner = dy * (x / number(x, 3) + number(x, 0.5));
        return select(x < number(x, -3), number(x, 0), select(x <= number(x, 3), inner, dy));
      },
      kDivide);
}

// NaN counts as clamped, as in PyTorch.
Status clamp_backward(const Call& c) {
  if (!has_params(c, 2)) return kBadParameter;
  const double low = c.params[0], high = c.params[1];
  return backward(
      c, [=](auto dy, auto x) { return zero_unless((x >= number(x, low)) & (x <= number(x, high)), dy); }, kPlain);
}
// The gradient of clamping that is 0 at the bounds too: dy unless x <= low or x >= high.
Status hardtanh_backward(const Call& c) {
  if (!has_params(c, 2)) return kBadParameter;
  const double low = c.params[0], high = c.params[1];
  return backward(
      c, [=](auto dy, auto x) { return select((x <= number(x, low)) | (x >= number(x, high)), number(x, 0), dy); },
      kPlain);
}

// 0 for |x| <= lambda, else x moved towards 0 by lambda, or x itself.
Status softshrink(const Call& c) {
  if (!has_params(c, 1)) return kBadParameter;
  const double lambda = c.params[0];
  return unary_float(
      c,
      [=](auto x) {
        const auto edge = number(x, lambda), none = number(x, 0);
        return select(x > edge, x - edge, select(x < -edge, x + edge, select(is_nan(x), x, none)));
      },
      kPlain);
}
Status hardshrink(const Call& c) {
  if (!has_params(c, 1)) return kBadParameter;
  const double lambda = c.params[0];
  return unary_float(
      c, [=](auto x) { return select((x >= number(x, -lambda)) & (x <= number(x, lambda)), number(x, 0), x); }, kPlain);
}
// dy but where x is in [low, high], where it is 0.
Status shrink_backward(const Call& c) {
  if (!has_params(c, 2)) return kBadParameter;
  const double low = c.params[0], high = c.params[1];
  return backward(
      c, [=](auto dy, auto x) { return select((x >= number(x, low)) & (x <= number(x, high)), number(x, 0), dy); },
      kPlain);
}

// value where x <= edge
Status threshold(const Call& c) {
  if (!has_params(c, 2)) return kBadParameter;
  const double edge = c.params[0], value = c.params[1];
  return unary_float(
      c, [=](auto x) { return select(x <= number(x, edge), number(x, value), x); }, kPlain);
}

// x where positive, else weight x
Status prelu(const Call& c) {
  return binary_float(
      c, [](auto x, auto weight) { return select(x > number(x, 0), x, weight * x); }, kPlain);
}
Status prelu_backward(const Call& c) {
  return ternary_float(
      c, [](auto dy, auto x, auto weight) { return select(x > number(x, 0), dy, weight * dy); }, kPlain);
}

}  // namespace MYELIN_ISA
}  // namespace myelin
