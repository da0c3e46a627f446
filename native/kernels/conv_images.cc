// Correlation of batches of small images, with vectors across images: they are turned into a copy whose elements are vectors of one
// position of N images, and back on the way out. Every output position then takes just the taps that reach it, whatever the
// stride, and nothing is computed for a padding or for the rest of a short row.
#include "conv.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int64_t kCopyBytes = 128 * 1024;  // of input turned at a time
constexpr int64_t kTileBytes = 24 * 1024;   // of outputs before they are turned back, about
constexpr int64_t kMostPositions = 4096;    // of an image out
constexpr int64_t kWantedTasks = 6;

// A tap that reaches some output position of one dimension, and the input position that it reads there.
struct Tap {
  int64_t tap, from;
};
// Those of position q are list[begin[q]] … list[begin[q + 1] - 1].
struct Reach {
  int64_t* begin;
  Tap* list;

  static size_t bytes(const Axis& a) {
    return static_cast<size_t>(a.out + 1) * sizeof(int64_t) + static_cast<size_t>(a.out * a.taps) * sizeof(Tap);
  }
  // In `room`. `apart`: each position reads (q + offset + t·step) / stride, where that is whole.
  Reach(const Axis& a, bool apart, char* room)
      : begin(reinterpret_cast<int64_t*>(room)), list(reinterpret_cast<Tap*>(begin + a.out + 1)) {
    int64_t count = 0;
    for (int64_t q = 0; q < a.out; q++) {
      begin[q] = count;
      for (int64_t t = 0; t < a.taps; t++) {
        int64_t from = (apart ? q : q * a.stride) + a.offset + t * a.step;
        if (apart && from % a.stride != 0) continue;
        if (apart) from /= a.stride;
        if (from >= 0 && from < a.in) list[count++] = {t, from};
      }
    }
    begin[a.out] = count;
  }
};

// The taps of a position and the input that they read.
struct Walk {
  const Tap *rows, *columns;
  int64_t row_count, column_count;
  int64_t taps;   // of a row of the window
  int64_t width;  // of an image in
  int64_t channels, area;
};

