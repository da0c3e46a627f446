// Correlation straight from a copy of the input with its padding: nothing is gathered, each tap is an offset into the copy.
// Two kernels share the loops. By rows: kRows output channels × vectors of neighbouring output columns. By positions: kRows
// output positions × kColumns output channels, turned on the way out; for images too narrow for the former.
#include "conv_bands.h"
#include "matmul_micro.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int64_t kBandPositions =
    768;                              // of a task; fewer where the channels take several blocks, which then are deeper
constexpr int64_t kDepthBlock = 400;  // taps × channels summed in registers, about
constexpr int64_t kCopyBytes = 96 * 1024;       // of copied input
constexpr int64_t kLongCopyBytes = 256 * 1024;  // where it consists of one run of each channel, which is to be long
constexpr int64_t kWeightBytes = 224 * 1024;    // of packed weights in use at a time
constexpr int64_t kWantedTasks = 16;

// tile(i, v) (+)= Σ_k a[k·kRows + i] · input[b[v] + at[k] …]: R channels × V vectors, each stored at out[v] + i·rs.
template <class T, int R, int V>
void micro_rows(int64_t depth, const T* a, const int64_t* at, const T* const* b, T* const* out, int64_t rs,
                TileMode mode) {
  Vec<T> acc[R][V];
  const T* base[V];
#pragma GCC unroll 4
  for (int v = 0; v < V; v++) base[v] = b[v];
#pragma GCC unroll 8
  for (int i = 0; i < R; i++) {
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) acc[i][v] = zero<T>();
  }
#pragma GCC unroll 4
  for (int64_t k = 0; k < depth; k++, a += kRows) {
    const int64_t from = at[k];
    Vec<T> bv[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) bv[v] = load(base[v] + from);
#pragma GCC unroll 8
    for (int i = 0; i < R; i++) {
      const Vec<T> av = set1<T>(a[i]);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) acc[i][v] = fma(av, bv[v], acc[i][v]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < R; i++) {
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      T* const p = out[v] + i * rs;
      store(p, mode.add ? load(p) + acc[i][v] : acc[i][v]);
    }
  }
}

// tile(i, v) = Σ_k input[a[i] + at[k]] · b[k·kColumns + v·N …]: R positions × V vectors of channels.
template <class T, int R, int V>
void micro_spots(int64_t depth, const T* const* a, const int64_t* at, const T* b, T* tile) {
  constexpr int N = Vec<T>::N;
  Vec<T> acc[R][V];
  const T* row[R];
#pragma GCC unroll 8
  for (int i = 0; i < R; i++) {
    row[i] = a[i];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) acc[i][v] = zero<T>();
  }
#pragma GCC unroll 4
  for (int64_t k = 0; k < depth; k++, b += kColumns<T>) {
    const int64_t from = at[k];
    Vec<T> bv[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) bv[v] = load(b + v * N);
#pragma GCC unroll 8
    for (int i = 0; i < R; i++) {
      const Vec<T> av = set1<T>(row[i][from]);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) acc[i][v] = fma(av, bv[v], acc[i][v]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < R; i++) {
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) store(tile + i * kColumns<T> + v * N, acc[i][v]);
  }
}

template <class T>
using MicroRows = void (*)(int64_t, const T*, const int64_t*, const T* const*, T* const*, int64_t, TileMode);
template <class T>
using MicroSpots = void (*)(int64_t, const T* const*, const int64_t*, const T*, T*);

template <class T>
struct DirectTable {
  MicroRows<T> rows[kRows][kVectors];
  MicroSpots<T> spots[kRows][kVectors];
  template <int R = 0>
  constexpr void fill() {
    if constexpr (R < kRows) {
      fill_row<R>(typename MakeLanes<kVectors>::type{});
      fill<R + 1>();
    }
  }
  template <int R, int... V>
  constexpr void fill_row(Lanes<V...>) {
    ((rows[R][V] = micro_rows<T, R + 1, V + 1>), ...);
    ((spots[R][V] = micro_spots<T, R + 1, V + 1>), ...);
  }
  constexpr DirectTable() : rows{}, spots{} { fill(); }
};
template <class T>
constexpr DirectTable<T> direct_table{};

