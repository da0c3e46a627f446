// Sums and moments that stay exact where the mean is large against the deviation: what the norms are made of.
#pragma once
#include <stdint.h>

#include "../simd/simd.h"
#include "vectors.h"

namespace myelin {
namespace MYELIN_ISA {

// Elements whose sums are gathered in T before they go to double.
inline constexpr int64_t kMomentBlock = 1024;

// `count` runs of `length` adjacent elements, `stride` apart.
struct Segments {
  int64_t count;
  int64_t length;
  int64_t stride;
};

// sums[k] += Σ acc[k] where part(at, lanes, acc) adds what belongs to the elements at … at + lanes - 1 to the vectors acc[K];
// lanes past `lanes` must add 0. The order of the additions depends on the segments alone.
template <class T, int K, class F>
MYELIN_INLINE void gather_sums(const Segments& s, double (&sums)[K], const F& part) {
  constexpr int N = Vec<T>::N;
  constexpr int U = 4;
  const int64_t most = s.length >= kMomentBlock ? 1 : kMomentBlock / s.length;
  for (int64_t first = 0; first < s.count; first += most) {
    const int64_t last = first + most < s.count ? first + most : s.count;
    for (int64_t from = 0; from < s.length; from += kMomentBlock) {
      const int64_t n = s.length - from < kMomentBlock ? s.length - from : kMomentBlock;
      Vec<T> acc[U][K];
      for (int u = 0; u < U; ++u) {
        for (int k = 0; k < K; ++k) acc[u][k] = zero<T>();
      }
      for (int64_t r = first; r < last; ++r) {
        const int64_t at = r * s.stride + from;
        int64_t i = 0;
        for (; i + U * N <= n; i += U * N) {
          for (int u = 0; u < U; ++u) part(at + i + u * N, N, acc[u]);
        }
        for (; i + N <= n; i += N) part(at + i, N, acc[0]);
        if (i < n) part(at + i, static_cast<int>(n - i), acc[1]);
      }
      for (int k = 0; k < K; ++k) {
        sums[k] += static_cast<double>(reduce_add((acc[0][k] + acc[1][k]) + (acc[2][k] + acc[3][k])));
      }
    }
  }
}

template <class T>
MYELIN_INLINE Vec<T> zero_past(Vec<T> x, int lanes) {
  return lanes == Vec<T>::N ? x : zero_unless(first_n<T>(lanes), x);
}

// Count, mean and Σ (x - mean)² of a set of numbers. Blocks are summed about the mean of those before them: the error of a
// block's squares is then a rounding of what the block adds to the whole.
struct Moments {
  double count = 0;
  double mean = 0;
  double squares = 0;

  // Chan, Golub and LeVeque (1979).
  void join(const Moments& other) {
    if (other.count == 0) return;
    const double total = count + other.count;
    const double d = other.mean - mean;
    mean += d * other.count / total;
    squares += other.squares + d * d * count * other.count / total;
    count = total;
  }

  // n numbers whose sum and sum of squares about `center` are known.
  void add(double n, double center, double sum, double sum_squares) {
    Moments block;
    block.count = n;
    block.mean = center + sum / n;
    block.squares = sum_squares - sum * sum / n;
    if (block.squares < 0) block.squares = 0;
    join(block);
  }

  double variance() const { return count > 0 ? squares / count : NAN; }
};

// Meanwhile, where it is given, `to` is fetched: sums are bound by memory, what follows them may be not.
template <bool Fetch, class T>
inline void add_block(Moments& m, const T* x, const Segments& s, const T* to) {
  const double n = static_cast<double>(s.count * s.length);
  double first[1] = {m.mean};
  if (m.count == 0) {
    first[0] = 0;
    gather_sums<T>(s, first, [&](int64_t i, int lanes, Vec<T>* acc) { acc[0] = acc[0] + load_part(x + i, lanes); });
    first[0] /= n;
  }
  const T center = static_cast<T>(first[0]);
  const Vec<T> c = set1<T>(center);
  double sums[2] = {0, 0};
  gather_sums<T>(s, sums, [&](int64_t i, int lanes, Vec<T>* acc) {
    if (Fetch) prefetch(to + i);
    const Vec<T> d = zero_past(load_part(x + i, lanes) - c, lanes);
    acc[0] = acc[0] + d;
    acc[1] = fma(d, d, acc[1]);
  });
  m.add(n, static_cast<double>(center), sums[0], sums[1]);
}

// Moments of all segments, read once in blocks that fit the innermost cache.
template <bool Fetch = false, class T>
inline Moments moments_of(const T* x, const Segments& s, const T* to = nullptr) {
  constexpr int64_t block = 4 * kMomentBlock;
  Moments m;
  if (s.length >= block) {
    for (int64_t r = 0; r < s.count; ++r) {
      for (int64_t from = 0; from < s.length; from += block) {
        const int64_t n = s.length - from < block ? s.length - from : block;
        add_block<Fetch>(m, x + r * s.stride + from, {1, n, n}, Fetch ? to + r * s.stride + from : nullptr);
      }
    }
  } else {
    const int64_t most = s.length > 0 ? block / s.length : 1;
    for (int64_t r = 0; r < s.count; r += most) {
      add_block<Fetch>(m, x + r * s.stride, {s.count - r < most ? s.count - r : most, s.length, s.stride},
                       Fetch ? to + r * s.stride : nullptr);
    }
  }
  return m;
}

// How an element is brought to mean 0 and deviation 1: x̂ = (x - high - low) · scale. A mean of which only `high` fits T would
// be off by a rounding of its own size.
template <class T>
struct Standard {
  T high;
  T low;
  T scale;

  Standard(double mean, double rstd)
      : high(static_cast<T>(mean)),
        low(static_cast<T>(mean - static_cast<double>(high))),
        scale(static_cast<T>(rstd)) {}
};

}  // namespace MYELIN_ISA
}  // namespace myelin
