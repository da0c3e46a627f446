// Pooling, padding, unfolding and interpolation against float64 references from their definitions: one to three dimensions,
// random windows, NaN, adjoints of the linear ops, hostile operands.
#include "random_tensors.h"

namespace {

double& at(Doubles& v, int64_t i) { return v[static_cast<size_t>(i)]; }

// Planes of one to three dimensions; those that are missing have size 1.
struct Window {
  int64_t planes, in[3], out[3], kernel[3], stride[3], pad[3], dilation[3];
  int dims;

  int64_t plane() const { return in[0] * in[1] * in[2]; }
  int64_t outputs() const { return out[0] * out[1] * out[2]; }
  Shape shape(const int64_t* sizes) const {
    Shape s = {planes};
    for (int d = 3 - dims; d < 3; ++d) s.push_back(sizes[d]);
    return s;
  }
  Doubles params(bool dilated) const {
    Doubles p = {static_cast<double>(dims)};
    const int64_t* const lists[4] = {kernel, stride, pad, dilation};
    for (int l = 0; l < (dilated ? 4 : 3); ++l) {
      for (int d = 0; d < 3; ++d) p.push_back(static_cast<double>(lists[l][d]));
    }
    return p;
  }
  // fn(index in the plane) for every input under output o (a number in the plane of outputs), in order.
  void taps(int64_t o, const std::function<void(int64_t)>& fn) const {
    const int64_t at[3] = {o / (out[1] * out[2]), o / out[2] % out[1], o % out[2]};
    for (int64_t i = 0; i < kernel[0]; ++i) {
      for (int64_t j = 0; j < kernel[1]; ++j) {
        for (int64_t k = 0; k < kernel[2]; ++k) {
          const int64_t tap[3] = {i, j, k};
          int64_t p[3];
          bool inside = true;
          for (int d = 0; d < 3; ++d) {
            p[d] = at[d] * stride[d] - pad[d] + tap[d] * dilation[d];
            inside = inside && p[d] >= 0 && p[d] < in[d];
          }
          if (inside) fn((p[0] * in[1] + p[1]) * in[2] + p[2]);
        }
      }
    }
  }
  // Elements of the window, padding counted in.
  double padded(int64_t o) const {
    const int64_t at[3] = {o / (out[1] * out[2]), o / out[2] % out[1], o % out[2]};
    double n = 1;
    for (int d = 0; d < 3; ++d) {
      const int64_t start = at[d] * stride[d] - pad[d];
      const int64_t end = start + kernel[d] < in[d] + pad[d] ? start + kernel[d] : in[d] + pad[d];
      n *= static_cast<double>(end - start);
    }
    return n;
  }
};

Window random_window(int dims, bool dilated) {
  Window w{};
  w.dims = dims;
  w.planes = 1 + below(4);
  for (int d = 0; d < 3; ++d) {
    w.in[d] = w.out[d] = w.kernel[d] = w.stride[d] = w.dilation[d] = 1;
    w.pad[d] = 0;
    if (d < 3 - dims) continue;
    w.in[d] = 1 + below(dims == 1 ? 120 : dims == 2 ? 40 : 9);
    w.kernel[d] = 1 + below(w.in[d] < 5 ? w.in[d] : 5);
    w.stride[d] = 1 + below(4);
    w.pad[d] = below(w.kernel[d] / 2 + 1);
    w.dilation[d] = dilated ? 1 + below(3) : 1;
    const bool ceil = below(2) == 0;
    const int64_t room = w.in[d] + 2 * w.pad[d] - w.dilation[d] * (w.kernel[d] - 1) - 1;
    if (room < 0) {
      w.dilation[d] = w.kernel[d] = 1;
      w.pad[d] = 0;
      w.out[d] = (w.in[d] - 1) / w.stride[d] + 1;
      continue;
    }
    w.out[d] = (room + (ceil ? w.stride[d] - 1 : 0)) / w.stride[d] + 1;
    if (ceil && (w.out[d] - 1) * w.stride[d] >= w.in[d] + w.pad[d]) --w.out[d];
  }
  return w;
}

// The adaptive window of output o of a dimension as one of its own.
Window adaptive_window(int dims) {
  Window w = random_window(dims, false);
  for (int d = 3 - dims; d < 3; ++d) w.out[d] = 1 + below(w.in[d] + 2);
  return w;
}
void adaptive_taps(const Window& w, int64_t o, const std::function<void(int64_t)>& fn) {
  const int64_t at[3] = {o / (w.out[1] * w.out[2]), o / w.out[2] % w.out[1], o % w.out[2]};
  int64_t low[3], high[3];
  for (int d = 0; d < 3; ++d) {
    low[d] = at[d] * w.in[d] / w.out[d];
    high[d] = ((at[d] + 1) * w.in[d] + w.out[d] - 1) / w.out[d];
  }
  for (int64_t i = low[0]; i < high[0]; ++i) {
    for (int64_t j = low[1]; j < high[1]; ++j) {
      for (int64_t k = low[2]; k < high[2]; ++k) fn((i * w.in[1] + j) * w.in[2] + k);
    }
  }
}

using Taps = std::function<void(int64_t, const std::function<void(int64_t)>&)>;

void test_max(DType dtype, const Window& w, bool adaptive, bool special) {
  const Taps taps = [&](int64_t o, const std::function<void(int64_t)>& fn) {
    if (adaptive) {
      adaptive_taps(w, o, fn);
    } else {
      w.taps(o, fn);
    }
  };
  const int64_t in = w.plane(), out = w.outputs();
  Array x(dtype, w.shape(w.in)), y(dtype, w.shape(w.out)), plain(dtype, w.shape(w.out)), index(kInt32, w.shape(w.out));
  Array dy(dtype, w.shape(w.out)), dx(dtype, w.shape(w.in)), back(dtype, w.shape(w.out));
  Doubles values = random_values(x.view.numel, 3, dtype);
  // Few different values, so that there are ties; NaN and infinities among them.
  for (double& v : values) {
    if (special) v = below(12) == 0 ? NAN : below(6) == 0 ? -INFINITY : floor(v);
  }
  x.fill(values);
  dy.fill(random_values(dy.view.numel, 1, dtype));
  const Kernel kernel = adaptive ? isa::adaptive_max_pool : isa::max_pool;
  const double dims = static_cast<double>(w.dims);
  const Doubles params = adaptive ? Doubles{dims} : w.params(true);
  expect(run("max_pool", kernel, {&x}, {&y, &index}, params) == kOk, "max_pool");
  Doubles want(static_cast<size_t>(w.planes * out)), where(want.size()), gradient(values.size()), gathered(want.size());
  for (int64_t p = 0; p < w.planes; ++p) {
    for (int64_t o = 0; o < out; ++o) {
      double best = -INFINITY;
      int64_t found = -1;
      taps(o, [&](int64_t i) {
        const double v = at(values, p * in + i);
        if (found < 0) found = i;
        if (v > best || isnan(v)) {
          best = v;
          found = i;
        }
      });
      // Dilation can lead a window past all of the input; its index is any.
      if (found < 0) found = static_cast<int64_t>(index.get(p * out + o));
      at(want, p * out + o) = best;
      at(where, p * out + o) = static_cast<double>(found);
      at(gradient, p * in + found) += dy.get(p * out + o);
      at(gathered, p * out + o) = at(values, p * in + found);
    }
  }
  compare("max_pool values", y.values(), want, 0);
  compare("max_pool indices", index.values(), where, 0);
  expect(run("max_pool", kernel, {&x}, {&plain}, params) == kOk, "max_pool without indices");
  compare("max_pool values without indices", plain.values(), want, 0);
  expect(run("max_pool_backward", isa::max_pool_backward, {&dy, &index}, {&dx}, {dims, 0}) == kOk, "max_pool_backward");
  compare("max_pool_backward values", dx.values(), gradient, dtype == kFloat32 ? 1e-6 : 1e-15, 1);
  expect(run("max_pool_gather", isa::max_pool_gather, {&x, &index}, {&back}, {dims}) == kOk, "max_pool_gather");
  compare("max_pool_gather values", back.values(), gathered, 0);
  const bool tiles = !adaptive && w.dims < 3 && w.kernel[2] == 2 && w.stride[2] == 2 && w.kernel[1] == w.stride[1] &&
                     w.pad[1] + w.pad[2] == 0 && w.dilation[1] * w.dilation[2] == 1 && 2 * w.out[2] <= w.in[2] &&
                     w.kernel[1] * w.out[1] <= w.in[1];
  if (tiles) {
    const Doubles tiled = {dims, static_cast<double>(w.kernel[1])};
    expect(run("tiles", isa::max_pool_backward, {&dy, &index}, {&dx}, tiled) == kOk, "max_pool_backward of tiles");
    compare("max_pool_backward values of tiles", dx.values(), gradient, 0);
  }
  for (int bad : {-1, static_cast<int>(in), 0x7fffffff, -0x7fffffff - 1}) {
    index.set(0, bad);
    expect(run("bad", isa::max_pool_backward, {&dy, &index}, {&dx}, {dims, 0}) == kBadIndex, "index of a scatter");
    expect(run("bad", isa::max_pool_gather, {&x, &index}, {&back}, {dims}) == kBadIndex, "index of a gather");
  }
}

void test_avg(DType dtype, const Window& w, bool adaptive, bool padded, double divisor) {
  const double eps = dtype == kFloat32 ? 1e-6 : 1e-14;
  const int64_t in = w.plane(), out = w.outputs();
  Array x(dtype, w.shape(w.in)), y(dtype, w.shape(w.out)), dy(dtype, w.shape(w.out)), dx(dtype, w.shape(w.in));
  x.fill(random_values(x.view.numel, 3, dtype));
  dy.fill(random_values(dy.view.numel, 1, dtype));
  Doubles want(static_cast<size_t>(w.planes * out)), gradient(static_cast<size_t>(w.planes * in));
  for (int64_t p = 0; p < w.planes; ++p) {
    for (int64_t o = 0; o < out; ++o) {
      std::vector<int64_t> taps;
      const auto keep = [&](int64_t i) { taps.push_back(i); };
      if (adaptive) {
        adaptive_taps(w, o, keep);
      } else {
        w.taps(o, keep);
      }
      const double by = !adaptive && divisor != 0 ? divisor
                        : !adaptive && padded     ? w.padded(o)
                                                  : static_cast<double>(taps.size());
      for (int64_t i : taps) {
        at(want, p * out + o) += x.get(p * in + i) / by;
        at(gradient, p * in + i) += dy.get(p * out + o) / by;
      }
    }
  }
  Doubles params = {static_cast<double>(w.dims)};
  if (!adaptive) {
    params = w.params(false);
    params.push_back(padded ? 1 : 0);
    params.push_back(divisor);
  }
  expect(run("avg_pool", adaptive ? isa::adaptive_avg_pool : isa::avg_pool, {&x}, {&y}, params) == kOk, "avg_pool");
  compare("avg_pool values", y.values(), want, eps, 3);
  expect(run("avg_pool_backward", adaptive ? isa::adaptive_avg_pool_backward : isa::avg_pool_backward, {&dy}, {&dx},
             params) == kOk,
         "avg_pool_backward");
  compare("avg_pool_backward values", dx.values(), gradient, eps, 3);
}

// A window of 2-D planes with one kernel, stride and padding for both dimensions.
Window square(int64_t planes, int64_t height, int64_t width, int64_t kernel, int64_t stride, int64_t pad) {
  Window w{planes,        {1, height, width}, {1, 1, 1}, {1, kernel, kernel}, {1, stride, stride},
           {0, pad, pad}, {1, 1, 1},          2};
  for (int d = 1; d < 3; ++d) w.out[d] = (w.in[d] + 2 * pad - kernel) / stride + 1;
  return w;
}

void test_pools() {
  for (DType dtype : kFloats) {
    for (int64_t width : {2, 3, 7, 8, 15, 16, 17, 33, 40}) {
      for (bool special : {false, true}) {
        test_max(dtype, square(3, 6, width, 2, 2, 0), false, special);
        test_max(dtype, square(2, 7, width, 2, 1, 1), false, special);
        if (width > 2) test_max(dtype, square(2, 9, width, 3, 2, 1), false, special);
        if (width > 2) test_max(dtype, square(2, 9, width, 3, 3, 0), false, special);
      }
      test_avg(dtype, square(3, 6, width, 2, 2, 0), false, true, 0);
      test_avg(dtype, square(2, 7, width, 2, 1, 1), false, false, 0);
    }
    test_max(dtype, square(70, 32, 32, 2, 2, 0), false, false);  // shared out among threads
    test_avg(dtype, square(70, 32, 32, 2, 2, 0), false, true, 0);
    test_avg(dtype, square(3, 40, 50, 17, 5, 8), false, true, 0);
  }
  for (int k = 0; k < 80 * kThorough; ++k) {
    const DType dtype = kFloats[k % 2];
    const int dims = 1 + static_cast<int>(below(3));
    test_max(dtype, random_window(dims, true), false, k % 4 == 0);
    test_max(dtype, adaptive_window(dims), true, k % 4 == 1);
    test_avg(dtype, random_window(dims, false), false, below(2) == 0, below(3) == 0 ? -2.5 : 0);
    test_avg(dtype, adaptive_window(dims), true, false, 0);
  }
}

// <to, forward(x)> = <backward(to), x>: the backward pass is the transpose of a forward pass that was checked.
void test_transpose(const char* what, Kernel forward, Kernel backward, Array& x, Array& y, const Doubles& params) {
  const DType dtype = x.view.dtype;
  Shape in, out;
  for (int d = 0; d < x.view.ndim; ++d) in.push_back(x.view.shape[d]);
  for (int d = 0; d < y.view.ndim; ++d) out.push_back(y.view.shape[d]);
  Array dy(dtype, out), dx(dtype, in);
  dy.fill(random_values(dy.view.numel, 1, dtype));
  expect(run(what, forward, {&x}, {&y}, params) == kOk, what);
  expect(run(what, backward, {&dy}, {&dx}, params) == kOk, what);
  double left = 0, right = 0, size = 1;
  for (int64_t i = 0; i < y.view.numel; ++i) {
    left += y.get(i) * dy.get(i);
    size += fabs(y.get(i) * dy.get(i));
  }
  for (int64_t i = 0; i < x.view.numel; ++i) right += x.get(i) * dx.get(i);
  compare(what, {left}, {right}, (dtype == kFloat32 ? 2e-7 : 1e-15) * size, 1);
}

void test_pad() {
  for (int k = 0; k < 60 * kThorough; ++k) {
    const DType dtype = kFloats[k % 2];
    const int dims = 1 + static_cast<int>(below(3)), mode = 1 + static_cast<int>(below(3));
    Window w = random_window(dims, false);
    Doubles params = {static_cast<double>(dims), static_cast<double>(mode)};
    int64_t left[3] = {0, 0, 0};
    for (int d = 0; d < 3; ++d) {
      w.out[d] = w.in[d];
      if (d >= 3 - dims) {
        const int64_t most = mode == 1 ? w.in[d] - 1 : mode == 3 ? w.in[d] : 7;
        left[d] = below(most + 1) - (below(3) == 0 ? below(w.in[d]) : 0);
        int64_t right = below(most + 1);
        if (w.in[d] + left[d] + right < 1) right = 1 - w.in[d] - left[d];
        w.out[d] = w.in[d] + left[d] + right;
      }
      params.push_back(static_cast<double>(left[d]));
    }
    Array x(dtype, w.shape(w.in)), y(dtype, w.shape(w.out));
    x.fill(random_values(x.view.numel, 2, dtype));
    test_transpose("pad_from_input", isa::pad_from_input, isa::pad_from_input_backward, x, y, params);
    Doubles want;
    for (int64_t p = 0; p < w.planes; ++p) {
      for (int64_t o = 0; o < w.outputs(); ++o) {
        int64_t place[3] = {o / (w.out[1] * w.out[2]), o / w.out[2] % w.out[1], o % w.out[2]};
        for (int d = 0; d < 3; ++d) {
          const int64_t n = w.in[d];
          int64_t& i = place[d];
          i -= left[d];
          while (i < 0 || i >= n)
            i = mode == 1 ? (i < 0 ? -i : 2 * n - 2 - i) : mode == 2 ? (i < 0 ? 0 : n - 1) : i < 0 ? i + n : i - n;
        }
        want.push_back(x.get(p * w.plane() + (place[0] * w.in[1] + place[1]) * w.in[2] + place[2]));
      }
    }
    compare("pad_from_input values", y.values(), want, 0);
  }
}

void test_unfold() {
  for (int k = 0; k < 60 * kThorough; ++k) {
    const DType dtype = kFloats[k % 2];
    Window w = random_window(2, true);
    for (int d = 1; d < 3; ++d) {
      w.out[d] = (w.in[d] + 2 * w.pad[d] - w.dilation[d] * (w.kernel[d] - 1) - 1) / w.stride[d] + 1;
    }
    const int64_t batch = 1 + below(3), channels = w.planes, taps = w.kernel[1] * w.kernel[2];
    Doubles params;
    for (const int64_t* list : {w.kernel, w.stride, w.pad, w.dilation}) {
      for (int d = 1; d < 3; ++d) params.push_back(static_cast<double>(list[d]));
    }
    Array x(dtype, {batch, channels, w.in[1], w.in[2]}), y(dtype, {batch, channels * taps, w.outputs()});
    x.fill(random_values(x.view.numel, 2, dtype));
    test_transpose("unfold", isa::unfold, isa::fold, x, y, params);
    Doubles want;
    for (int64_t p = 0; p < batch * channels; ++p) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        for (int64_t o = 0; o < w.outputs(); ++o) {
          const int64_t i = o / w.out[2] * w.stride[1] - w.pad[1] + tap / w.kernel[2] * w.dilation[1];
          const int64_t j = o % w.out[2] * w.stride[2] - w.pad[2] + tap % w.kernel[2] * w.dilation[2];
          const bool inside = i >= 0 && i < w.in[1] && j >= 0 && j < w.in[2];
          want.push_back(inside ? x.get((p * w.in[1] + i) * w.in[2] + j) : 0);
        }
      }
    }
    compare("unfold values", y.values(), want, 0);
  }
}

