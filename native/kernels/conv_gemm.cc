// Correlation as an implicit product of matrices: the rows are output channels, the columns output positions of all images in
// one sequence, and the inner dimension (channel, tap row, tap column). Panels of kColumns positions are gathered from the
// images into a block that stays in the second-level cache; the weights are packed once a call.
#include "conv.h"
#include "matmul_micro.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int64_t kPanels = 8;        // of positions, gathered at a time
constexpr int64_t kDepthBlock = 384;  // of the inner dimension, gathered at a time
constexpr int64_t kRowBlock = 24 * kRows;
constexpr int64_t kWantedTasks = 16;

// Lanes [lane, lane + length) of a panel: positions (qh, qw …) of one image row.
struct Run {
  int64_t image, qh, qw;
  int lane, length;
};

// The positions of one panel.
template <class T>
struct Panel {
  Run runs[kColumns<T>];
  int count, columns;
};

template <class T>
void find_runs(const Correlation<T>& job, int64_t from, Panel<T>* panel) {
  const int64_t per_image = job.h.out * job.w.out, all = job.images * per_image;
  panel->columns = static_cast<int>(smaller(kColumns<T>, all - from));
  panel->count = 0;
  int64_t image = from / per_image, qh = from % per_image / job.w.out, qw = from % job.w.out;
  for (int lane = 0; lane < panel->columns;) {
    const int length = static_cast<int>(smaller(job.w.out - qw, panel->columns - lane));
    panel->runs[panel->count++] = {image, qh, qw, lane, length};
    lane += length;
    qw = 0;
    if (++qh == job.h.out) qh = 0, image++;
  }
}

// out[j] = row[at + j·stride] for j < n, 0 where that is outside [0, size). With `whole`, a whole vector of out may be
// written. Nothing outside the row is read but, where `before` elements precede it, those.
template <class T>
MYELIN_INLINE void gather_lanes(const T* row, int64_t at, int64_t stride, int64_t size, int n, T* out, bool whole,
                                bool before) {
  constexpr int N = Vec<T>::N;
  Vec<T> v = zero<T>();
  if (stride == 1) {
    const int64_t to = smaller(n, size - at);
    if (to > 0 && at + to > 0) {
      if (at >= 0) {
        v = to == N ? load(row + at) : load_n(row + at, static_cast<int>(to));
      } else if (at > -N) {
        if (before) {
          v = zero_unless(~first_n<T>(static_cast<int>(-at)),
                          to == N ? load(row + at) : load_n(row + at, static_cast<int>(to)));
        } else {
          alignas(kVectorBytes) T lanes[N] = {};
          for (int64_t j = -at; j < to; j++) lanes[j] = row[at + j];
          v = load(lanes);
        }
      }
    }
  } else if (at >= 0 && at + (n - 1) * stride < size) {
    v = load_strided(row + at, stride, n);
  } else {
    alignas(kVectorBytes) T lanes[N] = {};
    for (int j = 0; j < n; j++) {
      const int64_t i = at + j * stride;
      if (i >= 0 && i < size) lanes[j] = row[i];
    }
    v = load(lanes);
  }
  if (whole || n == N) {
    store(out, v);
  } else {
    store_n(out, v, n);
  }
}

// out[(k - k0)·kColumns + lane] = x at the panel's positions for inner index k in [k0, k1).
template <class T>
void gather_panel(const Correlation<T>& job, int64_t group, const Panel<T>& panel, int64_t k0, int64_t k1, T* out) {
  constexpr int N = Vec<T>::N, W = kColumns<T>;
  const Axis &h = job.h, &w = job.w;
  if (k0 == k1) return;
  if (panel.columns < W) {
    for (int64_t i = 0; i < (k1 - k0) * W; i += N) store(out + i, zero<T>());
  }
  for (int r = 0; r < panel.count; r++) {
    const Run& run = panel.runs[r];
    const T* const image = job.x + run.image * job.xn + group * job.xg;
    const int64_t column = run.qw * w.stride + w.offset;
    int64_t tw = k0 % w.taps, th = k0 / w.taps % h.taps, c = k0 / w.taps / h.taps;
    T* to = out + run.lane;
    for (int64_t k = k0; k < k1; k++, to += W) {
      const int64_t ih = run.qh * h.stride + h.offset + th * h.step;
      const bool inside = ih >= 0 && ih < h.in;
      const T* const row = image + c * job.xc + ih * job.xh;
      const int64_t size = inside ? w.in : 0;
      const bool before = row - job.x >= N;
      for (int j = 0; j < run.length; j += N) {
        const int n = run.length - j < N ? run.length - j : N;
        gather_lanes(row, column + tw * w.step + j * w.stride, w.stride, size, n, to + j, run.lane + j + N <= W,
                     before);
      }
      if (++tw == w.taps) {
        tw = 0;
        if (++th == h.taps) th = 0, c++;
      }
    }
  }
}

