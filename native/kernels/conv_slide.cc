// Depthwise convolution with 3×3 windows, a padding of 1 and stride 1 or 2, as mobile networks have them. Vectors lie along the
// columns, and several output rows share each input row that is read. Wide planes are read in place, the rows above and below being
// a row of zeros; narrow ones, which are mostly edges, from a copy with a margin of zeros.
#include "conv_depthwise.h"
#include "stepped.h"
#include "vectors.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int kRowsAtOnce = 4;
constexpr int64_t kBandPositions = 4096;  // of a task's pass over a plane

template <int N>
struct NextLanes {
  static constexpr int at(int i) { return N - 1 + i; }
};

// Lanes of a vector that lie before the end, `left` from its first one.
template <class T>
MYELIN_INLINE int lanes_of(int64_t left) {
  return left >= Vec<T>::N ? Vec<T>::N : left > 0 ? static_cast<int>(left) : 0;
}

// What N windows of 3 columns, S apart, read of a row, the first around column q·S.
template <class T, int S, bool Inside>
struct Reader {
  static constexpr int N = Vec<T>::N;
  int64_t at;
  bool before, first;
  int lanes[3];

  // Of a row of `wide` elements. Inside, all of it is there.
  Reader(int64_t q, int64_t wide) : at(q * S), before(q > 0 && at <= wide), first(q == 0) {
    for (int t = 0; t < 3; t++) lanes[t] = lanes_of<T>(wide - at - (S == 1 ? t - 1 : t * N));
  }
  MYELIN_INLINE Vec<T> get(const T* row, int64_t i, int n) const { return Inside ? load(row + i) : load_n(row + i, n); }
  // use(tap, vector) for the three taps.
  template <class F>
  MYELIN_INLINE void taps(const T* row, const F& use) const {
    if constexpr (S == 1) {
      const Vec<T> middle = get(row, at, lanes[1]);
      use(0, !Inside && first ? shuffle<NextLanes<N>>(zero<T>(), middle) : get(row, at - 1, lanes[0]));
      use(1, middle);
      use(2, get(row, at + 1, lanes[2]));
    } else {
      const Vec<T> low = get(row, at, lanes[0]), high = get(row, at + N, lanes[1]);
      const Vec<T> odd = shuffle<OddLanes<N>>(low, high);
      use(0, shuffle<NextLanes<N>>(Inside || before ? set1<T>(row[at - 1]) : zero<T>(), odd));
      use(1, shuffle<EvenLanes<N>>(low, high));
      use(2, odd);
    }
  }
};
constexpr int64_t kPadded = INT64_MAX / 4;  // for the width of a row with zeros on both sides
template <class T, int S>
bool is_inside(int64_t q, int64_t wide) {
  return (q > 0 || wide == kPadded) && (S == 1 ? q + Vec<T>::N < wide : (q + Vec<T>::N) * 2 <= wide);
}

// n columns of R output rows. rows are the (R - 1)·S + 3 input rows that they read.
template <class T, int R, int S>
void slide(const T* const* rows, int64_t wide, const T* w, const Finish<T>& finish, T* y, int64_t ys, int64_t n) {
  constexpr int N = Vec<T>::N;
  Vec<T> wv[9];
#pragma GCC unroll 9
  for (int k = 0; k < 9; k++) wv[k] = set1<T>(w[k]);
  const auto step = [&](int64_t q, auto inside) {
    constexpr bool I = decltype(inside)::value;
    const Reader<T, S, I> reader(q, wide);
    Vec<T> acc[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) acc[r] = zero<T>();
#pragma GCC unroll 9
    for (int i = 0; i < (R - 1) * S + 3; i++) {
      reader.taps(rows[i], [&](int c, Vec<T> x) {
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) {
          const int t = i - r * S;
          if (t >= 0 && t <= 2) acc[r] = fma(wv[3 * t + c], x, acc[r]);
        }
      });
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) acc[r] = finish(acc[r]);
    const int lanes = lanes_of<T>(n - q);
    if (lanes == N) {
#pragma GCC unroll 4
      for (int r = 0; r < R; r++) store(y + r * ys + q, acc[r]);
    } else {
#pragma GCC unroll 4
      for (int r = 0; r < R; r++) store_n(y + r * ys + q, acc[r], lanes);
    }
  };
  for (int64_t q = 0; q < n; q += N) {
    if (is_inside<T, S>(q, wide)) {
      step(q, Inside<true>{});
    } else {
      step(q, Inside<false>{});
    }
  }
}

