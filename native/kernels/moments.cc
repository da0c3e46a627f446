// Variance and vector norms over any set of dimensions.
#include <math.h>
#include <stdint.h>

#include "reducers.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

template <class T>
Status vector_norm_of(const Call& c) {
  const View &x = c.in[0], &out = c.out[0];
  const double p = c.params[0];
  const auto same = [](auto acc, int64_t) { return acc; };
  if (p == 2) return reduce<SumSquares<T>, T>(*c.pool, x, out, [](double acc, int64_t) { return ::sqrt(acc); });
  if (p == 1) return reduce<SumAbs<T>, T>(*c.pool, x, out, same);
  if (p == 0) return reduce<CountNonzero<T>, T>(*c.pool, x, out, same);
  if (p == INFINITY) return reduce<MaxAbs<T>, T>(*c.pool, x, out, same);
  if (p == -INFINITY) return reduce<MinAbs<T>, T>(*c.pool, x, out, same);
  return kBadParameter;
}

template <class T>
Status variance_of(const Call& c) {
  const double correction = c.params[0];
  const bool root = c.params[1] != 0;
  return reduce<Moments<T>, T>(*c.pool, c.in[0], c.out[0], [=](const Spread& acc, int64_t n) {
    const double freedom = static_cast<double>(n) - correction;
    // Of equal numbers, rounding can leave less than 0; distances from an infinite mean are NaN.
    const double squares = ::isfinite(acc.mean) ? (acc.squares < 0 ? 0 : acc.squares) : NAN;
    const double variance = squares / (freedom > 0 ? freedom : 0);
    return root ? ::sqrt(variance) : variance;
  });
}

Status check(const Call& c, int params) {
  if (c.nin != 1 || c.nout != 1 || c.nparams != params) return kBadParameter;
  if (c.in[0].dtype != c.out[0].dtype || !is_float(c.in[0].dtype)) return kBadDType;
  return kOk;
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
  return c.in[0].dtype == kFloat32 ? variance_of<float>(c) : variance_of<double>(c);
}

}  // namespace MYELIN_ISA
}  // namespace myelin
