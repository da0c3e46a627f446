// What moves and resamples planes: padding by what the input holds, unfolding into columns (im2col) and folding back,
// interpolation. Every one is linear, and its gradient stands beside it.
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

// --- padding by reflection, by the edge, or around

enum PadMode { kReflect = 1, kReplicate = 2, kCircular = 3 };

// Where output o of a dimension comes from, with `left` elements of padding before the input.
int64_t pad_source(int mode, int64_t o, int64_t left, int64_t n) {
  int64_t i = o - left;
  if (mode == kCircular) {
    i %= n;
    return i < 0 ? i + n : i;
  }
  if (mode == kReflect) {
    if (i < 0) i = -i;
    if (i >= n) i = 2 * (n - 1) - i;
  }
  return i < 0 ? 0 : i >= n ? n - 1 : i;
}

template <class T, bool Gradient>
Status pad_planes(const Call& c, const PoolShape& s, const int32_t* const* source, const int64_t* left) {
  const T* from = static_cast<const T*>(c.in[0].data);
  T* to = static_cast<T*>(c.out[0].data);
  const int64_t width = s.axis[2].out, in_width = s.axis[2].in, rows = s.axis[0].out * s.axis[1].out;
  // Outputs [low, high) of a row are the input's own.
  const int64_t shift = left[2], low = shift > 0 ? (shift < width ? shift : width) : 0;
  const int64_t end = shift + in_width < width ? shift + in_width : width, high = end > low ? end : low;
  // Rows that are the input's own in the other dimensions too are written, the others then added to them.
  const auto own = [&](int d, int64_t o) {
    const int64_t i = o - left[d];
    return i >= 0 && i < s.axis[d].in;
  };
  const auto row = [&](int64_t plane, int64_t d, int64_t h, bool first) {
    const int64_t wide = plane * s.in_plane() + (source[0][d] * s.axis[1].in + source[1][h]) * in_width;
    const int64_t narrow = (plane * rows + d * s.axis[1].out + h) * width;
    if (Gradient) {
      const T* x = from + narrow;
      T* y = to + wide;
      if (first) {
        for_vectors<T>(high - low,
                       [&](int64_t o, int k) { store_part(y + low - shift + o, load_part(x + low + o, k), k); });
      } else {
        add_scaled(y + low - shift, x + low, T(1), high - low);
      }
      for (int64_t o = 0; o < low; ++o) y[source[2][o]] += x[o];
      for (int64_t o = high; o < width; ++o) y[source[2][o]] += x[o];
    } else {
      const T* x = from + wide;
      T* y = to + narrow;
      for (int64_t o = 0; o < low; ++o) y[o] = x[source[2][o]];
      memcpy(y + low, x + low - shift, static_cast<size_t>(high - low) * sizeof(T));
      for (int64_t o = high; o < width; ++o) y[o] = x[source[2][o]];
    }
  };
  each_plane(*c.pool, s, [&](int64_t plane) {
    // Where padding is negative some elements are of no row that is the input's own.
    bool whole = high - low == in_width;
    for (int d = 0; d < 2; ++d) whole = whole && left[d] >= 0 && left[d] + s.axis[d].in <= s.axis[d].out;
    if (Gradient && !whole) memset(to + plane * s.in_plane(), 0, static_cast<size_t>(s.in_plane()) * sizeof(T));
    for (int turn = 0; turn < (Gradient ? 2 : 1); ++turn) {
      const bool first = turn == 0;
      for (int64_t d = 0; d < s.axis[0].out; ++d) {
        for (int64_t h = 0; h < s.axis[1].out; ++h) {
          if (!Gradient || (own(0, d) && own(1, h)) == first) row(plane, d, h, first);
        }
      }
    }
  });
  return kOk;
}

