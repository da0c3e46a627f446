// Elementwise functions against scalar references: every op, accuracy over all binades, odd lengths, strides,
// broadcasting, special values, in place.
#include <limits>

#include "random_tensors.h"

namespace {

using Function = std::function<double(double)>;
using Function2 = std::function<double(double, double)>;

// --- accuracy

double ulp32(double x) {
  const int e = x == 0 ? -149 : ilogb(x) - 23;
  return ldexp(1.0, e < -149 ? -149 : e > 104 ? 104 : e);
}
long double ulp64(long double x) {
  const int e = x == 0 ? -1074 : ilogbl(x) - 52;
  return ldexpl(1.0L, e < -1074 ? -1074 : e > 971 ? 971 : e);
}

// The largest error in ULP of kernel over x; want(x) is the true value.
template <class T, class Wide>
double worst_error(Kernel kernel, const std::vector<T>& x, Wide (*want)(Wide), Wide (*ulp)(Wide), double* where) {
  std::vector<T> y(x.size());
  View in{}, out{};
  in.data = const_cast<T*>(x.data());
  in.ndim = 1;
  in.numel = in.shape[0] = static_cast<int64_t>(x.size());
  in.strides[0] = 1;
  in.contiguous = true;
  in.dtype = sizeof(T) == 4 ? kFloat32 : kFloat64;
  out = in;
  out.data = y.data();
  TestPool pool(1);
  const Call c{&in, &out, nullptr, &pool.pool, 1, 1, 0};
  expect(kernel(c) == kOk, "accuracy: status");
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const Wide w = want(static_cast<Wide>(x[i]));
    const T nearest = static_cast<T>(w);
    double error = 0;
    if (isnan(nearest))
      error = isnan(y[i]) ? 0 : kInf;
    else if (isinf(nearest) || isinf(y[i])) {
      // One step over the edge of the range is one ULP.
      const T most = std::numeric_limits<T>::max();
      const T finite = isinf(nearest) ? y[i] : nearest;
      error = nearest == y[i] ? 0 : (finite == most || finite == -most) && (nearest > 0) == (y[i] > 0) ? 1 : kInf;
    } else
      error = static_cast<double>(fabsl(static_cast<long double>(y[i] - w) / ulp(w)));
    if (sizeof(T) == 8 && !isnan(nearest) && !isinf(nearest) && !isinf(y[i]))
      error = static_cast<double>(fabsl((static_cast<long double>(y[i]) - w) / ulp(w)));
    if (!(error <= worst)) {
      worst = error;
      *where = static_cast<double>(x[i]);
    }
  }
  return worst;
}

template <class W>
W sigmoid_of(W x) {
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}

struct Accurate {
  const char* name;
  Kernel kernel;
  double (*want)(double);
  long double (*want_long)(long double);
  double limit;
};

void test_accuracy() {
  static const Accurate functions[] = {
      {"exp", isa::exp, ::exp, expl, 4},
      {"log", isa::log, ::log, logl, 4},
      {"tanh", isa::tanh, ::tanh, tanhl, 4},
      {"erf", isa::erf, ::erf, erfl, 4},
      {"sigmoid", isa::sigmoid, sigmoid_of<double>, sigmoid_of<long double>, 4},
      {"sin", isa::sin, ::sin, sinl, 4},
      {"cos", isa::cos, ::cos, cosl, 4},
      {"exp2", isa::exp2, ::exp2, exp2l, 4},
      {"expm1", isa::expm1, ::expm1, expm1l, 4},
      {"log1p", isa::log1p, ::log1p, log1pl, 4},
      {"log2", isa::log2, ::log2, log2l, 4},
      {"log10", isa::log10, ::log10, log10l, 4},
      {"tan", isa::tan, ::tan, tanl, 4},
      {"asin", isa::asin, ::asin, asinl, 4},
      {"acos", isa::acos, ::acos, acosl, 4},
      {"atan", isa::atan, ::atan, atanl, 4},
      {"sinh", isa::sinh, ::sinh, sinhl, 4},
      {"cosh", isa::cosh, ::cosh, coshl, 4},
      {"asinh", isa::asinh, ::asinh, asinhl, 4},
      {"acosh", isa::acosh, ::acosh, acoshl, 4},
      {"atanh", isa::atanh, ::atanh, atanhl, 4},
      {"erfc", isa::erfc, ::erfc, erfcl, 4},
  };
  std::vector<float> x;
  for (uint32_t exponent = 0; exponent < 256; ++exponent) {
    const int dense = exponent > 100 && exponent < 140 ? 1200 * kThorough : 60 * kThorough;
    for (int k = 0; k < dense; ++k) {
      const uint32_t mantissa = k == 0 ? 0 : k == 1 ? 0x7fffff : static_cast<uint32_t>(below(1 << 23));
      for (uint32_t sign = 0; sign < 2; ++sign) {
        const uint32_t bits = sign << 31 | exponent << 23 | mantissa;
        float value;
        memcpy(&value, &bits, 4);
        x.push_back(value);
      }
    }
  }
  for (int k = 1; k < 6000 * kThorough; ++k) {  // near the zeros of sin and cos
    x.push_back(static_cast<float>(k * 1.5707963267948966));
    x.push_back(-static_cast<float>(k * 1.5707963267948966 * 37));
  }
  std::vector<double> x64;
  for (int exponent = 0; exponent < 2048; ++exponent) {
    const int dense = exponent > 990 && exponent < 1040 ? 50 * kThorough : kThorough;
    for (int k = 0; k < dense; ++k) {
      const uint64_t mantissa = static_cast<uint64_t>(below(int64_t{1} << 51)) * 2 + static_cast<uint64_t>(k & 1);
      const uint64_t bits = static_cast<uint64_t>(k & 1) << 63 | static_cast<uint64_t>(exponent) << 52 | mantissa;
      double value;
      memcpy(&value, &bits, 8);
      x64.push_back(value);
    }
  }
  for (int k = 1; k < 600 * kThorough; ++k) x64.push_back(k * 1.5707963267948966 * (k % 3 == 0 ? 113 : 1));
  for (const Accurate& f : functions) {
    char text[160];
    double where = 0;
    const double e32 = worst_error<float, double>(f.kernel, x, f.want, ulp32, &where);
    snprintf(text, sizeof(text), "float32 %.2f ULP at %.9g", e32, where);
    expect(e32 <= f.limit, f.name, text);
    printf("  %-8s %s", f.name, text);
    const double e64 = worst_error<double, long double>(f.kernel, x64, f.want_long, ulp64, &where);
    snprintf(text, sizeof(text), "float64 %.2f ULP at %.17g", e64, where);
    expect(e64 <= f.limit, f.name, text);
    printf("; %s\n", text);
  }
}

