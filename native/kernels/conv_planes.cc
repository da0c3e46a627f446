// Depthwise correlation, one channel in and one out a group, with vectors across planes: N planes are turned into a copy, with its
// padding, whose elements are vectors of one position of N planes. A tap then is a multiply-add of aligned vectors for any window
// and stride, and outputs are turned back in registers.
#include "conv_bands.h"
#include "conv_depthwise.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int64_t kCopyBytes = 160 * 1024;  // of a band's copy
constexpr int64_t kWantedTasks = 16;        // of the gradient by weight
constexpr int64_t kSummed = 256;            // positions of the gradient by weight in one sum, about

// Outputs of a row up to which the gradient by weight is computed so.
template <class T>
constexpr int64_t kWidest = Vec<T>::N;

// Columns of outputs in registers at a time.
template <class T>
constexpr int kSpots = Vec<T>::N > 8 ? Vec<T>::N : 8;

// Decided by the shape alone.
template <class T>
struct PlanesPlan {
  static constexpr int64_t N = Vec<T>::N;
  int64_t blocks;       // of N planes
  int64_t rows, bands;  // of outputs: rows of a band, bands of a plane
  int64_t high, wide;   // of a band's copy

  explicit PlanesPlan(const Correlation<T>& job) {
    const Axis &h = job.h, &w = job.w;
    blocks = divide_up(job.groups, N);
    wide = (round_up(w.out, kSpots<T>) - 1) * w.stride + (w.taps - 1) * w.step + 1;
    const int64_t most = kCopyBytes / static_cast<int64_t>(sizeof(T)) / (wide * N), reach = (h.taps - 1) * h.step;
    rows = smaller(h.out, most > reach ? (most - reach - 1) / h.stride + 1 : 1);
    bands = divide_up(h.out, rows);
    rows = divide_up(h.out, bands);
    high = (rows - 1) * h.stride + reach + 1;
  }
  int64_t copy_size() const { return (high * wide + 1) * N; }
};

// Rows of outputs of `planes` planes. Steps are in elements of the copy.
template <class T>
struct PlanesBand {
  const T *copy, *weights, *shift;  // (taps, N) and (N)
  int64_t row_step, column_step;    // between rows and between columns of taps
  int64_t next_row, next;           // between what rows, and neighbouring columns, of outputs read
  int64_t high, wide;               // taps
  int64_t first, stride, step,
      in;             // rows of x: the first one read, what those of outputs and of taps are apart; how many there are
  int64_t rows, out;  // of outputs: rows and columns
  int planes;
  bool relu;
  T* y;
  int64_t ym, yh;
};

// K taps a row, next to each other, or any (0), at stride S or any (0).
template <class T, int K, int S>
void run_planes(const PlanesBand<T>& s) {
  constexpr int N = Vec<T>::N, Q = kSpots<T>;
  const int64_t next = S > 0 ? S * N : s.next, taps = K > 0 ? K : s.wide, step = K > 0 ? N : s.column_step;
  const int64_t room = s.yh == s.out ? s.rows * s.out : 0;  // of y, of which what comes later is written anew
  for (int64_t r = 0, ih = s.first; r < s.rows; r++, ih += s.stride) {
    // Taps above and below the image are left out.
    int64_t h0 = 0, h1 = s.high;
    while (h0 < h1 && ih + h0 * s.step < 0) h0++;
    while (h0 < h1 && ih + (h1 - 1) * s.step >= s.in) h1--;
    const T *const row = s.copy + r * s.next_row + h0 * s.row_step, *const weights = s.weights + h0 * taps * N;
    for (int64_t q = 0; q < s.out; q += Q) {
      Vec<T> acc[Q];
      const Vec<T> shift = load(s.shift);
#pragma GCC unroll 16
      for (int i = 0; i < Q; i++) acc[i] = shift;
      const T *x = row + q * next, *w = weights;
      for (int64_t h = h0; h < h1; h++, x += s.row_step) {
        if constexpr (K == 3) {
          const Vec<T> w0 = load(w), w1 = load(w + N), w2 = load(w + 2 * N);
          w += K * N;
#pragma GCC unroll 64
          for (int j = 0; j < (Q - 1) * S + K; j++) {
            const Vec<T> xv = load(x + j * N);
#pragma GCC unroll 16
            for (int i = 0; i < Q; i++) {
              const int t = j - i * S;
              if (t >= 0 && t < K) acc[i] = fma(t == 0 ? w0 : t == 1 ? w1 : w2, xv, acc[i]);
            }
          }
        } else {
          // Each step goes through all sums: in another order, with fewer loads, they would wait for each other.
          const T* from = x;
#pragma GCC unroll 8
          for (int64_t t = 0; t < taps; t++, from += step, w += N) {
            const Vec<T> wt = load(w);
#pragma GCC unroll 16
            for (int i = 0; i < Q; i++) acc[i] = fma(wt, load(from + i * next), acc[i]);
          }
        }
      }
#pragma GCC unroll 8
      for (int part = 0; part < Q / N; part++) {
        const int64_t at = q + part * N;
        if (at >= s.out) break;
        Vec<T>* const v = acc + part * N;
#pragma GCC unroll 16
        for (int i = 0; i < N; i++) v[i] = relu_if(s.relu, v[i]);
        transpose(v);
        T* const y = s.y + r * s.yh + at;
        if ((at + N <= s.out || r * s.out + at + N <= room) && s.planes == N) {
#pragma GCC unroll 16
          for (int i = 0; i < N; i++) store(y + i * s.ym, v[i]);
          continue;
        }
        const int some = static_cast<int>(smaller(N, s.out - at));
#pragma GCC unroll 16
        for (int i = 0; i < N; i++) {
          if (i < s.planes) store_part(y + i * s.ym, v[i], some);
        }
      }
    }
  }
}

