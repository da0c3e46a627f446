// Where pooling windows lie: up to three dimensions, planes before them, everything contiguous.
#pragma once
#include <math.h>
#include <stdint.h>

#include "../simd/simd.h"
#include "blocks.h"
#include "call.h"
#include "stepped.h"
#include "vectors.h"

namespace myelin {
namespace MYELIN_ISA {

// The part of a window inside the input: `count` taps from `first` on, `step` apart.
struct Taps {
  int64_t first;
  int64_t count;
  int64_t step;
};

// One dimension of a pooling. kernel == 0 stands for adaptive windows: output o covers
// [floor(o in / out), ceil((o + 1) in / out)).
struct PoolAxis {
  int64_t in = 1;
  int64_t out = 1;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t pad = 0;
  int64_t dilation = 1;

  Taps taps(int64_t o) const {
    if (kernel == 0) {
      const int64_t first = o * in / out;
      return {first, ((o + 1) * in + out - 1) / out - first, 1};
    }
    const int64_t start = o * stride - pad;
    const int64_t skipped = start < 0 ? (dilation - 1 - start) / dilation : 0;
    const int64_t first = start + skipped * dilation;
    const int64_t inside = first < in ? (in - first + dilation - 1) / dilation : 0;
    const int64_t left = kernel - skipped;
    const int64_t count = left < inside ? left : inside;
    if (count <= 0) return {0, 0, dilation};
    return {first, count, dilation};
  }
  // Padding counted in, but what lies past it is not: an average's divisor.
  int64_t padded_count(int64_t o) const {
    const int64_t start = o * stride - pad;
    const int64_t end = start + kernel < in + pad ? start + kernel : in + pad;
    return end - start;
  }
  // Outputs whose window lies inside the input as a whole are [low, high).
  int64_t low() const {
    const int64_t o = (pad + stride - 1) / stride;
    return o < out ? o : out;
  }
  int64_t high() const {
    const int64_t room = in - 1 - (kernel - 1) * dilation + pad;
    const int64_t o = room < 0 ? 0 : room / stride + 1;
    const int64_t least = low();
    return o < least ? least : o < out ? o : out;
  }
};

struct PoolShape {
  int64_t planes = 1;
  PoolAxis axis[3];  // depth, height, width

  int64_t in_plane() const { return axis[0].in * axis[1].in * axis[2].in; }
  int64_t out_plane() const { return axis[0].out * axis[1].out * axis[2].out; }
  int64_t out_rows() const { return planes * axis[0].out * axis[1].out; }

  // x (planes…, spatial…) and out with the same planes; the last `dims` dimensions are spatial.
  Status init(const View& x, const View& out, double dims) {
    if (!(dims == 1 || dims == 2 || dims == 3)) return kBadParameter;
    const int n = static_cast<int>(dims);
    if (x.ndim < n || x.ndim != out.ndim || !x.contiguous || !out.contiguous) return kBadShape;
    const int lead = x.ndim - n;
    for (int d = 0; d < lead; ++d) {
      if (x.shape[d] != out.shape[d]) return kBadShape;
      planes *= x.shape[d];
    }
    for (int d = 0; d < n; ++d) {
      PoolAxis& a = axis[3 - n + d];
      a.in = x.shape[lead + d];
      a.out = out.shape[lead + d];
      if (a.in > INT32_MAX || a.out > INT32_MAX) return kBadShape;
    }
    if (x.numel / (planes > 0 ? planes : 1) > INT32_MAX) return kBadShape;
    return x.numel == 0 && out.numel > 0 ? kBadShape : kOk;
  }

  // Kernels, strides, paddings and (when `dilated`) dilations of the three dimensions.
  Status windows(const double* p, bool dilated) {
    for (int d = 0; d < 3; ++d) {
      PoolAxis& a = axis[d];
      const double values[4] = {p[d], p[3 + d], p[6 + d], dilated ? p[9 + d] : 1};
      for (int i = 0; i < 4; ++i) {
        if (!(values[i] >= (i == 2 ? 0 : 1) && values[i] <= INT32_MAX) || values[i] != ::floor(values[i])) {
          return kBadParameter;
        }
      }
      a.kernel = static_cast<int64_t>(values[0]);
      a.stride = static_cast<int64_t>(values[1]);
      a.pad = static_cast<int64_t>(values[2]);
      a.dilation = static_cast<int64_t>(values[3]);
    }
    return kOk;
  }
  void adaptive() {
    for (PoolAxis& a : axis) a.kernel = 0;
  }