// Weights of the inputs of one dimension for output o, by the definitions.
Doubles sampling(int mode, bool align, int64_t in, int64_t out, int64_t o) {
  Doubles w(static_cast<size_t>(in));
  const double step = static_cast<double>(in) / static_cast<double>(out);
  const auto add = [&](double i, double weight) {
    const double last = static_cast<double>(in - 1);
    at(w, static_cast<int64_t>(i < 0 ? 0 : i > last ? last : i)) += weight;
  };
  if (mode < 2) {
    add(floor((static_cast<double>(o) + (mode == 1 ? 0.5 : 0)) * step), 1);
    return w;
  }
  const double corners = out > 1 ? static_cast<double>(in - 1) / static_cast<double>(out - 1) : 0;
  double source = align ? corners * static_cast<double>(o) : step * (static_cast<double>(o) + 0.5) - 0.5;
  if (mode == 2) {
    if (source < 0) source = 0;
    const double first = floor(source);
    add(first, 1 - (source - first));
    add(first + 1, source - first);
    return w;
  }
  const double first = floor(source);
  for (int k = -1; k < 3; ++k) {
    const double d = fabs(source - first - k), a = -0.75;
    add(first + k,
        d <= 1 ? (a + 2) * d * d * d - (a + 3) * d * d + 1 : a * d * d * d - 5 * a * d * d + 8 * a * d - 4 * a);
  }
  return w;
}

