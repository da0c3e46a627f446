// Correlation by Winograd's algorithm in one dimension, F(4, 4): 7 products make four outputs of four taps, which would take 16.
// Points are ±0.4, ±0.8, ±2 and ∞. Tall windows of few channels at stride 2, as first layers have them: down the columns, on the rows of
// each remainder of their number by the stride; vectors lie along the rows, whose taps are taken directly, so that neither end turns
// anything. Long rows of a single line with three or four taps: along the row, neighbours in turns to vectors of a group each.
#include "conv_bands.h"
#include "conv_micro.h"
#include "stepped.h"
#include "vectors.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int kOut = 4, kIn = 7;                                            // rows of a group, and points
constexpr double kPoints[] = {0.4, 0.8, 2};                                 // and their negatives
constexpr int64_t kCopyBytes = 128 * 1024;                                  // of a task's input
constexpr int64_t kLeastDepth = 24, kMostDepth = 384, kMostChannels = 128;  // products summed in registers

// v[2i], v[2i + 1] and v[6] = the values of rows d at point i, at its negative, and at ∞.
template <class T>
MYELIN_INLINE void to_points(const Vec<T>* d, Vec<T>* v) {
  constexpr double a = kPoints[0] * kPoints[0], b = kPoints[1] * kPoints[1], c = kPoints[2] * kPoints[2];
  constexpr double sums[] = {b + c, a + c, a + b}, products[] = {b * c, a * c, a * b};
#pragma GCC unroll 3
  for (int i = 0; i < 3; i++) {
    const Vec<T> sum = set1<T>(T(sums[i])), product = set1<T>(T(products[i])), at = set1<T>(T(kPoints[i]));
    const Vec<T> even = fma(product, d[0], fnma(sum, d[2], d[4])), odd = fma(product, d[1], fnma(sum, d[3], d[5]));
    v[2 * i] = fma(at, even, odd), v[2 * i + 1] = fnma(at, even, odd);
  }
  v[6] = fnma(set1<T>(T(a * b * c)), d[0],
              fma(set1<T>(T(a * b + a * c + b * c)), d[2], fnma(set1<T>(T(a + b + c)), d[4], d[6])));
}

// Four rows y from their products.
template <class T>
MYELIN_INLINE void from_points(const Vec<T>* v, Vec<T>* y) {
  Vec<T> even[3], odd[3];
#pragma GCC unroll 3
  for (int i = 0; i < 3; i++) {
    even[i] = v[2 * i] + v[2 * i + 1], odd[i] = set1<T>(T(kPoints[i])) * (v[2 * i] - v[2 * i + 1]);
  }
  y[0] = even[0] + even[1] + even[2], y[1] = odd[0] + odd[1] + odd[2];
  y[2] = zero<T>(), y[3] = v[6];
#pragma GCC unroll 3
  for (int i = 0; i < 3; i++) {
    const Vec<T> square = set1<T>(T(kPoints[i] * kPoints[i]));
    y[2] = fma(square, even[i], y[2]), y[3] = fma(square, odd[i], y[3]);
  }
}

// The same of a window's rows w[0 … 3], for the products.
inline void weight_to_points(const double* w, double* u) {
  for (int i = 0; i < kIn - 1; i++) {
    const double at = i % 2 == 0 ? kPoints[i / 2] : -kPoints[i / 2];
    double by = 2 * at;
    for (int j = 0; j < 3; j++)
      if (j != i / 2) by *= at * at - kPoints[j] * kPoints[j];
    u[i] = (w[0] + at * (w[1] + at * (w[2] + at * w[3]))) / by;
  }
  u[kIn - 1] = w[3];
}

// Decided by the shape alone.
template <class T>
struct TallPlan {
  static constexpr int64_t N = Vec<T>::N;
  Axis h;                 // with as many taps as are computed
  Copied rows, columns;   // copied, of a group and of a band
  int64_t groups;         // of kOut rows
  int64_t band, bands;    // columns of a task, tasks of a row
  int64_t pitch, plane;   // of the copy
  int64_t depth, panels;  // products of a sum; panels of output channels

  explicit TallPlan(const Correlation<T>& job) : h(job.h) {
    h.taps = kOut * h.stride;
    rows = Copied(kOut, h, false);
    groups = divide_up(h.out, kOut);
    const int64_t most = kCopyBytes / static_cast<int64_t>(sizeof(T)) / (job.c * kIn * h.stride);
    band = smaller(job.w.out, round_up(larger(1, (most - job.w.taps * job.w.step) / job.w.stride), kVectors * N));
    bands = divide_up(job.w.out, band);
    columns = Copied(band, job.w, true);
    pitch = columns.size(), plane = rows.size() * pitch;
    depth = job.c * h.stride * job.w.taps, panels = divide_up(job.m, kRows);
  }

