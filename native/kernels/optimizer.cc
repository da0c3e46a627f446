// Optimizer steps over all tensors of a group in one call, each element read and written once. The formulas are those of
// torch.optim's single-tensor versions, operation by operation; scalar factors are computed in float64.
#include <math.h>
#include <stdint.h>

#include "blocks.h"
#include "call.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

// Lists of `count` tensors: grads (inputs), then params and the state lists (outputs).
template <int States>
Status check_lists(const Call& c, DType& dtype) {
  const int32_t n = c.nin;
  if (c.nout != n * (1 + States)) return kBadShape;
  if (n == 0) return kOk;
  dtype = c.in[0].dtype;
  if (!is_float(dtype)) return kBadDType;
  for (int32_t i = 0; i < n; ++i) {
    const View& grad = c.in[i];
    if (grad.dtype != dtype) return kBadDType;
    if (absent(grad)) return kBadShape;
    for (int list = 0; list <= States; ++list) {
      const View& v = c.out[list * n + i];
      if (v.dtype != dtype) return kBadDType;
      if (!same_shape(grad, v)) return kBadShape;
    }
  }
  return kOk;
}

// walk(tensor, begin, end) for the parts of elements [begin, end) of the concatenation of n tensors.
template <class F>
inline void walk_tensors(const View* tensors, int32_t n, int64_t begin, int64_t end, const F& walk) {
  int64_t base = 0;
  for (int32_t i = 0; i < n && base < end; ++i) {
    const int64_t numel = tensors[i].numel;
    const int64_t lo = begin > base ? begin - base : 0;
    const int64_t hi = end - base < numel ? end - base : numel;
    if (lo < hi) walk(i, lo, hi);
    base += numel;
  }
}

// op.run(count, grad, arrays): arrays[0] is the parameter, arrays[1 …] its states.
template <class T, int States, class Op>
void step_all(const Call& c, const Op& op) {
  const int32_t n = c.nin;
  int64_t total = 0;
  for (int32_t i = 0; i < n; ++i) total += c.in[i].numel;
  for_chunks(*c.pool, total, [&](int64_t begin, int64_t end) {
    walk_tensors(c.in, n, begin, end, [&](int32_t i, int64_t lo, int64_t hi) {
      bool contiguous = c.in[i].contiguous;
      for (int list = 0; list <= States; ++list) contiguous = contiguous && c.out[list * n + i].contiguous;
      T* arrays[1 + States];
      if (contiguous) {
        for (int list = 0; list <= States; ++list) arrays[list] = static_cast<T*>(c.out[list * n + i].data) + lo;
        op.run(hi - lo, static_cast<const T*>(c.in[i].data) + lo, arrays);
        return;
      }
      T buffers[2 + States][kBlock];
      for (int64_t at = lo; at < hi; at += kBlock) {
        const int64_t count = hi - at < kBlock ? hi - at : kBlock;
        const T* grad = read_block(c.in[i], at, count, buffers[1 + States]);
        for (int list = 0; list <= States; ++list) {
          arrays[list] = const_cast<T*>(read_block(c.out[list * n + i], at, count, buffers[list]));
        }
        op.run(count, grad, arrays);
        for (int list = 0; list <= States; ++list) close_block(c.out[list * n + i], at, count, arrays[list]);
      }
    });
  });
}

// Checks the lists, then runs Op<float> or Op<double>, built from the parameters.
template <int States, template <class> class Op, class Setup>
Status step_lists(const Call& c, const Setup& setup) {
  DType dtype = kFloat32;
  const Status status = check_lists<States>(c, dtype);
  if (status != kOk) return status;
  if (dtype == kFloat32) {
    step_all<float, States>(c, Op<float>(setup));
  } else {
    step_all<double, States>(c, Op<double>(setup));
  }
  return kOk;
}

// torch.lerp: start + weight (end - start), from the nearer end.
template <class T>
inline T lerp(T start, T end, T weight, T rest, bool near) {
  return near ? start + weight * (end - start) : end - (end - start) * rest;
}

struct SgdSetup {
  double lr, momentum, dampening, weight_decay;
  bool nesterov, maximize, first;
};

