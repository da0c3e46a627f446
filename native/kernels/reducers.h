// What reductions gather: sums, products, extremes, counts, norms. Each is a struct R of
//   In, the element type; Join, how partial results are joined; Acc, a partial result; Lane, what a column is gathered in
//   run(p, n): the partial result of n adjacent elements; lift(In) → Lane.
// reducer_of<R> is what the engine takes.
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

// How two partial results become one, and the result of nothing.
struct Add {
  static constexpr double kNothing = 0;
  template <class A>
  static MYELIN_INLINE A of(A a, A b) {
    return a + b;
  }
};
struct Multiply {
  static constexpr double kNothing = 1;
  template <class A>
  static MYELIN_INLINE A of(A a, A b) {
    return a * b;
  }
};
// The larger, or the smaller when Lowest is set; NaN wins.
template <bool Lowest>
struct Pick {
  static constexpr double kNothing = Lowest ? INFINITY : -INFINITY;
  template <class A>
  static MYELIN_INLINE A of(A a, A b) {
    const bool better = Lowest ? b < a : b > a;
    return better | (b != b) ? b : a;
  }
};

template <class A, class Join>
constexpr A nothing_of() {
  constexpr bool whole = static_cast<A>(0.5) == 0, finite = INFINITY > Join::kNothing && -INFINITY < Join::kNothing;
  if constexpr (finite || !whole)
    return static_cast<A>(Join::kNothing);
  else
    return static_cast<A>(Join::kNothing > 0 ? INT32_MAX : INT32_MIN);
}

template <class T>
struct Sum {
  using In = T;
  using Join = Add;
  using Acc = double;
  using Lane = T;
  static Lane lift(T x) { return x; }
  static Acc run(const T* p, int64_t n) {
    return sum_blocks(p, n, [](Vec<T> x) { return x; });
  }
};

template <class T>
struct SumAbs : Sum<T> {
  static T lift(T x) { return x < 0 ? -x : x; }
  static double run(const T* p, int64_t n) {
    return sum_blocks(p, n, [](Vec<T> x) { return abs(x); });
  }
};

// Integers, wrapping at 2^32.
template <class J>
struct Wrapped {
  using In = int32_t;
  using Join = J;
  using Acc = uint32_t;
  using Lane = uint32_t;
  static Lane lift(int32_t x) { return static_cast<uint32_t>(x); }
  static Acc run(const int32_t* p, int64_t n) {
    Acc total = nothing_of<Acc, J>();
    for (int64_t i = 0; i < n; i++) total = J::of(total, static_cast<uint32_t>(p[i]));
    return total;
  }
};

template <class T>
struct Prod {
  using In = T;
  using Join = Multiply;
  using Acc = double;
  using Lane = double;
  static Lane lift(T x) { return static_cast<double>(x); }
  static Acc run(const T* p, int64_t n) {
    double lanes[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    const int64_t even = n - n % 8;
    for (int64_t i = 0; i < even; i += 8)
      for (int j = 0; j < 8; j++) lanes[j] *= static_cast<double>(p[i + j]);
    for (int64_t i = even; i < n; i++) lanes[i - even] *= static_cast<double>(p[i]);
    return ((lanes[0] * lanes[1]) * (lanes[2] * lanes[3])) * ((lanes[4] * lanes[5]) * (lanes[6] * lanes[7]));
  }
};

template <class T, bool Lowest>
struct Extreme {
  using In = T;
  using Join = Pick<Lowest>;
  using Acc = T;
  using Lane = T;
  static Lane lift(T x) { return x; }
  static Acc run(const T* p, int64_t n) {
    return run_vectors(p, n, [](Vec<T> x) { return x; });
  }