  int64_t panel_size() const { return kIn * depth * kRows; }
};

// packed[(point·depth + k)·kRows + r] for channel panel·kRows + r; k = (channel, remainder, tap column).
template <class T>
void pack_points(const Correlation<T>& job, const TallPlan<T>& plan, int64_t group, int64_t panel, T* packed) {
  const Axis &h = job.h, &w = job.w;
  const int64_t step = plan.depth * kRows;
  for (int64_t c = 0; c < job.c; c++) {
    for (int64_t phase = 0; phase < h.stride; phase++) {
      for (int64_t tw = 0; tw < w.taps; tw++, packed += kRows) {
        for (int64_t r = 0; r < kRows; r++) {
          const int64_t m = panel * kRows + r;
          const T* const from =
              job.weight + group * job.wg + m * job.wm + c * job.wc + (w.first + tw * w.every) * job.ww;
          double taps[kOut], u[kIn];
          for (int64_t j = 0; j < kOut; j++) {
            const int64_t t = j * h.stride + phase;
            taps[j] = m < job.m && t < h.taps ? static_cast<double>(from[(h.first + t * h.every) * job.wh]) : 0;
          }
          weight_to_points(taps, u);
          for (int64_t p = 0; p < kIn; p++) packed[p * step + r] = static_cast<T>(u[p]);
        }
      }
    }
  }
}

// All panels of all groups, TallPlan::panel_size() each, where they are not kept from an earlier call; null: out of memory.
template <class T>
const T* pack_all_points(const Correlation<T>& job, const TallPlan<T>& plan, const Pool& pool, double products) {
  const int64_t cells = job.groups * plan.panels, size = plan.panel_size();
  bool ready;
  T* const packed = packed_weights(job, kTallPanels, cells * size, &ready);
  if (!packed) return nullptr;
  for_tasks(pool, ready ? 0 : cells, products, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) pack_points(job, plan, i / plan.panels, i % plan.panels, packed + i * size);
  });
  return packed;
}

// The copied rows of a channel to points, in place: the row of a point and remainder is point·stride + remainder.
template <class T>
void transform_rows(T* plane, int64_t pitch, int64_t stride) {
  for (int64_t phase = 0; phase < stride; phase++) {
    T* const first = plane + phase * pitch;
    const int64_t step = stride * pitch;
    for_vectors<T>(pitch, [&](int64_t i, int k) {
      Vec<T> d[kIn], v[kIn];
#pragma GCC unroll 7
      for (int j = 0; j < kIn; j++) d[j] = load_part(first + j * step + i, k);
      to_points(d, v);
#pragma GCC unroll 7
      for (int j = 0; j < kIn; j++) store_part(first + j * step + i, v[j], k);
    });
  }
}

// Columns [0, columns) of `m` channels, read at points `next` apart: put(channel, column, four rows of sums), before which
// ahead(channel, column) may fetch where kColumns of them go.
template <class T, class F, class G>
void multiply_points(int64_t depth, int64_t m, const T* copy, int64_t next, const int64_t* at, const T* packed,
                     int64_t columns, const F& ahead, const G& put) {
  constexpr int N = Vec<T>::N, W = kColumns<T>;
  alignas(64) T tile[kIn][kRows * W];
  for (int64_t q = 0; q < columns; q += W) {
    const int vectors = static_cast<int>(smaller(kVectors, divide_up(columns - q, N)));
    for (int64_t m0 = 0; m0 < m; m0 += kRows) {
      const int rows = static_cast<int>(smaller(kRows, m - m0));
      auto* const kernel = tile_table<MicroRows<T>>.at[rows - 1][vectors - 1];
      for (int r = 0; r < rows; r++) ahead(m0 + r, q);
      for (int p = 0; p < kIn; p++) {
        const T* b[kVectors];
        T* out[kVectors];
        for (int v = 0; v < vectors; v++) b[v] = copy + p * next + (q + v * N), out[v] = tile[p] + v * N;
        kernel(depth, packed + (m0 * kIn + p * kRows) * depth, at, b, out, W, kStore);
      }
      for (int r = 0; r < rows; r++) {
        for (int v = 0; v < vectors; v++) {
          Vec<T> points[kIn], sums[kOut];
#pragma GCC unroll 7
          for (int p = 0; p < kIn; p++) points[p] = load(tile[p] + r * W + v * N);
          from_points(points, sums);
          put(m0 + r, q + v * N, sums);
        }
      }
    }
  }
}

