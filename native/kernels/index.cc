// Rows by index: index_select (embedding), scatter_rows (its gradient), index_add, one_hot.
#include <stdint.h>
#include <string.h>

#include "blocks.h"
#include "call.h"
#include "iterate.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

// scatter_rows: from so many bytes on, in rows of so many, writing every row once is faster than zeros that are added to.
constexpr int64_t kWriteOnce = 1 << 20;
constexpr int64_t kLongRow = 256;

// x (R, …) seen as R rows of `length` elements.
struct Rows {
  int64_t count;
  int64_t stride;  // elements from row to row
  View row;        // of row 0
};

Rows rows_of(const View& v) {
  Rows rows;
  rows.count = v.shape[0];
  rows.stride = v.strides[0];
  rows.row.data = v.data;
  rows.row.dtype = v.dtype;
  rows.row.ndim = v.ndim - 1;
  rows.row.numel = 1;
  rows.row.contiguous = true;
  int64_t expected = 1;
  for (int d = v.ndim - 1; d > 0; --d) {
    rows.row.shape[d - 1] = v.shape[d];
    rows.row.strides[d - 1] = v.strides[d];
    if (v.shape[d] != 1 && v.strides[d] != expected) rows.row.contiguous = false;
    expected *= v.shape[d];
  }
  rows.row.numel = expected;
  return rows;
}

template <class T>
View row_at(const Rows& rows, int64_t i) {
  View v = rows.row;
  v.data = static_cast<T*>(v.data) + i * rows.stride;
  return v;
}

// many (n, …) holds rows of table (R, …), index (n).
Status check_rows(const View& table, const View& many, const View& index) {
  if (index.ndim != 1 || table.ndim < 1 || many.ndim != table.ndim || many.shape[0] != index.numel) return kBadShape;
  for (int d = 1; d < table.ndim; ++d) {
    if (table.shape[d] != many.shape[d]) return kBadShape;
  }
  if (index.dtype != kInt32 || table.dtype != many.dtype) return kBadDType;
  const int32_t* indices = static_cast<const int32_t*>(index.data);
  const int64_t rows = table.shape[0];
  const uint32_t limit = rows > 0x7fffffff ? 0x80000000u : static_cast<uint32_t>(rows);
  uint32_t bad = 0;
  for (int64_t i = 0; i < index.numel; ++i) {
    bad |= static_cast<uint32_t>(indices[i * index.strides[0]]) >= limit ? 1u : 0u;
  }
  return bad != 0 ? kBadIndex : kOk;
}

template <class T>
void select_rows(const Call& c) {
  const Rows x = rows_of(c.in[0]);
  const Rows out = rows_of(c.out[0]);
  const View& index = c.in[1];
  const int32_t* indices = static_cast<const int32_t*>(index.data);
  const int64_t step = index.strides[0];
  const int64_t length = out.row.numel;
  const T* from = static_cast<const T*>(x.row.data);
  T* to = static_cast<T*>(out.row.data);

  const auto copy = [&](int64_t begin, int64_t end, int) {
    if (length == 1) {
      for (int64_t i = begin; i < end; ++i) to[i * out.stride] = from[indices[i * step] * x.stride];
    } else if (x.row.contiguous && out.row.contiguous) {
      const size_t bytes = static_cast<size_t>(length) * sizeof(T);
      for (int64_t i = begin; i < end; ++i) memcpy(to + i * out.stride, from + indices[i * step] * x.stride, bytes);
    } else {
      T buffer[kBlock];
      for (int64_t i = begin; i < end; ++i) {
        const View source = row_at<T>(x, indices[i * step]);
        const View target = row_at<T>(out, i);
        for (int64_t j = 0; j < length; j += kBlock) {
          const int64_t count = length - j < kBlock ? length - j : kBlock;
          const T* block = read_block(source, j, count, buffer);
          if (target.contiguous) {
            memcpy(static_cast<T*>(target.data) + j, block, static_cast<size_t>(count) * sizeof(T));
          } else {
            close_block(target, j, count, block);
          }
        }
      }
    }
  };
  if (out.count * length <= kChunk) {
    copy(0, out.count, 0);
  } else {
    parallel_for(*c.pool, out.count, kChunk / length, copy);
  }
}