// packed[(panel·K + k)·kRows + r] = weight of output channel panel·kRows + r at inner index k; 0 past the last.
template <class T>
void pack_weights(const Correlation<T>& job, int64_t group, int64_t panel, T* packed) {
  const int64_t m0 = panel * kRows;
  for (int64_t c = 0; c < job.c; c++) {
    for (int64_t th = 0; th < job.h.taps; th++) {
      for (int64_t tw = 0; tw < job.w.taps; tw++, packed += kRows) {
        const T* from = job.weight + group * job.wg + m0 * job.wm + c * job.wc +
                        (job.h.first + th * job.h.every) * job.wh + (job.w.first + tw * job.w.every) * job.ww;
        for (int r = 0; r < kRows; r++) packed[r] = m0 + r < job.m ? from[r * job.wm] : T(0);
      }
    }
  }
}

// Puts a tile in its place: y (+)= tile for the rows m0 … and the panel's positions, with bias and activation at the end.
template <int A, class T>
void put_tile(const Correlation<T>& job, int64_t group, const Panel<T>& panel, int64_t m0, int rows, const T* tile,
              bool add, bool last) {
  constexpr int N = Vec<T>::N;
  for (int p = 0; p < panel.count; p++) {
    const Run& run = panel.runs[p];
    for (int r = 0; r < rows; r++) {
      T* const y = job.y + run.image * job.yn + group * job.yg + (m0 + r) * job.ym + run.qh * job.yh + run.qw * job.yw;
      const Vec<T> bias = set1<T>(last && job.bias ? job.bias[group * job.m + m0 + r] : T(0));
      for (int j = 0; j < run.length; j += N) {
        const int n = run.length - j < N ? run.length - j : N;
        Vec<T> v = load(tile + r * kColumns<T> + run.lane + j);
        if (add) v = v + load_strided(y + j * job.yw, job.yw, n);
        if (last) v = activate<A>(v + bias);
        store_strided(y + j * job.yw, job.yw, v, n);
      }
    }
  }
}

template <class T>
void put_tile_with(const Correlation<T>& job, int64_t group, const Panel<T>& panel, int64_t m0, int rows, const T* tile,
                   bool add, bool last) {
  switch (last ? job.activation : kNoActivation) {
    case kRelu:
      return put_tile<kRelu>(job, group, panel, m0, rows, tile, add, last);
    case kTanh:
      return put_tile<kTanh>(job, group, panel, m0, rows, tile, add, last);
    case kSigmoid:
      return put_tile<kSigmoid>(job, group, panel, m0, rows, tile, add, last);
    case kGelu:
      return put_tile<kGelu>(job, group, panel, m0, rows, tile, add, last);
    case kGeluTanh:
      return put_tile<kGeluTanh>(job, group, panel, m0, rows, tile, add, last);
    default:
      return put_tile<kNoActivation>(job, group, panel, m0, rows, tile, add, last);
  }
}

