// Max pooling, with where the maxima were, of windows and adaptive, and its gradients. NaN wins; the first of equals does.
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "../simd/simd.h"
#include "blocks.h"
#include "call.h"
#include "pool_window.h"
#include "vectors.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

// The lanes of an index vector as int32.
template <class I>
MYELIN_INLINE void store_index(int32_t* to, Vec<I> v, int lanes) {
  if constexpr (sizeof(I) == 4) {
    store_part(to, v, lanes);
  } else {
    for (int i = 0; i < lanes; ++i) to[i] = static_cast<int32_t>(lane(v, i));
  }
}

template <class I>
MYELIN_INLINE Vec<I> load_index(const int32_t* from, int lanes) {
  if constexpr (sizeof(I) == 4) {
    return load_part(from, lanes);
  } else {
    alignas(kVectorBytes) I wide[Vec<I>::N] = {};
    for (int i = 0; i < lanes; ++i) wide[i] = from[i];
    return load(wide);
  }
}

template <class T>
struct MaxPool {
  PoolShape shape;
  const Taps* across;  // windows along the rows
  int64_t low;         // outputs [low, high) of a row have windows inside the input
  int64_t high;
  const T* x;
  T* out;
  int32_t* indices;  // null: not wanted

  void row(const PoolRow& at, int64_t r) const {
    const PoolAxis& w = shape.axis[2];
    const int64_t to = r * w.out;
    for (int64_t o = 0; o < low; ++o) one(at, o, to + o);
    if (w.stride == 1) {
      inside<1>(at, to);
    } else if (w.stride == 2) {
      inside<2>(at, to);
    } else {
      inside<0>(at, to);
    }
    for (int64_t o = high; o < w.out; ++o) one(at, o, to + o);
  }

  template <int Stride>
  void inside(const PoolRow& at, int64_t to) const {
    if (indices != nullptr) {
      vectors<Stride, true>(at, to);
    } else {
      vectors<Stride, false>(at, to);
    }
  }

  template <int Stride, bool Index>
  MYELIN_INLINE void vectors(const PoolRow& at, int64_t to) const {
    constexpr int N = Vec<T>::N;
    int64_t o = low;
    for (; o + N <= high; o += N) vector<Stride, Index>(at, to + o, o, N);
    if (o < high) vector<Stride, Index>(at, to + o, o, static_cast<int>(high - o));
  }

  template <int Stride, bool Index>
  MYELIN_INLINE void vector(const PoolRow& at, int64_t to, int64_t o, int lanes) const {
    using I = Int<T>;
    const PoolAxis& w = shape.axis[2];
    const T* plane = x + at.plane * shape.in_plane();
    const int64_t start = o * w.stride - w.pad;
    const Vec<I> steps = iota<I>() * set1<I>(static_cast<I>(w.stride));
    Vec<T> best = set1<T>(static_cast<T>(-INFINITY));
    Vec<I> where = zero<I>();
    if constexpr (Index) {
      // Where nothing beats -inf the first tap stays.
      const int64_t first = ((at.d.first * shape.axis[1].in) + at.h.first) * w.in + start;
      where = steps + set1<I>(static_cast<I>(first));
    }
    at.inputs(shape, [&](int64_t offset) {
      const int64_t from = offset + start;
      const Vec<I> base = steps + set1<I>(static_cast<I>(from));
      each_tap<T, Stride>(plane + from, w.kernel, w.dilation, w.stride, lanes, [&](Vec<T> v, int64_t k) {
        const Mask<T> wins = (v > best) | is_nan(v);
        best = select(wins, v, best);
        if constexpr (Index) {
          // A vector of T and one of its integers have one mask.
          where = bits(select(wins, from_bits<T>(base + set1<I>(static_cast<I>(k))), from_bits<T>(where)));
        }
      });
    });
    store_part(out + to, best, lanes);
    if constexpr (Index) store_index<I>(indices + to, where, lanes);
  }