// out[index[i]][lo … hi) += dy[i][lo … hi) for the i in order whose destination lies in [first, last).
template <class T>
void add_rows(const Rows& out, const Rows& dy, const View& index, int64_t first, int64_t last, int64_t lo, int64_t hi) {
  const int32_t* indices = static_cast<const int32_t*>(index.data);
  const int64_t step = index.strides[0];
  if (out.row.contiguous && dy.row.contiguous) {
    const T* from = static_cast<const T*>(dy.row.data);
    T* to = static_cast<T*>(out.row.data);
    for (int64_t i = 0; i < dy.count; ++i) {
      const int64_t at = indices[i * step];
      if (at < first || at >= last) continue;
      const T* __restrict source = from + i * dy.stride;
      T* __restrict target = to + at * out.stride;
      for (int64_t j = lo; j < hi; ++j) target[j] += source[j];
    }
    return;
  }
  T out_buffer[kBlock];
  T dy_buffer[kBlock];
  for (int64_t i = 0; i < dy.count; ++i) {
    const int64_t at = indices[i * step];
    if (at < first || at >= last) continue;
    const View source = row_at<T>(dy, i);
    const View target = row_at<T>(out, at);
    for (int64_t j = lo; j < hi; j += kBlock) {
      const int64_t count = hi - j < kBlock ? hi - j : kBlock;
      const T* add = read_block(source, j, count, dy_buffer);
      T* sum = const_cast<T*>(read_block(target, j, count, out_buffer));
      for (int64_t k = 0; k < count; ++k) sum[k] += add[k];
      close_block(target, j, count, sum);
    }
  }
}

// Split by columns or, for short rows, by destination: either way each element of out is summed in order of n.
template <class T>
void add_all(const Call& c) {
  const Rows out = rows_of(c.out[0]);
  const Rows dy = rows_of(c.in[0]);
  const View& index = c.in[1];
  const int64_t length = out.row.numel;
  if (dy.count * length <= kChunk || c.pool->threads < 2) {
    add_rows<T>(out, dy, index, 0, out.count, 0, length);
  } else if (length >= 256) {
    int64_t columns = kChunk / dy.count;
    columns = columns < 64 ? 64 : (columns + 15) / 16 * 16;
    parallel_for(*c.pool, length, columns,
                 [&](int64_t begin, int64_t end, int) { add_rows<T>(out, dy, index, 0, out.count, begin, end); });
  } else {
    const int64_t range = (out.count + c.pool->threads - 1) / c.pool->threads;
    parallel_for(*c.pool, out.count, range,
                 [&](int64_t begin, int64_t end, int) { add_rows<T>(out, dy, index, begin, end, 0, length); });
  }
}

template <class T>
void add_row(T* __restrict sum, const T* __restrict row, int64_t n) {
  for (int64_t j = 0; j < n; ++j) sum[j] += row[j];
}

// Every row of out is written once: the places of dy that go to a row are chained in order first.
template <class T>
Status sum_rows(const Call& c) {
  const Rows out = rows_of(c.out[0]);
  const Rows dy = rows_of(c.in[0]);
  const View& index = c.in[1];
  const int32_t* indices = static_cast<const int32_t*>(index.data);
  const int64_t length = out.row.numel;
  if (dy.count >= INT32_MAX) return kBadShape;
  const size_t links = static_cast<size_t>(dy.count + out.count);
  int32_t* const next = static_cast<int32_t*>(c.pool->scratch(c.pool->self, -1, (links + 1) * sizeof(int32_t)));
  if (next == nullptr) return kOutOfMemory;
  int32_t* const first = next + dy.count;  // of a row; both count from 1, and 0 is the end
  memset(first, 0, static_cast<size_t>(out.count) * sizeof(int32_t));
  for (int64_t i = dy.count; i-- > 0;) {
    int32_t& head = first[indices[i * index.strides[0]]];
    next[i] = head;
    head = static_cast<int32_t>(i + 1);
  }
  const T* const from = static_cast<const T*>(dy.row.data);
  T* const to = static_cast<T*>(out.row.data);
  const size_t bytes = static_cast<size_t>(length) * sizeof(T);
  const bool streams = streams_rows(c.out[0], length);
  const auto rows = [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      T* const row = to + r * out.stride;
      int32_t place = first[r];
      if (place == 0 && streams) {
        for (int64_t j = 0; j < length; j += Vec<T>::N) stream(row + j, zero<T>());
      } else if (place == 0) {
        memset(row, 0, bytes);
      } else if (next[place - 1] == 0 && streams) {
        stream_bytes(reinterpret_cast<char*>(row), reinterpret_cast<const char*>(from + (place - 1) * dy.stride),
                     static_cast<int64_t>(bytes));
      } else {
        memcpy(row, from + (place - 1) * dy.stride, bytes);
        while ((place = next[place - 1]) != 0) add_row(row, from + (place - 1) * dy.stride, length);
      }
    }
    if (streams) stream_fence();
  };
  if (out.count * length <= kChunk) {
    rows(0, out.count, 0);
  } else {
    parallel_for(*c.pool, out.count, kChunk / length, rows);
  }
  return kOk;
}

