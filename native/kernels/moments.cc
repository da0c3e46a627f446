// Variance and vector norms over any set of dimensions, the norm of a list of tensors.
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "reducers.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

// Count, mean and sum of squared deviations; parts are joined by Chan's formula.
struct Spread {
  double count, mean, squares;
};

MYELIN_INLINE Spread joined(const Spread& a, const Spread& b) {
  if (a.count == 0) return b;
  if (b.count == 0) return a;
  const double count = a.count + b.count, gap = b.mean - a.mean;
  return {count, a.mean + gap * (b.count / count), a.squares + b.squares + gap * gap * (a.count * b.count / count)};
}

template <class T>
void run_spread(void* acc, const void* from, int64_t n) {
  const T* p = static_cast<const T*>(from);
  const double count = static_cast<double>(n), first = Sum<T>::run(p, n) / count;
  // The second pass also measures how far the first one was off.
  constexpr int N = Vec<T>::N;
  const Vec<double> center = set1<double>(first);
  Vec<double> sum = zero<double>(), squares = sum, other = sum;
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
      const Vec<double> d = x - center;
      sum = sum + d;
      squares = fma(d, d, squares);
    }
  }
  double total = reduce_add(sum), of_squares = reduce_add(squares + other);
  for (; i < n; i++) {
    const double d = static_cast<double>(p[i]) - first;
    total += d;
    of_squares += d * d;
  }
  const double off = total / count;
  Spread& to = *static_cast<Spread*>(acc);
  to = joined(to, {count, first + off, of_squares - total * off});
}

void join_spread(void* acc, const void* other, int64_t n) {
  Spread* to = static_cast<Spread*>(acc);
  const Spread* from = static_cast<const Spread*>(other);
  for (int64_t i = 0; i < n; i++) to[i] = joined(to[i], from[i]);
}

// Lanes of columns: the first element of each, then sums of distances from it and of their squares. It is at most √count deviations
// away from the mean, so little is lost in squares − sum² / count.
template <class T>
void gather_spread(void* lanes, const void* from, int64_t stride, int64_t rows, int64_t width, int64_t held) {
  const T* p = static_cast<const T*>(from);
  double *origin = static_cast<double*>(lanes), *sum = origin + kColumns, *squares = sum + kColumns;
  for (int64_t i = 0; held == 0 && i < width; i++) {
    origin[i] = static_cast<double>(p[i]);
    sum[i] = squares[i] = 0;
  }
  for (; rows > 0; rows--, p += stride) {
#pragma GCC ivdep
    for (int64_t i = 0; i < width; i++) {
      const double d = static_cast<double>(p[i]) - origin[i];
      sum[i] += d;
      squares[i] += d * d;
    }
  }
}

void flush_spread(void* acc, const void* lanes, int64_t n, int64_t held) {
  const double *origin = static_cast<const double*>(lanes), *sum = origin + kColumns, *squares = sum + kColumns;
  const double count = static_cast<double>(held);
  Spread* to = static_cast<Spread*>(acc);
  for (int64_t i = 0; i < n; i++)
    to[i] = joined(to[i], {count, origin[i] + sum[i] / count, squares[i] - sum[i] * sum[i] / count});
}

template <class T>
void short_spread(void* acc, const void* from, int64_t next, int64_t rows, int64_t step, int64_t count) {
  const T* p = static_cast<const T*>(from);
  Spread* to = static_cast<Spread*>(acc);
  for (int64_t i = 0; i < rows; i++, p += next)
    for (int64_t j = 0; j < count; j++) to[i] = joined(to[i], {1, static_cast<double>(p[j * step]), 0});
}

constexpr Spread kNone = {0, 0, 0};
template <class T>
constexpr Reducer kSpread = {sizeof(T),     sizeof(Spread), &kNone,       nullptr,          0,
                             run_spread<T>, join_spread,    flush_spread, gather_spread<T>, short_spread<T>};

// Parameters: correction and whether the root is wanted.
template <class Out>
void finish_variance(const double* params, const void* acc, int64_t n, int64_t count, void* out, int64_t stride) {
  const double freedom = static_cast<double>(count) - params[0], by = freedom > 0 ? freedom : 0;
  for (int64_t i = 0; i < n; i++) {
    const Spread& spread = static_cast<const Spread*>(acc)[i];
    // Of equal numbers, rounding can leave less than 0; distances from an infinite mean are NaN.
    const double squares = ::isfinite(spread.mean) ? (spread.squares < 0 ? 0 : spread.squares) : NAN;
    const double variance = squares / by;
    static_cast<Out*>(out)[i * stride] = static_cast<Out>(params[1] != 0 ? ::sqrt(variance) : variance);
  }
}

