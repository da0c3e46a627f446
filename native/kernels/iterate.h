// Strided iteration for kernels that compute each output element from the elements at the same place of their inputs.
// A kernel gives one function that computes a row of adjacent elements; the engine in iterate.cc coalesces dimensions, brings
// operands that are not adjacent into small buffers, and splits the work over the pool.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../simd/simd.h"
#include "blocks.h"
#include "call.h"

namespace myelin {
namespace MYELIN_ISA {

inline constexpr int kMaxOperands = 4;    // the output, then up to three inputs
inline constexpr int64_t kTileRows = 16;  // kTileRows * kTileColumns = kBlock
inline constexpr int64_t kTileColumns = 32;
inline constexpr int64_t kTileGroup = 8;  // tiles below one another that are done in turn
inline constexpr int64_t kShortRow = 12;  // shorter rows are brought together in buffers
inline constexpr int64_t kGrain = 32768;  // elements of a chunk for the pool when an element costs one load or so

// Computes out[0 … n) from the inputs' elements 0 … n-1, all adjacent; when bit k of `scalars` is set, in[k] is one
// element that stands for all n. `out` may be the same memory as an input. kStreamOut in `scalars`, given only to row functions
// that heed it, asks for stores past the caches: `out` is then 64-byte aligned.
inline constexpr uint32_t kStreamOut = 1u << 31;
using RowFn = void (*)(const void* functor, int64_t n, char* out, const char* const* in, uint32_t scalars);

struct RowOp {
  RowFn row;
  const void* functor;
  int64_t grain;    // elements of a chunk for the pool
  bool one_scalar;  // row takes one element for one of its inputs, at most two
  bool streams;     // row heeds kStreamOut
};

// True when x can be read at every index of out: same shape, or one element.
inline bool broadcasts_to(const View& x, const View& out) {
  return x.ndim >= 0 && ((x.ndim == 0 && x.numel == 1) || same_shape(x, out));
}

// The loop nest over all operands: dimensions of size 1 dropped, ordered by the output's strides, merged where every
// operand allows. Strides are in bytes; operand 0 is the output.
struct Nest {
  int ndim = 0;
  int operands = 0;
  int64_t numel = 1;
  int64_t shape[kMaxDims];
  int64_t stride[kMaxOperands][kMaxDims];
  int64_t size[kMaxOperands];
  char* data[kMaxOperands];
  bool linear[kMaxOperands] = {};  // element i of the nest is at data + i * size
  bool scalar[kMaxOperands] = {};  // every element is the same one

  Nest(const View& out, const View* const* in, int inputs) {
    operands = inputs + 1;
    for (int k = 0; k < operands; k++) {
      const View& v = k == 0 ? out : *in[k - 1];
      data[k] = static_cast<char*>(v.data);
      size[k] = item_size(v.dtype);
    }
    numel = out.numel;
    for (int d = 0; d < out.ndim; d++) {
      if (out.shape[d] == 1) continue;
      int at = ndim;
      while (at > 0 && stride[0][at - 1] < out.strides[d] * size[0]) {
        shape[at] = shape[at - 1];
        for (int k = 0; k < operands; k++) stride[k][at] = stride[k][at - 1];
        at--;
      }
      shape[at] = out.shape[d];
      for (int k = 0; k < operands; k++) {
        const View& v = k == 0 ? out : *in[k - 1];
        stride[k][at] = v.ndim == 0 ? 0 : v.strides[d] * size[k];
      }
      ndim++;
    }
    merge();
    for (int k = 0; k < operands; k++) classify(k);
  }

 private:
  void merge() {
    int last = 0;
    for (int d = 1; d < ndim; d++) {
      bool joined = true;
      for (int k = 0; k < operands; k++) joined = joined && stride[k][last] == shape[d] * stride[k][d];
      if (joined) {
        shape[last] *= shape[d];
      } else {
        shape[++last] = shape[d];
      }
      for (int k = 0; k < operands; k++) stride[k][last] = stride[k][d];
    }
    if (ndim > 0) ndim = last + 1;
  }

  void classify(int k) {
    linear[k] = scalar[k] = true;
    int64_t expected = size[k];
    for (int d = ndim - 1; d >= 0; d--) {
      if (stride[k][d] != expected) linear[k] = false;
      if (stride[k][d] != 0) scalar[k] = false;
      expected *= shape[d];
    }
    if (linear[k]) scalar[k] = false;
  }
};

// A place in a nest, in row-major order.
struct Cursor {
  int64_t index[kMaxDims];
  int64_t offset[kMaxOperands];

