// Correlation straight from a copy of the input with its padding: nothing is gathered, each tap is an offset into the copy.
// Two kernels share the loops. By rows: kRows output channels × vectors of neighbouring output columns. By positions: kRows
// output positions × kColumns output channels, turned on the way out; for images too narrow for the former. The phases of a gradient
// at stride 2 read one copy, and those of a row are written together.
#include "conv_bands.h"
#include "conv_micro.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int64_t kBandPositions =
    768;                              // of a task; fewer where the channels take several blocks, which then are deeper
constexpr int64_t kDepthBlock = 400;  // taps × channels summed in registers, about
constexpr int64_t kCopyBytes = 96 * 1024;       // of copied input
constexpr int64_t kLongCopyBytes = 256 * 1024;  // where it consists of one run of each channel, which is to be long
constexpr int64_t kWeightBytes = 224 * 1024;    // of packed weights in use at a time
constexpr int64_t kPhasePositions = 128;        // of a task, of each phase where there are several
constexpr int64_t kPhaseDepth = 256;            // and channels summed in registers
constexpr int64_t kWantedTasks = 16;

// The windows of one phase of rows and one of columns.
struct Phase {
  int64_t high, wide;
  int64_t taps, before;  // and those of the phases before
};

// Decided by the shape alone.
struct DirectPlan {
  bool spots;
  Bands bands;     // of the positions of the first phases
  Dimension h, w;  // copied as the largest band
  Phase phases[4];
  int64_t count, taps;             // phases, taps of them all
  int64_t panels, width;           // panels of output channels, channels of one
  int64_t channels, blocks;        // input channels of a block, blocks of them
  int64_t plane, copy_size, list;  // elements of one channel's copy and of a block's; vectors or positions of a band
  int64_t cut, cuts;               // panels of a task, tasks along them
  int64_t tiles;                   // of positions in a panel, of all phases
  int64_t sums_size;               // elements of the tiles that a task keeps

  DirectPlan(const Dimension& rows, const Dimension& columns) : h(rows), w(columns), count(0), taps(0) {
    for (int64_t i = 0; i < h.phases; i++) {
      for (int64_t j = 0; j < w.phases; j++) {
        const int64_t n = h.axis[i].taps * w.axis[j].taps;
        phases[count++] = {i, j, n, taps};
        taps += n;
      }
    }
  }
};

// How much of the kernel's work is wanted.
template <class T>
bool prefers_spots(const Correlation<T>& job, const DirectPlan& plan) {
  constexpr int64_t N = Vec<T>::N, W = kColumns<T>;
  const double k = static_cast<double>(job.c * plan.taps) / static_cast<double>(plan.count);
  const auto share = [](int64_t n, int64_t unit) {
    return static_cast<double>(n) / static_cast<double>(round_up(n, unit));
  };
  const double rows = share(plan.w.axis[0].out, N) * share(job.m, job.m < kRows ? kRows : 2) *
                      (plan.w.phases == 2 ? k / (k + 10)
                       : job.yw == 1      ? 1
                                          : k / (k + 25));
  const double spots = share(job.m, W) * 0.98 * k / (k + 20);
  return spots > rows;
}

template <class T>
DirectPlan make_direct_plan(const Correlation<T>& job, const Dimension& rows, const Dimension& columns) {
  constexpr int64_t N = Vec<T>::N;
  DirectPlan p(rows, columns);
  p.spots = prefers_spots(job, p);
  const int64_t high = p.h.axis[0].out, wide = p.w.axis[0].out, k = job.c * p.taps;
  int64_t positions = k <= kDepthBlock ? kBandPositions : p.spots ? kBandPositions / 4 : kBandPositions / 2;
  int64_t most_columns = 2 * kBandPositions, deep = larger(1, kDepthBlock / p.taps);
  if (p.count > 1) positions = smaller(positions, kPhasePositions), deep = kPhaseDepth;
  if (p.taps == 1 && p.count == 1) {
    // So few that the channels which are summed at a time have room.
    const int64_t depth = divide_up(job.c, divide_up(job.c, kDepthBlock));
    positions = smaller(positions, round_up(kLongCopyBytes / static_cast<int64_t>(sizeof(T)) / depth, kColumns<T>));
    if (high == 1) most_columns = round_up(divide_up(wide, divide_up(wide, positions)), kColumns<T>);
  }
  p.bands = make_bands(job.images, high, wide, positions, most_columns);
  p.h.copied = Copied(p.bands.rows, p.h.whole, false), p.w.copied = Copied(p.bands.columns, p.w.whole, !p.spots);
  p.width = p.spots ? kColumns<T> : kRows;
  p.panels = divide_up(job.m, p.width);
  p.plane = p.bands.images * p.h.copied.size() * p.w.copied.size();
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
  p.tiles = divide_up(p.list, kRows) * p.count;
  p.sums_size = p.spots && p.blocks > 1 ? p.cut * p.tiles * kRows * kColumns<T> : 0;
  return p;
}