// Lanes of the low and the high half of columns in turns by 128-bit blocks, the order in which FoldLanes leaves every second element.
template <class T>
struct FoldedLanes {
  static constexpr int N = Vec<T>::N, B = 16 / static_cast<int>(sizeof(T)), H = B / 2;
  static constexpr int at(int i) { return i % B < H ? i / B * H + i % B : N / 2 + i / B * H + i % B - H; }
};
template <class T, int Odd>
struct FoldLanes {
  static constexpr int N = Vec<T>::N, B = 16 / static_cast<int>(sizeof(T)), H = B / 2;
  static constexpr int at(int i) { return (i % B < H ? 0 : N) + i / B * B + i % H * 2 + Odd; }
};

// The products of a plane of x with one of dy for each of the nine taps. dy's own columns meet those of the middle and the right
// tap, and dy a column further those of the left one: so rows are read in place, and their ends are masks.
template <class T, int S>
struct PlaneTaps {
  static constexpr int N = Vec<T>::N;
  int64_t high, wide, out_high, out_wide;
  const T* zeros;  // a row of x

  // dy from a column on, and from the next.
  struct Pair {
    Vec<T> here, next;
  };
  // Lanes of a vector of columns that count: of both of those, and of what x has for one tap and for the one after.
  struct Ends {
    int here, next, x, more;
    Ends(const PlaneTaps& p, int64_t q) {
      here = lanes_of<T>(p.out_wide - q), next = lanes_of<T>(p.out_wide - q - 1);
      const int64_t left = S == 1 ? smaller(p.wide, p.out_wide) - q : smaller(p.wide, 2 * p.out_wide) - 2 * q;
      x = lanes_of<T>(left), more = lanes_of<T>(S == 1 ? smaller(p.wide - 1, p.out_wide) - q : left - N);
    }
  };
  template <bool Inside>
  static MYELIN_INLINE Vec<T> read(const T* p, int lanes) {
    return Inside ? load(p) : load_n(p, lanes);
  }
  template <bool Inside>
  static MYELIN_INLINE Pair read_dy(const T* at, const Ends& ends) {
    Pair d = {read<Inside>(at, ends.here), read<Inside>(at + 1, ends.next)};
    if constexpr (S == 2) {
      d.here = shuffle<FoldedLanes<T>>(d.here, d.here), d.next = shuffle<FoldedLanes<T>>(d.next, d.next);
    }
    return d;
  }
  // use(tap, whether dy's next column, x) for a row of x. What no result reads may be infinite.
  template <bool Inside, class F>
  static MYELIN_INLINE void read_x(const T* at, const Ends& ends, Mask<T> next, const F& use) {
    if constexpr (S == 1) {
      const Vec<T> x = read<Inside>(at, ends.x);
      use(0, true, Inside ? x : zero_unless(next, x));
      use(1, false, x);
      use(2, false, read<Inside>(at + 1, ends.more));
    } else {
      const Vec<T> low = read<Inside>(at, ends.x), high_part = read<Inside>(at + N, ends.more);
      const Vec<T> odd = shuffle<FoldLanes<T, 1>>(low, high_part);
      use(0, true, Inside ? odd : zero_unless(next, odd));
      use(1, false, shuffle<FoldLanes<T, 0>>(low, high_part));
      use(2, false, odd);
    }
  }
  // R rows of dy from row r on.
  template <bool Inside, int R>
  MYELIN_INLINE void add_rows(const T* x, const T* dy, int64_t r, int64_t q, const Ends& ends, Mask<T> next,
                              Vec<T>* acc) const {
    Pair d[R];
#pragma GCC unroll 2
    for (int i = 0; i < R; i++) d[i] = read_dy<Inside>(dy + (r + i) * out_wide + q, ends);
#pragma GCC unroll 5
    for (int i = 0; i < (R - 1) * S + 3; i++) {
      const int64_t ih = r * S - 1 + i;
      const T* const row = ih >= 0 && ih < high ? x + ih * wide : zeros;
      read_x<Inside>(row + q * S, ends, next, [&](int c, bool after, Vec<T> v) {
#pragma GCC unroll 2
        for (int j = 0; j < R; j++) {
          const int t = i - j * S;
          if (t >= 0 && t <= 2) acc[3 * t + c] = fma(after ? d[j].next : d[j].here, v, acc[3 * t + c]);
        }
      });
    }
  }
  template <bool Inside>
  void add_columns(const T* x, const T* dy, int64_t r0, int64_t r1, int64_t q0, int64_t q1, T* sums) const {
    Vec<T> acc[9];
#pragma GCC unroll 9
    for (int k = 0; k < 9; k++) acc[k] = load(sums + k * N);
    for (int64_t q = q0; q < q1; q += N) {
      const Ends ends(*this, q);
      Mask<T> next = first_n<T>(ends.next);
      if constexpr (S == 2) {
        const Vec<T> ones = zero_unless(next, set1<T>(T(1)));
        next = shuffle<FoldedLanes<T>>(ones, ones) > zero<T>();
      }
      int64_t r = r0;
      for (; r + 2 <= r1; r += 2) add_rows<Inside, 2>(x, dy, r, q, ends, next, acc);
      if (r < r1) add_rows<Inside, 1>(x, dy, r, q, ends, next, acc);
    }
#pragma GCC unroll 9
    for (int k = 0; k < 9; k++) store(sums + k * N, acc[k]);
  }
  // Down the columns, of as many rows at a time as stay in the first-level cache.
  void add(const T* x, const T* dy, T* sums) const {
    const int64_t rows = round_up(larger(1, 2048 / (S * wide)), 2);
    const int64_t within = S == 1 ? smaller(out_wide, wide) - 1 : smaller(out_wide - 1, wide / 2);
    const int64_t inside = within > 0 ? within / N * N : 0;
    for (int64_t r = 0; r < out_high; r += rows) {
      const int64_t end = smaller(out_high, r + rows);
      if (inside > 0) add_columns<true>(x, dy, r, end, 0, inside, sums);
      if (inside < out_wide) add_columns<false>(x, dy, r, end, inside, out_wide, sums);
    }
  }
};