template <bool Gradient>
Status run_pad(const Call& c) {
  if (c.nin != 1 || c.nout != 1 || c.nparams != 5) return kBadParameter;
  const View& wide = Gradient ? c.out[0] : c.in[0];
  const View& narrow = Gradient ? c.in[0] : c.out[0];
  PoolShape shape;
  if (const Status status = shape.init(wide, narrow, c.params[0])) return status;
  if (!is_float(wide.dtype) || narrow.dtype != wide.dtype) return kBadDType;
  const double mode = c.params[1];
  if (!(mode == kReflect || mode == kReplicate || mode == kCircular)) return kBadParameter;
  int64_t left[3];
  int64_t total = 0;
  for (int d = 0; d < 3; ++d) {
    const double pad = c.params[2 + d];
    if (!(pad >= -INT32_MAX && pad <= INT32_MAX) || pad != ::floor(pad)) return kBadParameter;
    left[d] = static_cast<int64_t>(pad);
    total += shape.axis[d].out;
  }
  if (wide.numel == 0) return kOk;
  int32_t* source[3];
  source[0] =
      static_cast<int32_t*>(c.pool->scratch(c.pool->self, -1, static_cast<size_t>(total + 1) * sizeof(int32_t)));
  if (source[0] == nullptr) return kOutOfMemory;
  for (int d = 0; d < 3; ++d) {
    const PoolAxis& a = shape.axis[d];
    for (int64_t o = 0; o < a.out; ++o) {
      source[d][o] = static_cast<int32_t>(pad_source(static_cast<int>(mode), o, left[d], a.in));
    }
    if (d < 2) source[d + 1] = source[d] + a.out;
  }
  return wide.dtype == kFloat32 ? pad_planes<float, Gradient>(c, shape, source, left)
                                : pad_planes<double, Gradient>(c, shape, source, left);
}

// --- unfold and fold

// x (N, C, H, W) and columns (N, C·kh·kw, L), L = windows down × windows across.
struct Unfold {
  int64_t planes;
  PoolAxis h;
  PoolAxis w;

  int64_t taps() const { return h.kernel * w.kernel; }
  int64_t windows() const { return h.out * w.out; }

  Status init(const View& x, const View& columns, const double* p) {
    if (x.ndim != 4 || columns.ndim != 3 || !x.contiguous || !columns.contiguous) return kBadShape;
    for (int i = 0; i < 8; ++i) {
      if (!(p[i] >= (i / 2 == 2 ? 0 : 1) && p[i] <= INT32_MAX) || p[i] != ::floor(p[i])) return kBadParameter;
    }
    PoolAxis* const axes[2] = {&h, &w};
    for (int d = 0; d < 2; ++d) {
      PoolAxis& a = *axes[d];
      a.in = x.shape[2 + d];
      if (a.in > INT32_MAX) return kBadShape;
      a.kernel = static_cast<int64_t>(p[d]);
      a.stride = static_cast<int64_t>(p[2 + d]);
      a.pad = static_cast<int64_t>(p[4 + d]);
      a.dilation = static_cast<int64_t>(p[6 + d]);
      const int64_t room = a.in + 2 * a.pad - a.dilation * (a.kernel - 1) - 1;
      a.out = room < 0 ? 0 : room / a.stride + 1;
      if (a.out > INT32_MAX) return kBadShape;
    }
    planes = x.shape[0] * x.shape[1];
    if (columns.shape[0] != x.shape[0] || columns.shape[2] != windows()) return kBadShape;
    if (taps() > INT32_MAX || x.shape[1] > INT32_MAX || columns.shape[1] != x.shape[1] * taps()) return kBadShape;
    return kOk;
  }
};

// The windows of one dimension whose tap number k lies inside the input: [low, high).
struct Inside {
  int64_t low;
  int64_t high;
  int64_t first;  // input index of window `low`
};
Inside inside(const PoolAxis& a, int64_t k) {
  const int64_t start = k * a.dilation - a.pad;
  int64_t low = start < 0 ? (a.stride - 1 - start) / a.stride : 0;
  if (low > a.out) low = a.out;
  int64_t high = a.in > start ? (a.in - 1 - start) / a.stride + 1 : 0;
  if (high > a.out) high = a.out;
  if (high < low) high = low;
  return {low, high, low * a.stride + start};
}

