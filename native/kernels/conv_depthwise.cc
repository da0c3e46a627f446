// Convolution in groups of next to no channels, as depthwise layers have them: windows slide along the rows of a padded copy of a
// group's planes that stays in the first-level cache. Vectors lie along the columns. The two phases of a gradient at stride 2 are
// computed side by side and written in turns.
#include "conv_bands.h"
#include "conv_depthwise.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int64_t kBandPositions = 2048;  // of a plane copied at a time
constexpr int64_t kWantedTasks = 16;      // of the gradient by weight
constexpr int kSlots = 8;                 // vectors in registers at a time
constexpr int64_t kMostChannels = 8;
constexpr int64_t kSummed = 256;  // vectors of the gradient by weight in one sum, about

// tile(v) = Σ_k w[k] · b[v][at[k] …] for v < V.
template <class T, int V>
void micro_windows(int64_t depth, const T* w, const int64_t* at, const T* const* b, T* tile) {
  Vec<T> acc[V];
  const T* base[V];
#pragma GCC unroll 8
  for (int v = 0; v < V; v++) acc[v] = zero<T>(), base[v] = b[v];
  for (int64_t k = 0; k < depth; k++) {
    const Vec<T> wk = set1<T>(w[k]);
    const int64_t from = at[k];
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) acc[v] = fma(wk, load(base[v] + from), acc[v]);
  }
#pragma GCC unroll 8
  for (int v = 0; v < V; v++) store(tile + v * Vec<T>::N, acc[v]);
}

