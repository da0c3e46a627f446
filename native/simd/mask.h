// Masks as vectors of all-ones or all-zero integers, for instruction sets without mask registers.
#pragma once

namespace myelin {
namespace MYELIN_ISA {

template <int Bytes>
struct MaskOfSize {
  using Raw = typename Vec<typename IntOfSize<Bytes>::Signed>::Raw;
  Raw v;
};
template <class T>
using Mask = MaskOfSize<static_cast<int>(sizeof(T))>;

template <class T>
MYELIN_INLINE Mask<T> operator==(Vec<T> a, Vec<T> b) {
  return {a.v == b.v};
}
template <class T>
MYELIN_INLINE Mask<T> operator!=(Vec<T> a, Vec<T> b) {
  return {a.v != b.v};
}
template <class T>
MYELIN_INLINE Mask<T> operator<(Vec<T> a, Vec<T> b) {
  return {a.v < b.v};
}
template <class T>
MYELIN_INLINE Mask<T> operator<=(Vec<T> a, Vec<T> b) {
  return {a.v <= b.v};
}
template <class T>
MYELIN_INLINE Mask<T> operator>(Vec<T> a, Vec<T> b) {
  return {a.v > b.v};
}
template <class T>
MYELIN_INLINE Mask<T> operator>=(Vec<T> a, Vec<T> b) {
  return {a.v >= b.v};
}

template <int B>
MYELIN_INLINE MaskOfSize<B> operator&(MaskOfSize<B> a, MaskOfSize<B> b) {
  return {a.v & b.v};
}
template <int B>
MYELIN_INLINE MaskOfSize<B> operator|(MaskOfSize<B> a, MaskOfSize<B> b) {
  return {a.v | b.v};
}
template <int B>
MYELIN_INLINE MaskOfSize<B> operator^(MaskOfSize<B> a, MaskOfSize<B> b) {
  return {a.v ^ b.v};
}
template <int B>
MYELIN_INLINE MaskOfSize<B> operator~(MaskOfSize<B> a) {
  return {~a.v};
}

template <class T>
MYELIN_INLINE Vec<T> select(Mask<T> m, Vec<T> a, Vec<T> b) {
  return {m.v ? a.v : b.v};
}
template <class T>
MYELIN_INLINE Vec<T> zero_unless(Mask<T> m, Vec<T> a) {
  return {(typename Vec<T>::Raw)((typename Mask<T>::Raw)a.v & m.v)};
}
template <class T>
MYELIN_INLINE Mask<T> first_n(int n) {
  return {iota<Int<T>>().v < set1<Int<T>>(n).v};
}

template <class T>
MYELIN_INLINE Mask<T> load_bool(const uint8_t* p, int n) {
  constexpr int N = Vec<T>::N;
  typedef uint8_t Bytes __attribute__((vector_size(N)));
  Bytes b{};
  if (n == N) {
    __builtin_memcpy(&b, p, N);
  } else {
    uint8_t buffer[N] = {};
    for (int i = 0; i < n; i++) buffer[i] = p[i];
    __builtin_memcpy(&b, buffer, N);
  }
  return {__builtin_convertvector(b, typename Mask<T>::Raw) != 0};
}
template <int B>
MYELIN_INLINE void store_bool(uint8_t* p, MaskOfSize<B> m, int n) {
  constexpr int N = kVectorBytes / B;
  typedef uint8_t Bytes __attribute__((vector_size(N)));
  const Bytes b = __builtin_convertvector(m.v & 1, Bytes);
  if (n == N) {
    __builtin_memcpy(p, &b, N);
  } else {
    uint8_t buffer[N];
    __builtin_memcpy(buffer, &b, N);
    for (int i = 0; i < n; i++) p[i] = buffer[i];
  }
}

}  // namespace MYELIN_ISA
}  // namespace myelin