// The gradient after `maximize` and L2 weight decay.
template <class T>
struct Gradient {
  T sign;
  T decay;
  bool decays;
  Gradient(bool maximize, double weight_decay)
      : sign(maximize ? T(-1) : T(1)), decay(static_cast<T>(weight_decay)), decays(weight_decay != 0) {}
  inline T operator()(T g, T p) const {
    const T signed_g = sign * g;
    return decays ? signed_g + decay * p : signed_g;
  }
};

template <class T>
struct SgdPlain {
  Gradient<T> gradient;
  T lr;
  explicit SgdPlain(const SgdSetup& s) : gradient(s.maximize, s.weight_decay), lr(static_cast<T>(-s.lr)) {}
  __attribute__((noinline)) void run(int64_t n, const T* __restrict grad, T* const* arrays) const {
    T* __restrict param = arrays[0];
    const SgdPlain op = *this;
    for (int64_t i = 0; i < n; ++i) param[i] += op.lr * op.gradient(grad[i], param[i]);
  }
};

template <class T>
struct SgdMomentum {
  Gradient<T> gradient;
  T lr;
  T momentum;
  T fresh;  // 1 - dampening
  bool nesterov;
  bool first;
  explicit SgdMomentum(const SgdSetup& s)
      : gradient(s.maximize, s.weight_decay),
        lr(static_cast<T>(-s.lr)),
        momentum(static_cast<T>(s.momentum)),
        fresh(static_cast<T>(1 - s.dampening)),
        nesterov(s.nesterov),
        first(s.first) {}
  template <bool First, bool Nesterov>
  void loop(int64_t n, const T* __restrict grad, T* const* arrays) const {
    T* __restrict param = arrays[0];
    T* __restrict buffer = arrays[1];
    const SgdMomentum op = *this;
    for (int64_t i = 0; i < n; ++i) {
      const T g = op.gradient(grad[i], param[i]);
      const T b = First ? g : op.momentum * buffer[i] + op.fresh * g;
      buffer[i] = b;
      param[i] += op.lr * (Nesterov ? g + op.momentum * b : b);
    }
  }
  __attribute__((noinline)) void run(int64_t n, const T* grad, T* const* arrays) const {
    if (first) {
      nesterov ? loop<true, true>(n, grad, arrays) : loop<true, false>(n, grad, arrays);
    } else {
      nesterov ? loop<false, true>(n, grad, arrays) : loop<false, false>(n, grad, arrays);
    }
  }
};

struct AdamSetup {
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled, maximize;
  double step;
};

template <class T, bool Amsgrad>
struct AdamOp {
  Gradient<T> gradient;
  T shrink;  // the parameter's factor of decoupled weight decay
  T weight1, beta1, beta2, weight2, eps, step_size, correction2_sqrt;
  bool near;
  explicit AdamOp(const AdamSetup& s)
      : gradient(s.maximize, s.decoupled ? 0 : s.weight_decay),
        shrink(static_cast<T>(s.decoupled ? 1 - s.lr * s.weight_decay : 1)),
        weight1(static_cast<T>(1 - s.beta1)),
        beta1(static_cast<T>(s.beta1)),
        beta2(static_cast<T>(s.beta2)),
        weight2(static_cast<T>(1 - s.beta2)),
        eps(static_cast<T>(s.eps)),
        step_size(static_cast<T>(-s.lr / (1 - ::pow(s.beta1, s.step)))),
        correction2_sqrt(static_cast<T>(::sqrt(1 - ::pow(s.beta2, s.step)))),
        near(1 - s.beta1 < 0.5) {}
  __attribute__((noinline)) void run(int64_t n, const T* __restrict grad, T* const* arrays) const {
    T* __restrict param = arrays[0];
    T* __restrict avg = arrays[1];
    T* __restrict avg_sq = arrays[2];
    T* __restrict max_sq = Amsgrad ? arrays[3] : nullptr;
    const AdamOp op = *this;
    for (int64_t i = 0; i < n; ++i) {
      const T g = op.gradient(grad[i], param[i]);
      const T m = lerp(avg[i], g, op.weight1, op.beta1, op.near);
      T v = op.beta2 * avg_sq[i] + op.weight2 * g * g;
      avg[i] = m;
      avg_sq[i] = v;
      if constexpr (Amsgrad) {
        // NaN in v stays, as in torch.maximum.
        const T old = max_sq[i];
        v = v < old ? old : v;
        v = old != old ? old : v;
        max_sq[i] = v;
      }
      const T denominator = root(v) / op.correction2_sqrt + op.eps;
      param[i] = op.shrink * param[i] + op.step_size * m / denominator;
    }
  }
};