template <class T>
using RunPlanes = void (*)(const PlanesBand<T>&);
template <class T>
RunPlanes<T> planes_kernel(int64_t taps, int64_t step, int64_t stride) {
  if constexpr (sizeof(T) == 4) {
    if (taps == 3 && step == 1 && stride <= 2) return stride == 1 ? run_planes<T, 3, 1> : run_planes<T, 3, 2>;
    if (taps == 5 && step == 1 && stride <= 2) return stride == 1 ? run_planes<T, 5, 1> : run_planes<T, 5, 2>;
    if (taps == 7 && step == 1 && stride == 1) return run_planes<T, 7, 1>;
  }
  return stride == 1 ? run_planes<T, 0, 1> : run_planes<T, 0, 0>;
}

// Where the columns of the rows that a band reads go in the copy: at[row·w.in + column]. Those that nothing reads go past its end.
template <class T>
void list_places(const Correlation<T>& job, const PlanesPlan<T>& plan, int32_t* at) {
  constexpr int64_t N = Vec<T>::N;
  const int64_t before = smaller(job.w.in, larger(0, job.w.offset)), end = smaller(job.w.in, plan.wide + job.w.offset);
  for (int64_t r = 0; r < plan.high; r++, at += job.w.in) {
    for (int64_t q = 0; q < job.w.in; q++) at[q] = static_cast<int32_t>((r * plan.wide + q - job.w.offset) * N);
    for (int64_t q = 0; q < before; q++) at[q] = static_cast<int32_t>(plan.high * plan.wide * N);
    for (int64_t q = larger(0, end); q < job.w.in; q++) at[q] = static_cast<int32_t>(plan.high * plan.wide * N);
  }
}

// Zeros beside the columns of x.
template <class T>
void clear_margins(const Correlation<T>& job, const PlanesPlan<T>& plan, T* copy) {
  constexpr int64_t N = Vec<T>::N;
  const int64_t lead = smaller(plan.wide, larger(0, -job.w.offset)), end = larger(lead, job.w.in - job.w.offset);
  for (int64_t r = 0; r < plan.high; r++, copy += plan.wide * N) {
    for (int64_t q = 0; q < lead; q++) store(copy + q * N, zero<T>());
    for (int64_t q = end; q < plan.wide; q++) store(copy + q * N, zero<T>());
  }
}

