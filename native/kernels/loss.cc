// Losses with their gradients. Per-row losses are float64, summed in an order that depends on the problem only.
#include <math.h>
#include <stdint.h>

#include "../simd/math.h"
#include "../simd/simd.h"
#include "blocks.h"
#include "call.h"
#include "softmax_rows.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

enum Reduction { kNone = 0, kMean = 1, kSum = 2 };

bool read_reduction(double value, Reduction& reduction) {
  if (value != 0 && value != 1 && value != 2) return false;
  reduction = static_cast<Reduction>(static_cast<int>(value));
  return true;
}

struct CrossEntropy {
  int64_t n;
  int64_t classes;
  Reduction reduction;
  double ignore;
  double smoothing;
  const View* logits;
  const View* target;
  const View* weight;  // null when absent

  int32_t target_at(int64_t i) const { return static_cast<const int32_t*>(target->data)[i * target->strides[0]]; }
  bool ignored(int32_t t) const { return t == ignore; }
};

// Class weights as an array: null when all are 1, a copy in `memory` (room for all classes) when the view has gaps.
template <class T>
struct Weights {
  const T* w;
  double sum;

  Weights(const CrossEntropy& ce, T* memory) : w(nullptr), sum(static_cast<double>(ce.classes)) {
    if (ce.weight == nullptr) return;
    const T* data = static_cast<const T*>(ce.weight->data);
    const int64_t step = ce.weight->strides[0];
    for (int64_t j = 0; j < ce.classes && step != 1; ++j) memory[j] = data[j * step];
    w = step != 1 ? memory : data;
    sum = 0;
    for (int64_t j = 0; j < ce.classes; ++j) sum += static_cast<double>(w[j]);
  }
  double at(int64_t j) const { return w == nullptr ? 1.0 : static_cast<double>(w[j]); }
};

// Bytes for that copy.
template <class T>
size_t weight_bytes(const CrossEntropy& ce) {
  return ce.weight != nullptr && ce.weight->strides[0] != 1 ? static_cast<size_t>(ce.classes) * sizeof(T) : 0;
}

// Σ w (x - m), w = 1 where there are no weights.
template <class T>
double weighted_distance(const T* x, const T* w, int64_t n, T m) {
  const Vec<T> shift = set1<T>(m);
  return static_cast<double>(sum_vectors<T>(n, [&](int64_t i, int k) {
    const Vec<T> d = load_part(x + i, k) - shift;
    return zero_unless(first_n<T>(k), w == nullptr ? d : d * load_part(w + i, k));
  }));
}

// Reads and checks what forward and backward share. logits (N,C), target (N), weight (C) or absent.
Status read_cross_entropy(const Call& c, const View& logits, const View& target, const View* weight, CrossEntropy& ce) {
  if (c.nparams != 3) return kBadParameter;
  if (logits.ndim != 2 || target.ndim != 1 || target.shape[0] != logits.shape[0]) return kBadShape;
  if (!is_float(logits.dtype) || target.dtype != kInt32) return kBadDType;
  ce.weight = weight == nullptr || absent(*weight) ? nullptr : weight;
  if (ce.weight != nullptr) {
    if (weight->ndim != 1 || weight->shape[0] != logits.shape[1]) return kBadShape;
    if (weight->dtype != logits.dtype) return kBadDType;
  }
  ce.n = logits.shape[0];
  ce.classes = logits.shape[1];
  ce.ignore = c.params[1];
  ce.smoothing = c.params[2];
  ce.logits = &logits;
  ce.target = &target;
  if (!read_reduction(c.params[0], ce.reduction)) return kBadParameter;
  if (!(ce.smoothing >= 0 && ce.smoothing <= 1)) return kBadParameter;
  for (int64_t i = 0; i < ce.n; ++i) {
    const int32_t t = ce.target_at(i);
    if ((t < 0 || t >= ce.classes) && !ce.ignored(t)) return kBadIndex;
  }
  return kOk;
}