// d[i] = elements i, i + 4, … of x, for N of them; and back.
template <class T>
MYELIN_INLINE void take_apart(const T* x, Vec<T>* d) {
  constexpr int N = Vec<T>::N;
  const Vec<T> a = load(x), b = load(x + N), c = load(x + 2 * N), e = load(x + 3 * N);
  const Vec<T> even = shuffle<EvenLanes<N>>(a, b), more_even = shuffle<EvenLanes<N>>(c, e);
  const Vec<T> odd = shuffle<OddLanes<N>>(a, b), more_odd = shuffle<OddLanes<N>>(c, e);
  d[0] = shuffle<EvenLanes<N>>(even, more_even), d[2] = shuffle<OddLanes<N>>(even, more_even);
  d[1] = shuffle<EvenLanes<N>>(odd, more_odd), d[3] = shuffle<OddLanes<N>>(odd, more_odd);
}
template <class T>
MYELIN_INLINE void put_together(Vec<T>* d) {
  const Vec<T> even = zip<0>(d[0], d[2]), more_even = zip<1>(d[0], d[2]);
  const Vec<T> odd = zip<0>(d[1], d[3]), more_odd = zip<1>(d[1], d[3]);
  d[0] = zip<0>(even, odd), d[1] = zip<1>(even, odd), d[2] = zip<0>(more_even, more_odd),
  d[3] = zip<1>(more_even, more_odd);
}

}  // namespace

template <class T>
bool tall_pays(const Correlation<T>& job) {
  const Axis &h = job.h, &w = job.w;
  const bool saves = (h.stride == 2 && h.taps >= 6 && h.taps <= 8) || (h.stride == 1 && h.taps == 4);
  if (!saves || h.step != 1 || w.stride > 2 || w.step > 8 || w.taps > 16 || job.yw != 1 || job.m < kRows) return false;
  const int64_t depth = job.c * h.stride * w.taps;
  return depth >= kLeastDepth && depth <= kMostDepth && w.out >= kColumns<T> && h.out * 5 >= round_up(h.out, kOut) * 4;
}

template <class T>
Status correlate_tall(const Correlation<T>& job, const Pool& pool) {
  const TallPlan<T> plan(job);
  const double products = static_cast<double>(job.images * job.groups * job.m * plan.groups * kIn) *
                          static_cast<double>(plan.depth * job.w.out);
  const T* const packed = pack_all_points(job, plan, pool, products);
  if (!packed) return kOutOfMemory;
  const size_t copy_bytes = static_cast<size_t>(round_up(job.c * plan.plane + Vec<T>::N, 16)) * sizeof(T);
  const size_t bytes = copy_bytes + static_cast<size_t>(plan.depth) * sizeof(int64_t);
  int32_t failed = 0;
  for_tasks(pool, job.images * job.groups * plan.groups * plan.bands, products,
            [&](int64_t begin, int64_t end, int worker) {
              char* const scratch = static_cast<char*>(pool.scratch(pool.self, worker, bytes));
              if (!scratch) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
              T* const copy = reinterpret_cast<T*>(scratch);
              int64_t* const at = reinterpret_cast<int64_t*>(scratch + copy_bytes);
              TallPlan<T> own = plan;
              for (int64_t t = begin; t < end; t++) {
                const int64_t row = t / plan.bands % plan.groups * kOut, rest = t / plan.bands / plan.groups;
                const int64_t group = rest % job.groups, image = rest / job.groups, column = t % plan.bands * plan.band;
                const Band band = {image, 1, row, kOut, column, smaller(plan.band, job.w.out - column)};
                own.columns.resize(band.columns);
                own.pitch = own.columns.size(), own.plane = own.rows.size() * own.pitch;
                int64_t* next = at;
                for (int64_t c = 0; c < job.c; c++) {
                  copy_plane(own.h, job.w, band, own.rows, own.columns,
                             job.x + image * job.xn + group * job.xg + c * job.xc, job.xh, copy + c * own.plane);
                  for (int64_t phase = 0; phase < job.h.stride; phase++) {
                    for (int64_t tw = 0; tw < job.w.taps; tw++)
                      *next++ = c * own.plane + phase * own.pitch + own.columns.tap(tw);
                  }
                }
                for (int64_t c = 0; c < job.c; c++) transform_rows(copy + c * own.plane, own.pitch, job.h.stride);
                T* const y = job.y + image * job.yn + group * job.yg + row * job.yh + column;
                const int64_t high = smaller(kOut, job.h.out - row);
                const T* const weights = packed + group * plan.panels * plan.panel_size();
                const auto ahead = [&](int64_t m, int64_t q) {
                  for (int64_t i = 0; i < high; i++) prefetch(y + m * job.ym + i * job.yh + q);
                };
                multiply_points(plan.depth, job.m, copy, job.h.stride * own.pitch, at, weights, band.columns, ahead,
                                [&](int64_t m, int64_t q, const Vec<T>* sums) {
                                  const Finish<T> finish(job, group * job.m + m);
                                  const int count = static_cast<int>(smaller(Vec<T>::N, band.columns - q));
#pragma GCC unroll 4
                                  for (int i = 0; i < kOut; i++) {
                                    if (i < high) store_part(y + m * job.ym + i * job.yh + q, finish(sums[i]), count);
                                  }
                                });
              }
            });
  return failed ? kOutOfMemory : kOk;
}