// --- every op, against a function of doubles

struct UnaryCase {
  const char* name;
  Kernel kernel;
  Function want;
  Doubles params;
  double ulps;           // tolerance in units of the dtype's epsilon; 0 = exact
  bool whole;            // also int32
  double scale = 1e-30;  // magnitude below which errors count as if the value were this
};

double cdf(double x) { return static_cast<double>(0.5L * erfcl(-x * 0.70710678118654752440L)); }
double pdf(double x) { return static_cast<double>(expl(-0.5L * x * x) * 0.39894228040143267794L); }
double plain_sigmoid(double x) { return sigmoid_of<double>(x); }
double gelu_argument(double x) { return 1.5957691216057308 * (x + 0.044715 * x * x * x); }
double far(double x) { return x < -64 ? -64 : x > 64 ? 64 : x; }

const double kBeta = 1.25, kThreshold = 6, kSlope = 0.01, kAlpha = 1.5, kScale = 1.125, kRate = 0.75, kEdge = 0.5;
double log1p_exp(double x) { return fmax(x, 0) + ::log1p(::exp(-::fabs(x))) + (isnan(x) ? x : 0); }
double ramp(double x) { return isnan(x) ? x : fmin(6, fmax(0, x + 3)); }

std::vector<UnaryCase> unary_cases() {
  return {
      {"neg", isa::neg, [](double x) { return -x; }, {}, 0, true},
      {"abs", isa::abs, [](double x) { return ::fabs(x); }, {}, 0, true},
      {"sign", isa::sign, [](double x) { return double(x > 0) - double(x < 0); }, {}, 0, true},
      {"floor", isa::floor, [](double x) { return ::floor(x); }, {}, 0, false},
      {"ceil", isa::ceil, [](double x) { return ::ceil(x); }, {}, 0, false},
      {"round", isa::round, [](double x) { return ::nearbyint(x); }, {}, 0, false},
      {"exp", isa::exp, [](double x) { return ::exp(x); }, {}, 3, false},
      {"log", isa::log, [](double x) { return ::log(x); }, {}, 3, false},
      {"sqrt", isa::sqrt, [](double x) { return ::sqrt(x); }, {}, 0, false},
      {"rsqrt", isa::rsqrt, [](double x) { return 1 / ::sqrt(x); }, {}, 2, false},
      {"reciprocal", isa::reciprocal, [](double x) { return 1 / x; }, {}, 0, false},
      {"square", isa::square, [](double x) { return x * x; }, {}, 0, false},
      {"sin", isa::sin, [](double x) { return ::sin(x); }, {}, 3, false},
      {"cos", isa::cos, [](double x) { return ::cos(x); }, {}, 3, false},
      {"erf", isa::erf, [](double x) { return ::erf(x); }, {}, 3, false},
      {"exp2", isa::exp2, [](double x) { return ::exp2(x); }, {}, 4, false},
      {"expm1", isa::expm1, [](double x) { return ::expm1(x); }, {}, 4, false},
      {"log1p", isa::log1p, [](double x) { return ::log1p(x); }, {}, 4, false},
      {"log2", isa::log2, [](double x) { return ::log2(x); }, {}, 4, false},
      {"log10", isa::log10, [](double x) { return ::log10(x); }, {}, 4, false},
      {"tan", isa::tan, [](double x) { return ::tan(x); }, {}, 4, false},
      {"asin", isa::asin, [](double x) { return ::asin(x); }, {}, 4, false},
      {"acos", isa::acos, [](double x) { return ::acos(x); }, {}, 4, false},
      {"atan", isa::atan, [](double x) { return ::atan(x); }, {}, 4, false},
      {"sinh", isa::sinh, [](double x) { return ::sinh(x); }, {}, 4, false},
      {"cosh", isa::cosh, [](double x) { return ::cosh(x); }, {}, 4, false},
      {"asinh", isa::asinh, [](double x) { return ::asinh(x); }, {}, 4, false},
      {"acosh", isa::acosh, [](double x) { return ::acosh(x); }, {}, 4, false},
      {"atanh", isa::atanh, [](double x) { return ::atanh(x); }, {}, 4, false},
      {"erfc", isa::erfc, [](double x) { return ::erfc(x); }, {}, 4, false},
      {"trunc", isa::trunc, [](double x) { return ::trunc(x); }, {}, 0, false},
      {"tanh", isa::tanh, [](double x) { return ::tanh(x); }, {}, 3, false},
      {"sigmoid", isa::sigmoid, plain_sigmoid, {}, 3, false},
      {"relu", isa::relu, [](double x) { return x <= 0 ? 0 : x; }, {}, 0, false},
      {"gelu", isa::gelu, [](double x) { return x * cdf(x); }, {}, 6, false},
      {"gelu_tanh",
       isa::gelu_tanh,
       [](double x) { return x * plain_sigmoid(gelu_argument(far(x))); },
       {},
       24,
       false,
       1e-4},
      {"silu", isa::silu, [](double x) { return x * plain_sigmoid(x); }, {}, 4, false},
      {"softplus",
       isa::softplus,
       [](double x) {
         return x * kBeta > kThreshold ? x : (fmax(x * kBeta, 0) + log1p(::exp(-::fabs(x * kBeta)))) / kBeta;
       },
       {kBeta, kThreshold},
       8,
       false},
      {"leaky_relu", isa::leaky_relu, [](double x) { return x > 0 ? x : x * kSlope; }, {kSlope}, 2, false},
      {"elu",
       isa::elu,
       [](double x) { return x > 0 ? kScale * x : kScale * kAlpha * ::expm1(kRate * x); },
       {kAlpha, kScale, kRate},
       16,
       false},
      {"mish", isa::mish, [](double x) { return x * ::tanh(log1p_exp(x)); }, {}, 8, false},
      {"log_sigmoid", isa::log_sigmoid, [](double x) { return -log1p_exp(-x); }, {}, 6, false},
      {"softsign", isa::softsign, [](double x) { return x / (1 + ::fabs(x)); }, {}, 2, false},
      {"hardsigmoid", isa::hardsigmoid, [](double x) { return ramp(x) / 6; }, {}, 2, false, 0.5},
      {"hardswish", isa::hardswish, [](double x) { return x * ramp(x) / 6; }, {}, 4, false, 0.5},
      {"softshrink",
       isa::softshrink,
       [](double x) {
         return x > kEdge ? x - kEdge : x < -kEdge ? x + kEdge : isnan(x) ? x : 0;
       },
       {kEdge},
       0,
       false},
      {"hardshrink", isa::hardshrink, [](double x) { return ::fabs(x) <= kEdge ? 0 : x; }, {kEdge}, 0, false},
      {"threshold", isa::threshold, [](double x) { return x <= kEdge ? -7 : x; }, {kEdge, -7}, 0, false},
      {"clamp", isa::clamp, [](double x) { return x < -3  ? -3
                                                  : x > 5 ? 5
                                                          : x; }, {-3, 5}, 0, true},
      {"clamp open", isa::clamp, [](double x) { return x > 5 ? 5 : x; }, {-kInf, 5}, 0, true},
  };
}