// sums(i) += Σ over a row of x[at[i] …] · dy for i < R taps, lane by lane.
template <class T, int R>
void micro_taps(const T* x, const int64_t* at, const T* dy, int64_t n, T* sums) {
  constexpr int N = Vec<T>::N;
  Vec<T> acc[R];
  const T* row[R];
#pragma GCC unroll 8
  for (int i = 0; i < R; i++) row[i] = x + at[i], acc[i] = load(sums + i * N);
  int64_t q = 0;
  for (; q + N <= n; q += N) {
    const Vec<T> d = load(dy + q);
#pragma GCC unroll 8
    for (int i = 0; i < R; i++) acc[i] = fma(d, load(row[i] + q), acc[i]);
  }
  // What lies past the row may be anything, infinite too.
  if (q < n) {
    const int lanes = static_cast<int>(n - q);
    const Vec<T> d = load_n(dy + q, lanes);
#pragma GCC unroll 8
    for (int i = 0; i < R; i++) acc[i] = fma(d, load_n(row[i] + q, lanes), acc[i]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < R; i++) store(sums + i * N, acc[i]);
}

template <class T>
using MicroWindows = void (*)(int64_t, const T*, const int64_t*, const T* const*, T*);
template <class T>
using MicroTaps = void (*)(const T*, const int64_t*, const T*, int64_t, T*);
template <class T>
struct DepthwiseTable {
  MicroWindows<T> windows[kSlots];
  MicroTaps<T> taps[kSlots];
  template <int... V>
  constexpr void fill(Lanes<V...>) {
    ((windows[V] = micro_windows<T, V + 1>, taps[V] = micro_taps<T, V + 1>), ...);
  }
  constexpr DepthwiseTable() : windows{}, taps{} { fill(typename MakeLanes<kSlots>::type{}); }
};
template <class T>
constexpr DepthwiseTable<T> depthwise_table{};

// Decided by the shape alone.
struct DepthwisePlan {
  Dimension h, w;
  Bands bands;
  int64_t pitch, plane, copy_size;

  DepthwisePlan(const Dimension& high, const Dimension& wide, int64_t c, int64_t lanes) : h(high), w(wide) {
    const int64_t positions = kBandPositions / c;
    bands = make_bands(1, h.axis[0].out, w.axis[0].out, positions, positions);
    set(bands.rows, bands.columns, true);
    copy_size = round_up(c * plane + lanes, 16);
  }
  void set(int64_t rows, int64_t columns, bool first = false) {
    if (first) h.copied = Copied(rows, h.whole, false), w.copied = Copied(columns, w.whole, true);
    h.copied.resize(rows), w.copied.resize(columns);
    pitch = w.copied.size(), plane = h.copied.size() * pitch;
  }
};

// Where a vector of output columns is read, and written from the first phase's row on.
struct Window {
  int64_t from, to;
  int64_t count;
};

// A task's own view of a band: windows of each pair of phases with their offsets, and the weights of the current channel.
template <class T>
struct DepthwiseTask {
  const Correlation<T>& job;
  DepthwisePlan plan;
  T *copy, *weights;
  int64_t* at;
  Window* list;
  Band band;
  int64_t vectors = 0;  // of a row

  // Bytes behind the copy.
  static size_t bytes(const Correlation<T>& job, const DepthwisePlan& plan, int64_t taps) {
    const int64_t entries = plan.bands.rows * divide_up(plan.bands.columns, Vec<T>::N);
    return static_cast<size_t>(round_up(plan.copy_size + job.c * taps, 16)) * sizeof(T) +
           static_cast<size_t>(job.c * taps) * sizeof(int64_t) + static_cast<size_t>(entries) * sizeof(Window);
  }
  DepthwiseTask(const Correlation<T>& of, const DepthwisePlan& p, int64_t taps, void* scratch)
      : job(of), plan(p), copy(static_cast<T*>(scratch)), weights(copy + plan.copy_size), band{} {
    at = reinterpret_cast<int64_t*>(copy + round_up(plan.copy_size + job.c * taps, 16));
    list = reinterpret_cast<Window*>(at + job.c * taps);
  }

  // visit(phase of rows, phase of columns, first tap) for each pair.
  template <class F>
  void for_phases(const F& visit) const {
    int64_t k = 0;
    for (int64_t ph = 0; ph < plan.h.phases; ph++) {
      for (int64_t pw = 0; pw < plan.w.phases; pw++) {
        visit(ph, pw, k);
        k += job.c * plan.h.axis[ph].taps * plan.w.axis[pw].taps;
      }
    }
  }

  void enter(const Band& next) {
    const bool same = vectors > 0 && next.row == band.row && next.column == band.column;
    band = next;
    if (same) return;
    constexpr int64_t N = Vec<T>::N;
    plan.set(band.rows, band.columns);
    vectors = divide_up(band.columns, N);
    for_phases([&](int64_t ph, int64_t pw, int64_t k) {
      for (int64_t c = 0; c < job.c; c++) {
        for (int64_t th = 0; th < plan.h.axis[ph].taps; th++) {
          for (int64_t tw = 0; tw < plan.w.axis[pw].taps; tw++)
            at[k++] = c * plan.plane + plan.h.tap(ph, th) * plan.pitch + plan.w.tap(pw, tw);
        }
      }
    });
    Window* next_window = list;
    for (int64_t r = 0; r < band.rows; r++) {
      for (int64_t q = 0; q < band.columns; q += N) {
        const int64_t row = (band.row + r) * plan.h.phases, column = (band.column + q) * plan.w.phases;
        *next_window++ = {r * plan.h.copied.position * plan.pitch + q * plan.w.copied.position, row * job.yh + column,
                          smaller(plan.w.phases * smaller(N, band.columns - q), plan.w.out - column)};
      }
    }
  }

  void read(int64_t group) {
    const T* const from = job.x + band.image * job.xn + group * job.xg;
    for (int64_t c = 0; c < job.c; c++)
      copy_plane(plan.h.whole, plan.w.whole, band, plan.h.copied, plan.w.copied, from + c * job.xc, job.xh,
                 copy + c * plan.plane);
  }

  void read_weights(int64_t group, int64_t m) {
    const T* const from = job.weight + group * job.wg + m * job.wm;
    for_phases([&](int64_t ph, int64_t pw, int64_t k) {
      const Axis &h = plan.h.axis[ph], &w = plan.w.axis[pw];
      for (int64_t c = 0; c < job.c; c++) {
        for (int64_t th = 0; th < h.taps; th++) {
          const T* const row = from + c * job.wc + (h.first + th * h.every) * job.wh + w.first * job.ww;
          for (int64_t tw = 0; tw < w.taps; tw++) weights[k++] = row[tw * w.every * job.ww];
        }
      }
    });
  }

  void put_windows(const Window* windows, int count, const Finish<T>& finish, const T* tile, T* y) const {
    constexpr int N = Vec<T>::N;
    for (int v = 0; v < count; v++) {
      const Vec<T> even = finish(load(tile + v * N));
      T* const to = y + windows[v].to;
      const int n = static_cast<int>(windows[v].count);
      if (plan.w.phases == 1) {
        store_part(to, even, n);
        continue;
      }
      const Vec<T> odd = finish(load(tile + (kSlots + v) * N));
      store_part(to, zip<0>(even, odd), n < N ? n : N);
      if (n > N) store_part(to + N, zip<1>(even, odd), n - N);
    }
  }
  void slide_windows(const Finish<T>& finish, T* y) const {
    alignas(64) T tile[2 * kSlots * Vec<T>::N];
    int64_t k = 0;
    for (int64_t ph = 0; ph < plan.h.phases; ph++) {
      const int64_t rows = smaller(band.rows, divide_up(plan.h.out - ph, plan.h.phases) - band.row);
      const int64_t h_taps = job.c * plan.h.axis[ph].taps, first = k;
      for (int64_t s = 0; s < rows * vectors; s += kSlots) {
        const int count = static_cast<int>(smaller(kSlots, rows * vectors - s));
        const T* b[kSlots];
        for (int v = 0; v < count; v++) b[v] = copy + list[s + v].from;
        k = first;
        for (int64_t pw = 0; pw < plan.w.phases; pw++) {
          const int64_t depth = h_taps * plan.w.axis[pw].taps;
          depthwise_table<T>.windows[count - 1](depth, weights + k, at + k, b, tile + pw * kSlots * Vec<T>::N);
          k += depth;
        }
        put_windows(list + s, count, finish, tile, y + ph * job.yh);
      }
    }
  }
};

}  // namespace