void test_interpolate() {
  for (int k = 0; k < 60 * kThorough; ++k) {
    const DType dtype = kFloats[k % 2];
    const int dims = 1 + static_cast<int>(below(3)),
              mode = dims == 2 ? static_cast<int>(below(4)) : static_cast<int>(below(3));
    const bool align = mode >= 2 && below(2) == 0;
    Window w = random_window(dims, false);
    const bool twice = below(3) == 0;
    for (int d = 3 - dims; d < 3; ++d) w.out[d] = twice ? 2 * w.in[d] : 1 + below(2 * w.in[d] + 2);
    Array x(dtype, w.shape(w.in)), y(dtype, w.shape(w.out));
    x.fill(random_values(x.view.numel, 2, dtype));
    const Doubles params = {static_cast<double>(dims), static_cast<double>(mode), align ? 1.0 : 0.0, 0, 0, 0};
    test_transpose("interpolate", isa::interpolate, isa::interpolate_backward, x, y, params);
    Doubles want(static_cast<size_t>(w.planes * w.outputs()));
    for (int64_t o = 0; o < w.outputs(); ++o) {
      const int64_t place[3] = {o / (w.out[1] * w.out[2]), o / w.out[2] % w.out[1], o % w.out[2]};
      Doubles weights[3];
      for (int d = 0; d < 3; ++d) weights[d] = sampling(d < 3 - dims ? 0 : mode, align, w.in[d], w.out[d], place[d]);
      for (int64_t i = 0; i < w.plane(); ++i) {
        const double weight = at(weights[0], i / (w.in[1] * w.in[2])) * at(weights[1], i / w.in[2] % w.in[1]) *
                              at(weights[2], i % w.in[2]);
        for (int64_t p = 0; p < w.planes && weight != 0; ++p)
          at(want, p * w.outputs() + o) += weight * x.get(p * w.plane() + i);
      }
    }
    compare("interpolate values", y.values(), want, dtype == kFloat32 ? 1e-6 : 1e-14, 4);
  }
}