// Vectors of `count` positions of `planes` planes, `step` apart: that of position q goes to place(q).
template <class T, class F>
MYELIN_INLINE void turn_positions(const T* x, int64_t step, int planes, int64_t count, const F& place) {
  constexpr int N = Vec<T>::N;
  for (int64_t begin = 0; begin < count; begin += N) {
    // The last vector overlaps the one before rather than being part of one.
    const int64_t q = begin + N > count && count >= N ? count - N : begin;
    Vec<T> r[N];
    if (planes == N && count >= N) {
#pragma GCC unroll 16
      for (int c = 0; c < N; c++) r[c] = load(x + c * step + q);
    } else {
      const int some = static_cast<int>(smaller(N, count - q));
      for (int c = 0; c < N; c++) r[c] = c < planes ? load_n(x + c * step + q, some) : zero<T>();
    }
    transpose(r);
    if (count >= N) {
#pragma GCC unroll 16
      for (int c = 0; c < N; c++) store(place(q + c), r[c]);
    } else {
      for (int c = 0; c < count; c++) store(place(c), r[c]);
    }
  }
}

// What `rows` rows of outputs from `row` on read of `planes` planes from x on.
template <class T>
void turn_planes(const Correlation<T>& job, int planes, const T* x, int64_t row, int64_t rows, const int32_t* at,
                 T* copy) {
  const Axis &h = job.h, &w = job.w;
  const int64_t first = row * h.stride + h.offset, last = first + (rows - 1) * h.stride + (h.taps - 1) * h.step;
  const int64_t from = larger(0, first), count = (smaller(h.in - 1, last) + 1 - from) * w.in;
  at += (from - first) * w.in, x += from * w.in;
  turn_positions(x, job.xg, planes, count, [&](int64_t q) { return copy + at[q]; });
}
// Whole planes, `area` apart, as they lie.
template <class T>
void turn_all(const T* x, int64_t area, int planes, T* to) {
  turn_positions(x, area, planes, area, [&](int64_t q) { return to + q * Vec<T>::N; });
}

// sums[tap] += Σ over q < n of R rows of dy, `pitch` apart, times what 3×3 taps at stride S read of the copy x, `wide` apart by rows.
template <class T, int S, int R>
MYELIN_INLINE void add_taps(const T* x, int64_t wide, const T* dy, int64_t pitch, int64_t n, Vec<T>* sums) {
  constexpr int N = Vec<T>::N;
  for (int64_t q = 0; q < n; q++, x += S * N, dy += N) {
    Vec<T> d[R];
#pragma GCC unroll 2
    for (int j = 0; j < R; j++) d[j] = load(dy + j * pitch);
#pragma GCC unroll 5
    for (int i = 0; i < (R - 1) * S + 3; i++) {
#pragma GCC unroll 3
      for (int c = 0; c < 3; c++) {
        const Vec<T> v = load(x + i * wide + c * N);
#pragma GCC unroll 2
        for (int j = 0; j < R; j++) {
          const int t = i - j * S;
          if (t >= 0 && t <= 2) sums[3 * t + c] = fma(d[j], v, sums[3 * t + c]);
        }
      }
    }
  }
}
template <class T, int S>
void add_band(const T* x, int64_t wide, const T* dy, int64_t rows, int64_t n, T* into) {
  constexpr int N = Vec<T>::N;
  Vec<T> sums[9];
#pragma GCC unroll 9
  for (int k = 0; k < 9; k++) sums[k] = load(into + k * N);
  int64_t r = 0;
  for (; r + 2 <= rows; r += 2) add_taps<T, S, 2>(x + r * S * wide, wide, dy + r * n * N, n * N, n, sums);
  if (r < rows) add_taps<T, S, 1>(x + r * S * wide, wide, dy + r * n * N, n * N, n, sums);
#pragma GCC unroll 9
  for (int k = 0; k < 9; k++) store(into + k * N, sums[k]);
}

}  // namespace

template <class T>
bool planes_pay(const Correlation<T>& job) {
  constexpr int64_t N = Vec<T>::N, most = kCopyBytes / static_cast<int64_t>(sizeof(T)) / N;
  const Axis &h = job.h, &w = job.w;
  if (job.c != 1 || job.m != 1 || job.groups < N || job.yw != 1 || h.out == 1 || job.xh != w.in) return false;
  if (larger(h.stride, w.stride) > 4 || larger(h.step, w.step) > 64 || h.taps * w.taps > 512) return false;
  if (larger(w.out, w.in) > most || larger(h.out, h.in) > most) return false;
  const PlanesPlan<T> plan(job);
  return plan.copy_size() <= 2 * most * N;
}

