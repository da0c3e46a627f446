// The engine of reductions. A reducer R has
//   In, the element type; Acc, a partial result; Lane, what a column is gathered in over at most kFlushRows rows
//   identity(), join(Acc, Acc), run(p, n): the partial result of n adjacent elements
//   lane_identity(), lift(In) → Lane, merge(Lane, Lane); a Lane converts to Acc.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "iterate.h"

namespace myelin {
namespace MYELIN_ISA {

inline constexpr int64_t kReduceChunk = 32768;  // elements of one partial result
inline constexpr int64_t kColumns = 1024;       // columns gathered at once
inline constexpr int64_t kFlushRows = 128;
inline constexpr int64_t kManyOutputs = 64;  // from here on one output is not cut further

// Memory beyond the caches is read at four places in turn, since a core keeps more loads in flight from four streams than
// from one: so many elements at a time,
template <class T>
inline constexpr int64_t kTurn = 512 / static_cast<int64_t>(sizeof(T));
// of four rows, or of four parts of a run of at least so many.
template <class T>
inline constexpr int64_t kLongRun = 32768 / static_cast<int64_t>(sizeof(T));

// x's dimensions of size other than 1, those that stay and those that go, each ordered by x's strides and merged.
// Strides in elements.
struct Reduction {
  int kept = 0, gone = 0;
  int64_t kept_shape[kMaxDims], kept_stride[kMaxDims], kept_out[kMaxDims];
  int64_t gone_shape[kMaxDims], gone_stride[kMaxDims];
  int64_t outputs = 1, count = 1;  // products of the shapes

  // False when the shapes do not fit.
  __attribute__((noinline)) bool init(const View& x, const View& out) {
    if (x.ndim != out.ndim || x.ndim < 0) return false;
    for (int d = 0; d < x.ndim; d++) {
      if (x.shape[d] != out.shape[d] && out.shape[d] != 1) return false;
      if (x.shape[d] == 1) continue;
      if (x.shape[d] == out.shape[d]) {
        insert(kept_shape, kept_stride, kept_out, kept, x.shape[d], x.strides[d], out.strides[d]);
        outputs *= x.shape[d];
      } else {
        insert(gone_shape, gone_stride, nullptr, gone, x.shape[d], x.strides[d], 0);
        count *= x.shape[d];
      }
    }
    merge(kept_shape, kept_stride, kept_out, kept);
    merge(gone_shape, gone_stride, nullptr, gone);
    return true;
  }

  // Offsets in x and out of output number i.
  __attribute__((noinline)) void locate(int64_t i, int dims, int64_t* x, int64_t* out) const {
    int64_t from = 0, to = 0;
    for (int d = dims - 1; d >= 0; d--) {
      const int64_t rest = d == 0 ? 0 : i / kept_shape[d], at = i - rest * kept_shape[d];
      from += at * kept_stride[d];
      to += at * kept_out[d];
      i = rest;
    }
    *x = from;
    *out = to;
  }

  // Calls body(offset in x, stride, n) for the pieces of the innermost dimension that goes that make up [begin, end) of
  // all that goes, in order.
  template <class F>
  void pieces(int64_t begin, int64_t end, const F& body) const {
    if (begin >= end) return;
    if (gone == 0) return body(0, 1, 1);
    const int inner = gone - 1;
    int64_t index[kMaxDims], offset = 0, rest = begin;
    for (int d = inner; d >= 0; d--) {
      index[d] = d == 0 ? rest : rest % gone_shape[d];
      rest = d == 0 ? 0 : rest / gone_shape[d];
      offset += index[d] * gone_stride[d];
    }
    while (begin < end) {
      const int64_t row = gone_shape[inner] - index[inner];
      const int64_t n = row < end - begin ? row : end - begin;
      body(offset, gone_stride[inner], n);
      begin += n;
      index[inner] += n;
      offset += n * gone_stride[inner];
      for (int d = inner; d > 0 && index[d] == gone_shape[d]; d--) {
        offset += gone_stride[d - 1] - index[d] * gone_stride[d];
        index[d] = 0;
        index[d - 1]++;
      }
    }
  }

