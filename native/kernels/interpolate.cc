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

// Weights of a row whose element i is Σ weight[k][i] · source[i · step + k - before] over k < wide, everywhere alike: the common ratios
// of sizes. Sources need zeros around.
template <class T>
struct Band {
  static constexpr int kMost = 8, kMargin = kMost + 2 * Vec<T>::N;

  T* weight;
  int64_t length;
  int wide = 0;  // 0: weights are not like that
  int before = 0;

  // each(use) calls use(i, source, weight) for all weights.
  template <class F>
  void find(int64_t step, int64_t sources, const F& each) {
    int64_t least = INT32_MAX, most = INT32_MIN;
    each([&](int64_t i, int64_t source, T w) {
      if (w == 0) return;
      const int64_t at = source - i * step;
      least = at < least ? at : least;
      most = at > most ? at : most;
    });
    if (least > most || most - least >= kMost || least < -kMost || most > kMost) return;
    for (int64_t i = 0; i < (most - least + 1) * length; ++i) weight[i] = 0;
    each([&](int64_t i, int64_t source, T w) {
      if (w != 0) weight[(source - i * step - least) * length + i] += w;
    });
    // A weight of 0 must not meet an infinity.
    for (int64_t k = 0; k <= most - least; ++k) {
      for (int64_t i = 0; i < length; ++i) {
        const int64_t source = i * step + k + least;
        if (source >= 0 && source < sources && weight[k * length + i] == 0) return;
      }
    }
    before = static_cast<int>(-least);
    wide = static_cast<int>(most - least + 1);
  }

  // Elements i … of the row, `lanes` of which count.
  template <int Step>
  MYELIN_INLINE Vec<T> at(const T* source, int64_t i, int lanes) const {
    Vec<T> total = set1<T>(T(-0.0));
    each_tap<T, Step>(source + i * Step - before, wide, 1, Step, Vec<T>::N,
                      [&](Vec<T> v, int64_t k) { total = fma(load_part(weight + k * length + i, lanes), v, total); });
    return total;
  }
};

// Σ weight · row, as vectors, into `sum` between zeros. Sums start from -0, which leaves a single term as it is.
template <class T>
class RowSum {
 public:
  RowSum(T* sum, int64_t n) : sum_(sum), n_(n) {}

  void add(const T* row, T weight) {
    rows_[count_] = row;
    weights_[count_++] = weight;
    if (count_ == kMost) flush();
  }
  void finish() {
    if (count_ > 0 || fresh_) flush();
  }

 private:
  static constexpr int kMost = 16;  // rows at a time
  T* const sum_;
  const int64_t n_;
  int count_ = 0;
  bool fresh_ = true;
  const T* rows_[kMost];
  T weights_[kMost];

  void flush() {
    for_vectors<T>(n_, [&](int64_t i, int k) {
      Vec<T> total = !fresh_ ? load(sum_ + i) : set1<T>(count_ > 0 ? T(-0.0) : T(0));
      for (int j = 0; j < count_; ++j) total = fma(set1<T>(weights_[j]), load_part(rows_[j] + i, k), total);
      store(sum_ + i, total);
    });
    fresh_ = false;
    count_ = 0;
  }
};

template <class T>
struct Resample {
  PoolShape shape;
  ResampleAxis<T> axis[3];
  Band<T> even, odd;  // outputs of a row in turn, of a size twice as large; or all of them, of the same size

  void find_bands() {
    const ResampleAxis<T>& w = axis[2];
    if (w.taps == 1 || (w.out != w.in && w.out != 2 * w.in)) return;
    const int64_t ratio = w.out / w.in;
    for (int64_t phase = 0; phase < ratio; ++phase) {
      (phase == 0 ? even : odd).find(1, w.in, [&](const auto& use) {
        for (int64_t o = phase; o < w.out; o += ratio)
          for (int k = 0; k < w.taps; ++k) use(o / ratio, int64_t{w.index[o * w.taps + k]}, w.weight[o * w.taps + k]);
      });
    }
  }

  int64_t room() const { return axis[2].in + 2 * Band<T>::kMargin + 2 * Vec<T>::N; }

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

