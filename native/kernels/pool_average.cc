// Average pooling, of windows and adaptive, and its gradient.
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "../simd/simd.h"
#include "blocks.h"
#include "call.h"
#include "moments.h"
#include "pool_window.h"
#include "vectors.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

template <class T>
struct AvgPool {
  PoolShape shape;
  bool padded;     // padding counts in the divisor
  double divisor;  // 0: by the size of the window
  const T* from;
  T* to;
  const Taps* across;  // windows along the rows
  int64_t low;         // outputs [low, high) of a row have windows inside the input and are taken as vectors
  int64_t high;

  double divide_by(const PoolRow& at, int64_t o, const Taps& w) const {
    if (divisor != 0) return divisor;
    if (!padded) return static_cast<double>(at.d.count * at.h.count * w.count);
    return static_cast<double>(shape.axis[0].padded_count(at.depth) * shape.axis[1].padded_count(at.height) *
                               shape.axis[2].padded_count(o));
  }

  void row(const PoolRow& at, int64_t r) const {
    const PoolAxis& w = shape.axis[2];
    for (int64_t o = 0; o < low; ++o) one(at, o, r * w.out + o);
    if (low < high) {
      const T by = static_cast<T>(divide_by(at, low, across[low]));
      if (w.stride == 1) {
        vectors<1>(at, r * w.out, by);
      } else if (w.stride == 2) {
        vectors<2>(at, r * w.out, by);
      } else {
        vectors<0>(at, r * w.out, by);
      }
    }
    for (int64_t o = high; o < w.out; ++o) one(at, o, r * w.out + o);
  }

  template <int Stride>
  MYELIN_INLINE void vectors(const PoolRow& at, int64_t row, T by) const {
    constexpr int N = Vec<T>::N;
    int64_t o = low;
    for (; o + N <= high; o += N) vector<Stride>(at, row + o, o, N, by);
    if (o < high) vector<Stride>(at, row + o, o, static_cast<int>(high - o), by);
  }

  template <int Stride>
  MYELIN_INLINE void vector(const PoolRow& at, int64_t put, int64_t o, int lanes, T by) const {
    const PoolAxis& w = shape.axis[2];
    const T* plane = from + at.plane * shape.in_plane();
    const int64_t start = o * w.stride - w.pad;
    Vec<T> sum = zero<T>();
    at.inputs(shape, [&](int64_t offset) {
      each_tap<T, Stride>(plane + offset + start, w.kernel, 1, w.stride, lanes,
                          [&](Vec<T> v, int64_t) { sum = sum + v; });
    });
    sum = sum / set1<T>(by);
    store_part(to + put, sum, lanes);
  }

  void one(const PoolRow& at, int64_t o, int64_t put) const {
    constexpr int N = Vec<T>::N;
    const Taps w = across[o];
    const T* plane = from + at.plane * shape.in_plane() + w.first;
    double sum = 0;
    at.inputs(shape, [&](int64_t offset) {
      int64_t k = 0;
      if (w.count >= N) {
        Vec<T> wide = zero<T>();
        for (; k + N <= w.count; k += N) wide = wide + load(plane + offset + k);
        sum += static_cast<double>(reduce_add(wide));
      }
      for (; k < w.count; ++k) sum += static_cast<double>(plane[offset + k]);
    });
    to[put] = static_cast<T>(sum / divide_by(at, o, w));
  }
};

template <bool Value>
struct Truth {
  static constexpr bool value = Value;
};

// The gradient, each row of dx written once: the rows of dy whose windows cover it are added up and divided, and what they sum to is
// spread along the row.
template <class T>
struct AvgPoolBackward {
  // Outputs [low, high) whose windows cover an input.
  struct Cover {
    int32_t low;
    int32_t high;
    bool operator==(const Cover& other) const { return low == other.low && high == other.high; }
  };
  static constexpr int N = Vec<T>::N;
  static constexpr int64_t kWide = 16;  // wider windows are spread one by one

  PoolShape shape;
  bool padded;     // padding counts in the divisor
  double divisor;  // 0: by the size of the window
  const T* dy;
  T* dx;
  const Taps* taps;  // of all outputs
  Cover* cover;      // of the inputs in depth, then in height
  T* divide_by;      // windows along the row

  // Elements of what a thread keeps: a row of shares between zeros, and a row of dx.
  int64_t reach() const {
    const PoolAxis& w = shape.axis[2];
    return (w.out > w.in + w.pad ? w.out : w.in + w.pad) + kWide + 4 * N;
  }
  int64_t room() const { return reach() + shape.axis[2].in + 4 * N; }