 private:
  static void insert(int64_t* shape, int64_t* stride, int64_t* out, int& n, int64_t size, int64_t by, int64_t to) {
    int at = n++;
    for (; at > 0 && stride[at - 1] < by; at--) {
      shape[at] = shape[at - 1];
      stride[at] = stride[at - 1];
      if (out) out[at] = out[at - 1];
    }
    shape[at] = size;
    stride[at] = by;
    if (out) out[at] = to;
  }
  static void merge(int64_t* shape, int64_t* stride, int64_t* out, int& n) {
    int last = 0;
    for (int d = 1; d < n; d++) {
      const bool joined = stride[last] == shape[d] * stride[d] && (!out || out[last] == shape[d] * out[d]);
      if (joined)
        shape[last] *= shape[d];
      else
        shape[++last] = shape[d];
      stride[last] = stride[d];
      if (out) out[last] = out[d];
    }
    if (n > 0) n = last + 1;
  }
};

// The partial result of [begin, end) of what goes, from base.
template <class R>
__attribute__((noinline)) typename R::Acc reduce_pieces(const Reduction& r, const typename R::In* base, int64_t begin,
                                                        int64_t end) {
  using T = typename R::In;
  typename R::Acc acc = R::identity();
  if (r.gone == 0) return begin < end ? R::join(acc, R::run(base, 1)) : acc;
  const int inner = r.gone - 1;
  if (r.gone_stride[inner] == 1 && (r.gone == 1 || r.gone_shape[inner] >= 64)) {
    r.pieces(begin, end, [&](int64_t offset, int64_t, int64_t n) { acc = R::join(acc, R::run(base + offset, n)); });
    return acc;
  }
  // Short or scattered pieces are brought together first.
  alignas(64) T buffer[kBlock];
  int64_t held = 0;
  r.pieces(begin, end, [&](int64_t offset, int64_t stride, int64_t n) {
    const T* p = base + offset;
    while (n > 0) {
      const int64_t m = n < kBlock - held ? n : kBlock - held;
      for (int64_t i = 0; i < m; i++) buffer[held + i] = p[i * stride];
      held += m;
      p += m * stride;
      n -= m;
      if (held == kBlock) {
        acc = R::join(acc, R::run(buffer, kBlock));
        held = 0;
      }
    }
  });
  return held > 0 ? R::join(acc, R::run(buffer, held)) : acc;
}

// All of x, whatever its strides.
template <class R>
typename R::Acc reduce_strided(const View& x) {
  View one = x;
  for (int d = 0; d < x.ndim; d++) one.shape[d] = 1;
  Reduction r;
  r.init(x, one);
  return reduce_pieces<R>(r, static_cast<const typename R::In*>(x.data), 0, r.count);
}

// lane[c] gathers rows of `width` adjacent elements.
template <class R>
__attribute__((noinline)) void gather_rows(typename R::Lane* lane, const typename R::In* p, int64_t stride,
                                           int64_t rows, int64_t width) {
  const auto merge = [](auto a, auto b) { return R::merge(a, b); };
  for (; rows >= 8; rows -= 8, p += 8 * stride) {
    const auto *p1 = p + stride, *p2 = p1 + stride, *p3 = p2 + stride, *p4 = p3 + stride, *p5 = p4 + stride,
               *p6 = p5 + stride, *p7 = p6 + stride;
#pragma GCC ivdep
    for (int64_t i = 0; i < width; i++) {
      const auto low = merge(merge(R::lift(p[i]), R::lift(p1[i])), merge(R::lift(p2[i]), R::lift(p3[i])));
      const auto high = merge(merge(R::lift(p4[i]), R::lift(p5[i])), merge(R::lift(p6[i]), R::lift(p7[i])));
      lane[i] = merge(lane[i], merge(low, high));
    }
  }
  for (; rows > 0; rows--, p += stride) {
#pragma GCC ivdep
    for (int64_t i = 0; i < width; i++) lane[i] = merge(lane[i], R::lift(p[i]));
  }
}

// Columns: acc[c] over rows [begin, end) of what goes, for `width` adjacent columns from base. When the rows follow one
// another without gaps, `fold` of them are taken as one long row first; acc has room for fold * width.
template <class R>
__attribute__((noinline)) void reduce_columns(const Reduction& r, const typename R::In* base, int64_t begin,
                                              int64_t end, int64_t width, int64_t fold, typename R::Acc* acc) {
  using Acc = typename R::Acc;
  alignas(64) typename R::Lane lane[kColumns];
  const int64_t wide = width * fold;
  for (int64_t i = 0; i < wide; i++) {
    acc[i] = R::identity();
    lane[i] = R::lane_identity();
  }
  int64_t held = 0;
  const auto flush = [&](int64_t n) {
    for (int64_t i = 0; i < n; i++) {
      acc[i] = R::join(acc[i], static_cast<Acc>(lane[i]));
      lane[i] = R::lane_identity();
    }
    held = 0;
  };
  const auto gather = [&](const typename R::In* p, int64_t stride, int64_t rows, int64_t n) {
    while (rows > 0) {
      const int64_t m = rows < kFlushRows - held ? rows : kFlushRows - held;
      gather_rows<R>(lane, p, stride, m, n);
      p += m * stride;
      rows -= m;
      held += m;
      if (held == kFlushRows) flush(n);
    }
  };
  if (fold > 1) {
    const int64_t rows = end - begin, long_rows = rows / fold, rest = rows % fold;
    const typename R::In* p = base + begin * width;
    gather(p, wide, long_rows, wide);
    flush(wide);
    if (rest > 0) gather(p + long_rows * wide, wide, 1, rest * width);
    flush(wide);
    for (int64_t f = 1; f < fold; f++)
      for (int64_t i = 0; i < width; i++) acc[i] = R::join(acc[i], acc[f * width + i]);
  } else {
    r.pieces(begin, end, [&](int64_t offset, int64_t stride, int64_t n) { gather(base + offset, stride, n, width); });
    flush(width);
  }
}

inline int64_t pieces_of(int64_t n, int64_t size) { return (n + size - 1) / size; }

template <class F>
__attribute__((noinline)) void call_body(void* body, int64_t begin, int64_t end, int worker) {
  (*static_cast<const F*>(body))(begin, end, worker);
}

// Units of work [0, units) of `each` elements: on this thread when there is little, else over the pool.
template <class F>
void run_units(const Pool& pool, int64_t units, int64_t each, const F& body) {
  const int64_t grain = each >= kReduceChunk ? 1 : pieces_of(kReduceChunk, each < 1 ? 1 : each);
  void* const context = const_cast<void*>(static_cast<const void*>(&body));
  if (units <= grain || units * each <= 2 * kReduceChunk)
    call_body<F>(context, 0, units, 0);
  else
    pool.run(pool.self, units, grain, call_body<F>, context);
}

// acc[k] of Rows rows of n adjacent elements, `far` elements apart.
template <class R, int Rows>
MYELIN_INLINE void reduce_turns(const typename R::In* p, int64_t far, int64_t n, typename R::Acc* acc) {
  constexpr int64_t turn = kTurn<typename R::In>;
  for (int k = 0; k < Rows; k++) acc[k] = R::identity();
  for (int64_t i = 0; i < n; i += turn)
    for (int k = 0; k < Rows; k++) acc[k] = R::join(acc[k], R::run(p + k * far + i, n - i < turn ? n - i : turn));
}

// out = finish(acc, count), where the innermost dimension of x goes or nothing adjacent stays.
template <class R, class Out, class F>
Status reduce_rows(const Pool& pool, const Reduction& r, const View& x, const View& out, const F& finish) {
  using Acc = typename R::Acc;
  const auto* in = static_cast<const typename R::In*>(x.data);
  Out* to = static_cast<Out*>(out.data);
  const int64_t cuts = r.outputs < kManyOutputs && r.count > 2 * kReduceChunk ? pieces_of(r.count, kReduceChunk) : 1;
  const bool short_rows = r.gone == 1 && r.count <= kShortRow;
  const bool plain_rows = r.gone == 1 && r.gone_stride[0] == 1 && r.kept == 1 && cuts == 1;
  Acc* partial = nullptr;
  if (cuts > 1) {
    partial = static_cast<Acc*>(pool.scratch(pool.self, -1, static_cast<size_t>(r.outputs * cuts) * sizeof(Acc)));
    if (partial == nullptr) return kOutOfMemory;
  }
  run_units(pool, r.outputs * cuts, cuts > 1 ? kReduceChunk : r.count, [&](int64_t begin, int64_t end, int) {
    if (plain_rows && !short_rows) {
      const auto write = [&](int64_t u, Acc acc) { to[u * r.kept_out[0]] = static_cast<Out>(finish(acc, r.count)); };
      if (sizeof(Acc) > sizeof(double) || r.count >= kLongRun<typename R::In>) {
        for (int64_t u = begin; u < end; u++) write(u, R::run(in + u * r.kept_stride[0], r.count));
        return;
      }
      const int64_t far = (end - begin) / 4;
      for (int64_t u = begin; u < begin + far; u++) {
        Acc acc[4];
        reduce_turns<R, 4>(in + u * r.kept_stride[0], far * r.kept_stride[0], r.count, acc);
        for (int64_t k = 0; k < 4; k++) write(u + k * far, acc[k]);
      }
      for (int64_t u = begin + 4 * far; u < end; u++) {
        Acc acc;
        reduce_turns<R, 1>(in + u * r.kept_stride[0], 0, r.count, &acc);
        write(u, acc);
      }
      return;
    }
    for (int64_t u = begin; u < end; u++) {
      int64_t from, at;
      if (cuts == 1 && short_rows) {
        if (r.kept == 1) {
          from = u * r.kept_stride[0];
          at = u * r.kept_out[0];
        } else {
          r.locate(u, r.kept, &from, &at);
        }
        Acc acc = R::identity();
        for (int64_t j = 0; j < r.count; j++)
          acc = R::join(acc, static_cast<Acc>(R::lift(in[from + j * r.gone_stride[0]])));
        to[at] = static_cast<Out>(finish(acc, r.count));
      } else if (cuts == 1) {
        r.locate(u, r.kept, &from, &at);
        to[at] = static_cast<Out>(finish(reduce_pieces<R>(r, in + from, 0, r.count), r.count));
      } else {
        r.locate(u / cuts, r.kept, &from, &at);
        const int64_t first = u % cuts * kReduceChunk, left = r.count - first;
        partial[u] = reduce_pieces<R>(r, in + from, first, first + (left < kReduceChunk ? left : kReduceChunk));
      }
    }
  });
  if (cuts == 1) return kOk;
  for (int64_t i = 0; i < r.outputs; i++) {
    int64_t from, at;
    r.locate(i, r.kept, &from, &at);
    Acc acc = R::identity();
    for (int64_t j = 0; j < cuts; j++) acc = R::join(acc, partial[i * cuts + j]);
    to[at] = static_cast<Out>(finish(acc, r.count));
  }
  return kOk;
}

// The same where the innermost dimension of x stays and is adjacent: whole rows are added up.
template <class R, class Out, class F>
Status reduce_outer(const Pool& pool, const Reduction& r, const View& x, const View& out, int64_t fold,
                    const F& finish) {
  using Acc = typename R::Acc;
  const auto* in = static_cast<const typename R::In*>(x.data);
  Out* to = static_cast<Out*>(out.data);
  const int inner = r.kept - 1;
  const int64_t width = r.kept_shape[inner], out_stride = r.kept_out[inner];
  const int64_t tiles = pieces_of(width, kColumns), outer = r.outputs / width;
  const int64_t tile = width < kColumns ? width : kColumns;
  int64_t cut_rows = r.count;
  if (outer * tiles < kManyOutputs / 4 && tile * r.count > 2 * kReduceChunk) {
    cut_rows = pieces_of(2 * kReduceChunk, tile);
    if (cut_rows < pieces_of(r.count, kManyOutputs)) cut_rows = pieces_of(r.count, kManyOutputs);
  }
  const int64_t cuts = r.count == 0 ? 1 : pieces_of(r.count, cut_rows);
  Acc* partial = nullptr;
  if (cuts > 1) {
    const size_t bytes = static_cast<size_t>(outer * tiles * cuts * tile) * sizeof(Acc);
    partial = static_cast<Acc*>(pool.scratch(pool.self, -1, bytes));
    if (partial == nullptr) return kOutOfMemory;
  }
  const auto write = [&](int64_t unit, const Acc* acc) {
    int64_t from, at;
    r.locate(unit / tiles, inner, &from, &at);
    const int64_t first = unit % tiles * kColumns, n = width - first < kColumns ? width - first : kColumns;
    for (int64_t i = 0; i < n; i++) to[at + (first + i) * out_stride] = static_cast<Out>(finish(acc[i], r.count));
  };
  run_units(pool, outer * tiles * cuts, tile * cut_rows, [&](int64_t begin, int64_t end, int) {
    alignas(64) Acc acc[kColumns];
    for (int64_t u = begin; u < end; u++) {
      const int64_t unit = u / cuts, first = unit % tiles * kColumns;
      const int64_t n = width - first < kColumns ? width - first : kColumns;
      int64_t from, at;
      r.locate(unit / tiles, inner, &from, &at);
      const int64_t row = u % cuts * cut_rows, last = row + cut_rows < r.count ? row + cut_rows : r.count;
      reduce_columns<R>(r, in + from + first, row, last, n, fold, acc);
      if (cuts == 1)
        write(unit, acc);
      else
        memcpy(partial + u * tile, acc, static_cast<size_t>(n) * sizeof(Acc));
    }
  });
  if (cuts == 1) return kOk;
  for (int64_t unit = 0; unit < outer * tiles; unit++) {
    Acc* acc = partial + unit * cuts * tile;
    const int64_t first = unit % tiles * kColumns, n = width - first < kColumns ? width - first : kColumns;
    for (int64_t j = 1; j < cuts; j++)
      for (int64_t i = 0; i < n; i++) acc[i] = R::join(acc[i], acc[j * tile + i]);
    write(unit, acc);
  }
  return kOk;
}

// out = finish(partial result, number of elements reduced).
template <class R, class Out, class F>
Status reduce(const Pool& pool, const View& x, const View& out, const F& finish) {
  Reduction r;
  if (!r.init(x, out)) return kBadShape;
  if (r.outputs == 0) return kOk;
  const bool adjacent = r.kept > 0 && r.kept_stride[r.kept - 1] == 1;
  const bool rows = r.gone > 0 && r.gone_stride[r.gone - 1] == 1;
  if (adjacent && !rows) {
    const int64_t width = r.kept_shape[r.kept - 1];
    const bool gapless = r.gone == 1 && r.gone_stride[0] == width && width <= kColumns / 8;
    int64_t fold = gapless ? kColumns / 2 / width : 1;
    while (fold > 1 && fold * 8 > r.count) fold /= 2;
    if (width >= 8 || fold > 1) return reduce_outer<R, Out>(pool, r, x, out, fold, finish);
  }
  return reduce_rows<R, Out>(pool, r, x, out, finish);
}

// An element and where it is.
template <class T>
struct Best {
  T value;
  int64_t index;
};

// Whether b, which comes later, takes a's place.
template <class R>
bool takes_over(typename R::In a, typename R::In b) {
  return a == a && (b != b || (R::merge(a, b) == b && b != a));
}

// The first of the winners of n elements, n >= 1. Blocks are searched only where they win.
template <class R>
__attribute__((noinline)) Best<typename R::In> best_of(const typename R::In* p, int64_t stride, int64_t n) {
  using T = typename R::In;
  Best<T> best = {p[0], 0};
  for (int64_t i = 0; i < n; i += kBlock) {
    const int64_t m = n - i < kBlock ? n - i : kBlock;
    if (stride == 1 && m >= 16) {
      const T winner = R::run(p + i, m);
      if (!takes_over<R>(best.value, winner)) continue;
      int64_t j = 0;
      while (winner == winner ? p[i + j] != winner : p[i + j] == p[i + j]) j++;
      best = {winner, i + j};
    } else {
      for (int64_t j = i; j < i + m; j++)
        if (takes_over<R>(best.value, p[j * stride])) best = {p[j * stride], j};
    }
  }
  return best;
}

// Flattened, in row-major order of x's own dimensions.
template <class R>
int64_t arg_all(const Pool& pool, const View& x) {
  using T = typename R::In;
  const T* data = static_cast<const T*>(x.data);
  if (x.contiguous || x.ndim == 0) {
    constexpr int64_t kMost = 64;  // pieces
    if (x.numel <= 4 * kReduceChunk) return best_of<R>(data, 1, x.numel).index;
    const int64_t each = x.numel / kMost < kReduceChunk ? kReduceChunk : pieces_of(x.numel, kMost);
    Best<T> part[kMost];
    parallel_for(pool, x.numel, each, [&](int64_t begin, int64_t end, int) {
      part[begin / each] = best_of<R>(data + begin, 1, end - begin);
      part[begin / each].index += begin;
    });
    Best<T> best = part[0];
    for (int64_t k = 1; k < pieces_of(x.numel, each); k++)
      if (takes_over<R>(best.value, part[k].value)) best = part[k];
    return best.index;
  }
  const int inner = x.ndim - 1;
  const int64_t n = x.shape[inner];
  Best<T> best = {data[0], 0};
  for (int64_t row = 0; row < x.numel / n; row++) {
    int64_t rest = row, offset = 0;
    for (int d = inner - 1; d >= 0; d--) {
      offset += rest % x.shape[d] * x.strides[d];
      rest /= x.shape[d];
    }
    const Best<T> mine = best_of<R>(data + offset, x.strides[inner], n);
    if (takes_over<R>(best.value, mine.value)) best = {mine.value, row * n + mine.index};
  }
  return best.index;
}

template <class R>
Status arg_reduce(const Pool& pool, const View& x, const View& out, int axis) {
  using T = typename R::In;
  if (x.ndim != out.ndim) return kBadShape;
  for (int d = 0; d < x.ndim; d++)
    if (out.shape[d] != (axis == -1 || d == axis ? 1 : x.shape[d])) return kBadShape;
  const int64_t n = axis == -1 ? x.numel : x.shape[axis];
  if (out.numel == 0) return kOk;
  if (n == 0 || n > INT32_MAX) return kBadShape;
  int32_t* to = static_cast<int32_t*>(out.data);
  if (axis == -1) {
    *to = static_cast<int32_t>(arg_all<R>(pool, x));
    return kOk;
  }
  const T* in = static_cast<const T*>(x.data);
  const int64_t stride = x.strides[axis];
  Reduction r;
  View one = out;
  r.init(x, one);
  const int inner = r.kept - 1;
  const bool columns = n > 1 && stride != 1 && r.kept > 0 && r.kept_stride[inner] == 1;
  constexpr int64_t kTile = 256;
  const int64_t width = columns ? r.kept_shape[inner] : 1, tiles = pieces_of(width, kTile);
  const int64_t units = r.outputs / width * tiles;
  run_units(pool, units, n * (width < kTile ? width : kTile), [&](int64_t begin, int64_t end, int) {
    alignas(64) T value[kTile];
    alignas(64) int32_t index[kTile];
    for (int64_t u = begin; u < end; u++) {
      int64_t from, at;
      if (!columns) {
        r.locate(u, r.kept, &from, &at);
        to[at] = static_cast<int32_t>(best_of<R>(in + from, stride, n).index);
        continue;
      }
      r.locate(u / tiles, inner, &from, &at);
      const int64_t first = u % tiles * kTile, m = width - first < kTile ? width - first : kTile;
      const T* p = in + from + first;
      for (int64_t i = 0; i < m; i++) {
        value[i] = p[i];
        index[i] = 0;
      }
      for (int64_t row = 1; row < n; row++) {
        p += stride;
        const int32_t here = static_cast<int32_t>(row);
#pragma GCC ivdep
        for (int64_t i = 0; i < m; i++) {
          const T a = p[i], b = value[i];
          const bool wins = (b == b) & ((a != a) | ((R::merge(b, a) == a) & (a != b)));
          value[i] = wins ? a : b;
          index[i] = wins ? here : index[i];
        }
      }
      for (int64_t i = 0; i < m; i++) to[at + (first + i) * r.kept_out[inner]] = index[i];
    }
  });
  return kOk;
}

}  // namespace MYELIN_ISA
}  // namespace myelin