// Operands that do not fit are refused; those that do are never left.
void test_refusals() {
  Array x(kFloat32, {2, 6, 8}), y(kFloat32, {2, 3, 4}), index(kInt32, {2, 3, 4}), gaps(kFloat32, {2, 6, 8}, kGaps);
  Array doubles(kFloat64, {2, 3, 4}), three(kFloat32, {3, 3, 4}), many(kFloat32, {2, 30, 40}),
      nothing(kFloat32, {2, 0, 8});
  const Doubles good = {2, 1, 2, 2, 1, 2, 2, 0, 0, 0, 1, 1, 1};
  const auto refuses = [&](const char* what, Kernel kernel, const Arrays& in, const Arrays& out,
                           const Doubles& params) {
    expect(run(what, kernel, in, out, params) != kOk, what, "took what does not fit");
  };
  refuses("max_pool gaps", isa::max_pool, {&gaps}, {&y}, good);
  refuses("max_pool dtype", isa::max_pool, {&x}, {&doubles}, good);
  refuses("max_pool planes", isa::max_pool, {&x}, {&three}, good);
  refuses("max_pool of nothing", isa::max_pool, {&nothing}, {&y}, good);
  refuses("max_pool indices", isa::max_pool, {&x}, {&y, &y}, good);
  for (size_t i = 0; i < good.size(); ++i) {
    for (double bad : {-1.0, 0.5, 1e300, static_cast<double>(NAN)}) {
      Doubles params = good;
      params[i] = bad;
      refuses("max_pool parameter", isa::max_pool, {&x}, {&y}, params);
    }
  }
  // More windows than there is room for: those past the end are empty.
  expect(run("max_pool", isa::max_pool, {&x}, {&many}, good) == kOk, "max_pool past the end");
  expect(many.get(39) == -INFINITY, "an empty maximum");
  const Doubles wild = {2, 1,          2147483647, 2147483647, 1,          2147483647, 2147483647,
                        0, 2147483647, 2147483647, 1,          2147483647, 2147483647};
  expect(run("max_pool", isa::max_pool, {&x}, {&many}, wild) == kOk, "max_pool of wild windows");
  refuses("tiles", isa::max_pool_backward, {&y, &index}, {&x}, {2, 3});
  refuses("tiles", isa::max_pool_backward, {&y, &index}, {&x}, {2, -1});
  refuses("pad mode", isa::pad_from_input, {&x}, {&many}, {2, 4, 0, 0, 0});
  for (double left : {-2e9, -40.0, 0.0, 40.0, 2e9}) {
    for (double mode : {1.0, 2.0, 3.0}) run("pad", isa::pad_from_input, {&x}, {&many}, {2, mode, 0, left, left});
  }
  Array image(kFloat32, {1, 1, 6, 8}), columns(kFloat32, {1, 4, 35});
  expect(run("unfold", isa::unfold, {&image}, {&columns}, {2, 2, 1, 1, 0, 0, 1, 1}) == kOk, "unfold");
  refuses("unfold windows", isa::unfold, {&image}, {&columns}, {2, 2, 1, 2, 0, 0, 1, 1});
  refuses("unfold overflow", isa::unfold, {&image}, {&columns},
          {2147483647, 2147483647, 1, 1, 2147483647, 2147483647, 1, 1});
  refuses("interpolate mode", isa::interpolate, {&x}, {&y}, {2, 4, 0, 0, 0, 0});
  refuses("interpolate scale", isa::interpolate, {&x}, {&y}, {2, 2, 0, 0, -1, 1});
  for (double scale : {1e-300, 1e-9, 1e9, 1e300}) {
    for (double mode : {0.0, 1.0, 2.0, 3.0})
      run("interpolate", isa::interpolate, {&x}, {&y}, {2, mode, 0, 0, scale, scale});
  }
}

}  // namespace

int main() { return run_tests({test_pools, test_pad, test_unfold, test_interpolate, test_refusals}); }