// Decided by the shape alone.
struct DirectPlan {
  bool spots;
  Bands bands;
  Copied ch, cw;  // of the largest band
  int64_t taps, k;
  int64_t panels, width;           // panels of output channels, channels of one
  int64_t channels, blocks;        // input channels of a block, blocks of them
  int64_t plane, copy_size, list;  // elements of one channel's copy and of a block's; vectors or positions of a band
  int64_t cut, cuts;               // panels of a task, tasks along them
};

// How much of the kernel's work is wanted.
template <class T>
bool prefers_spots(const Correlation<T>& job) {
  constexpr int64_t N = Vec<T>::N, W = kColumns<T>;
  const double k = static_cast<double>(job.c * job.h.taps * job.w.taps);
  const auto share = [](int64_t n, int64_t unit) {
    return static_cast<double>(n) / static_cast<double>(round_up(n, unit));
  };
  const double rows = share(job.w.out, N) * share(job.m, job.m < kRows ? kRows : 2) * (job.yw == 1 ? 1 : k / (k + 25));
  const double spots = share(job.m, W) * 0.98 * k / (k + 20);
  return spots > rows;
}

template <class T>
DirectPlan make_direct_plan(const Correlation<T>& job) {
  constexpr int64_t N = Vec<T>::N;
  DirectPlan p;
  p.spots = prefers_spots(job);
  p.taps = job.h.taps * job.w.taps, p.k = job.c * p.taps;
  int64_t positions = p.k <= kDepthBlock ? kBandPositions : p.spots ? kBandPositions / 4 : kBandPositions / 2;
  int64_t most_columns = 2 * kBandPositions;
  if (p.taps == 1) {
    // So few that the channels which are summed at a time have room.
    const int64_t depth = divide_up(job.c, divide_up(job.c, kDepthBlock));
    positions = smaller(positions, round_up(kLongCopyBytes / static_cast<int64_t>(sizeof(T)) / depth, kColumns<T>));
    if (job.h.out == 1) most_columns = round_up(divide_up(job.w.out, divide_up(job.w.out, positions)), kColumns<T>);
  }
  p.bands = make_bands(job.images, job.h.out, job.w.out, positions, most_columns);
  p.ch = Copied(p.bands.rows, job.h, false), p.cw = Copied(p.bands.columns, job.w, !p.spots);
  p.width = p.spots ? kColumns<T> : kRows;
  p.panels = divide_up(job.m, p.width);
  p.plane = p.bands.images * p.ch.size() * p.cw.size();
  const int64_t deep = larger(1, kDepthBlock / p.taps);
  const int64_t bytes = p.taps == 1 ? kLongCopyBytes + kLongCopyBytes / 4 : kCopyBytes;
  const int64_t fits = larger(1, bytes / static_cast<int64_t>(sizeof(T)) / p.plane);
  p.blocks = divide_up(job.c, smaller(deep, fits));
  p.channels = divide_up(job.c, p.blocks);
  p.blocks = divide_up(job.c, p.channels);
  p.copy_size = round_up(p.channels * p.plane + N, 16);
  p.list = p.bands.images * p.bands.rows * (p.spots ? p.bands.columns : divide_up(p.bands.columns, N));
  // The copy is made anew by each task that shares a band, so the channels are cut only where bands are few.
  const int64_t wanted = divide_up(kWantedTasks, p.bands.count * job.groups);
  p.cut = larger(divide_up(p.panels, wanted), divide_up(48, p.width));
  p.cuts = divide_up(p.panels, p.cut);
  return p;
}

// Where a vector of output columns, or an output position, is read and written.
struct Spot {
  int64_t from, to;
  int64_t count;
};

template <class T>
void list_spots(const Correlation<T>& job, const DirectPlan& plan, const Band& band, const Copied& ch, const Copied& cw,
                int64_t group, Spot* list) {
  const int64_t step = plan.spots ? 1 : Vec<T>::N;
  for (int64_t n = 0; n < band.images; n++) {
    for (int64_t r = 0; r < band.rows; r++) {
      for (int64_t q = 0; q < band.columns; q += step) {
        *list++ = {n * ch.size() * cw.size() + r * ch.position * cw.size() + q * cw.position,
                   (band.image + n) * job.yn + group * job.yg + (band.row + r) * job.yh + (band.column + q) * job.yw,
                   smaller(step, band.columns - q)};
      }
    }
  }
}

