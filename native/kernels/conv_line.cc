// Correlation of rows of one channel with windows of a few taps: first layers of one dimension, and depthwise ones. What the taps
// of one or two vectors of output columns read is loaded once, for all output channels.
#include "conv_bands.h"
#include "conv_depthwise.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int kMostTaps = 8;
constexpr int64_t kBandPositions = 4096;  // of a task

// Vectors of columns whose inputs stay in registers, stride 0 being any.
constexpr int line_vectors(int stride, int taps) {
#if defined(__AVX512F__) || defined(__ARM_NEON)
  return stride > 0 && taps > 0 ? 2 : 1;
#else
  return stride > 0 && taps <= 6 ? 2 : 1;
#endif
}

template <class T>
struct Line {
  int64_t stride, step;      // between what neighbouring columns, and neighbouring taps, read
  const T *weights, *shift;  // (channels, taps), (channels)
  int64_t channels, ym;
  bool relu;
};

// `blocks` times V vectors of columns of each channel, of which `lanes` of each vector count.
template <class T, int K, int V, int S>
void micro_line(const Line<T>& s, const T* x, int64_t blocks, int lanes, T* y) {
  constexpr int N = Vec<T>::N;
  const int64_t stride = S > 0 ? S : s.stride;
  const auto finish = [&](Vec<T> sum, T* to) { store_part(to, relu_if(s.relu, sum), lanes); };
  const auto read = [&](int t, int v) { return load_stepped<T, S>(x + t * s.step + v * N * stride, stride, N); };
  if (S > 0 && s.channels == 1) {
    Vec<T> w[K];
#pragma GCC unroll 8
    for (int t = 0; t < K; t++) w[t] = set1<T>(s.weights[t]);
    const Vec<T> shift = set1<T>(s.shift[0]);
    for (int64_t b = 0; b < blocks; b++, x += V * N * stride, y += V * N) {
#pragma GCC unroll 2
      for (int v = 0; v < V; v++) {
        Vec<T> sum = shift;
#pragma GCC unroll 8
        for (int t = 0; t < K; t++) sum = fma(w[t], read(t, v), sum);
        finish(sum, y + v * N);
      }
    }
    return;
  }
  for (int64_t b = 0; b < blocks; b++, x += V * N * stride, y += V * N) {
    Vec<T> in[K][V];
#pragma GCC unroll 8
    for (int t = 0; t < K; t++) {
#pragma GCC unroll 2
      for (int v = 0; v < V; v++) in[t][v] = read(t, v);
    }
    const T* w = s.weights;
    T* to = y;
    for (int64_t m = 0; m < s.channels; m++, w += K, to += s.ym) {
      Vec<T> sum[V];
#pragma GCC unroll 2
      for (int v = 0; v < V; v++) sum[v] = set1<T>(s.shift[m]);
#pragma GCC unroll 8
      for (int t = 0; t < K; t++) {
        const Vec<T> wt = set1<T>(w[t]);
#pragma GCC unroll 2
        for (int v = 0; v < V; v++) sum[v] = fma(wt, in[t][v], sum[v]);
      }
#pragma GCC unroll 2
      for (int v = 0; v < V; v++) finish(sum[v], to + v * N);
    }
  }
}

template <class T>
using MicroLine = void (*)(const Line<T>&, const T*, int64_t, int, T*);
// of[0 … 2] of a stride of any, 1 and 2, [taps - 1], of one vector and of most. Float64 takes the general one.
template <class T>
struct LineTable {
  MicroLine<T> of[sizeof(T) == 4 ? 3 : 1][kMostTaps][2];
  template <int S, int... K>
  constexpr void fill(Lanes<K...>) {
    ((of[S][K][0] = micro_line<T, K + 1, 1, S>), ...);
    ((of[S][K][1] = micro_line<T, K + 1, line_vectors(S, K + 1), S>), ...);
  }
  constexpr LineTable() : of{} {
    fill<0>(typename MakeLanes<kMostTaps>::type{});
    if constexpr (sizeof(T) == 4) {
      fill<1>(typename MakeLanes<kMostTaps>::type{});
      fill<2>(typename MakeLanes<kMostTaps>::type{});
    }
  }
};
template <class T>
constexpr LineTable<T> line_table{};