  Cursor(const Nest& nest, int64_t linear) {
    for (int k = 0; k < nest.operands; k++) offset[k] = 0;
    for (int d = nest.ndim - 1; d >= 0; d--) {
      index[d] = linear % nest.shape[d];
      linear /= nest.shape[d];
      for (int k = 0; k < nest.operands; k++) offset[k] += index[d] * nest.stride[k][d];
    }
  }

  // Elements left in the innermost row.
  int64_t row_left(const Nest& nest) const { return nest.shape[nest.ndim - 1] - index[nest.ndim - 1]; }

  // Steps n places ahead along dimension d, at most to its end; the dimensions inside it are at their start.
  void advance(const Nest& nest, int64_t n, int d) {
    index[d] += n;
    for (int k = 0; k < nest.operands; k++) offset[k] += n * nest.stride[k][d];
    while (d > 0 && index[d] == nest.shape[d]) {
      index[d] = 0;
      index[d - 1]++;
      for (int k = 0; k < nest.operands; k++) offset[k] += nest.stride[k][d - 1] - nest.shape[d] * nest.stride[k][d];
      d--;
    }
  }
};

// Integers that may alias any type: elements are moved as bits.
typedef uint32_t __attribute__((may_alias)) Bits32;
typedef uint64_t __attribute__((may_alias)) Bits64;

// The same by size (an attribute does not pass through a template's argument).
template <int Size>
struct BitsOf {
  typedef unsigned char Type;
};
template <>
struct BitsOf<4> {
  typedef Bits32 Type;
};
template <>
struct BitsOf<8> {
  typedef Bits64 Type;
};

template <int Size>
inline void move_strided(char* to, int64_t to_stride, const char* from, int64_t from_stride, int64_t n) {
  typedef typename BitsOf<Size>::Type Any;
  for (int64_t i = 0; i < n; i++)
    *reinterpret_cast<Any*>(to + i * to_stride) = *reinterpret_cast<const Any*>(from + i * from_stride);
}

// Moves n elements; strides in bytes. Memory does not overlap.
inline void move_elements(char* to, int64_t to_stride, const char* from, int64_t from_stride, int64_t n, int64_t size) {
  if (to_stride == size && from_stride == size && n * size > 64) {
    memcpy(to, from, static_cast<size_t>(n * size));
  } else if (size == 4) {
    if (to_stride == 4 && from_stride == 0) {
      const Bits32 value = *reinterpret_cast<const Bits32*>(from);
      for (int64_t i = 0; i < n; i++) reinterpret_cast<Bits32*>(to)[i] = value;
    } else {
      move_strided<4>(to, to_stride, from, from_stride, n);
    }
  } else if (size == 8) {
    move_strided<8>(to, to_stride, from, from_stride, n);
  } else if (to_stride == 1 && from_stride == 0) {
    memset(to, *from, static_cast<size_t>(n));
  } else {
    move_strided<1>(to, to_stride, from, from_stride, n);
  }
}

// Copies bytes past the caches; `to` is 64-byte aligned. Not ordered before stream_fence().
inline void stream_bytes(char* to, const char* from, int64_t bytes) {
  constexpr int64_t step = sizeof(float) * Vec<float>::N;
  int64_t i = 0;
  for (; i + step <= bytes; i += step)
    stream(reinterpret_cast<float*>(to + i), load(reinterpret_cast<const float*>(from + i)));
  if (i < bytes) memcpy(to + i, from + i, static_cast<size_t>(bytes - i));
}

// Runs op over out and its inputs (checked by the caller with broadcasts_to()).
void run_elementwise(const Pool& pool, const RowOp& op, const View& out, const View* const* in, int inputs);

// kOk when a call has so many inputs and one output, at every index of which they can be read.
Status check_operands(const Call& c, int inputs);

// One call of a row function, `streams` if it heeds kStreamOut; the operands are checked.
Status run_rows(const Call& c, RowFn row, const void* functor, int64_t grain, bool one_scalar, bool streams = false);

}  // namespace MYELIN_ISA
}  // namespace myelin