// The gradient by data at stride 2: two rows of n columns, of which the even ones come from rows[0], the odd ones from both. w is
// the window as it lies.
template <class T>
void slide_apart(const T* const* rows, int64_t wide, const T* w, const Finish<T>& finish, T* y, T* below, int64_t n) {
  constexpr int N = Vec<T>::N;
  Vec<T> wv[9];
#pragma GCC unroll 9
  for (int k = 0; k < 9; k++) wv[k] = set1<T>(w[k]);
  const auto put = [&](T* to, Vec<T> even, Vec<T> odd, int64_t room) {
    even = finish(even), odd = finish(odd);
    const Vec<T> low = shuffle<ZipLanes<N, 0>>(even, odd), high = shuffle<ZipLanes<N, 1>>(even, odd);
    store_part(to, low, static_cast<int>(smaller(N, room)));
    if (room > N) store_part(to + N, high, static_cast<int>(smaller(N, room - N)));
  };
  for (int64_t q = 0; 2 * q < n; q += N) {
    const bool inside = q + N < wide;
    const auto get = [&](const T* row, int64_t i) {
      return inside ? load(row + i) : load_n(row + i, lanes_of<T>(wide - i));
    };
    const Vec<T> a = get(rows[0], q), b = get(rows[0], q + 1), c = get(rows[1], q), d = get(rows[1], q + 1);
    if (y) put(y + 2 * q, wv[4] * a, fma(wv[5], a, wv[3] * b), n - 2 * q);
    if (!below) continue;
    const Vec<T> odd = fma(wv[2], c, wv[0] * d);
    put(below + 2 * q, fma(wv[7], a, wv[1] * c), fma(wv[8], a, fma(wv[6], b, odd)), n - 2 * q);
  }
}