bool depthwise_pays(int64_t c, int64_t m) { return (m == 1 && c <= kMostChannels) || (c == 1 && m <= 3); }

template <class T>
Status correlate_depthwise(const Correlation<T>& job, const Axis* h, int64_t h_phases, const Axis* w, int64_t w_phases,
                           const Pool& pool) {
  if constexpr (sizeof(T) == 4) {
    if (job.c == 1 && slides(h, h_phases, w, w_phases)) return slide_planes(job, h, h_phases, w, pool);
  }
  const DepthwisePlan plan({h, h_phases}, {w, w_phases}, job.c, Vec<T>::N);
  int64_t taps = 0;
  for (int64_t p = 0; p < h_phases; p++)
    for (int64_t q = 0; q < w_phases; q++) taps += h[p].taps * w[q].taps;
  const size_t bytes = DepthwiseTask<T>::bytes(job, plan, taps);
  const int64_t by_plane = plan.bands.count, items = job.images * job.groups * by_plane;
  const double each = static_cast<double>(plan.bands.rows * plan.bands.columns * job.m * job.c * taps + 200);
  const double products = each * static_cast<double>(items);
  const int64_t grain = products <= kSerialProducts ? items : static_cast<int64_t>(kDepthwiseTask / each) + 1;
  int32_t failed = 0;
  parallel_for(pool, items, grain, [&](int64_t begin, int64_t end, int worker) {
    void* const scratch = pool.scratch(pool.self, worker, bytes);
    if (!scratch) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    DepthwiseTask<T> task(job, plan, taps, scratch);
    for (int64_t i = begin; i < end; i++) {
      const int64_t n = i / by_plane / job.groups, group = i / by_plane % job.groups;
      task.enter(band_at(plan.bands, job.images, h[0].out, w[0].out, n * by_plane + i % by_plane));
      task.read(group);
      for (int64_t m = 0; m < job.m; m++) {
        task.read_weights(group, m);
        task.slide_windows(Finish<T>(job, group * job.m + m), job.y + n * job.yn + group * job.yg + m * job.ym);
      }
    }
  });
  return failed ? kOutOfMemory : kOk;
}