  // Never more than there are inputs.
  int64_t taps_about() const {
    int64_t n = 1;
    for (const PoolAxis& a : axis) {
      const int64_t taps = a.kernel > 0 ? a.kernel : a.out > 0 ? a.in / a.out + 1 : 1;
      n *= taps < a.in ? taps : a.in;
    }
    return n < 1 ? 1 : n;
  }
};

// A row of outputs and where its windows are in depth and height. `taps` are those of all outputs of the two dimensions.
struct PoolRow {
  int64_t plane;
  int64_t depth;  // of the output
  int64_t height;
  Taps d;
  Taps h;

  PoolRow(const PoolShape& s, const Taps* taps, int64_t row) {
    height = row % s.axis[1].out;
    row /= s.axis[1].out;
    depth = row % s.axis[0].out;
    plane = row / s.axis[0].out;
    find(s, taps);
  }
  void next(const PoolShape& s, const Taps* taps) {
    if (++height == s.axis[1].out) {
      height = 0;
      if (++depth == s.axis[0].out) {
        depth = 0;
        ++plane;
      }
    }
    find(s, taps);
  }
  void find(const PoolShape& s, const Taps* taps) {
    d = taps[depth];
    h = taps[s.axis[0].out + height];
  }
  // fn(offset in the plane) for every input row under the windows, in order.
  template <class F>
  MYELIN_INLINE void inputs(const PoolShape& s, const F& fn) const {
    for (int64_t i = 0; i < d.count; ++i) {
      for (int64_t j = 0; j < h.count; ++j) {
        fn(((d.first + i * d.step) * s.axis[1].in + h.first + j * h.step) * s.axis[2].in);
      }
    }
  }
};

// The windows of all outputs, dimension after dimension, and room for `more` bytes behind them; null when there is no memory.
inline const Taps* list_taps(const Pool& pool, const PoolShape& s, size_t more = 0) {
  const int64_t n = s.axis[0].out + s.axis[1].out + s.axis[2].out;
  Taps* taps = static_cast<Taps*>(pool.scratch(pool.self, -1, static_cast<size_t>(n) * sizeof(Taps) + more));
  if (taps == nullptr) return nullptr;
  Taps* to = taps;
  for (const PoolAxis& a : s.axis) {
    for (int64_t o = 0; o < a.out; ++o) *to++ = a.taps(o);
  }
  return taps;
}

// body(row, number of the row) for all rows of outputs, in parallel.
template <class F>
inline void each_pool_row(const Pool& pool, const PoolShape& s, const Taps* taps, const F& body) {
  const int64_t rows = s.out_rows(), work = s.axis[2].out * s.taps_about();
  const auto run = [&](int64_t begin, int64_t end, int) {
    PoolRow row(s, taps, begin);
    for (int64_t r = begin; r < end; ++r) {
      body(row, r);
      if (r + 1 < end) row.next(s, taps);
    }
  };
  if (rows * work <= 2 * kChunk) {
    run(0, rows, 0);
  } else {
    parallel_for(pool, rows, work >= 2 * kChunk ? 1 : 2 * kChunk / work, run);
  }
}

// body(plane) for all planes, in parallel: gradients, where windows of neighbouring rows meet.
template <class F>
inline void each_plane(const Pool& pool, const PoolShape& s, const F& body) {
  const int64_t work = s.in_plane() + s.out_plane() * 2;
  const auto run = [&](int64_t begin, int64_t end, int) {
    for (int64_t p = begin; p < end; ++p) body(p);
  };
  if (s.planes * work <= kChunk) {
    run(0, s.planes, 0);
  } else {
    parallel_for(pool, s.planes, work >= kChunk ? 1 : kChunk / work, run);
  }
}

// tap(v, offset of tap) for `kernel` taps, `dilation` apart, of `lanes` windows that start at p, p + stride, …
template <class T, int Stride, class F>
MYELIN_INLINE void each_tap(const T* p, int64_t kernel, int64_t dilation, int64_t stride, int lanes, const F& tap) {
  constexpr int N = Vec<T>::N;
  int64_t k = 0;
  if constexpr (Stride == 2) {
    if (dilation == 1 && lanes == N) {
      for (; k + 2 <= kernel; k += 2) {
        const Vec<T> a = load(p + k), b = load(p + k + N);
        tap(shuffle<EvenLanes<N>>(a, b), k);
        tap(shuffle<OddLanes<N>>(a, b), k + 1);
      }
    }
  }
  for (; k < kernel; ++k) tap(load_stepped<T, Stride>(p + k * dilation, stride, lanes), k * dilation);
}

}  // namespace MYELIN_ISA
}  // namespace myelin
