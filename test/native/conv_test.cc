// Convolution, forward and both gradients, against plain sums in double: random geometry (strides, padding of either sign,
// dilation, groups), each on 1, 2 and 3 threads with equal bits. Every operand ends at a page that may not be touched.
#include <stdlib.h>

#include "random_tensors.h"

namespace myelin {
namespace MYELIN_ISA {
Status conv2d(const Call& c);
Status conv2d_backward_data(const Call& c);
Status conv2d_backward_weight(const Call& c);
}  // namespace MYELIN_ISA
}  // namespace myelin

namespace {

int percent = 100;

struct Geometry {
  int64_t n, c, h, w, m, kh, kw, oh, ow, groups, sh, sw, ph, pw, dh, dw;
  Doubles params(bool fused, int activation = 0, double winograd = 1) const {
    Doubles p;
    for (const int64_t v : {sh, sw, ph, pw, dh, dw, groups}) p.push_back(static_cast<double>(v));
    p.push_back(winograd);
    if (fused) p.push_back(activation);
    return p;
  }
  Shape x() const { return {n, c, h, w}; }
  Shape weight() const { return {m, c / groups, kh, kw}; }
  Shape y() const { return {n, m, oh, ow}; }
};

// visit(x index, weight index, y index) for every product of the convolution.
template <class F>
void for_products(const Geometry& g, const F& visit) {
  const int64_t gc = g.c / g.groups, gm = g.m / g.groups;
  for (int64_t n = 0; n < g.n; ++n)
    for (int64_t m = 0; m < g.m; ++m)
      for (int64_t oh = 0; oh < g.oh; ++oh)
        for (int64_t ow = 0; ow < g.ow; ++ow)
          for (int64_t c = 0; c < gc; ++c)
            for (int64_t kh = 0; kh < g.kh; ++kh)
              for (int64_t kw = 0; kw < g.kw; ++kw) {
                const int64_t ih = oh * g.sh - g.ph + kh * g.dh, iw = ow * g.sw - g.pw + kw * g.dw;
                if (ih < 0 || ih >= g.h || iw < 0 || iw >= g.w) continue;
                visit(((n * g.c + m / gm * gc + c) * g.h + ih) * g.w + iw, ((m * gc + c) * g.kh + kh) * g.kw + kw,
                      ((n * g.m + m) * g.oh + oh) * g.ow + ow);
              }
}

// ‖got - want‖ <= tolerance · ‖want‖
void compare_norm(const char* what, const Geometry& g, const Doubles& got, const Doubles& want, double tolerance) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    error += (got[i] - want[i]) * (got[i] - want[i]);
    norm += want[i] * want[i];
  }
  char detail[256];
  snprintf(detail, sizeof(detail),
           "x %ld,%ld,%ld,%ld m %ld k %ld,%ld out %ld,%ld groups %ld stride %ld,%ld pad %ld,%ld dilation %ld,%ld: "
           "error %.3g of %.3g",
           static_cast<long>(g.n), static_cast<long>(g.c), static_cast<long>(g.h), static_cast<long>(g.w),
           static_cast<long>(g.m), static_cast<long>(g.kh), static_cast<long>(g.kw), static_cast<long>(g.oh),
           static_cast<long>(g.ow), static_cast<long>(g.groups), static_cast<long>(g.sh), static_cast<long>(g.sw),
           static_cast<long>(g.ph), static_cast<long>(g.pw), static_cast<long>(g.dh), static_cast<long>(g.dw),
           sqrt(error), sqrt(norm));
  expect(got.size() == want.size() && sqrt(error) <= tolerance * sqrt(norm), what, detail);
}

