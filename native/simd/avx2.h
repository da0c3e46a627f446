// AVX2 and FMA.
#pragma once

namespace myelin {
namespace MYELIN_ISA {

template <int B>
MYELIN_INLINE bool any(MaskOfSize<B> m) {
  return !_mm256_testz_si256((__m256i)m.v, (__m256i)m.v);
}
template <int B>
MYELIN_INLINE bool all(MaskOfSize<B> m) {
  return _mm256_testc_si256((__m256i)m.v, _mm256_set1_epi32(-1));
}

template <class T>
MYELIN_INLINE Vec<T> load_n(const T* p, int n) {
  using Raw = typename Vec<T>::Raw;
  const Mask<T> m = first_n<T>(n);
  if constexpr (sizeof(T) == 8) {
    return {(Raw)_mm256_maskload_epi64(reinterpret_cast<const long long*>(p), (__m256i)m.v)};
  } else {
    return {(Raw)_mm256_maskload_epi32(reinterpret_cast<const int*>(p), (__m256i)m.v)};
  }
}
// By halves: vmaskmov stores cost dozens of micro-ops on AMD.
template <class T>
MYELIN_INLINE void store_n(T* p, Vec<T> a, int n) {
  if (n >= Vec<T>::N) return store(p, a);
  __m128i v = _mm256_castsi256_si128((__m256i)a.v);
  constexpr int half = Vec<T>::N / 2;
  if (n & half) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v);
    v = _mm256_extracti128_si256((__m256i)a.v, 1);
    p += half;
  }
  if constexpr (sizeof(T) == 8) {
    if (n & 1) _mm_storel_epi64(reinterpret_cast<__m128i*>(p), v);
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
  _mm256_stream_si256(reinterpret_cast<__m256i*>(p), (__m256i)a.v);
}
MYELIN_INLINE void stream_fence() { _mm_sfence(); }

template <class T>
MYELIN_INLINE Vec<T> gather(const T* p, Vec<Int<T>> index) {
  using Raw = typename Vec<T>::Raw;
  if constexpr (sizeof(T) == 8) {
    return {(Raw)_mm256_i64gather_epi64(reinterpret_cast<const long long*>(p), (__m256i)index.v, 8)};
  } else {
    return {(Raw)_mm256_i32gather_epi32(reinterpret_cast<const int*>(p), (__m256i)index.v, 4)};
  }
}

MYELIN_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
MYELIN_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return {_mm256_fmadd_pd(a.v, b.v, c.v)}; }
MYELIN_INLINE Vec<float> fnma(Vec<float> a, Vec<float> b, Vec<float> c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
MYELIN_INLINE Vec<double> fnma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return {_mm256_fnmadd_pd(a.v, b.v, c.v)};
}
MYELIN_INLINE Vec<float> sqrt(Vec<float> a) { return {_mm256_sqrt_ps(a.v)}; }
MYELIN_INLINE Vec<double> sqrt(Vec<double> a) { return {_mm256_sqrt_pd(a.v)}; }
MYELIN_INLINE Vec<float> min(Vec<float> a, Vec<float> b) { return {_mm256_min_ps(a.v, b.v)}; }
MYELIN_INLINE Vec<double> min(Vec<double> a, Vec<double> b) { return {_mm256_min_pd(a.v, b.v)}; }
MYELIN_INLINE Vec<float> max(Vec<float> a, Vec<float> b) { return {_mm256_max_ps(a.v, b.v)}; }
MYELIN_INLINE Vec<double> max(Vec<double> a, Vec<double> b) { return {_mm256_max_pd(a.v, b.v)}; }

inline constexpr int kRoundNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
inline constexpr int kRoundDown = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
inline constexpr int kRoundUp = _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC;
inline constexpr int kRoundToZero = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
MYELIN_INLINE Vec<float> round(Vec<float> a) { return {_mm256_round_ps(a.v, kRoundNearest)}; }
MYELIN_INLINE Vec<double> round(Vec<double> a) { return {_mm256_round_pd(a.v, kRoundNearest)}; }
MYELIN_INLINE Vec<float> floor(Vec<float> a) { return {_mm256_round_ps(a.v, kRoundDown)}; }
MYELIN_INLINE Vec<double> floor(Vec<double> a) { return {_mm256_round_pd(a.v, kRoundDown)}; }
MYELIN_INLINE Vec<float> ceil(Vec<float> a) { return {_mm256_round_ps(a.v, kRoundUp)}; }
MYELIN_INLINE Vec<double> ceil(Vec<double> a) { return {_mm256_round_pd(a.v, kRoundUp)}; }
MYELIN_INLINE Vec<float> trunc(Vec<float> a) { return {_mm256_round_ps(a.v, kRoundToZero)}; }
MYELIN_INLINE Vec<double> trunc(Vec<double> a) { return {_mm256_round_pd(a.v, kRoundToZero)}; }

MYELIN_INLINE Vec<int32_t> to_int(Vec<float> a) { return {(Vec<int32_t>::Raw)_mm256_cvttps_epi32(a.v)}; }
MYELIN_INLINE Vec<int32_t> to_int_round(Vec<float> a) { return {(Vec<int32_t>::Raw)_mm256_cvtps_epi32(a.v)}; }
MYELIN_INLINE Vec<float> int_to_float(Vec<int32_t> a) { return {_mm256_cvtepi32_ps((__m256i)a.v)}; }

}  // namespace MYELIN_ISA
}  // namespace myelin
