// What reductions gather: sums, products, extremes, counts, norms, moments. See reduce.h for what a reducer is.
#pragma once
#include <math.h>
#include <stdint.h>

#include "../simd/math.h"
#include "reduce.h"

namespace myelin {
namespace MYELIN_ISA {

// The sum of map(x) of n elements; map(0) is 0.
template <class T, class F>
MYELIN_INLINE double sum_block(const T* p, int64_t n, const F& map) {
  constexpr int N = Vec<T>::N;
  Vec<T> a = zero<T>(), b = a, c = a, d = a;
  int64_t i = 0;
  for (; i + 4 * N <= n; i += 4 * N) {
    a = a + map(load(p + i));
    b = b + map(load(p + i + N));
    c = c + map(load(p + i + 2 * N));
    d = d + map(load(p + i + 3 * N));
  }
  for (; i + N <= n; i += N) a = a + map(load(p + i));
  if (i < n) b = b + map(load_n(p + i, static_cast<int>(n - i)));
  return static_cast<double>(reduce_add((a + b) + (c + d)));
}

// Blocks of a turn each in four vectors of T, their sums in double.
template <class T, class F>
MYELIN_INLINE double sum_blocks(const T* p, int64_t n, const F& map) {
  constexpr int64_t block = kTurn<T>;
  double total = 0;
  if (n >= kLongRun<T>) {
    const int64_t far = n / (4 * block) * block;
    for (const T* end = p + far; p < end; p += block)
      for (int64_t k = 0; k < 4; k++) total += sum_block(p + k * far, block, map);
    p += 3 * far;
    n -= 4 * far;
  }
  for (; n > block; n -= block, p += block) total += sum_block(p, block, map);
  return total + sum_block(p, n, map);
}

template <class T>
struct Sum {
  using In = T;
  using Lane = T;
  using Acc = double;
  static Acc identity() { return 0; }
  static Lane lane_identity() { return 0; }
  static Lane lift(T x) { return x; }
  static Lane merge(Lane a, Lane b) { return a + b; }
  static Acc join(Acc a, Acc b) { return a + b; }
  __attribute__((noinline)) static Acc run(const T* p, int64_t n) {
    return sum_blocks(p, n, [](Vec<T> x) { return x; });
  }
};

template <class T>
struct SumAbs : Sum<T> {
  static T lift(T x) { return x < 0 ? -x : x; }
  __attribute__((noinline)) static double run(const T* p, int64_t n) {
    return sum_blocks(p, n, [](Vec<T> x) { return abs(x); });
  }
};

// Integers, wrapping at 2^32.
template <class T>
struct SumInteger {
  using In = T;
  using Lane = uint32_t;
  using Acc = uint32_t;
  static Acc identity() { return 0; }
  static Lane lane_identity() { return 0; }
  static Lane lift(T x) { return static_cast<uint32_t>(x); }
  static Lane merge(Lane a, Lane b) { return a + b; }
  static Acc join(Acc a, Acc b) { return a + b; }
  __attribute__((noinline)) static Acc run(const T* p, int64_t n) {
    Acc total = 0;
    for (int64_t i = 0; i < n; i++) total += static_cast<uint32_t>(p[i]);
    return total;
  }
};

template <class T>
struct ProdInteger : SumInteger<T> {
  static uint32_t identity() { return 1; }
  static uint32_t lane_identity() { return 1; }
  static uint32_t merge(uint32_t a, uint32_t b) { return a * b; }
  static uint32_t join(uint32_t a, uint32_t b) { return a * b; }
  __attribute__((noinline)) static uint32_t run(const T* p, int64_t n) {
    uint32_t total = 1;
    for (int64_t i = 0; i < n; i++) total *= static_cast<uint32_t>(p[i]);
    return total;
  }
};

// Where a reduction has no meaning for integers.
template <class T>
struct NoInteger {};
template <class A, class B>
inline constexpr bool is_same = false;
template <class A>
inline constexpr bool is_same<A, A> = true;

template <class T>
struct Prod {
  using In = T;
  using Lane = double;
  using Acc = double;
  static Acc identity() { return 1; }
  static Lane lane_identity() { return 1; }
  static Lane lift(T x) { return static_cast<double>(x); }
  static Lane merge(Lane a, Lane b) { return a * b; }
  static Acc join(Acc a, Acc b) { return a * b; }
  __attribute__((noinline)) static Acc run(const T* p, int64_t n) {
    double lanes[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    const int64_t even = n - n % 8;
    for (int64_t i = 0; i < even; i += 8)
      for (int j = 0; j < 8; j++) lanes[j] *= static_cast<double>(p[i + j]);
    for (int64_t i = even; i < n; i++) lanes[i - even] *= static_cast<double>(p[i]);
    return ((lanes[0] * lanes[1]) * (lanes[2] * lanes[3])) * ((lanes[4] * lanes[5]) * (lanes[6] * lanes[7]));
  }
};

// The larger, or the smaller when Lowest is set; NaN wins.
template <class T, bool Lowest>
struct Extreme {
  using In = T;
  using Lane = T;
  using Acc = T;
  static Acc identity() {
    if constexpr (static_cast<T>(0.5) != 0)
      return static_cast<T>(Lowest ? INFINITY : -INFINITY);
    else if constexpr (sizeof(T) == 1)
      return Lowest ? 255 : 0;
    else
      return Lowest ? INT32_MAX : INT32_MIN;
  }
  static Lane lane_identity() { return identity(); }
  static Lane lift(T x) { return x; }
  static Lane merge(Lane a, Lane b) {
    const bool better = Lowest ? b < a : b > a;
    return better | (b != b) ? b : a;
  }
  static Acc join(Acc a, Acc b) { return merge(a, b); }
  __attribute__((noinline)) static Acc run(const T* p, int64_t n) {
    if constexpr (static_cast<T>(0.5) != 0) {
      return run_vectors(p, n);
    } else {
      T best = identity();
      for (int64_t i = 0; i < n; i++) best = merge(best, p[i]);
      return best;
    }
  }