  void prepare() {
    const Taps* window = taps;
    Cover* to = cover;
    for (int d = 0; d < 2; ++d) {
      const PoolAxis& a = shape.axis[d];
      for (int64_t i = 0; i < a.in; ++i) to[i] = {0, 0};
      for (int64_t o = 0; o < a.out; ++o, ++window) {
        for (int64_t i = window->first; i < window->first + window->count; ++i) {
          if (to[i].high == 0) to[i].low = static_cast<int32_t>(o);
          to[i].high = static_cast<int32_t>(o + 1);
        }
      }
      to += a.in;
    }
    for (int64_t o = 0; o < shape.axis[2].out; ++o) {
      divide_by[o] = static_cast<T>(divisor != 0 ? 1 : count_of(2, o, window[o]));
    }
  }
  double count_of(int d, int64_t o, const Taps& window) const {
    return static_cast<double>(padded ? shape.axis[d].padded_count(o) : window.count);
  }
  // What the row (d, h) of dy is divided by beside divide_by.
  T divide_row(int64_t d, int64_t h) const {
    if (divisor != 0) return static_cast<T>(divisor);
    return static_cast<T>(count_of(0, d, taps[d]) * count_of(1, h, taps[shape.axis[0].out + h]));
  }

  // Rows [begin, end) of dx.
  void rows(int64_t begin, int64_t end, T* memory) const {
    const int64_t width = shape.axis[2].in, high = shape.axis[1].in, deep = shape.axis[0].in;
    memset(memory, 0, static_cast<size_t>(room()) * sizeof(T));
    T* const share = memory + kWide;
    const Cover* const height = cover + deep;
    int64_t plane = begin / (high * deep), i = begin / high % deep, j = begin % high;
    bool again = false;  // the row before is of the same windows
    for (int64_t r = begin; r < end; ++r) {
      T* const to = dx + r * width;
      const Cover d = cover[i], h = height[j];
      if (again && h == height[j - 1]) {
        for_vectors<T>(width, [&](int64_t at, int k) { store_part(to + at, load_part(to - width + at, k), k); });
      } else if (d.high == d.low || h.high == h.low) {
        memset(to, 0, static_cast<size_t>(width) * sizeof(T));
      } else {
        add_rows(dy + plane * shape.out_plane(), d, h, share);
        spread(share, to, memory + reach());
      }
      again = ++j < high;
      if (again) continue;
      j = 0;
      if (++i < deep) continue;
      i = 0;
      ++plane;
    }
  }

  // share = Σ dy / divisor over the rows of d × h.
  void add_rows(const T* plane, Cover d, Cover h, T* share) const {
    const int64_t outputs = shape.axis[2].out, down = shape.axis[1].out;
    const T by = divide_row(d.low, h.low);
    bool same = true;
    for (int64_t i = d.low; i < d.high; ++i) {
      for (int64_t j = h.low; j < h.high; ++j) same = same && divide_row(i, j) == by;
    }
    const auto sum_up = [&](auto divided) {
      for_vectors<T>(outputs, [&](int64_t o, int k) {
        Vec<T> sum = zero<T>();
        for (int64_t i = d.low; i < d.high; ++i) {
          const T* row = plane + (i * down + h.low) * outputs + o;
          for (int64_t j = h.low; j < h.high; ++j, row += outputs) {
            Vec<T> v = load_part(row, k);
            if constexpr (decltype(divided)::value) v = v / set1<T>(divide_row(i, j));
            sum = sum + v;
          }
        }
        Vec<T> columns = load_part(divide_by + o, k);
        if constexpr (!decltype(divided)::value) columns = columns * set1<T>(by);
        // Whole vectors, as there is room: what follows the shares stays 0.
        store(share + o, zero_past(sum / columns, k));
      });
    };
    if (same)
      sum_up(Truth<false>());
    else
      sum_up(Truth<true>());
  }

  // to[i] = Σ share over the windows along the row that cover i; shares around the row are 0. `line` is room for a row.
  void spread(const T* share, T* to, T* line) const {
    const PoolAxis& w = shape.axis[2];
    const bool near = w.kernel > 0 && w.kernel <= kWide;
    if (near && w.stride == 1) {
      for_vectors<T>(w.in, [&](int64_t i, int k) {
        const T* p = share + i + w.pad;
        Vec<T> sum = load(p);
        for (int64_t t = 1; t < w.kernel; ++t) sum = sum + load(p - t);
        store_part(to + i, sum, k);
      });
    } else if (near && w.stride == 2) {
      // Even and odd places of the padded row in turn.
      const int64_t odd = w.pad % 2, length = w.in + odd;
      T* const from = odd != 0 ? line : to;
      for (int64_t i = 0; i < length; i += 2 * N) {
        const T* p = share + w.pad / 2 + i / 2;
        Vec<T> a = load(p), b = w.kernel > 1 ? a : zero<T>();
        for (int64_t t = 2; t < w.kernel; t += 2) {
          const Vec<T> v = load(p - t / 2);
          a = a + v;
          if (t + 1 < w.kernel) b = b + v;
        }
        const int k = length - i < 2 * N ? static_cast<int>(length - i) : 2 * N;
        store_part(from + i, shuffle<ZipLanes<N, 0>>(a, b), k < N ? k : N);
        if (k > N) store_part(from + i + N, shuffle<ZipLanes<N, 1>>(a, b), k - N);
      }
      if (odd != 0) memcpy(to, line + 1, static_cast<size_t>(w.in) * sizeof(T));
    } else {
      const Taps* windows = taps + shape.axis[0].out + shape.axis[1].out;
      memset(to, 0, static_cast<size_t>(w.in) * sizeof(T));
      for (int64_t o = 0; o < w.out; ++o) {
        const T value = share[o];
        T* const window = to + windows[o].first;
        for (int64_t t = 0; t < windows[o].count; ++t) window[t] += value;
      }
    }
  }
};

