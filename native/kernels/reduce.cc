// Reductions over any set of dimensions, arg-reductions, the norm of a list of tensors. Work is cut by shape only and
// partial results are joined in order, so results do not depend on the number of threads.
#include <math.h>
#include <stdint.h>

#include "../simd/math.h"
#include "reduce.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

// Sums: blocks of kSumBlock elements in four vectors of T (16 additions a lane for float), blocks in double.
constexpr int64_t kSumBlock = 64 * Vec<float>::N;

template <class T>
double sum_block(const T* p, int64_t n) {
  constexpr int N = Vec<T>::N;
  Vec<T> a = zero<T>(), b = a, c = a, d = a;
  int64_t i = 0;
  for (; i + 4 * N <= n; i += 4 * N) {
    a = a + load(p + i);
    b = b + load(p + i + N);
    c = c + load(p + i + 2 * N);
    d = d + load(p + i + 3 * N);
  }
  for (; i + N <= n; i += N) a = a + load(p + i);
  if (i < n) b = b + load_n(p + i, static_cast<int>(n - i));
  return static_cast<double>(reduce_add((a + b) + (c + d)));
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
    double total = 0;
    for (; n > kSumBlock; n -= kSumBlock, p += kSumBlock) total += sum_block(p, kSumBlock);
    return total + sum_block(p, n);
  }
};

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
    int64_t i = 0;
    for (; i + 4 * N <= n; i += 4 * N) {
      a = pick(load(p + i), a);
      b = pick(load(p + i + N), b);
      c = pick(load(p + i + 2 * N), c);
      d = pick(load(p + i + 3 * N), d);
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
    for (; n > kSumBlock; n -= kSumBlock, p += kSumBlock) total += block(p, kSumBlock);
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

Status check_reduction(const Call& c, int params) {
  return c.nin == 1 && c.nout == 1 && c.nparams == params ? kOk : kBadParameter;
}

// float to the same float.
template <template <class> class R, class F>
Status reduce_float(const Call& c, const F& finish) {
  const Status status = check_reduction(c, 0);
  if (status != kOk) return status;
  if (c.in[0].dtype != c.out[0].dtype) return kBadDType;
  switch (c.in[0].dtype) {
    case kFloat32:
      return reduce<R<float>, float>(*c.pool, c.in[0], c.out[0], finish);
    case kFloat64:
      return reduce<R<double>, double>(*c.pool, c.in[0], c.out[0], finish);
    default:
      return kBadDType;
  }
}

Status sum_or_mean(const Call& c, bool mean) {
  return reduce_float<Sum>(c,
                           [mean](double acc, int64_t count) { return mean ? acc / static_cast<double>(count) : acc; });
}

// The extreme itself. Of nothing: only bytes come here, for `all`, whose identity 255 is cut to 1.
struct Same {
  template <class Acc>
  Acc operator()(Acc acc, int64_t count) const {
    if constexpr (sizeof(Acc) == 1)
      return count == 0 ? acc & 1 : acc;
    else
      return acc;
  }
};

template <bool Lowest>
Status extreme(const Call& c) {
  const Status status = check_reduction(c, 0);
  if (status != kOk) return status;
  const View &x = c.in[0], &out = c.out[0];
  if (x.dtype != out.dtype) return kBadDType;
  if (x.numel == 0 && out.numel != 0) return kBadShape;
  const Same same;
  switch (x.dtype) {
    case kFloat32:
      return reduce<Extreme<float, Lowest>, float>(*c.pool, x, out, same);
    case kFloat64:
      return reduce<Extreme<double, Lowest>, double>(*c.pool, x, out, same);
    case kInt32:
      return reduce<Extreme<int32_t, Lowest>, int32_t>(*c.pool, x, out, same);
    case kUint8:
      return reduce<Extreme<uint8_t, Lowest>, uint8_t>(*c.pool, x, out, same);
    default:
      return kBadDType;
  }
}

// any is the largest of zeros and ones, all the smallest.
template <bool Lowest>
Status logical_reduce(const Call& c) {
  const Status status = check_reduction(c, 0);
  if (status != kOk) return status;
  if (c.in[0].dtype != kBool || c.out[0].dtype != kBool) return kBadDType;
  return reduce<Extreme<uint8_t, Lowest>, uint8_t>(*c.pool, c.in[0], c.out[0], Same());
}

template <bool Lowest>
Status arg_extreme(const Call& c) {
  const Status status = check_reduction(c, 1);
  if (status != kOk) return status;
  if (c.out[0].dtype != kInt32) return kBadDType;
  const View &x = c.in[0], &out = c.out[0];
  const double axis = c.params[0];
  if (!(axis >= -1 && axis < x.ndim)) return kBadParameter;
  switch (x.dtype) {
    case kFloat32:
      return arg_reduce<Extreme<float, Lowest>>(*c.pool, x, out, static_cast<int>(axis));
    case kFloat64:
      return arg_reduce<Extreme<double, Lowest>>(*c.pool, x, out, static_cast<int>(axis));
    case kInt32:
      return arg_reduce<Extreme<int32_t, Lowest>>(*c.pool, x, out, static_cast<int>(axis));
    case kUint8:
    case kBool:
      return arg_reduce<Extreme<uint8_t, Lowest>>(*c.pool, x, out, static_cast<int>(axis));
    default:
      return kBadDType;
  }
}

// Partial results of all tensors, chunk by chunk, then joined in order.
template <class R, class F>
Status norm_of_list(const Call& c, const F& finish) {
  using T = typename R::In;
  using Acc = typename R::Acc;
  int64_t chunks = 0, elements = 0;
  for (int k = 0; k < c.nin; k++) {
    if (c.in[k].contiguous) chunks += (c.in[k].numel + kReduceChunk - 1) / kReduceChunk;
    elements += c.in[k].numel;
  }
  Acc small[64];
  Acc* partial = small;
  if (chunks > 64) {
    partial = static_cast<Acc*>(c.pool->scratch(c.pool->self, -1, static_cast<size_t>(chunks) * sizeof(Acc)));
    if (partial == nullptr) return kOutOfMemory;
  }
  const auto run = [&](int64_t begin, int64_t end, int) {
    int64_t first = 0;
    for (int k = 0; k < c.nin && first < end; k++) {
      if (!c.in[k].contiguous) continue;
      const int64_t n = c.in[k].numel, count = (n + kReduceChunk - 1) / kReduceChunk;
      for (int64_t j = begin > first ? begin - first : 0; j < count && first + j < end; j++) {
        const int64_t from = j * kReduceChunk, left = n - from;
        partial[first + j] =
            R::run(static_cast<const T*>(c.in[k].data) + from, left < kReduceChunk ? left : kReduceChunk);
      }
      first += count;
    }
  };
  if (elements <= 2 * kReduceChunk)
    run(0, chunks, 0);
  else
    parallel_for(*c.pool, chunks, chunks / 256 + 1, run);
  Acc total = R::identity();
  int64_t at = 0;
  for (int k = 0; k < c.nin; k++) {
    if (c.in[k].contiguous) {
      const int64_t count = (c.in[k].numel + kReduceChunk - 1) / kReduceChunk;
      for (int64_t j = 0; j < count; j++) total = R::join(total, partial[at++]);
    } else if (c.in[k].numel > 0) {
      total = R::join(total, reduce_strided<R>(c.in[k]));
    }
  }
  *static_cast<T*>(c.out[0].data) = static_cast<T>(finish(total));
  return kOk;
}

template <class T>
Status norm(const Call& c) {
  if (c.params[0] == 2) return norm_of_list<SumSquares<T>>(c, [](double sum) { return ::sqrt(sum); });
  if (c.params[0] == INFINITY) return norm_of_list<MaxAbs<T>>(c, [](T most) { return most; });
  return kBadParameter;
}

}  // namespace