// With each channel of the sum scaled.
void check_scaled(const Geometry& g, DType dtype, Array* x, Array* weight, Array* bias, int activation,
                  double tolerance) {
  Array scale(dtype, {g.m}), y(dtype, g.y());
  Doubles by = random_values(g.m, 1, dtype);
  const Doubles xs = x->values(), ws = weight->values();
  Doubles want(static_cast<size_t>(y.view.numel));
  for_products(g, [&](int64_t i, int64_t j, int64_t k) {
    want[static_cast<size_t>(k)] += xs[static_cast<size_t>(i)] * ws[static_cast<size_t>(j)];
  });
  const Doubles shift = bias ? bias->values() : Doubles(static_cast<size_t>(g.m));
  // Signs that do not let a channel's sums and its shift cancel: what is left then would be rounding.
  const auto channel = [&](size_t i) { return i / static_cast<size_t>(g.oh * g.ow) % static_cast<size_t>(g.m); };
  Doubles totals(static_cast<size_t>(g.m));
  for (size_t i = 0; i < want.size(); ++i) totals[channel(i)] += want[i];
  for (size_t m = 0; m < by.size(); ++m)
    if (by[m] * totals[m] * shift[m] < 0) by[m] = -by[m];
  scale.fill(by);
  for (size_t i = 0; i < want.size(); ++i) {
    const size_t m = channel(i);
    const double v = by[m] * want[i] + shift[m];
    want[i] = activation == 1 ? (v > 0 ? v : 0) : activation == 2 ? tanh(v) : v;
  }
  expect(run("conv2d scaled", isa::conv2d, {x, weight, bias, &scale}, {&y}, g.params(true, activation)) == kOk,
         "conv2d scaled status");
  compare_norm("conv2d scaled", g, y.values(), want, tolerance);
}

void check(const Geometry& g, DType dtype, bool bias, int activation, double scale = 1) {
  Array x(dtype, g.x()), weight(dtype, g.weight()), y(dtype, g.y()), dy(dtype, g.y());
  Array dx(dtype, g.x()), dweight(dtype, g.weight()), by(dtype, {g.m}), bx(dtype, {g.c});
  const Doubles xs = random_values(x.view.numel, 1, dtype), ws = random_values(weight.view.numel, 1, dtype);
  const Doubles dys = random_values(dy.view.numel, 1, dtype);
  const Doubles bys = random_values(g.m, 1, dtype), bxs = random_values(g.c, 1, dtype);
  x.fill(xs), weight.fill(ws), dy.fill(dys), by.fill(bys), bx.fill(bxs);
  Doubles want_y(static_cast<size_t>(y.view.numel)), want_dx(xs.size()), want_dw(ws.size());
  for (size_t i = 0; i < want_y.size() && bias; ++i)
    want_y[i] = bys[i / static_cast<size_t>(g.oh * g.ow) % static_cast<size_t>(g.m)];
  for (size_t i = 0; i < want_dx.size() && bias; ++i)
    want_dx[i] = bxs[i / static_cast<size_t>(g.h * g.w) % static_cast<size_t>(g.c)];
  for_products(g, [&](int64_t i, int64_t j, int64_t k) {
    const size_t a = static_cast<size_t>(i), b = static_cast<size_t>(j), c = static_cast<size_t>(k);
    want_y[c] += xs[a] * ws[b];
    want_dx[a] += dys[c] * ws[b];
    want_dw[b] += dys[c] * xs[a];
  });
  for (Doubles* want : {&want_y, &want_dx})
    for (double& v : *want) v = activation == 1 ? (v > 0 ? v : 0) : activation == 2 ? tanh(v) : v;
  const double tolerance = scale * (dtype == kFloat32 ? 1e-6 : 1e-14);
  expect(run("conv2d", isa::conv2d, {&x, &weight, bias ? &by : nullptr}, {&y}, g.params(true, activation)) == kOk,
         "conv2d status");
  compare_norm("conv2d", g, y.values(), want_y, tolerance);
  check_scaled(g, dtype, &x, &weight, bias ? &by : nullptr, activation, tolerance);
  expect(run("conv2d_backward_data", isa::conv2d_backward_data, {&dy, &weight, bias ? &bx : nullptr}, {&dx},
             g.params(true, activation)) == kOk,
         "conv2d_backward_data status");
  compare_norm("conv2d_backward_data", g, dx.values(), want_dx, tolerance);
  expect(run("conv2d_backward_weight", isa::conv2d_backward_weight, {&dy, &x}, {&dweight}, g.params(false)) == kOk,
         "conv2d_backward_weight status");
  compare_norm("conv2d_backward_weight", g, dweight.values(), want_dw, tolerance);
}

int64_t larger_of(int64_t a, int64_t b) { return a > b ? a : b; }

// Sizes of one dimension: input, kernel, output and the rest.
void random_axis(int64_t most, int64_t* in, int64_t* k, int64_t* out, int64_t* stride, int64_t* pad,
                 int64_t* dilation) {
  *in = 1 + below(most);
  *k = below(3) == 0 ? 1 : 1 + below(5);
  *stride = below(2) == 0 ? 1 : 1 + below(4);
  *dilation = below(3) > 0 ? 1 : 1 + below(4);
  *pad = below(3) == 0 ? 0 : below(6) == 0 ? -below(3) : below((*k - 1) * *dilation + 2);
  const int64_t after = below(4) == 0 ? below(5) : *pad;
  const int64_t span = *in + *pad + after - (*k - 1) * *dilation - 1;
  *out = span < 0 ? below(2) : span / *stride + 1;
}

