// AVX-512 F, BW, DQ, VL: masks live in mask registers. The zeroing forms with a full mask compile to the plain instruction;
// g++ 12 warns of uninitialised values inside its own unmasked forms.
#pragma once

namespace myelin {
namespace MYELIN_ISA {

template <int Bytes>
struct MaskOfSize;
template <>
struct MaskOfSize<4> {
  using Raw = __mmask16;
  static constexpr Raw ones = 0xffff;
  Raw v;
};
template <>
struct MaskOfSize<8> {
  using Raw = __mmask8;
  static constexpr Raw ones = 0xff;
  Raw v;
};
template <class T>
using Mask = MaskOfSize<static_cast<int>(sizeof(T))>;

template <int Ordered, int Signed>
struct Compare {
  static MYELIN_INLINE __mmask16 lanes(Vec<float> a, Vec<float> b) { return _mm512_cmp_ps_mask(a.v, b.v, Ordered); }
  static MYELIN_INLINE __mmask8 lanes(Vec<double> a, Vec<double> b) { return _mm512_cmp_pd_mask(a.v, b.v, Ordered); }
  static MYELIN_INLINE __mmask16 lanes(Vec<int32_t> a, Vec<int32_t> b) {
    return _mm512_cmp_epi32_mask((__m512i)a.v, (__m512i)b.v, Signed);
  }
  static MYELIN_INLINE __mmask8 lanes(Vec<int64_t> a, Vec<int64_t> b) {
    return _mm512_cmp_epi64_mask((__m512i)a.v, (__m512i)b.v, Signed);
  }
};
template <class T>
MYELIN_INLINE Mask<T> operator==(Vec<T> a, Vec<T> b) {
  return {Compare<_CMP_EQ_OQ, _MM_CMPINT_EQ>::lanes(a, b)};
}
template <class T>
MYELIN_INLINE Mask<T> operator!=(Vec<T> a, Vec<T> b) {
  return {Compare<_CMP_NEQ_UQ, _MM_CMPINT_NE>::lanes(a, b)};
}
template <class T>
MYELIN_INLINE Mask<T> operator<(Vec<T> a, Vec<T> b) {
  return {Compare<_CMP_LT_OQ, _MM_CMPINT_LT>::lanes(a, b)};
}
template <class T>
MYELIN_INLINE Mask<T> operator<=(Vec<T> a, Vec<T> b) {
  return {Compare<_CMP_LE_OQ, _MM_CMPINT_LE>::lanes(a, b)};
}
template <class T>
MYELIN_INLINE Mask<T> operator>(Vec<T> a, Vec<T> b) {
  return {Compare<_CMP_GT_OQ, _MM_CMPINT_NLE>::lanes(a, b)};
}
template <class T>
MYELIN_INLINE Mask<T> operator>=(Vec<T> a, Vec<T> b) {
  return {Compare<_CMP_GE_OQ, _MM_CMPINT_NLT>::lanes(a, b)};
}

template <int B>
MYELIN_INLINE MaskOfSize<B> operator&(MaskOfSize<B> a, MaskOfSize<B> b) {
  return {static_cast<typename MaskOfSize<B>::Raw>(a.v & b.v)};
}
template <int B>
MYELIN_INLINE MaskOfSize<B> operator|(MaskOfSize<B> a, MaskOfSize<B> b) {
  return {static_cast<typename MaskOfSize<B>::Raw>(a.v | b.v)};
}
template <int B>
MYELIN_INLINE MaskOfSize<B> operator^(MaskOfSize<B> a, MaskOfSize<B> b) {
  return {static_cast<typename MaskOfSize<B>::Raw>(a.v ^ b.v)};
}
template <int B>
MYELIN_INLINE MaskOfSize<B> operator~(MaskOfSize<B> a) {
  return {static_cast<typename MaskOfSize<B>::Raw>(~a.v)};
}
template <int B>
MYELIN_INLINE bool any(MaskOfSize<B> m) {
  return m.v != 0;
}
template <int B>
MYELIN_INLINE bool all(MaskOfSize<B> m) {
  return m.v == MaskOfSize<B>::ones;
}

template <class T>
MYELIN_INLINE Vec<T> select(Mask<T> m, Vec<T> a, Vec<T> b) {
  using Raw = typename Vec<T>::Raw;
  if constexpr (sizeof(T) == 8) {
    return {(Raw)_mm512_mask_blend_epi64(m.v, (__m512i)b.v, (__m512i)a.v)};
  } else {
    return {(Raw)_mm512_mask_blend_epi32(m.v, (__m512i)b.v, (__m512i)a.v)};
  }
}
template <class T>
MYELIN_INLINE Vec<T> zero_unless(Mask<T> m, Vec<T> a) {
  using Raw = typename Vec<T>::Raw;
  if constexpr (sizeof(T) == 8) {
    return {(Raw)_mm512_maskz_mov_epi64(m.v, (__m512i)a.v)};
  } else {
    return {(Raw)_mm512_maskz_mov_epi32(m.v, (__m512i)a.v)};
  }
}
template <class T>
MYELIN_INLINE Mask<T> first_n(int n) {
  return {static_cast<typename Mask<T>::Raw>((1u << n) - 1)};
}

template <class T>
MYELIN_INLINE Vec<T> load_n(const T* p, int n) {
  using Raw = typename Vec<T>::Raw;
  if constexpr (sizeof(T) == 8) {
    return {(Raw)_mm512_maskz_loadu_epi64(first_n<T>(n).v, p)};
  } else {
    return {(Raw)_mm512_maskz_loadu_epi32(first_n<T>(n).v, p)};
  }
}
template <class T>
MYELIN_INLINE void store_n(T* p, Vec<T> a, int n) {
  if constexpr (sizeof(T) == 8) {
    _mm512_mask_storeu_epi64(p, first_n<T>(n).v, (__m512i)a.v);
  } else {
    _mm512_mask_storeu_epi32(p, first_n<T>(n).v, (__m512i)a.v);
  }
}
template <class T>
MYELIN_INLINE void stream(T* p, Vec<T> a) {
  _mm512_stream_si512(reinterpret_cast<__m512i*>(p), (__m512i)a.v);
}
MYELIN_INLINE void stream_fence() { _mm_sfence(); }

template <class T>
MYELIN_INLINE Vec<T> gather(const T* p, Vec<Int<T>> index) {
  using Raw = typename Vec<T>::Raw;
  if constexpr (sizeof(T) == 8) {
    return {(Raw)_mm512_mask_i64gather_epi64(_mm512_setzero_si512(), Mask<T>::ones, (__m512i)index.v, p, 8)};
  } else {
    return {(Raw)_mm512_mask_i32gather_epi32(_mm512_setzero_si512(), Mask<T>::ones, (__m512i)index.v, p, 4)};
  }
}

template <class T>
MYELIN_INLINE Mask<T> load_bool(const uint8_t* p, int n) {
  const __m128i b = _mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << n) - 1), p);
  return {static_cast<typename Mask<T>::Raw>(_mm_test_epi8_mask(b, b))};
}
template <int B>
MYELIN_INLINE void store_bool(uint8_t* p, MaskOfSize<B> m, int n) {
  _mm_mask_storeu_epi8(p, static_cast<__mmask16>((1u << n) - 1), _mm_maskz_set1_epi8(m.v, 1));
}