 private:
  static MYELIN_INLINE Vec<T> pick(Vec<T> a, Vec<T> b) { return Lowest ? min_nan(a, b) : max_nan(a, b); }
  static T run_vectors(const T* p, int64_t n) {
    constexpr int N = Vec<T>::N;
    const Vec<T> none = set1<T>(identity());
    Vec<T> a = none, b = none, c = none, d = none;
    const int64_t quarter = n / (4 * N) * N, far = n >= kLongRun<T> ? quarter : N, step = n >= kLongRun<T> ? N : 4 * N;
    int64_t i = 0;
    for (const T* q = p; i < 4 * quarter; i += 4 * N, q += step) {
      a = pick(load(q), a);
      b = pick(load(q + far), b);
      c = pick(load(q + 2 * far), c);
      d = pick(load(q + 3 * far), d);
    }
    for (; i + N <= n; i += N) a = pick(load(p + i), a);
    if (i < n) {
      const int left = static_cast<int>(n - i);
      b = pick(select(first_n<T>(left), load_n(p + i, left), none), b);
    }
    const Vec<T> all = pick(pick(a, b), pick(c, d));
    return Lowest ? reduce_min(all) : reduce_max(all);
  }
};

template <class T>
struct CountNonzero {
  using In = T;
  using Lane = int32_t;
  using Acc = int64_t;
  static Acc identity() { return 0; }
  static Lane lane_identity() { return 0; }
  static Lane lift(T x) { return x != 0; }
  static Lane merge(Lane a, Lane b) { return a + b; }
  static Acc join(Acc a, Acc b) { return a + b; }
  __attribute__((noinline)) static Acc run(const T* p, int64_t n) {
    int64_t total = 0;
    for (int64_t i = 0; i < n; i += 4096) {
      const int count = static_cast<int>(n - i < 4096 ? n - i : 4096);
      int32_t block = 0;
      for (int j = 0; j < count; j++) block += p[i + j] != 0;
      total += block;
    }
    return total;
  }
};

// Squares in double: neither overflows nor underflows for float.
MYELIN_INLINE Vec<double> add_squares(Vec<double> sum, Vec<double> x) { return fma(x, x, sum); }
template <class T>
struct SumSquares : Sum<double> {
  using In = T;
  static double lift(T x) { return static_cast<double>(x) * static_cast<double>(x); }
  __attribute__((noinline)) static Acc run(const T* p, int64_t n) {
    double total = 0;
    for (; n > kBlock; n -= kBlock, p += kBlock) total += block(p, kBlock);
    return total + block(p, n);
  }

