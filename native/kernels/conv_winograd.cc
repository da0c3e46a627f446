// 3×3 windows of stride 1 by Winograd's F(4×4, 3×3): the image is cut into tiles of 4×4 outputs, each channel of a tile turned
// into 36 frequencies, which 36 products of matrices (tiles × channels in) · (channels in × channels out) take to the outputs'.
#include "conv_winograd.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int64_t kBlockTiles = 24;        // of a task, about
constexpr int64_t kDepthPart = 64;         // channels whose weights a task transforms
constexpr int64_t kManyWeights = 3 << 20;  // transformed elements from which they are not kept but made by each task
constexpr int64_t kFewTiles = 384;         // up to which that serves

template <class T>
constexpr int64_t kChannelsOut = 2 * kColumns<T>;  // of one round of products

// Channels summed in registers, of c: short sums, and few of them, keep the rounding error low.
inline int64_t depth_block(int64_t c) { return c > 256 ? 32 : 64; }

// Sizes that follow from the job. Rows of tiles are counted through all images.
template <class T>
struct WinogradPlan {
  int64_t high, wide, rows, tiles;  // tiles of an image by rows and columns, rows of tiles and tiles in all
  int64_t c, panels;                // channels in, rounded up to whole vectors; panels of channels out
  int64_t block;                    // rows of tiles in a task
  int64_t weight_step, panel_size;  // between frequencies of a panel of weights; of a panel
  bool weights_last;                // each task takes some channels out, and makes their weights, rather than tiles
};

template <class T>
WinogradPlan<T> make_plan(const Correlation<T>& job) {
  WinogradPlan<T> p;
  p.high = divide_up(job.h.out, kTileOut), p.wide = divide_up(job.w.out, kTileOut);
  p.rows = job.images * p.high, p.tiles = p.rows * p.wide;
  p.c = round_up(job.c, Vec<T>::N), p.panels = divide_up(job.m, kColumns<T>);
  // Whole multiples of kRows tiles waste nothing.
  int64_t step = 1;
  while (step < kRows && step * p.wide % kRows != 0) step++;
  p.block = smaller(p.rows, larger(1, kBlockTiles / (step * p.wide)) * step);
  if (p.block * p.wide > 4 * kBlockTiles) p.block = larger(1, 2 * kBlockTiles / p.wide);
  p.weight_step = p.c * kColumns<T> + 16;
  p.panel_size = kFrequencies * p.weight_step;
  const int64_t tasks = divide_up(p.rows, p.block) * job.groups;
  p.weights_last = p.tiles <= kFewTiles && p.panels > 2 && (p.panels * p.panel_size > kManyWeights || tasks < 8);
  return p;
}

// The weights of one panel of channels out: out[f·step + c·kColumns + m].
template <class T>
void transform_weights(const Correlation<T>& job, const WinogradPlan<T>& plan, int64_t group, int64_t panel, int64_t c0,
                       int64_t c1, T* out) {
  constexpr int N = Vec<T>::N;
  for (int v = 0; v < kVectors; v++) {
    const int64_t m0 = panel * kColumns<T> + v * N;
    const int count = static_cast<int>(larger(0, smaller(N, job.m - m0)));
    for (int64_t c = c0; c < c1; c++) {
      alignas(kVectorBytes) T lanes[9][N] = {};
      if (c < job.c) {
        const T* const from =
            job.weight + group * job.wg + m0 * job.wm + c * job.wc + job.h.first * job.wh + job.w.first * job.ww;
        for (int i = 0; i < count; i++) {
          const T* const window = from + i * job.wm;
          for (int h = 0; h < 3; h++) {
            for (int w = 0; w < 3; w++)
              lanes[h * 3 + w][i] = window[h * job.h.every * job.wh + w * job.w.every * job.ww];
          }
        }
      }
      Vec<T> g[9], half[18], u[kFrequencies];
      for (int i = 0; i < 9; i++) g[i] = load(lanes[i]);
      for (int w = 0; w < 3; w++) weight_transform(g + w, 3, half + w, 3);
      for (int h = 0; h < kTileIn; h++) weight_transform(half + h * 3, 1, u + h * kTileIn, 1);
      T* const to = out + c * kColumns<T> + v * N;
      for (int f = 0; f < kFrequencies; f++) store(to + f * plan.weight_step, u[f]);
    }
  }
}

