// Batch norm over x (N, C, …): channels with 16 or more adjacent elements by batch_channels.h, others (N, C), by
// batch_columns.h. x̂ = (x - mean) · rstd, y = x̂ w + b; dx = rstd w (dy - mean(dy) - x̂ mean(dy x̂)) when the statistics are
// those of the batch, rstd w dy when they are given.
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "batch_channels.h"
#include "batch_columns.h"
#include "blocks.h"
#include "call.h"
#include "moments.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int64_t kThinChannel = 16;

Status batch_shape(const View& x, BatchShape* shape) {
  if (!is_float(x.dtype)) return kBadDType;
  if (x.ndim < 2 || !x.contiguous) return kBadShape;
  *shape = {x.shape[0], x.shape[1], 1};
  for (int d = 2; d < x.ndim; ++d) shape->spatial *= x.shape[d];
  return kOk;
}

// A vector of one value a channel, or left out.
Status check_channels(const View& v, int64_t channels, DType dtype) {
  if (absent(v)) return kOk;
  if (v.dtype != dtype) return kBadDType;
  return v.contiguous && v.numel == channels ? kOk : kBadShape;
}

Status check_same(const View& v, const View& x) {
  if (v.dtype != x.dtype) return kBadDType;
  return same_shape(v, x) && v.contiguous ? kOk : kBadShape;
}

// Moves running = (1 - momentum) running + momentum · value; the variance is the unbiased one.
template <class T>
void update_running(const View& mean, const View& var, const Moments* moments, double momentum, int64_t channels) {
  T* to_mean = static_cast<T*>(mean.data);
  T* to_var = static_cast<T*>(var.data);
  for (int64_t c = 0; c < channels; ++c) {
    const double unbiased = moments[c].squares / (moments[c].count - 1);
    to_mean[c] = static_cast<T>((1 - momentum) * static_cast<double>(to_mean[c]) + momentum * moments[c].mean);
    to_var[c] = static_cast<T>((1 - momentum) * static_cast<double>(to_var[c]) + momentum * unbiased);
  }
}

template <class T>
Status train(const Call& c, const BatchShape& shape, double momentum) {
  BatchForward<T> f;
  f.shape = shape;
  f.x = static_cast<const T*>(c.in[0].data);
  f.weight = static_cast<const T*>(c.in[1].data);
  f.bias = static_cast<const T*>(c.in[2].data);
  f.out = static_cast<T*>(c.out[0].data);
  f.mean = static_cast<double*>(c.out[1].data);
  f.rstd = static_cast<double*>(c.out[2].data);
  f.eps = c.params[0];
  f.moments = static_cast<Moments*>(c.pool->scratch(c.pool->self, -1, f.scratch_moments() * sizeof(Moments)));
  if (f.moments == nullptr) return kOutOfMemory;
  for (int64_t k = 0; k < shape.channels; ++k) f.moments[k] = Moments();
  const Status status = shape.spatial >= kThinChannel ? train_channels(f, *c.pool) : train_columns(f, *c.pool);
  if (status == kOk && c.nout == 5) {
    update_running<T>(c.out[3], c.out[4], f.moments, momentum, shape.channels);
  }
  return status;
}

template <class T>
Status infer(const Call& c, const BatchShape& shape) {
  BatchForward<T> f;
  f.shape = shape;
  f.x = static_cast<const T*>(c.in[0].data);
  f.weight = static_cast<const T*>(c.in[3].data);
  f.bias = static_cast<const T*>(c.in[4].data);
  f.out = static_cast<T*>(c.out[0].data);
  f.eps = c.params[0];
  const T* mean = static_cast<const T*>(c.in[1].data);
  const T* var = static_cast<const T*>(c.in[2].data);
  Line<T>* lines =
      static_cast<Line<T>*>(c.pool->scratch(c.pool->self, -1, static_cast<size_t>(shape.channels) * sizeof(Line<T>)));
  if (lines == nullptr) return kOutOfMemory;
  for (int64_t k = 0; k < shape.channels; ++k) {
    lines[k] = f.line(k, static_cast<double>(mean[k]), 1 / ::sqrt(static_cast<double>(var[k]) + f.eps));
  }
  return shape.spatial >= kThinChannel ? infer_channels(f, lines, *c.pool) : infer_columns(f, lines, *c.pool);
}

