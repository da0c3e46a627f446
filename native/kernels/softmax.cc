// softmax and log_softmax along one axis, with their gradients. Rows along the axis are independent: they are the unit of
// parallel work. A row that is all -inf, or holds NaN or +inf, gives NaN.
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

// Vectors side by side when the axis is not the contiguous one: columns of a tile advance together.
constexpr int kWide = 4;

// Rows of up to so many elements are worked on three at a time.
constexpr int64_t kStagedRow = 2048;

// Operands of a call are numbered: inputs first, the output last. A row op is
//   template <bool Stream, class T> static void row(T* const* p, int64_t n): on contiguous rows, and
//   template <class T, bool Full> static void column(const Tile<T, K, Full>& t): on kWide vectors of columns.
template <class T, int K, bool Full>
struct Tile {
  T* p[K];
  int64_t stride[K];  // along the axis
  int64_t n;          // length of the axis
  int64_t width;      // columns: kWide * N, or fewer unless Full

  MYELIN_INLINE int lanes(int v) const {
    if (Full) return Vec<T>::N;
    const int64_t left = width - v * Vec<T>::N;
    return left >= Vec<T>::N ? Vec<T>::N : left > 0 ? static_cast<int>(left) : 0;
  }
  MYELIN_INLINE Vec<T> get(int k, int64_t i, int v) const {
    return load_part(p[k] + i * stride[k] + v * Vec<T>::N, lanes(v));
  }
  MYELIN_INLINE void put(int64_t i, int v, Vec<T> x) const {
    store_part(p[K - 1] + i * stride[K - 1] + v * Vec<T>::N, x, lanes(v));
  }
};

template <class T, bool Full>
MYELIN_INLINE void column_max(const Tile<T, 2, Full>& t, Vec<T> (&m)[kWide]) {
  for (int v = 0; v < kWide; ++v) m[v] = set1<T>(static_cast<T>(-INFINITY));
  for (int64_t i = 0; i < t.n; ++i) {
    for (int v = 0; v < kWide; ++v) m[v] = max(m[v], t.get(0, i, v));
  }
}

struct Softmax {
  static constexpr int K = 2;
  static constexpr bool kStaged = true;
  template <bool Stream, class T>
  static void row(T* const* p, int64_t n) {
    const T m = row_max(p[0], n);
    const T sum = row_exp_sum<T, true>(p[0], p[1], n, m);
    row_scale(p[1], n, T(1) / sum);
  }
  template <class T, bool Full>
  static void column(const Tile<T, 2, Full>& t) {
    Vec<T> m[kWide];
    Vec<T> s[kWide];
    column_max(t, m);
    for (int v = 0; v < kWide; ++v) s[v] = zero<T>();
    for (int64_t i = 0; i < t.n; ++i) {
      for (int v = 0; v < kWide; ++v) {
        const Vec<T> e = exp_decay(t.get(0, i, v) - m[v]);
        s[v] = s[v] + e;
        t.put(i, v, e);
      }
    }
    for (int v = 0; v < kWide; ++v) s[v] = set1<T>(1) / s[v];
    for (int64_t i = 0; i < t.n; ++i) {
      for (int v = 0; v < kWide; ++v) t.put(i, v, t.get(1, i, v) * s[v]);
    }
  }
};

struct LogSoftmax {
  static constexpr int K = 2;
  static constexpr bool kStaged = false;
  template <bool Stream, class T>
  static void row(T* const* p, int64_t n) {
    const T* x = p[0];
    T* out = p[1];
    const Vec<T> m = set1<T>(row_max(x, n));
    const Vec<T> l = log(set1<T>(row_exp_sum<T, false>(x, nullptr, n, lane(m, 0))));
    for_vectors<T>(n, [&](int64_t i, int k) { put_part<Stream>(out + i, load_part(x + i, k) - m - l, k); });
  }
  template <class T, bool Full>
  static void column(const Tile<T, 2, Full>& t) {
    Vec<T> m[kWide];
    Vec<T> s[kWide];
    column_max(t, m);
    for (int v = 0; v < kWide; ++v) s[v] = zero<T>();
    for (int64_t i = 0; i < t.n; ++i) {
      for (int v = 0; v < kWide; ++v) s[v] = s[v] + exp_decay(t.get(0, i, v) - m[v]);
    }
    for (int v = 0; v < kWide; ++v) s[v] = log(s[v]);
    for (int64_t i = 0; i < t.n; ++i) {
      for (int v = 0; v < kWide; ++v) t.put(i, v, t.get(0, i, v) - m[v] - s[v]);
    }
  }
};