void random_geometries() {
  const int cases = 150 * kThorough * percent / 100;
  for (int i = 0; i < cases; ++i) {
    Geometry g;
    g.n = 1 + below(4);
    g.groups = below(3) > 0 ? 1 : 1 + below(4);
    g.c = g.groups * (1 + below(below(4) == 0 ? 40 : 6));
    g.m = g.groups * (1 + below(below(4) == 0 ? 40 : 9));
    random_axis(below(3) == 0 ? 40 : 12, &g.h, &g.kh, &g.oh, &g.sh, &g.ph, &g.dh);
    random_axis(below(3) == 0 ? 40 : 12, &g.w, &g.kw, &g.ow, &g.sw, &g.pw, &g.dw);
    if (below(6) == 0) g.h = g.kh = g.oh = g.sh = g.dh = 1, g.ph = 0;
    check(g, kFloats[below(2)], below(2) == 0, below(3) == 0 ? 1 + static_cast<int>(below(2)) : 0);
  }
}

// Groups of one to three channels, mostly with the windows of mobile networks.
void random_depthwise() {
  const int cases = 100 * kThorough * percent / 100;
  for (int i = 0; i < cases; ++i) {
    Geometry g;
    g.n = 1 + below(3);
    g.groups = 1 + below(6);
    g.c = g.groups * (below(4) == 0 ? 1 + below(3) : 1);
    g.m = g.groups * (below(4) == 0 ? 1 + below(3) : 1);
    random_axis(below(3) == 0 ? 70 : 20, &g.h, &g.kh, &g.oh, &g.sh, &g.ph, &g.dh);
    random_axis(below(3) == 0 ? 70 : 20, &g.w, &g.kw, &g.ow, &g.sw, &g.pw, &g.dw);
    if (below(3) > 0) {
      g.kh = g.kw = 3, g.dh = g.dw = g.ph = g.pw = 1;
      g.sh = g.sw = 1 + below(2);
      g.oh = (g.h - 1) / g.sh + 1, g.ow = (g.w - 1) / g.sw + 1;
      // Now and then without the last results, or with ones that read what lies past the end.
      if (below(5) == 0) g.oh = larger_of(0, g.oh - 2 + below(6)), g.ow = larger_of(0, g.ow - 2 + below(6));
    } else if (below(6) == 0) {
      g.h = g.kh = g.oh = g.sh = g.dh = 1, g.ph = 0;
    }
    check(g, kFloats[below(2)], below(2) == 0, below(3) == 0 ? 1 + static_cast<int>(below(2)) : 0);
  }
}

// Batches that fill vectors of images, of planes and of single rows.
void random_batches() {
  const int cases = 40 * kThorough * percent / 100;
  for (int i = 0; i < cases; ++i) {
    Geometry g;
    g.n = 1 + below(40);
    g.groups = below(4) > 0 ? 1 : 1 + below(3);
    g.c = g.groups * (1 + below(3));
    g.m = g.groups * (4 + below(9));
    random_axis(7, &g.h, &g.kh, &g.oh, &g.sh, &g.ph, &g.dh);
    random_axis(below(4) == 0 ? 40 : 9, &g.w, &g.kw, &g.ow, &g.sw, &g.pw, &g.dw);
    if (below(2) == 0) g.h = g.kh = g.oh = g.sh = g.dh = 1, g.ph = 0;
    check(g, kFloats[below(2)], below(2) == 0, below(3) == 0 ? 1 + static_cast<int>(below(2)) : 0);
  }
}

Geometry square(int64_t n, int64_t c, int64_t size, int64_t m, int64_t k, int64_t stride, int64_t pad,
                int64_t groups = 1) {
  const int64_t out = (size + 2 * pad - k) / stride + 1;
  return {n, c, size, size, m, k, k, out, out, groups, stride, stride, pad, pad, 1, 1};
}

