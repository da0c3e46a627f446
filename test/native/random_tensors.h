// Tensors of random shape, strides and values for tests of kernels that take any.
#pragma once
#include "kernel_harness.h"

namespace {

const double kInf = INFINITY;
const double kEps32 = 0x1p-23, kEps64 = 0x1p-52;
inline double epsilon_of(DType dtype) { return dtype == kFloat32 ? kEps32 : kEps64; }

// Random cases are three times as many where the program is not likely to be emulated.
#if defined(__x86_64__)
const int kThorough = 3;
#else
const int kThorough = 1;
#endif

int64_t below(int64_t n) { return static_cast<int64_t>((noise() + 1) * 0.5 * static_cast<double>(n)); }
double rounded(DType dtype, double x) { return dtype == kFloat32 ? static_cast<double>(static_cast<float>(x)) : x; }

// Random values with special ones among them.
Doubles values_for(DType dtype, int64_t n) {
  static const double specials[] = {0.0, -0.0, 1,     -1,    0.5,    1.5,    2.5,     -2.5,   -0.5, kInf, -kInf,
                                    NAN, 3e38, -3e38, 1e-40, -1e-40, 1e-310, 8388609, -1e-30, 1e-8, 20.5};
  Doubles r(static_cast<size_t>(n));
  for (double& x : r) {
    if (dtype == kBool)
      x = below(2);
    else if (dtype == kUint8)
      x = below(256);
    else if (dtype == kInt32)
      x = below(8) == 0 ? (below(2) ? -2147483648.0 : 2147483647.0) : floor(noise() * 1000);
    else if (below(4) == 0)
      x = rounded(dtype, specials[below(21)]);
    else
      x = rounded(dtype, noise() * 8);
  }
  return r;
}

// Made at the first call: nothing may run before machine_can_run().
inline const std::vector<Shape>& all_shapes() {
  static const std::vector<Shape> shapes = {{},        {1},        {0},     {3, 0},  {33},    {7, 5},
                                            {2, 3, 4}, {5, 1, 13}, {3, 70}, {70, 3}, {40, 50}};
  return shapes;
}

// A tensor of `shape` with random order of dimensions, gaps and, when `broadcast`, dimensions of stride 0.
struct Placement {
  View view;
  int64_t extent;
};
Placement place(DType dtype, const Shape& shape, bool broadcast) {
  View v{};
  v.dtype = dtype;
  v.ndim = static_cast<int32_t>(shape.size());
  v.numel = 1;
  std::vector<int> order;
  for (int d = 0; d < v.ndim; ++d) {
    v.shape[d] = shape[static_cast<size_t>(d)];
    v.numel *= v.shape[d];
    order.insert(order.begin() + (below(3) > 0 ? 0 : below(d + 1)), d);
  }
  int64_t stride = below(4) == 0 ? 2 : 1, last = 0;
  for (int d : order) {
    v.strides[d] = broadcast && below(4) == 0 ? 0 : stride;
    if (v.strides[d] == 0) continue;
    last += (v.shape[d] - 1) * stride;
    stride = stride * (v.shape[d] > 0 ? v.shape[d] : 1) + (below(4) == 0 ? 3 : 0);
  }
  v.contiguous = true;
  int64_t expected = 1;
  for (int d = v.ndim - 1; d >= 0; --d) {
    if (v.shape[d] != 1 && v.strides[d] != expected) v.contiguous = false;
    expected *= v.shape[d];
  }
  return {v, v.numel == 0 ? 0 : last + 1};
}
struct Scattered : Array {
  Scattered(DType dtype, const Shape& shape, bool broadcast) : Scattered(place(dtype, shape, broadcast)) {}

 private:
  explicit Scattered(const Placement& p) : Array(p.view.dtype, {p.extent}) {
    fill(values_for(p.view.dtype, p.extent));
    void* const data = view.data;
    view = p.view;
    view.data = data;
  }
};

inline Shape random_shape(int64_t most) {
  Shape shape;
  int64_t numel = 1;
  for (int64_t d = below(6); d > 0; --d) {
    const int64_t n = below(6) == 0 ? 1 : 1 + below(below(3) == 0 ? 90 : 9);
    if (numel * n > most) continue;
    numel *= n;
    shape.push_back(n);
  }
  return shape;
}

}  // namespace
