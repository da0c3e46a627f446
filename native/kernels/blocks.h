// Strided views as blocks of consecutive elements (row-major order): kernels that stream over whole tensors work on
// plain arrays, and a view with gaps goes through a small buffer.
#pragma once
#include <string.h>

#include "call.h"

namespace myelin {
namespace MYELIN_ISA {

// Elements that a kernel moves through a buffer at a time when a view has gaps.
inline constexpr int64_t kBlock = 512;
// Elements per parallel chunk of a streaming kernel; totals up to this run on the calling thread.
inline constexpr int64_t kChunk = 16384;

// Results of so many bytes bypass the caches: they would not stay there, and a plain store reads the line first.
inline constexpr int64_t kStreamBytes = 16 << 20;

inline bool is_float(DType dtype) { return dtype == kFloat32 || dtype == kFloat64; }

inline int64_t item_size(DType dtype) { return dtype == kFloat64 ? 8 : dtype == kFloat32 || dtype == kInt32 ? 4 : 1; }

inline bool absent(const View& v) { return v.ndim < 0; }

inline bool same_shape(const View& a, const View& b) {
  if (a.ndim != b.ndim) return false;
  for (int d = 0; d < a.ndim; ++d) {
    if (a.shape[d] != b.shape[d]) return false;
  }
  return true;
}

// Same shape and dtype.
inline bool alike(const View& a, const View& b) { return a.dtype == b.dtype && same_shape(a, b); }

// Whether rows of `length` elements of `out` may be streamed: it is large, and every row starts at a multiple of 64 bytes.
inline bool streams_rows(const View& out, int64_t length) {
  const int64_t size = item_size(out.dtype);
  return out.contiguous && out.numel * size >= kStreamBytes && length * size % 64 == 0 &&
         reinterpret_cast<uintptr_t>(out.data) % 64 == 0;
}

// √x in the type of x (the C library's sqrt takes a float to double), in a form that loops are vectorised with.
inline float root(float x) { return __builtin_sqrtf(x); }
inline double root(double x) { return __builtin_sqrt(x); }

// run(offset, stride, count) for the runs along the last dimension that make up elements [begin, begin + count).
template <class F>
inline void for_runs(const View& v, int64_t begin, int64_t count, const F& run) {
  if (count <= 0) return;
  if (v.ndim == 0) {
    run(int64_t{0}, int64_t{0}, count);
    return;
  }
  int64_t index[kMaxDims];
  int64_t offset = 0;
  int64_t rest = begin;
  for (int d = v.ndim - 1; d >= 0; --d) {
    index[d] = rest % v.shape[d];
    rest /= v.shape[d];
    offset += index[d] * v.strides[d];
  }
  const int last = v.ndim - 1;
  while (true) {
    const int64_t left = v.shape[last] - index[last];
    const int64_t n = left < count ? left : count;
    run(offset, v.strides[last], n);
    count -= n;
    if (count == 0) return;
    offset -= index[last] * v.strides[last];
    index[last] = 0;
    for (int d = last - 1; d >= 0; --d) {
      offset += v.strides[d];
      if (++index[d] < v.shape[d]) break;
      offset -= index[d] * v.strides[d];
      index[d] = 0;
    }
  }
}

// Copies between elements [begin, begin + count) of a view with gaps and an array; out of line, being the rare case.
template <class T>
__attribute__((noinline)) void gather_block(const View& v, int64_t begin, int64_t count, T* to) {
  for_runs(v, begin, count, [&](int64_t offset, int64_t stride, int64_t n) {
    const T* from = static_cast<const T*>(v.data) + offset;
    for (int64_t i = 0; i < n; ++i) to[i] = from[i * stride];
    to += n;
  });
}

template <class T>
__attribute__((noinline)) void scatter_block(const View& v, int64_t begin, int64_t count, const T* from) {
  for_runs(v, begin, count, [&](int64_t offset, int64_t stride, int64_t n) {
    T* to = static_cast<T*>(v.data) + offset;
    for (int64_t i = 0; i < n; ++i) to[i * stride] = from[i];
    from += n;
  });
}

// Elements [begin, begin + count) as an array: the view's own memory, or copied to `buffer` (room for count).
template <class T>
inline const T* read_block(const View& v, int64_t begin, int64_t count, T* buffer) {
  if (v.contiguous) return static_cast<const T*>(v.data) + begin;
  gather_block(v, begin, count, buffer);
  return buffer;
}

// Where to write elements from `begin` on: the view's own memory or `buffer`; close_block then puts them in place.
template <class T>
inline T* open_block(const View& v, int64_t begin, T* buffer) {
  return v.contiguous ? static_cast<T*>(v.data) + begin : buffer;
}

template <class T>
inline void close_block(const View& v, int64_t begin, int64_t count, const T* block) {
  if (!v.contiguous) scatter_block(v, begin, count, block);
}

// body(begin, end) over [0, n) in chunks of kChunk; inline when there is only one.
template <class F>
inline void for_chunks(const Pool& pool, int64_t n, const F& body) {
  if (n <= kChunk) {
    if (n > 0) body(int64_t{0}, n);
    return;
  }
  parallel_for(pool, n, kChunk, [&](int64_t begin, int64_t end, int) { body(begin, end); });
}

}  // namespace MYELIN_ISA
}  // namespace myelin