bool is_slide(const Axis& a) {
  return a.taps == 3 && a.step == 1 && a.offset == -1 && (a.stride == 1 || a.stride == 2);
}
// The two phases of such an axis with stride 2.
bool is_apart(const Axis* a, int64_t phases) {
  return phases == 2 && a[0].taps == 1 && a[0].first == 1 && a[0].offset == 0 && a[1].taps == 2 && a[1].first == 2 &&
         a[1].every == -2 && a[1].offset == 0;
}

// The input planes of a kernel, in place or copied with a margin.
template <class T>
struct Planes {
  static constexpr int64_t N = Vec<T>::N;
  int64_t high, wide;
  bool padded;
  int64_t pitch;

  // Of which windows `stride` apart make out_high × out_wide results.
  Planes(const Axis& h, const Axis& w, bool whole)
      : high(h.in), wide(w.in), padded(whole && w.in < 3 * N && h.in <= 128 && is_all(h) && is_all(w)), pitch(w.in) {
    if (padded) pitch = round_up(w.out, N) * w.stride + N;
  }
  static bool is_all(const Axis& a) { return a.in > 0 && a.out == (a.in - 1) / a.stride + 1; }
  // Elements of scratch, which are to be 0 at first.
  int64_t room() const { return padded ? (high + 2) * pitch + 2 * N : wide; }
  int64_t width() const { return padded ? kPadded : wide; }
  // The plane x as rows() wants it.
  const T* enter(const T* x, T* scratch) const {
    if (!padded) return x;
    T* to = scratch + pitch + 1;
    for (int64_t r = 0; r < high; r++, x += wide, to += pitch)
      for (int64_t q = 0; q < wide; q += N) store(to + q, load_part(x + q, lanes_of<T>(wide - q)));
    return scratch + pitch + 1;
  }
  // rows[i] = row first + i, or zeros.
  void rows(const T* plane, const T* zeros, int64_t first, int64_t count, const T** rows) const {
    for (int64_t i = 0; i < count; i++) {
      const int64_t r = first + i;
      rows[i] = padded || (r >= 0 && r < high) ? plane + r * pitch : zeros;
    }
  }
};

// body(plane, first row, last row, zeros) over bands of rows of `count` planes of high × wide outputs.
template <class T, class F>
Status for_bands(const Pool& pool, int64_t count, int64_t high, int64_t wide, int64_t row, const F& body) {
  const int64_t rows = smaller(high, round_up(larger(1, kBandPositions / wide), kRowsAtOnce));
  const int64_t bands = divide_up(high, rows), items = count * bands;
  const double each = static_cast<double>(rows * wide * 9 + 100), products = each * static_cast<double>(items);
  const int64_t grain = products <= kSerialProducts ? items : static_cast<int64_t>(kDepthwiseTask / each) + 1;
  const size_t bytes = static_cast<size_t>(row) * sizeof(T);
  int32_t failed = 0;
  parallel_for(pool, items, grain, [&](int64_t begin, int64_t end, int worker) {
    T* const zeros = static_cast<T*>(pool.scratch(pool.self, worker, bytes));
    if (!zeros) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    memset(zeros, 0, bytes);
    for (int64_t i = begin; i < end; i++)
      body(i / bands, i % bands * rows, smaller(high, (i % bands + 1) * rows), zeros);
  });
  return failed ? kOutOfMemory : kOk;
}

}  // namespace

