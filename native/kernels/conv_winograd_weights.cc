// The gradient of 3×3 weights of stride 1 by Winograd's F(4×4, 3×3): tiles of x and of dy are taken to 36 frequencies, where the
// sum over tiles is 36 products of matrices (channels in × tiles) · (tiles × channels out), and the sums back to windows.
#include "conv_winograd.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int64_t kRoundTiles = 192;   // transformed at a time
constexpr int64_t kChunk = 8 * kRows;  // channels in of a task

template <class T>
struct GradientPlan {
  int64_t high, wide, rows;  // tiles of an image by rows and columns, rows of tiles in all
  int64_t round, rounds;     // rows of tiles transformed at a time
  int64_t c, m, padded, panels,
      chunks;  // channels of a group; those in rounded up; panels of those out; chunks of those in
  int64_t x_step, dy_step, dy_panel;  // between frequencies of x; of dy in a panel; between panels of dy
  int64_t sum_step, sum_size;         // between frequencies of the sums of a task; of a task
};

template <class T>
GradientPlan<T> make_gradient_plan(const ConvShape& s) {
  GradientPlan<T> p;
  p.high = divide_up(s.oh, kTileOut), p.wide = divide_up(s.ow, kTileOut), p.rows = s.n * p.high;
  p.rounds = divide_up(p.rows, larger(1, kRoundTiles / p.wide));
  p.round = divide_up(p.rows, p.rounds);
  p.rounds = divide_up(p.rows, p.round);
  p.c = s.c / s.groups, p.m = s.m / s.groups;
  p.padded = round_up(p.c, Vec<T>::N), p.panels = divide_up(p.m, kColumns<T>), p.chunks = divide_up(p.c, kChunk);
  p.x_step = p.round * p.wide * p.padded + 16;
  p.dy_step = p.round * p.wide * kColumns<T> + 16;
  p.dy_panel = kFrequencies * p.dy_step;
  p.sum_step = kChunk * kColumns<T> + 16;
  p.sum_size = kFrequencies * p.sum_step;
  return p;
}

// x's tiles of rows [row0, row1), channels [c, c + N).
template <class T>
void transform_x(const ConvShape& s, const GradientPlan<T>& plan, int64_t group, int64_t row, int64_t tile, int64_t c,
                 const T* x, T* patch, T* out) {
  constexpr int N = Vec<T>::N;
  const int64_t columns = plan.wide * kTileOut + 2;
  const Plane<T> plane = {x + (row / plan.high * s.c + group * plan.c + c) * s.h * s.w, s.h * s.w, s.w, s.h, s.w};
  load_patch(plane, static_cast<int>(smaller(N, plan.c - c)), row % plan.high * kTileOut - s.pad_h, -s.pad_w, kTileIn,
             columns, patch);
  for (int64_t t = 0; t < plan.wide; t++)
    transform_tile(patch + t * kTileOut * N, columns * N, out + (tile + t) * plan.padded + c, plan.x_step);
}

// dy's, channels [m, m + N): A dy Aᵀ.
template <class T>
void transform_dy(const ConvShape& s, const GradientPlan<T>& plan, int64_t group, int64_t row, int64_t tile, int64_t m,
                  const T* dy, T* patch, T* out) {
  constexpr int N = Vec<T>::N, W = kColumns<T>;
  const int64_t columns = plan.wide * kTileOut;
  const Plane<T> plane = {dy + (row / plan.high * s.m + group * plan.m + m) * s.oh * s.ow, s.oh * s.ow, s.ow, s.oh,
                          s.ow};
  load_patch(plane, static_cast<int>(larger(0, smaller(N, plan.m - m))), row % plan.high * kTileOut, 0, kTileOut,
             columns, patch);
  T* const to = out + m / W * plan.dy_panel + m % W;
  for (int64_t t = 0; t < plan.wide; t++) {
    const T* const d = patch + t * kTileOut * N;
    Vec<T> half[kTileIn * kTileOut];
#pragma GCC unroll 4
    for (int w = 0; w < kTileOut; w++) {
      Vec<T> column[kTileOut];
#pragma GCC unroll 4
      for (int h = 0; h < kTileOut; h++) column[h] = load(d + (h * columns + w) * N);
      gradient_transform(column, 1, half + w, kTileOut);
    }
#pragma GCC unroll 6
    for (int h = 0; h < kTileIn; h++) {
      Vec<T> v[kTileIn];
      gradient_transform(half + h * kTileOut, 1, v, 1);
#pragma GCC unroll 6
      for (int w = 0; w < kTileIn; w++) store(to + (h * kTileIn + w) * plan.dy_step + (tile + t) * W, v[w]);
    }
  }
}

// sums[f·step + c·kColumns + m] (+)= Σ over tiles for one chunk of channels in and one panel of those out.
template <class T>
void sum_tiles(const GradientPlan<T>& plan, int64_t tiles, int64_t chunk, int64_t panel, const T* x, const T* dy,
               bool add, T* sums) {
  constexpr int64_t W = kColumns<T>;
  const int64_t c0 = chunk * kChunk, c1 = smaller(plan.c, c0 + kChunk);
  for (int f = 0; f < kFrequencies; f++) {
    const T* const b = dy + panel * plan.dy_panel + f * plan.dy_step;
    for (int64_t c = c0; c < c1; c += kRows) {
      const int rows = static_cast<int>(smaller(kRows, c1 - c));
      micro_table<T, false>.at[rows - 1][kVectors - 1](tiles, x + f * plan.x_step + c, 1, plan.padded, b, W,
                                                       sums + f * plan.sum_step + (c - c0) * W, W, add ? kAdd : kStore);
    }
  }
}

