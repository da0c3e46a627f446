// Convolution with 1×1 windows: the product of the weights with the images as matrices of channels × positions, in place. Panels of
// positions are packed on the way through the first strip of output channels; a stride only changes what is packed.
#include "conv.h"
#include "stepped.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int64_t kPointDepth = 512;        // channels summed in registers
constexpr int64_t kStripBytes = 96 * 1024;  // of weights in use at a time
constexpr int64_t kGroupBytes = 96 * 1024;  // of panels that go by the weights together
constexpr int64_t kWantedTasks = 16;
constexpr int64_t kLeastPositions = 12;  // of an image

// Positions side by side in an image, of which `lane` is the first in a panel.
struct Run {
  int64_t from, to;  // offsets in x and y
  int lane, count;
  int room;    // columns of y from here on, of those that it is spread over
  bool below;  // the row after that is one too
};

// Panels of positions of all images one after the other.
template <class T>
struct PointPlan {
  static constexpr int64_t W = kColumns<T>;
  int64_t positions, panels;  // of an image; of all
  int64_t depth, strips;      // channels of a pass, panels of output channels
  int64_t block;              // strips of which the weights are in use together
  int64_t group, groups, cut, cuts;

  explicit PointPlan(const Correlation<T>& job) {
    constexpr int64_t size = sizeof(T);
    positions = job.h.out * job.w.out;
    panels = divide_up(job.images * positions, W);
    depth = divide_up(job.c, divide_up(job.c, kPointDepth * 4 / size));
    strips = divide_up(job.m, kRows);
    block = larger(1, kStripBytes / size / (depth * kRows));
    // Where the weights are more than that, several panels share each part of them.
    group = strips <= block ? 2 : larger(2, kGroupBytes / size / (depth * W));
    group = smaller(group, larger(1, divide_up(panels, kWantedTasks)));
    groups = divide_up(panels, group);
    const int64_t wanted = divide_up(kWantedTasks, groups * job.groups);
    cut = larger(divide_up(strips, wanted), smaller(strips, 6));
    cuts = divide_up(strips, cut);
  }
};

// The runs of panel p, at most a vector each; their count. *in_place: it is one stretch of an image, and *whole: of y too.
template <class T>
int find_runs(const Correlation<T>& job, const PointPlan<T>& plan, int64_t group, int64_t p, Run* runs, bool* in_place,
              bool* whole) {
  constexpr int W = kColumns<T>, N = Vec<T>::N;
  // Rows of x follow one another without gaps.
  const bool plain = job.w.stride == 1 && (job.h.out == 1 || (job.h.stride == 1 && job.xh == job.w.out));
  int64_t n = p * W / plan.positions, at = p * W % plan.positions;
  int count = 0;
  *whole = job.yw == 1 && at + W <= plan.positions;
  *in_place = plain && at + W <= plan.positions;
  for (int lane = 0; lane < W && n < job.images;) {
    const int64_t row = at / job.w.out, column = at % job.w.out;
    const int64_t left = smaller(job.w.out - column, W - lane);
    Run& run = runs[count++];
    run.lane = lane, run.count = static_cast<int>(smaller(N, left));
    run.from = n * job.xn + group * job.xg + (row * job.h.stride + job.h.offset) * job.xh + column * job.w.stride +
               job.w.offset;
    run.to = n * job.yn + group * job.yg + (job.yw == 1 ? at : row * job.yh + column * job.yw);
    run.room = static_cast<int>(smaller(2 * run.count, job.spread_w - 2 * column));
    run.below = 2 * row + 1 < job.spread_h;
    lane += run.count, at += run.count;
    if (at == plan.positions) at = 0, n++;
  }
  return count;
}

// packed[k·W + lane] = x at that run's position in channel k; 0 past the last. Up to a vector past the panel is written.
template <class T, int Stride>
void pack_runs(const T* x, int64_t xc, int64_t stride, const Run* runs, int count, int64_t depth, T* packed) {
  constexpr int W = kColumns<T>, N = Vec<T>::N;
  const int end = runs[count - 1].lane + runs[count - 1].count;
  for (int64_t k = 0; k < depth; k++, x += xc, packed += W) {
    prefetch(x + 8 * xc + runs[0].from), prefetch(x + 8 * xc + runs[count - 1].from);
    for (int i = 0; i < count; i++)
      store(packed + runs[i].lane, load_stepped<T, Stride>(x + runs[i].from, stride, runs[i].count));
    for (int lane = end; lane < W; lane += N) store(packed + lane, zero<T>());
  }
}