template <class T>
Status avg_pool(const Call& c, const PoolShape& shape, bool padded, double divisor) {
  const Taps* taps = list_taps(*c.pool, shape);
  if (taps == nullptr) return kOutOfMemory;
  const PoolAxis& w = shape.axis[2];
  // Wide windows are summed along the row instead.
  const bool vectors = w.kernel > 0 && w.kernel * w.stride <= 64;
  const AvgPool<T> op{shape,
                      padded,
                      divisor,
                      static_cast<const T*>(c.in[0].data),
                      static_cast<T*>(c.out[0].data),
                      taps + shape.axis[0].out + shape.axis[1].out,
                      vectors ? w.low() : w.out,
                      vectors ? w.high() : w.out};
  each_pool_row(*c.pool, shape, taps, [&](const PoolRow& at, int64_t r) { op.row(at, r); });
  return kOk;
}

template <class T>
Status avg_pool_gradient(const Call& c, const PoolShape& shape, bool padded, double divisor) {
  const int64_t inputs = shape.axis[0].in + shape.axis[1].in, columns = shape.axis[2].out;
  const size_t more = static_cast<size_t>(inputs) * 8 + static_cast<size_t>(columns) * sizeof(T);
  const Taps* taps = list_taps(*c.pool, shape, more);
  if (taps == nullptr) return kOutOfMemory;
  const Taps* end = taps + shape.axis[0].out + shape.axis[1].out + columns;
  using Op = AvgPoolBackward<T>;
  auto* cover = reinterpret_cast<typename Op::Cover*>(const_cast<Taps*>(end));
  Op op{shape,
        padded,
        divisor,
        static_cast<const T*>(c.in[0].data),
        static_cast<T*>(c.out[0].data),
        taps,
        cover,
        reinterpret_cast<T*>(cover + inputs)};
  op.prepare();
  const int64_t rows = shape.planes * shape.axis[0].in * shape.axis[1].in, work = shape.axis[2].in + columns;
  bool failed = false;
  const auto run = [&](int64_t begin, int64_t stop, int worker) {
    T* memory = static_cast<T*>(c.pool->scratch(c.pool->self, worker, static_cast<size_t>(op.room()) * sizeof(T)));
    if (memory == nullptr) {
      __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
      return;
    }
    op.rows(begin, stop, memory);
  };
  if (rows * work <= 2 * kChunk) {
    run(0, rows, 0);
  } else {
    parallel_for(*c.pool, rows, work >= 2 * kChunk ? 1 : 2 * kChunk / work, run);
  }
  return failed ? kOutOfMemory : kOk;
}

Status run_avg(const Call& c, bool adaptive, bool gradient) {
  if (c.nin != 1 || c.nout != 1 || c.nparams != (adaptive ? 1 : 12)) return kBadParameter;
  const View& wide = gradient ? c.out[0] : c.in[0];
  const View& narrow = gradient ? c.in[0] : c.out[0];
  PoolShape shape;
  if (const Status status = shape.init(wide, narrow, c.params[0])) return status;
  if (!is_float(wide.dtype) || narrow.dtype != wide.dtype) return kBadDType;
  bool padded = false;
  double divisor = 0;
  if (adaptive) {
    shape.adaptive();
  } else {
    if (const Status status = shape.windows(c.params + 1, false)) return status;
    padded = c.params[10] != 0;
    divisor = c.params[11];
  }
  if (c.out[0].numel == 0) return kOk;
  const bool single = wide.dtype == kFloat32;
  if (!gradient)
    return single ? avg_pool<float>(c, shape, padded, divisor) : avg_pool<double>(c, shape, padded, divisor);
  // Adaptive windows that divide the input are plain ones.
  for (PoolAxis& a : shape.axis) {
    if (a.kernel == 0 && a.out > 0 && a.in % a.out == 0) a.kernel = a.stride = a.in / a.out;
  }
  return single ? avg_pool_gradient<float>(c, shape, padded, divisor)
                : avg_pool_gradient<double>(c, shape, padded, divisor);
}

}  // namespace

Status avg_pool(const Call& c) { return run_avg(c, false, false); }
Status avg_pool_backward(const Call& c) { return run_avg(c, false, true); }
Status adaptive_avg_pool(const Call& c) { return run_avg(c, true, false); }
Status adaptive_avg_pool_backward(const Call& c) { return run_avg(c, true, true); }

}  // namespace MYELIN_ISA
}  // namespace myelin