// The low (Half = 0) or high half of a in every second lane, First or the next, and b's own lanes in between.
template <int N, int Half, int First>
struct SpreadLanes {
  static constexpr int at(int i) { return i % 2 == First ? Half * N / 2 + i / 2 : N + i; }
};

// Every second element of y[0 … 2N - 2]: the ones between keep what they hold.
template <class T>
MYELIN_INLINE void store_alternate(T* y, Vec<T> v) {
  constexpr int N = Vec<T>::N;
  store(y, shuffle<SpreadLanes<N, 0, 0>>(v, load(y)));
  store(y + N - 1, shuffle<SpreadLanes<N, 1, 1>>(v, load(y + N - 1)));
}

// y = act(scale · (y-part + v) + bias), n elements `stride` apart.
template <int A, class T>
MYELIN_INLINE void put(T* y, int64_t stride, Vec<T> v, int n, bool add, bool last, Vec<T> scale, Vec<T> bias) {
  if (stride == 2 && n == Vec<T>::N) {
    if (add) v = v + load_stepped<T, 2>(y, 2, n);
    if (last) v = activate<A>(fma(scale, v, bias));
    return store_alternate(y, v);
  }
  if (add) v = v + load_strided(y, stride, n);
  if (last) v = activate<A>(fma(scale, v, bias));
  store_strided(y, stride, v, n);
}

// Panels of kRows channels × pairs of vectors.
template <int A, class T>
void run_rows(const Correlation<T>& job, int64_t group, const Spot* list, int64_t count, const T* copy,
              const int64_t* at, int64_t depth, const T* weights, int64_t weight_step, int64_t p0, int64_t p1, bool add,
              bool last) {
  constexpr int N = Vec<T>::N, W = kColumns<T>;
  alignas(64) T tile[kRows * W];
  const bool finishing = last && (job.bias || job.scale || A != kNoActivation);
  for (int64_t s = 0; s < count; s += kVectors) {
    const int vectors = static_cast<int>(smaller(kVectors, count - s));
    const T* b[kVectors];
    T *y[kVectors], *parts[kVectors];
    bool plain = !finishing && job.yw == 1;
    for (int v = 0; v < vectors; v++) {
      b[v] = copy + list[s + v].from, y[v] = job.y + list[s + v].to, parts[v] = tile + v * N;
      plain = plain && list[s + v].count == N;
    }
    for (int64_t p = p0; p < p1; p++) {
      const int64_t m = p * kRows;
      const int rows = static_cast<int>(smaller(kRows, job.m - m));
      const MicroRows<T> kernel = direct_table<T>.rows[rows - 1][vectors - 1];
      const T* const a = weights + p * weight_step;
      if (plain) {
        T* out[kVectors];
        for (int v = 0; v < vectors; v++) out[v] = y[v] + m * job.ym;
        kernel(depth, a, at, b, out, job.ym, add ? kAdd : kStore);
        continue;
      }
      kernel(depth, a, at, b, parts, W, kStore);
      for (int i = 0; i < rows; i++) {
        const Vec<T> bias = set1<T>(job.bias ? job.bias[group * job.m + m + i] : T(0));
        const Vec<T> scale = set1<T>(job.scale ? job.scale[group * job.m + m + i] : T(1));
        for (int v = 0; v < vectors; v++) {
          put<A>(y[v] + (m + i) * job.ym, job.yw, load(tile + i * W + v * N), static_cast<int>(list[s + v].count), add,
                 last, scale, bias);
        }
      }
    }
  }
}