// dx = y (dy - Σ dy y)
struct SoftmaxBackward {
  static constexpr int K = 3;
  static constexpr bool kStaged = false;
  template <bool Stream, class T>
  static void row(T* const* p, int64_t n) {
    const T* dy = p[0];
    const T* y = p[1];
    T* dx = p[2];
    const T dot = sum_vectors<T>(n, [&](int64_t i, int k) {
      if (!Stream) prefetch(dx + i);
      return load_part(dy + i, k) * load_part(y + i, k);
    });
    const Vec<T> d = set1<T>(dot);
    for_vectors<T>(n, [&](int64_t i, int k) {
      prefetch(dy + n + i);
      prefetch(y + n + i);
      put_part<Stream>(dx + i, load_part(y + i, k) * (load_part(dy + i, k) - d), k);
    });
  }
  template <class T, bool Full>
  static void column(const Tile<T, 3, Full>& t) {
    Vec<T> s[kWide];
    for (int v = 0; v < kWide; ++v) s[v] = zero<T>();
    for (int64_t i = 0; i < t.n; ++i) {
      for (int v = 0; v < kWide; ++v) s[v] = s[v] + t.get(0, i, v) * t.get(1, i, v);
    }
    for (int64_t i = 0; i < t.n; ++i) {
      for (int v = 0; v < kWide; ++v) t.put(i, v, t.get(1, i, v) * (t.get(0, i, v) - s[v]));
    }
  }
};

// dx = dy - exp(y) Σ dy
struct LogSoftmaxBackward {
  static constexpr int K = 3;
  static constexpr bool kStaged = false;
  template <bool Stream, class T>
  static void row(T* const* p, int64_t n) {
    const T* dy = p[0];
    const T* y = p[1];
    T* dx = p[2];
    const Vec<T> s = set1<T>(sum_vectors<T>(n, [&](int64_t i, int k) { return load_part(dy + i, k); }));
    for_vectors<T>(n, [&](int64_t i, int k) {
      put_part<Stream>(dx + i, load_part(dy + i, k) - exp_decay(load_part(y + i, k)) * s, k);
    });
  }
  template <class T, bool Full>
  static void column(const Tile<T, 3, Full>& t) {
    Vec<T> s[kWide];
    for (int v = 0; v < kWide; ++v) s[v] = zero<T>();
    for (int64_t i = 0; i < t.n; ++i) {
      for (int v = 0; v < kWide; ++v) s[v] = s[v] + t.get(0, i, v);
    }
    for (int64_t i = 0; i < t.n; ++i) {
      for (int v = 0; v < kWide; ++v) t.put(i, v, t.get(0, i, v) - exp_decay(t.get(1, i, v)) * s[v]);
    }
  }
};

// The dimensions that are not the axis, walked in row-major order; offsets of K operands kept up to date.
template <int K>
struct Walk {
  int ndim = 0;
  int64_t count = 1;
  int64_t shape[kMaxDims];
  int64_t strides[K][kMaxDims];
  int64_t index[kMaxDims];
  int64_t offset[K];

  void start(int64_t position) {
    for (int k = 0; k < K; ++k) offset[k] = 0;
    for (int d = ndim - 1; d >= 0; --d) {
      index[d] = position % shape[d];
      position /= shape[d];
      for (int k = 0; k < K; ++k) offset[k] += index[d] * strides[k][d];
    }
  }
  void next() {
    for (int d = ndim - 1; d >= 0; --d) {
      for (int k = 0; k < K; ++k) offset[k] += strides[k][d];
      if (++index[d] < shape[d]) return;
      for (int k = 0; k < K; ++k) offset[k] -= index[d] * strides[k][d];
      index[d] = 0;
    }
  }
};

