// The gradient of a convolution's weights as products of matrices over bands of output positions: rows are (channel, tap row,
// tap column), read in place from a copy of the input with its padding; columns are output channels, whose dy is turned into
// panels; the sum runs over positions. Bands are shared out over a fixed number of partial sums, added in order at the end.
// For 1×1 windows the rows lie in place, and the smaller of the two operands is the one that is turned.
#include "conv_bands.h"
#include "matmul_micro.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int64_t kBandPositions = 512;
constexpr int64_t kBandBytes = 160 * 1024;  // of copied input
constexpr int64_t kLeastPositions = 128;    // of a band of 1×1 windows, about
constexpr int64_t kWantedTasks = 16;
constexpr int64_t kPartialBytes = int64_t{32} << 20;

// Where the rows of positions of a band begin in the copy.
struct Segments {
  int64_t images, rows, columns;
  int64_t image_step, row_step, column_step;
};

// tile(i, j) (+)= Σ over positions of a[at[i] + position] · b(position, j) for i < R, j < V vectors.
template <class T, int R, int V>
void micro_positions(const Segments& s, const T* a, const int64_t* at, const T* b, T* tile, TileMode mode) {
  constexpr int N = Vec<T>::N;
  Vec<T> acc[R][V];
#pragma GCC unroll 8
  for (int i = 0; i < R; i++) {
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) acc[i][v] = zero<T>();
  }
  const int64_t step = s.column_step;
  for (int64_t image = 0; image < s.images; image++) {
    for (int64_t r = 0; r < s.rows; r++) {
      const T* from = a + image * s.image_step + r * s.row_step;
      const T* row[R];
#pragma GCC unroll 8
      for (int i = 0; i < R; i++) row[i] = from + at[i];
      int64_t k = 0;
#pragma GCC unroll 4
      for (int64_t j = 0; j < s.columns; j++, k += step, b += kColumns<T>) {
        Vec<T> bv[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) bv[v] = load(b + v * N);
#pragma GCC unroll 8
        for (int i = 0; i < R; i++) {
          const Vec<T> av = set1<T>(row[i][k]);
#pragma GCC unroll 4
          for (int v = 0; v < V; v++) acc[i][v] = fma(av, bv[v], acc[i][v]);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < R; i++) {
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      T* const p = tile + i * kColumns<T> + v * N;
      store(p, mode.add ? load(p) + acc[i][v] : acc[i][v]);
    }
  }
}

template <class T>
struct MicroPositions {
  using Run = void(const Segments&, const T*, const int64_t*, const T*, T*, TileMode);
  template <int R, int V>
  static constexpr Run* run = micro_positions<T, R, V>;
};

// The plan of a call; decided by the shape alone.
struct WeightPlan {
  Axis h, w;
  Copied ch, cw;  // of the largest band
  Bands bands;
  int64_t c, m, panels, rows;     // channels of a group in and out, panels of m, rows of the product
  int64_t block, blocks, splits;  // channels of a task, tasks along them, partial sums
  int64_t copy_size, partial;     // elements
  bool points;                    // 1×1 windows without padding
  bool swapped;                   // rows are output channels, columns input channels
};

bool reads_inside(const Axis& a) { return a.taps == 1 && a.offset >= 0 && (a.out - 1) * a.stride + a.offset < a.in; }

// Of 1×1 windows.
bool has_gaps(const Axis& a) { return a.out != a.in; }

// Of 1×1 windows: bands as long as the rows of a block stay in the second-level cache.
template <class T>
void plan_points(const ConvShape& s, WeightPlan* p) {
  constexpr int64_t size = sizeof(T);
  p->swapped = p->c < p->m;
  const int64_t columns = p->swapped ? p->c : p->m;
  p->rows = p->swapped ? p->m : p->c;
  p->panels = divide_up(columns, kColumns<T>);
  p->block = smaller(p->rows, round_up(kBandBytes / size / kLeastPositions, kRows));
  p->blocks = divide_up(p->rows, p->block);
  const int64_t positions = smaller(kBandPositions, larger(kLeastPositions, kBandBytes / size / p->block)),
                area = s.oh * s.ow;
  // A band is a stretch of an image, or several images.
  p->bands = make_bands(s.n, 1, area, positions, positions);
  // x, where it has gaps, is copied: as rows, or a panel at a time.
  const bool gathered = has_gaps(p->h) || has_gaps(p->w);
  const int64_t copied = !gathered ? 0 : p->swapped ? kColumns<T> : p->block;
  p->copy_size = round_up(copied * p->bands.images * p->bands.columns + Vec<T>::N, 16);
}

template <class T>
WeightPlan make_weight_plan(const ConvShape& s) {
  WeightPlan p;
  p.h = {s.h, s.oh, s.stride_h, s.kh, -s.pad_h, s.dilation_h, 0, 1};
  p.w = {s.w, s.ow, s.stride_w, s.kw, -s.pad_w, s.dilation_w, 0, 1};
  p.bands = make_bands(s.n, s.oh, s.ow, kBandPositions, 2 * kBandPositions);
  p.c = s.c / s.groups, p.m = s.m / s.groups;
  p.panels = divide_up(p.m, kColumns<T>);
  p.rows = p.c * s.kh * s.kw;
  p.ch = Copied(p.bands.rows, p.h, false), p.cw = Copied(p.bands.columns, p.w, false);
  const int64_t plane = p.bands.images * p.ch.size() * p.cw.size();
  // Where a channel is only one row of the product, more of them share what is turned.
  const int64_t bytes = s.kh * s.kw == 1 ? 2 * kBandBytes : kBandBytes;
  p.block = smaller(p.c, larger(1, bytes / static_cast<int64_t>(sizeof(T)) / plane));
  p.blocks = divide_up(p.c, p.block);
  p.copy_size = round_up(p.block * plane + Vec<T>::N, 16);
  p.swapped = false;
  p.points = reads_inside(p.h) && reads_inside(p.w);
  if (p.points) plan_points<T>(s, &p);
  p.partial = s.groups * p.panels * kColumns<T> * p.rows;
  const int64_t affordable = larger(1, kPartialBytes / static_cast<int64_t>(sizeof(T)) / p.partial);
  p.splits = smaller(smaller(p.bands.count, affordable), divide_up(kWantedTasks, s.groups * p.blocks));
  return p;
}

// One task: the bands of split `split` into its partial sum, for one block of channels.
template <class T>
void sum_bands(const ConvShape& s, const WeightPlan& plan, const T* x, const T* dy, int64_t split, int64_t group,
               int64_t block, T* partial, T* copy, T* turned) {
  constexpr int64_t W = kColumns<T>;
  const int64_t c0 = block * plan.block, channels = smaller(plan.block, plan.c - c0), taps = s.kh * s.kw;
  const int64_t positions = s.oh * s.ow;
  const int64_t first = plan.bands.count * split / plan.splits, end = plan.bands.count * (split + 1) / plan.splits;
  for (int64_t i = first; i < end; i++) {
    const Band band = band_at(plan.bands, s.n, s.oh, s.ow, i);
    Copied ch = plan.ch, cw = plan.cw;
    ch.resize(band.rows), cw.resize(band.columns);
    const int64_t plane = ch.size() * cw.size();
    for (int64_t c = 0; c < channels; c++) {
      for (int64_t n = 0; n < band.images; n++) {
        const T* const from = x + ((band.image + n) * s.c + group * plan.c + c0 + c) * s.h * s.w;
        copy_plane(plan.h, plan.w, band, ch, cw, from, s.w, copy + (c * band.images + n) * plane);
      }
    }
    const Segments segments = {band.images, band.rows, band.columns, plane, ch.position * cw.size(), cw.position};
    const bool rows_adjacent = band.columns == s.ow;
    for (int64_t panel = 0; panel < plan.panels; panel++) {
      const int columns = static_cast<int>(smaller(W, plan.m - panel * W));
      T* to = turned;
      for (int64_t n = 0; n < band.images; n++) {
        const T* from =
            dy + ((band.image + n) * s.m + group * plan.m + panel * W) * positions + band.row * s.ow + band.column;
        const int64_t depth = rows_adjacent ? band.rows * s.ow : band.columns;
        for (int64_t r = 0; r < band.rows; r += rows_adjacent ? band.rows : 1, from += s.ow, to += depth * W)
          pack_panel<T, static_cast<int>(W)>(from, positions, 1, columns, columns, depth, to);
      }
      const auto* const micro = tile_table<MicroPositions<T>>.at;
      const int vectors = (columns + Vec<T>::N - 1) / Vec<T>::N;
      T* const sums = partial + ((group * plan.panels + panel) * plan.rows + c0 * taps) * W;
      int64_t at[kRows], c = 0, th = 0, tw = 0;
      for (int64_t row = 0; row < channels * taps; row += kRows) {
        const int rows = static_cast<int>(smaller(kRows, channels * taps - row));
        for (int r = 0; r < rows; r++) {
          at[r] = c * band.images * plane + ch.tap(th) * cw.size() + cw.tap(tw);
          if (++tw == s.kw) {
            tw = 0;
            if (++th == s.kh) th = 0, c++;
          }
        }
        micro[rows - 1][vectors - 1](segments, copy, at, turned, sums + row * W, i == first ? kStore : kAdd);
      }
    }
  }
}

// `count` planes of x from `from` on, planes positions [at, at + n) of 1×1 windows with gaps, side by side.
template <class T>
void gather_points(const WeightPlan& plan, const T* from, int64_t count, int64_t at, int64_t n, int64_t step, T* to) {
  const Axis &h = plan.h, &w = plan.w;
  for (int64_t i = 0; i < count; i++, from += h.in * w.in, to += step) {
    for (int64_t done = 0, some = 0; done < n; done += some) {
      const int64_t row = (at + done) / w.out, column = (at + done) % w.out;
      some = smaller(w.out - column, n - done);
      const T* const x = from + (row * h.stride + h.offset) * w.in + column * w.stride + w.offset;
      // The next channel's row is too short and too far for the processor to see it coming.
      for (int64_t j = 0; i + 1 < count && j < some * w.stride; j += 64 / static_cast<int64_t>(sizeof(T)))
        prefetch(x + h.in * w.in + j);
      if (w.stride == 1) {
        copy_row<1>(x, 1, 0, some, some, to + done);
      } else if (w.stride == 2) {
        copy_row<2>(x, 2, 0, some, some, to + done);
      } else {
        copy_row<0>(x, w.stride, 0, some, some, to + done);
      }
    }
  }
}

// sum_bands() for 1×1 windows.
template <class T>
void sum_points(const ConvShape& s, const WeightPlan& plan, const T* x, const T* dy, int64_t split, int64_t group,
                int64_t block, T* partial, T* copy, T* turned) {
  constexpr int64_t W = kColumns<T>;
  const int64_t r0 = block * plan.block, rows = smaller(plan.block, plan.rows - r0), area = s.oh * s.ow;
  const bool gathered = has_gaps(plan.h) || has_gaps(plan.w);
  const int64_t columns = plan.swapped ? plan.c : plan.m, x_area = s.h * s.w;
  const int64_t first = plan.bands.count * split / plan.splits, end = plan.bands.count * (split + 1) / plan.splits;
  for (int64_t i = first; i < end; i++) {
    const Band band = band_at(plan.bands, s.n, 1, area, i);
    const int64_t n = band.columns;
    // Channel `c` of image `j` of the band in the operand.
    const auto from_x = [&](int64_t j, int64_t c) {
      return x + ((band.image + j) * s.c + group * plan.c + c) * x_area + (gathered ? 0 : band.column);
    };
    const auto from_dy = [&](int64_t j, int64_t m) {
      return dy + ((band.image + j) * s.m + group * plan.m + m) * area + band.column;
    };
    const T* a = plan.swapped ? from_dy(0, r0) : from_x(0, r0);
    int64_t row_step = area, image_step = (plan.swapped ? s.m : s.c) * area;
    if (gathered && !plan.swapped) {
      for (int64_t j = 0; j < band.images; j++)
        gather_points(plan, from_x(j, r0), rows, band.column, n, n, copy + j * rows * n);
      a = copy, row_step = n, image_step = rows * n;
    }
    const Segments segments = {band.images, 1, n, image_step, 0, 1};
    for (int64_t panel = 0; panel < plan.panels; panel++) {
      const int wide = static_cast<int>(smaller(W, columns - panel * W));
      for (int64_t j = 0; j < band.images; j++) {
        const T* from = plan.swapped ? from_x(j, panel * W) : from_dy(j, panel * W);
        int64_t step = area;
        if (gathered && plan.swapped) {
          gather_points(plan, from, wide, band.column, n, n, copy);
          from = copy, step = n;
        }
        pack_panel<T, static_cast<int>(W)>(from, step, 1, wide, wide, n, turned + j * n * W);
      }
      const auto* const micro = tile_table<MicroPositions<T>>.at;
      const int vectors = (wide + Vec<T>::N - 1) / Vec<T>::N;
      T* const sums = partial + ((group * plan.panels + panel) * plan.rows + r0) * W;
      for (int64_t row = 0; row < rows; row += kRows) {
        int64_t at[kRows];
        for (int r = 0; r < kRows; r++) at[r] = (row + r) * row_step;
        micro[smaller(kRows, rows - row) - 1][vectors - 1](segments, a, at, turned, sums + row * W,
                                                           i == first ? kStore : kAdd);
      }
    }
  }
}

// dweight rows [row0, row1) of one panel of input channels, where those are the columns: likewise, in place.
template <class T>
void add_swapped(const WeightPlan& plan, const T* partials, int64_t cell, int64_t row0, int64_t row1, T* dweight) {
  constexpr int N = Vec<T>::N, W = kColumns<T>;
  const int64_t group = cell / plan.panels, panel = cell % plan.panels;
  const int columns = static_cast<int>(smaller(W, plan.c - panel * W));
  for (int64_t row = row0; row < row1; row++) {
    T* const out = dweight + (group * plan.m + row) * plan.c + panel * W;
    for (int j = 0; j < columns; j += N) {
      Vec<T> sum = zero<T>();
      const T* from = partials + (cell * plan.rows + row) * W + j;
      for (int64_t s = 0; s < plan.splits; s++, from += plan.partial) sum = sum + load(from);
      store_n(out + j, sum, columns - j < N ? columns - j : N);
    }
  }
}

// dweight rows [row0, row1) of one panel of output channels: the partial sums in order, turned.
template <class T>
void add_partials(const WeightPlan& plan, const T* partials, int64_t cell, int64_t row0, int64_t row1, T* dweight) {
  constexpr int N = Vec<T>::N, W = kColumns<T>;
  const int64_t group = cell / plan.panels, panel = cell % plan.panels;
  const int columns = static_cast<int>(smaller(W, plan.m - panel * W));
  T* const out = dweight + (group * plan.m + panel * W) * plan.rows;
  for (int64_t row = row0; row < row1; row += N) {
    const int rows = static_cast<int>(smaller(N, row1 - row));
    for (int j = 0; j < columns; j += N) {
      Vec<T> r[N];
#pragma GCC unroll 16
      for (int i = 0; i < N; i++) {
        r[i] = zero<T>();
        const T* from = partials + (cell * plan.rows + row + i) * W + j;
        for (int64_t s = 0; i < rows && s < plan.splits; s++, from += plan.partial) r[i] = r[i] + load(from);
      }
      transpose(r);
#pragma GCC unroll 16
      for (int i = 0; i < N; i++) {
        if (j + i < columns) store_n(out + (j + i) * plan.rows + row, r[i], rows);
      }
    }
  }
}

}  // namespace