struct BackwardCase {
  const char* name;
  Kernel kernel;
  Function2 want;  // (dy, saved)
  Doubles params;
  double ulps;
};

std::vector<BackwardCase> backward_cases() {
  return {
      {"tanh_backward", isa::tanh_backward, [](double g, double y) { return g * (1 - y * y); }, {}, 64},
      {"sigmoid_backward", isa::sigmoid_backward, [](double g, double y) { return g * (y * (1 - y)); }, {}, 64},
      {"relu_backward", isa::relu_backward, [](double g, double y) { return y <= 0 ? 0 : g; }, {}, 0},
      {"gelu_backward", isa::gelu_backward, [](double g, double x) { return g * (cdf(x) + far(x) * pdf(x)); }, {}, 64},
      {"gelu_tanh_backward",
       isa::gelu_tanh_backward,
       [](double g, double x) {
         const double z = far(x), s = plain_sigmoid(gelu_argument(z)), o = plain_sigmoid(-gelu_argument(z));
         return g * (s + z * s * o * 1.5957691216057308 * (1 + 3 * 0.044715 * z * z));
       },
       {},
       400},
      {"silu_backward",
       isa::silu_backward,
       [](double g, double x) { return g * (plain_sigmoid(x) * (1 + x * plain_sigmoid(-x))); },
       {},
       64},
      {"softplus_backward",
       isa::softplus_backward,
       [](double g, double x) { return x * kBeta > kThreshold ? g : g * plain_sigmoid(x * kBeta); },
       {kBeta, kThreshold},
       12},
      {"leaky_relu_backward",
       isa::leaky_relu_backward,
       [](double g, double x) { return x > 0 ? g : g * kSlope; },
       {kSlope},
       2},
      {"elu_backward",
       isa::elu_backward,
       [](double g, double x) { return kScale * g * (x <= 0 ? kAlpha * kRate * ::exp(kRate * x) : 1); },
       {kAlpha, kScale, kRate},
       16},
      {"mish_backward",
       isa::mish_backward,
       [](double g, double x) {
         // The terms cancel near the minimum of mish, hence the wider type.
         const long double z = far(x), t = tanhl(log1pl(expl(z)));
         return static_cast<double>(isnan(x) ? x : g * (t + z * (1 - t * t) / (1 + expl(-z))));
       },
       {},
       64},
      {"log_sigmoid_backward",
       isa::log_sigmoid_backward,
       [](double g, double x) { return g * plain_sigmoid(-x); },
       {},
       6},
      {"softsign_backward",
       isa::softsign_backward,
       [](double g, double x) { return g / ((1 + ::fabs(x)) * (1 + ::fabs(x))); },
       {},
       6},
      {"hardsigmoid_backward",
       isa::hardsigmoid_backward,
       [](double g, double x) { return x > -3 && x < 3 ? g / 6 : 0; },
       {},
       1},
      {"hardswish_backward",
       isa::hardswish_backward,
       [](double g, double x) { return x < -3   ? 0
                                       : x <= 3 ? g * (x / 3 + 0.5)
                                                : g; },
       {},
       64},
      {"clamp_backward",
       isa::clamp_backward,
       [](double g, double x) { return x >= -kEdge && x <= 1.5 ? g : 0; },
       {-kEdge, 1.5},
       0},
      {"hardtanh_backward",
       isa::hardtanh_backward,
       [](double g, double x) { return x <= -kEdge || x >= 1.5 ? 0 : g; },
       {-kEdge, 1.5},
       0},
      {"shrink_backward",
       isa::shrink_backward,
       [](double g, double x) { return x >= -kEdge && x <= 1.5 ? 0 : g; },
       {-kEdge, 1.5},
       0},
  };
}