bool is_loss_view(const View& v, const CrossEntropy& ce) {
  return ce.reduction == kNone ? v.ndim == 1 && v.shape[0] == ce.n : v.numel == 1;
}

int64_t step_of(const View& v) { return v.ndim == 0 ? 0 : v.strides[v.ndim - 1]; }

// Memory for rows that are not contiguous: `count` arrays of n elements, from `small` when they fit.
template <class T>
T* row_memory(const Call& c, int worker, int64_t n, T* small, int64_t small_size) {
  if (n <= small_size) return small;
  return static_cast<T*>(c.pool->scratch(c.pool->self, worker, static_cast<size_t>(n) * sizeof(T)));
}

// rows(begin, end, worker) over [0, n), on the calling thread when there is little to do.
template <class F>
void for_rows(const Call& c, int64_t n, int64_t length, const F& rows) {
  if (n * length <= kBlock * 8 && length <= kBlock) {
    rows(int64_t{0}, n, 0);
  } else {
    parallel_for(*c.pool, n, length >= kChunk ? 1 : kChunk / (length < 1 ? 1 : length), rows);
  }
}

// loss[i] = (1 - s) w[t] (lse - x[t]) + s / C Σ_c w[c] (lse - x[c]), s = label smoothing; 0 where the target is ignored.
template <class T>
Status cross_entropy_of(const Call& c, const CrossEntropy& ce) {
  View& loss = c.out[0];
  View& lse = c.out[1];
  View& total = c.out[2];
  const int64_t columns = ce.logits->strides[1];
  double few[kBlock];
  double* losses = few;
  const size_t bytes = static_cast<size_t>(ce.n) * sizeof(double) + weight_bytes<T>(ce);
  if (bytes > sizeof(few)) {
    losses = static_cast<double*>(c.pool->scratch(c.pool->self, -1, bytes));
    if (losses == nullptr) return kOutOfMemory;
  }
  const Weights<T> weights(ce, reinterpret_cast<T*>(losses + ce.n));

  bool failed = false;
  for_rows(c, ce.n, ce.classes, [&](int64_t begin, int64_t end, int worker) {
    T small[kBlock];
    T* copy = columns == 1 ? nullptr : row_memory(c, worker, ce.classes, small, kBlock);
    if (columns != 1 && copy == nullptr) {
      __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
      return;
    }
    for (int64_t i = begin; i < end; ++i) {
      const T* x = static_cast<const T*>(ce.logits->data) + i * ce.logits->strides[0];
      if (copy != nullptr) {
        for (int64_t j = 0; j < ce.classes; ++j) copy[j] = x[j * columns];
        x = copy;
      }
      const T m = row_max(x, ce.classes);
      const double log_sum = ::log(static_cast<double>(row_exp_sum<T, false>(x, nullptr, ce.classes, m)));
      static_cast<T*>(lse.data)[i * step_of(lse)] = static_cast<T>(static_cast<double>(m) + log_sum);
      const int32_t t = ce.target_at(i);
      if (ce.ignored(t)) {
        losses[i] = 0;
        continue;
      }
      double value = weights.at(t) * (log_sum - (static_cast<double>(x[t]) - static_cast<double>(m)));
      if (ce.smoothing > 0) {
        const double smooth = weights.sum * log_sum - weighted_distance(x, weights.w, ce.classes, m);
        value = (1 - ce.smoothing) * value + ce.smoothing / static_cast<double>(ce.classes) * smooth;
      }
      losses[i] = value;
    }
  });
  if (failed) return kOutOfMemory;

  double sum = 0;
  double counted = 0;
  for (int64_t i = 0; i < ce.n; ++i) {
    const int32_t t = ce.target_at(i);
    if (!ce.ignored(t)) counted += weights.at(t);
    sum += losses[i];
    if (ce.reduction == kNone) static_cast<T*>(loss.data)[i * step_of(loss)] = static_cast<T>(losses[i]);
  }
  if (ce.reduction == kMean) sum /= counted;
  if (ce.reduction != kNone) *static_cast<T*>(loss.data) = static_cast<T>(sum);
  *static_cast<T*>(total.data) = static_cast<T>(counted);
  return kOk;
}