// out[i·step + v·N …] = scale[i] · Σ w[tap, channel, i] · x[channel, position, v] + shift[i]: R channels × V vectors of images.
template <class T, int R, int V>
void micro_images(const Walk& s, const T* x, const T* w, const T* scale, const T* shift, T* out, int64_t step) {
  constexpr int N = Vec<T>::N;
  Vec<T> acc[R][V];
#pragma GCC unroll 8
  for (int i = 0; i < R; i++) {
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) acc[i][v] = zero<T>();
  }
  const int64_t plane = s.area * (V * N), window = s.channels * R;
  for (int64_t h = 0; h < s.row_count; h++) {
    const int64_t row = s.rows[h].from * s.width, taps = s.rows[h].tap * s.taps;
    for (int64_t c = 0; c < s.column_count; c++) {
      const T* from = x + (row + s.columns[c].from) * (V * N);
      const T* a = w + (taps + s.columns[c].tap) * window;
#pragma GCC unroll 4
      for (int64_t k = 0; k < s.channels; k++, from += plane, a += R) {
        Vec<T> bv[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) bv[v] = load(from + v * N);
#pragma GCC unroll 8
        for (int i = 0; i < R; i++) {
          const Vec<T> av = set1<T>(a[i]);
#pragma GCC unroll 4
          for (int v = 0; v < V; v++) acc[i][v] = fma(av, bv[v], acc[i][v]);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < R; i++) {
    const Vec<T> by = set1<T>(scale[i]), more = set1<T>(shift[i]);
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) store(out + i * step + v * N, fma(by, acc[i][v], more));
  }
}

template <class T>
struct MicroImages {
  using Run = void(const Walk&, const T*, const T*, const T*, const T*, T*, int64_t);
  template <int R, int V>
  static constexpr Run* run = micro_images<T, R, V>;
};

// Decided by the shape alone.
template <class T>
struct ImagesPlan {
  static constexpr int64_t N = Vec<T>::N;
  int64_t in, out;               // positions of an image
  int64_t taps;                  // of a window
  int64_t blocks, images;        // of the batch, and images of one
  int64_t panels, width;         // of output channels, channels of the widest one
  int64_t cuts;                  // tasks that share the panels of a block
  int64_t positions;             // of a panel's tile
  int64_t copy_size, tile_size;  // elements

  explicit ImagesPlan(const Correlation<T>& job) {
    in = job.h.in * job.w.in, out = job.h.out * job.w.out, taps = job.h.taps * job.w.taps;
    blocks = divide_up(job.images, kVectors * N);
    images = round_up(divide_up(job.images, blocks), N);
    blocks = divide_up(job.images, images);
    panels = divide_up(job.m, kRows), width = divide_up(job.m, panels);
    cuts = smaller(panels, divide_up(kWantedTasks, blocks * job.groups));
    positions = round_up(larger(1, kTileBytes / static_cast<int64_t>(sizeof(T)) / (width * images)), N);
    positions = divide_up(out, divide_up(out, positions));
    if (positions < out) positions = round_up(positions, N);
    copy_size = round_up(job.c * in * images, 16), tile_size = round_up((width * positions + N) * images, 16);
  }
  int64_t first(int64_t panel, int64_t m) const { return m * panel / panels; }
};

// Vectors of `images` images from `from` on, `step` apart: to[(k·V + v)·N + i] = from[(v·N + i)·step + k] for k < n.
template <class T>
void turn_images(const T* from, int64_t step, int64_t images, int64_t n, T* to) {
  constexpr int N = Vec<T>::N;
  const int64_t wide = round_up(images, N);
  for (int64_t at = 0; at < n; at += N) {
    // The last vector of each image overlaps the one before rather than being part of one.
    const int64_t k = at + N > n && n >= N ? n - N : at;
    const int some = static_cast<int>(smaller(N, n - k));
    for (int64_t v = 0; v < wide; v += N) {
      Vec<T> r[N];
#pragma GCC unroll 16
      for (int i = 0; i < N; i++) {
        const T* const p = from + (v + i) * step + k;
        r[i] = v + i >= images ? zero<T>() : some == N ? load(p) : load_n(p, some);
      }
      transpose(r);
#pragma GCC unroll 16
      for (int i = 0; i < N; i++) {
        if (i < some) store(to + (k + i) * wide + v, r[i]);
      }
    }
  }
}

// And back: to[(v·N + i)·step + k] = relu(from[(k·V + v)·N + i]). Up to N vectors past the last are read.
template <class T>
void turn_back(const T* from, bool relu, int64_t n, int64_t images, T* to, int64_t step) {
  constexpr int N = Vec<T>::N;
  const int64_t wide = round_up(images, N);
  for (int64_t at = 0; at < n; at += N) {
    const int64_t k = at + N > n && n >= N ? n - N : at;
    const int some = static_cast<int>(smaller(N, n - k));
    for (int64_t v = 0; v < wide; v += N) {
      Vec<T> r[N];
#pragma GCC unroll 16
      for (int i = 0; i < N; i++) r[i] = relu_if(relu, load(from + (k + i) * wide + v));
      transpose(r);
#pragma GCC unroll 16
      for (int i = 0; i < N; i++) {
        T* const p = to + (v + i) * step + k;
        if (v + i >= images) continue;
        if (some == N) {
          store(p, r[i]);
        } else {
          store_n(p, r[i], some);
        }
      }
    }
  }
}

// packed[((tap)·c + channel)·rows + i] = weight of output channel m + i.
template <class T>
void pack_windows(const Correlation<T>& job, int64_t group, int64_t m, int64_t rows, T* packed) {
  const T* const from = job.weight + group * job.wg + m * job.wm;
  for (int64_t th = 0; th < job.h.taps; th++) {
    for (int64_t tw = 0; tw < job.w.taps; tw++) {
      const T* const tap = from + (job.h.first + th * job.h.every) * job.wh + (job.w.first + tw * job.w.every) * job.ww;
      for (int64_t c = 0; c < job.c; c++)
        for (int64_t i = 0; i < rows; i++) *packed++ = tap[c * job.wc + i * job.wm];
    }
  }
}

// Panel `panel` of a block of `images` images whose turned input is `x`.
template <class T>
void run_panel(const Correlation<T>& job, const ImagesPlan<T>& plan, const Reach& rows, const Reach& columns,
               const T* x, const T* weights, int64_t group, int64_t image, int64_t images, int64_t panel, T* tile) {
  constexpr int N = Vec<T>::N;
  const int64_t m = plan.first(panel, job.m), wide = round_up(images, N), channel = group * job.m + m;
  const int64_t count = plan.first(panel + 1, job.m) - m;
  auto* const micro = tile_table<MicroImages<T>>.at[count - 1][wide / N - 1];
  T scale[kRows], shift[kRows];
  for (int64_t i = 0; i < count; i++) {
    scale[i] = scale_of(job, channel + i);
    shift[i] = bias_of(job, channel + i);
  }
  Walk walk = {nullptr, nullptr, 0, 0, job.w.taps, job.w.in, job.c, plan.in};
  T* const y = job.y + image * job.yn + group * job.yg + m * job.ym;
  for (int64_t p0 = 0; p0 < plan.out; p0 += plan.positions) {
    const int64_t n = smaller(plan.positions, plan.out - p0);
    int64_t h = p0 / job.w.out, w = p0 % job.w.out;
    for (int64_t p = 0; p < n; p++) {
      walk.rows = rows.list + rows.begin[h], walk.row_count = rows.begin[h + 1] - rows.begin[h];
      walk.columns = columns.list + columns.begin[w], walk.column_count = columns.begin[w + 1] - columns.begin[w];
      micro(walk, x, weights + m * plan.taps * job.c, scale, shift, tile + p * wide, n * wide);
      if (++w == job.w.out) w = 0, h++;
    }
    // All positions of neighbouring channels lie one after the other.
    if (n == plan.out) {
      turn_back(tile, job.relu, count * n, images, y, job.yn);
      continue;
    }
    for (int64_t i = 0; i < count; i++)
      turn_back(tile + i * n * wide, job.relu, n, images, y + i * job.ym + p0, job.yn);
  }
}

}  // namespace

