// Softmax over one contiguous row, shared by softmax and cross-entropy. `n` is the length of the row.
#pragma once
#include <math.h>

#include "../simd/math.h"
#include "../simd/simd.h"
#include "call.h"
#include "vectors.h"

namespace myelin {
namespace MYELIN_ISA {

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

// Σ exp(x - shift) for a shift that no x is above but by rounding, which also goes to out unless that is null (out may be x). Meanwhile the next row, if it follows this
// one in memory, is fetched: the sum is bound by arithmetic, the pass for the maximum by memory.
template <class T, bool Store>
inline T row_exp_sum(const T* x, T* out, int64_t n, T shift) {
  const Vec<T> m = set1<T>(shift);
  return sum_vectors<T>(n, [&](int64_t i, int k) {
    prefetch(x + n + i);
    if (Store) prefetch(out + n + i);
    const Vec<T> e = exp_decay(load_part(x + i, k) - m);
    if (Store) store_part(out + i, e, k);
    return k == Vec<T>::N ? e : zero_unless(first_n<T>(k), e);
  });
}

// Three rows at three stages, so that the memory of one and the arithmetic of another share the time: the greatest element of
// `next` is found while e becomes exp(x - shift), summed in *sum, and, if Finish is set, `out` becomes `before` times `factor`.
template <bool Stream, bool Finish, class T>
inline T row_stages(const T* x, T* e, int64_t n, T shift, T* sum, const T* next, const T* before, T factor, T* out) {
  const Vec<T> m = set1<T>(shift), f = set1<T>(factor), lowest = set1<T>(static_cast<T>(-INFINITY));
  Vec<T> most = lowest;
  *sum = sum_vectors<T>(n, [&](int64_t i, int k) {
    const bool whole = k == Vec<T>::N;
    const Vec<T> ahead = load_part(next + i, k), value = exp_decay(load_part(x + i, k) - m);
    most = max(most, whole ? ahead : select(first_n<T>(k), ahead, lowest));
    if (Finish) put_part<Stream>(out + i, load_part(before + i, k) * f, k);
    store_part(e + i, value, k);
    return whole ? value : zero_unless(first_n<T>(k), value);
  });
  return reduce_max(most);
}

template <class T>
inline void row_scale(T* x, int64_t n, T factor) {
  const Vec<T> f = set1<T>(factor);
  for_vectors<T>(n, [&](int64_t i, int k) { store_part(x + i, load_part(x + i, k) * f, k); });
}

}  // namespace MYELIN_ISA
}  // namespace myelin