// Panels of kColumns channels × kRows positions.
template <int A, class T>
void run_spots(const Correlation<T>& job, int64_t group, const Spot* list, int64_t count, const T* copy,
               const int64_t* at, int64_t depth, const T* weights, int64_t weight_step, int64_t p0, int64_t p1,
               bool add, bool last) {
  constexpr int N = Vec<T>::N, W = kColumns<T>;
  alignas(64) T tile[kRows * W] = {};
  alignas(64) T turned[kTurnedStride<T> * W];
  for (int64_t p = p0; p < p1; p++) {
    const int64_t m = p * W;
    const int columns = static_cast<int>(smaller(W, job.m - m));
    for (int64_t s = 0; s < count; s += kRows) {
      const int rows = static_cast<int>(smaller(kRows, count - s));
      const T* a[kRows];
      bool adjacent = true;
      for (int i = 0; i < rows; i++) {
        a[i] = copy + list[s + i].from;
        adjacent = adjacent && list[s + i].to == list[s].to + i;
      }
      direct_table<T>.spots[rows - 1][(columns + N - 1) / N - 1](depth, a, at, weights + p * weight_step, tile);
      turn_tile(tile, rows, columns, turned);
      for (int j = 0; j < columns; j++) {
        const Vec<T> bias = set1<T>(job.bias ? job.bias[group * job.m + m + j] : T(0));
        const Vec<T> scale = set1<T>(job.scale ? job.scale[group * job.m + m + j] : T(1));
        T* const y = job.y + (m + j) * job.ym;
        for (int i = 0; i < rows; i += adjacent ? N : 1) {
          const int n = adjacent ? (rows - i < N ? rows - i : N) : 1;
          put<A>(y + list[s + i].to, 1, load_n(turned + j * kTurnedStride<T> + i, n), n, add, last, scale, bias);
        }
      }
    }
  }
}

// What a band reads of `channels` channels of x.
template <class T>
void copy_block(const Correlation<T>& job, int64_t group, const Band& band, const Copied& ch, const Copied& cw,
                int64_t c0, int64_t channels, T* copy) {
  for (int64_t c = c0; c < c0 + channels; c++) {
    const T* const from = job.x + band.image * job.xn + group * job.xg + c * job.xc;
    // The next channel's run is too short and too far for the processor to see it coming.
    if (band.rows == 1 && c + 1 < c0 + channels) {
      for (int64_t i = 0; i < cw.length * cw.every; i += 64 / static_cast<int64_t>(sizeof(T)))
        prefetch(from + job.xc + band.column * job.w.stride + i);
    }
    for (int64_t n = 0; n < band.images; n++, copy += ch.size() * cw.size())
      copy_plane(job.h, job.w, band, ch, cw, from + n * job.xn, job.xh, copy);
  }
}

// Panels [p0, p1) of a band. `copy` holds all its blocks of channels, if `shared`, or is room for one.
template <int A, class T>
void run_band(const Correlation<T>& job, const DirectPlan& plan, int64_t group, const Band& band, int64_t p0,
              int64_t p1, const T* packed, bool shared, T* copy, int64_t* at, Spot* list) {
  Copied ch = plan.ch, cw = plan.cw;
  ch.resize(band.rows), cw.resize(band.columns);
  const int64_t plane = ch.size() * cw.size();
  list_spots(job, plan, band, ch, cw, group, list);
  const int64_t count = band.images * band.rows * (plan.spots ? band.columns : divide_up(band.columns, Vec<T>::N));
  for (int64_t c = 0, k = 0; c < plan.channels; c++) {
    for (int64_t th = 0; th < job.h.taps; th++) {
      for (int64_t tw = 0; tw < job.w.taps; tw++)
        at[k++] = c * band.images * plane + ch.tap(th) * cw.size() + cw.tap(tw);
    }
  }
  const int64_t weight_step = plan.k * plan.width;
  for (int64_t c0 = 0; c0 < job.c; c0 += plan.channels, copy += shared ? plan.copy_size : 0) {
    const int64_t channels = smaller(plan.channels, job.c - c0), depth = channels * plan.taps;
    if (!shared) copy_block(job, group, band, ch, cw, c0, channels, copy);
    const bool add = c0 > 0, last = c0 + channels == job.c;
    const T* const weights = packed + c0 * plan.taps * plan.width;
    const int64_t step = larger(1, kWeightBytes / (depth * plan.width * static_cast<int64_t>(sizeof(T))));
    for (int64_t p = p0; p < p1; p += step) {
      const auto run = plan.spots ? run_spots<A, T> : run_rows<A, T>;
      run(job, group, list, count, copy, at, depth, weights, weight_step, p, smaller(p1, p + step), add, last);
    }
  }
}

}  // namespace