template <class T>
void unfold_planes(const Pool& pool, const Unfold& u, const T* x, T* columns) {
  const int64_t n = u.windows(), plane = u.h.in * u.w.in;
  const auto rows = [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t tap = r % u.taps();
      const Inside h = inside(u.h, tap / u.w.kernel), w = inside(u.w, tap % u.w.kernel);
      const T* from = x + r / u.taps() * plane;
      T* to = columns + r * n;
      memset(to, 0, static_cast<size_t>(h.low * u.w.out) * sizeof(T));
      memset(to + h.high * u.w.out, 0, static_cast<size_t>((u.h.out - h.high) * u.w.out) * sizeof(T));
      for (int64_t i = h.low; i < h.high; ++i) {
        T* line = to + i * u.w.out;
        const T* source = from + (h.first + (i - h.low) * u.h.stride) * u.w.in + w.first;
        for (int64_t j = 0; j < w.low; ++j) line[j] = 0;
        if (u.w.stride == 1) {
          memcpy(line + w.low, source, static_cast<size_t>(w.high - w.low) * sizeof(T));
        } else {
          for (int64_t j = w.low; j < w.high; ++j) line[j] = source[(j - w.low) * u.w.stride];
        }
        for (int64_t j = w.high; j < u.w.out; ++j) line[j] = 0;
      }
    }
  };
  const int64_t count = u.planes * u.taps();
  if (count * n <= kChunk) {
    rows(0, count, 0);
  } else {
    parallel_for(pool, count, n >= kChunk ? 1 : kChunk / n, rows);
  }
}

template <class T>
void fold_planes(const Pool& pool, const Unfold& u, const T* columns, T* x) {
  const int64_t n = u.windows(), plane = u.h.in * u.w.in, taps = u.taps();
  const auto planes = [&](int64_t begin, int64_t end, int) {
    for (int64_t p = begin; p < end; ++p) {
      T* to = x + p * plane;
      memset(to, 0, static_cast<size_t>(plane) * sizeof(T));
      for (int64_t tap = 0; tap < taps; ++tap) {
        const Inside h = inside(u.h, tap / u.w.kernel), w = inside(u.w, tap % u.w.kernel);
        const T* from = columns + (p * taps + tap) * n;
        for (int64_t i = h.low; i < h.high; ++i) {
          const T* line = from + i * u.w.out + w.low;
          T* target = to + (h.first + (i - h.low) * u.h.stride) * u.w.in + w.first;
          if (u.w.stride == 1) {
            add_scaled(target, line, T(1), w.high - w.low);
          } else {
            for (int64_t j = 0; j < w.high - w.low; ++j) target[j * u.w.stride] += line[j];
          }
        }
      }
    }
  };
  const int64_t work = plane + taps * n;
  if (u.planes * work <= kChunk) {
    planes(0, u.planes, 0);
  } else {
    parallel_for(pool, u.planes, work >= kChunk ? 1 : kChunk / work, planes);
  }
}

template <bool Fold>
Status run_unfold(const Call& c) {
  if (c.nin != 1 || c.nout != 1 || c.nparams != 8) return kBadParameter;
  const View& x = Fold ? c.out[0] : c.in[0];
  const View& columns = Fold ? c.in[0] : c.out[0];
  if (!is_float(x.dtype) || columns.dtype != x.dtype) return kBadDType;
  Unfold u;
  if (const Status status = u.init(x, columns, c.params)) return status;
  if (c.out[0].numel == 0) return kOk;
  const auto go = [&](auto zero) {
    using T = decltype(zero);
    const T* from = static_cast<const T*>(c.in[0].data);
    T* to = static_cast<T*>(c.out[0].data);
    if (Fold) {
      fold_planes(*c.pool, u, from, to);
    } else {
      unfold_planes(*c.pool, u, from, to);
    }
  };
  if (x.dtype == kFloat32) {
    go(0.0f);
  } else {
    go(0.0);
  }
  return kOk;
}

}  // namespace

Status pad_from_input(const Call& c) { return run_pad<false>(c); }
Status pad_from_input_backward(const Call& c) { return run_pad<true>(c); }
Status unfold(const Call& c) { return run_unfold<false>(c); }
Status fold(const Call& c) { return run_unfold<true>(c); }

}  // namespace MYELIN_ISA
}  // namespace myelin
