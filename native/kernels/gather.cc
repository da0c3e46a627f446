// Elements by index along an axis: gather, scatter (its reverse), and where a mask is true.
#include <math.h>
#include <stdint.h>

#include "lines.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

// Whether every index lies in [0, limit).
bool indices_fit(const Pool& pool, const View& index, int64_t limit) {
  const uint32_t most = limit > 0x7fffffff ? 0x80000000u : static_cast<uint32_t>(limit);
  int32_t failed = 0;
  for_chunks(pool, index.numel, [&](int64_t begin, int64_t end) {
    uint32_t bad = 0;
    for_runs(index, begin, end - begin, [&](int64_t offset, int64_t stride, int64_t n) {
      const int32_t* p = static_cast<const int32_t*>(index.data) + offset;
      if (stride == 1) {
        for (int64_t i = 0; i < n; ++i) bad |= static_cast<uint32_t>(p[i]) >= most ? 1u : 0u;
      } else {
        for (int64_t i = 0; i < n; ++i) bad |= static_cast<uint32_t>(p[i * stride]) >= most ? 1u : 0u;
      }
    });
    if (bad != 0) __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
  });
  return failed == 0;
}

// What gather and scatter share: `table` is indexed along axis, `many` is walked beside the index and may be larger.
// Strides in elements. Lines run along the axis; `columns` neighbouring lines lie along the last other dimension.
struct Walk {
  Lines table, many, index;
  int64_t columns, groups;
  int64_t table_step = 0, many_step = 0, index_step = 0;  // from column to column

  Walk(const View& t, const View& m, const View& i, int axis) : table(t, axis), many(m, axis), index(i, axis) {
    // Lines are numbered by the index's shape.
    for (int d = 0; d < index.dims; ++d) table.shape[d] = many.shape[d] = index.shape[d];
    const bool along = axis == i.ndim - 1 || index.dims == 0;
    columns = along ? 1 : index.shape[index.dims - 1];
    groups = columns == 0 ? 0 : index.count / columns;
    if (!along) {
      const int last = index.dims - 1;
      table_step = table.strides[last];
      many_step = many.strides[last];
      index_step = index.strides[last];
    }
  }
};

// table fits: as many dimensions, none but axis smaller than the index's.
bool covers(const View& v, const View& index, int axis) {
  if (v.ndim != index.ndim) return false;
  for (int d = 0; d < v.ndim; ++d)
    if (d != axis && v.shape[d] < index.shape[d]) return false;
  return true;
}

constexpr int64_t kStrip = 128;  // columns of one unit of work

template <class T>
void gather_elements(const Call& c, int axis) {
  const Walk w(c.in[0], c.out[0], c.in[1], axis);
  const T* x = static_cast<const T*>(c.in[0].data);
  const int32_t* index = static_cast<const int32_t*>(c.in[1].data);
  T* out = static_cast<T*>(c.out[0].data);
  const int64_t n = w.index.length, by = w.table.stride;
  const int64_t strips = (w.columns + kStrip - 1) / kStrip;
  // A long line alone is cut along itself.
  const int64_t cuts = w.columns == 1 && w.groups < 16 ? (n + kChunk - 1) / kChunk : 1;
  const int64_t cut = (n + cuts - 1) / cuts;
  for_units(*c.pool, w.groups * strips * cuts, cut * (w.columns < kStrip ? w.columns : kStrip),
            [&](int64_t begin, int64_t end, int) {
              for (int64_t u = begin; u < end; ++u) {
                const int64_t unit = u / cuts, first = u % cuts * cut, last = first + cut < n ? first + cut : n;
                const int64_t column = unit % strips * kStrip, line = unit / strips * w.columns + column;
                const int64_t width = w.columns - column < kStrip ? w.columns - column : kStrip;
                const T* from = x + w.table.start(line);
                const int32_t* at = index + w.index.start(line);
                T* to = out + w.many.start(line);
                for (int64_t i = first; i < last; ++i) {
                  const int32_t* row = at + i * w.index.stride;
                  T* target = to + i * w.many.stride;
                  for (int64_t j = 0; j < width; ++j)
                    target[j * w.many_step] = from[row[j * w.index_step] * by + j * w.table_step];
                }
              }
            });
}