// The tiles of rows [row0, row1): out[f·step + tile·c + channel], tiles counted from `row0`.
template <class T>
void transform_input(const Correlation<T>& job, const WinogradPlan<T>& plan, int64_t group, int64_t row0, int64_t row1,
                     int64_t c0, int64_t c1, T* patch, T* out, int64_t step) {
  constexpr int N = Vec<T>::N;
  const int64_t columns = plan.wide * kTileOut + 2;
  for (int64_t row = row0; row < row1; row++) {
    const T* const image = job.x + row / plan.high * job.xn + group * job.xg;
    for (int64_t c = c0; c < c1; c += N) {
      const Plane<T> plane = {image + c * job.xc, job.xc, job.xh, job.h.in, job.w.in};
      load_patch(plane, static_cast<int>(smaller(N, job.c - c)), row % plan.high * kTileOut + job.h.offset,
                 job.w.offset, kTileIn, columns, patch);
      T* const to = out + (row - row0) * plan.wide * plan.c + c;
      for (int64_t t = 0; t < plan.wide; t++)
        transform_tile(patch + t * kTileOut * N, columns * N, to + t * plan.c, step);
    }
  }
}

// products[f·step + tile·kChannelsOut + m] for `panels` panels of weights from `weights` on.
template <class T>
void multiply_tiles(const WinogradPlan<T>& plan, int64_t tiles, const T* input, int64_t input_step, const T* weights,
                    int64_t panels, T* products, int64_t step) {
  constexpr int64_t W = kColumns<T>;
  const int64_t block = depth_block(plan.c);
  for (int f = 0; f < kFrequencies; f++) {
    for (int64_t c = 0; c < plan.c; c += block) {
      const int64_t depth = smaller(block, plan.c - c);
      for (int64_t p = 0; p < panels; p++) {
        const T* const b = weights + p * plan.panel_size + f * plan.weight_step + c * W;
        for (int64_t t = 0; t < tiles; t += kRows) {
          const int rows = static_cast<int>(smaller(kRows, tiles - t));
          micro_table<T, false>.at[rows - 1][kVectors - 1](depth, input + f * input_step + t * plan.c + c, plan.c, 1, b,
                                                           W, products + f * step + t * kChannelsOut<T> + p * W,
                                                           kChannelsOut<T>, c == 0 ? kStore : kAdd);
        }
      }
    }
  }
}

// One tile's outputs of N channels: y[h·4 + w].
template <class T>
MYELIN_INLINE void finish_tile(const T* products, int64_t step, const Finish<T>& finish, Vec<T>* y) {
  Vec<T> half[kTileOut * kTileIn];
#pragma GCC unroll 6
  for (int w = 0; w < kTileIn; w++) {
    Vec<T> column[kTileIn];
#pragma GCC unroll 6
    for (int h = 0; h < kTileIn; h++) column[h] = load(products + (h * kTileIn + w) * step);
    output_transform(column, 1, half + w, kTileIn);
  }
#pragma GCC unroll 4
  for (int h = 0; h < kTileOut; h++) {
    Vec<T> row[kTileOut];
    output_transform(half + h * kTileIn, 1, row, 1);
#pragma GCC unroll 4
    for (int w = 0; w < kTileOut; w++) y[h * kTileOut + w] = finish(row[w]);
  }
}

