// Interpolation over one to three dimensions: each output is a weighted sum of 1 (nearest), 2 (linear) or 4 (cubic) inputs
// along each dimension. Rows are summed first, as vectors, then their elements.
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

enum Interpolation { kNearest = 0, kNearestExact = 1, kLinear = 2, kCubic = 3 };
constexpr int kMostTaps = 4;

// Inputs and their weights for every output of one dimension, `taps` each.
template <class T>
struct ResampleAxis {
  int64_t in;
  int64_t out;
  int taps;
  int32_t* index;
  T* weight;

  // NaN becomes 0.
  int32_t clamp(double i) const {
    const double last = static_cast<double>(in - 1);
    return static_cast<int32_t>(i > last ? last : i > 0 ? i : 0);
  }

  // Weights of the cubic convolution (Keys, 1981) with a = -0.75 for the taps at distances 1 + t, t, 1 - t and 2 - t.
  static void cubic(double t, double* w) {
    constexpr double a = -0.75;
    const auto near = [](double x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };
    const auto far = [](double x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; };
    w[0] = far(1 + t);
    w[1] = near(t);
    w[2] = near(1 - t);
    w[3] = far(2 - t);
  }

  // `step` inputs an output.
  void fill(int mode, bool align, double step) {
    for (int64_t o = 0; o < out; ++o) {
      int32_t* at = index + o * taps;
      T* w = weight + o * taps;
      const double d = static_cast<double>(o);
      if (mode == kNearest || mode == kNearestExact) {
        at[0] = in == out ? static_cast<int32_t>(o) : clamp(::floor((mode == kNearest ? d : d + 0.5) * step));
        w[0] = 1;
        continue;
      }
      const double source = align ? step * d : step * (d + 0.5) - 0.5;
      if (mode == kLinear) {
        const double from = in == out ? d : source > 0 ? source : 0;
        at[0] = clamp(::floor(from));
        at[1] = at[0] + (at[0] < in - 1 ? 1 : 0);
        const double t = from - static_cast<double>(at[0]), inside = t > 1 ? 1 : t;
        w[0] = static_cast<T>(1 - inside);
        w[1] = static_cast<T>(inside);
      } else {
        const double first = ::floor(source);
        double weights[4];
        cubic(source - first, weights);
        for (int k = 0; k < 4; ++k) {
          at[k] = clamp(first + k - 1);
          w[k] = static_cast<T>(weights[k]);
        }
      }
    }
  }
};

template <class T>
struct Resample {
  PoolShape shape;
  ResampleAxis<T> axis[3];

  // Adds the input rows under output row r, weighted: fn(offset in the plane, weight).
  template <class F>
  void rows(int64_t r, const F& fn) const {
    const int64_t d = r / axis[1].out % axis[0].out, h = r % axis[1].out;
    for (int i = 0; i < axis[0].taps; ++i) {
      for (int j = 0; j < axis[1].taps; ++j) {
        const T w = axis[0].weight[d * axis[0].taps + i] * axis[1].weight[h * axis[1].taps + j];
        const int64_t row = static_cast<int64_t>(axis[0].index[d * axis[0].taps + i]) * axis[1].in +
                            axis[1].index[h * axis[1].taps + j];
        fn(row * axis[2].in, w);
      }
    }
  }

  template <int Taps>
  void along(const T* row, T* to) const {
    const int32_t* at = axis[2].index;
    const T* w = axis[2].weight;
    for (int64_t o = 0; o < axis[2].out; ++o, at += Taps, w += Taps) {
      T sum = 0;
      for (int k = 0; k < Taps; ++k) sum += w[k] * row[at[k]];
      to[o] = Taps == 1 ? row[at[0]] : sum;
    }
  }

  // One row of outputs from its plane; `buffer` holds a row of inputs.
  void forward(int64_t r, const T* x, T* out, T* buffer) const {
    const T* row = buffer;
    if (axis[0].taps * axis[1].taps == 1) {
      rows(r, [&](int64_t offset, T) { row = x + offset; });
    } else {
      memset(buffer, 0, static_cast<size_t>(axis[2].in) * sizeof(T));
      rows(r, [&](int64_t offset, T w) { add_scaled(buffer, x + offset, w, axis[2].in); });
    }
    if (axis[2].taps == 1) {
      along<1>(row, out);
    } else if (axis[2].taps == 2) {
      along<2>(row, out);
    } else {
      along<4>(row, out);
    }
  }
};

// The outputs that each input of a dimension goes to, and their weights: those of input i are [start[i], start[i + 1]).
template <class T>
struct Uses {
  int32_t* start;
  int32_t* output;
  T* weight;

  void fill(const ResampleAxis<T>& axis) {
    const int64_t n = axis.out * axis.taps;
    for (int64_t i = 0; i <= axis.in; ++i) start[i] = 0;
    for (int64_t e = 0; e < n; ++e) ++start[axis.index[e] + 1];
    for (int64_t i = 0; i < axis.in; ++i) start[i + 1] += start[i];
    for (int64_t e = 0; e < n; ++e) {
      const int32_t to = start[axis.index[e]]++;
      output[to] = static_cast<int32_t>(e / axis.taps);
      weight[to] = axis.weight[e];
    }
    for (int64_t i = axis.in; i > 0; --i) start[i] = start[i - 1];
    start[0] = 0;
  }
};