// Every second column of y, others in between and in the row below.
template <class T>
MYELIN_INLINE void put_spread(T* y, Vec<T> v, Vec<T> others, const Run& run, int64_t wide) {
  constexpr int N = Vec<T>::N;
  const int first = run.room < N ? run.room : N, second = run.room - first;
  store_part(y, shuffle<ZipLanes<N, 0>>(v, others), first);
  if (second > 0) store_part(y + N, shuffle<ZipLanes<N, 1>>(v, others), second);
  if (!run.below) return;
  store_part(y + wide, others, first);
  if (second > 0) store_part(y + wide + N, others, second);
}

// y = finish(what is there + tile) over the runs of a panel, for `rows` output channels from m on.
template <class T>
void put_runs(const Correlation<T>& job, int64_t channel, int64_t m, int rows, const Run* runs, int count,
              const T* tile, bool add, bool last) {
  constexpr int W = kColumns<T>;
  for (int i = 0; i < rows; i++) {
    const Finish<T> finish(job, channel + i);
    const Vec<T> others = relu_if(job.relu, finish.bias);
    for (int r = 0; r < count; r++) {
      T* const y = job.y + (m + i) * job.ym + runs[r].to;
      Vec<T> v = load_part(tile + i * W + runs[r].lane, runs[r].count);
      if (add) v = v + (job.yw == 1 ? load_part(y, runs[r].count) : load_stepped<T, 2>(y, 2, runs[r].count));
      if (last) v = finish(v);
      if (job.yw == 2) {
        put_spread(y, v, others, runs[r], job.spread_w);
        continue;
      }
      store_part(y, v, runs[r].count);
    }
  }
}

// Strips [s0, s1) of panels [p0, p1). own holds the packed panels of one pass.
template <class T>
void run_points(const Correlation<T>& job, const PointPlan<T>& plan, int64_t group, int64_t p0, int64_t p1, int64_t s0,
                int64_t s1, const T* weights, T* own) {
  constexpr int64_t W = kColumns<T>;
  const bool finishing = job.bias || job.scale || job.relu;
  alignas(64) T tile[kRows * W + Vec<T>::N];
  const auto pack = job.w.stride == 1 ? pack_runs<T, 1> : job.w.stride == 2 ? pack_runs<T, 2> : pack_runs<T, 0>;
  for (int64_t k0 = 0; k0 < job.c; k0 += plan.depth) {
    const int64_t depth = smaller(plan.depth, job.c - k0);
    const bool add = k0 > 0, last = k0 + depth == job.c;
    const T* const x = job.x + k0 * job.xc;
    for (int64_t block = s0; block < s1; block += plan.block) {
      const int64_t end = smaller(s1, block + plan.block);
      for (int64_t p = p0; p < p1; p++) {
        Run runs[W];
        bool in_place, whole;
        const int count = find_runs(job, plan, group, p, runs, &in_place, &whole);
        T* const packed = own + (p - p0) * (plan.depth * W);
        const bool fresh = block == s0;
        const bool copying = fresh && in_place && (block + 1) * kRows <= job.m;
        if (fresh && !copying) pack(x, job.xc, job.w.stride, runs, count, depth, packed);
        const bool direct = whole && !(finishing && last);
        // Lines of the next panel, a few with each strip.
        const int64_t lines = in_place && fresh ? divide_up(depth, end - block) : 0;
        const T* ahead = x + runs[0].from + W;
        for (int64_t s = block; s < end; s++) {
          const int64_t m = s * kRows;
          const int rows = static_cast<int>(smaller(kRows, job.m - m));
          const T* const a = weights + (s * job.c + k0) * kRows;
          T* const to = direct ? job.y + m * job.ym + runs[0].to : tile;
          const int64_t ts = direct ? job.ym : W;
          const TileMode mode = direct && add ? kAdd : kStore;
          for (int64_t i = 0; i < lines; i++, ahead += job.xc) prefetch(ahead);
          // And those that the next strip writes.
          if (direct && s + 1 < end) {
            for (int i = 0; i < kRows; i++) prefetch(to + (kRows + i) * job.ym);
          } else if (s + 1 < end) {
            for (int r = 0; r < count; r++) {
              const T* const next = job.y + (m + kRows) * job.ym + runs[r].to;
              for (int i = 0; i < kRows; i++) {
                prefetch(next + i * job.ym);
                if (runs[r].below) prefetch(next + i * job.ym + job.spread_w);
              }
            }
          }
          if (copying && s == block) {
            micro_copy<T, true>(depth, a, 1, kRows, x + runs[0].from, job.xc, to, ts, mode, packed);
          } else {
            micro_table<T, true>.at[rows - 1][kVectors - 1](depth, a, 1, kRows, packed, W, to, ts, mode);
          }
          if (!direct) put_runs(job, group * job.m + m, m, rows, runs, count, tile, add, last);
        }
      }
    }
  }
}

}  // namespace