template <class T>
void write_one_hot(const Call& c) {
  const View& index = c.in[0];
  const View& out = c.out[0];
  const int64_t classes = out.shape[out.ndim - 1];
  const auto rows = [&](int64_t begin, int64_t end, int) {
    T buffer[kBlock];
    int32_t index_buffer[1];
    for (int64_t i = begin; i < end; ++i) {
      const int64_t hot = *read_block(index, i, 1, index_buffer);
      for (int64_t j = 0; j < classes; j += kBlock) {
        const int64_t count = classes - j < kBlock ? classes - j : kBlock;
        T* block = open_block(out, i * classes + j, buffer);
        memset(block, 0, static_cast<size_t>(count) * sizeof(T));
        if (hot >= j && hot < j + count) block[hot - j] = T(1);
        close_block(out, i * classes + j, count, block);
      }
    }
  };
  if (out.numel <= kChunk) {
    rows(0, index.numel, 0);
  } else {
    parallel_for(*c.pool, index.numel, classes >= kChunk ? 1 : kChunk / classes, rows);
  }
}

}  // namespace

// x (R, …) any dtype, index (n): out (n, …).
Status index_select(const Call& c) {
  if (c.nin != 2 || c.nout != 1) return kBadShape;
  const Status status = check_rows(c.in[0], c.out[0], c.in[1]);
  if (status != kOk || c.out[0].numel == 0) return status;
  switch (item_size(c.out[0].dtype)) {
    case 1:
      select_rows<uint8_t>(c);
      break;
    case 4:
      select_rows<uint32_t>(c);
      break;
    default:
      select_rows<uint64_t>(c);
      break;
  }
  return kOk;
}

// weight (V,D), index (n): out (n,D).
Status embedding(const Call& c) { return index_select(c); }

// dy (n, …), index (n): out (R, …) += rows of dy, in order of n.
Status index_add(const Call& c) {
  if (c.nin != 2 || c.nout != 1) return kBadShape;
  const Status status = check_rows(c.out[0], c.in[0], c.in[1]);
  if (status != kOk) return status;
  if (!is_float(c.out[0].dtype)) return kBadDType;
  if (c.in[0].numel == 0) return kOk;
  if (c.out[0].dtype == kFloat32) {
    add_all<float>(c);
  } else {
    add_all<double>(c);
  }
  return kOk;
}

// dy (n, …), index (n): row r of out (R, …) is the sum, in order of n, of the rows of dy whose index is r. out has no gaps.
Status scatter_rows(const Call& c) {
  if (c.nin != 2 || c.nout != 1) return kBadShape;
  const Status status = check_rows(c.out[0], c.in[0], c.in[1]);
  if (status != kOk) return status;
  if (!is_float(c.out[0].dtype)) return kBadDType;
  if (!c.out[0].contiguous) return kBadShape;
  if (c.out[0].numel == 0) return kOk;
  const int64_t bytes = c.out[0].numel * item_size(c.out[0].dtype);
  if (bytes < kWriteOnce || bytes < c.out[0].shape[0] * kLongRow || !rows_of(c.in[0]).row.contiguous) {
    memset(c.out[0].data, 0, static_cast<size_t>(bytes));
    return index_add(c);
  }
  return c.out[0].dtype == kFloat32 ? sum_rows<float>(c) : sum_rows<double>(c);
}

// index (…): out (…, C) is 1 at index, 0 elsewhere.
Status one_hot(const Call& c) {
  if (c.nin != 1 || c.nout != 1) return kBadShape;
  const View& index = c.in[0];
  const View& out = c.out[0];
  if (index.ndim < 0 || out.ndim != index.ndim + 1) return kBadShape;
  for (int d = 0; d < index.ndim; ++d) {
    if (index.shape[d] != out.shape[d]) return kBadShape;
  }
  if (index.dtype != kInt32) return kBadDType;
  const int64_t classes = out.shape[index.ndim];
  bool bad = false;
  for_runs(index, 0, index.numel, [&](int64_t offset, int64_t stride, int64_t n) {
    const int32_t* indices = static_cast<const int32_t*>(index.data) + offset;
    for (int64_t i = 0; i < n; ++i) bad |= indices[i * stride] < 0 || indices[i * stride] >= classes;
  });
  if (bad) return kBadIndex;
  if (out.numel == 0) return kOk;
  switch (out.dtype) {
    case kFloat32:
      write_one_hot<float>(c);
      return kOk;
    case kFloat64:
      write_one_hot<double>(c);
      return kOk;
    case kInt32:
      write_one_hot<int32_t>(c);
      return kOk;
    default:
      return kBadDType;
  }
}

}  // namespace MYELIN_ISA
}  // namespace myelin
