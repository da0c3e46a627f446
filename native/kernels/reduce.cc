// Reductions over any set of dimensions, arg-reductions, the norm of a list of tensors. Work is cut by shape only and
// partial results are joined in order, so results do not depend on the number of threads.
#include <math.h>
#include <stdint.h>

#include "../simd/math.h"
#include "reducers.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

Status check_reduction(const Call& c, int params) {
  return c.nin == 1 && c.nout == 1 && c.nparams == params ? kOk : kBadParameter;
}

// float to the same float; integers and bool, when `Integer` is given, to int32.
template <template <class> class R, template <class> class Integer, class F>
Status reduce_numbers(const Call& c, const F& finish) {
  const Status status = check_reduction(c, 0);
  if (status != kOk) return status;
  const View &x = c.in[0], &out = c.out[0];
  if (x.dtype == kFloat32 && out.dtype == kFloat32) return reduce<R<float>, float>(*c.pool, x, out, finish);
  if (x.dtype == kFloat64 && out.dtype == kFloat64) return reduce<R<double>, double>(*c.pool, x, out, finish);
  if constexpr (!is_same<Integer<uint8_t>, NoInteger<uint8_t>>) {
    if (out.dtype != kInt32) return kBadDType;
    const auto whole = [](uint32_t acc, int64_t) { return static_cast<int32_t>(acc); };
    if (x.dtype == kInt32) return reduce<Integer<int32_t>, int32_t>(*c.pool, x, out, whole);
    if (x.dtype == kUint8 || x.dtype == kBool) return reduce<Integer<uint8_t>, int32_t>(*c.pool, x, out, whole);
  }
  return kBadDType;
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

Status sum(const Call& c) {
  return reduce_numbers<Sum, SumInteger>(c, [](double acc, int64_t) { return acc; });
}
Status mean(const Call& c) {
  return reduce_numbers<Sum, NoInteger>(c, [](double acc, int64_t n) { return acc / static_cast<double>(n); });
}
Status prod(const Call& c) {
  return reduce_numbers<Prod, ProdInteger>(c, [](double acc, int64_t) { return acc; });
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
  if (c.out[0].dtype != kInt32) return kBadDType;
  const auto count = [](int64_t acc, int64_t) { return static_cast<int32_t>(acc); };
  switch (c.in[0].dtype) {
    case kFloat32:
      return reduce<CountNonzero<float>, int32_t>(*c.pool, c.in[0], c.out[0], count);
    case kFloat64:
      return reduce<CountNonzero<double>, int32_t>(*c.pool, c.in[0], c.out[0], count);
    case kInt32:
      return reduce<CountNonzero<int32_t>, int32_t>(*c.pool, c.in[0], c.out[0], count);
    case kUint8:
    case kBool:
      return reduce<CountNonzero<uint8_t>, int32_t>(*c.pool, c.in[0], c.out[0], count);
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
