// Copies between any dtypes and strides, fill, arange, cat, flip, triangles of matrices.
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "copy_across.h"
#include "lines.h"
#include "rows.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

// float to integer: truncates, saturates, NaN gives 0; int32 to uint8 wraps; anything to bool is x != 0.
struct ToBool {
  template <class From>
  uint8_t operator()(From x) const {
    return x != 0;
  }
};
struct ToFloat32 {
  template <class From>
  float operator()(From x) const {
    return static_cast<float>(x);
  }
};
struct ToFloat64 {
  template <class From>
  double operator()(From x) const {
    return static_cast<double>(x);
  }
};
template <class F>
int32_t saturate(F x, F low, F high, int32_t highest) {
  const F inside = x > low ? (x < high ? x : high) : low;  // NaN gives low
  const int32_t whole = static_cast<int32_t>(inside);
  return x != x ? 0 : x >= high ? highest : whole;
}
struct ToInt32 {
  int32_t operator()(float x) const {
    return saturate(x, -2147483648.0f, 2147483520.0f, x > 2147483520.0f ? INT32_MAX : 2147483520);
  }
  int32_t operator()(double x) const { return saturate(x, -2147483648.0, 2147483647.0, INT32_MAX); }
  int32_t operator()(int32_t x) const { return x; }
  int32_t operator()(uint8_t x) const { return x; }
};
struct ToUint8 {
  uint8_t operator()(float x) const { return static_cast<uint8_t>(saturate(x, 0.0f, 255.0f, 255)); }
  uint8_t operator()(double x) const { return static_cast<uint8_t>(saturate(x, 0.0, 255.0, 255)); }
  uint8_t operator()(int32_t x) const { return static_cast<uint8_t>(x); }
  uint8_t operator()(uint8_t x) const { return x; }
};

template <class To, class F>
RowFn convert_from(DType from) {
  switch (from) {
    case kFloat32:
      return plain_row1<float, To, F>;
    case kFloat64:
      return plain_row1<double, To, F>;
    case kInt32:
      return plain_row1<int32_t, To, F>;
    case kUint8:
    case kBool:
      return plain_row1<uint8_t, To, F>;
    default:
      return nullptr;
  }
}

template <int Size>
void move_row(const void*, int64_t n, char* out, const char* const* in, uint32_t flags) {
  const uint32_t scalars = flags & ~kStreamOut;
  if ((flags & kStreamOut) != 0 && scalars != 0) {
    alignas(kVectorBytes) char pattern[kVectorBytes];
    move_elements(pattern, Size, in[0], 0, kVectorBytes / Size, Size);
    const Vec<float> value = load(reinterpret_cast<const float*>(pattern));
    int64_t i = 0;
    for (; i + kVectorBytes <= n * Size; i += kVectorBytes) stream(reinterpret_cast<float*>(out + i), value);
    memcpy(out + i, pattern, static_cast<size_t>(n * Size - i));
  } else if ((flags & kStreamOut) != 0)
    stream_bytes(out, in[0], n * Size);
  else if (scalars != 0)
    move_elements(out, Size, in[0], 0, n, Size);
  else if (out != in[0])
    move_elements(out, Size, in[0], Size, n, Size);
}

// The row function that brings `from` to `to`; null for a value that is no dtype.
RowFn convert(DType from, DType to) {
  if (from < 0 || from >= kDTypeCount) return nullptr;
  const int64_t size = item_size(from);
  if (from == to || (from == kBool && to == kUint8)) {
    return size == 4 ? move_row<4> : size == 8 ? move_row<8> : move_row<1>;
  }
  switch (to) {
    case kFloat32:
      return convert_from<float, ToFloat32>(from);
    case kFloat64:
      return convert_from<double, ToFloat64>(from);
    case kInt32:
      return convert_from<int32_t, ToInt32>(from);
    case kUint8:
      return convert_from<uint8_t, ToUint8>(from);
    case kBool:
      return convert_from<uint8_t, ToBool>(from);
    default:
      return nullptr;
  }
}