template <class T>
bool points_pay(const Correlation<T>& job) {
  const auto inside = [](const Axis& a) {
    return a.taps == 1 && a.offset >= 0 && (a.out - 1) * a.stride + a.offset < a.in;
  };
  const bool adjacent = job.yw == 1 && (job.h.out == 1 || job.yh == job.w.out);
  return inside(job.h) && inside(job.w) && (adjacent || job.spread_w > 0) && job.c >= 8 && job.m >= kRows &&
         job.h.out * job.w.out >= kLeastPositions;
}

template <class T>
Status correlate_points(const Correlation<T>& job, const Pool& pool) {
  constexpr int64_t W = kColumns<T>;
  const PointPlan<T> plan(job);
  const int64_t panel_size = job.c * kRows, cells = job.groups * plan.strips;
  const double products = static_cast<double>(job.images * plan.positions) * static_cast<double>(job.c) *
                          static_cast<double>(job.m) * static_cast<double>(job.groups);
  bool ready;
  T* const packed = packed_weights(job, kRowPanels, cells * panel_size, &ready);
  if (!packed) return kOutOfMemory;
  parallel_for(pool, ready ? 0 : cells, products <= kSerialProducts ? cells : 32768 / panel_size + 1,
               [&](int64_t begin, int64_t end, int) {
                 for (int64_t i = begin; i < end; i++)
                   pack_filters<kRows, T>(job, i / plan.strips, i % plan.strips, packed + i * panel_size);
               });
  const size_t bytes = static_cast<size_t>(plan.group * plan.depth * W + Vec<T>::N) * sizeof(T);
  const int64_t tasks = job.groups * plan.groups * plan.cuts;
  const int64_t grain = products <= kSerialProducts
                            ? tasks
                            : static_cast<int64_t>(kSerialProducts * static_cast<double>(tasks) / products) + 1;
  int32_t failed = 0;
  parallel_for(pool, tasks, grain, [&](int64_t begin, int64_t end, int worker) {
    T* const own = static_cast<T*>(pool.scratch(pool.self, worker, bytes));
    if (!own) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    for (int64_t t = begin; t < end; t++) {
      const int64_t cut = t % plan.cuts, rest = t / plan.cuts, group = rest / plan.groups;
      const int64_t p0 = rest % plan.groups * plan.group, p1 = smaller(plan.panels, p0 + plan.group);
      run_points(job, plan, group, p0, p1, cut * plan.cut, smaller(plan.strips, (cut + 1) * plan.cut),
                 packed + group * plan.strips * panel_size, own);
    }
  });
  return failed ? kOutOfMemory : kOk;
}

template bool points_pay<float>(const Correlation<float>&);
template bool points_pay<double>(const Correlation<double>&);
template Status correlate_points<float>(const Correlation<float>&, const Pool&);
template Status correlate_points<double>(const Correlation<double>&, const Pool&);

}  // namespace MYELIN_ISA
}  // namespace myelin
