// Reductions over any set of dimensions and arg-reductions.
#include <math.h>
#include <stdint.h>

#include "reducers.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

Status check_reduction(const Call& c, int params) {
  return c.nin == 1 && c.nout == 1 && c.nparams == params ? kOk : kBadParameter;
}

// How x's dtype is reduced: float32, float64, or int32 and, widened to it, uint8 and bool; null where it is not.
struct Choice {
  const Reducer* of_float;
  const Reducer* of_double;
  const Reducer* of_int;

  const Reducer* of(DType dtype) const {
    return dtype == kFloat32 ? of_float : dtype == kFloat64 ? of_double : dtype < kDTypeCount ? of_int : nullptr;
  }
};

// Sums and products: acc, over the number of elements where there are parameters.
template <class Out>
void finish_real(const double* params, const void* acc, int64_t n, int64_t count, void* out, int64_t stride) {
  const double by = params != nullptr ? static_cast<double>(count) : 1;
  for (int64_t i = 0; i < n; i++)
    static_cast<Out*>(out)[i * stride] = static_cast<Out>(static_cast<const double*>(acc)[i] / by);
}

// An extreme of bytes. Of nothing: only `all` comes here, whose 2^31 - 1 is cut to 1, and `any`.
void finish_byte(const double*, const void* acc, int64_t n, int64_t count, void* out, int64_t stride) {
  for (int64_t i = 0; i < n; i++) {
    const int32_t value = static_cast<const int32_t*>(acc)[i];
    static_cast<uint8_t*>(out)[i * stride] = static_cast<uint8_t>(count == 0 ? value & 1 : value);
  }
}

// float to the same float; integers and bool to int32.
Status reduce_numbers(const Call& c, const Choice& choice, const double* params = nullptr) {
  const Status status = check_reduction(c, 0);
  if (status != kOk) return status;
  const View &x = c.in[0], &out = c.out[0];
  const Reducer* const reducer = choice.of(x.dtype);
  if (reducer == nullptr || out.dtype != (is_float(x.dtype) ? x.dtype : kInt32)) return kBadDType;
  const Finish finish = x.dtype == kFloat32   ? finish_real<float>
                        : x.dtype == kFloat64 ? finish_real<double>
                                              : finish_same<int32_t, int32_t>;
  return reduce(*c.pool, *reducer, finish, params, x, out);
}

template <bool Lowest>
constexpr Choice kExtreme = {&reducer_of<Extreme<float, Lowest>>, &reducer_of<Extreme<double, Lowest>>,
                             &reducer_of<Extreme<int32_t, Lowest>>};

Status extreme(const Call& c, const Choice& choice) {
  const Status status = check_reduction(c, 0);
  if (status != kOk) return status;
  const View &x = c.in[0], &out = c.out[0];
  const Reducer* const reducer = choice.of(x.dtype);
  if (reducer == nullptr || x.dtype == kBool || x.dtype != out.dtype) return kBadDType;
  if (x.numel == 0 && out.numel != 0) return kBadShape;
  const Finish finish = x.dtype == kFloat32   ? finish_same<float, float>
                        : x.dtype == kFloat64 ? finish_same<double, double>
                        : x.dtype == kInt32   ? finish_same<int32_t, int32_t>
                                              : finish_byte;
  return reduce(*c.pool, *reducer, finish, nullptr, x, out);
}

// any is the largest of zeros and ones, all the smallest.
Status logical_reduce(const Call& c, const Choice& choice) {
  const Status status = check_reduction(c, 0);
  if (status != kOk) return status;
  if (c.in[0].dtype != kBool || c.out[0].dtype != kBool) return kBadDType;
  return reduce(*c.pool, *choice.of_int, finish_byte, nullptr, c.in[0], c.out[0]);
}

// Whether b, which comes later, takes a's place.
template <class R>
MYELIN_INLINE bool wins(typename R::In a, typename R::In b) {
  return (a == a) & ((b != b) | ((R::Join::of(a, b) == b) & (b != a)));
}

template <class R>
bool takes_over(const void* a, const void* b) {
  return wins<R>(*static_cast<const typename R::In*>(a), *static_cast<const typename R::In*>(b));
}