  void one(const PoolRow& at, int64_t o, int64_t to) const {
    const Taps w = across[o];
    const T* plane = x + at.plane * shape.in_plane();
    T best = static_cast<T>(-INFINITY);
    int64_t where = (at.d.first * shape.axis[1].in + at.h.first) * shape.axis[2].in + w.first;
    at.inputs(shape, [&](int64_t offset) {
      for (int64_t k = 0; k < w.count; ++k) {
        const int64_t i = offset + w.first + k * w.step;
        const T v = plane[i];
        if (v > best || v != v) {
          best = v;
          where = i;
        }
      }
    });
    out[to] = best;
    if (indices != nullptr) indices[to] = static_cast<int32_t>(where);
  }
};

template <class T>
Status max_pool(const Call& c, const PoolShape& shape) {
  const Taps* taps = list_taps(*c.pool, shape);
  if (taps == nullptr) return kOutOfMemory;
  const PoolAxis& w = shape.axis[2];
  const bool adaptive = w.kernel == 0;
  const MaxPool<T> op{shape,
                      taps + shape.axis[0].out + shape.axis[1].out,
                      adaptive ? w.out : w.low(),
                      adaptive ? w.out : w.high(),
                      static_cast<const T*>(c.in[0].data),
                      static_cast<T*>(c.out[0].data),
                      c.nout > 1 ? static_cast<int32_t*>(c.out[1].data) : nullptr};
  each_pool_row(*c.pool, shape, taps, [&](const PoolRow& at, int64_t r) { op.row(at, r); });
  return kOk;
}

Status run_max(const Call& c, bool adaptive) {
  if (c.nin != 1 || c.nout < 1 || c.nout > 2 || c.nparams != (adaptive ? 1 : 13)) return kBadParameter;
  const View& x = c.in[0];
  PoolShape shape;
  if (const Status status = shape.init(x, c.out[0], c.params[0])) return status;
  if (!is_float(x.dtype) || c.out[0].dtype != x.dtype) return kBadDType;
  if (c.nout > 1) {
    if (c.out[1].dtype != kInt32) return kBadDType;
    if (!same_shape(c.out[0], c.out[1]) || !c.out[1].contiguous) return kBadShape;
  }
  if (adaptive) {
    shape.adaptive();
  } else if (const Status status = shape.windows(c.params + 1, true)) {
    return status;
  }
  if (c.out[0].numel == 0) return kOk;
  return x.dtype == kFloat32 ? max_pool<float>(c, shape) : max_pool<double>(c, shape);
}

// Gradients of maxima over tiles 2 wide, by vectors: each element of dx is written once, dy where its index says so.
template <class T>
void spread_tiles(const Pool& pool, const PoolShape& s, int64_t tile, const T* dy, const int32_t* indices, T* dx) {
  constexpr int N = Vec<T>::N;
  using I = Int<T>;
  const PoolAxis &h = s.axis[1], &w = s.axis[2];
  const int64_t wide = s.in_plane(), n = s.out_plane(), rest = w.in - 2 * w.out;
  each_plane(pool, s, [&](int64_t p) {
    for (int64_t o = 0; o < h.out; ++o) {
      const T* g = dy + p * n + o * w.out;
      const int32_t* index = indices + p * n + o * w.out;
      for (int64_t t = 0; t < tile; ++t) {
        const int64_t row = (o * tile + t) * w.in;
        T* to = dx + p * wide + row;
        int64_t i = 0;
        for (; i < w.out; i += N) {
          const int k = w.out - i < N ? static_cast<int>(w.out - i) : N;
          const Vec<I> at = load_index<I>(index + i, k);
          const Vec<I> first = (iota<I>() << 1) + set1<I>(static_cast<I>(row + 2 * i));
          const Vec<T> v = load_part(g + i, k);
          const Vec<T> even = zero_unless(at == first, v), odd = zero_unless(at == first + set1<I>(1), v);
          const Vec<T> low = shuffle<ZipLanes<N, 0>>(even, odd), high = shuffle<ZipLanes<N, 1>>(even, odd);
          store_part(to + 2 * i, low, 2 * k < N ? 2 * k : N);
          if (2 * k > N) store_part(to + 2 * i + N, high, 2 * k - N);
        }
        for (int64_t j = w.in - rest; j < w.in; ++j) to[j] = 0;
      }
    }
    memset(dx + p * wide + h.out * tile * w.in, 0, static_cast<size_t>((h.in - h.out * tile) * w.in) * sizeof(T));
  });
}