// Columns [q0, q1) of one row of x and its channels of y. edge: room for what the columns of one call read.
template <class T>
void run_line(const Axis& w, const Line<T>& line, const T* x, int64_t q0, int64_t q1, T* y, T* edge) {
  constexpr int64_t N = Vec<T>::N;
  const int s = sizeof(T) == 4 && w.stride <= 2 ? static_cast<int>(w.stride) : 0;
  const MicroLine<T>* const micro = line_table<T>.of[s][w.taps - 1];
  const int64_t wide = line_vectors(s, static_cast<int>(w.taps)) * N, reach = (w.taps - 1) * w.step + 1;
  for (int64_t q = q0, some = 0; q < q1; q += some) {
    // The last columns are taken together with some before them.
    const int64_t left = q1 - q, each = left > N && q1 - q0 >= wide ? wide : N;
    const int64_t at = left < each && q1 - q0 >= each ? q1 - each : q;
    const int64_t first = at * w.stride + w.offset, span = (each - 1) * w.stride + reach;
    const int lanes = static_cast<int>(smaller(N, q1 - at));
    const MicroLine<T> run = micro[each > N];
    some = smaller(left, each);
    if (first >= 0 && first + span <= w.in) {
      const int64_t room = (w.in - first - span) / (each * w.stride) + 1;
      const int64_t blocks = larger(1, smaller(room, left / each));
      run(line, x + first, blocks, lanes, y + at);
      if (blocks > 1) some = blocks * each;
      continue;
    }
    const int64_t lead = smaller(span, larger(0, -first)), to = larger(lead, smaller(span, w.in - first));
    copy_row<1>(x + first, 1, lead, to, span, edge);
    run(line, edge, 1, lanes, y + at);
  }
}

}  // namespace

template <class T>
bool line_pays(const Correlation<T>& job) {
  const Axis &h = job.h, &w = job.w;
  return job.c == 1 && h.in == 1 && h.out == 1 && h.taps == 1 && h.offset == 0 && job.yw == 1 && w.taps <= kMostTaps &&
         w.step > 0 && w.stride <= 16 && w.step <= 64;
}

template <class T>
Status correlate_line(const Correlation<T>& job, const Pool& pool) {
  const int64_t taps = job.w.taps, channels = job.groups * job.m;
  T* const weights =
      static_cast<T*>(pool.scratch(pool.self, -1, static_cast<size_t>(channels * (taps + 1)) * sizeof(T)));
  if (!weights) return kOutOfMemory;
  T* const shift = weights + channels * taps;
  for (int64_t i = 0; i < channels; i++) {
    const T* const from = job.weight + i / job.m * job.wg + i % job.m * job.wm + job.h.first * job.wh;
    for (int64_t t = 0; t < taps; t++)
      weights[i * taps + t] = scale_of(job, i) * from[(job.w.first + t * job.w.every) * job.ww];
    shift[i] = bias_of(job, i);
  }
  const int64_t n = job.w.out, bands = divide_up(n, kBandPositions), items = job.images * job.groups * bands;
  const double each = static_cast<double>(smaller(n, kBandPositions) * job.m * taps + 100);
  const double products = each * static_cast<double>(items);
  const int64_t grain = products <= kSerialProducts ? items : static_cast<int64_t>(kDepthwiseTask / each) + 1;
  const int64_t edge = 2 * Vec<T>::N * job.w.stride + taps * job.w.step + 2 * Vec<T>::N;
  int32_t failed = 0;
  parallel_for(pool, items, grain, [&](int64_t begin, int64_t end, int worker) {
    T* const room = static_cast<T*>(pool.scratch(pool.self, worker, static_cast<size_t>(edge) * sizeof(T)));
    if (!room) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    for (int64_t i = begin; i < end; i++) {
      const int64_t band = i % bands, group = i / bands % job.groups, image = i / bands / job.groups;
      const int64_t first = group * job.m, q0 = n * band / bands, q1 = n * (band + 1) / bands;
      const Line<T> line = {job.w.stride, job.w.step, weights + first * taps, shift + first, job.m, job.ym, job.relu};
      run_line(job.w, line, job.x + image * job.xn + group * job.xg, q0, q1, job.y + image * job.yn + group * job.yg,
               room);
    }
  });
  return failed ? kOutOfMemory : kOk;
}

template bool line_pays<float>(const Correlation<float>&);
template bool line_pays<double>(const Correlation<double>&);
template Status correlate_line<float>(const Correlation<float>&, const Pool&);
template Status correlate_line<double>(const Correlation<double>&, const Pool&);

}  // namespace MYELIN_ISA
}  // namespace myelin