// With p = softmax of the row and g the row's share of dloss (divided by total for the mean):
// dlogits = g ((1 - s) w[t] (p - [c = t]) + s / C (p Σ w - w)); 0 where the target is ignored.
template <class T>
Status cross_entropy_backward_of(const Call& c, const CrossEntropy& ce) {
  const View& dloss = c.in[0];
  const View& lse = c.in[3];
  View& dlogits = c.out[0];
  const int64_t columns = ce.logits->strides[1];
  const int64_t out_columns = dlogits.strides[1];
  const double total = static_cast<double>(*static_cast<const T*>(c.in[4].data));
  const double share = ce.smoothing / static_cast<double>(ce.classes);
  T few[kBlock];
  T* memory = few;
  if (weight_bytes<T>(ce) > sizeof(few)) {
    memory = static_cast<T*>(c.pool->scratch(c.pool->self, -1, weight_bytes<T>(ce)));
    if (memory == nullptr) return kOutOfMemory;
  }
  const Weights<T> weights(ce, memory);

  bool failed = false;
  for_rows(c, ce.n, ce.classes, [&](int64_t begin, int64_t end, int worker) {
    T small[kBlock];
    T* copy = columns == 1 && out_columns == 1 ? nullptr : row_memory(c, worker, ce.classes, small, kBlock);
    if ((columns != 1 || out_columns != 1) && copy == nullptr) {
      __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
      return;
    }
    for (int64_t i = begin; i < end; ++i) {
      const T* x = static_cast<const T*>(ce.logits->data) + i * ce.logits->strides[0];
      T* out = static_cast<T*>(dlogits.data) + i * dlogits.strides[0];
      T* d = copy != nullptr ? copy : out;
      const int32_t t = ce.target_at(i);
      if (ce.ignored(t)) {
        for (int64_t j = 0; j < ce.classes; ++j) out[j * out_columns] = T(0);
        continue;
      }
      if (copy != nullptr) {
        for (int64_t j = 0; j < ce.classes; ++j) copy[j] = x[j * columns];
        x = copy;
      }
      // lse is rounded to T: dividing by the sum takes that error out again.
      const T row_lse = static_cast<const T*>(lse.data)[i * step_of(lse)];
      const double sum = static_cast<double>(row_exp_sum<T, true>(x, d, ce.classes, row_lse));
      double g = static_cast<double>(static_cast<const T*>(dloss.data)[ce.reduction == kNone ? i * step_of(dloss) : 0]);
      if (ce.reduction == kMean) g /= total;
      const double hit = g * (1 - ce.smoothing) * weights.at(t);
      row_scale(d, ce.classes, static_cast<T>((hit + g * share * weights.sum) / sum));
      if (ce.smoothing > 0) {
        const T each = static_cast<T>(g * share);
        if (weights.w == nullptr) {
          for (int64_t j = 0; j < ce.classes; ++j) d[j] -= each;
        } else {
          for (int64_t j = 0; j < ce.classes; ++j) d[j] -= each * weights.w[j];
        }
      }
      d[t] -= static_cast<T>(hit);
      if (copy != nullptr) {
        for (int64_t j = 0; j < ce.classes; ++j) out[j * out_columns] = copy[j];
      }
    }
  });
  return failed ? kOutOfMemory : kOk;
}