template <class T>
Status correlate_direct(const Correlation<T>& job, const Pool& pool) {
  const DirectPlan plan = make_direct_plan(job);
  const double products = static_cast<double>(job.images * job.h.out * job.w.out) * static_cast<double>(plan.k) *
                          static_cast<double>(job.m) * static_cast<double>(job.groups);
  const int64_t panel_size = plan.k * plan.width, cells = job.groups * plan.panels;
  // Bands that several tasks read are copied once for all.
  const int64_t bands = job.groups * plan.bands.count, copies = plan.cuts > 1 ? bands * plan.blocks : 0;
  bool ready;
  T* packed = kept_weights(job, plan.spots ? kSpotPanels : kRowPanels, cells * panel_size, &ready);
  const int64_t room = copies * plan.copy_size + (packed ? 0 : cells * panel_size);
  T* const copied = static_cast<T*>(pool.scratch(pool.self, -1, static_cast<size_t>(room) * sizeof(T)));
  if (!copied) return kOutOfMemory;
  if (!packed) packed = copied + copies * plan.copy_size;
  parallel_for(pool, ready ? 0 : cells, products <= kSerialProducts ? cells : 32768 / panel_size + 1,
               [&](int64_t begin, int64_t end, int) {
                 for (int64_t i = begin; i < end; i++) {
                   const auto pack = plan.spots ? pack_filters<kColumns<T>, T> : pack_filters<kRows, T>;
                   pack(job, i / plan.panels, i % plan.panels, packed + i * panel_size);
                 }
               });
  for_tasks(pool, copies, products, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      const Band band = band_at(plan.bands, job.images, job.h.out, job.w.out, i / plan.blocks % plan.bands.count);
      Copied ch = plan.ch, cw = plan.cw;
      ch.resize(band.rows), cw.resize(band.columns);
      const int64_t c0 = i % plan.blocks * plan.channels;
      copy_block(job, i / plan.blocks / plan.bands.count, band, ch, cw, c0, smaller(plan.channels, job.c - c0),
                 copied + i * plan.copy_size);
    }
  });
  const size_t copy_bytes = copies > 0 ? 0 : static_cast<size_t>(plan.copy_size) * sizeof(T);
  const size_t at_bytes = static_cast<size_t>(plan.channels * plan.taps) * sizeof(int64_t);
  const size_t bytes = copy_bytes + at_bytes + static_cast<size_t>(plan.list) * sizeof(Spot);
  int32_t failed = 0;
  for_tasks(pool, bands * plan.cuts, products, [&](int64_t begin, int64_t end, int worker) {
    char* const scratch = static_cast<char*>(pool.scratch(pool.self, worker, bytes));
    if (!scratch) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    T* const own = reinterpret_cast<T*>(scratch);
    int64_t* const at = reinterpret_cast<int64_t*>(scratch + copy_bytes);
    Spot* const list = reinterpret_cast<Spot*>(scratch + copy_bytes + at_bytes);
    for (int64_t t = begin; t < end; t++) {
      const int64_t cut = t % plan.cuts, rest = t / plan.cuts, group = rest / plan.bands.count;
      const Band band = band_at(plan.bands, job.images, job.h.out, job.w.out, rest % plan.bands.count);
      T* const copy = copies > 0 ? copied + rest * plan.blocks * plan.copy_size : own;
      const auto run = [&](auto fused) {
        run_band<decltype(fused)::value>(job, plan, group, band, cut * plan.cut,
                                         smaller(plan.panels, (cut + 1) * plan.cut),
                                         packed + group * plan.panels * panel_size, copies > 0, copy, at, list);
      };
      with_activation(job.activation, run);
    }
  });
  return failed ? kOutOfMemory : kOk;
}

template Status correlate_direct<float>(const Correlation<float>&, const Pool&);
template Status correlate_direct<double>(const Correlation<double>&, const Pool&);

}  // namespace MYELIN_ISA
}  // namespace myelin