template <class T>
Status correlate_planes(const Correlation<T>& job, const Pool& pool) {
  constexpr int N = Vec<T>::N;
  const PlanesPlan<T> plan(job);
  const Axis &h = job.h, &w = job.w;
  const int64_t taps = h.taps * w.taps, size = (taps + 1) * N;
  const size_t packed = static_cast<size_t>(plan.blocks * size) * sizeof(T);
  char* const shared =
      static_cast<char*>(pool.scratch(pool.self, -1, packed + static_cast<size_t>(plan.high * w.in) * sizeof(int32_t)));
  if (!shared) return kOutOfMemory;
  T* const weights = reinterpret_cast<T*>(shared);
  int32_t* const at = reinterpret_cast<int32_t*>(shared + packed);
  list_places(job, plan, at);
  for (int64_t g = 0; g < plan.blocks * N; g++) {
    T* to = weights + g / N * size + g % N;
    const int64_t group = smaller(g, job.groups - 1);
    const T* const from = job.weight + group * job.wg;
    for (int64_t th = 0; th < h.taps; th++) {
      const T* const row = from + (h.first + th * h.every) * job.wh + w.first * job.ww;
      for (int64_t tw = 0; tw < w.taps; tw++, to += N) *to = scale_of(job, group) * row[tw * w.every * job.ww];
    }
    *to = bias_of(job, group);
  }
  const double each = static_cast<double>(plan.rows * w.out * (taps + 8) * N);
  const int64_t items = job.images * plan.blocks * plan.bands;
  const double products = each * static_cast<double>(items);
  const int64_t grain = products <= kSerialProducts ? items : static_cast<int64_t>(kDepthwiseTask / each) + 1;
  const size_t bytes = static_cast<size_t>(plan.copy_size()) * sizeof(T);
  int32_t failed = 0;
  const RunPlanes<T> run = planes_kernel<T>(w.taps, w.step, w.stride);
  parallel_for(pool, items, grain, [&](int64_t begin, int64_t end, int worker) {
    T* const copy = static_cast<T*>(pool.scratch(pool.self, worker, bytes));
    if (!copy) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    clear_margins(job, plan, copy);
    for (int64_t i = begin; i < end; i++) {
      const int64_t band = i % plan.bands, block = i / plan.bands % plan.blocks, n = i / plan.bands / plan.blocks;
      const int64_t row = band * plan.rows, rows = smaller(plan.rows, h.out - row), group = block * N;
      const int planes = static_cast<int>(smaller(N, job.groups - group));
      turn_planes(job, planes, job.x + n * job.xn + group * job.xg, row, rows, at, copy);
      const T* const own = weights + block * size;
      run({copy,           own,
           own + taps * N, h.step * plan.wide * N,
           w.step * N,     h.stride * plan.wide * N,
           w.stride * N,   h.taps,
           w.taps,         row * h.stride + h.offset,
           h.stride,       h.step,
           h.in,           rows,
           w.out,          planes,
           job.relu,       job.y + n * job.yn + group * job.yg + row * job.yh,
           job.yg,         job.yh});
    }
  });
  return failed ? kOutOfMemory : kOk;
}

template <class T>
bool planes_pay_weights(const ConvShape& s) {
  constexpr int64_t N = Vec<T>::N;
  if (s.c != s.groups || s.m != s.groups || s.groups < N || s.n == 0 || s.oh == 0 || s.ow == 0) return false;
  if (s.kh != 3 || s.kw != 3 || s.stride_h != s.stride_w || s.stride_h > 2 || s.dilation_h * s.dilation_w != 1)
    return false;
  // Longer rows are read in place.
  return s.h > 0 && s.w > 0 && s.h * s.w <= 1024 && s.oh * s.ow <= 1024 && s.ow <= kWidest<T>;
}