MYELIN_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
MYELIN_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
MYELIN_INLINE Vec<float> fnma(Vec<float> a, Vec<float> b, Vec<float> c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
MYELIN_INLINE Vec<double> fnma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return {_mm512_fnmadd_pd(a.v, b.v, c.v)};
}
MYELIN_INLINE Vec<float> sqrt(Vec<float> a) { return {_mm512_maskz_sqrt_ps(Mask<float>::ones, a.v)}; }
MYELIN_INLINE Vec<double> sqrt(Vec<double> a) { return {_mm512_maskz_sqrt_pd(Mask<double>::ones, a.v)}; }
MYELIN_INLINE Vec<float> min(Vec<float> a, Vec<float> b) { return {_mm512_maskz_min_ps(Mask<float>::ones, a.v, b.v)}; }
MYELIN_INLINE Vec<double> min(Vec<double> a, Vec<double> b) {
  return {_mm512_maskz_min_pd(Mask<double>::ones, a.v, b.v)};
}
MYELIN_INLINE Vec<float> max(Vec<float> a, Vec<float> b) { return {_mm512_maskz_max_ps(Mask<float>::ones, a.v, b.v)}; }
MYELIN_INLINE Vec<double> max(Vec<double> a, Vec<double> b) {
  return {_mm512_maskz_max_pd(Mask<double>::ones, a.v, b.v)};
}

inline constexpr int kRoundNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
inline constexpr int kRoundDown = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
inline constexpr int kRoundUp = _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC;
inline constexpr int kRoundToZero = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
MYELIN_INLINE Vec<float> round(Vec<float> a) {
  return {_mm512_maskz_roundscale_ps(Mask<float>::ones, a.v, kRoundNearest)};
}
MYELIN_INLINE Vec<double> round(Vec<double> a) {
  return {_mm512_maskz_roundscale_pd(Mask<double>::ones, a.v, kRoundNearest)};
}
MYELIN_INLINE Vec<float> floor(Vec<float> a) {
  return {_mm512_maskz_roundscale_ps(Mask<float>::ones, a.v, kRoundDown)};
}
MYELIN_INLINE Vec<double> floor(Vec<double> a) {
  return {_mm512_maskz_roundscale_pd(Mask<double>::ones, a.v, kRoundDown)};
}
MYELIN_INLINE Vec<float> ceil(Vec<float> a) { return {_mm512_maskz_roundscale_ps(Mask<float>::ones, a.v, kRoundUp)}; }
MYELIN_INLINE Vec<double> ceil(Vec<double> a) {
  return {_mm512_maskz_roundscale_pd(Mask<double>::ones, a.v, kRoundUp)};
}
MYELIN_INLINE Vec<float> trunc(Vec<float> a) {
  return {_mm512_maskz_roundscale_ps(Mask<float>::ones, a.v, kRoundToZero)};
}
MYELIN_INLINE Vec<double> trunc(Vec<double> a) {
  return {_mm512_maskz_roundscale_pd(Mask<double>::ones, a.v, kRoundToZero)};
}

MYELIN_INLINE Vec<int32_t> to_int(Vec<float> a) {
  return {(Vec<int32_t>::Raw)_mm512_maskz_cvttps_epi32(Mask<float>::ones, a.v)};
}
MYELIN_INLINE Vec<int32_t> to_int_round(Vec<float> a) {
  return {(Vec<int32_t>::Raw)_mm512_maskz_cvtps_epi32(Mask<float>::ones, a.v)};
}
MYELIN_INLINE Vec<float> int_to_float(Vec<int32_t> a) {
  return {_mm512_maskz_cvtepi32_ps(Mask<float>::ones, (__m512i)a.v)};
}

}  // namespace MYELIN_ISA
}  // namespace myelin