// Panels [p0, p1) × rows [m0, m1) of one group. `block` holds kPanels · kDepthBlock · kColumns elements.
template <class T>
void run_task(const Correlation<T>& job, int64_t group, int64_t p0, int64_t p1, int64_t m0, int64_t m1, const T* packed,
              T* block) {
  constexpr int N = Vec<T>::N, W = kColumns<T>;
  const int64_t k = job.c * job.h.taps * job.w.taps;
  const bool dense = job.yw == 1 && job.yh == job.w.out;
  alignas(64) T tile[kRows * W + N] = {};
  Panel<T> panels[kPanels];
  for (int64_t p = p0; p < p1; p++) find_runs(job, p * W, &panels[p - p0]);
  for (int64_t k0 = 0; k0 == 0 || k0 < k; k0 += kDepthBlock) {
    const int64_t depth = smaller(kDepthBlock, k - k0);
    const bool add = k0 > 0, last = k0 + depth >= k;
    for (int64_t p = p0; p < p1; p++)
      gather_panel(job, group, panels[p - p0], k0, k0 + depth, block + (p - p0) * depth * W);
    for (int64_t i0 = m0; i0 < m1; i0 += kRowBlock) {
      const int64_t i1 = smaller(m1, i0 + kRowBlock);
      for (int64_t p = p0; p < p1; p++) {
        const Panel<T>& panel = panels[p - p0];
        const Run& first = panel.runs[0];
        const T* const b = block + (p - p0) * depth * W;
        // All lanes adjacent in y and nothing else to do: the kernel writes in place.
        const bool plain = dense && panel.columns == W && panel.runs[panel.count - 1].image == first.image &&
                           !(last && (job.bias || job.activation != kNoActivation));
        const int vectors = (panel.columns + N - 1) / N;
        T* const y = job.y + first.image * job.yn + group * job.yg + first.qh * job.yh + first.qw;
        for (int64_t i = i0; i < i1; i += kRows) {
          const int rows = static_cast<int>(smaller(kRows, i1 - i));
          const T* const a = packed + (i / kRows * k + k0) * kRows;
          const Micro<T> kernel = micro_table<T, true>.at[rows - 1][plain ? kVectors - 1 : vectors - 1];
          if (plain) {
            kernel(depth, a, 1, kRows, b, W, y + i * job.ym, job.ym, add ? kAdd : kStore);
          } else {
            kernel(depth, a, 1, kRows, b, W, tile, W, kStore);
            put_tile_with(job, group, panel, i, rows, tile, add, last);
          }
        }
      }
    }
  }
}

}  // namespace

template <class T>
Status correlate(const Correlation<T>& job, const Pool& pool) {
  constexpr int W = kColumns<T>;
  const int64_t k = job.c * job.h.taps * job.w.taps, positions = job.images * job.h.out * job.w.out;
  if (positions == 0 || job.m == 0 || job.groups == 0) return kOk;
  const int64_t row_panels = divide_up(job.m, kRows), panels = divide_up(positions, W);
  const double products = static_cast<double>(positions) * static_cast<double>(k) * static_cast<double>(job.m) *
                          static_cast<double>(job.groups);
  const size_t bytes = static_cast<size_t>(job.groups * row_panels * k * kRows) * sizeof(T);
  T* const packed = static_cast<T*>(pool.scratch(pool.self, -1, bytes + 64));
  if (!packed) return kOutOfMemory;
  const int64_t cells = job.groups * row_panels;
  parallel_for(pool, cells, products <= kSerialProducts ? cells : 32768 / (k * kRows + 1) + 1,
               [&](int64_t begin, int64_t end, int) {
                 for (int64_t i = begin; i < end; i++)
                   pack_weights(job, i / row_panels, i % row_panels, packed + i * k * kRows);
               });
  // Small problems are cut into fewer panels a task, then along the rows, so that there is work for several threads.
  const int64_t each = larger(1, smaller(kPanels, panels * job.groups / kWantedTasks));
  const int64_t blocks = divide_up(panels, each);
  const int64_t wanted = larger(1, kWantedTasks / (blocks * job.groups));
  const int64_t rows = larger(kRows, round_up(divide_up(job.m, wanted), kRows));
  const int64_t cuts = divide_up(job.m, rows);
  int32_t failed = 0;
  for_tasks(pool, job.groups * blocks * cuts, products, [&](int64_t begin, int64_t end, int worker) {
    T* const block = static_cast<T*>(
        pool.scratch(pool.self, worker, static_cast<size_t>(each * smaller(k, kDepthBlock) * W) * sizeof(T) + 64));
    if (!block) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    for (int64_t t = begin; t < end; t++) {
      const int64_t group = t / (blocks * cuts), p = t / cuts % blocks * each, m = t % cuts * rows;
      run_task(job, group, p, smaller(panels, p + each), m, smaller(job.m, m + rows),
               packed + group * row_panels * k * kRows, block);
    }
  });
  return failed ? kOutOfMemory : kOk;
}

template Status correlate<float>(const Correlation<float>&, const Pool&);
template Status correlate<double>(const Correlation<double>&, const Pool&);

}  // namespace MYELIN_ISA
}  // namespace myelin