bool slides(const Axis* h, int64_t h_phases, const Axis* w, int64_t w_phases) {
  if (h_phases == 1 && w_phases == 1) return is_slide(*h) && is_slide(*w) && h->stride == w->stride;
  return is_apart(h, h_phases) && is_apart(w, w_phases);
}

template <class T>
Status slide_planes(const Correlation<T>& job, const Axis* h, int64_t phases, const Axis* w, const Pool& pool) {
  const Planes<T> planes(*h, *w, phases == 1);
  const int64_t stride = h->stride, columns = phases == 1 ? w->out : w[0].out + w[1].out;
  const int64_t all = phases == 1 ? h->out : h[0].out + h[1].out;
  const auto band = [&](int64_t plane, int64_t r0, int64_t r1, T* zeros) {
    const int64_t n = plane / job.groups, group = plane % job.groups;
    const T* const x = planes.enter(job.x + n * job.xn + group * job.xg, zeros);
    for (int64_t m = 0; m < job.m; m++) {
      const int64_t channel = group * job.m + m;
      const Finish<T> finish(job, channel);
      const T* const from = job.weight + group * job.wg + m * job.wm;
      T* const y = job.y + n * job.yn + group * job.yg + m * job.ym;
      const T* rows[(kRowsAtOnce - 1) * 2 + 3];
      T weights[9];
      for (int64_t k = 0; k < 9; k++) {
        const int64_t th = phases == 1 ? h->first + k / 3 * h->every : k / 3;
        const int64_t tw = phases == 1 ? w->first + k % 3 * w->every : k % 3;
        weights[k] = from[th * job.wh + tw * job.ww];
      }
      for (int64_t r = r0, some = 0; r < r1 && phases == 1; r += some) {
        some = r1 - r < kRowsAtOnce ? 1 : kRowsAtOnce;
        planes.rows(x, zeros, r * stride - 1, (some - 1) * stride + 3, rows);
        const auto run = stride == 1 ? some == 1 ? slide<T, 1, 1> : slide<T, kRowsAtOnce, 1>
                         : some == 1 ? slide<T, 1, 2>
                                     : slide<T, kRowsAtOnce, 2>;
        run(rows, planes.width(), weights, finish, y + r * job.yh, job.yh, columns);
      }
      for (int64_t r = r0; r < r1 && phases == 2; r += 2) {
        planes.rows(x, zeros, r / 2, 2, rows);
        T* const to = y + r * job.yh;
        slide_apart(rows, planes.wide, weights, finish, to, r + 1 < r1 ? to + job.yh : nullptr, columns);
      }
    }
  };
  return for_bands<T>(pool, job.images * job.groups, all, columns, planes.room(), band);
}

template <class T>
void slide_weights(const Axis& h, const Axis& w, const T* x, const T* dy, int64_t count, const T* zeros, T* sums) {
  for (int64_t m = 0; m < count; m++, sums += 9 * Vec<T>::N, dy += h.out * w.out) {
    if (h.stride == 1) {
      PlaneTaps<T, 1>{h.in, w.in, h.out, w.out, zeros}.add(x, dy, sums);
    } else {
      PlaneTaps<T, 2>{h.in, w.in, h.out, w.out, zeros}.add(x, dy, sums);
    }
  }
}

template Status slide_planes<float>(const Correlation<float>&, const Axis*, int64_t, const Axis*, const Pool&);
template void slide_weights<float>(const Axis&, const Axis&, const float*, const float*, int64_t, const float*, float*);

}  // namespace MYELIN_ISA
}  // namespace myelin