template <class T>
bool long_pays(const Correlation<T>& job) {
  const Axis &h = job.h, &w = job.w;
  if (h.in != 1 || h.out != 1 || h.taps != 1 || h.offset != 0 || job.yw != 1 || w.stride != 1 || w.step != 1)
    return false;
  if (w.taps < 3 || w.taps > kOut || job.c < kLeastDepth || job.c > kMostChannels || job.m < kRows) return false;
  return w.out >= kOut * kColumns<T>;
}

template <class T>
Status correlate_long(Correlation<T> job, const Pool& pool) {
  constexpr int64_t N = Vec<T>::N, W = kColumns<T>;
  // Its columns as rows of single elements, whose neighbours are a group apart.
  const Axis row = job.w;
  job.w = {1, 1, 1, 1, 0, 1, job.h.first, 1}, job.h = row;
  const int64_t row_step = job.wh;
  job.wh = job.ww, job.ww = row_step;
  const TallPlan<T> plan(job);
  const double products =
      static_cast<double>(job.images * job.groups * job.m * plan.groups * kIn) * static_cast<double>(plan.depth);
  const T* const packed = pack_all_points(job, plan, pool, products);
  if (!packed) return kOutOfMemory;
  const int64_t most = larger(W, kCopyBytes / static_cast<int64_t>(sizeof(T)) / (job.c * kIn) / W * W);
  const int64_t bands = divide_up(plan.groups, most), band = round_up(divide_up(plan.groups, bands), N);
  const int64_t line = kOut * (band + 2 * N), copy_size = job.c * kIn * band;
  const size_t elements = static_cast<size_t>(round_up(copy_size + W + line, 16));
  const size_t bytes = elements * sizeof(T) + static_cast<size_t>(plan.depth) * sizeof(int64_t);
  int32_t failed = 0;
  for_tasks(pool, job.images * job.groups * bands, products, [&](int64_t begin, int64_t end, int worker) {
    T* const copy = static_cast<T*>(pool.scratch(pool.self, worker, bytes));
    if (!copy) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    T* const stretch = copy + copy_size + W;
    int64_t* const at = reinterpret_cast<int64_t*>(copy + elements);
    for (int64_t c = 0; c < job.c; c++) at[c] = c * kIn * band;
    for (int64_t t = begin; t < end; t++) {
      const int64_t first = t % bands * band, rest = t / bands, group = rest % job.groups, image = rest / job.groups;
      const int64_t count = smaller(band, plan.groups - first), from = first * kOut + row.offset;
      if (count <= 0) continue;
      const int64_t span = kOut * (round_up(count, N) + 1), lead = smaller(span, larger(0, -from));
      const int64_t to = larger(lead, smaller(span, row.in - from));
      for (int64_t c = 0; c < job.c; c++) {
        copy_row<1>(job.x + image * job.xn + group * job.xg + c * job.xc + from, 1, lead, to, span, stretch);
        for (int64_t q = 0; q < count; q += N) {
          Vec<T> d[2 * kOut], v[kIn];
          take_apart(stretch + kOut * q, d), take_apart(stretch + kOut * (q + 1), d + kOut);
          to_points(d, v);
#pragma GCC unroll 7
          for (int p = 0; p < kIn; p++) store(copy + (c * kIn + p) * band + q, v[p]);
        }
      }
      T* const y = job.y + image * job.yn + group * job.yg + first * kOut;
      const int64_t room = row.out - first * kOut;
      const T* const weights = packed + group * plan.panels * plan.panel_size();
      const auto ahead = [&](int64_t m, int64_t q) {
        for (int64_t i = 0; i < kOut; i++) prefetch(y + m * job.ym + kOut * q + i * W);
      };
      multiply_points(
          plan.depth, job.m, copy, band, at, weights, count, ahead, [&](int64_t m, int64_t q, Vec<T>* sums) {
            const Finish<T> finish(job, group * job.m + m);
            put_together(sums);
#pragma GCC unroll 4
            for (int i = 0; i < kOut; i++) {
              const int64_t column = kOut * q + i * N;
              if (column < room)
                store_part(y + m * job.ym + column, finish(sums[i]), static_cast<int>(smaller(N, room - column)));
            }
          });
    }
  });
  return failed ? kOutOfMemory : kOk;
}

template bool long_pays<float>(const Correlation<float>&);
template Status correlate_long<float>(Correlation<float>, const Pool&);
template bool tall_pays<float>(const Correlation<float>&);
template Status correlate_tall<float>(const Correlation<float>&, const Pool&);

}  // namespace MYELIN_ISA
}  // namespace myelin