 private:
  static double block(const T* p, int64_t n) {
    constexpr int N = Vec<T>::N;
    Vec<double> a = zero<double>(), b = a;
    for (int64_t i = 0; i < n; i += N) {
      const Vec<T> x = n - i >= N ? load(p + i) : load_n(p + i, static_cast<int>(n - i));
      if constexpr (sizeof(T) == 4) {
        const DoublePair pair = widen(x);
        a = add_squares(a, pair.low);
        b = add_squares(b, pair.high);
      } else {
        a = add_squares(a, x);
      }
    }
    return reduce_add(a + b);
  }
};

template <class T>
struct MaxAbs : Extreme<T, false> {
  using In = T;
  static T identity() { return 0; }
  static T lift(T x) { return x < 0 ? -x : x; }
  __attribute__((noinline)) static T run(const T* p, int64_t n) {
    constexpr int N = Vec<T>::N;
    Vec<T> a = zero<T>();
    for (int64_t i = 0; i < n; i += N)
      a = max_nan(abs(n - i >= N ? load(p + i) : load_n(p + i, static_cast<int>(n - i))), a);
    return reduce_max(a);
  }
};

template <class T>
struct MinAbs : Extreme<T, true> {
  static T lift(T x) { return x < 0 ? -x : x; }
  __attribute__((noinline)) static T run(const T* p, int64_t n) {
    T best = static_cast<T>(INFINITY);
    for (int64_t i = 0; i < n; i++) best = Extreme<T, true>::merge(best, lift(p[i]));
    return best;
  }
};

// Count, mean and sum of squared deviations; parts are joined by Chan's formula.
struct Spread {
  double count, mean, squares;
};

template <class T>
struct Moments {
  using In = T;
  using Acc = Spread;
  // Of a column: sums of distances from one of its elements, which is at most √count deviations away from the mean, so
  // little is lost in squares − sum² / count.
  struct Lane {
    double count, origin, sum, squares;
    explicit operator Spread() const {
      if (count == 0) return {0, 0, 0};
      return {count, origin + sum / count, squares - sum * sum / count};
    }
  };
  static Acc identity() { return {0, 0, 0}; }
  static Lane lane_identity() { return {0, 0, 0, 0}; }
  static Lane lift(T x) { return {1, static_cast<double>(x), 0, 0}; }
  static Lane merge(const Lane& a, const Lane& b) {
    const double origin = a.count == 0 ? b.origin : a.origin;
    const double gap = a.count == 0 ? 0 : b.origin - a.origin;
    return {a.count + b.count, origin, a.sum + b.sum + b.count * gap,
            a.squares + b.squares + gap * (2 * b.sum + b.count * gap)};
  }
  static Acc join(const Acc& a, const Acc& b) {
    if (a.count == 0) return b;
    if (b.count == 0) return a;
    const double count = a.count + b.count, gap = b.mean - a.mean;
    return {count, a.mean + gap * (b.count / count), a.squares + b.squares + gap * gap * (a.count * b.count / count)};
  }
  __attribute__((noinline)) static Acc run(const T* p, int64_t n) {
    const double count = static_cast<double>(n), first = Sum<T>::run(p, n) / count;
    // The second pass also measures how far the first one was off.
    constexpr int N = Vec<T>::N;
    const Vec<double> center = set1<double>(first);
    Vec<double> sum = zero<double>(), squares = sum, other = sum;
    const auto add = [&](Vec<double> x) {
      const Vec<double> d = x - center;
      sum = sum + d;
      squares = fma(d, d, squares);
    };
    int64_t i = 0;
    for (; i + N <= n; i += N) {
      const Vec<T> x = load(p + i);
      if constexpr (sizeof(T) == 4) {
        const DoublePair pair = widen(x);
        const Vec<double> low = pair.low - center, high = pair.high - center;
        sum = sum + (low + high);
        squares = fma(low, low, squares);
        other = fma(high, high, other);
      } else {
        add(x);
      }
    }
    double total = reduce_add(sum), of_squares = reduce_add(squares + other);
    for (; i < n; i++) {
      const double d = static_cast<double>(p[i]) - first;
      total += d;
      of_squares += d * d;
    }
    const double off = total / count;
    return {count, first + off, of_squares - total * off};
  }
};

}  // namespace MYELIN_ISA
}  // namespace myelin