  // One row of outputs from its plane, past the caches if `Stream`; `row` has room for one of inputs between zeros.
  template <bool Stream>
  void forward(int64_t d, int64_t h, const T* plane, T* out, T* row) const {
    if (axis[2].taps == 1) {
      const int64_t from = static_cast<int64_t>(axis[0].index[d]) * axis[1].in + axis[1].index[h];
      return along<1>(plane + from * axis[2].in, out);
    }
    RowSum<T> sum(row, axis[2].in);
    for (int i = 0; i < axis[0].taps; ++i) {
      for (int j = 0; j < axis[1].taps; ++j) {
        const int64_t from = static_cast<int64_t>(axis[0].index[d * axis[0].taps + i]) * axis[1].in +
                             axis[1].index[h * axis[1].taps + j];
        sum.add(plane + from * axis[2].in, axis[0].weight[d * axis[0].taps + i] * axis[1].weight[h * axis[1].taps + j]);
      }
    }
    sum.finish();
    constexpr int N = Vec<T>::N;
    const int64_t n = axis[2].in;
    if (even.wide > 0 && axis[2].out == n) {
      for_vectors<T>(n, [&](int64_t i, int k) { put_part<Stream>(out + i, even.template at<1>(row, i, k), k); });
    } else if (even.wide > 0 && odd.wide > 0) {
      for_vectors<T>(n, [&](int64_t i, int k) {
        const Vec<T> a = even.template at<1>(row, i, k), b = odd.template at<1>(row, i, k);
        put_part<Stream>(out + 2 * i, shuffle<ZipLanes<N, 0>>(a, b), 2 * k < N ? 2 * k : N);
        if (2 * k > N) put_part<Stream>(out + 2 * i + N, shuffle<ZipLanes<N, 1>>(a, b), 2 * k - N);
      });
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
  const PoolShape& shape;
  const ResampleAxis<T>* axis;
  Uses<T> depth, height;
  Band<T> band;

  void find_band() {
    const ResampleAxis<T>& w = axis[2];
    if (w.out != w.in && w.out != 2 * w.in) return;
    band.find(w.out / w.in, w.out, [&](const auto& use) {
      for (int64_t e = 0; e < w.out * w.taps; ++e) use(int64_t{w.index[e]}, e / w.taps, w.weight[e]);
    });
  }

  int64_t room() const { return axis[2].out + 2 * Band<T>::kMargin + 2 * Vec<T>::N; }

  // Row (d, h) of a plane of dx, with `row` for one of dy between zeros.
  void backward(int64_t d, int64_t h, const T* plane, T* to, T* row) const {
    const int64_t inputs = axis[2].in, outputs = axis[2].out;
    RowSum<T> sum(row, outputs);
    for (int32_t i = depth.start[d]; i < depth.start[d + 1]; ++i) {
      for (int32_t j = height.start[h]; j < height.start[h + 1]; ++j) {
        sum.add(plane + (depth.output[i] * axis[1].out + height.output[j]) * outputs,
                depth.weight[i] * height.weight[j]);
      }
    }
    sum.finish();
    if (band.wide > 0) {
      for_vectors<T>(inputs, [&](int64_t i, int k) {
        store_part(to + i, outputs == inputs ? band.template at<1>(row, i, k) : band.template at<2>(row, i, k), k);
      });
      return;
    }
    memset(to, 0, static_cast<size_t>(inputs) * sizeof(T));
    const int taps = axis[2].taps;
    for (int64_t o = 0; o < outputs; ++o) {
      for (int k = 0; k < taps; ++k) to[axis[2].index[o * taps + k]] += axis[2].weight[o * taps + k] * row[o];
    }
  }
};

template <class T, bool Gradient>
Status resample(const Call& c, const PoolShape& shape, int mode, bool align, const double* scales) {
  Resample<T> op;
  op.shape = shape;
  const int taps = mode == kCubic ? 4 : mode == kLinear ? 2 : 1;
  int64_t entries = 0;
  for (const PoolAxis& a : shape.axis) entries += a.out * kMostTaps;
  // Bands for the width and, of the gradient, the uses of inputs in depth and height.
  const int64_t band = shape.axis[2].in * Band<T>::kMost * (Gradient ? 1 : 2);
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
  const int64_t width = shape.axis[2].out, in_width = shape.axis[2].in;
  const int64_t rows = shape.axis[0].out * shape.axis[1].out, in_rows = shape.axis[0].in * shape.axis[1].in;
  ResampleGradient<T> gradient{shape, op.axis, {}, {}, {weight + entries, in_width}};
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
  } else {
    op.even = {weight, in_width};
    op.odd = {weight + Band<T>::kMost * in_width, in_width};
    op.find_bands();
  }
  // Rows of the result: `line` elements each, `high` in each of `deep` slices of a plane.
  const int64_t line = Gradient ? in_width : width, high = Gradient ? shape.axis[1].in : shape.axis[1].out;
  const int64_t deep = Gradient ? shape.axis[0].in : shape.axis[0].out;
  const int64_t plane = Gradient ? shape.out_plane() : shape.in_plane();
  const bool streams = !Gradient && streams_rows(c.out[0], width);
  bool failed = false;
  const auto run = [&](int64_t begin, int64_t end, int worker) {
    const size_t room = static_cast<size_t>(Gradient ? gradient.room() : op.room()) * sizeof(T);
    T* buffer = static_cast<T*>(c.pool->scratch(c.pool->self, worker, room));
    if (buffer == nullptr) {
      __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
      return;
    }
    memset(buffer, 0, room);
    const T* source = from + begin / (high * deep) * plane;
    int64_t d = begin / high % deep, h = begin % high;
    for (int64_t r = begin; r < end; ++r) {
      T *const line_to = to + r * line, *const row = buffer + Band<T>::kMargin;
      if constexpr (Gradient)
        gradient.backward(d, h, source, line_to, row);
      else if (streams)
        op.template forward<true>(d, h, source, line_to, row);
      else
        op.template forward<false>(d, h, source, line_to, row);
      if (++h < high) continue;
      h = 0;
      if (++d < deep) continue;
      d = 0;
      source += plane;
    }
    if (streams) stream_fence();
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
