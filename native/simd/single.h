// Elementary functions of float alone, where it has a shorter form than double: exponentials of arguments that need no care at the
// ends of the range, scaled by one multiplication. Included by math.h; what holds there holds here unless said.
#pragma once

namespace myelin {
namespace MYELIN_ISA {

struct Single {
  // Adding it rounds to an integer n and leaves n + 127 in the low bits, which shifted left by 23 are 2^n; 0 for n = -127.
  static constexpr float shift = 12583039.0f;  // 1.5·2^23 + 127
  static constexpr float log2e = 1.4426950216f, log2e_low = 1.925963033e-8f;
  static constexpr float half_log2e = 0.7213475108f,
                         half_log2e_low_ln2 = 6.674879e-9f;  // the second: what rounding took, times ln 2
  // (2^r - 1) / r, |r| <= 1/2
  static constexpr float exp2_p[] = {0.6931470037f, 0.2402224243f, 0.05550733581f, 0.009671513923f, 0.001326478319f};
  // 2^(half_log2e a^2) Φ(-a), 0 <= a <= cdf_zero, where e^(-a^2 / 2) becomes 0: rounding half_log2e costs nothing
  static constexpr float cdf_zero = 13.279f;
  static constexpr float cdf_p[] = {0.5f, 0.44135255f, 0.18535835f, 0.041316558f, 0.0042103636f};
  static constexpr float cdf_q[] = {1.0f, 1.6805902f, 1.2116286f, 0.47506192f, 0.10356896f, 0.0105538145f};
};

// 2^(n + r) for n in [-127, 128], |r| <= 1/2: 0 for -127, infinity for 128; exact for r = 0.
struct Power {
  Vec<float> whole;  // 2^n
  Vec<float> r;
  MYELIN_INLINE Vec<float> value() const { return whole * fma(r, polynomial(r, Single::exp2_p), set1<float>(1)); }
};
// n is the integer next to x · factor; r is what is left of that product.
MYELIN_INLINE Power split_power(Vec<float> x, float factor) {
  const Vec<float> shift = set1<float>(Single::shift), by = set1<float>(factor), shifted = fma(x, by, shift);
  return {from_bits<float>(bits(shifted) << 23), fma(x, by, shift - shifted)};
}

// 2^t for t in [-127, 128]: 0 below -126.5, infinity from 127.5 on.
MYELIN_INLINE Vec<float> exp2_within(Vec<float> t) { return split_power(t, 1).value(); }

// e^x for x <= 0, within 4e-6 of itself, and 0 instead of subnormal numbers: what softmax adds up, of which the greatest is 1.
MYELIN_INLINE Vec<float> exp_decay(Vec<float> x) {
  return split_power(max(set1<float>(-88.0f), x), Single::log2e).value();
}
MYELIN_INLINE Vec<double> exp_decay(Vec<double> x) { return exp(x); }

// e^-x: 0 instead of subnormal numbers, infinity where x is below -88.4.
MYELIN_INLINE Vec<float> exp_minus(Vec<float> x) {
  if constexpr (!kHasFma) return exp(-x);
  const Vec<float> a = max(set1<float>(-88), min(set1<float>(88.7f), -x));
  Power p = split_power(a, Single::log2e);
  p.r = fma(a, set1<float>(Single::log2e_low), p.r);
  return p.value();
}
MYELIN_INLINE Vec<double> exp_minus(Vec<double> x) { return exp(-x); }

// 2^(-half_log2e a^2), where there are fused multiply-adds, with the square carried in two parts.
MYELIN_INLINE Power split_square(Vec<float> a) {
  const Vec<float> square = a * a, low = fma(a, a, -square);
  Power p = split_power(square, -Single::half_log2e);
  p.r = fma(low, set1<float>(-Single::half_log2e), p.r);
  return p;
}
MYELIN_INLINE Vec<float> tail_ratio(Vec<float> a) {
  return polynomial(a, Single::cdf_p) / polynomial(a, Single::cdf_q);
}

MYELIN_INLINE NormalPdfCdf<float> normal_pdf_cdf(Vec<float> x) {
  const Vec<float> a = min(set1<float>(kHasFma ? Single::cdf_zero : MathData<float>::cdf_zero), abs(x));
  Vec<float> e;
  if constexpr (kHasFma) {
    e = split_square(a).value();
  } else {
    e = exp_minus_square(a, 0.5f);
    e = e + e * (a * a * set1<float>(Single::half_log2e_low_ln2));
  }
  const Vec<float> tail = e * tail_ratio(a);
  return {e * set1<float>(0.3989422804f), select(x < zero<float>(), tail, set1<float>(1) - tail)};
}

// x Φ(x) = max(x, 0) - |x| Φ(-|x|)
MYELIN_INLINE Vec<float> gelu(Vec<float> x) {
  if constexpr (!kHasFma) return x * normal_pdf_cdf(x).cdf;
  const Vec<float> a = min(set1<float>(Single::cdf_zero), abs(x));
  const Power p = split_square(a);
  const Vec<float> e = fma(p.r, polynomial(p.r, Single::exp2_p), set1<float>(1));
  return fnma(p.whole * a * e, tail_ratio(a), x - min(x, zero<float>()));  // NaN of -∞, as x Φ(x) is
}
MYELIN_INLINE Vec<double> gelu(Vec<double> x) { return x * normal_pdf_cdf(x).cdf; }

}  // namespace MYELIN_ISA
}  // namespace myelin
