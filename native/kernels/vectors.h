// Loops over the vectors of one contiguous row, the last of which may be part of one.
#pragma once
#include <stdint.h>

#include "../simd/simd.h"

namespace myelin {
namespace MYELIN_ISA {

// The first k lanes; k == N, the usual case, is a plain load or store.
template <class T>
MYELIN_INLINE Vec<T> load_part(const T* p, int k) {
  return k == Vec<T>::N ? load(p) : load_n(p, k);
}
template <class T>
MYELIN_INLINE void store_part(T* p, Vec<T> v, int k) {
  if (k == Vec<T>::N) {
    store(p, v);
  } else {
    store_n(p, v, k);
  }
}

// A whole vector past the caches where Stream is set (p is then aligned to a vector), any other as store_part.
template <bool Stream, class T>
MYELIN_INLINE void put_part(T* p, Vec<T> v, int k) {
  if (Stream && k == Vec<T>::N)
    stream(p, v);
  else
    store_part(p, v, k);
}

// part(i, k) for the vectors of [0, n): k lanes from element i on.
template <class T, class F>
MYELIN_INLINE void for_vectors(int64_t n, const F& part) {
  constexpr int N = Vec<T>::N;
  int64_t i = 0;
  for (; i + N <= n; i += N) part(i, N);
  if (i < n) part(i, static_cast<int>(n - i));
}

// Sum of the vectors part(i, k), whose lanes past k must be 0: two chains, in blocks, so that rounding errors stay small in
// long rows. The order depends on n only.
template <class T, class F>
MYELIN_INLINE T sum_vectors(int64_t n, const F& part) {
  constexpr int N = Vec<T>::N;
  constexpr int64_t block = 64 * N;
  Vec<T> total = zero<T>();
  for (int64_t begin = 0; begin < n; begin += block) {
    const int64_t end = n - begin < block ? n : begin + block;
    Vec<T> even = zero<T>();
    Vec<T> odd = zero<T>();
    int64_t i = begin;
    for (; i + 2 * N <= end; i += 2 * N) {
      even = even + part(i, N);
      odd = odd + part(i + N, N);
    }
    if (i + N <= end) {
      even = even + part(i, N);
      i += N;
    }
    if (i < end) odd = odd + part(i, static_cast<int>(end - i));
    total = total + (even + odd);
  }
  return reduce_add(total);
}

// to[i] += w · from[i]
template <class T>
inline void add_scaled(T* to, const T* from, T w, int64_t n) {
  const Vec<T> scale = set1<T>(w);
  for_vectors<T>(
      n, [&](int64_t i, int k) { store_part(to + i, fma(scale, load_part(from + i, k), load_part(to + i, k)), k); });
}

}  // namespace MYELIN_ISA
}  // namespace myelin
