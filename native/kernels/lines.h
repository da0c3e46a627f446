// A tensor as lines along one axis, for kernels that walk an axis in order.
#pragma once
#include "blocks.h"
#include "call.h"

namespace myelin {
namespace MYELIN_ISA {

// Line i, in row-major order of the other dimensions, starts at start(i); its `length` elements stand `stride` apart.
// A scalar is one line of one element.
struct Lines {
  int64_t count = 1, length = 1, stride = 1;
  int dims = 0;  // the other dimensions
  int64_t shape[kMaxDims], strides[kMaxDims];

  Lines(const View& v, int axis) {
    for (int d = 0; d < v.ndim; ++d) {
      if (d == axis) {
        length = v.shape[d];
        stride = v.strides[d];
        continue;
      }
      shape[dims] = v.shape[d];
      strides[dims++] = v.strides[d];
      count *= v.shape[d];
    }
  }

  int64_t start(int64_t i) const {
    int64_t at = 0;
    for (int d = dims - 1; d > 0; --d) {
      const int64_t rest = i / shape[d];
      at += (i - rest * shape[d]) * strides[d];
      i = rest;
    }
    return dims > 0 ? at + i * strides[0] : 0;
  }

  // How many neighbouring lines start one after another, in groups of which all lines come.
  int64_t adjacent() const { return dims > 0 && strides[dims - 1] == 1 ? shape[dims - 1] : 1; }
};

// The axis a parameter names, 0 for a scalar; -1 when it is none.
inline int axis_of(double axis, int ndim) {
  if (!(axis >= 0 && axis < (ndim > 0 ? ndim : 1))) return -1;
  return static_cast<int>(axis);
}

// Two views of one shape but for the length of `axis`.
inline bool same_lines(const View& a, const View& b, int axis) {
  if (a.ndim != b.ndim || a.ndim < 0) return false;
  for (int d = 0; d < a.ndim; ++d)
    if (d != axis && a.shape[d] != b.shape[d]) return false;
  return true;
}

// body(begin, end, worker) over `units` of about `each` elements: here when there is little, else over the pool.
template <class F>
inline void for_units(const Pool& pool, int64_t units, int64_t each, const F& body) {
  const int64_t grain = each >= kChunk ? 1 : kChunk / (each < 1 ? 1 : each);
  if (units <= grain) {
    if (units > 0) body(int64_t{0}, units, 0);
  } else {
    parallel_for(pool, units, grain, body);
  }
}

}  // namespace MYELIN_ISA
}  // namespace myelin
