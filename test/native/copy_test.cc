// Copies, fills and joins of every dtype against scalar references: odd lengths, strides, broadcasting, and tensors too large
// for the caches, of elementwise functions too.

#include "random_tensors.h"

namespace {

double converted(DType from, DType to, double x) {
  switch (to) {
    case kFloat32:
      return static_cast<float>(x);
    case kInt32:
      return isnan(x) ? 0 : x <= -2147483648.0 ? -2147483648.0 : x >= 2147483647.0 ? 2147483647.0 : trunc(x);
    case kUint8:
      if (from == kInt32) return static_cast<uint8_t>(static_cast<int32_t>(x));
      return isnan(x) ? 0 : x <= 0 ? 0 : x >= 255 ? 255 : trunc(x);
    case kBool:
      return x != 0;
    default:
      return x;
  }
}

void check_copy(const Array& x, Array& out) {
  expect(run("copy", isa::copy, {const_cast<Array*>(&x)}, {&out}, {}) == kOk, "copy", "status");
  Doubles want;
  for (int64_t i = 0; i < out.view.numel; ++i)
    want.push_back(converted(x.view.dtype, out.view.dtype, x.get(x.view.ndim == 0 ? 0 : i)));
  compare("copy", out.values(), want, 0);
}

void test_copy() {
  const DType every[] = {kFloat32, kFloat64, kInt32, kUint8, kBool};
  for (DType from : every) {
    for (DType to : every) {
      for (int64_t n = 0; n <= 67; ++n) {
        Array x(from, {n}, n % 3 == 1 ? kGaps : kPacked), out(to, {n}, n % 4 == 1 ? kGaps : kPacked);
        x.fill(values_for(from, n));
        check_copy(x, out);
      }
      for (int k = 0; k < 20 * kThorough; ++k) {
        const Shape shape = random_shape(4000);
        const Scattered x(from, shape, true);
        Scattered out(to, shape, false);
        check_copy(x, out);
      }
      for (const Shape& shape : {Shape{130, 257}, Shape{3, 40, 65}, Shape{70000}}) {
        Array x(from, shape, kReversed), out(to, shape);
        x.fill(values_for(from, x.view.numel));
        check_copy(x, out);
      }
    }
    for (const Shape& shape : all_shapes()) {
      for (Layout layout : kLayouts) {
        for (double value : {2.75, -1.0, 0.0, double(NAN), 1e10}) {
          Array out(from, shape, layout);
          expect(run("fill", isa::fill, {}, {&out}, {value}) == kOk, "fill", "status");
          compare("fill", out.values(), Doubles(static_cast<size_t>(out.view.numel), converted(kFloat64, from, value)),
                  0);
        }
      }
    }
    for (int64_t n : {0, 1, 66, 40000}) {
      Array out(from, {n}, n == 66 ? kGaps : kPacked);
      expect(run("arange", isa::arange, {}, {&out}, {-3, 0.75}) == kOk, "arange", "status");
      Doubles want;
      for (int64_t i = 0; i < n; ++i) want.push_back(converted(kFloat64, from, -3 + static_cast<double>(i) * 0.75));
      compare("arange", out.values(), want, 0);
    }
    for (int k = 0; k < 14 * kThorough; ++k) {
      Shape shape = random_shape(2000);
      if (shape.empty()) shape = {1};
      const size_t axis = static_cast<size_t>(below(static_cast<int64_t>(shape.size())));
      std::vector<Array*> parts;
      Shape total = shape;
      total[axis] = 0;
      for (int64_t j = 1 + below(4); j > 0; --j) {
        Shape part = shape;
        part[axis] = below(6);
        total[axis] += part[axis];
        parts.push_back(new Scattered(from, part, true));
      }
      Scattered out(from, total, false);
      expect(run("cat", isa::cat, parts, {&out}, {double(axis)}) == kOk, "cat", "status");
      int64_t inner = 1, outer = 1;
      for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
      for (size_t d = 0; d < axis; ++d) outer *= shape[d];
      Doubles want;
      for (int64_t o = 0; o < outer; ++o)
        for (Array* part : parts)
          for (int64_t i = 0; i < part->view.shape[axis] * inner; ++i)
            want.push_back(part->get(o * part->view.shape[axis] * inner + i));
      compare("cat", out.values(), want, 0);
      for (Array* part : parts) delete part;
    }
  }
  // Large enough to go past the caches.
  Array x(kFloat32, {(20 << 20) / 4 + 19}), out(kFloat32, {(20 << 20) / 4 + 19});
  for (int64_t i = 0; i < x.view.numel; ++i) reinterpret_cast<float*>(x.memory.data)[i] = static_cast<float>(i);
  View aligned[2] = {x.view, out.view};
  for (View& v : aligned) {
    v.data = static_cast<char*>(v.data) + (64 - reinterpret_cast<uintptr_t>(v.data) % 64) % 64;
    v.numel = v.shape[0] = (20 << 20) / 4 + 3;
  }
  TestPool pool(2);
  const Call c{&aligned[0], &aligned[1], nullptr, &pool.pool, 1, 1, 0};
  const size_t bytes = static_cast<size_t>(aligned[0].numel) * 4;
  expect(isa::copy(c) == kOk && memcmp(aligned[0].data, aligned[1].data, bytes) == 0, "copy", "large");
  const float* from = static_cast<const float*>(aligned[0].data);
  const float* to = static_cast<const float*>(aligned[1].data);
  bool right = isa::neg(c) == kOk;
  for (int64_t i = 0; i < aligned[0].numel; ++i) right = right && to[i] == -from[i];
  expect(right, "neg", "large");
  const double value = 1.25;
  right = isa::fill({nullptr, &aligned[1], &value, &pool.pool, 0, 1, 1}) == kOk;
  for (int64_t i = 0; i < aligned[0].numel; ++i) right = right && to[i] == 1.25f;
  expect(right, "fill", "large");
  // Rows that repeat, short and long, and columns.
  const int64_t widths[] = {7, 1024, 600, 2051};
  for (int64_t width : widths) {
    const bool columns = width == 600 || width == 2051;
    View both[2] = {aligned[0], x.view}, sum = aligned[1];
    const int64_t height = (20 << 20) / 4 / width;
    for (View* v : {&both[0], &both[1], &sum}) {
      v->ndim = 2;
      v->shape[0] = height;
      v->shape[1] = width;
      v->numel = height * width;
      v->strides[0] = v != &both[1] ? width : columns ? 1 : 0;
      v->strides[1] = v == &both[1] && columns ? height : 1;
      v->contiguous = v != &both[1];
    }
    const Call add{both, &sum, nullptr, &pool.pool, 2, 1, 0};
    right = isa::add(add) == kOk;
    const float* other = static_cast<const float*>(x.view.data);
    for (int64_t i = 0; i < sum.numel; ++i)
      right = right && to[i] == from[i] + other[columns ? i % width * height + i / width : i % width];
    expect(right, "add", "large, broadcast or transposed");
  }
  // Two matrices transposed, the result's rows short and long, whole lines of cache and not; few channels, together and apart.
  const int64_t half = (20 << 20) / 8;
  const int64_t sizes[][2] = {{half / 16, 16}, {half / 50, 50}, {half / 600, 600}, {half / 1024, 1024},
                              {half / 3, 3},   {873808, 3},     {half / 2, 2},     {5003, 3},
                              {37, 2},         {3, half / 3},   {3, 873808},       {2, half / 2},
                              {2, 77},         {3, 131}};
  for (const auto& [height, width] : sizes) {
    View turned = aligned[0], straight = aligned[1];
    for (View* v : {&turned, &straight}) {
      v->ndim = 3;
      v->shape[0] = 2;
      v->shape[1] = height;
      v->shape[2] = width;
      v->numel = 2 * height * width;
      v->strides[0] = height * width;
      v->strides[1] = v == &turned ? 1 : width;
      v->strides[2] = v == &turned ? height : 1;
    }
    turned.contiguous = false;
    right = isa::copy({&turned, &straight, nullptr, &pool.pool, 1, 1, 0}) == kOk;
    for (int64_t b = 0; b < 2; ++b)
      for (int64_t i = 0; i < height; ++i)
        for (int64_t j = 0; j < width; ++j)
          right = right && to[(b * height + i) * width + j] == from[(b * width + j) * height + i];
    expect(right, "copy", "large, transposed");
  }
}

}  // namespace

int main() { return run_tests({test_copy}); }