struct Put {
  template <class T>
  static T apply(T, T x) {
    return x;
  }
};
struct Add {
  static int32_t apply(int32_t a, int32_t x) {
    return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(x));
  }
  template <class T>
  static T apply(T a, T x) {
    return a + x;
  }
};

// Positions that share a line of out are written in order of the index. A long line alone is cut by destination: every
// worker reads all indices and writes its own range.
template <class T, class Op>
void scatter_elements(const Call& c, int axis) {
  View source = c.in[0];
  if (source.ndim == 0) {  // one value for all
    source.ndim = c.in[1].ndim;
    for (int d = 0; d < source.ndim; ++d) {
      source.shape[d] = c.in[1].shape[d];
      source.strides[d] = 0;
    }
  }
  const Walk w(c.out[0], source, c.in[1], axis);
  const T* x = static_cast<const T*>(source.data);
  const int32_t* index = static_cast<const int32_t*>(c.in[1].data);
  T* out = static_cast<T*>(c.out[0].data);
  const int64_t n = w.index.length, by = w.table.stride;
  const int64_t strips = (w.columns + kStrip - 1) / kStrip;
  const auto line_range = [&](int64_t unit, int64_t lo, int64_t hi) {
    const int64_t column = unit % strips * kStrip, line = unit / strips * w.columns + column;
    const int64_t width = w.columns - column < kStrip ? w.columns - column : kStrip;
    const T* from = x + w.many.start(line);
    const int32_t* at = index + w.index.start(line);
    T* to = out + w.table.start(line);
    const bool whole = lo == 0 && hi == w.table.length;
    for (int64_t i = 0; i < n; ++i) {
      const int32_t* row = at + i * w.index.stride;
      const T* values = from + i * w.many.stride;
      for (int64_t j = 0; j < width; ++j) {
        const int64_t place = row[j * w.index_step];
        if (!whole && (place < lo || place >= hi)) continue;
        T* target = to + place * by + j * w.table_step;
        *target = Op::apply(*target, values[j * w.many_step]);
      }
    }
  };
  const int64_t units = w.groups * strips;
  const int threads = c.pool->threads;
  if (units == 1 && n * w.columns > 4 * kChunk && threads > 1 && w.table.length >= threads) {
    const int64_t range = (w.table.length + threads - 1) / threads;
    parallel_for(*c.pool, w.table.length, range, [&](int64_t lo, int64_t hi, int) { line_range(0, lo, hi); });
    return;
  }
  for_units(*c.pool, units, n * (w.columns < kStrip ? w.columns : kStrip), [&](int64_t begin, int64_t end, int) {
    for (int64_t u = begin; u < end; ++u) line_range(u, 0, w.table.length);
  });
}

}  // namespace

// x (…), index (…) int32: out[i,j,…] = x[index[i,j,…], j, …] with the index in place of dimension `axis`.
Status gather(const Call& c) {
  if (c.nin != 2 || c.nout != 1 || c.nparams != 1) return kBadParameter;
  const View &x = c.in[0], &index = c.in[1], &out = c.out[0];
  const int axis = axis_of(c.params[0], index.ndim);
  if (axis < 0) return kBadParameter;
  if (!same_shape(index, out) || !covers(x, index, axis)) return kBadShape;
  if (index.dtype != kInt32 || x.dtype != out.dtype) return kBadDType;
  if (!indices_fit(*c.pool, index, x.ndim > 0 ? x.shape[axis] : 1)) return kBadIndex;
  if (out.numel == 0) return kOk;
  switch (item_size(x.dtype)) {
    case 1:
      gather_elements<uint8_t>(c, axis);
      break;
    case 4:
      gather_elements<uint32_t>(c, axis);
      break;
    default:
      gather_elements<uint64_t>(c, axis);
      break;
  }
  return kOk;
}

