// Softmax over one contiguous row, shared by softmax and cross-entropy. `n` is the length of the row.
#pragma once
#include <math.h>

#include "../simd/math.h"
#include "../simd/simd.h"
#include "call.h"

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

// The greatest element; NaNs may or may not count (they come back through the sum of exponentials).
template <class T>
inline T row_max(const T* x, int64_t n) {
  constexpr int N = Vec<T>::N;
  const Vec<T> lowest = set1<T>(static_cast<T>(-INFINITY));
  Vec<T> a = lowest;
  Vec<T> b = lowest;
  int64_t i = 0;
  for (; i + 2 * N <= n; i += 2 * N) {
    a = max(a, load(x + i));
    b = max(b, load(x + i + N));
  }
  for (; i < n; i += N) {
    const int k = n - i < N ? static_cast<int>(n - i) : N;
    a = max(a, select(first_n<T>(k), load_n(x + i, k), lowest));
  }
  return reduce_max(max(a, b));
}

// Σ exp(x - shift), which also goes to out unless that is null (out may be x).
template <class T, bool Store>
inline T row_exp_sum(const T* x, T* out, int64_t n, T shift) {
  const Vec<T> m = set1<T>(shift);
  return sum_vectors<T>(n, [&](int64_t i, int k) {
    const Vec<T> e = exp(load_part(x + i, k) - m);
    if (Store) store_part(out + i, e, k);
    return k == Vec<T>::N ? e : zero_unless(first_n<T>(k), e);
  });
}

template <class T>
inline void row_scale(T* x, int64_t n, T factor) {
  const Vec<T> f = set1<T>(factor);
  for_vectors<T>(n, [&](int64_t i, int k) { store_part(x + i, load_part(x + i, k) * f, k); });
}

}  // namespace MYELIN_ISA
}  // namespace myelin