// dx = 0, then dx[indices[i]] += dy[i] plane by plane (Scatter), or the reverse: out[i] = x[indices[i]].
template <class T, bool Scatter>
Status move_by_index(const Call& c, const PoolShape& shape) {
  const T* from = static_cast<const T*>(c.in[0].data);
  const int32_t* indices = static_cast<const int32_t*>(c.in[1].data);
  T* to = static_cast<T*>(c.out[0].data);
  const int64_t wide = shape.in_plane(), n = shape.out_plane();
  bool bad = false;
  each_plane(*c.pool, shape, [&](int64_t p) {
    const int32_t* index = indices + p * n;
    if (Scatter) memset(to + p * wide, 0, static_cast<size_t>(wide) * sizeof(T));
    for (int64_t i = 0; i < n; ++i) {
      const int64_t at = __atomic_load_n(index + i, __ATOMIC_RELAXED);
      if (at < 0 || at >= wide) {
        __atomic_store_n(&bad, true, __ATOMIC_RELAXED);
        return;
      }
      if (Scatter) {
        to[p * wide + at] += from[p * n + i];
      } else {
        to[p * n + i] = from[p * wide + at];
      }
    }
  });
  return bad ? kBadIndex : kOk;
}

template <bool Scatter>
Status run_move(const Call& c) {
  if (c.nin != 2 || c.nout != 1 || c.nparams != (Scatter ? 2 : 1)) return kBadParameter;
  const View& wide = Scatter ? c.out[0] : c.in[0];
  const View& narrow = Scatter ? c.in[0] : c.out[0];
  const View& indices = c.in[1];
  if (!is_float(wide.dtype) || narrow.dtype != wide.dtype || indices.dtype != kInt32) return kBadDType;
  if (!same_shape(narrow, indices) || !indices.contiguous) return kBadShape;
  PoolShape shape;
  if (const Status status = shape.init(wide, narrow, c.params[0])) return status;
  if (wide.numel == 0) return kOk;
  if (Scatter && c.params[1] != 0) {
    const double tile = c.params[1];
    const PoolAxis &h = shape.axis[1], &w = shape.axis[2];
    if (!(tile >= 1 && tile <= static_cast<double>(h.in)) || tile != ::floor(tile)) return kBadParameter;
    const int64_t high = static_cast<int64_t>(tile);
    if (shape.axis[0].in != 1 || shape.axis[0].out != 1 || w.out > w.in / 2 || h.out > h.in / high) return kBadShape;
    const auto go = [&](auto zero) {
      using T = decltype(zero);
      spread_tiles(*c.pool, shape, high, static_cast<const T*>(narrow.data), static_cast<const int32_t*>(indices.data),
                   static_cast<T*>(wide.data));
    };
    if (wide.dtype == kFloat32) {
      go(0.0f);
    } else {
      go(0.0);
    }
    return kOk;
  }
  return wide.dtype == kFloat32 ? move_by_index<float, Scatter>(c, shape) : move_by_index<double, Scatter>(c, shape);
}

}  // namespace

Status max_pool(const Call& c) { return run_max(c, false); }
Status adaptive_max_pool(const Call& c) { return run_max(c, true); }
Status max_pool_backward(const Call& c) { return run_move<true>(c); }
Status max_pool_gather(const Call& c) { return run_move<false>(c); }

}  // namespace MYELIN_ISA
}  // namespace myelin