// Where a vector of output columns, or an output position, is read, and where its first phase is written; of y `rows` rows and
// `count` columns from there on are its own.
struct Spot {
  int64_t from, to;
  int64_t rows, count;
};

template <class T>
void list_spots(const Correlation<T>& job, const DirectPlan& plan, const Band& band, int64_t group, Spot* list) {
  const Dimension &h = plan.h, &w = plan.w;
  const int64_t step = plan.spots ? 1 : Vec<T>::N, pitch = w.copied.size();
  for (int64_t n = 0; n < band.images; n++) {
    for (int64_t r = 0; r < band.rows; r++) {
      const int64_t row = (band.row + r) * h.phases;
      for (int64_t q = 0; q < band.columns; q += step) {
        const int64_t column = (band.column + q) * w.phases;
        *list++ = {(n * h.copied.size() + r * h.copied.position) * pitch + q * w.copied.position,
                   (band.image + n) * job.yn + group * job.yg + row * job.yh + column * job.yw,
                   smaller(h.phases, h.out - row), smaller(w.phases * smaller(step, band.columns - q), w.out - column)};
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

// y = finish(y-part + v), n elements `stride` apart.
template <class T>
MYELIN_INLINE void put(T* y, int64_t stride, Vec<T> v, int n, bool add, bool last, const Finish<T>& finish) {
  if (stride == 2 && n == Vec<T>::N) {
    if (add) v = v + load_stepped<T, 2>(y, 2, n);
    if (last) v = finish(v);
    return store_alternate(y, v);
  }
  if (add) v = v + load_strided(y, stride, n);
  if (last) v = finish(v);
  store_strided(y, stride, v, n);
}

// Those of two phases in turns: n columns of y.
template <class T>
MYELIN_INLINE void put_zipped(T* y, Vec<T> even, Vec<T> odd, int n, bool add, bool last, const Finish<T>& finish) {
  constexpr int N = Vec<T>::N;
  put(y, 1, zip<0>(even, odd), n < N ? n : N, add, last, finish);
  if (n > N) put(y + N, 1, zip<1>(even, odd), n - N, add, last, finish);
}

// A part of the sum: `channels` input channels from `first` on, whose offsets in the copy are `at`, phase by phase. `weights` are all
// packed ones, panel by panel and in a panel phase by phase.
template <class T>
struct Part {
  const T *copy, *weights;
  const int64_t* at;
  int64_t first, channels;
  bool add, last;
  T* sums;  // where run_spots() keeps its tiles from part to part; null: there is one part
};

// Panels of kRows channels × pairs of vectors.
template <class T>
void run_rows(const Correlation<T>& job, const DirectPlan& plan, int64_t group, const Spot* list, int64_t count,
              const Part<T>& part, int64_t p0, int64_t p1) {
  constexpr int N = Vec<T>::N, W = kColumns<T>;
  alignas(64) T tile[2][kRows * W];
  const bool finishing = part.last && (job.bias || job.scale || job.relu);
  for (int64_t s = 0; s < count; s += kVectors) {
    const int vectors = static_cast<int>(smaller(kVectors, count - s));
    const T* b[kVectors];
    T* y[kVectors];
    bool plain = !finishing && job.yw == 1 && plan.count == 1;
    for (int v = 0; v < vectors; v++) {
      b[v] = part.copy + list[s + v].from, y[v] = job.y + list[s + v].to;
      plain = plain && list[s + v].count == N;
    }
    for (int64_t p = p0; p < p1; p++) {
      const int64_t m = p * kRows;
      const int rows = static_cast<int>(smaller(kRows, job.m - m));
      auto* const kernel = tile_table<MicroRows<T>>.at[rows - 1][vectors - 1];
      const T* const weights = part.weights + p * (job.c * plan.taps * kRows);
      if (plain) {
        T* out[kVectors];
        for (int v = 0; v < vectors; v++) out[v] = y[v] + m * job.ym;
        kernel(part.channels * plan.taps, weights + part.first * plan.taps * kRows, part.at, b, out, job.ym,
               part.add ? kAdd : kStore);
        continue;
      }
      for (int64_t i = 0; i < plan.count; i++) {
        const Phase& phase = plan.phases[i];
        if (phase.wide + 1 == plan.w.phases) {
          for (int r = 0; r < rows; r++) {
            for (int v = 0; v < vectors; v++) prefetch(y[v] + (m + r) * job.ym + phase.high * job.yh);
          }
        }
        T* out[kVectors];
        for (int v = 0; v < vectors; v++) out[v] = tile[phase.wide] + v * N;
        kernel(part.channels * phase.taps, weights + (phase.before * job.c + part.first * phase.taps) * kRows,
               part.at + phase.before * part.channels, b, out, W, kStore);
        if (phase.wide + 1 < plan.w.phases) continue;
        for (int r = 0; r < rows; r++) {
          const Finish<T> finish(job, group * job.m + m + r);
          for (int v = 0; v < vectors; v++) {
            if (phase.high >= list[s + v].rows) continue;
            T* const to = y[v] + (m + r) * job.ym + phase.high * job.yh;
            const Vec<T> first = load(tile[0] + r * W + v * N);
            const int n = static_cast<int>(list[s + v].count);
            if (plan.w.phases == 2) {
              put_zipped(to, first, load(tile[1] + r * W + v * N), n, part.add, part.last, finish);
            } else {
              put(to, job.yw, first, n, part.add, part.last, finish);
            }
          }
        }
      }
    }
  }
}

// The finished tile(s) of positions list[0 … rows - 1] × channels from m on, turned: turned[j·kTurnedStride + i], of two phases.
template <class T>
void put_spots(const Correlation<T>& job, const DirectPlan& plan, const Phase& phase, const Spot* list, int rows,
               int64_t group, int64_t m, int columns, const T* even, const T* odd) {
  constexpr int N = Vec<T>::N, S = kTurnedStride<T>;
  // Positions side by side in y: the first, and how many columns they are there.
  int run[kRows], wide[kRows], runs = 0, last = -2;
  for (int i = 0; i < rows; i++) {
    if (phase.high >= list[i].rows) continue;
    const bool next = last == i - 1 && i - run[runs - 1] < N && list[i].to == list[last].to + plan.w.phases;
    if (!next) run[runs] = i, wide[runs++] = 0;
    wide[runs - 1] += static_cast<int>(list[i].count);
    last = i;
  }
  for (int j = 0; j < columns; j++, even += S, odd += S) {
    const Finish<T> finish(job, group * job.m + m + j);
    T* const y = job.y + (m + j) * job.ym + phase.high * job.yh;
    for (int r = 0; r < runs; r++) {
      T* const to = y + list[run[r]].to;
      if (plan.w.phases == 2) {
        put_zipped(to, load(even + run[r]), load(odd + run[r]), wide[r], false, true, finish);
      } else {
        put(to, 1, load(even + run[r]), wide[r], false, true, finish);
      }
    }
  }
}

// Panels of kColumns channels × kRows positions.
template <class T>
void run_spots(const Correlation<T>& job, const DirectPlan& plan, int64_t group, const Spot* list, int64_t count,
               const Part<T>& part, int64_t p0, int64_t p1) {
  constexpr int N = Vec<T>::N, W = kColumns<T>, S = kTurnedStride<T>;
  alignas(64) T own[kRows * W] = {};
  alignas(64) T turned[2][S * W + kRows] = {};
  for (int64_t p = p0; p < p1; p++) {
    const int64_t m = p * W;
    const int columns = static_cast<int>(smaller(W, job.m - m));
    const T* const weights = part.weights + p * (job.c * plan.taps * W);
    T* tile = part.sums ? part.sums + p * plan.tiles * (kRows * W) : own;
    for (int64_t s = 0; s < count; s += kRows) {
      const int rows = static_cast<int>(smaller(kRows, count - s));
      auto* const kernel = tile_table<MicroSpots<T>>.at[rows - 1][(columns + N - 1) / N - 1];
      const T* a[kRows];
      for (int i = 0; i < rows; i++) a[i] = part.copy + list[s + i].from;
      for (int64_t i = 0; i < plan.count; i++) {
        const Phase& phase = plan.phases[i];
        kernel(part.channels * phase.taps, a, part.at + phase.before * part.channels,
               weights + (phase.before * job.c + part.first * phase.taps) * W, tile, part.add ? kAdd : kStore);
        if (part.last) {
          turn_tile(tile, rows, columns, turned[phase.wide]);
          if (phase.wide + 1 == plan.w.phases)
            put_spots(job, plan, phase, list + s, rows, group, m, columns, turned[0], turned[1]);
        }
        if (part.sums) tile += kRows * W;
      }
    }
  }
}

// What a band reads of `channels` channels of x.
template <class T>
void copy_block(const Correlation<T>& job, const Dimension& h, const Dimension& w, int64_t group, const Band& band,
                int64_t c0, int64_t channels, T* copy) {
  const int64_t plane = h.copied.size() * w.copied.size();
  for (int64_t c = c0; c < c0 + channels; c++) {
    const T* const from = job.x + band.image * job.xn + group * job.xg + c * job.xc;
    // The next channel's run is too short and too far for the processor to see it coming.
    if (band.rows == 1 && c + 1 < c0 + channels) {
      for (int64_t i = 0; i < w.copied.length * w.copied.every; i += 64 / static_cast<int64_t>(sizeof(T)))
        prefetch(from + job.xc + band.column * w.whole.stride + i);
    }
    for (int64_t n = 0; n < band.images; n++, copy += plane)
      copy_plane(h.whole, w.whole, band, h.copied, w.copied, from + n * job.xn, job.xh, copy);
  }
}

// Panels [p0, p1) of a band, for which the plan's copies are resized. `copy` holds all its blocks of channels, if `shared`, or is
// room for one; `sums` is room for a task's tiles.
template <class T>
void run_band(const Correlation<T>& job, const DirectPlan& plan, int64_t group, const Band& band, int64_t p0,
              int64_t p1, const T* packed, bool shared, T* copy, T* sums, int64_t* at, Spot* list) {
  const Dimension &h = plan.h, &w = plan.w;
  const int64_t pitch = w.copied.size(), plane = band.images * h.copied.size() * pitch;
  list_spots(job, plan, band, group, list);
  const int64_t count = band.images * band.rows * (plan.spots ? band.columns : divide_up(band.columns, Vec<T>::N));
  for (int64_t c0 = 0, listed = 0; c0 < job.c; c0 += plan.channels, copy += shared ? plan.copy_size : 0) {
    const int64_t channels = smaller(plan.channels, job.c - c0);
    if (!shared) copy_block(job, h, w, group, band, c0, channels, copy);
    if (channels != listed) {
      int64_t* next = at;
      for (int64_t i = 0; i < plan.count; i++) {
        const int64_t ph = plan.phases[i].high, pw = plan.phases[i].wide;
        for (int64_t c = 0; c < channels; c++) {
          for (int64_t th = 0; th < h.axis[ph].taps; th++) {
            for (int64_t tw = 0; tw < w.axis[pw].taps; tw++)
              *next++ = c * plane + h.tap(ph, th) * pitch + w.tap(pw, tw);
          }
        }
      }
      listed = channels;
    }
    const int64_t bytes = channels * plan.taps * plan.width * static_cast<int64_t>(sizeof(T));
    const int64_t step = larger(1, kWeightBytes / bytes);
    const Part<T> part = {copy,
                          packed,
                          at,
                          c0,
                          channels,
                          c0 > 0,
                          c0 + channels == job.c,
                          plan.sums_size > 0 ? sums - p0 * plan.tiles * (kRows * kColumns<T>) : nullptr};
    for (int64_t p = p0; p < p1; p += step) {
      const auto run = plan.spots ? run_spots<T> : run_rows<T>;
      run(job, plan, group, list, count, part, p, smaller(p1, p + step));
    }
  }
}

}  // namespace

template <class T>
Status correlate_direct(const Correlation<T>& job, const Axis* h, int64_t h_phases, const Axis* w, int64_t w_phases,
                        const Pool& pool) {
  const DirectPlan plan = make_direct_plan(job, {h, h_phases}, {w, w_phases});
  const double products = static_cast<double>(job.images * h->out * w->out) * static_cast<double>(job.c * plan.taps) *
                          static_cast<double>(job.m) * static_cast<double>(job.groups);
  const int64_t panel_size = job.c * plan.taps * plan.width, cells = job.groups * plan.panels;
  // Bands that several tasks read are copied once for all.
  const int64_t bands = job.groups * plan.bands.count, copies = plan.cuts > 1 ? bands * plan.blocks : 0;
  bool ready;
  const PackedWay way = plan.spots ? kSpotPanels : kRowPanels;
  T* packed = kept_weights(job, way, h, h_phases, w, w_phases, cells * panel_size, &ready);
  const int64_t room = copies * plan.copy_size + (packed ? 0 : cells * panel_size);
  T* const copied = static_cast<T*>(pool.scratch(pool.self, -1, static_cast<size_t>(room) * sizeof(T)));
  if (!copied) return kOutOfMemory;
  if (!packed) packed = copied + copies * plan.copy_size;
  parallel_for(pool, ready ? 0 : cells, products <= kSerialProducts ? cells : 32768 / panel_size + 1,
               [&](int64_t begin, int64_t end, int) {
                 const auto pack = plan.spots ? pack_filters<kColumns<T>, T> : pack_filters<kRows, T>;
                 Correlation<T> one = job;
                 for (int64_t i = begin; i < end; i++) {
                   T* to = packed + i * panel_size;
                   for (const Phase* phase = plan.phases; phase < plan.phases + plan.count; phase++) {
                     one.h = h[phase->high], one.w = w[phase->wide];
                     pack(one, i / plan.panels, i % plan.panels, to + job.c * phase->before * plan.width);
                   }
                 }
               });
  // For a band in a task's own copy of the plan.
  const auto resize = [](DirectPlan* own, const Band& band) {
    own->h.copied.resize(band.rows), own->w.copied.resize(band.columns);
  };
  for_tasks(pool, copies, products, [&](int64_t begin, int64_t end, int) {
    DirectPlan own = plan;
    for (int64_t i = begin; i < end; i++) {
      const Band band = band_at(plan.bands, job.images, h->out, w->out, i / plan.blocks % plan.bands.count);
      resize(&own, band);
      const int64_t c0 = i % plan.blocks * plan.channels;
      copy_block(job, own.h, own.w, i / plan.blocks / plan.bands.count, band, c0, smaller(plan.channels, job.c - c0),
                 copied + i * plan.copy_size);
    }
  });
  const int64_t copy_size = copies > 0 ? 0 : round_up(plan.copy_size, 16);
  const size_t copy_bytes = static_cast<size_t>(copy_size + plan.sums_size) * sizeof(T);
  const size_t at_bytes = static_cast<size_t>(plan.channels * plan.taps) * sizeof(int64_t);
  const size_t bytes = copy_bytes + at_bytes + static_cast<size_t>(plan.list) * sizeof(Spot);
  int32_t failed = 0;
  for_tasks(pool, bands * plan.cuts, products, [&](int64_t begin, int64_t end, int worker) {
    char* const scratch = static_cast<char*>(pool.scratch(pool.self, worker, bytes));
    if (!scratch) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    T* const room_for_one = reinterpret_cast<T*>(scratch);
    int64_t* const at = reinterpret_cast<int64_t*>(scratch + copy_bytes);
    Spot* const list = reinterpret_cast<Spot*>(scratch + copy_bytes + at_bytes);
    DirectPlan own = plan;
    for (int64_t t = begin; t < end; t++) {
      const int64_t cut = t % plan.cuts, rest = t / plan.cuts, group = rest / plan.bands.count;
      const Band band = band_at(plan.bands, job.images, h->out, w->out, rest % plan.bands.count);
      resize(&own, band);
      T* const copy = copies > 0 ? copied + rest * plan.blocks * plan.copy_size : room_for_one;
      run_band(job, own, group, band, cut * plan.cut, smaller(plan.panels, (cut + 1) * plan.cut),
               packed + group * plan.panels * panel_size, copies > 0, copy, room_for_one + copy_size, at, list);
    }
  });
  return failed ? kOutOfMemory : kOk;
}

template Status correlate_direct<float>(const Correlation<float>&, const Axis*, int64_t, const Axis*, int64_t,
                                        const Pool&);
template Status correlate_direct<double>(const Correlation<double>&, const Axis*, int64_t, const Axis*, int64_t,
                                         const Pool&);

}  // namespace MYELIN_ISA
}  // namespace myelin