template <class T>
using Adam = AdamOp<T, false>;
template <class T>
using AdamAmsgrad = AdamOp<T, true>;

struct RmspropSetup {
  double lr, alpha, eps, weight_decay, momentum;
  bool maximize;
};

// States: square_avg [, momentum buffer] [, grad_avg].
template <class T, bool Momentum, bool Centered>
struct RmspropOp {
  Gradient<T> gradient;
  T lr, alpha, weight, eps, momentum;
  bool near;
  explicit RmspropOp(const RmspropSetup& s)
      : gradient(s.maximize, s.weight_decay),
        lr(static_cast<T>(-s.lr)),
        alpha(static_cast<T>(s.alpha)),
        weight(static_cast<T>(1 - s.alpha)),
        eps(static_cast<T>(s.eps)),
        momentum(static_cast<T>(s.momentum)),
        near(1 - s.alpha < 0.5) {}
  __attribute__((noinline)) void run(int64_t n, const T* __restrict grad, T* const* arrays) const {
    T* __restrict param = arrays[0];
    T* __restrict square_avg = arrays[1];
    T* __restrict buffer = Momentum ? arrays[2] : nullptr;
    T* __restrict grad_avg = Centered ? arrays[Momentum ? 3 : 2] : nullptr;
    const RmspropOp op = *this;
    for (int64_t i = 0; i < n; ++i) {
      const T g = op.gradient(grad[i], param[i]);
      const T square = op.alpha * square_avg[i] + op.weight * g * g;
      square_avg[i] = square;
      T spread = square;
      if constexpr (Centered) {
        const T mean = lerp(grad_avg[i], g, op.weight, op.alpha, op.near);
        grad_avg[i] = mean;
        spread -= mean * mean;
      }
      const T average = root(spread) + op.eps;
      if constexpr (Momentum) {
        const T b = op.momentum * buffer[i] + g / average;
        buffer[i] = b;
        param[i] += op.lr * b;
      } else {
        param[i] += op.lr * g / average;
      }
    }
  }
};

template <class T>
using Rmsprop = RmspropOp<T, false, false>;
template <class T>
using RmspropMomentum = RmspropOp<T, true, false>;
template <class T>
using RmspropCentered = RmspropOp<T, false, true>;
template <class T>
using RmspropBoth = RmspropOp<T, true, true>;

struct AdagradSetup {
  double lr, lr_decay, weight_decay, eps;
  bool maximize;
  double step;
};

template <class T>
struct Adagrad {
  Gradient<T> gradient;
  T lr, eps;
  explicit Adagrad(const AdagradSetup& s)
      : gradient(s.maximize, s.weight_decay),
        lr(static_cast<T>(-s.lr / (1 + (s.step - 1) * s.lr_decay))),
        eps(static_cast<T>(s.eps)) {}
  __attribute__((noinline)) void run(int64_t n, const T* __restrict grad, T* const* arrays) const {
    T* __restrict param = arrays[0];
    T* __restrict sum = arrays[1];
    const Adagrad op = *this;
    for (int64_t i = 0; i < n; ++i) {
      const T g = op.gradient(grad[i], param[i]);
      const T s = sum[i] + g * g;
      sum[i] = s;
      param[i] += op.lr * g / (root(s) + op.eps);
    }
  }
};

// change(x) on every element of every output, in place.
template <class T, class F>
void change_all(const Call& c, const F& change) {
  int64_t total = 0;
  for (int32_t i = 0; i < c.nout; ++i) total += c.out[i].numel;
  for_chunks(*c.pool, total, [&](int64_t begin, int64_t end) {
    walk_tensors(c.out, c.nout, begin, end, [&](int32_t i, int64_t lo, int64_t hi) {
      const View& v = c.out[i];
      T buffer[kBlock];
      for (int64_t at = lo; at < hi;) {
        const int64_t count = v.contiguous || hi - at < kBlock ? hi - at : kBlock;
        T* x = const_cast<T*>(read_block(v, at, count, buffer));
        for (int64_t k = 0; k < count; ++k) x[k] = change(x[k]);
        close_block(v, at, count, x);
        at += count;
      }
    });
  });
}