// The gradient, each row of dx written once: rows of dy that it went to are summed as vectors, then what their elements are to its own.
template <class T>
struct ResampleGradient {
  static constexpr int N = Vec<T>::N;
  static constexpr int kBand = 8, kMargin = kBand + 2 * N;

  const PoolShape& shape;
  const ResampleAxis<T>* axis;
  Uses<T> depth, height;
  T* band;       // weights [k][i] of output i · step + k - before, for k < wide
  int step = 0;  // 0: there is no such regular band
  int wide = 0;
  int before = 0;

  // A band, where every input goes to the same few outputs from a multiple of its own place on.
  void find_band() {
    const ResampleAxis<T>& w = axis[2];
    if (w.out != w.in && w.out != 2 * w.in) return;
    const int64_t ratio = w.out / w.in;
    int64_t least = INT32_MAX, most = INT32_MIN;
    for (int64_t e = 0; e < w.out * w.taps; ++e) {
      if (w.weight[e] == 0) continue;
      const int64_t at = e / w.taps - w.index[e] * ratio;
      least = at < least ? at : least;
      most = at > most ? at : most;
    }
    if (least > most || most - least >= kBand || least < -kBand) return;
    before = static_cast<int>(-least);
    wide = static_cast<int>(most - least + 1);
    for (int64_t i = 0; i < wide * w.in; ++i) band[i] = 0;
    for (int64_t e = 0; e < w.out * w.taps; ++e)
      if (w.weight[e] != 0) band[(e / w.taps - w.index[e] * ratio - least) * w.in + w.index[e]] += w.weight[e];
    // A weight of 0 must not meet an infinity.
    for (int64_t i = 0; i < w.in; ++i) {
      for (int k = 0; k < wide; ++k) {
        const int64_t o = i * ratio + k - before;
        if (o >= 0 && o < w.out && band[k * w.in + i] == 0) return;
      }
    }
    step = static_cast<int>(ratio);
  }

  int64_t room() const { return axis[2].out + 2 * kMargin + 2 * N; }

  // Row r of dx, with `sum` for a row of dy between zeros.
  void row(int64_t r, const T* dy, T* dx, T* sum) const {
    const int64_t inputs = axis[2].in, outputs = axis[2].out, high = axis[1].in, deep = axis[0].in;
    const T* plane = dy + r / (high * deep) * shape.out_plane();
    const int64_t d = r / high % deep, h = r % high;
    T* const to = dx + r * inputs;
    constexpr int kMost = 16;  // rows at a time
    const T* rows[kMost];
    T weights[kMost];
    int count = 0;
    bool fresh = true;
    const auto add = [&]() {
      for_vectors<T>(outputs, [&](int64_t o, int k) {
        Vec<T> total = fresh ? zero<T>() : load_part(sum + o, k);
        for (int j = 0; j < count; ++j) total = fma(set1<T>(weights[j]), load_part(rows[j] + o, k), total);
        store_part(sum + o, total, k);
      });
      fresh = false;
      count = 0;
    };
    for (int32_t i = depth.start[d]; i < depth.start[d + 1]; ++i) {
      for (int32_t j = height.start[h]; j < height.start[h + 1]; ++j) {
        rows[count] = plane + (depth.output[i] * axis[1].out + height.output[j]) * outputs;
        weights[count++] = depth.weight[i] * height.weight[j];
        if (count == kMost) add();
      }
    }
    if (count > 0 || fresh) add();
    if (step == 1) return along<1>(sum, to);
    if (step == 2) return along<2>(sum, to);
    memset(to, 0, static_cast<size_t>(inputs) * sizeof(T));
    const int taps = axis[2].taps;
    for (int64_t o = 0; o < outputs; ++o) {
      for (int k = 0; k < taps; ++k) to[axis[2].index[o * taps + k]] += axis[2].weight[o * taps + k] * sum[o];
    }
  }

  template <int Step>
  void along(const T* sum, T* to) const {
    for_vectors<T>(axis[2].in, [&](int64_t i, int k) {
      Vec<T> total = zero<T>();
      each_tap<T, Step>(sum + i * Step - before, wide, 1, Step, N, [&](Vec<T> v, int64_t tap) {
        total = fma(load_part(band + tap * axis[2].in + i, k), v, total);
      });
      store_part(to + i, total, k);
    });
  }
};