template <class T>
Status backward(const Call& c, const BatchShape& shape, bool training) {
  BatchBackward<T> b;
  b.shape = shape;
  b.training = training;
  b.dy = static_cast<const T*>(c.in[0].data);
  b.x = static_cast<const T*>(c.in[1].data);
  b.weight = static_cast<const T*>(c.in[4].data);
  b.dx = static_cast<T*>(c.out[0].data);
  b.dweight = static_cast<T*>(c.out[1].data);
  b.dbias = static_cast<T*>(c.out[2].data);
  const size_t channels = static_cast<size_t>(shape.channels);
  b.sums = static_cast<BatchSums*>(c.pool->scratch(c.pool->self, -1, b.scratch_sums() * sizeof(BatchSums)));
  if (b.sums == nullptr) return kOutOfMemory;
  for (size_t k = 0; k < channels; ++k) {
    double mean, rstd;
    if (training) {
      mean = static_cast<const double*>(c.in[2].data)[k];
      rstd = static_cast<const double*>(c.in[3].data)[k];
    } else {
      mean = static_cast<double>(static_cast<const T*>(c.in[2].data)[k]);
      rstd = 1 / ::sqrt(static_cast<double>(static_cast<const T*>(c.in[3].data)[k]) + c.params[0]);
    }
    b.sums[k] = {mean, rstd, 0, 0};
  }
  return shape.spatial >= kThinChannel ? backward_channels(b, *c.pool) : backward_columns(b, *c.pool);
}

Status run_backward(const Call& c, bool training) {
  if (c.nin != 5 || c.nout != 3 || c.nparams != (training ? 0 : 1)) return kBadParameter;
  const View& x = c.in[1];
  BatchShape shape;
  if (const Status status = batch_shape(x, &shape)) return status;
  if (const Status status = check_same(c.in[0], x)) return status;
  if (const Status status = check_same(c.out[0], x)) return status;
  const DType statistics = training ? kFloat64 : x.dtype;
  for (int i = 2; i < 5; ++i) {
    if (const Status status = check_channels(c.in[i], shape.channels, i < 4 ? statistics : x.dtype)) return status;
  }
  for (int i = 1; i < 3; ++i) {
    if (const Status status = check_channels(c.out[i], shape.channels, x.dtype)) return status;
  }
  if (x.numel == 0) {
    const size_t bytes = static_cast<size_t>(shape.channels * item_size(x.dtype));
    for (int i = 1; i < 3; ++i) memset(c.out[i].data, 0, bytes);
    return kOk;
  }
  return x.dtype == kFloat32 ? backward<float>(c, shape, training) : backward<double>(c, shape, training);
}

}  // namespace

Status batch_norm(const Call& c) {
  if (c.nin != 4 || (c.nout != 3 && c.nout != 5) || c.nparams != 1) return kBadParameter;
  const View& x = c.in[0];
  BatchShape shape;
  if (const Status status = batch_shape(x, &shape)) return status;
  if (const Status status = check_same(c.out[0], x)) return status;
  for (int i = 1; i < 3; ++i) {
    if (const Status status = check_channels(c.in[i], shape.channels, x.dtype)) return status;
    if (const Status status = check_channels(c.out[i], shape.channels, kFloat64)) return status;
  }
  for (int i = 3; i < c.nout; ++i) {
    if (const Status status = check_channels(c.out[i], shape.channels, x.dtype)) return status;
  }
  double momentum = 0;
  if (c.nout == 5) {
    const View& m = c.in[3];
    if (absent(m) || m.numel != 1) return kBadShape;
    if (!is_float(m.dtype)) return kBadDType;
    momentum = m.dtype == kFloat32 ? static_cast<double>(*static_cast<const float*>(m.data))
                                   : *static_cast<const double*>(m.data);
  }
  if (x.numel == 0) {
    double* statistics[2] = {static_cast<double*>(c.out[1].data), static_cast<double*>(c.out[2].data)};
    for (int64_t k = 0; k < shape.channels; ++k) statistics[0][k] = statistics[1][k] = NAN;
    return kOk;
  }
  return x.dtype == kFloat32 ? train<float>(c, shape, momentum) : train<double>(c, shape, momentum);
}

Status batch_norm_inference(const Call& c) {
  if (c.nin != 5 || c.nout != 1 || c.nparams != 1) return kBadParameter;
  const View& x = c.in[0];
  BatchShape shape;
  if (const Status status = batch_shape(x, &shape)) return status;
  if (const Status status = check_same(c.out[0], x)) return status;
  for (int i = 1; i < 5; ++i) {
    if (const Status status = check_channels(c.in[i], shape.channels, x.dtype)) return status;
  }
  if (x.numel == 0) return kOk;
  return x.dtype == kFloat32 ? infer<float>(c, shape) : infer<double>(c, shape);
}

Status batch_norm_backward(const Call& c) { return run_backward(c, true); }
Status batch_norm_inference_backward(const Call& c) { return run_backward(c, false); }

}  // namespace MYELIN_ISA
}  // namespace myelin