// out[index[i,j,…], j, …] = src[i,j,…], or += when `add` is set (float, int32), in order of i. src may be one value.
Status scatter(const Call& c) {
  if (c.nin != 2 || c.nout != 1 || c.nparams != 2) return kBadParameter;
  const View &src = c.in[0], &index = c.in[1], &out = c.out[0];
  const int axis = axis_of(c.params[0], index.ndim);
  if (axis < 0) return kBadParameter;
  if (!covers(out, index, axis)) return kBadShape;
  if (src.ndim != 0 || index.ndim == 0) {
    if (!covers(src, index, axis) || (index.ndim > 0 && src.shape[axis] < index.shape[axis])) return kBadShape;
  }
  if (index.dtype != kInt32 || src.dtype != out.dtype) return kBadDType;
  if (!indices_fit(*c.pool, index, out.ndim > 0 ? out.shape[axis] : 1)) return kBadIndex;
  if (index.numel == 0) return kOk;
  if (c.params[1] != 0) {
    switch (out.dtype) {
      case kFloat32:
        scatter_elements<float, Add>(c, axis);
        return kOk;
      case kFloat64:
        scatter_elements<double, Add>(c, axis);
        return kOk;
      case kInt32:
        scatter_elements<int32_t, Add>(c, axis);
        return kOk;
      default:
        return kBadDType;
    }
  }
  switch (item_size(out.dtype)) {
    case 1:
      scatter_elements<uint8_t, Put>(c, axis);
      break;
    case 4:
      scatter_elements<uint32_t, Put>(c, axis);
      break;
    default:
      scatter_elements<uint64_t, Put>(c, axis);
      break;
  }
  return kOk;
}

// x bool or uint8: out (n, dimensions of x) int32 holds the places of the n elements that are not 0, in row-major order.
Status nonzero(const Call& c) {
  if (c.nin != 1 || c.nout != 1 || c.nparams != 0) return kBadParameter;
  const View &x = c.in[0], &out = c.out[0];
  if (x.ndim < 0 || out.ndim != 2 || out.shape[1] != x.ndim) return kBadShape;
  if (x.dtype != kBool && x.dtype != kUint8) return kBadDType;
  if (out.dtype != kInt32) return kBadDType;
  const int64_t chunks = (x.numel + kChunk - 1) / kChunk;
  int64_t small[8];
  int64_t* first = small;
  if (chunks >= 8) {
    first = static_cast<int64_t*>(c.pool->scratch(c.pool->self, -1, static_cast<size_t>(chunks + 1) * sizeof(int64_t)));
    if (first == nullptr) return kOutOfMemory;
  }
  const auto blocks = [&](int64_t begin, int64_t end, auto&& body) {
    uint8_t buffer[kBlock];
    for (int64_t i = begin; i < end; i += kBlock) {
      const int64_t n = end - i < kBlock ? end - i : kBlock;
      body(i, n, read_block(x, i, n, buffer));
    }
  };
  for_chunks(*c.pool, x.numel, [&](int64_t begin, int64_t end) {
    int64_t total = 0;
    blocks(begin, end, [&](int64_t, int64_t n, const uint8_t* p) {
      int32_t some = 0;
      for (int64_t i = 0; i < n; ++i) some += p[i] != 0;
      total += some;
    });
    first[begin / kChunk] = total;
  });
  int64_t total = 0;
  for (int64_t k = 0; k < chunks; ++k) {
    const int64_t mine = first[k];
    first[k] = total;
    total += mine;
  }
  if (total != out.shape[0]) return kBadShape;
  int32_t* to = static_cast<int32_t*>(out.data);
  const int ndim = x.ndim;
  for_chunks(*c.pool, x.numel, [&](int64_t begin, int64_t end) {
    const int64_t chunk = begin / kChunk, last = chunk + 1 < chunks ? first[chunk + 1] : total;
    int64_t row = first[chunk];
    blocks(begin, end, [&](int64_t at, int64_t n, const uint8_t* p) {
      for (int64_t i = 0; i < n; ++i) {
        if (p[i] == 0 || row >= last) continue;  // x may lie in out's own memory
        int32_t* const place = to + row++ * out.strides[0];
        int64_t rest = at + i;
        for (int d = ndim - 1; d > 0; --d) {
          const int64_t above = rest / x.shape[d];
          place[d * out.strides[1]] = static_cast<int32_t>(rest - above * x.shape[d]);
          rest = above;
        }
        if (ndim > 0) *place = static_cast<int32_t>(rest);
      }
    });
  });
  return kOk;
}

}  // namespace MYELIN_ISA
}  // namespace myelin