// Σ (x - y)² of a chunk, in vectors of T summed in blocks.
template <class T>
double squared_distance(const View& x, const View& y, int64_t begin, int64_t end) {
  const int64_t block = x.contiguous && y.contiguous ? 4 * kBlock : kBlock;
  double sum = 0;
  T x_buffer[kBlock];
  T y_buffer[kBlock];
  for (int64_t at = begin; at < end; at += block) {
    const int64_t count = end - at < block ? end - at : block;
    const T* a = read_block(x, at, count, x_buffer);
    const T* b = read_block(y, at, count, y_buffer);
    sum += static_cast<double>(sum_vectors<T>(count, [&](int64_t i, int k) {
      const Vec<T> d = load_part(a + i, k) - load_part(b + i, k);
      return d * d;
    }));
  }
  return sum;
}

// out = f(x, y) element by element, any strides.
template <class T, class F>
void map_pairs(const Call& c, const View& x, const View& y, const View& out, const F& f) {
  for_chunks(*c.pool, out.numel, [&](int64_t begin, int64_t end) {
    T x_buffer[kBlock];
    T y_buffer[kBlock];
    T out_buffer[kBlock];
    for (int64_t at = begin; at < end; at += kBlock) {
      const int64_t count = end - at < kBlock ? end - at : kBlock;
      const T* a = read_block(x, at, count, x_buffer);
      const T* b = read_block(y, at, count, y_buffer);
      T* to = open_block(out, at, out_buffer);
      for_vectors<T>(count,
                     [&](int64_t i, int k) { store_part(to + i, f(load_part(a + i, k), load_part(b + i, k)), k); });
      close_block(out, at, count, to);
    }
  });
}

template <class T>
Status mse_loss_of(const Call& c, Reduction reduction) {
  const View& x = c.in[0];
  const View& y = c.in[1];
  if (reduction == kNone) {
    map_pairs<T>(c, x, y, c.out[0], [](Vec<T> a, Vec<T> b) { return (a - b) * (a - b); });
    return kOk;
  }
  const int64_t chunks = (x.numel + kChunk - 1) / kChunk;
  double few[64];
  double* partial = few;
  if (chunks > 64) {
    partial = static_cast<double*>(c.pool->scratch(c.pool->self, -1, static_cast<size_t>(chunks) * sizeof(double)));
    if (partial == nullptr) return kOutOfMemory;
  }
  for_chunks(*c.pool, x.numel, [&](int64_t begin, int64_t end) {
    // A pool may hand over several chunks in one piece.
    for (int64_t at = begin; at < end; at += kChunk) {
      partial[at / kChunk] = squared_distance<T>(x, y, at, end - at < kChunk ? end : at + kChunk);
    }
  });
  double sum = 0;
  for (int64_t i = 0; i < chunks; ++i) sum += partial[i];
  *static_cast<T*>(c.out[0].data) = static_cast<T>(reduction == kMean ? sum / static_cast<double>(x.numel) : sum);
  return kOk;
}

template <class T>
Status mse_loss_backward_of(const Call& c, Reduction reduction) {
  const View& dloss = c.in[0];
  const View& x = c.in[1];
  const View& y = c.in[2];
  const View& dx = c.out[0];
  if (reduction != kNone) {
    double g = 2 * static_cast<double>(*static_cast<const T*>(dloss.data));
    if (reduction == kMean) g /= static_cast<double>(x.numel);
    const Vec<T> factor = set1<T>(static_cast<T>(g));
    map_pairs<T>(c, x, y, dx, [factor](Vec<T> a, Vec<T> b) { return factor * (a - b); });
    return kOk;
  }
  map_pairs<T>(c, x, y, dx, [](Vec<T> a, Vec<T> b) { return set1<T>(2) * (a - b); });
  for_chunks(*c.pool, dx.numel, [&](int64_t begin, int64_t end) {
    T dx_buffer[kBlock];
    T dloss_buffer[kBlock];
    for (int64_t at = begin; at < end; at += kBlock) {
      const int64_t count = end - at < kBlock ? end - at : kBlock;
      T* to = const_cast<T*>(read_block(dx, at, count, dx_buffer));
      const T* g = read_block(dloss, at, count, dloss_buffer);
      for (int64_t i = 0; i < count; ++i) to[i] *= g[i];
      close_block(dx, at, count, to);
    }
  });
  return kOk;
}

}  // namespace

