// Vectors of the instruction set this file is compiled for (AVX-512, AVX2+FMA, NEON, else SSE2), under one set of names.
//
// Types. Vec<T> for T = float, double, int32_t, int64_t: a full register, Vec<T>::N lanes. Int<T> is the integer type of T's
//   width (Vec<Int<T>> has as many lanes). Mask<T>: one truth value a lane; float and int32_t share theirs, as do double
//   and int64_t.
// Memory (any alignment; n in [0, N]; lanes and bytes past n are never touched):
//   load(p) store(p, v)   load_n(p, n): lanes past n are 0   store_n(p, v, n)   load_strided(p, stride, n)
//   gather(p, index): p[index[i]]   stream(p, v): past the caches, p aligned to kVectorBytes; stream_fence() after the last
//   load_bool<T>(bytes, n), store_bool(bytes, mask, n): one 0/1 byte a lane   prefetch(p)
// Making: set1<T>(x) zero<T>() iota<T>() = 0, 1, 2 … first_n<T>(n): mask of the first n lanes.
// Float: + - * / unary -, fma(a, b, c) = a·b + c and fnma(a, b, c) = c - a·b (one rounding where kHasFma, else two), sqrt,
//   abs, copysign(magnitude, sign), floor, ceil, round (half to even), trunc.
//   min(a, b) = a < b ? a : b and max(a, b) = a > b ? a : b: b if either is NaN. min_nan and max_nan give NaN then.
// Int: + - * & | ^ ~, << and >> (arithmetic) by a count or a vector of counts, shift_right_logical(v, count).
// Compare: == != < <= > >= give a Mask; & | ^ ~ any(m) all(m); select(m, a, b) = m ? a : b; is_nan(v);
//   zero_unless(m, v) = m ? v : 0.
// Convert: bits(float) and from_bits<T>(int) keep the bits; to_int (truncates), to_int_round (half to even), to_float<T>: for
//   double and int64_t only for |x| < 2^51, for float out of range is unspecified. pow2<T>(n) = 2^n for normal results;
//   ldexp(v, n) = v·2^n for |n| <= 252 (float) or 2044 (double), rounding once more only where the result is subnormal.
// Across lanes: reduce_add reduce_mul reduce_max reduce_min: lane i with lane i + N/2, then N/4 …; NaN propagates through the
//   last two. transpose(rows): N vectors in place. lane(v, i).
#pragma once
#include <stdint.h>
#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#else
#error "simd: unknown instruction set"
#endif

#define MYELIN_INLINE inline __attribute__((always_inline))