Status check_outputs(const Call& c) {
  for (int32_t i = 0; i < c.nout; ++i) {
    if (absent(c.out[i])) return kBadShape;
    if (!is_float(c.out[i].dtype) || c.out[i].dtype != c.out[0].dtype) return kBadDType;
  }
  return kOk;
}

}  // namespace

Status sgd_step(const Call& c) {
  if (c.nparams != 7) return kBadParameter;
  const double* p = c.params;
  const SgdSetup setup{p[0], p[1], p[2], p[3], p[4] != 0, p[5] != 0, p[6] != 0};
  return p[1] != 0 ? step_lists<1, SgdMomentum>(c, setup) : step_lists<0, SgdPlain>(c, setup);
}

// Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019) when `decoupled`, AMSGrad (Reddi et al. 2018).
Status adam_step(const Call& c) {
  if (c.nparams != 9 || !(c.params[8] >= 1)) return kBadParameter;
  const double* p = c.params;
  const AdamSetup setup{p[0], p[1], p[2], p[3], p[4], p[5] != 0, p[7] != 0, p[8]};
  return p[6] != 0 ? step_lists<3, AdamAmsgrad>(c, setup) : step_lists<2, Adam>(c, setup);
}

Status rmsprop_step(const Call& c) {
  if (c.nparams != 7) return kBadParameter;
  const double* p = c.params;
  const RmspropSetup setup{p[0], p[1], p[2], p[3], p[4], p[6] != 0};
  if (p[5] != 0) return p[4] != 0 ? step_lists<3, RmspropBoth>(c, setup) : step_lists<2, RmspropCentered>(c, setup);
  return p[4] != 0 ? step_lists<2, RmspropMomentum>(c, setup) : step_lists<1, Rmsprop>(c, setup);
}

// Duchi, Hazan, Singer 2011.
Status adagrad_step(const Call& c) {
  if (c.nparams != 6 || !(c.params[5] >= 1)) return kBadParameter;
  const double* p = c.params;
  return step_lists<1, Adagrad>(c, AdagradSetup{p[0], p[1], p[2], p[3], p[4] != 0, p[5]});
}

// A NaN norm makes every element NaN, as in torch.nn.utils.clip_grad_norm_.
Status foreach_clip(const Call& c) {
  if (c.nin != 1 || c.in[0].numel != 1 || absent(c.in[0])) return kBadShape;
  if (c.nparams != 1) return kBadParameter;
  if (!is_float(c.in[0].dtype)) return kBadDType;
  const Status status = check_outputs(c);
  if (status != kOk || c.nout == 0) return status;
  const double norm =
      c.in[0].dtype == kFloat32 ? *static_cast<const float*>(c.in[0].data) : *static_cast<const double*>(c.in[0].data);
  const double ratio = c.params[0] / (norm + 1e-6);
  if (ratio >= 1) return kOk;
  if (c.out[0].dtype == kFloat32) {
    change_all<float>(c, [factor = static_cast<float>(ratio)](float x) { return x * factor; });
  } else {
    change_all<double>(c, [ratio](double x) { return x * ratio; });
  }
  return kOk;
}

// NaN stays.
Status foreach_clamp(const Call& c) {
  if (c.nin != 0) return kBadShape;
  if (c.nparams != 1 || !(c.params[0] >= 0)) return kBadParameter;
  const Status status = check_outputs(c);
  if (status != kOk || c.nout == 0) return status;
  if (c.out[0].dtype == kFloat32) {
    change_all<float>(c, [limit = static_cast<float>(c.params[0])](float x) {
      const float upper = x > limit ? limit : x;
      return upper < -limit ? -limit : upper;
    });
  } else {
    change_all<double>(c, [limit = c.params[0]](double x) {
      const double upper = x > limit ? limit : x;
      return upper < -limit ? -limit : upper;
    });
  }
  return kOk;
}

}  // namespace MYELIN_ISA
}  // namespace myelin