// The outputs of the tiles of rows [row0, row1), channels m0 … m0 + kChannelsOut.
template <class T>
void transform_output(const Correlation<T>& job, const WinogradPlan<T>& plan, int64_t group, int64_t row0, int64_t row1,
                      int64_t m0, const T* products, int64_t step) {
  constexpr int N = Vec<T>::N, kAcross = N / kTileOut > 0 ? N / kTileOut : 1;  // tiles side by side in a transpose
  for (int64_t row = row0; row < row1; row++) {
    const int64_t top = row % plan.high * kTileOut;
    const int high = static_cast<int>(smaller(kTileOut, job.h.out - top));
    for (int64_t m = m0; m < smaller(job.m, m0 + kChannelsOut<T>); m += N) {
      const int channels = static_cast<int>(smaller(N, job.m - m));
      const Finish<T> finish(job.scale ? load_n(job.scale + group * job.m + m, channels) : set1<T>(T(1)),
                             job.bias ? load_n(job.bias + group * job.m + m, channels) : zero<T>(), job.relu);
      for (int64_t t = 0; t < plan.wide; t += kAcross) {
        constexpr int kParts = N < kTileOut ? kTileOut / N : 1;
        Vec<T> y[kAcross][kTileOut * kTileOut];
        const T* const from = products + ((row - row0) * plan.wide + t) * kChannelsOut<T> + (m - m0);
        for (int i = 0; i < kAcross && t + i < plan.wide; i++)
          finish_tile(from + i * kChannelsOut<T>, step, finish, y[i]);
        T* const to = job.y + row / plan.high * job.yn + group * job.yg + m * job.ym + top * job.yh + t * kTileOut;
        for (int h = 0; h < high; h++) {
          for (int part = 0; part < kParts; part++) {
            const int64_t left = job.w.out - t * kTileOut - part * N;
            if (left <= 0) break;
            Vec<T> r[N];
#pragma GCC unroll 16
            for (int i = 0; i < N; i++) r[i] = y[i / kTileOut % kAcross][h * kTileOut + (part * N + i) % kTileOut];
            transpose(r);
            const int n = static_cast<int>(smaller(N, left));
#pragma GCC unroll 16
            for (int i = 0; i < N; i++) {
              if (i < channels) store_n(to + i * job.ym + h * job.yh + part * N, r[i], n);
            }
          }
        }
      }
    }
  }
}

// Many tiles: the weights are transformed first, then each task takes a block of tiles through all channels.
template <class T>
Status by_tiles(const Correlation<T>& job, const WinogradPlan<T>& plan, const Pool& pool) {
  bool ready;
  T* const weights = packed_weights(job, kWinogradPanels, job.groups * plan.panels * plan.panel_size, &ready);
  if (!weights) return kOutOfMemory;
  const int64_t parts = divide_up(plan.c, kDepthPart);
  parallel_for(pool, ready ? 0 : job.groups * plan.panels * parts, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t panel = i / parts, c = i % parts * kDepthPart;
      transform_weights(job, plan, panel / plan.panels, panel % plan.panels, c, smaller(plan.c, c + kDepthPart),
                        weights + panel * plan.panel_size);
    }
  });
  const int64_t tiles = plan.block * plan.wide, input_step = tiles * plan.c + 16, step = tiles * kChannelsOut<T> + 16;
  const int64_t patch = round_up(kTileIn * (plan.wide * kTileOut + 2) * Vec<T>::N, 16);
  const int64_t blocks = divide_up(plan.rows, plan.block);
  int32_t failed = 0;
  parallel_for(pool, job.groups * blocks, 1, [&](int64_t begin, int64_t end, int worker) {
    T* const scratch = static_cast<T*>(
        pool.scratch(pool.self, worker, static_cast<size_t>(patch + kFrequencies * (input_step + step)) * sizeof(T)));
    if (!scratch) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    T* const input = scratch + patch;
    T* const products = input + kFrequencies * input_step;
    for (int64_t i = begin; i < end; i++) {
      const int64_t group = i / blocks, row = i % blocks * plan.block, last = smaller(plan.rows, row + plan.block);
      transform_input(job, plan, group, row, last, 0, plan.c, scratch, input, input_step);
      for (int64_t panel = 0; panel < plan.panels; panel += 2) {
        multiply_tiles(plan, (last - row) * plan.wide, input, input_step,
                       weights + (group * plan.panels + panel) * plan.panel_size, smaller(2, plan.panels - panel),
                       products, step);
        transform_output(job, plan, group, row, last, panel * kColumns<T>, products, step);
      }
    }
  });
  return failed ? kOutOfMemory : kOk;
}