Status sum(const Call& c) { return sum_or_mean(c, false); }
Status mean(const Call& c) { return sum_or_mean(c, true); }
Status prod(const Call& c) {
  return reduce_float<Prod>(c, [](double acc, int64_t) { return acc; });
}
Status amax(const Call& c) { return extreme<false>(c); }
Status amin(const Call& c) { return extreme<true>(c); }
Status any(const Call& c) { return logical_reduce<false>(c); }
Status all(const Call& c) { return logical_reduce<true>(c); }
Status argmax(const Call& c) { return arg_extreme<false>(c); }
Status argmin(const Call& c) { return arg_extreme<true>(c); }

Status count_nonzero(const Call& c) {
  const Status status = check_reduction(c, 0);
  if (status != kOk) return status;
  if (c.out[0].dtype != kFloat64) return kBadDType;
  const auto count = [](int64_t acc, int64_t) { return static_cast<double>(acc); };
  switch (c.in[0].dtype) {
    case kFloat32:
      return reduce<CountNonzero<float>, double>(*c.pool, c.in[0], c.out[0], count);
    case kFloat64:
      return reduce<CountNonzero<double>, double>(*c.pool, c.in[0], c.out[0], count);
    case kInt32:
      return reduce<CountNonzero<int32_t>, double>(*c.pool, c.in[0], c.out[0], count);
    case kUint8:
    case kBool:
      return reduce<CountNonzero<uint8_t>, double>(*c.pool, c.in[0], c.out[0], count);
    default:
      return kBadDType;
  }
}

Status foreach_norm(const Call& c) {
  if (c.nout != 1 || c.nparams != 1) return kBadParameter;
  if (c.out[0].numel != 1) return kBadShape;
  for (int k = 0; k < c.nin; k++)
    if (c.in[k].dtype != c.out[0].dtype) return kBadDType;
  if (c.out[0].dtype == kFloat32) return norm<float>(c);
  return c.out[0].dtype == kFloat64 ? norm<double>(c) : kBadDType;
}

}  // namespace MYELIN_ISA
}  // namespace myelin