// Softmax of `rows` contiguous rows of at most kStagedRow elements, from a place in the walk on.
template <bool Stream, class T>
void staged_softmax(Walk<2> at, T* const* data, int64_t n, int64_t rows) {
  alignas(64) T terms[2][kStagedRow];
  const T* x = data[0] + at.offset[0];
  T most = row_max(x, n), factor = 0;
  T* before = nullptr;
  for (int64_t r = 0; r < rows; ++r) {
    T* const out = data[1] + at.offset[1];
    const T* next = x;
    if (r + 1 < rows) {
      at.next();
      next = data[0] + at.offset[0];
    }
    T sum, ahead;
    T *const e = terms[r & 1], *const done = terms[~r & 1];
    if (before == nullptr)
      ahead = row_stages<Stream, false>(x, e, n, most, &sum, next, done, factor, before);
    else
      ahead = row_stages<Stream, true>(x, e, n, most, &sum, next, done, factor, before);
    before = out;
    factor = T(1) / sum;
    most = ahead;
    x = next;
  }
  const T* e = terms[~rows & 1];
  const Vec<T> f = set1<T>(factor);
  for_vectors<T>(n, [&](int64_t i, int k) { put_part<Stream>(before + i, load_part(e + i, k) * f, k); });
}

template <class T, class Op, bool Full>
void run_tile(T* const* p, const int64_t* stride, int64_t n, int64_t width) {
  Tile<T, Op::K, Full> tile;
  for (int k = 0; k < Op::K; ++k) {
    tile.p[k] = p[k];
    tile.stride[k] = stride[k];
  }
  tile.n = n;
  tile.width = width;
  Op::column(tile);
}