Doubles map1(const Doubles& x, DType dtype, const Function& f) {
  Doubles r = x;
  for (double& v : r) v = rounded(dtype, f(v));
  return r;
}

void check_unary(const UnaryCase& u, DType dtype, const Shape& shape, Layout from, Layout to) {
  Array x(dtype, shape, from), y(dtype, shape, to);
  x.fill(values_for(dtype, x.view.numel));
  expect(run(u.name, u.kernel, {&x}, {&y}, u.params) == kOk, u.name, "status");
  Doubles want = map1(x.values(), dtype, u.want);
  if (dtype == kInt32)
    for (double& v : want) v = static_cast<int32_t>(static_cast<int64_t>(v));
  compare(u.name, y.values(), want, u.ulps * epsilon_of(dtype), u.scale);
}

void test_unary() {
  for (const UnaryCase& u : unary_cases()) {
    for (DType dtype : {kFloat32, kFloat64, kInt32}) {
      if (dtype == kInt32 && !u.whole) continue;
      for (int64_t n = 0; n <= 67; ++n)
        check_unary(u, dtype, {n}, n % 3 == 2 ? kGaps : kPacked, n % 5 == 4 ? kGaps : kPacked);
      for (const Shape& shape : all_shapes())
        for (Layout from : kLayouts)
          for (Layout to : {kPacked, kReversed}) check_unary(u, dtype, shape, from, to);
      check_unary(u, dtype, {50021}, kPacked, kPacked);
      // In place, and the same bits as beside.
      Array x(dtype, {301}), y(dtype, {301});
      x.fill(values_for(dtype, 301));
      run(u.name, u.kernel, {&x}, {&y}, u.params);
      TestPool pool(1);
      View view = x.view;
      const Call c{&view, &view, u.params.data(), &pool.pool, 1, 1, static_cast<int32_t>(u.params.size())};
      expect(u.kernel(c) == kOk && memcmp(x.memory.data, y.memory.data, x.bytes) == 0, u.name, "in place");
    }
    Array x(kBool, {3}), y(kBool, {3}), z(kFloat32, {3}), w(kFloat32, {4});
    expect(run(u.name, u.kernel, {&x}, {&y}, u.params) == kBadDType, u.name, "bool");
    expect(run(u.name, u.kernel, {&z}, {&w}, u.params) == kBadShape, u.name, "shape");
  }
}