template <class T>
bool images_pay(const Correlation<T>& job) {
  constexpr int64_t N = Vec<T>::N;
  const Axis &h = job.h, &w = job.w;
  if (job.images < N || job.m == 0 || job.c == 0) return false;
  if (h.in * w.in > kCopyBytes || h.out * w.out > kMostPositions || h.taps * w.taps > 512) return false;
  const ImagesPlan<T> plan(job);
  if (plan.copy_size * static_cast<int64_t>(sizeof(T)) > kCopyBytes) return false;
  return job.images * 5 >= round_up(job.images, N) * 4;
}

template <class T>
Status correlate_images(const Correlation<T>& job, bool apart, const Pool& pool) {
  const ImagesPlan<T> plan(job);
  const size_t rows_bytes = Reach::bytes(job.h), columns_bytes = Reach::bytes(job.w);
  const int64_t window = job.m * job.c * plan.taps;  // weights of a group
  bool ready;
  T* packed = kept_weights(job, kImagePanels, job.groups * window, &ready);
  const size_t own = packed ? 0 : static_cast<size_t>(job.groups * window) * sizeof(T);
  char* const shared = static_cast<char*>(pool.scratch(pool.self, -1, rows_bytes + columns_bytes + own));
  if (!shared) return kOutOfMemory;
  const Reach rows(job.h, apart, shared), columns(job.w, apart, shared + rows_bytes);
  if (!packed) packed = reinterpret_cast<T*>(shared + rows_bytes + columns_bytes);
  const int64_t grain = 32768 / (plan.width * plan.taps * job.c) + 1;
  parallel_for(pool, ready ? 0 : job.groups * plan.panels, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t group = i / plan.panels, m = plan.first(i % plan.panels, job.m);
      pack_windows(job, group, m, plan.first(i % plan.panels + 1, job.m) - m,
                   packed + group * window + m * plan.taps * job.c);
    }
  });
  const double each = static_cast<double>(rows.begin[job.h.out]) * static_cast<double>(columns.begin[job.w.out]);
  const double products = each * static_cast<double>(job.images * job.groups * job.m * job.c);
  const size_t bytes = static_cast<size_t>(plan.copy_size + plan.tile_size) * sizeof(T);
  int32_t failed = 0;
  for_tasks(pool, job.groups * plan.blocks * plan.cuts, products, [&](int64_t begin, int64_t end, int worker) {
    T* const copy = static_cast<T*>(pool.scratch(pool.self, worker, bytes));
    if (!copy) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    for (int64_t t = begin; t < end; t++) {
      const int64_t cut = t % plan.cuts, group = t / plan.cuts % job.groups, block = t / plan.cuts / job.groups;
      const int64_t image = block * plan.images, images = smaller(plan.images, job.images - image);
      turn_images(job.x + image * job.xn + group * job.xg, job.xn, images, job.c * plan.in, copy);
      for (int64_t p = plan.panels * cut / plan.cuts; p < plan.panels * (cut + 1) / plan.cuts; p++)
        run_panel(job, plan, rows, columns, copy, packed + group * window, group, image, images, p,
                  copy + plan.copy_size);
    }
  });
  return failed ? kOutOfMemory : kOk;
}

template bool images_pay<float>(const Correlation<float>&);
template bool images_pay<double>(const Correlation<double>&);
template Status correlate_images<float>(const Correlation<float>&, bool, const Pool&);
template Status correlate_images<double>(const Correlation<double>&, bool, const Pool&);

}  // namespace MYELIN_ISA
}  // namespace myelin
