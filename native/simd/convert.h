// What every instruction set shares once masks, rounding and conversion exist: the names are documented in simd.h.
#pragma once

namespace myelin {
namespace MYELIN_ISA {

template <class T>
MYELIN_INLINE Mask<T> is_nan(Vec<T> a) {
  return a != a;
}
template <class T>
MYELIN_INLINE Vec<T> min_nan(Vec<T> a, Vec<T> b) {
  return select(is_nan(a), a, min(a, b));
}
template <class T>
MYELIN_INLINE Vec<T> max_nan(Vec<T> a, Vec<T> b) {
  return select(is_nan(a), a, max(a, b));
}
MYELIN_INLINE Vec<int32_t> min(Vec<int32_t> a, Vec<int32_t> b) { return select(a < b, a, b); }
MYELIN_INLINE Vec<int64_t> min(Vec<int64_t> a, Vec<int64_t> b) { return select(a < b, a, b); }
MYELIN_INLINE Vec<int32_t> max(Vec<int32_t> a, Vec<int32_t> b) { return select(a > b, a, b); }
MYELIN_INLINE Vec<int64_t> max(Vec<int64_t> a, Vec<int64_t> b) { return select(a > b, a, b); }

template <class T>
MYELIN_INLINE Vec<T> load_strided(const T* p, int64_t stride, int n) {
  if (stride == 1) return load_n(p, n);
  alignas(kVectorBytes) T buffer[Vec<T>::N] = {};
  for (int i = 0; i < n; i++) buffer[i] = p[i * stride];
  return load(buffer);
}

// Adding 1.5·2^52 puts the integer into the low bits of the mantissa.
inline constexpr double kIntegerShift = 6755399441055744.0;
MYELIN_INLINE Vec<int64_t> to_int_round(Vec<double> a) {
  const Vec<double> shift = set1<double>(kIntegerShift);
  return bits(a + shift) - bits(shift);
}
MYELIN_INLINE Vec<int64_t> to_int(Vec<double> a) { return to_int_round(trunc(a)); }
MYELIN_INLINE Vec<double> int_to_float(Vec<int64_t> a) {
  const Vec<double> shift = set1<double>(kIntegerShift);
  return from_bits<double>(a + bits(shift)) - shift;
}
template <class T>
MYELIN_INLINE Vec<T> to_float(Vec<Int<T>> a) {
  return int_to_float(a);
}

template <class T>
MYELIN_INLINE Vec<T> pow2(Vec<Int<T>> n) {
  return from_bits<T>((n + set1<Int<T>>(FloatFormat<T>::bias)) << FloatFormat<T>::mantissa);
}
template <class T>
MYELIN_INLINE Vec<T> ldexp(Vec<T> a, Vec<Int<T>> n) {
  const Vec<Int<T>> half = n >> 1;
  return a * pow2<T>(half) * pow2<T>(n - half);
}

}  // namespace MYELIN_ISA
}  // namespace myelin
