// Products of one row with a matrix, which read the matrix once: bound by memory.
#pragma once
#include "matmul_block.h"
#include "vectors.h"

namespace myelin {
namespace MYELIN_ISA {

// sum[j] = (first ? 0 : sum[j]) + Σ_r a[r·as]·b[r·bs + j], r < R in order, j < n. sum is accessed in whole vectors.
template <class T, int R>
MYELIN_INLINE void add_rows(const T* a, int64_t as, const T* b, int64_t bs, int64_t n, T* sum, bool first) {
  constexpr int N = Vec<T>::N;
  Vec<T> av[R];
  for (int r = 0; r < R; r++) av[r] = set1(a[r * as]);
  int64_t j = 0;
  for (; j + N <= n; j += N) {
    Vec<T> v = first ? zero<T>() : load(sum + j);
    for (int r = 0; r < R; r++) v = fma(av[r], load(b + r * bs + j), v);
    store(sum + j, v);
  }
  if (j < n) {
    Vec<T> v = first ? zero<T>() : load(sum + j);
    for (int r = 0; r < R; r++) v = fma(av[r], load_n(b + r * bs + j, static_cast<int>(n - j)), v);
    store(sum + j, v);
  }
}

// Columns [j0, j1) of a product of one row with a B whose rows are contiguous: B is read once, row after row.
inline constexpr int64_t kRowColumns = 512;
template <class T>
void run_row(const Product<T>& p, int64_t j0, int64_t j1) {
  alignas(64) T sum[kRowColumns];
  Epilogue<T> e = p.out;
  if (p.turned) e.ccs = e.crs, e.bias_stride = 0;
  const int64_t n = j1 - j0;
  for (int64_t k0 = 0; k0 < p.k; k0 += kDepth<T>) {
    const int64_t end = smaller(p.k, k0 + kDepth<T>);
    int64_t k = k0;
    for (; k + 8 <= end; k += 8) add_rows<T, 8>(p.a + k * p.acs, p.acs, p.b + k * p.brs + j0, p.brs, n, sum, k == k0);
    for (; k < end; k++) add_rows<T, 1>(p.a + k * p.acs, p.acs, p.b + k * p.brs + j0, p.brs, n, sum, k == k0);
    e.beta = k0 == 0 ? p.out.beta : T(1);
    e.bias = end == p.k ? p.out.bias : nullptr;
    e.activation = end == p.k ? p.out.activation : kNoActivation;
    finish(e, sum, 0, 0, 1, j0, static_cast<int>(n));
  }
}

inline constexpr int64_t kDotColumns = 64;  // of one task
inline constexpr int64_t kDotBlock = 4096;  // of a sum kept in registers
inline constexpr int kDots = 4;             // columns at a time, two chains each

// sum[r] = Σ a[k]·b[r·bs + k] for r < kDots; meanwhile the columns after are fetched.
template <class T>
MYELIN_INLINE void dots(const T* a, const T* b, int64_t bs, int64_t n, T* sum) {
  constexpr int N = Vec<T>::N;
  for (int r = 0; r < kDots; r++) sum[r] = T(0);
  for (int64_t begin = 0; begin < n; begin += kDotBlock) {
    const int64_t end = smaller(n, begin + kDotBlock);
    Vec<T> even[kDots], odd[kDots];
    for (int r = 0; r < kDots; r++) even[r] = odd[r] = zero<T>();
    int64_t k = begin;
    for (; k + 2 * N <= end; k += 2 * N) {
      const Vec<T> first = load(a + k), second = load(a + k + N);
#pragma GCC unroll 4
      for (int r = 0; r < kDots; r++) {
        const T* row = b + r * bs + k;
        prefetch(row + kDots * bs);
        even[r] = fma(first, load(row), even[r]);
        odd[r] = fma(second, load(row + N), odd[r]);
      }
    }
    for (; k < end; k += N) {
      const int lanes = static_cast<int>(smaller(N, end - k));
      const Vec<T> x = load_part(a + k, lanes);
#pragma GCC unroll 4
      for (int r = 0; r < kDots; r++) even[r] = fma(x, load_part(b + r * bs + k, lanes), even[r]);
    }
    for (int r = 0; r < kDots; r++) sum[r] += reduce_add(even[r] + odd[r]);
  }
}

// Columns [j0, j1) of a product of one contiguous row with a B whose columns are contiguous: a dot product each.
template <class T>
void run_dots(const Product<T>& p, int64_t j0, int64_t j1) {
  alignas(64) T sum[kDotColumns];
  int64_t j = j0;
  for (; j + kDots <= j1; j += kDots) dots(p.a, p.b + j * p.bcs, p.bcs, p.k, sum + j - j0);
  for (; j < j1; j++) {
    T same[kDots];
    dots(p.a, p.b + j * p.bcs, 0, p.k, same);
    sum[j - j0] = same[0];
  }
  Epilogue<T> e = p.out;
  if (p.turned) e.ccs = e.crs, e.bias_stride = 0;
  finish(e, sum, 0, 0, 1, j0, static_cast<int>(j1 - j0));
}

}  // namespace MYELIN_ISA
}  // namespace myelin