 protected:
  static MYELIN_INLINE Vec<T> pick(Vec<T> a, Vec<T> b) { return Lowest ? min_nan(a, b) : max_nan(a, b); }
  template <class F>
  static MYELIN_INLINE T run_vectors(const T* p, int64_t n, const F& map) {
    constexpr int N = Vec<T>::N;
    const Vec<T> none = set1<T>(nothing_of<T, Pick<Lowest>>());
    Vec<T> a = none, b = none, c = none, d = none;
    const int64_t quarter = n / (4 * N) * N, far = n >= kLongRun<T> ? quarter : N, step = n >= kLongRun<T> ? N : 4 * N;
    int64_t i = 0;
    for (const T* q = p; i < 4 * quarter; i += 4 * N, q += step) {
      a = pick(map(load(q)), a);
      b = pick(map(load(q + far)), b);
      c = pick(map(load(q + 2 * far)), c);
      d = pick(map(load(q + 3 * far)), d);
    }
    for (; i + N <= n; i += N) a = pick(map(load(p + i)), a);
    if (i < n) {
      const int left = static_cast<int>(n - i);
      b = pick(select(first_n<T>(left), map(load_n(p + i, left)), none), b);
    }
    const Vec<T> all = pick(pick(a, b), pick(c, d));
    return Lowest ? reduce_min(all) : reduce_max(all);
  }
};

template <bool Lowest>
struct Extreme<int32_t, Lowest> {
  using In = int32_t;
  using Join = Pick<Lowest>;
  using Acc = int32_t;
  using Lane = int32_t;
  static int32_t lift(int32_t x) { return x; }
  static int32_t run(const int32_t* p, int64_t n) {
    int32_t best = nothing_of<int32_t, Join>();
    for (int64_t i = 0; i < n; i++) best = Join::of(best, p[i]);
    return best;
  }
};

// The extreme of |x|; the greatest of nothing is 0.
template <bool Lowest>
struct PickAbs : Pick<Lowest> {
  static constexpr double kNothing = Lowest ? INFINITY : 0;
};
template <class T, bool Lowest>
struct ExtremeAbs : Extreme<T, Lowest> {
  using Join = PickAbs<Lowest>;
  static T lift(T x) { return x < 0 ? -x : x; }
  static T run(const T* p, int64_t n) {
    return Extreme<T, Lowest>::run_vectors(p, n, [](Vec<T> x) { return abs(x); });
  }
};

template <class T>
struct CountNonzero {
  using In = T;
  using Join = Add;
  using Acc = int64_t;
  using Lane = int32_t;
  static Lane lift(T x) { return x != 0; }
  static Acc run(const T* p, int64_t n) {
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
template <class T>
struct SumSquares {
  using In = T;
  using Join = Add;
  using Acc = double;
  using Lane = double;
  static double lift(T x) { return static_cast<double>(x) * static_cast<double>(x); }
  static Acc run(const T* p, int64_t n) {
    double total = 0;
    for (int64_t i = 0; i < n; i += kBlock) total += block(p + i, n - i < kBlock ? n - i : kBlock);
    return total;
  }

 private:
  static double block(const T* p, int64_t n) {
    constexpr int N = Vec<T>::N;
    Vec<double> a = zero<double>(), b = a;
    for (int64_t i = 0; i < n; i += N) {
      const Vec<T> x = n - i >= N ? load(p + i) : load_n(p + i, static_cast<int>(n - i));
      if constexpr (sizeof(T) == 4) {
        const DoublePair pair = widen(x);
        a = fma(pair.low, pair.low, a);
        b = fma(pair.high, pair.high, b);
      } else {
        a = fma(x, x, a);
      }
    }
    return reduce_add(a + b);
  }
};

// --- the loops of a struct R, as the engine takes them

template <class R>
void run_of(void* acc, const void* p, int64_t n) {
  typename R::Acc& to = *static_cast<typename R::Acc*>(acc);
  to = R::Join::of(to, R::run(static_cast<const typename R::In*>(p), n));
}

template <class Acc, class From, class Join>
void join_of(void* acc, const void* other, int64_t n) {
  Acc* to = static_cast<Acc*>(acc);
  const From* from = static_cast<const From*>(other);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) to[i] = Join::of(to[i], static_cast<Acc>(from[i]));
}
template <class Acc, class Lane, class Join>
void flush_of(void* acc, const void* lanes, int64_t n, int64_t) {
  join_of<Acc, Lane, Join>(acc, lanes, n);
}

template <class R>
void gather_of(void* lanes, const void* from, int64_t stride, int64_t rows, int64_t width, int64_t) {
  using Join = typename R::Join;
  typename R::Lane* lane = static_cast<typename R::Lane*>(lanes);
  const typename R::In* p = static_cast<const typename R::In*>(from);
  for (; rows >= 8; rows -= 8, p += 8 * stride) {
    const auto *p1 = p + stride, *p2 = p1 + stride, *p3 = p2 + stride, *p4 = p3 + stride, *p5 = p4 + stride,
               *p6 = p5 + stride, *p7 = p6 + stride;
#pragma GCC ivdep
    for (int64_t i = 0; i < width; i++) {
      const auto low = Join::of(Join::of(R::lift(p[i]), R::lift(p1[i])), Join::of(R::lift(p2[i]), R::lift(p3[i])));
      const auto high = Join::of(Join::of(R::lift(p4[i]), R::lift(p5[i])), Join::of(R::lift(p6[i]), R::lift(p7[i])));
      lane[i] = Join::of(lane[i], Join::of(low, high));
    }
  }
  for (; rows > 0; rows--, p += stride) {
#pragma GCC ivdep
    for (int64_t i = 0; i < width; i++) lane[i] = Join::of(lane[i], R::lift(p[i]));
  }
}

template <class R>
void short_rows_of(void* acc, const void* from, int64_t next, int64_t rows, int64_t step, int64_t count) {
  typename R::Acc* to = static_cast<typename R::Acc*>(acc);
  const typename R::In* p = static_cast<const typename R::In*>(from);
  for (int64_t i = 0; i < rows; i++, p += next)
    for (int64_t j = 0; j < count; j++) to[i] = R::Join::of(to[i], static_cast<typename R::Acc>(R::lift(p[j * step])));
}

template <class A, class Join>
inline constexpr A kNothingOf = nothing_of<A, Join>();

template <class R>
inline constexpr Reducer reducer_of = {
    sizeof(typename R::In),
    sizeof(typename R::Acc),
    &kNothingOf<typename R::Acc, typename R::Join>,
    &kNothingOf<typename R::Lane, typename R::Join>,
    sizeof(typename R::Lane),
    run_of<R>,
    join_of<typename R::Acc, typename R::Acc, typename R::Join>,
    flush_of<typename R::Acc, typename R::Lane, typename R::Join>,
    gather_of<R>,
    short_rows_of<R>,
};

// The result is the partial one.
template <class Acc, class Out>
void finish_same(const double*, const void* acc, int64_t n, int64_t, void* out, int64_t stride) {
  for (int64_t i = 0; i < n; i++)
    static_cast<Out*>(out)[i * stride] = static_cast<Out>(static_cast<const Acc*>(acc)[i]);
}

// The root of the partial result, a double.
template <class Out>
void finish_root(const double*, const void* acc, int64_t n, int64_t, void* out, int64_t stride) {
  for (int64_t i = 0; i < n; i++)
    static_cast<Out*>(out)[i * stride] = static_cast<Out>(root(static_cast<const double*>(acc)[i]));
}

}  // namespace MYELIN_ISA
}  // namespace myelin