Status copy_view(const Pool& pool, const View& x, const View& out) {
  const RowFn row = convert(x.dtype, out.dtype);
  if (row == nullptr) return kBadDType;
  const View* in[] = {&x};
  const bool moves = row == static_cast<RowFn>(move_row<1>) || row == static_cast<RowFn>(move_row<4>) ||
                     row == static_cast<RowFn>(move_row<8>);
  if (moves && copy_across(pool, x, out)) return kOk;
  run_elementwise(pool, RowOp{row, nullptr, kGrain, moves, moves}, out, in, 1);
  return kOk;
}

template <class T>
void arange_range(T* y, int64_t stride, double start, double step, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) {
    const double value = start + static_cast<double>(i) * step;
    if constexpr (sizeof(T) == 8)
      y[i * stride] = value;
    else if constexpr (sizeof(T) == 1)
      y[i * stride] = ToUint8()(value);
    else
      y[i * stride] = static_cast<T>(value);
  }
}

}  // namespace

Status copy(const Call& c) {
  const Status status = check_operands(c, 1);
  return status != kOk ? status : copy_view(*c.pool, c.in[0], c.out[0]);
}

Status fill(const Call& c) {
  if (c.nin != 0 || c.nout != 1 || c.nparams != 1) return kBadParameter;
  View value = {};
  value.data = const_cast<double*>(c.params);
  value.dtype = kFloat64;
  value.numel = 1;
  value.contiguous = true;
  // Converted once, then moved as bits.
  alignas(8) char element[8];
  const RowFn row = convert(kFloat64, c.out[0].dtype);
  if (row == nullptr) return kBadDType;
  const char* from[] = {static_cast<const char*>(value.data)};
  row(nullptr, 1, element, from, 0);
  value.data = element;
  value.dtype = c.out[0].dtype;
  return copy_view(*c.pool, value, c.out[0]);
}

Status arange(const Call& c) {
  if (c.nin != 0 || c.nout != 1 || c.nparams != 2) return kBadParameter;
  const View& out = c.out[0];
  if (out.ndim != 1 && !out.contiguous) return kBadShape;
  const double start = c.params[0], step = c.params[1];
  const int64_t stride = out.contiguous ? 1 : out.strides[0];
  const auto range = [&](int64_t begin, int64_t end, int) {
    switch (out.dtype) {
      case kFloat32:
        return arange_range(static_cast<float*>(out.data), stride, start, step, begin, end);
      case kFloat64:
        return arange_range(static_cast<double*>(out.data), stride, start, step, begin, end);
      case kInt32:
        for (int64_t i = begin; i < end; i++)
          static_cast<int32_t*>(out.data)[i * stride] = ToInt32()(start + static_cast<double>(i) * step);
        return;
      case kUint8:
        return arange_range(static_cast<uint8_t*>(out.data), stride, start, step, begin, end);
      default:
        for (int64_t i = begin; i < end; i++)
          static_cast<uint8_t*>(out.data)[i * stride] = ToBool()(start + static_cast<double>(i) * step);
    }
  };
  if (out.numel <= kGrain)
    range(0, out.numel, 0);
  else
    parallel_for(*c.pool, out.numel, kGrain, range);
  return kOk;
}

