// AArch64 Advanced SIMD: FMA and rounding, no gather, no masked memory.
#pragma once

namespace myelin {
namespace MYELIN_ISA {

template <int B>
MYELIN_INLINE bool any(MaskOfSize<B> m) {
  return vmaxvq_u32((uint32x4_t)m.v) != 0;
}
template <int B>
MYELIN_INLINE bool all(MaskOfSize<B> m) {
  return vminvq_u32((uint32x4_t)m.v) == 0xffffffffu;
}

template <class T>
MYELIN_INLINE Vec<T> load_n(const T* p, int n) {
  if (n >= Vec<T>::N) return load(p);
  typename Vec<T>::Raw r{};
  if (n > 0) r[0] = p[0];
  if constexpr (sizeof(T) == 4) {
    if (n > 1) r[1] = p[1];
    if (n > 2) r[2] = p[2];
  }
  return {r};
}
template <class T>
MYELIN_INLINE void store_n(T* p, Vec<T> a, int n) {
  if (n >= Vec<T>::N) return store(p, a);
  if (n > 0) p[0] = a.v[0];
  if constexpr (sizeof(T) == 4) {
    if (n > 1) p[1] = a.v[1];
    if (n > 2) p[2] = a.v[2];
  }
}
template <class T>
MYELIN_INLINE void stream(T* p, Vec<T> a) {
  store(p, a);
}
MYELIN_INLINE void stream_fence() {}

template <class T>
MYELIN_INLINE Vec<T> gather(const T* p, Vec<Int<T>> index) {
  typename Vec<T>::Raw r{};
  for (int i = 0; i < Vec<T>::N; i++) r[i] = p[index.v[i]];
  return {r};
}

MYELIN_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
MYELIN_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return {vfmaq_f64(c.v, a.v, b.v)}; }
MYELIN_INLINE Vec<float> fnma(Vec<float> a, Vec<float> b, Vec<float> c) { return {vfmsq_f32(c.v, a.v, b.v)}; }
MYELIN_INLINE Vec<double> fnma(Vec<double> a, Vec<double> b, Vec<double> c) { return {vfmsq_f64(c.v, a.v, b.v)}; }
MYELIN_INLINE Vec<float> sqrt(Vec<float> a) { return {vsqrtq_f32(a.v)}; }
MYELIN_INLINE Vec<double> sqrt(Vec<double> a) { return {vsqrtq_f64(a.v)}; }
MYELIN_INLINE Vec<float> round(Vec<float> a) { return {vrndnq_f32(a.v)}; }
MYELIN_INLINE Vec<double> round(Vec<double> a) { return {vrndnq_f64(a.v)}; }
MYELIN_INLINE Vec<float> floor(Vec<float> a) { return {vrndmq_f32(a.v)}; }
MYELIN_INLINE Vec<double> floor(Vec<double> a) { return {vrndmq_f64(a.v)}; }
MYELIN_INLINE Vec<float> ceil(Vec<float> a) { return {vrndpq_f32(a.v)}; }
MYELIN_INLINE Vec<double> ceil(Vec<double> a) { return {vrndpq_f64(a.v)}; }
MYELIN_INLINE Vec<float> trunc(Vec<float> a) { return {vrndq_f32(a.v)}; }
MYELIN_INLINE Vec<double> trunc(Vec<double> a) { return {vrndq_f64(a.v)}; }

// fmin and fmax treat NaN otherwise than the contract in simd.h.
MYELIN_INLINE Vec<float> min(Vec<float> a, Vec<float> b) { return select(a < b, a, b); }
MYELIN_INLINE Vec<double> min(Vec<double> a, Vec<double> b) { return select(a < b, a, b); }
MYELIN_INLINE Vec<float> max(Vec<float> a, Vec<float> b) { return select(a > b, a, b); }
MYELIN_INLINE Vec<double> max(Vec<double> a, Vec<double> b) { return select(a > b, a, b); }

MYELIN_INLINE Vec<int32_t> to_int(Vec<float> a) { return {(Vec<int32_t>::Raw)vcvtq_s32_f32(a.v)}; }
MYELIN_INLINE Vec<int32_t> to_int_round(Vec<float> a) { return {(Vec<int32_t>::Raw)vcvtnq_s32_f32(a.v)}; }
MYELIN_INLINE Vec<float> int_to_float(Vec<int32_t> a) { return {vcvtq_f32_s32((int32x4_t)a.v)}; }

}  // namespace MYELIN_ISA
}  // namespace myelin
