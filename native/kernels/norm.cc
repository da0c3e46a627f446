// layer_norm (also RMS norm) and group_norm (also instance norm): statistics of rows of adjacent elements, one row read from
// memory once. x̂ = (x - mean) · rstd, y = x̂ w + b; with a = dy w, dx = rstd (a - mean(a) - x̂ mean(a x̂)).
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "../simd/simd.h"
#include "blocks.h"
#include "call.h"
#include "moments.h"
#include "norm_rows.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

bool packed(const View& v, DType dtype) { return v.contiguous && v.dtype == dtype; }

// Contiguous, of `n` elements and of `dtype`, or left out.
Status check_vector(const View& v, int64_t n, DType dtype) {
  if (absent(v)) return kOk;
  if (v.dtype != dtype) return kBadDType;
  return v.contiguous && v.numel == n ? kOk : kBadShape;
}

bool whole(double x, double low, double high) { return x >= low && x <= high && x == ::floor(x); }

// Operands of a forward pass: x weight? bias? -> out mean rstd.
Status check_forward(const Call& c, const NormShape& shape) {
  const View& x = c.in[0];
  if (!is_float(x.dtype)) return kBadDType;
  if (!same_shape(x, c.out[0]) || !x.contiguous) return kBadShape;
  if (!packed(c.out[0], x.dtype) || !packed(c.out[1], kFloat64) || !packed(c.out[2], kFloat64)) return kBadDType;
  if (c.out[1].numel != shape.rows() || c.out[2].numel != shape.rows()) return kBadShape;
  for (int i = 1; i < 3; ++i) {
    if (const Status status = check_vector(c.in[i], shape.channels(), x.dtype)) return status;
  }
  return kOk;
}

// Operands of a backward pass: dy x mean rstd weight? -> dx dweight dbias.
Status check_backward(const Call& c, const NormShape& shape) {
  const View& x = c.in[1];
  if (!is_float(x.dtype)) return kBadDType;
  if (!same_shape(x, c.in[0]) || !same_shape(x, c.out[0]) || !x.contiguous) return kBadShape;
  if (!packed(c.in[0], x.dtype) || !packed(c.out[0], x.dtype)) return kBadDType;
  if (!packed(c.in[2], kFloat64) || !packed(c.in[3], kFloat64)) return kBadDType;
  if (c.in[2].numel != shape.rows() || c.in[3].numel != shape.rows()) return kBadShape;
  if (const Status status = check_vector(c.in[4], shape.channels(), x.dtype)) return status;
  for (int i = 1; i < 3; ++i) {
    if (const Status status = check_vector(c.out[i], shape.channels(), x.dtype)) return status;
  }
  return kOk;
}

template <class T>
Status run_forward(const Call& c, const NormShape& shape, double eps, bool centered) {
  NormForward<T> f;
  f.shape = shape;
  f.eps = eps;
  f.centered = centered;
  f.x = static_cast<const T*>(c.in[0].data);
  f.weight = static_cast<const T*>(c.in[1].data);
  f.bias = static_cast<const T*>(c.in[2].data);
  f.out = static_cast<T*>(c.out[0].data);
  f.mean = static_cast<double*>(c.out[1].data);
  f.rstd = static_cast<double*>(c.out[2].data);
  return f.run(*c.pool);
}

template <class T>
Status run_backward(const Call& c, const NormShape& shape, bool centered) {
  NormBackward<T> b;
  b.shape = shape;
  b.centered = centered;
  b.dy = static_cast<const T*>(c.in[0].data);
  b.x = static_cast<const T*>(c.in[1].data);
  b.mean = static_cast<const double*>(c.in[2].data);
  b.rstd = static_cast<const double*>(c.in[3].data);
  b.weight = static_cast<const T*>(c.in[4].data);
  b.dx = static_cast<T*>(c.out[0].data);
  b.dweight = static_cast<T*>(c.out[1].data);
  b.dbias = static_cast<T*>(c.out[2].data);
  return b.run(*c.pool);
}

// x as rows of `n`: one group of n channels of one element each.
Status layer_shape(const View& x, double n, NormShape* shape) {
  if (!whole(n, 1, 9e15)) return kBadParameter;
  const int64_t length = static_cast<int64_t>(n);
  if (x.numel % length != 0) return kBadShape;
  *shape = {x.numel / length, 1, length, 1};
  return kOk;
}

// x (N, C, …) in `groups` groups of channels.
Status group_shape(const View& x, double groups, NormShape* shape) {
  if (x.ndim < 2) return kBadShape;
  const int64_t channels = x.shape[1];
  if (channels < 1 || !whole(groups, 1, static_cast<double>(channels))) return kBadParameter;
  const int64_t g = static_cast<int64_t>(groups);
  if (channels % g != 0) return kBadShape;
  int64_t spatial = 1;
  for (int d = 2; d < x.ndim; ++d) spatial *= x.shape[d];
  if (spatial < 1) return kBadShape;
  *shape = {x.shape[0], g, channels / g, spatial};
  return kOk;
}

}  // namespace

Status layer_norm(const Call& c) {
  if (c.nin != 3 || c.nout != 3 || c.nparams != 3) return kBadParameter;
  NormShape shape;
  if (const Status status = layer_shape(c.in[0], c.params[0], &shape)) return status;
  if (const Status status = check_forward(c, shape)) return status;
  const bool centered = c.params[2] != 0;
  return c.in[0].dtype == kFloat32 ? run_forward<float>(c, shape, c.params[1], centered)
                                   : run_forward<double>(c, shape, c.params[1], centered);
}

Status layer_norm_backward(const Call& c) {
  if (c.nin != 5 || c.nout != 3 || c.nparams != 2) return kBadParameter;
  NormShape shape;
  if (const Status status = layer_shape(c.in[1], c.params[0], &shape)) return status;
  if (const Status status = check_backward(c, shape)) return status;
  const bool centered = c.params[1] != 0;
  return c.in[1].dtype == kFloat32 ? run_backward<float>(c, shape, centered) : run_backward<double>(c, shape, centered);
}

Status group_norm(const Call& c) {
  if (c.nin != 3 || c.nout != 3 || c.nparams != 2) return kBadParameter;
  NormShape shape;
  if (const Status status = group_shape(c.in[0], c.params[0], &shape)) return status;
  if (const Status status = check_forward(c, shape)) return status;
  return c.in[0].dtype == kFloat32 ? run_forward<float>(c, shape, c.params[1], true)
                                   : run_forward<double>(c, shape, c.params[1], true);
}

Status group_norm_backward(const Call& c) {
  if (c.nin != 5 || c.nout != 3 || c.nparams != 1) return kBadParameter;
  NormShape shape;
  if (const Status status = group_shape(c.in[1], c.params[0], &shape)) return status;
  if (const Status status = check_backward(c, shape)) return status;
  return c.in[1].dtype == kFloat32 ? run_backward<float>(c, shape, true) : run_backward<double>(c, shape, true);
}

}  // namespace MYELIN_ISA
}  // namespace myelin