// Blocks are searched only where they win.
template <class R>
int64_t best_of(const void* from, int64_t stride, int64_t n, void* value) {
  using T = typename R::In;
  const T* p = static_cast<const T*>(from);
  T best = p[0];
  int64_t place = 0;
  for (int64_t i = 0; i < n; i += kBlock) {
    const int64_t m = n - i < kBlock ? n - i : kBlock;
    if (stride == 1 && m >= 16) {
      const T winner = R::run(p + i, m);
      if (!wins<R>(best, winner)) continue;
      int64_t j = 0;
      while (winner == winner ? p[i + j] != winner : p[i + j] == p[i + j]) j++;
      best = winner;
      place = i + j;
    } else {
      for (int64_t j = i; j < i + m; j++) {
        if (!wins<R>(best, p[j * stride])) continue;
        best = p[j * stride];
        place = j;
      }
    }
  }
  *static_cast<T*>(value) = best;
  return place;
}

template <class R>
void best_columns(const void* from, int64_t stride, int64_t rows, int64_t width, int32_t* index) {
  using T = typename R::In;
  const T* p = static_cast<const T*>(from);
  alignas(64) T value[kArgColumns];
  for (int64_t i = 0; i < width; i++) {
    value[i] = p[i];
    index[i] = 0;
  }
  for (int64_t row = 1; row < rows; row++) {
    p += stride;
    const int32_t here = static_cast<int32_t>(row);
#pragma GCC ivdep
    for (int64_t i = 0; i < width; i++) {
      const bool won = wins<R>(value[i], p[i]);
      value[i] = won ? p[i] : value[i];
      index[i] = won ? here : index[i];
    }
  }
}

template <class R>
constexpr ArgReducer kArg = {sizeof(typename R::In), best_of<R>, takes_over<R>, best_columns<R>};

template <bool Lowest>
Status arg_extreme(const Call& c) {
  const Status status = check_reduction(c, 1);
  if (status != kOk) return status;
  if (c.out[0].dtype != kInt32) return kBadDType;
  const View& x = c.in[0];
  const double axis = c.params[0];
  if (!(axis >= -1 && axis < x.ndim)) return kBadParameter;
  if (x.dtype >= kDTypeCount) return kBadDType;
  const ArgReducer& reducer = x.dtype == kFloat32   ? kArg<Extreme<float, Lowest>>
                              : x.dtype == kFloat64 ? kArg<Extreme<double, Lowest>>
                                                    : kArg<Extreme<int32_t, Lowest>>;
  return arg_reduce(*c.pool, reducer, x, c.out[0], static_cast<int>(axis));
}

}  // namespace

Status sum(const Call& c) {
  return reduce_numbers(c, {&reducer_of<Sum<float>>, &reducer_of<Sum<double>>, &reducer_of<Wrapped<Add>>});
}
Status mean(const Call& c) {
  const double divides[1] = {1};
  return reduce_numbers(c, {&reducer_of<Sum<float>>, &reducer_of<Sum<double>>, nullptr}, divides);
}
Status prod(const Call& c) {
  return reduce_numbers(c, {&reducer_of<Prod<float>>, &reducer_of<Prod<double>>, &reducer_of<Wrapped<Multiply>>});
}
Status amax(const Call& c) { return extreme(c, kExtreme<false>); }
Status amin(const Call& c) { return extreme(c, kExtreme<true>); }
Status any(const Call& c) { return logical_reduce(c, kExtreme<false>); }
Status all(const Call& c) { return logical_reduce(c, kExtreme<true>); }
Status argmax(const Call& c) { return arg_extreme<false>(c); }
Status argmin(const Call& c) { return arg_extreme<true>(c); }

Status count_nonzero(const Call& c) {
  const Status status = check_reduction(c, 0);
  if (status != kOk) return status;
  constexpr Choice choice = {&reducer_of<CountNonzero<float>>, &reducer_of<CountNonzero<double>>,
                             &reducer_of<CountNonzero<int32_t>>};
  const Reducer* const reducer = choice.of(c.in[0].dtype);
  if (reducer == nullptr || c.out[0].dtype != kInt32) return kBadDType;
  return reduce(*c.pool, *reducer, finish_same<int64_t, int32_t>, nullptr, c.in[0], c.out[0]);
}

}  // namespace MYELIN_ISA
}  // namespace myelin