// Few tiles and many channels: the tiles are transformed first, then each task makes the weights of some channels out, unless
// they were kept, and takes them through all tiles.
template <class T>
Status by_channels(const Correlation<T>& job, const WinogradPlan<T>& plan, const Pool& pool) {
  const int64_t input_step = plan.tiles * plan.c + 16;
  bool ready;
  T* const kept = kept_weights(job, kWinogradPanels, job.groups * plan.panels * plan.panel_size, &ready);
  T* const input =
      static_cast<T*>(pool.scratch(pool.self, -1, static_cast<size_t>(kFrequencies * input_step) * sizeof(T)));
  if (!input) return kOutOfMemory;
  const int64_t patch = round_up(kTileIn * (plan.wide * kTileOut + 2) * Vec<T>::N, 16);
  const int64_t tiles = smaller(plan.tiles, plan.block * plan.wide), step = tiles * kChannelsOut<T> + 16;
  const int64_t rounds = divide_up(plan.panels, 2), parts = plan.c / Vec<T>::N;
  int32_t failed = 0;
  for (int64_t group = 0; group < job.groups && !failed; group++) {
    parallel_for(pool, parts, 4, [&](int64_t begin, int64_t end, int worker) {
      T* const scratch = static_cast<T*>(pool.scratch(pool.self, worker, static_cast<size_t>(patch) * sizeof(T)));
      if (!scratch) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
      transform_input(job, plan, group, 0, plan.rows, begin * Vec<T>::N, end * Vec<T>::N, scratch, input, input_step);
    });
    if (failed) break;
    parallel_for(pool, rounds, 1, [&](int64_t begin, int64_t end, int worker) {
      const int64_t own = kept ? 0 : 2 * plan.panel_size;
      T* const scratch =
          static_cast<T*>(pool.scratch(pool.self, worker, static_cast<size_t>(own + kFrequencies * step) * sizeof(T)));
      if (!scratch) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
      T* const products = scratch + own;
      for (int64_t i = begin; i < end; i++) {
        const int64_t panels = smaller(2, plan.panels - 2 * i);
        T* const weights = kept ? kept + (group * plan.panels + 2 * i) * plan.panel_size : scratch;
        for (int64_t p = 0; p < panels && !ready; p++)
          transform_weights(job, plan, group, 2 * i + p, 0, plan.c, weights + p * plan.panel_size);
        for (int64_t row = 0; row < plan.rows; row += plan.block) {
          const int64_t last = smaller(plan.rows, row + plan.block);
          multiply_tiles(plan, (last - row) * plan.wide, input + row * plan.wide * plan.c, input_step, weights, panels,
                         products, step);
          transform_output(job, plan, group, row, last, 2 * i * kColumns<T>, products, step);
        }
      }
    });
  }
  return failed ? kOutOfMemory : kOk;
}

}  // namespace

bool winograd_pays(int64_t images, int64_t c, int64_t m, int64_t high, int64_t wide) {
  if (c < 16 || m < 16) return false;
  const double tiles =
      static_cast<double>(images) * static_cast<double>(divide_up(high, kTileOut) * divide_up(wide, kTileOut));
  const double channels = static_cast<double>(c) * static_cast<double>(m);
  // Cycles by way of 16 products each: the direct way at 85 % of the peak; here the products, the transforms, and the weights,
  // which are transformed, or read from memory where they are kept.
  const double positions = static_cast<double>(images) * static_cast<double>(high * wide);
  const double direct = positions * channels * 9 / 16 / 0.85;
  const double tile_groups =
      tiles < kRows ? tiles + 1 : static_cast<double>(round_up(static_cast<int64_t>(tiles), kRows));
  const double products = tile_groups * channels * kFrequencies / 16 / 0.85;
  const double weights = channels * (positions <= kKeptPositions ? 10 : 20);
  const double transforms = tiles * static_cast<double>(c) * 24 + tiles * static_cast<double>(m) * 16;
  return products + transforms + weights < 0.9 * direct;
}

template <class T>
Status correlate_winograd(const Correlation<T>& job, const Pool& pool) {
  const WinogradPlan<T> plan = make_plan(job);
  return plan.weights_last ? by_channels(job, plan, pool) : by_tiles(job, plan, pool);
}

template Status correlate_winograd<float>(const Correlation<float>&, const Pool&);

}  // namespace MYELIN_ISA
}  // namespace myelin
