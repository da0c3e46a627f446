// The x86-64 baseline: SSE2 only. No fused multiply-add, no rounding instructions, no gather.
#pragma once

namespace myelin {
namespace MYELIN_ISA {

template <int B>
MYELIN_INLINE bool any(MaskOfSize<B> m) {
  return _mm_movemask_epi8((__m128i)m.v) != 0;
}
template <int B>
MYELIN_INLINE bool all(MaskOfSize<B> m) {
  return _mm_movemask_epi8((__m128i)m.v) == 0xffff;
}

template <class T>
MYELIN_INLINE Vec<T> load_n(const T* p, int n) {
  using Raw = typename Vec<T>::Raw;
  if (n >= Vec<T>::N) return load(p);
  if constexpr (sizeof(T) == 8) {
    return n > 0 ? Vec<T>{(Raw)_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))} : zero<T>();
  } else {
    if (n <= 0) return zero<T>();
    if (n == 1) return {(Raw)_mm_loadu_si32(p)};
    const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return {(Raw)(n == 2 ? low : _mm_unpacklo_epi64(low, _mm_loadu_si32(p + 2)))};
  }
}
template <class T>
MYELIN_INLINE void store_n(T* p, Vec<T> a, int n) {
  if (n >= Vec<T>::N) return store(p, a);
  __m128i v = (__m128i)a.v;
  if constexpr (sizeof(T) == 8) {
    if (n > 0) _mm_storel_epi64(reinterpret_cast<__m128i*>(p), v);
  } else {
    if (n & 2) {
      _mm_storel_epi64(reinterpret_cast<__m128i*>(p), v);
      v = _mm_unpackhi_epi64(v, v);
      p += 2;
    }
    if (n & 1) _mm_storeu_si32(p, v);
  }
}
template <class T>
MYELIN_INLINE void stream(T* p, Vec<T> a) {
  _mm_stream_si128(reinterpret_cast<__m128i*>(p), (__m128i)a.v);
}
MYELIN_INLINE void stream_fence() { _mm_sfence(); }

template <class T>
MYELIN_INLINE Vec<T> gather(const T* p, Vec<Int<T>> index) {
  typename Vec<T>::Raw r{};
  for (int i = 0; i < Vec<T>::N; i++) r[i] = p[index.v[i]];
  return {r};
}

template <class T>
MYELIN_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
  return a * b + c;
}
template <class T>
MYELIN_INLINE Vec<T> fnma(Vec<T> a, Vec<T> b, Vec<T> c) {
  return c - a * b;
}

MYELIN_INLINE Vec<float> sqrt(Vec<float> a) { return {_mm_sqrt_ps(a.v)}; }
MYELIN_INLINE Vec<double> sqrt(Vec<double> a) { return {_mm_sqrt_pd(a.v)}; }
MYELIN_INLINE Vec<float> min(Vec<float> a, Vec<float> b) { return {_mm_min_ps(a.v, b.v)}; }
MYELIN_INLINE Vec<double> min(Vec<double> a, Vec<double> b) { return {_mm_min_pd(a.v, b.v)}; }
MYELIN_INLINE Vec<float> max(Vec<float> a, Vec<float> b) { return {_mm_max_ps(a.v, b.v)}; }
MYELIN_INLINE Vec<double> max(Vec<double> a, Vec<double> b) { return {_mm_max_pd(a.v, b.v)}; }

// Adding and taking away 2^mantissa leaves the nearest integer; NaN and large values pass unchanged.
template <class T>
MYELIN_INLINE Vec<T> round(Vec<T> a) {
  const Vec<T> big = set1<T>(FloatFormat<T>::integral), magnitude = abs(a);
  return copysign(select(magnitude < big, (magnitude + big) - big, a), a);
}
template <class T>
MYELIN_INLINE Vec<T> floor(Vec<T> a) {
  const Vec<T> r = round(a);
  return copysign(r - zero_unless(r > a, set1<T>(1)), a);
}
template <class T>
MYELIN_INLINE Vec<T> ceil(Vec<T> a) {
  const Vec<T> r = round(a);
  return copysign(r + zero_unless(r < a, set1<T>(1)), a);
}
template <class T>
MYELIN_INLINE Vec<T> trunc(Vec<T> a) {
  return copysign(floor(abs(a)), a);
}

MYELIN_INLINE Vec<int32_t> to_int(Vec<float> a) { return {(Vec<int32_t>::Raw)_mm_cvttps_epi32(a.v)}; }
MYELIN_INLINE Vec<int32_t> to_int_round(Vec<float> a) { return {(Vec<int32_t>::Raw)_mm_cvtps_epi32(a.v)}; }
MYELIN_INLINE Vec<float> int_to_float(Vec<int32_t> a) { return {_mm_cvtepi32_ps((__m128i)a.v)}; }

}  // namespace MYELIN_ISA
}  // namespace myelin