namespace myelin {
namespace MYELIN_ISA {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif
#if defined(__AVX512F__) || defined(__FMA__) || defined(__ARM_NEON)
inline constexpr bool kHasFma = true;
#else
inline constexpr bool kHasFma = false;
#endif

template <class T>
struct Vec {
  typedef T Raw __attribute__((vector_size(kVectorBytes)));
  static constexpr int N = kVectorBytes / static_cast<int>(sizeof(T));
  Raw v;
};

template <int Bytes>
struct IntOfSize;
template <>
struct IntOfSize<4> {
  using Signed = int32_t;
  using Unsigned = uint32_t;
};
template <>
struct IntOfSize<8> {
  using Signed = int64_t;
  using Unsigned = uint64_t;
};
template <class T>
using Int = typename IntOfSize<sizeof(T)>::Signed;

template <class T>
struct FloatFormat;
template <>
struct FloatFormat<float> {
  static constexpr int mantissa = 23;
  static constexpr int32_t bias = 127;
  static constexpr float integral = 8388608.0f;  // 2^23: from here on every float is an integer
};
template <>
struct FloatFormat<double> {
  static constexpr int mantissa = 52;
  static constexpr int64_t bias = 1023;
  static constexpr double integral = 4503599627370496.0;  // 2^52
};

template <class T>
MYELIN_INLINE Vec<T> zero() {
  return {typename Vec<T>::Raw{}};
}
template <class T>
MYELIN_INLINE Vec<T> set1(T x) {
  return {x - typename Vec<T>::Raw{}};
}
template <class T>
MYELIN_INLINE Vec<T> iota() {
  typename Vec<T>::Raw r{};
  for (int i = 0; i < Vec<T>::N; i++) r[i] = static_cast<T>(i);
  return {r};
}
template <class T>
MYELIN_INLINE T lane(Vec<T> a, int i) {
  return a.v[i];
}

template <class T>
MYELIN_INLINE Vec<T> load(const T* p) {
  Vec<T> r;
  __builtin_memcpy(&r.v, p, kVectorBytes);
  return r;
}
template <class T>
MYELIN_INLINE void store(T* p, Vec<T> a) {
  __builtin_memcpy(p, &a.v, kVectorBytes);
}
template <class T>
MYELIN_INLINE void prefetch(const T* p) {
  __builtin_prefetch(p, 0, 3);
}

// The registers that arithmetic is done in: unsigned for integers, so that they wrap.
template <class T>
struct Modular {
  typedef T Raw __attribute__((vector_size(kVectorBytes)));
};
template <>
struct Modular<int32_t> {
  typedef uint32_t Raw __attribute__((vector_size(kVectorBytes)));
};
template <>
struct Modular<int64_t> {
  typedef uint64_t Raw __attribute__((vector_size(kVectorBytes)));
};
template <class T>
using Wrapping = typename Modular<T>::Raw;

template <class T>
MYELIN_INLINE Vec<T> operator+(Vec<T> a, Vec<T> b) {
  using W = Wrapping<T>;
  return {(typename Vec<T>::Raw)((W)a.v + (W)b.v)};
}
template <class T>
MYELIN_INLINE Vec<T> operator-(Vec<T> a, Vec<T> b) {
  using W = Wrapping<T>;
  return {(typename Vec<T>::Raw)((W)a.v - (W)b.v)};
}
template <class T>
MYELIN_INLINE Vec<T> operator*(Vec<T> a, Vec<T> b) {
  using W = Wrapping<T>;
  return {(typename Vec<T>::Raw)((W)a.v * (W)b.v)};
}
template <class T>
MYELIN_INLINE Vec<T> operator/(Vec<T> a, Vec<T> b) {
  return {a.v / b.v};
}
template <class T>
MYELIN_INLINE Vec<T> operator-(Vec<T> a) {
  return {(typename Vec<T>::Raw)(-(Wrapping<T>)a.v)};
}
template <class T>
MYELIN_INLINE Vec<T> operator&(Vec<T> a, Vec<T> b) {
  return {a.v & b.v};
}
template <class T>
MYELIN_INLINE Vec<T> operator|(Vec<T> a, Vec<T> b) {
  return {a.v | b.v};
}
template <class T>
MYELIN_INLINE Vec<T> operator^(Vec<T> a, Vec<T> b) {
  return {a.v ^ b.v};
}
template <class T>
MYELIN_INLINE Vec<T> operator~(Vec<T> a) {
  return {~a.v};
}
template <class T>
MYELIN_INLINE Vec<T> operator<<(Vec<T> a, int count) {
  return {(typename Vec<T>::Raw)((Wrapping<T>)a.v << count)};
}
template <class T>
MYELIN_INLINE Vec<T> operator>>(Vec<T> a, int count) {
  return {a.v >> count};
}
template <class T>
MYELIN_INLINE Vec<T> operator<<(Vec<T> a, Vec<T> count) {
  return {a.v << count.v};
}
template <class T>
MYELIN_INLINE Vec<T> operator>>(Vec<T> a, Vec<T> count) {
  return {a.v >> count.v};
}
template <class T>
MYELIN_INLINE Vec<T> shift_right_logical(Vec<T> a, int count) {
  typedef typename IntOfSize<sizeof(T)>::Unsigned U __attribute__((vector_size(kVectorBytes)));
  return {(typename Vec<T>::Raw)((U)a.v >> count)};
}

template <class T>
MYELIN_INLINE Vec<Int<T>> bits(Vec<T> a) {
  return {(typename Vec<Int<T>>::Raw)a.v};
}
template <class T>
MYELIN_INLINE Vec<T> from_bits(Vec<Int<T>> a) {
  return {(typename Vec<T>::Raw)a.v};
}

template <class T>
MYELIN_INLINE Vec<Int<T>> sign_bit() {
  return set1<Int<T>>(static_cast<Int<T>>(Int<T>(1) << (sizeof(T) * 8 - 2)) << 1);
}
template <class T>
MYELIN_INLINE Vec<T> abs(Vec<T> a) {
  return from_bits<T>(bits(a) & ~sign_bit<T>());
}
template <class T>
MYELIN_INLINE Vec<T> copysign(Vec<T> magnitude, Vec<T> sign) {
  return from_bits<T>((bits(magnitude) & ~sign_bit<T>()) | (bits(sign) & sign_bit<T>()));
}

}  // namespace MYELIN_ISA
}  // namespace myelin

#if defined(__AVX512F__)
#include "avx512.h"
#elif defined(__AVX2__)
#include "mask.h"
#include "avx2.h"
#elif defined(__ARM_NEON)
#include "mask.h"
#include "neon.h"
#else
#include "mask.h"
#include "sse2.h"
#endif
#include "convert.h"
#include "shuffle.h"
