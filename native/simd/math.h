// Elementary functions on vectors of float and double: one source for both types and every instruction set, no tables.
// Errors are at most 4 ULP (most stay below 2) over all binades; NaN, infinities and subnormals as in C.
//   exp log log1p_unit tanh erf sigmoid sin cos pow          expm1 (x <= 80)
//   gelu(x) = x Φ(x) and normal_pdf_cdf, for its gradient       softplus(x) = log(1 + e^x)
// Polynomials are minimax fits (Remez); coefficients go from the constant term up.
#pragma once
#include <math.h>
#include <stdint.h>

#include "simd.h"

namespace myelin {
namespace MYELIN_ISA {

template <class T>
struct MathData;

template <>
struct MathData<float> {
  static constexpr float exp_high = 89.0f, exp_low = -104.5f;  // e^x is inf above, 0 below
  static constexpr float expm1_low = -18.0f;                   // -1 below
  static constexpr float ln2_high = 0x1.62e4p-1f, ln2_low = 1.428606820309417e-6f;
  static constexpr float shift = 12582912.0f;  // 1.5·2^23: adding it rounds to an integer, left in the low bits
  static constexpr float min_normal = 0x1p-126f, subnormal_scale = 0x1p24f;
  static constexpr int subnormal_exponent = 24;
  static constexpr int32_t sqrt_half_bits = 0x3f3504f3;
  static constexpr int32_t split_mask = ~0xfff;  // keeps half of the mantissa
  static constexpr float tanh_one = 10.0f;       // tanh is 1 from here
  static constexpr float erfc_zero = 11.0f;      // erfc is 0 from here
  static constexpr float cdf_zero = 15.0f;       // Φ(-x) is 0 from here
  static constexpr float erfcx_center = 2.0f;
  // (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2
  static constexpr float expm1_q[] = {0.5000000027f, 0.1666657664f, 0.0416663741f, 0.008363235729f, 0.001394121651f};
  // (2 atanh(s) - 2 s) / s^3 in s^2, |s| <= (√2 - 1) / (√2 + 1)
  static constexpr float log_p[] = {0.6666666655f, 0.4000012347f, 0.2855065645f, 0.2333457099f};
  // (sin r - r) / r^3 and (cos r - 1 + r^2/2) / r^4 in r^2, |r| <= π/4
  static constexpr float sin_p[] = {-0.1666666466f, 0.008332746685f, -0.0001958750687f};
  static constexpr float cos_p[] = {0.04166666465f, -0.001388830132f, 2.454753719e-5f};
  // erf(x) / x in x^2, |x| <= 1
  static constexpr float erf_p[] = {1.128379166f,   -0.3761262583f,    0.1128358515f,  -0.02685381185f,
                                    0.00518832732f, -0.0008010189247f, 7.853844046e-5f};
  // e^(t^2) erfc(t) in u = (t - c) / (t + c), 0 <= t <= erfc_zero
  static constexpr float erfcx_p[] = {0.2553956826f,   -0.4271859389f,  0.2416578558f,     -0.07897602329f,
                                      0.003735898901f, 0.006978887306f, -0.0008582858304f, -0.0009290155245f,
                                      6.706817528e-5f, 0.0001103457348f};
};

template <>
struct MathData<double> {
  static constexpr double exp_high = 710.0, exp_low = -746.0;
  static constexpr double expm1_low = -40.0;
  static constexpr double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
  static constexpr double shift = kIntegerShift;
  static constexpr double min_normal = 0x1p-1022, subnormal_scale = 0x1p54;
  static constexpr int subnormal_exponent = 54;
  static constexpr int64_t sqrt_half_bits = 0x3fe6a09e667f3bcd;
  static constexpr int64_t split_mask = ~0x7ffffffLL;
  static constexpr double tanh_one = 20.0;
  static constexpr double erfc_zero = 28.0;
  static constexpr double cdf_zero = 39.0;
  static constexpr double erfcx_center = 4.0;
  static constexpr double expm1_q[] = {0.50000000000000010317,   0.16666666666666674601,   0.041666666666623811465,
                                       0.0083333333333221269097, 0.0013888888917370847547, 0.00019841269886836391551,
                                       0.000024801521052860205,  2.7557242059340425888e-6, 2.7620203671600249022e-7,
                                       2.5110154340462049191e-8};
  static constexpr double log_p[] = {0.66666666666666666459, 0.40000000000000898837, 0.28571428570790881351,
                                     0.22222222394481655678, 0.18181795354765554552, 0.15386254752140286472,
                                     0.13268380848577830153, 0.13090631973202976215};
  static constexpr double sin_p[] = {-0.16666666666666664602,  0.0083333333333309264996,  -0.00019841269836724880526,
                                     2.7557316084929949353e-6, -2.5051128149984579632e-8, 1.5917861853805836131e-10};
  static constexpr double cos_p[] = {0.041666666666666665375,  -0.0013888888888887383351, 0.000024801587298744438965,
                                     -2.755731726062794097e-7, 2.0876143942503406172e-9,  -1.138246418841753882e-11};
  static constexpr double erf_p[] = {1.1283791670955125737,     -0.37612638903183747604,     0.11283791670954857469,
                                     -0.026866170645072891167,  0.0052239776247808346541,    -0.00085483269787405676193,
                                     0.00012055331036846668256, -0.000014925593505766363022, 1.6460972801190717729e-6,
                                     -1.6350025076223881226e-7, 1.4657878989888878528e-8,    -1.1365663136628493368e-9,
                                     5.9452576939415425229e-11};
  static constexpr double erfcx_p[] = {
      0.13699945762506138987,      -0.25906804876017163847,    0.21871967891826490091,      -0.16425781669730916972,
      0.10896317739890453412,      -0.063107815639735679424,   0.031299056518700013027,     -0.012843946031377136553,
      0.0040602636237963860169,    -0.00079912681305690952086, -0.000021761720999268620893, 0.000078983172775990174624,
      -0.000022556033789665319265, -1.9031460606002344204e-6,  2.9445406552727655407e-6,    -4.0898142540930382214e-7,
      -2.8411260022886351764e-7,   9.6735045297405676629e-8,   2.5466440395878366212e-8,    -1.5915156851719320136e-8,
      -2.5505177848771070065e-9,   2.3159917898626113364e-9,   3.8994200727706707724e-10,   -2.3991774237002255898e-10,
      -6.425601186974092813e-11};
};

template <class T, int N>
MYELIN_INLINE Vec<T> polynomial(Vec<T> x, const T (&c)[N]) {
  Vec<T> r = set1<T>(c[N - 1]);
  for (int i = N - 2; i >= 0; i--) r = fma(r, x, set1<T>(c[i]));
  return r;
}

template <class T>
MYELIN_INLINE Vec<T> infinity() {
  return set1<T>(static_cast<T>(INFINITY));
}

// a·2^n with n + 2·bias >= 0, rounding a second time only where the result is subnormal.
template <class T>
MYELIN_INLINE Vec<T> scale(Vec<T> a, Vec<Int<T>> n) {
  constexpr int mantissa = FloatFormat<T>::mantissa;
  const Vec<Int<T>> both = n + set1<Int<T>>(2 * FloatFormat<T>::bias);
  const Vec<Int<T>> half = shift_right_logical(both, 1);
  return a * from_bits<T>(half << mantissa) * from_bits<T>((both - half) << mantissa);
}

// x + low = n ln 2 + r with |r| <= ln 2 / 2; low is a correction below half an ULP of x.
template <class T>
struct ExpArgument {
  Vec<T> r;
  Vec<Int<T>> n;
};
template <class T>
MYELIN_INLINE ExpArgument<T> split_exp(Vec<T> x) {
  using D = MathData<T>;
  const Vec<T> shift = set1<T>(D::shift);
  const Vec<T> shifted = fma(x, set1<T>(static_cast<T>(1.4426950408889634)), shift);
  const Vec<T> n = shifted - shift;
  const Vec<T> r = fnma(n, set1<T>(D::ln2_low), fnma(n, set1<T>(D::ln2_high), x));
  return {r, bits(shifted) - bits(shift)};
}

template <class T>
MYELIN_INLINE Vec<T> exp_clamp(Vec<T> x) {
  using D = MathData<T>;
  return max(set1<T>(D::exp_low), min(set1<T>(D::exp_high), x));
}
template <class T>
MYELIN_INLINE Vec<T> exp_finish(ExpArgument<T> a) {
  const Vec<T> p = fma(a.r * a.r, polynomial(a.r, MathData<T>::expm1_q), a.r);
  return scale(set1<T>(1) + p, a.n);
}

template <class T>
MYELIN_INLINE Vec<T> exp(Vec<T> x) {
  return exp_finish(split_exp(exp_clamp(x)));
}
// e^(x + low), low below an ULP or so of x.
template <class T>
MYELIN_INLINE Vec<T> exp_sum(Vec<T> x, Vec<T> low) {
  ExpArgument<T> a = split_exp(exp_clamp(x));
  a.r = a.r + low;
  return exp_finish(a);
}

// e^x - 1 for x <= 80, as 2^n (e^r - 1) + (2^n - 1).
template <class T>
MYELIN_INLINE Vec<T> expm1(Vec<T> x) {
  const ExpArgument<T> a = split_exp(max(set1<T>(MathData<T>::expm1_low), x));
  const Vec<T> p = fma(a.r * a.r, polynomial(a.r, MathData<T>::expm1_q), a.r);
  const Vec<T> power = pow2<T>(a.n);
  return fma(p, power, power - set1<T>(1));
}

// x = 2^k (1 + f) with √½ <= 1 + f < √2, and log(1 + f) = f - (f^2/2 - s (f^2/2 + s^2 P(s^2))), s = f / (2 + f).
template <class T>
struct LogParts {
  Vec<T> exponent, f, half_square, s, rest;  // rest = f^2/2 + s^2 P(s^2)
};
template <class T>
MYELIN_INLINE LogParts<T> split_log(Vec<T> x) {
  using D = MathData<T>;
  using I = Int<T>;
  constexpr int mantissa = FloatFormat<T>::mantissa;
  constexpr I bias = FloatFormat<T>::bias;
  const Mask<T> subnormal = x < set1<T>(D::min_normal);
  const Vec<T> y = select(subnormal, x * set1<T>(D::subnormal_scale), x);
  const Vec<I> offset = set1<I>(D::sqrt_half_bits - (bias << mantissa));
  const Vec<I> k = shift_right_logical(bits(y) - offset, mantissa) - set1<I>(bias);
  const Vec<T> f = from_bits<T>(bits(y) - (k << mantissa)) - set1<T>(1);
  const Vec<T> exponent = to_float<T>(k) - zero_unless(subnormal, set1<T>(D::subnormal_exponent));
  const Vec<T> s = f / (set1<T>(2) + f), z = s * s, half_square = set1<T>(static_cast<T>(0.5)) * f * f;
  return {exponent, f, half_square, s, half_square + z * polynomial(z, D::log_p)};
}
// What a logarithm is at the ends: infinity at itself, -infinity at 0, NaN below.
template <class T>
MYELIN_INLINE Vec<T> log_ends(Vec<T> x, Vec<T> result) {
  result = select(x == infinity<T>(), x, result);
  result = select(x == zero<T>(), -infinity<T>(), result);
  return select(x >= zero<T>(), result, set1<T>(static_cast<T>(NAN)));
}
// k ln 2 + log(1 + f)
template <class T>
MYELIN_INLINE Vec<T> log(Vec<T> x) {
  using D = MathData<T>;
  const LogParts<T> a = split_log(x);
  const Vec<T> small = fma(a.s, a.rest, a.exponent * set1<T>(D::ln2_low)) - a.half_square;
  return log_ends(x, fma(a.exponent, set1<T>(D::ln2_high), a.f + small));
}

// log(1 + z) for 0 <= z <= 1.
template <class T>
MYELIN_INLINE Vec<T> log1p_unit(Vec<T> z) {
  const Vec<T> u = set1<T>(1) + z;
  return log(u) + (z - (u - set1<T>(1))) / u;
}
// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|).
template <class T>
MYELIN_INLINE Vec<T> softplus(Vec<T> x) {
  return max_nan(x, zero<T>()) + log1p_unit(exp(-abs(x)));
}

// With t = e^(2|x|) - 1: tanh|x| = t / (t + 2).
template <class T>
MYELIN_INLINE Vec<T> tanh(Vec<T> x) {
  const Vec<T> a = min(set1<T>(MathData<T>::tanh_one), abs(x));
  const Vec<T> t = expm1(a + a);
  return copysign(t / (t + set1<T>(2)), x);
}

// 1 / (1 + e^-x) for x >= 0, else e^x / (1 + e^x).
template <class T>
MYELIN_INLINE Vec<T> sigmoid(Vec<T> x) {
  const Vec<T> e = exp(-abs(x)), one = set1<T>(1);
  return select(x < zero<T>(), e, one) / (one + e);
}

// e^(-t^2) and e^(-t^2 / 2), with the square carried in two parts.
template <class T>
MYELIN_INLINE Vec<T> exp_minus_square(Vec<T> t, T factor) {
  const Vec<T> scaled = t * set1<T>(-factor);  // exact: factor is 1 or 1/2
  if constexpr (kHasFma) {
    const Vec<T> square = t * scaled;
    return exp_sum(square, fma(t, scaled, -square));
  } else {
    const Vec<T> head = from_bits<T>(bits(t) & set1<Int<T>>(MathData<T>::split_mask));
    return exp_sum(head * head * set1<T>(-factor), (t - head) * (t + head) * set1<T>(-factor));
  }
}

template <class T>
MYELIN_INLINE Vec<T> erf(Vec<T> x) {
  using D = MathData<T>;
  const Vec<T> a = abs(x), one = set1<T>(1);
  const Vec<T> near_zero = x * polynomial(x * x, D::erf_p);
  const Vec<T> t = min(set1<T>(D::erfc_zero), a);
  const Vec<T> u = (t - set1<T>(D::erfcx_center)) / (t + set1<T>(D::erfcx_center));
  const Vec<T> far = one - exp_minus_square(t, T(1)) * polynomial(u, D::erfcx_p);
  return select(a < one, near_zero, copysign(far, x));
}

// Φ(x), the normal distribution function, and its density φ(x); relative accuracy also in the lower tail.
template <class T>
struct NormalPdfCdf {
  Vec<T> pdf, cdf;
};
template <class T>
MYELIN_INLINE NormalPdfCdf<T> normal_pdf_cdf(Vec<T> x) {
  using D = MathData<T>;
  const Vec<T> a = min(set1<T>(D::cdf_zero), abs(x));
  const Vec<T> center = set1<T>(static_cast<T>(D::erfcx_center * 1.4142135623730951));
  const Vec<T> half = set1<T>(static_cast<T>(0.5));
  const Vec<T> e = exp_minus_square(a, static_cast<T>(0.5));
  const Vec<T> tail = half * e * polynomial((a - center) / (a + center), D::erfcx_p);
  return {e * set1<T>(static_cast<T>(0.3989422804014327)), select(x < zero<T>(), tail, set1<T>(1) - tail)};
}
}  // namespace MYELIN_ISA
}  // namespace myelin
#include "single.h"
namespace myelin {
namespace MYELIN_ISA {

// Float vectors as two vectors of doubles, and back.
struct DoublePair {
  Vec<double> low, high;
};
typedef float HalfFloats __attribute__((vector_size(kVectorBytes / 2)));
MYELIN_INLINE DoublePair widen(Vec<float> x) {
  HalfFloats half[2];
  __builtin_memcpy(half, &x.v, kVectorBytes);
  return {{__builtin_convertvector(half[0], Vec<double>::Raw)}, {__builtin_convertvector(half[1], Vec<double>::Raw)}};
}
MYELIN_INLINE Vec<float> narrow(DoublePair x) {
  const HalfFloats half[2] = {__builtin_convertvector(x.low.v, HalfFloats),
                              __builtin_convertvector(x.high.v, HalfFloats)};
  Vec<float> r;
  __builtin_memcpy(&r.v, half, kVectorBytes);
  return r;
}

// x = q π/2 + (r + low), |r| <= π/4 or little more. Multiples of the first three parts of π/2 are exact for |q| < 2^20.
inline constexpr double kTrigLimit = 1.5e6;
inline constexpr double kHalfPi[] = {0x1.921fb544p+0, 0x1.0b4611a6p-34, 0x1.3198a2ep-69, 0x1.b839a252049c1p-104};
inline constexpr double kHalfPiRest = 0x1.0b4611a626331p-34;  // π/2 - kHalfPi[0]
inline constexpr double kTwoOverPi = 0.6366197723675814;

template <class T>
struct TrigArgument {
  Vec<T> r, low;
  Vec<Int<T>> quadrant;
};
struct TrigStep {
  Vec<double> value, error;
};
// a - b and what rounding took from it.
MYELIN_INLINE TrigStep subtract_exactly(Vec<double> a, Vec<double> b) {
  const Vec<double> d = a - b, bb = a - d;
  return {d, (a - (d + bb)) + (bb - b)};
}
MYELIN_INLINE TrigArgument<double> split_trig(Vec<double> x) {
  const Vec<double> shift = set1<double>(kIntegerShift);
  const Vec<double> shifted = fma(x, set1<double>(kTwoOverPi), shift), q = shifted - shift;
  const Vec<double> first = x - q * set1<double>(kHalfPi[0]);
  const TrigStep second = subtract_exactly(first, q * set1<double>(kHalfPi[1]));
  const TrigStep third = subtract_exactly(second.value, q * set1<double>(kHalfPi[2]));
  const Vec<double> rest = fnma(q, set1<double>(kHalfPi[3]), second.error + third.error);
  const Vec<double> r = third.value + rest;
  return {r, (third.value - r) + rest, bits(shifted)};
}
// In double, which leaves room enough: a float is never closer to a multiple of π/2 than about 2^-30.
MYELIN_INLINE TrigArgument<float> split_trig(Vec<float> x) {
  DoublePair part = widen(x), q;
  Vec<double>* const parts[] = {&part.low, &part.high};
  Vec<double>* const multiples[] = {&q.low, &q.high};
  const Vec<double> shift = set1<double>(kIntegerShift);
  for (int i = 0; i < 2; i++) {
    const Vec<double> n = fma(*parts[i], set1<double>(kTwoOverPi), shift) - shift;
    *multiples[i] = n;
    *parts[i] = (*parts[i] - n * set1<double>(kHalfPi[0])) - n * set1<double>(kHalfPiRest);
  }
  return {narrow(part), zero<float>(), to_int(narrow(q))};
}

// sin r and cos r, and how many times π/2 was taken from x.
template <class T>
struct SineCosine {
  Vec<T> sine, cosine;
  Vec<Int<T>> quadrant;
};
template <class T>
MYELIN_INLINE SineCosine<T> sine_cosine(Vec<T> x) {
  using D = MathData<T>;
  const TrigArgument<T> a = split_trig(x);
  const Vec<T> z = a.r * a.r, half = set1<T>(static_cast<T>(0.5));
  const Vec<T> sine = a.r + fma(a.r * z, polynomial(z, D::sin_p), fnma(half * z, a.low, a.low));
  const Vec<T> w = half * z, top = set1<T>(1) - w;
  const Vec<T> cosine = top + (((set1<T>(1) - top) - w) + fnma(a.r, a.low, z * z * polynomial(z, D::cos_p)));
  return {sine, cosine, a.quadrant};
}
template <class T>
MYELIN_INLINE Mask<T> is_odd(Vec<Int<T>> n) {
  return (n & set1<Int<T>>(1)) == set1<Int<T>>(1);
}
// sin(x + turns π/2)
template <class T>
MYELIN_INLINE Vec<T> trig(Vec<T> x, int turns) {
  const SineCosine<T> a = sine_cosine(x);
  const Vec<Int<T>> quadrant = a.quadrant + set1<Int<T>>(turns);
  const Vec<Int<T>> sign = (quadrant & set1<Int<T>>(2)) << (static_cast<int>(sizeof(T)) * 8 - 2);
  return from_bits<T>(bits(select(is_odd<T>(quadrant), a.cosine, a.sine)) ^ sign);
}

// Lanes beyond the exact reduction go through the C library.
template <class T>
__attribute__((noinline)) inline void trig_far(T* result, const T* x, int n, double (*exact)(double)) {
  for (int i = 0; i < n; i++) {
    const double value = static_cast<double>(x[i]);
    if (::fabs(value) > kTrigLimit) result[i] = static_cast<T>(exact(value));
  }
}
template <class T>
MYELIN_INLINE Vec<T> with_far(Vec<T> x, Vec<T> near_result, double (*exact)(double)) {
  if (!any(abs(x) > set1<T>(static_cast<T>(kTrigLimit)))) return near_result;
  alignas(kVectorBytes) T values[Vec<T>::N], results[Vec<T>::N];
  store(values, x);
  store(results, near_result);
  trig_far(results, values, Vec<T>::N, exact);
  return load(results);
}
template <class T>
MYELIN_INLINE Vec<T> sin(Vec<T> x) {
  return select(x == zero<T>(), x, with_far(x, trig(x, 0), ::sin));
}
template <class T>
MYELIN_INLINE Vec<T> cos(Vec<T> x) {
  return with_far(x, trig(x, 1), ::cos);
}

// x^y in double: e^(y log|x|) is then good to far below half an ULP of float; special cases as in C.
MYELIN_INLINE Vec<float> pow(Vec<float> x, Vec<float> y) {
  const DoublePair base = widen(abs(x)), exponent = widen(y);
  Vec<float> r = narrow({exp(exponent.low * log(base.low)), exp(exponent.high * log(base.high))});
  const Vec<float> one = set1<float>(1), none = zero<float>(), inf = infinity<float>();
  const Mask<float> integer = round(y) == y;
  const Mask<float> small = abs(y) < set1<float>(16777216.0f);  // all larger floats are even
  const Vec<int32_t> parity = to_int(zero_unless(small, y)) & set1<int32_t>(1);
  const Mask<float> odd = integer & (parity == set1<int32_t>(1));
  const Mask<float> negative = bits(x) < zero<int32_t>();
  r = select(odd & negative, -r, r);
  r = select((x < none) & (x > -inf) & ~integer, set1<float>(NAN), r);
  r = select((abs(x) == one) & (abs(y) == inf), one, r);
  return select((x == one) | (y == none), one, r);
}
MYELIN_INLINE Vec<double> pow(Vec<double> x, Vec<double> y) {
  constexpr int N = Vec<double>::N;
  alignas(kVectorBytes) double a[N], b[N];
  store(a, x);
  store(b, y);
  for (int i = 0; i < N; i++) a[i] = ::pow(a[i], b[i]);
  return load(a);
}

}  // namespace MYELIN_ISA
}  // namespace myelin