template <class T, bool Gradient>
Status resample(const Call& c, const PoolShape& shape, int mode, bool align, const double* scales) {
  Resample<T> op;
  op.shape = shape;
  const int taps = mode == kCubic ? 4 : mode == kLinear ? 2 : 1;
  int64_t entries = 0;
  for (const PoolAxis& a : shape.axis) entries += a.out * kMostTaps;
  // Of the gradient: the uses of inputs in depth and height, and a band for the width.
  const int64_t band = Gradient ? shape.axis[2].in * ResampleGradient<T>::kBand : 0;
  const int64_t numbers = entries * (Gradient ? 2 : 1), starts = Gradient ? shape.axis[0].in + shape.axis[1].in + 2 : 0;
  const size_t weights = static_cast<size_t>(numbers + band) * sizeof(T);
  char* tables = static_cast<char*>(
      c.pool->scratch(c.pool->self, -1, weights + static_cast<size_t>(numbers + starts) * sizeof(int32_t)));
  if (tables == nullptr) return kOutOfMemory;
  T* weight = reinterpret_cast<T*>(tables);
  int32_t* index = reinterpret_cast<int32_t*>(tables + weights);
  const int first = 3 - static_cast<int>(c.params[0]);
  for (int d = 0; d < 3; ++d) {
    const PoolAxis& a = shape.axis[d];
    const double in = static_cast<double>(a.in), out = static_cast<double>(a.out);
    double step = scales[d] > 0 ? 1 / scales[d] : in / out;
    if (align && mode >= kLinear) step = a.out > 1 ? (in - 1) / (out - 1) : 0;
    op.axis[d] = {a.in, a.out, d < first ? 1 : taps, index, weight};
    op.axis[d].fill(d < first ? kNearest : mode, align, step);
    index += a.out * kMostTaps;
    weight += a.out * kMostTaps;
  }
  const T* from = static_cast<const T*>(c.in[0].data);
  T* to = static_cast<T*>(c.out[0].data);
  const int64_t rows = shape.axis[0].out * shape.axis[1].out, width = shape.axis[2].out, wide = shape.in_plane();
  const int64_t in_rows = shape.axis[0].in * shape.axis[1].in;
  ResampleGradient<T> gradient{shape, op.axis, {}, {}, weight + entries};
  if constexpr (Gradient) {
    Uses<T>* const uses[] = {&gradient.depth, &gradient.height};
    int32_t* start = index + entries;
    for (int d = 0; d < 2; ++d) {
      *uses[d] = {start, index, weight};
      uses[d]->fill(op.axis[d]);
      start += shape.axis[d].in + 1;
      index += shape.axis[d].out * kMostTaps;
      weight += shape.axis[d].out * kMostTaps;
    }
    gradient.find_band();
  }
  bool failed = false;
  const auto run = [&](int64_t begin, int64_t end, int worker) {
    const int64_t room = Gradient ? gradient.room() : shape.axis[2].in;
    T* buffer = static_cast<T*>(c.pool->scratch(c.pool->self, worker, static_cast<size_t>(room) * sizeof(T)));
    if (buffer == nullptr) {
      __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
      return;
    }
    if constexpr (Gradient) {
      memset(buffer, 0, static_cast<size_t>(room) * sizeof(T));
      for (int64_t r = begin; r < end; ++r) gradient.row(r, from, to, buffer + ResampleGradient<T>::kMargin);
    } else {
      for (int64_t r = begin; r < end; ++r) op.forward(r, from + r / rows * wide, to + r * width, buffer);
    }
  };
  const int64_t each = taps * taps * (shape.axis[2].in + width), work = Gradient ? each * (rows / in_rows + 1) : each;
  const int64_t units = shape.planes * (Gradient ? in_rows : rows);
  if (units * work <= 2 * kChunk) {
    run(0, units, 0);
  } else {
    parallel_for(*c.pool, units, work >= 2 * kChunk ? 1 : 2 * kChunk / work, run);
  }
  return failed ? kOutOfMemory : kOk;
}

template <bool Gradient>
Status run_interpolate(const Call& c) {
  if (c.nin != 1 || c.nout != 1 || c.nparams != 6) return kBadParameter;
  const View& x = Gradient ? c.out[0] : c.in[0];
  const View& y = Gradient ? c.in[0] : c.out[0];
  PoolShape shape;
  if (const Status status = shape.init(x, y, c.params[0])) return status;
  if (!is_float(x.dtype) || y.dtype != x.dtype) return kBadDType;
  const double mode = c.params[1];
  if (!(mode >= kNearest && mode <= kCubic) || mode != ::floor(mode)) return kBadParameter;
  for (int d = 3; d < 6; ++d) {
    if (!(c.params[d] >= 0 && c.params[d] < INFINITY)) return kBadParameter;
  }
  if (x.numel == 0) return kOk;
  if (y.numel == 0) {
    if (Gradient) memset(x.data, 0, static_cast<size_t>(x.numel * item_size(x.dtype)));
    return kOk;
  }
  const int m = static_cast<int>(mode);
  const bool align = c.params[2] != 0;
  return x.dtype == kFloat32 ? resample<float, Gradient>(c, shape, m, align, c.params + 3)
                             : resample<double, Gradient>(c, shape, m, align, c.params + 3);
}

}  // namespace

Status interpolate(const Call& c) { return run_interpolate<false>(c); }
Status interpolate_backward(const Call& c) { return run_interpolate<true>(c); }

}  // namespace MYELIN_ISA
}  // namespace myelin
