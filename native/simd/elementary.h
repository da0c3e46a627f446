// Elementary functions that are built from those of math.h: one source for both types and every instruction set.
// Errors are at most 4 ULP over all binades; NaN, infinities, signed zeros and subnormals as in C.
//   exp2 expm1_any log1p log2 log10    tan asin acos atan atan2    sinh cosh asinh acosh atanh    erfc
//   hypot   log_add_exp(a, b) = log(e^a + e^b)   fmod   remainder (sign of the divisor)   floor_divide
#pragma once
#include "math.h"

namespace myelin {
namespace MYELIN_ISA {

template <class T>
struct InverseData;

template <>
struct InverseData<float> {
  static constexpr float exp2_high = 129.0f, exp2_low = -151.0f;
  static constexpr float half_exp_high = 91.0f;  // e^x / 2 is inf above
  static constexpr float log_big = 0x1p24f;      // x + 1 is x from here
  static constexpr float log2_e = 1.44269504f, log2_e_low = 1.92596299e-8f;
  static constexpr float log10_e = 0.434294492f, log10_e_low = -1.01030501e-8f;
  static constexpr float log10_2_high = 0x1.344p-2f, log10_2_low = 4.60503898e-6f;
  static constexpr float half_pi = 1.57079637f, half_pi_low = -4.37113883e-8f;
  static constexpr float atan_large = 0x1p120f, atan_small = 0x1p-90f, atan_up = 0x1p30f;
  // (1 + 2t) e^(t^2) erfc(t) in (t - c) / (t + c), t >= 0
  static constexpr float erfc_center = 2.0f;
  static constexpr float erfc_p[] = {1.276978395f,     -0.0927639959f,   -0.166031569f,   0.164055628f,
                                     -0.05420251879f,  -0.008060730648f, 0.008624687679f, 0.001311984156f,
                                     -0.001221358664f, -0.0003952302457f};
  // (asin x - x) / x^3 and (atan x - x) / x^3 in x^2, |x| <= 1/2 and tan(π/8)
  static constexpr float asin_p[] = {0.1666665985f,  0.07500512130f, 0.04451547116f,
                                     0.03181981996f, 0.01439379989f, 0.03757816661f};
  static constexpr float atan_p[] = {-0.3333331550f, 0.1999848891f, -0.1424383804f, 0.1059591782f, -0.06083229725f};
};

template <>
struct InverseData<double> {
  static constexpr double exp2_high = 1025.0, exp2_low = -1076.0;
  static constexpr double half_exp_high = 712.0;
  static constexpr double log_big = 0x1p53;
  static constexpr double log2_e = 0x1.71547652b82fep+0, log2_e_low = 0x1.777d0ffda0d24p-56;
  static constexpr double log10_e = 0x1.bcb7b1526e50ep-2, log10_e_low = 0x1.95355baaafad3p-57;
  static constexpr double log10_2_high = 0x1.34413509f79p-2, log10_2_low = 0x1.fde623e2566b0p-47;
  static constexpr double half_pi = 0x1.921fb54442d18p+0, half_pi_low = 0x1.1a62633145c07p-54;
  static constexpr double atan_large = 0x1p1000, atan_small = 0x1p-900, atan_up = 0x1p200;
  static constexpr double erfc_center = 3.0;
  static constexpr double erfc_p[] = {
      1.2530080582697296484,    -0.13562110612458058107,    -0.047562294353449608254,   0.12964515870269395686,
      -0.11927366341537168803,  0.068308027346194298424,    -0.023770514917158318287,   0.0025293917821428282332,
      0.0018886903393825050771, -0.00077983198448817126826, -0.00010515963488532798404, 0.00012509786997527117687,
      4.9485972468297447701e-6, -0.00002009569910821114539, -7.2839254616172268063e-7,  3.4620535372633076555e-6,
      3.4970056292290485619e-7, -6.0252293346664362727e-7,  -1.3114951848413723643e-7,  9.0093333810249686962e-8,
      3.2491797824902220869e-8, -7.9611201280472028989e-9,  -3.9801432964786978366e-9};
  static constexpr double asin_p[] = {0.16666666666666659497,   0.075000000000025593792,   0.044642857139658234629,
                                      0.030381944646325112036,  0.022372151548946188692,   0.017352946366636076186,
                                      0.013961859355721041036,  0.01158610783291653162,    0.009481098444497631828,
                                      0.010023623533649953043,  0.00063557605912547559146, 0.02492891739815328296,
                                      -0.026282398758664139532, 0.033720726811539018753};
  static constexpr double atan_p[] = {-0.33333333333333327583,  0.19999999999997691208,   -0.1428571428539078282,
                                      0.11111111088350970336,   -0.090909081507854963605, 0.076922829003323062522,
                                      -0.066662288522553388279, 0.058770423394790752553,  -0.052185367975212809905,
                                      0.045040885703575173419,  -0.033487026390119601272, 0.015207937475259933212};
};

// --- powers and logarithms

// x = n + r: the product r ln 2 is all that rounds before e^r.
template <class T>
MYELIN_INLINE Vec<T> exp2(Vec<T> x) {
  using D = InverseData<T>;
  const Vec<T> clamped = max(set1<T>(D::exp2_low), min(set1<T>(D::exp2_high), x));
  const Vec<T> shift = set1<T>(MathData<T>::shift), shifted = clamped + shift;
  const Vec<T> r = clamped - (shifted - shift);
  return exp_finish(ExpArgument<T>{r * set1<T>(static_cast<T>(0.6931471805599453)), bits(shifted) - bits(shift)});
}

// e^x - 1 for any x, as 2^n ((e^r - 1) + (1 - 2^-n)).
template <class T>
MYELIN_INLINE Vec<T> expm1_any(Vec<T> x) {
  const Vec<T> bounded = max(set1<T>(MathData<T>::expm1_low), min(set1<T>(MathData<T>::exp_high), x));
  const ExpArgument<T> a = split_exp(bounded);
  const Vec<T> p = fma(a.r * a.r, polynomial(a.r, MathData<T>::expm1_q), a.r);
  const Vec<Int<T>> far = set1<Int<T>>(FloatFormat<T>::bias - 2);
  const Vec<T> rest = set1<T>(1) - pow2<T>(zero<Int<T>>() - min(a.n, far));
  return select(x == zero<T>(), x, scale(p + rest, a.n));
}

// log(1 + x), with what rounding took from 1 + x put back.
template <class T>
MYELIN_INLINE Vec<T> log1p(Vec<T> x) {
  const Vec<T> one = set1<T>(1), u = one + x;
  const Vec<T> lost = zero_unless(abs(x) < set1<T>(InverseData<T>::log_big), (x - (u - one)) / u);
  const Vec<T> result = log(u) + zero_unless(u > zero<T>(), lost);
  return select(u == one, x, result);
}

// log(1 + f) · (high + low)
template <class T>
MYELIN_INLINE Vec<T> scaled_log(const LogParts<T>& a, T high, T low) {
  const Vec<T> tail = a.s * a.rest - a.half_square;
  return fma(a.f, set1<T>(high), fma(tail, set1<T>(high), a.f * set1<T>(low)));
}
template <class T>
MYELIN_INLINE Vec<T> log2(Vec<T> x) {
  using D = InverseData<T>;
  const LogParts<T> a = split_log(x);
  return log_ends(x, a.exponent + scaled_log(a, D::log2_e, D::log2_e_low));
}
template <class T>
MYELIN_INLINE Vec<T> log10(Vec<T> x) {
  using D = InverseData<T>;
  const LogParts<T> a = split_log(x);
  const Vec<T> fraction = fma(a.exponent, set1<T>(D::log10_2_low), scaled_log(a, D::log10_e, D::log10_e_low));
  return log_ends(x, fma(a.exponent, set1<T>(D::log10_2_high), fraction));
}

// max(a, b) + log(1 + e^-|a - b|)
template <class T>
MYELIN_INLINE Vec<T> log_add_exp(Vec<T> a, Vec<T> b) {
  const Vec<T> distance = zero_unless(a != b, abs(a - b));
  return max_nan(a, b) + log1p_unit(exp(-distance));
}

// --- angles

// sin r / cos r, or -cos r / sin r in every other quadrant.
template <class T>
MYELIN_INLINE Vec<T> tan(Vec<T> x) {
  const SineCosine<T> a = sine_cosine(x);
  const Mask<T> odd = is_odd<T>(a.quadrant);
  const Vec<T> near_result = select(odd, -a.cosine, a.sine) / select(odd, a.sine, a.cosine);
  return select(x == zero<T>(), x, with_far(x, near_result, ::tan));
}

// x + x^3 P(x^2) for |x| <= 1/2; beyond, asin x = π/2 - 2 asin √((1 - x) / 2). `part` is the arcsine that was computed.
template <class T>
struct ArcSine {
  Mask<T> far;
  Vec<T> part;
};
template <class T>
MYELIN_INLINE ArcSine<T> arc_sine(Vec<T> x) {
  const Vec<T> a = abs(x), half = set1<T>(static_cast<T>(0.5));
  const Mask<T> far = a > half;
  const Vec<T> z = select(far, (set1<T>(1) - a) * half, a * a);
  const Vec<T> s = select(far, sqrt(z), a);
  return {far, fma(s * z, polynomial(z, InverseData<T>::asin_p), s)};
}
template <class T>
MYELIN_INLINE Vec<T> asin(Vec<T> x) {
  using D = InverseData<T>;
  const ArcSine<T> a = arc_sine(x);
  const Vec<T> beyond = set1<T>(D::half_pi) - (a.part + a.part - set1<T>(D::half_pi_low));
  return copysign(select(a.far, beyond, a.part), x);
}
template <class T>
MYELIN_INLINE Vec<T> acos(Vec<T> x) {
  using D = InverseData<T>;
  const ArcSine<T> a = arc_sine(x);
  const Vec<T> twice = a.part + a.part, high = set1<T>(D::half_pi), low = set1<T>(D::half_pi_low);
  const Vec<T> behind = (high + high) - (twice - (low + low));
  const Vec<T> near_zero = high - (copysign(a.part, x) - low);
  return select(a.far, select(x < zero<T>(), behind, twice), near_zero);
}

// atan(a / b) for a, b >= 0 that are not both 0 or infinite, reduced by π/4 or π/2 to |z| <= tan(π/8).
template <class T>
MYELIN_INLINE Vec<T> atan_ratio(Vec<T> a, Vec<T> b) {
  using D = InverseData<T>;
  const Mask<T> far = a > b * set1<T>(static_cast<T>(2.414213562373095));
  const Mask<T> middle = a > b * set1<T>(static_cast<T>(0.4142135623730950));
  const Vec<T> above = select(far, -b, select(middle, a - b, a)), below = select(far, a, select(middle, a + b, b));
  const Vec<T> z = above / below, w = z * z;
  const Vec<T> half = set1<T>(static_cast<T>(0.5)), high = set1<T>(D::half_pi), low = set1<T>(D::half_pi_low);
  const Vec<T> turn = zero_unless(middle, select(far, high, high * half));
  const Vec<T> turn_low = zero_unless(middle, select(far, low, low * half));
  return turn + (z + fma(z * w, polynomial(w, D::atan_p), turn_low));
}
template <class T>
MYELIN_INLINE Vec<T> atan(Vec<T> x) {
  return copysign(atan_ratio(abs(x), set1<T>(1)), x);
}
template <class T>
MYELIN_INLINE Vec<T> atan2(Vec<T> y, Vec<T> x) {
  using D = InverseData<T>;
  const Vec<T> one = set1<T>(1);
  Vec<T> a = abs(y), b = abs(x);
  const Vec<T> larger = max(a, b);
  const Vec<T> factor = select(larger > set1<T>(D::atan_large), set1<T>(static_cast<T>(0.0625)),
                               select(larger < set1<T>(D::atan_small), set1<T>(D::atan_up), one));
  const Mask<T> alike = (a == b) & ((a == infinity<T>()) | (a == zero<T>()));
  b = select(alike, one, b * factor);
  a = select(alike, min(one, a), a * factor);
  const Vec<T> angle = atan_ratio(a, b), high = set1<T>(D::half_pi), low = set1<T>(D::half_pi_low);
  const Vec<T> behind = (high + high) - (angle - (low + low));
  return copysign(select(bits(x) < zero<Int<T>>(), behind, angle), y);
}

// --- hyperbolic functions

// With t = e^|x| - 1: (t + t / (t + 1)) / 2 below 1, else h - 1 / (4 h) with h = e^|x| / 2.
template <class T>
struct HalfExp {
  Vec<T> half, less_one;  // e^a / 2, and e^a - 1 where a < 1
};
template <class T>
MYELIN_INLINE HalfExp<T> half_exp(Vec<T> a) {
  const ExpArgument<T> e = split_exp(min(set1<T>(InverseData<T>::half_exp_high), a));
  const Vec<T> p = fma(e.r * e.r, polynomial(e.r, MathData<T>::expm1_q), e.r);
  const Vec<T> power = pow2<T>(min(e.n, set1<Int<T>>(1)));
  return {scale(set1<T>(1) + p, e.n - set1<Int<T>>(1)), fma(p, power, power - set1<T>(1))};
}
template <class T>
MYELIN_INLINE Vec<T> sinh(Vec<T> x) {
  const Vec<T> a = abs(x), one = set1<T>(1), half = set1<T>(static_cast<T>(0.5));
  const HalfExp<T> e = half_exp(a);
  const Mask<T> small = a < one;
  const Vec<T> ratio =
      select(small, e.less_one, set1<T>(static_cast<T>(-0.25))) / select(small, e.less_one + one, e.half);
  return copysign(select(small, half * (e.less_one + ratio), e.half + ratio), x);
}
template <class T>
MYELIN_INLINE Vec<T> cosh(Vec<T> x) {
  const Vec<T> half = half_exp(abs(x)).half;
  return half + set1<T>(static_cast<T>(0.25)) / half;
}

// log(1 + z), and ln 2 more where `doubled`.
template <class T>
MYELIN_INLINE Vec<T> log1p_doubled(Vec<T> z, Mask<T> doubled) {
  return log1p(z) + zero_unless(doubled, set1<T>(static_cast<T>(0.6931471805599453)));
}
template <class T>
MYELIN_INLINE Vec<T> asinh(Vec<T> x) {
  const Vec<T> a = abs(x), one = set1<T>(1), square = a * a;
  const Mask<T> big = a > set1<T>(InverseData<T>::log_big);
  const Vec<T> z = select(big, a, a + square / (one + sqrt(square + one)));
  return copysign(log1p_doubled(z, big), x);
}
template <class T>
MYELIN_INLINE Vec<T> acosh(Vec<T> x) {
  const Vec<T> one = set1<T>(1), t = x - one;
  const Mask<T> big = x > set1<T>(InverseData<T>::log_big);
  const Vec<T> result = log1p_doubled(select(big, x, t + sqrt(t * (t + set1<T>(2)))), big);
  return select(x >= one, result, set1<T>(static_cast<T>(NAN)));
}
// log(1 + 2a / (1 - a)) / 2
template <class T>
MYELIN_INLINE Vec<T> atanh(Vec<T> x) {
  const Vec<T> a = abs(x), z = (a + a) / (set1<T>(1) - a);
  return copysign(set1<T>(static_cast<T>(0.5)) * log1p(z), x);
}

// --- the rest

template <class T>
MYELIN_INLINE Vec<T> erfc(Vec<T> x) {
  using D = InverseData<T>;
  const Vec<T> t = min(set1<T>(MathData<T>::erfc_zero), abs(x)), center = set1<T>(D::erfc_center);
  const Vec<T> p = polynomial((t - center) / (t + center), D::erfc_p);
  const Vec<T> tail = exp_minus_square(t, T(1)) * (p / fma(set1<T>(2), t, set1<T>(1)));
  const Vec<T> near_zero = fnma(x, polynomial(x * x, MathData<T>::erf_p), set1<T>(1));
  return select(t < set1<T>(static_cast<T>(0.5)), near_zero, select(x < zero<T>(), set1<T>(2) - tail, tail));
}

// √(x² + y²) without overflow; infinite when either is, whatever the other.
MYELIN_INLINE Vec<float> hypot(Vec<float> x, Vec<float> y) {
  const DoublePair a = widen(x), b = widen(y);
  const Vec<float> length = narrow({sqrt(a.low * a.low + b.low * b.low), sqrt(a.high * a.high + b.high * b.high)});
  const Vec<float> inf = infinity<float>();
  return select((abs(x) == inf) | (abs(y) == inf), inf, length);
}
MYELIN_INLINE Vec<double> hypot(Vec<double> x, Vec<double> y) {
  const Vec<double> a = abs(x), b = abs(y), large = max_nan(a, b), small = min_nan(a, b), one = set1<double>(1);
  const Vec<double> ratio = zero_unless(small > zero<double>(), small / large);
  const Vec<double> length = large * sqrt(fma(ratio, ratio, one));
  const Vec<double> inf = infinity<double>();
  return select((a == inf) | (b == inf), inf, select(is_nan(large), large, length));
}

// x - y trunc(x / y), exact. In double the quotient of floats is exact enough up to 2^28; the rest goes through the C library.
template <class T>
__attribute__((noinline)) inline Vec<T> fmod_lanes(Vec<T> x, Vec<T> y) {
  alignas(kVectorBytes) T a[Vec<T>::N], b[Vec<T>::N];
  store(a, x);
  store(b, y);
  for (int i = 0; i < Vec<T>::N; i++)
    a[i] = static_cast<T>(::fmod(static_cast<double>(a[i]), static_cast<double>(b[i])));
  return load(a);
}
MYELIN_INLINE Vec<double> fmod(Vec<double> x, Vec<double> y) { return fmod_lanes(x, y); }
MYELIN_INLINE Vec<double> fmod_step(Vec<double> x, Vec<double> y) {
  const Vec<double> r = x - trunc(x / y) * y, none = zero<double>();
  // The quotient may have been rounded up to the next integer.
  const Vec<double> shifted = r + copysign(abs(y), x);
  return select(((r < none) & (x > none)) | ((r > none) & (x < none)), shifted, r);
}
MYELIN_INLINE Vec<float> fmod(Vec<float> x, Vec<float> y) {
  const Vec<float> divisor = abs(y);
  if (!all((abs(x) <= divisor * set1<float>(0x1p28f)) & (divisor < infinity<float>()))) return fmod_lanes(x, y);
  const DoublePair a = widen(x), b = widen(y);
  return copysign(narrow({fmod_step(a.low, b.low), fmod_step(a.high, b.high)}), x);
}
// What is left of x after whole multiples of y, with y's sign.
template <class T>
MYELIN_INLINE Vec<T> remainder(Vec<T> x, Vec<T> y) {
  const Vec<T> r = fmod(x, y), none = zero<T>();
  return select((r != none) & ((r < none) ^ (y < none)), r + y, r);
}
// The largest integer not above x / y, from the exact remainder.
template <class T>
MYELIN_INLINE Vec<T> floor_divide(Vec<T> x, Vec<T> y) {
  const Vec<T> r = fmod(x, y), none = zero<T>(), one = set1<T>(1), quotient = x / y;
  Vec<T> whole = (x - r) / y;
  whole = select((r != none) & ((r < none) ^ (y < none)), whole - one, whole);
  const Vec<T> down = floor(whole);
  const Vec<T> nearest = select(whole - down > set1<T>(static_cast<T>(0.5)), down + one, down);
  return select(y == none, quotient, select(whole == none, copysign(none, quotient), nearest));
}

}  // namespace MYELIN_ISA
}  // namespace myelin