// Shapes that networks have, large enough for every way a call may take.
void networks() {
  const Geometry shapes[] = {
      square(2, 20, 17, 33, 3, 1, 1),
      square(1, 64, 16, 64, 3, 1, 1),
      square(3, 48, 8, 40, 3, 1, 1),
      square(9, 40, 4, 70, 3, 1, 1),
      square(2, 24, 14, 32, 3, 2, 1),
      square(3, 20, 7, 270, 3, 2, 1),
      square(2, 20, 21, 60, 4, 2, 1, 2),
      {3, 1, 5, 4, 20, 3, 3, 3, 2, 1, 2, 2, 1, 1, 1, 1},
      {2, 20, 9, 30, 20, 3, 5, 9, 15, 1, 1, 2, 1, 2, 1, 1},
      square(1, 3, 40, 20, 7, 2, 3),
      square(4, 1, 28, 6, 5, 1, 2),
      square(4, 6, 14, 16, 5, 1, 0),
      square(2, 32, 13, 32, 3, 1, 1, 32),
      square(2, 24, 15, 24, 3, 2, 1, 24),
      square(2, 30, 10, 50, 1, 1, 0),
      square(2, 30, 10, 50, 1, 2, 0),
      square(3, 70, 9, 20, 1, 1, 0),
      square(3, 60, 5, 90, 1, 1, 0, 2),
      square(2, 40, 11, 70, 1, 2, 0),
      square(1, 600, 6, 40, 1, 1, 0),
      {2, 30, 9, 12, 20, 1, 1, 7, 10, 1, 1, 1, -1, -1, 1, 1},
      square(2, 40, 7, 40, 3, 1, 1, 40),
      square(1, 6, 112, 12, 3, 2, 1, 6),
      square(1, 5, 70, 5, 3, 1, 1, 5),
      square(2, 20, 14, 20, 5, 1, 2, 20),
      square(1, 130, 7, 20, 3, 1, 1),
      square(1, 256, 8, 64, 3, 1, 1),
      square(1, 200, 8, 40, 3, 1, 1),
      square(1, 130, 8, 40, 3, 1, 1),
      square(2, 130, 12, 40, 3, 1, 1),
      square(3, 512, 4, 32, 3, 1, 1),
      {2, 5, 1, 1500, 7, 1, 9, 1, 750, 1, 1, 2, 0, 4, 1, 1},
      {1, 2, 3, 900, 3, 2, 2, 2, 300, 1, 1, 1, 0, 0, 1, 600},
      {21, 25, 1, 19, 25, 1, 3, 1, 10, 1, 1, 2, 0, 1, 1, 1},
      {3, 1, 1, 5000, 25, 1, 5, 1, 2499, 1, 1, 2, 0, 1, 1, 1},
      square(16, 16, 10, 6, 5, 1, 4),
      {2, 3, 37, 45, 13, 7, 7, 19, 23, 1, 2, 2, 3, 3, 1, 1},
      {1, 8, 11, 700, 14, 7, 7, 6, 350, 2, 2, 2, 3, 3, 1, 1},
      {1, 2, 30, 50, 9, 6, 5, 14, 50, 1, 2, 1, 1, 2, 1, 1},
      {2, 5, 21, 35, 11, 4, 3, 20, 33, 1, 1, 1, 1, 0, 1, 1},
      square(1, 3, 64, 8, 8, 2, 3),
      {2, 30, 1, 131, 7, 1, 3, 1, 131, 1, 1, 1, 0, 1, 1, 1},
      {1, 80, 1, 1001, 12, 1, 3, 1, 999, 2, 1, 1, 0, 0, 1, 1},
      {2, 40, 1, 201, 30, 1, 4, 1, 200, 1, 1, 1, 0, 1, 1, 1},
  };
  // Without fused multiply-adds Winograd's rounding is a little above the bound that holds elsewhere.
#if defined(__FMA__) || defined(__aarch64__)
  const double tolerance = 1;
#else
  const double tolerance = 1.5;
#endif
  for (const Geometry& g : shapes) {
    check(g, kFloat32, true, 1, tolerance);
    check(g, kFloat32, false, 0, tolerance);
  }
  for (const Geometry& g : shapes) check(g, kFloat64, true, 0);
}

// What lies beside a row, in the next one or past the last result, has no part in it.
void infinities() {
  for (const DType dtype : kFloats) {
    for (const int64_t wide : {5, 9, 31, 40, 57}) {
      for (const int64_t stride : {1, 2}) {
        Geometry g = square(1, 2, wide, 2, 3, stride, 1, 2);
        g.ow -= 2;
        Array x(dtype, g.x()), dy(dtype, g.y()), dweight(dtype, g.weight());
        Doubles xs = random_values(x.view.numel, 1, dtype), ones(static_cast<size_t>(dy.view.numel), 1);
        for (int64_t r = 0; r < 2 * wide; ++r) xs[static_cast<size_t>((r + 1) * wide - 1)] = INFINITY;
        x.fill(xs), dy.fill(ones);
        expect(run("infinities", isa::conv2d_backward_weight, {&dy, &x}, {&dweight}, g.params(false)) == kOk,
               "infinities status");
        for (const double v : dweight.values()) expect(v - v == 0, "infinite past the last result", "by weight");
      }
    }
  }
}