// One task per group and split of its planes: partial sums of each tap, added in order at the end.
template <class T>
Status correlate_weights_depthwise(const ConvShape& s, const T* x, const T* dy, T* dweight, const Pool& pool) {
  constexpr int N = Vec<T>::N;
  const int64_t c = s.c / s.groups, m = s.m / s.groups, taps = s.kh * s.kw;
  const Axis h = {s.h, s.oh, s.stride_h, s.kh, -s.pad_h, s.dilation_h, 0, 1};
  const Axis w = {s.w, s.ow, s.stride_w, s.kw, -s.pad_w, s.dilation_w, 0, 1};
  const DepthwisePlan plan({&h, 1}, {&w, 1}, c, N);
  const bool slide = sizeof(T) == 4 && c == 1 && slides(&h, 1, &w, 1);
  const int64_t by_plane = slide ? 1 : plan.bands.count, planes = s.n * by_plane;
  const int64_t splits = smaller(planes, divide_up(kWantedTasks, s.groups));
  const int64_t size = m * c * taps;  // weights of a group
  T* const partials =
      static_cast<T*>(pool.scratch(pool.self, -1, static_cast<size_t>(splits * s.groups * size) * sizeof(T)));
  if (!partials) return kOutOfMemory;
  const int64_t vectors = round_up(size, 16) * N;
  const int64_t copy_size = slide ? round_up(w.in + N, 16) : plan.copy_size;
  const size_t elements = static_cast<size_t>(copy_size + 2 * vectors);
  const size_t bytes = elements * sizeof(T) + static_cast<size_t>(c * taps) * sizeof(int64_t);
  // Small planes whose sums are kept together: long sums would lose more.
  const int64_t together = larger(1, kSummed / (s.oh * divide_up(s.ow, N)));
  const double each = static_cast<double>(s.oh * s.ow) * static_cast<double>(s.n * size);
  const double products = each * static_cast<double>(s.groups);
  const int64_t tasks = s.groups * splits;
  const int64_t grain = products <= kSerialProducts
                            ? tasks
                            : static_cast<int64_t>(kDepthwiseTask * static_cast<double>(splits) / (each + 1)) + 1;
  int32_t failed = 0;
  parallel_for(pool, tasks, grain, [&](int64_t begin, int64_t end, int worker) {
    T* const copy = static_cast<T*>(pool.scratch(pool.self, worker, bytes));
    if (!copy) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    T *const total = copy + copy_size, *const sums = total + vectors;
    int64_t* const at = reinterpret_cast<int64_t*>(copy + elements);
    if (slide) memset(copy, 0, static_cast<size_t>(copy_size) * sizeof(T));
    DepthwisePlan own = plan;
    for (int64_t t = begin; t < end; t++) {
      const int64_t group = t % s.groups, split = t / s.groups;
      memset(total, 0, static_cast<size_t>(2 * vectors) * sizeof(T));
      int64_t summed = 0;
      for (int64_t i = planes * split / splits, last = planes * (split + 1) / splits; i < last; i++) {
        const Band band = band_at(plan.bands, s.n, s.oh, s.ow, i);
        if (slide) {
          if constexpr (sizeof(T) == 4)
            slide_weights(h, w, x + (i * s.c + group) * s.h * s.w, dy + (i * s.m + group * m) * s.oh * s.ow, m, copy,
                          sums);
          if (++summed < together && i + 1 < last) continue;
          for (int64_t k = 0; k < size; k++) store(total + k * N, load(total + k * N) + load(sums + k * N));
          memset(sums, 0, static_cast<size_t>(vectors) * sizeof(T));
          summed = 0;
          continue;
        }
        own.set(band.rows, band.columns);
        const Copied &ch = own.h.copied, &cw = own.w.copied;
        for (int64_t k = 0; k < c * taps; k++)
          at[k] = k / taps * own.plane + ch.tap(k % taps / s.kw) * own.pitch + cw.tap(k % s.kw);
        const T* const from = x + (band.image * s.c + group * c) * s.h * s.w;
        for (int64_t k = 0; k < c; k++) copy_plane(h, w, band, ch, cw, from + k * s.h * s.w, s.w, copy + k * own.plane);
        // A plane's sums start at zero: long sums would lose more.
        memset(sums, 0, static_cast<size_t>(vectors) * sizeof(T));
        for (int64_t k = 0; k < m; k++) {
          const T* const rows = dy + ((band.image * s.m + group * m + k) * s.oh + band.row) * s.ow + band.column;
          T* const into = sums + k * c * taps * N;
          for (int64_t r = 0; r < band.rows; r++) {
            const T *const a = copy + r * ch.position * own.pitch, *const d = rows + r * s.ow;
            for (int64_t tap = 0; tap < c * taps; tap += kSlots) {
              const int64_t some = smaller(kSlots, c * taps - tap);
              depthwise_table<T>.taps[some - 1](a, at + tap, d, band.columns, into + tap * N);
            }
          }
        }
        for (int64_t k = 0; k < size; k++) store(total + k * N, load(total + k * N) + load(sums + k * N));
      }
      for (int64_t k = 0; k < size; k++) partials[t * size + k] = reduce_add(load(total + k * N));
    }
  });
  if (failed) return kOutOfMemory;
  const int64_t all = s.groups * size;
  for (int64_t k = 0; k < all; k++) {
    T sum = partials[k];
    for (int64_t split = 1; split < splits; split++) sum += partials[split * all + k];
    dweight[k] = sum;
  }
  return kOk;
}

template Status correlate_depthwise<float>(const Correlation<float>&, const Axis*, int64_t, const Axis*, int64_t,
                                           const Pool&);
template Status correlate_depthwise<double>(const Correlation<double>&, const Axis*, int64_t, const Axis*, int64_t,
                                            const Pool&);
template Status correlate_weights_depthwise<float>(const ConvShape&, const float*, const float*, float*, const Pool&);
template Status correlate_weights_depthwise<double>(const ConvShape&, const double*, const double*, double*,
                                                    const Pool&);

}  // namespace MYELIN_ISA
}  // namespace myelin