template <class T, class Op>
Status run_rows(const Call& c, int axis) {
  constexpr int K = Op::K;
  const View* views[K];
  for (int k = 0; k < K; ++k) views[k] = k < K - 1 ? &c.in[k] : &c.out[0];
  const View& out = c.out[0];
  const int64_t n = out.shape[axis];
  T* data[K];
  int64_t stride[K];
  bool rows = true;
  for (int k = 0; k < K; ++k) {
    data[k] = static_cast<T*>(views[k]->data);
    stride[k] = views[k]->strides[axis];
    rows = rows && stride[k] == 1;
  }

  // The dimension along which columns are contiguous, when the axis itself is not.
  int inner = -1;
  for (int d = 0; d < out.ndim && !rows; ++d) {
    bool unit = d != axis && out.shape[d] > 1;
    for (int k = 0; k < K; ++k) unit = unit && views[k]->strides[d] == 1;
    if (unit) inner = d;
  }
  constexpr int64_t width = int64_t{kWide} * Vec<T>::N;
  Walk<K> walk;
  for (int d = 0; d < out.ndim; ++d) {
    if (d == axis || d == inner) continue;
    walk.shape[walk.ndim] = out.shape[d];
    walk.count *= out.shape[d];
    for (int k = 0; k < K; ++k) walk.strides[k][walk.ndim] = views[k]->strides[d];
    ++walk.ndim;
  }
  if (inner >= 0) {
    walk.shape[walk.ndim] = (out.shape[inner] + width - 1) / width;
    walk.count *= walk.shape[walk.ndim];
    for (int k = 0; k < K; ++k) walk.strides[k][walk.ndim] = width;
    ++walk.ndim;
  }

  bool stream = rows && streams_rows(out, n);
  for (int k = 0; k < K - 1; ++k) stream = stream && data[k] != data[K - 1];

  bool failed = false;
  const auto body = [&](int64_t begin, int64_t end, int worker) {
    Walk<K> at = walk;
    at.start(begin);
    T small[K][kBlock];
    T* copies[K] = {};
    const bool strided = !rows && inner < 0;
    if constexpr (Op::kStaged) {
      if (rows && n <= kStagedRow) {
        if (stream)
          staged_softmax<true>(at, data, n, end - begin);
        else
          staged_softmax<false>(at, data, n, end - begin);
        if (stream) stream_fence();
        return;
      }
    }
    if (strided) {
      T* big = nullptr;
      if (n > kBlock) {
        big = static_cast<T*>(c.pool->scratch(c.pool->self, worker, static_cast<size_t>(n) * K * sizeof(T)));
        if (big == nullptr) {
          __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
          return;
        }
      }
      for (int k = 0; k < K; ++k) copies[k] = big != nullptr ? big + k * n : small[k];
    }
    for (int64_t r = begin; r < end; ++r, at.next()) {
      T* p[K];
      for (int k = 0; k < K; ++k) p[k] = data[k] + at.offset[k];
      if (stream) {
        Op::template row<true>(p, n);
      } else if (rows) {
        Op::template row<false>(p, n);
      } else if (strided) {
        for (int k = 0; k < K - 1; ++k) {
          for (int64_t i = 0; i < n; ++i) copies[k][i] = p[k][i * stride[k]];
        }
        Op::template row<false>(copies, n);
        for (int64_t i = 0; i < n; ++i) p[K - 1][i * stride[K - 1]] = copies[K - 1][i];
      } else {
        const int64_t left = out.shape[inner] - at.index[at.ndim - 1] * width;
        if (left >= width) {
          run_tile<T, Op, true>(p, stride, n, width);
        } else {
          run_tile<T, Op, false>(p, stride, n, left);
        }
      }
    }
    if (stream) stream_fence();
  };
  const int64_t unit = inner >= 0 ? n * width : n;
  if (walk.count * unit <= kBlock * 8 && n <= kBlock) {
    body(0, walk.count, 0);
  } else {
    parallel_for(*c.pool, walk.count, unit >= kChunk ? 1 : kChunk / unit, body);
  }
  return failed ? kOutOfMemory : kOk;
}

template <class Op>
Status along_axis(const Call& c) {
  if (c.nin != Op::K - 1 || c.nout != 1) return kBadShape;
  if (c.nparams != 1) return kBadParameter;
  const View& out = c.out[0];
  for (int k = 0; k < c.nin; ++k) {
    if (!same_shape(c.in[k], out)) return kBadShape;
    if (c.in[k].dtype != out.dtype) return kBadDType;
  }
  if (!is_float(out.dtype)) return kBadDType;
  const double axis = c.params[0];
  if (out.ndim == 0) {
    // A scalar is a row of one.
    if (axis != 0) return kBadParameter;
    View views[3];
    for (int k = 0; k < Op::K; ++k) {
      views[k] = k < c.nin ? c.in[k] : out;
      views[k].ndim = 1;
      views[k].shape[0] = 1;
      views[k].strides[0] = 1;
    }
    const Call call{views, views + c.nin, c.params, c.pool, c.nin, 1, 1};
    return out.dtype == kFloat32 ? run_rows<float, Op>(call, 0) : run_rows<double, Op>(call, 0);
  }
  if (!(axis >= 0 && axis < out.ndim) || axis != ::floor(axis)) return kBadParameter;
  if (out.numel == 0) return kOk;
  return out.dtype == kFloat32 ? run_rows<float, Op>(c, static_cast<int>(axis))
                               : run_rows<double, Op>(c, static_cast<int>(axis));
}

}  // namespace

Status softmax(const Call& c) { return along_axis<Softmax>(c); }
Status log_softmax(const Call& c) { return along_axis<LogSoftmax>(c); }
Status softmax_backward(const Call& c) { return along_axis<SoftmaxBackward>(c); }
Status log_softmax_backward(const Call& c) { return along_axis<LogSoftmaxBackward>(c); }

}  // namespace MYELIN_ISA
}  // namespace myelin