template <class T>
Status vector_norm_of(const Call& c) {
  const double p = c.params[0];
  const auto go = [&](const Reducer& reducer, Finish finish) {
    return reduce(*c.pool, reducer, finish, nullptr, c.in[0], c.out[0]);
  };
  if (p == 2) return go(reducer_of<SumSquares<T>>, finish_root<T>);
  if (p == 1) return go(reducer_of<SumAbs<T>>, finish_same<double, T>);
  if (p == 0) return go(reducer_of<CountNonzero<T>>, finish_same<int64_t, T>);
  if (p == INFINITY) return go(reducer_of<ExtremeAbs<T, false>>, finish_same<T, T>);
  if (p == -INFINITY) return go(reducer_of<ExtremeAbs<T, true>>, finish_same<T, T>);
  return kBadParameter;
}

Status check(const Call& c, int params) {
  if (c.nin != 1 || c.nout != 1 || c.nparams != params) return kBadParameter;
  if (c.in[0].dtype != c.out[0].dtype || !is_float(c.in[0].dtype)) return kBadDType;
  return kOk;
}

// Partial results of all tensors, chunk by chunk, then joined in order.
Status norm_of_list(const Call& c, const Reducer& f, Finish finish) {
  int64_t chunks = 0, elements = 0;
  for (int k = 0; k < c.nin; k++) {
    if (c.in[k].contiguous) chunks += (c.in[k].numel + kReduceChunk - 1) / kReduceChunk;
    elements += c.in[k].numel;
  }
  alignas(8) char small[64 * 8];
  char* partial = small;
  if (chunks > 64) {
    partial = static_cast<char*>(c.pool->scratch(c.pool->self, -1, static_cast<size_t>(chunks * f.acc)));
    if (partial == nullptr) return kOutOfMemory;
  }
  const auto run = [&](int64_t begin, int64_t end, int) {
    int64_t first = 0;
    for (int k = 0; k < c.nin && first < end; k++) {
      if (!c.in[k].contiguous) continue;
      const int64_t n = c.in[k].numel, count = (n + kReduceChunk - 1) / kReduceChunk;
      for (int64_t j = begin > first ? begin - first : 0; j < count && first + j < end; j++) {
        char* const acc = partial + (first + j) * f.acc;
        const int64_t from = j * kReduceChunk, left = n - from;
        memcpy(acc, f.nothing, static_cast<size_t>(f.acc));
        f.run(acc, static_cast<const char*>(c.in[k].data) + from * f.item, left < kReduceChunk ? left : kReduceChunk);
      }
      first += count;
    }
  };
  if (elements <= 2 * kReduceChunk)
    run(0, chunks, 0);
  else
    parallel_for(*c.pool, chunks, chunks / 256 + 1, run);
  alignas(8) char total[kMostAcc];
  memcpy(total, f.nothing, static_cast<size_t>(f.acc));
  int64_t at = 0;
  for (int k = 0; k < c.nin; k++) {
    if (c.in[k].contiguous) {
      const int64_t count = (c.in[k].numel + kReduceChunk - 1) / kReduceChunk;
      for (int64_t j = 0; j < count; j++) f.join(total, partial + at++ * f.acc, 1);
    } else if (c.in[k].numel > 0) {
      reduce_strided(*c.pool, f, c.in[k], total);
    }
  }
  finish(nullptr, total, 1, elements, c.out[0].data, 1);
  return kOk;
}

template <class T>
Status norm(const Call& c) {
  if (c.params[0] == 2) return norm_of_list(c, reducer_of<SumSquares<T>>, finish_root<T>);
  if (c.params[0] == INFINITY) return norm_of_list(c, reducer_of<ExtremeAbs<T, false>>, finish_same<T, T>);
  return kBadParameter;
}

}  // namespace

// The p-norm of x, p = 0 (how many are not 0), 1, 2, inf or -inf.
Status vector_norm(const Call& c) {
  const Status status = check(c, 1);
  if (status != kOk) return status;
  return c.in[0].dtype == kFloat32 ? vector_norm_of<float>(c) : vector_norm_of<double>(c);
}

// Σ (x − mean)² / max(n − correction, 0), or its root.
Status variance(const Call& c) {
  const Status status = check(c, 2);
  if (status != kOk) return status;
  const bool single = c.in[0].dtype == kFloat32;
  return reduce(*c.pool, single ? kSpread<float> : kSpread<double>,
                single ? finish_variance<float> : finish_variance<double>, c.params, c.in[0], c.out[0]);
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