void test_backward() {
  for (const BackwardCase& b : backward_cases()) {
    for (DType dtype : kFloats) {
      const auto check = [&](const Shape& shape, Layout layout) {
        Array dy(dtype, shape, layout), x(dtype, shape), dx(dtype, shape, layout);
        dy.fill(random_values(dy.view.numel, 2, dtype));
        x.fill(values_for(dtype, x.view.numel));
        expect(run(b.name, b.kernel, {&dy, &x}, {&dx}, b.params) == kOk, b.name, "status");
        const Doubles g = dy.values(), v = x.values();
        Doubles want(g.size());
        for (size_t i = 0; i < g.size(); ++i) want[i] = rounded(dtype, b.want(g[i], v[i]));
        compare(b.name, dx.values(), want, b.ulps * epsilon_of(dtype), b.ulps == 0 ? 0 : 0.02);
      };
      for (int64_t n = 0; n <= 67; ++n) check({n}, n % 3 == 2 ? kGaps : kPacked);
      for (const Shape& shape : all_shapes())
        for (Layout layout : kLayouts) check(shape, layout);
      check({20011}, kPacked);
    }
  }
}

// --- two operands

double wrap(DType dtype, double x) {
  if (dtype == kInt32) return static_cast<int32_t>(static_cast<uint32_t>(static_cast<int64_t>(x)));
  if (dtype == kUint8) return static_cast<uint8_t>(static_cast<int64_t>(x));
  return rounded(dtype, x);
}
double floor_quotient(double a, double b) {
  const double q = a / b;
  if (b == 0) return q;
  const long double exact = static_cast<long double>(a) / b;
  const double rest = ::fmod(a, b);
  if (isnan(rest)) return rest;
  double whole = static_cast<double>(roundl(exact - static_cast<long double>(rest) / b));
  if (rest != 0 && (rest < 0) != (b < 0)) whole -= 1;
  return whole;
}
double python_remainder(double a, double b) {
  const double r = ::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
// Integers by 0 give 0.
std::function<double(DType, double, double)> guarded(Function2 f) {
  return [f](DType t, double a, double b) {
    const bool whole = t == kInt32 || t == kUint8;
    return whole && b == 0 ? 0 : wrap(t, f(a, b));
  };
}
double whole_pow(DType t, double a, double b) {
  if (b < 0) return a == 1 ? 1 : a == -1 ? (static_cast<int64_t>(b) % 2 == 0 ? 1 : -1) : 0;
  uint64_t p = 1, base = static_cast<uint64_t>(static_cast<int64_t>(a));
  for (uint64_t e = static_cast<uint64_t>(b); e != 0; e >>= 1, base *= base)
    if (e & 1) p *= base;
  return t == kInt32 ? static_cast<double>(static_cast<int32_t>(static_cast<uint32_t>(p)))
                     : static_cast<double>(p & 255);
}
double wrap_product(DType dtype, double a, double b) {
  if (dtype == kInt32 || dtype == kUint8) {
    const uint64_t p = static_cast<uint64_t>(static_cast<int64_t>(a)) * static_cast<uint64_t>(static_cast<int64_t>(b));
    return dtype == kInt32 ? static_cast<double>(static_cast<int32_t>(static_cast<uint32_t>(p)))
                           : static_cast<double>(p & 255);
  }
  return rounded(dtype, a * b);
}

struct BinaryCase {
  const char* name;
  Kernel kernel;
  std::function<double(DType, double, double)> want;
  std::vector<DType> dtypes;
  bool to_bool;
  double ulps;
  double scale = 1e-30;
};

std::vector<BinaryCase> binary_cases() {
  const std::vector<DType> numbers = {kFloat32, kFloat64, kInt32, kUint8}, floats = {kFloat32, kFloat64},
                           every = {kFloat32, kFloat64, kInt32, kUint8, kBool}, truth = {kBool};
  return {
      {"add", isa::add, [](DType t, double a, double b) { return wrap(t, a + b); }, numbers, false, 0},
      {"sub", isa::sub, [](DType t, double a, double b) { return wrap(t, a - b); }, numbers, false, 0},
      {"mul", isa::mul, wrap_product, numbers, false, 0},
      {"div", isa::div, [](DType t, double a, double b) { return rounded(t, a / b); }, floats, false, 0},
      {"pow", isa::pow,
       [](DType t, double a, double b) {
         return t == kInt32 || t == kUint8 ? whole_pow(t, a, b) : rounded(t, ::pow(a, b));
       },
       numbers, false, 2},
      {"maximum", isa::maximum, [](DType, double a, double b) { return isnan(a) || isnan(b) ? NAN
                                                                       : a > b              ? a
                                                                                            : b; },
       numbers, false, 0},
      {"minimum", isa::minimum, [](DType, double a, double b) { return isnan(a) || isnan(b) ? NAN
                                                                       : a < b              ? a
                                                                                            : b; },
       numbers, false, 0},
      {"trunc_divide",
       isa::trunc_divide,
       guarded([](double a, double b) { return ::trunc(a / b); }),
       {kInt32, kUint8},
       false,
       0},
      {"floor_divide",
       isa::floor_divide,
       guarded([](double a, double b) { return ::floor(a / b); }),
       {kInt32, kUint8},
       false,
       0},
      {"fmod", isa::fmod, guarded([](double a, double b) { return ::fmod(a, b); }), numbers, false, 0},
      {"remainder", isa::remainder, guarded(python_remainder), numbers, false, 0},
      {"fmax", isa::fmax, [](DType, double a, double b) { return ::fmax(a, b); }, floats, false, 0},
      {"fmin", isa::fmin, [](DType, double a, double b) { return ::fmin(a, b); }, floats, false, 0},
      {"atan2", isa::atan2, [](DType t, double a, double b) { return rounded(t, ::atan2(a, b)); }, floats, false, 4},
      {"hypot", isa::hypot, [](DType t, double a, double b) { return rounded(t, ::hypot(a, b)); }, floats, false, 2},
      {"logaddexp", isa::logaddexp,
       [](DType t, double a, double b) {
         const double d = a == b ? 0 : ::fabs(a - b);
         return rounded(t, isnan(a) || isnan(b) ? NAN : ::fmax(a, b) + ::log1p(::exp(-d)));
       },
       floats, false, 8, 0.25},
      {"xlogy", isa::xlogy,
       [](DType t, double a, double b) { return rounded(t, a == 0 && !isnan(b) ? 0 : a * ::log(b)); }, floats, false,
       4},
      {"prelu", isa::prelu, [](DType t, double a, double b) { return rounded(t, a > 0 ? a : a * b); }, floats, false,
       0},
      {"bitwise_and",
       isa::bitwise_and,
       [](DType, double a, double b) { return double(int64_t(a) & int64_t(b)); },
       {kInt32, kUint8, kBool},
       false,
       0},
      {"bitwise_or",
       isa::bitwise_or,
       [](DType, double a, double b) { return double(int64_t(a) | int64_t(b)); },
       {kInt32, kUint8, kBool},
       false,
       0},
      {"bitwise_xor",
       isa::bitwise_xor,
       [](DType, double a, double b) { return double(int64_t(a) ^ int64_t(b)); },
       {kInt32, kUint8, kBool},
       false,
       0},
      {"eq", isa::eq, [](DType, double a, double b) { return double(a == b); }, every, true, 0},
      {"ne", isa::ne, [](DType, double a, double b) { return double(a != b); }, every, true, 0},
      {"lt", isa::lt, [](DType, double a, double b) { return double(a < b); }, every, true, 0},
      {"le", isa::le, [](DType, double a, double b) { return double(a <= b); }, every, true, 0},
      {"gt", isa::gt, [](DType, double a, double b) { return double(a > b); }, every, true, 0},
      {"ge", isa::ge, [](DType, double a, double b) { return double(a >= b); }, every, true, 0},
      {"logical_and", isa::logical_and, [](DType, double a, double b) { return double(a != 0 && b != 0); }, truth, true,
       0},
      {"logical_or", isa::logical_or, [](DType, double a, double b) { return double(a != 0 || b != 0); }, truth, true,
       0},
  };
}

void check_binary(const BinaryCase& b, DType dtype, const Array& x, const Array& y, Array& out) {
  const int64_t n = out.view.numel;
  expect(run(b.name, b.kernel, {const_cast<Array*>(&x), const_cast<Array*>(&y)}, {&out}, {}) == kOk, b.name, "status");
  Doubles want(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i)
    want[static_cast<size_t>(i)] = b.want(dtype, x.get(x.view.ndim == 0 ? 0 : i), y.get(y.view.ndim == 0 ? 0 : i));
  compare(b.name, out.values(), want, b.ulps * epsilon_of(dtype), b.scale);
}

void test_binary() {
  for (const BinaryCase& b : binary_cases()) {
    for (DType dtype : b.dtypes) {
      const DType result = b.to_bool ? kBool : dtype;
      for (int64_t n = 0; n <= 67; ++n) {
        Array x(dtype, {n}), y(dtype, {n}), s(dtype, {}), out(result, {n});
        x.fill(values_for(dtype, n));
        y.fill(values_for(dtype, n));
        s.fill(values_for(dtype, 1));
        check_binary(b, dtype, x, y, out);
        if (n % 7 == 3) {
          check_binary(b, dtype, x, s, out);
          check_binary(b, dtype, s, y, out);
          check_binary(b, dtype, s, s, out);
        }
      }
      for (int k = 0; k < 20 * kThorough; ++k) {
        const Shape shape = random_shape(3000);
        const Scattered x(dtype, shape, true), y(dtype, shape, true);
        Scattered out(result, shape, false);
        check_binary(b, dtype, x, y, out);
      }
      Array x(dtype, {40001}), y(dtype, {40001}), out(result, {40001});
      x.fill(values_for(dtype, 40001));
      y.fill(values_for(dtype, 40001));
      check_binary(b, dtype, x, y, out);
    }
  }
  // Exponents that have a way of their own, and pow's special cases one against another.
  const double points[] = {0.0,  -0.0,  1,   -1,    2,    -2,    3,        -3, 0.5,         -0.5,
                           kInf, -kInf, NAN, 1e-40, 1e30, -1e30, 16777217, 7,  2147483648.0};
  for (DType dtype : kFloats) {
    Array x(dtype, {19}), s(dtype, {}), out(dtype, {19});
    x.fill(Doubles(points, points + 19));
    const BinaryCase pow_case = binary_cases()[4];
    for (double p : points) {
      s.fill({p});
      check_binary(pow_case, dtype, x, s, out);
      check_binary(pow_case, dtype, s, x, out);
      for (int64_t i = 0; i < 19; ++i)
        expect(isnan(out.get(i)) || signbit(out.get(i)) == signbit(::pow(p, x.get(i))), "pow", "sign");
      // Quotients and angles of every pair of special values.
      const auto pairs = [&](const char* name, Kernel kernel, Function2 want, double ulps, bool signs) {
        expect(run(name, kernel, {&x, &s}, {&out}, {}) == kOk, name, "status");
        Doubles wanted;
        for (int64_t i = 0; i < 19; ++i) wanted.push_back(rounded(dtype, want(x.get(i), s.get(0))));
        compare(name, out.values(), wanted, ulps * epsilon_of(dtype), 0);
        for (size_t i = 0; signs && i < 19; ++i)
          expect(isnan(wanted[i]) || signbit(out.get(static_cast<int64_t>(i))) == signbit(wanted[i]), name, "sign");
      };
      pairs(
          "atan2", isa::atan2, [](double a, double b) { return ::atan2(a, b); }, 4, true);
      pairs(
          "hypot", isa::hypot, [](double a, double b) { return ::hypot(a, b); }, 2, true);
      pairs(
          "fmod", isa::fmod, [](double a, double b) { return ::fmod(a, b); }, 0, true);
      pairs(
          "remainder", isa::remainder, [&](double a, double b) { return python_remainder(a, b); }, 0, false);
      pairs("floor_divide", isa::floor_divide, floor_quotient, 2, false);
      pairs(
          "trunc_divide", isa::trunc_divide, [&](double a, double b) { return ::trunc(rounded(dtype, a / b)); }, 0,
          true);
    }
  }
}

// Three operands, any strides.
void test_ternary() {
  struct TernaryCase {
    const char* name;
    Kernel kernel;
    std::function<double(double, double, double)> want;
    Doubles params;
  };
  const TernaryCase cases[] = {
      {"lerp", isa::lerp, [](double a, double b, double w) { return a + w * (b - a); }, {}},
      {"addcmul", isa::addcmul, [](double x, double a, double b) { return x + 0.5 * a * b; }, {0.5}},
      {"addcdiv", isa::addcdiv, [](double x, double a, double b) { return x + 0.5 * a / b; }, {0.5}},
      {"prelu_backward", isa::prelu_backward, [](double g, double x, double w) { return x > 0 ? g : g * w; }, {}},
  };
  for (const TernaryCase& t : cases) {
    for (DType dtype : kFloats) {
      for (int k = 0; k < 68 + 20 * kThorough; ++k) {
        const Shape shape = k < 68 ? Shape{k} : random_shape(3000);
        Scattered a(dtype, shape, true), b(dtype, shape, true), c(dtype, shape, true), out(dtype, shape, false);
        for (Array* x : std::initializer_list<Array*>{&a, &b, &c}) x->fill(random_values(x->view.numel, 2, dtype));
        expect(run(t.name, t.kernel, {&a, &b, &c}, {&out}, t.params) == kOk, t.name, "status");
        Doubles want, x = a.values(), y = b.values(), z = c.values();
        for (size_t i = 0; i < x.size(); ++i) want.push_back(rounded(dtype, t.want(x[i], y[i], z[i])));
        compare(t.name, out.values(), want, 8 * epsilon_of(dtype), 4);
      }
    }
    Array x(kFloat32, {3}), whole(kInt32, {3});
    expect(run(t.name, t.kernel, {&x, &x, &whole}, {&x}, t.params) == kBadDType, t.name, "dtype");
  }
}

void test_where_and_tests() {
  for (DType dtype : {kFloat32, kFloat64, kInt32, kUint8, kBool}) {
    for (int k = 0; k < 68 + 20 * kThorough; ++k) {
      const Shape shape = k < 68 ? Shape{k} : random_shape(3000);
      Scattered condition(kBool, shape, true), a(dtype, shape, true), b(dtype, shape, true);
      Scattered out(dtype, shape, false), not_a(kBool, shape, false), finite(kBool, shape, false);
      expect(run("where", isa::where, {&condition, &a, &b}, {&out}, {}) == kOk, "where", "status");
      expect(run("logical_not", isa::logical_not, {&a}, {&not_a}, {}) == kOk, "logical_not", "status");
      const bool is_real = dtype == kFloat32 || dtype == kFloat64;
      expect(run("isfinite", isa::isfinite, {&a}, {&finite}, {}) == (is_real ? kOk : kBadDType), "isfinite", "status");
      Doubles want, want_not, want_finite;
      for (int64_t i = 0; i < out.view.numel; ++i) {
        want.push_back(condition.get(i) != 0 ? a.get(i) : b.get(i));
        want_not.push_back(a.get(i) == 0);
        want_finite.push_back(::isfinite(a.get(i)));
      }
      compare("where", out.values(), want, 0);
      compare("logical_not", not_a.values(), want_not, 0);
      if (is_real) compare("isfinite", finite.values(), want_finite, 0);
    }
  }
}

// Results that bypass the caches have the bits of small ones: the last of them are computed again by themselves.
void test_large() {
  constexpr int64_t n = (int64_t{4} << 20) + 48, columns = 1024, part = 1001;
  const Doubles values = random_values(4099, 3, kFloat32);
  const auto fill = [&](Array& a, int64_t start) {
    for (int64_t i = 0; i < a.view.numel; ++i)
      reinterpret_cast<float*>(a.memory.data)[i] =
          static_cast<float>(values[static_cast<size_t>(start + i) % values.size()]);
  };
  Array x(kFloat32, {n}), g(kFloat32, {n}), y(kFloat32, {n}), one(kFloat32, {});
  Array few_x(kFloat32, {part}), few_g(kFloat32, {part}), few_y(kFloat32, {part});
  fill(x, 0);
  fill(g, 1000);
  fill(few_x, n - part);
  fill(few_g, n - part + 1000);
  one.set(0, 1.25);
  const auto check = [&](const char* name, Kernel kernel, const Arrays& large, const Arrays& small) {
    expect(run(name, kernel, large, {&y}, {}) == kOk && run(name, kernel, small, {&few_y}, {}) == kOk, name, "status");
    expect(memcmp(y.memory.data + y.bytes - few_y.bytes, few_y.memory.data, few_y.bytes) == 0, name, "large");
  };
  check("gelu", isa::gelu, {&x}, {&few_x});
  check("gelu_backward", isa::gelu_backward, {&g, &x}, {&few_g, &few_x});
  check("add", isa::add, {&x, &g}, {&few_x, &few_g});
  check("add of one", isa::add, {&x, &one}, {&few_x, &one});
  check("one added", isa::add, {&one, &x}, {&one, &few_x});

  constexpr int64_t rows = (int64_t{4} << 20) / columns + 5;
  Array many(kFloat32, {rows, columns}), line(kFloat32, {columns}), sum(kFloat32, {rows, columns});
  Array last(kFloat32, {columns}), last_sum(kFloat32, {columns});
  fill(many, 0);
  fill(line, 7);
  memcpy(last.memory.data, many.memory.data + many.bytes - last.bytes, last.bytes);
  expect(run("add", isa::add, {&last, &line}, {&last_sum}, {}) == kOk, "add", "last row");
  line.view = many.view;
  line.view.data = line.memory.data;
  line.view.strides[0] = 0;
  line.view.contiguous = false;
  expect(run("add", isa::add, {&many, &line}, {&sum}, {}) == kOk, "add", "rows");
  expect(memcmp(sum.memory.data + sum.bytes - last_sum.bytes, last_sum.memory.data, last_sum.bytes) == 0, "add",
         "large rows");
}

}  // namespace

int main() {
  static constexpr std::initializer_list<void (*)()> tests = {
      test_accuracy, test_unary, test_backward, test_binary, test_ternary, test_where_and_tests, test_large};
  return run_tests(tests);
}