// logits (N,C), target (N), weight? (C): loss () or (N), lse (N), total ().
Status cross_entropy(const Call& c) {
  if (c.nin < 2 || c.nin > 3 || c.nout != 3) return kBadShape;
  CrossEntropy ce;
  const Status status = read_cross_entropy(c, c.in[0], c.in[1], c.nin == 3 ? &c.in[2] : nullptr, ce);
  if (status != kOk) return status;
  const DType dtype = c.in[0].dtype;
  if (!is_loss_view(c.out[0], ce) || c.out[1].ndim != 1 || c.out[1].shape[0] != ce.n || c.out[2].numel != 1) {
    return kBadShape;
  }
  for (int i = 0; i < 3; ++i) {
    if (c.out[i].dtype != dtype) return kBadDType;
  }
  return dtype == kFloat32 ? cross_entropy_of<float>(c, ce) : cross_entropy_of<double>(c, ce);
}

Status cross_entropy_backward(const Call& c) {
  if (c.nin < 5 || c.nin > 6 || c.nout != 1) return kBadShape;
  CrossEntropy ce;
  const Status status = read_cross_entropy(c, c.in[1], c.in[2], c.nin == 6 ? &c.in[5] : nullptr, ce);
  if (status != kOk) return status;
  const DType dtype = c.in[1].dtype;
  if (!is_loss_view(c.in[0], ce) || c.in[3].ndim != 1 || c.in[3].shape[0] != ce.n || c.in[4].numel != 1 ||
      !same_shape(c.out[0], c.in[1])) {
    return kBadShape;
  }
  if (c.in[0].dtype != dtype || c.in[3].dtype != dtype || c.in[4].dtype != dtype || c.out[0].dtype != dtype) {
    return kBadDType;
  }
  return dtype == kFloat32 ? cross_entropy_backward_of<float>(c, ce) : cross_entropy_backward_of<double>(c, ce);
}

// x, y of one shape: loss () or that shape.
Status mse_loss(const Call& c) {
  if (c.nin != 2 || c.nout != 1) return kBadShape;
  Reduction reduction;
  if (c.nparams != 1 || !read_reduction(c.params[0], reduction)) return kBadParameter;
  if (!same_shape(c.in[0], c.in[1])) return kBadShape;
  if (reduction == kNone ? !same_shape(c.out[0], c.in[0]) : c.out[0].numel != 1) return kBadShape;
  const DType dtype = c.in[0].dtype;
  if (!is_float(dtype) || c.in[1].dtype != dtype || c.out[0].dtype != dtype) return kBadDType;
  return dtype == kFloat32 ? mse_loss_of<float>(c, reduction) : mse_loss_of<double>(c, reduction);
}

// dx = 2 (x - y) dloss, divided by the number of elements for the mean.
Status mse_loss_backward(const Call& c) {
  if (c.nin != 3 || c.nout != 1) return kBadShape;
  Reduction reduction;
  if (c.nparams != 1 || !read_reduction(c.params[0], reduction)) return kBadParameter;
  if (!same_shape(c.in[1], c.in[2]) || !same_shape(c.in[1], c.out[0])) return kBadShape;
  if (reduction == kNone ? !same_shape(c.in[0], c.in[1]) : c.in[0].numel != 1) return kBadShape;
  const DType dtype = c.in[1].dtype;
  if (!is_float(dtype)) return kBadDType;
  if (c.in[0].dtype != dtype || c.in[2].dtype != dtype || c.out[0].dtype != dtype) return kBadDType;
  return dtype == kFloat32 ? mse_loss_backward_of<float>(c, reduction) : mse_loss_backward_of<double>(c, reduction);
}

}  // namespace MYELIN_ISA
}  // namespace myelin