template <class T>
Status correlate_weights(const ConvShape& s, const T* x, const T* dy, T* dweight, const Pool& pool) {
  constexpr int64_t W = kColumns<T>;
  if (s.m == 0 || s.c == 0) return kOk;
  const int64_t weights = s.m * (s.c / s.groups) * s.kh * s.kw;
  if (s.n == 0 || s.oh == 0 || s.ow == 0) {
    memset(dweight, 0, static_cast<size_t>(weights) * sizeof(T));
    return kOk;
  }
  const WeightPlan plan = make_weight_plan<T>(s);
  T* const partials =
      static_cast<T*>(pool.scratch(pool.self, -1, static_cast<size_t>(plan.splits * plan.partial) * sizeof(T)));
  if (!partials) return kOutOfMemory;
  const double products = static_cast<double>(weights) * static_cast<double>(s.n * s.oh * s.ow);
  const int64_t band = plan.bands.images * plan.bands.rows * plan.bands.columns;
  int32_t failed = 0;
  for_tasks(pool, plan.splits * s.groups * plan.blocks, products, [&](int64_t begin, int64_t end, int worker) {
    T* const copy =
        static_cast<T*>(pool.scratch(pool.self, worker, static_cast<size_t>(plan.copy_size + band * W) * sizeof(T)));
    if (!copy) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    for (int64_t t = begin; t < end; t++) {
      const int64_t cell = t % (s.groups * plan.blocks), split = t / (s.groups * plan.blocks);
      const auto sum = plan.points ? sum_points<T> : sum_bands<T>;
      sum(s, plan, x, dy, split, cell / plan.blocks, cell % plan.blocks, partials + split * plan.partial, copy,
          copy + plan.copy_size);
    }
  });
  if (failed) return kOutOfMemory;
  constexpr int64_t chunk = 128;
  const int64_t chunks = divide_up(plan.rows, chunk);
  for_tasks(pool, s.groups * plan.panels * chunks, static_cast<double>(plan.splits * plan.partial) * 8,
            [&](int64_t begin, int64_t end, int) {
              for (int64_t t = begin; t < end; t++) {
                const int64_t row = t % chunks * chunk;
                const auto add = plan.swapped ? add_swapped<T> : add_partials<T>;
                add(plan, partials, t / chunks, row, smaller(plan.rows, row + chunk), dweight);
              }
            });
  return kOk;
}

template Status correlate_weights<float>(const ConvShape&, const float*, const float*, float*, const Pool&);
template Status correlate_weights<double>(const ConvShape&, const double*, const double*, double*, const Pool&);

}  // namespace MYELIN_ISA
}  // namespace myelin