void empty() {
  for (const DType dtype : kFloats) {
    check({0, 2, 5, 5, 3, 3, 3, 3, 3, 1, 1, 1, 0, 0, 1, 1}, dtype, true, 0);
    check({2, 2, 5, 5, 0, 3, 3, 3, 3, 1, 1, 1, 0, 0, 1, 1}, dtype, true, 0);
    check({2, 0, 5, 5, 3, 3, 3, 3, 3, 1, 1, 1, 0, 0, 1, 1}, dtype, true, 0);
    check({2, 2, 0, 5, 3, 3, 3, 0, 3, 1, 1, 1, 0, 0, 1, 1}, dtype, true, 0);
    check({2, 2, 0, 5, 3, 1, 3, 2, 3, 1, 1, 1, 1, 0, 1, 1}, dtype, true, 0);
  }
}

void refusals() {
  Array x(kFloat32, {2, 4, 5, 5}), weight(kFloat32, {6, 2, 3, 3}), y(kFloat32, {2, 6, 3, 3}), bias(kFloat32, {6});
  Array wide(kFloat64, {6, 2, 3, 3}), short_bias(kFloat32, {5}), gaps(kFloat32, {2, 4, 5, 5}, kGaps),
      ints(kInt32, {2, 4, 5, 5});
  const Doubles good = {1, 1, 0, 0, 1, 1, 2, 1, 0};
  const auto with = [&](size_t i, double v) {
    Doubles p = good;
    p[i] = v;
    return p;
  };
  const auto conv = [&](const Arrays& in, const Doubles& p) { return run("refusal", isa::conv2d, in, {&y}, p); };
  expect(conv({&x, &weight, &bias}, good) == kOk, "accepted");
  expect(conv({&x, &weight, &short_bias}, good) == kBadShape, "bias of another size");
  expect(conv({&x, &wide, nullptr}, good) == kBadDType, "two dtypes");
  expect(conv({&ints, &weight, nullptr}, good) == kBadDType, "integers");
  expect(conv({&gaps, &weight, nullptr}, good) == kBadShape, "gaps");
  expect(conv({&y, &weight, nullptr}, good) == kBadShape, "channels");
  expect(conv({&x, &weight, nullptr}, with(6, 3)) == kBadShape, "groups");
  for (const size_t i : {size_t{0}, size_t{1}, size_t{4}, size_t{5}, size_t{6}})
    expect(conv({&x, &weight, nullptr}, with(i, 0)) == kBadParameter, "a parameter of 0");
  for (size_t i = 0; i < 9; ++i) {
    expect(conv({&x, &weight, nullptr}, with(i, NAN)) == kBadParameter, "NaN");
    expect(conv({&x, &weight, nullptr}, with(i, 1.5)) == kBadParameter, "a fraction");
    expect(conv({&x, &weight, nullptr}, with(i, 1e18)) == kBadParameter, "a huge parameter");
  }
  expect(conv({&x, &weight, nullptr}, with(8, 6)) == kBadParameter, "activation");
  expect(conv({&x, &weight, nullptr}, with(7, 2)) == kBadParameter, "winograd");
  expect(conv({&x, &weight, nullptr}, {1, 1, 0, 0, 1, 1}) == kBadParameter, "too few parameters");
  // Far outside there are only zeros.
  const double far = 1 << 30;
  for (const Doubles& p : {with(0, far), with(1, far), with(2, far), with(3, -far), with(4, far), with(5, far)}) {
    expect(conv({&x, &weight, nullptr}, p) == kOk, "far");
    expect(run("far", isa::conv2d_backward_data, {&y, &weight}, {&x}, p) == kOk, "far, by data");
    expect(run("far", isa::conv2d_backward_weight, {&y, &x}, {&weight}, Doubles(p.begin(), p.end() - 1)) == kOk,
           "far, by weight");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) percent = atoi(argv[1]);
  return run_tests({refusals, empty, random_geometries, random_depthwise, random_batches, infinities, networks});
}