// Each input is copied into its slice of out.
Status cat(const Call& c) {
  if (c.nin < 1 || c.nout != 1 || c.nparams != 1) return kBadParameter;
  const View& out = c.out[0];
  const int64_t size = item_size(out.dtype);
  if (!(c.params[0] >= 0 && c.params[0] < out.ndim)) return kBadParameter;
  const int axis = static_cast<int>(c.params[0]);
  int64_t total = 0;
  for (int k = 0; k < c.nin; k++) {
    const View& x = c.in[k];
    if (x.dtype != out.dtype) return kBadDType;
    if (x.ndim != out.ndim) return kBadShape;
    for (int d = 0; d < out.ndim; d++)
      if (d != axis && x.shape[d] != out.shape[d]) return kBadShape;
    total += x.shape[axis];
  }
  if (total != out.shape[axis]) return kBadShape;
  View slice = out;
  int64_t at = 0;
  bool adjacent = out.contiguous;
  for (int d = 0; d < axis; d++) adjacent = adjacent && out.shape[d] == 1;
  for (int k = 0; k < c.nin; k++) {
    const View& x = c.in[k];
    if (x.numel == 0) continue;
    slice.data = static_cast<char*>(out.data) + at * out.strides[axis] * size;
    slice.shape[axis] = x.shape[axis];
    slice.numel = x.numel;
    slice.contiguous = adjacent;
    const Status status = copy_view(*c.pool, x, slice);
    if (status != kOk) return status;
    at += x.shape[axis];
  }
  return kOk;
}

// out is x with the dimensions of `dims` (a bit each) reversed.
Status flip(const Call& c) {
  if (c.nin != 1 || c.nout != 1 || c.nparams != 1) return kBadParameter;
  View x = c.in[0];
  const View& out = c.out[0];
  if (!(c.params[0] >= 0 && c.params[0] < (1 << kMaxDims))) return kBadParameter;
  if (!same_shape(x, out)) return kBadShape;
  if (x.dtype != out.dtype) return kBadDType;
  if (x.numel == 0) return kOk;
  const unsigned dims = static_cast<unsigned>(c.params[0]);
  int64_t last = 0;
  for (int d = 0; d < x.ndim; d++) {
    if ((dims >> d & 1) == 0 || x.shape[d] == 1) continue;
    last += (x.shape[d] - 1) * x.strides[d];
    x.strides[d] = -x.strides[d];
    x.contiguous = false;
  }
  x.data = static_cast<char*>(x.data) + last * item_size(x.dtype);
  return copy_view(*c.pool, x, out);
}

// Matrices (…, rows, columns): out is x on and below (upper: above) the given diagonal, 0 elsewhere.
Status triangle(const Call& c) {
  if (c.nin != 1 || c.nout != 1 || c.nparams != 2) return kBadParameter;
  const View &x = c.in[0], &out = c.out[0];
  if (x.ndim < 2 || !same_shape(x, out)) return kBadShape;
  if (x.dtype != out.dtype) return kBadDType;
  const double diagonal = c.params[0];
  if (!(diagonal >= -0x1p40 && diagonal <= 0x1p40)) return kBadParameter;
  if (x.numel == 0) return kOk;
  const bool upper = c.params[1] != 0;
  const int64_t size = item_size(x.dtype), rows = x.shape[x.ndim - 2], columns = x.shape[x.ndim - 1];
  const Lines from(x, x.ndim - 1), to(out, x.ndim - 1);
  for_units(*c.pool, from.count, columns, [&](int64_t begin, int64_t end, int) {
    const char zero[8] = {};
    for (int64_t line = begin; line < end; line++) {
      const int64_t bound = line % rows + static_cast<int64_t>(diagonal) + (upper ? 0 : 1);
      const int64_t split = bound < 0 ? 0 : bound < columns ? bound : columns;
      const int64_t first = upper ? split : 0, last = upper ? columns : split;
      const char* source = static_cast<const char*>(x.data) + from.start(line) * size;
      char* target = static_cast<char*>(out.data) + to.start(line) * size;
      const int64_t x_step = from.stride * size, out_step = to.stride * size;
      move_elements(target, out_step, zero, 0, first, size);
      move_elements(target + first * out_step, out_step, source + first * x_step, x_step, last - first, size);
      move_elements(target + last * out_step, out_step, zero, 0, columns - last, size);
    }
  });
  return kOk;
}

}  // namespace MYELIN_ISA
}  // namespace myelin