// Gᵀ sums G of a task to its place in dweight.
template <class T>
void put_windows(const GradientPlan<T>& plan, int64_t group, int64_t chunk, int64_t panel, const T* sums, T* dweight) {
  constexpr int N = Vec<T>::N, W = kColumns<T>;
  const int64_t c0 = chunk * kChunk, c1 = smaller(plan.c, c0 + kChunk);
  for (int v = 0; v < kVectors; v++) {
    const int64_t m0 = panel * W + v * N;
    const int count = static_cast<int>(larger(0, smaller(N, plan.m - m0)));
    for (int64_t c = c0; c < c1; c += N) {
      const int channels = static_cast<int>(smaller(N, c1 - c));
      Vec<T> windows[9 * N];
      for (int i = 0; i < channels; i++) {
        const T* const from = sums + (c - c0 + i) * W + v * N;
        Vec<T> half[3 * kTileIn];
        for (int w = 0; w < kTileIn; w++) {
          Vec<T> column[kTileIn];
          for (int h = 0; h < kTileIn; h++) column[h] = load(from + (h * kTileIn + w) * plan.sum_step);
          weight_gradient(column, 1, half + w, kTileIn);
        }
        for (int h = 0; h < 3; h++) weight_gradient(half + h * kTileIn, 1, windows + i * 9 + h * 3, 1);
      }
      T* const to = dweight + ((group * plan.m + m0) * plan.c + c) * 9;
      for (int k = 0; k < channels * 9; k += N) {
        const int n = channels * 9 - k < N ? channels * 9 - k : N;
        Vec<T> r[N];
        for (int i = 0; i < N; i++) r[i] = i < n ? windows[k + i] : zero<T>();
        transpose(r);
        for (int i = 0; i < count; i++) store_n(to + i * plan.c * 9 + k, r[i], n);
      }
    }
  }
}

}  // namespace

template <class T>
Status correlate_weights_winograd(const ConvShape& s, const T* x, const T* dy, T* dweight, const Pool& pool) {
  constexpr int N = Vec<T>::N, W = kColumns<T>;
  const GradientPlan<T> plan = make_gradient_plan<T>(s);
  const int64_t x_size = kFrequencies * plan.x_step, dy_size = plan.panels * plan.dy_panel;
  const int64_t tasks = plan.panels * plan.chunks;
  const bool once = plan.rounds == 1;
  T* const transformed = static_cast<T*>(pool.scratch(
      pool.self, -1, static_cast<size_t>(x_size + dy_size + (once ? 0 : tasks * plan.sum_size)) * sizeof(T)));
  if (!transformed) return kOutOfMemory;
  T *const transformed_dy = transformed + x_size, *const all_sums = transformed_dy + dy_size;
  const size_t patch_bytes = static_cast<size_t>(kTileIn * (plan.wide * kTileOut + 2) * N) * sizeof(T);
  const int64_t x_parts = plan.padded / N, parts = x_parts + plan.panels * (W / N);
  int32_t failed = 0;
  for (int64_t group = 0; group < s.groups; group++) {
    for (int64_t round = 0; round < plan.rounds; round++) {
      const int64_t row0 = round * plan.round, rows = smaller(plan.round, plan.rows - row0);
      parallel_for(pool, rows * parts, 8, [&](int64_t begin, int64_t end, int worker) {
        T* const patch = static_cast<T*>(pool.scratch(pool.self, worker, patch_bytes));
        if (!patch) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        for (int64_t i = begin; i < end; i++) {
          const int64_t row = i / parts, part = i % parts, tile = row * plan.wide;
          if (part < x_parts) {
            transform_x(s, plan, group, row0 + row, tile, part * N, x, patch, transformed);
          } else {
            transform_dy(s, plan, group, row0 + row, tile, (part - x_parts) * N, dy, patch, transformed_dy);
          }
        }
      });
      if (failed) return kOutOfMemory;
      parallel_for(pool, tasks, 1, [&](int64_t begin, int64_t end, int worker) {
        T* const own =
            once ? static_cast<T*>(pool.scratch(pool.self, worker, static_cast<size_t>(plan.sum_size) * sizeof(T)))
                 : nullptr;
        if (once && !own) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        for (int64_t i = begin; i < end; i++) {
          const int64_t chunk = i / plan.panels, panel = i % plan.panels;
          T* const sums = once ? own : all_sums + i * plan.sum_size;
          sum_tiles(plan, rows * plan.wide, chunk, panel, transformed, transformed_dy, round > 0, sums);
          if (round == plan.rounds - 1) put_windows(plan, group, chunk, panel, sums, dweight);
        }
      });
      if (failed) return kOutOfMemory;
    }
  }
  return kOk;
}

template Status correlate_weights_winograd<float>(const ConvShape&, const float*, const float*, float*, const Pool&);

}  // namespace MYELIN_ISA
}  // namespace myelin