// One task per N groups and split of the images: partial sums, added in order at the end.
template <class T>
Status correlate_weights_planes(const ConvShape& s, const T* x, const T* dy, T* dweight, const Pool& pool) {
  constexpr int N = Vec<T>::N;
  Correlation<T> job = {};
  job.images = s.n, job.groups = s.groups, job.c = job.m = 1;
  job.h = {s.h, s.oh, s.stride_h, 3, -s.pad_h, 1, 0, 1}, job.w = {s.w, s.ow, s.stride_w, 3, -s.pad_w, 1, 0, 1};
  job.xn = s.c * s.h * s.w, job.xg = s.h * s.w, job.xh = s.w;
  PlanesPlan<T> plan(job);
  plan.rows = s.oh, plan.bands = 1, plan.high = (s.oh - 1) * s.stride_h + 3;
  const int64_t area = s.oh * s.ow, splits = smaller(s.n, divide_up(kWantedTasks, plan.blocks));
  const size_t packed = static_cast<size_t>(splits * plan.blocks * 9 * N) * sizeof(T);
  char* const shared =
      static_cast<char*>(pool.scratch(pool.self, -1, packed + static_cast<size_t>(plan.high * s.w) * sizeof(int32_t)));
  if (!shared) return kOutOfMemory;
  T* const partials = reinterpret_cast<T*>(shared);
  int32_t* const at = reinterpret_cast<int32_t*>(shared + packed);
  list_places(job, plan, at);
  const int64_t turned = round_up(area, N) * N;
  const size_t bytes = static_cast<size_t>(plan.copy_size() + turned) * sizeof(T);
  const double each = static_cast<double>(area * (9 + 8) * N) * static_cast<double>(s.n) / static_cast<double>(splits);
  const int64_t tasks = plan.blocks * splits;
  const double products = each * static_cast<double>(tasks);
  const int64_t grain = products <= kSerialProducts ? tasks : static_cast<int64_t>(kDepthwiseTask / each) + 1;
  const int64_t together = larger(1, kSummed / area);
  int32_t failed = 0;
  parallel_for(pool, tasks, grain, [&](int64_t begin, int64_t end, int worker) {
    T* const copy = static_cast<T*>(pool.scratch(pool.self, worker, bytes));
    if (!copy) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    T* const dys = copy + plan.copy_size();
    memset(copy, 0, static_cast<size_t>(plan.copy_size()) * sizeof(T));
    for (int64_t t = begin; t < end; t++) {
      const int64_t block = t % plan.blocks, split = t / plan.blocks, group = block * N;
      const int planes = static_cast<int>(smaller(N, s.groups - group));
      T* const total = partials + t * 9 * N;
      memset(total, 0, 9 * N * sizeof(T));
      alignas(64) T sums[9 * N] = {};
      int64_t summed = 0;
      for (int64_t n = s.n * split / splits, last = s.n * (split + 1) / splits; n < last; n++) {
        turn_planes(job, planes, x + n * job.xn + group * job.xg, 0, s.oh, at, copy);
        turn_all(dy + (n * s.m + group) * area, area, planes, dys);
        const auto add = s.stride_h == 1 ? add_band<T, 1> : add_band<T, 2>;
        add(copy, plan.wide * N, dys, s.oh, s.ow, sums);
        if (++summed < together && n + 1 < last) continue;
        for (int64_t k = 0; k < 9 * N; k += N) store(total + k, load(total + k) + load(sums + k));
        memset(sums, 0, sizeof(sums));
        summed = 0;
      }
    }
  });
  if (failed) return kOutOfMemory;
  for (int64_t g = 0; g < s.groups; g++) {
    for (int64_t k = 0; k < 9; k++) {
      T sum = 0;
      for (int64_t split = 0; split < splits; split++)
        sum += partials[((split * plan.blocks + g / N) * 9 + k) * N + g % N];
      dweight[g * 9 + k] = sum;
    }
  }
  return kOk;
}

template bool planes_pay<float>(const Correlation<float>&);
template bool planes_pay<double>(const Correlation<double>&);
template Status correlate_planes<float>(const Correlation<float>&, const Pool&);
template Status correlate_planes<double>(const Correlation<double>&, const Pool&);
template bool planes_pay_weights<float>(const ConvShape&);
template bool planes_pay_weights<double>(const ConvShape&);
template Status correlate_weights_planes<float>(const ConvShape&, const float*, const float*, float*, const Pool&);
template Status correlate_weights_planes<double>(const ConvShape&, const double*, const double*, double*, const Pool&);

}  // namespace MYELIN_ISA
}  // namespace myelin
