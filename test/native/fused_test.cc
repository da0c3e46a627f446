// Softmax, losses and rows by index against scalar float64 references: odd lengths, strides, empty operands, NaN.
#include "kernel_harness.h"

namespace {

double at(const Doubles& v, int64_t i) { return v[static_cast<size_t>(i)]; }

// --- softmax

// f(row) -> row for every row of x along `axis`; several inputs are handed over side by side.
Doubles map_rows(const Shape& shape, size_t axis, const std::vector<Doubles>& in,
                 const std::function<Doubles(const std::vector<Doubles>&)>& f) {
  int64_t outer = 1, inner = 1;
  const int64_t n = shape[axis];
  for (size_t d = 0; d < axis; ++d) outer *= shape[d];
  for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
  Doubles out(in[0].size());
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      std::vector<Doubles> rows;
      for (const Doubles& x : in) {
        Doubles row;
        for (int64_t k = 0; k < n; ++k) row.push_back(at(x, (o * n + k) * inner + i));
        rows.push_back(row);
      }
      const Doubles result = f(rows);
      for (int64_t k = 0; k < n; ++k) out[static_cast<size_t>((o * n + k) * inner + i)] = at(result, k);
    }
  }
  return out;
}

Doubles log_softmax_row(const Doubles& x) {
  double m = -INFINITY, sum = 0;
  for (double v : x) m = v > m ? v : m;
  for (double v : x) sum += ::exp(v - m);
  Doubles y = x;
  for (double& v : y) v = v - m - ::log(sum);
  return y;
}

Doubles softmax_row(const Doubles& x) {
  Doubles y = log_softmax_row(x);
  for (double& v : y) v = ::exp(v);
  return y;
}

void test_softmax_shape(DType dtype, const Shape& shape, size_t axis, Layout layout, Layout out_layout) {
  const double eps = dtype == kFloat32 ? 1e-6 : 1e-14;
  Array x(dtype, shape, layout);
  Array y(dtype, shape, out_layout);
  Array dy(dtype, shape, layout);
  Array dx(dtype, shape, out_layout);
  x.fill(random_values(x.view.numel, 8, dtype));
  dy.fill(random_values(x.view.numel, 1, dtype));
  const Doubles params = {double(axis)};
  const auto forward = [](Doubles (*f)(const Doubles&)) {
    return [f](const std::vector<Doubles>& rows) { return f(rows[0]); };
  };
  expect(run("softmax", isa::softmax, {&x}, {&y}, params) == kOk, "softmax");
  compare("softmax values", y.values(), map_rows(shape, axis, {x.values()}, forward(softmax_row)), 4 * eps);
  expect(run("softmax_backward", isa::softmax_backward, {&dy, &y}, {&dx}, params) == kOk, "softmax_backward");
  compare("softmax_backward values", dx.values(),
          map_rows(shape, axis, {dy.values(), y.values()},
                   [](const std::vector<Doubles>& rows) {
                     double dot = 0;
                     Doubles r = rows[1];
                     for (size_t i = 0; i < r.size(); ++i) dot += rows[0][i] * rows[1][i];
                     for (size_t i = 0; i < r.size(); ++i) r[i] *= rows[0][i] - dot;
                     return r;
                   }),
          4 * eps, 0.3);

  expect(run("log_softmax", isa::log_softmax, {&x}, {&y}, params) == kOk, "log_softmax");
  compare("log_softmax values", y.values(), map_rows(shape, axis, {x.values()}, forward(log_softmax_row)), 2 * eps, 8);
  expect(run("log_softmax_backward", isa::log_softmax_backward, {&dy, &y}, {&dx}, params) == kOk,
         "log_softmax_backward");
  compare("log_softmax_backward values", dx.values(),
          map_rows(shape, axis, {dy.values(), y.values()},
                   [](const std::vector<Doubles>& rows) {
                     double sum = 0;
                     Doubles r = rows[0];
                     for (double v : rows[0]) sum += v;
                     for (size_t i = 0; i < r.size(); ++i) r[i] -= ::exp(rows[1][i]) * sum;
                     return r;
                   }),
          8 * eps, 2);
}

// A result that bypasses the caches has the bits of a small one, whose rows are these rows' last.
void test_large_softmax() {
  constexpr int64_t rows = 8203, columns = 512, few = 5;
  Array x(kFloat32, {rows, columns}), g(kFloat32, {rows, columns}), y(kFloat32, {rows, columns});
  Array few_x(kFloat32, {few, columns}), few_g(kFloat32, {few, columns}), few_y(kFloat32, {few, columns});
  const Doubles values = random_values(4099, 3, kFloat32);
  for (int64_t i = 0; i < rows * columns; ++i) {
    reinterpret_cast<float*>(x.memory.data)[i] = static_cast<float>(at(values, i % 4099));
    reinterpret_cast<float*>(g.memory.data)[i] = static_cast<float>(at(values, (i + 77) % 4099));
  }
  memcpy(few_x.memory.data, x.memory.data + x.bytes - few_x.bytes, few_x.bytes);
  memcpy(few_g.memory.data, g.memory.data + g.bytes - few_g.bytes, few_g.bytes);
  const auto check = [&](const char* name, Kernel kernel, const Arrays& large, const Arrays& small) {
    expect(run(name, kernel, large, {&y}, {1}) == kOk && run(name, kernel, small, {&few_y}, {1}) == kOk, name);
    expect(memcmp(y.memory.data + y.bytes - few_y.bytes, few_y.memory.data, few_y.bytes) == 0, name);
  };
  check("large softmax", isa::softmax, {&x}, {&few_x});
  check("large log_softmax", isa::log_softmax, {&x}, {&few_x});
  check("large softmax_backward", isa::softmax_backward, {&g, &x}, {&few_g, &few_x});
  check("large log_softmax_backward", isa::log_softmax_backward, {&g, &x}, {&few_g, &few_x});
}

void test_softmax() {
  const std::vector<Shape> shapes = {{1},          {5},    {3, 7}, {2, 16},   {4, 33}, {3, 5, 37},
                                     {2, 3, 4, 5}, {0, 4}, {4, 0}, {2, 1, 9}, {7, 600}};
  for (DType dtype : kFloats) {
    for (const Shape& shape : shapes) {
      for (size_t axis = 0; axis < shape.size(); ++axis) {
        for (Layout layout : kLayouts) test_softmax_shape(dtype, shape, axis, layout, kPacked);
        test_softmax_shape(dtype, shape, axis, kPacked, kGaps);
        test_softmax_shape(dtype, shape, axis, kReversed, kReversed);
      }
    }
    test_softmax_shape(dtype, {150, 257}, 1, kPacked, kPacked);
    test_softmax_shape(dtype, {257, 150}, 0, kPacked, kPacked);
    test_softmax_shape(dtype, {20, 30, 65}, 1, kPacked, kPacked);
    test_softmax_shape(dtype, {40, 1030}, 1, kGaps, kGaps);
    test_softmax_shape(dtype, {1, 40001}, 1, kPacked, kPacked);

    // Rows: NaN; all -inf; +inf; some -inf; large values.
    for (size_t axis = 0; axis < 2; ++axis) {
      const Doubles rows = {1, NAN, 0,         2, -INFINITY, -INFINITY, -INFINITY, -INFINITY, 1, INFINITY,
                            0, 0,   -INFINITY, 3, 3,         -INFINITY, 1e30,      1e30,      0, -1e30};
      const Shape shape = axis == 1 ? Shape{5, 4} : Shape{4, 5};
      Array x(dtype, shape);
      Array y(dtype, shape);
      const Doubles want = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, 0, 0.5, 0.5, 0, 0.5, 0.5, 0, 0};
      const auto place = [axis](int64_t i) { return axis == 1 ? i : i % 4 * 5 + i / 4; };
      for (int64_t i = 0; i < 20; ++i) x.set(place(i), at(rows, i));
      run("softmax", isa::softmax, {&x}, {&y}, {double(axis)});
      Doubles got;
      for (int64_t i = 0; i < 20; ++i) got.push_back(y.get(place(i)));
      compare("softmax of special rows", got, want, 0);
      run("log_softmax", isa::log_softmax, {&x}, {&y}, {double(axis)});
      for (int64_t i = 0; i < 20; ++i) {
        const double v = y.get(place(i));
        expect(isnan(v) == (i < 12), "log_softmax of special rows");
        if (i == 12 || i == 19) expect(i == 12 ? v == -INFINITY : v <= -1e30, "log_softmax of -inf");
      }
    }
    Array scalar(dtype, {});
    Array one(dtype, {});
    scalar.set(0, 3);
    expect(run("softmax", isa::softmax, {&scalar}, {&one}, {0}) == kOk && one.get(0) == 1, "softmax of a scalar");
  }
  Array a(kFloat32, {2, 3});
  Array b(kFloat32, {2, 3});
  Array wrong(kFloat32, {3, 2});
  Array ints(kInt32, {2, 3});
  expect(run("softmax", isa::softmax, {&a}, {&b}, {2}) == kBadParameter, "softmax axis");
  expect(run("softmax", isa::softmax, {&a}, {&b}, {-1}) == kBadParameter, "softmax axis");
  expect(run("softmax", isa::softmax, {&a}, {&wrong}, {0}) == kBadShape, "softmax shape");
  expect(run("softmax", isa::softmax, {&ints}, {&b}, {0}) == kBadDType, "softmax dtype");
}

// --- losses

struct EntropyCase {
  int64_t n, classes;
  int reduction;
  double smoothing;
  bool weighted;
  double ignored;  // share of rows
  Layout layout;
};

void test_entropy(DType dtype, const EntropyCase& e) {
  const double eps = dtype == kFloat32 ? 2e-6 : 1e-13;
  const int ignore = -100;
  Array logits(dtype, {e.n, e.classes}, e.layout);
  Array target(kInt32, {e.n}, e.layout);
  Array weight(dtype, {e.classes}, e.layout);
  const Shape loss_shape = e.reduction == 0 ? Shape{e.n} : Shape{};
  Array loss(dtype, loss_shape, e.layout);
  Array dloss(dtype, loss_shape, e.layout);
  Array lse(dtype, {e.n}, e.layout);
  Array total(dtype, {});
  Array dlogits(dtype, {e.n, e.classes}, e.layout);
  logits.fill(random_values(e.n * e.classes, 5, dtype));
  dloss.fill(random_values(dloss.view.numel, 2, dtype));
  for (int64_t j = 0; j < e.classes; ++j) weight.set(j, e.weighted ? 0.5 + fabs(noise()) : 1);
  for (int64_t i = 0; i < e.n; ++i) {
    target.set(i, fabs(noise()) < e.ignored ? ignore : floor(fabs(noise()) * 0.999 * double(e.classes)));
  }

  const Doubles x = logits.values(), w = weight.values(), t = target.values();
  Doubles losses, lses, p;
  double weights = 0, sum = 0;
  for (int64_t i = 0; i < e.n; ++i) {
    const Doubles row(x.begin() + i * e.classes, x.begin() + (i + 1) * e.classes);
    const Doubles logp = log_softmax_row(row);
    for (double v : logp) p.push_back(::exp(v));
    lses.push_back(row[0] - logp[0]);
    double value = 0;
    if (at(t, i) != ignore) {
      const double wt = at(w, int64_t(at(t, i)));
      value = -(1 - e.smoothing) * wt * at(logp, int64_t(at(t, i)));
      for (int64_t j = 0; j < e.classes; ++j) value -= e.smoothing / double(e.classes) * at(w, j) * at(logp, j);
      weights += wt;
    }
    losses.push_back(value);
    sum += value;
  }
  const Doubles want = e.reduction == 0 ? losses : Doubles{e.reduction == 1 ? sum / weights : sum};
  Array* optional = e.weighted ? &weight : nullptr;
  const Doubles params = {double(e.reduction), double(ignore), e.smoothing};
  expect(run("cross_entropy", isa::cross_entropy, {&logits, &target, optional}, {&loss, &lse, &total}, params) == kOk,
         "cross_entropy");
  compare("cross_entropy loss", loss.values(), want, eps, 1);
  compare("cross_entropy lse", lse.values(), lses, eps, 1);
  compare("cross_entropy total", total.values(), {weights}, eps);

  Doubles gradient(x.size());
  for (int64_t i = 0; i < e.n; ++i) {
    if (at(t, i) == ignore) continue;
    const int64_t hit = int64_t(at(t, i));
    const double g = e.reduction == 0 ? dloss.get(i) : e.reduction == 1 ? dloss.get(0) / weights : dloss.get(0);
    double all = 0;
    for (double v : w) all += v;
    for (int64_t j = 0; j < e.classes; ++j) {
      const double pj = at(p, i * e.classes + j);
      gradient[static_cast<size_t>(i * e.classes + j)] =
          g * ((1 - e.smoothing) * at(w, hit) * (pj - (j == hit ? 1 : 0)) +
               e.smoothing / double(e.classes) * (all * pj - at(w, j)));
    }
  }
  expect(run("cross_entropy_backward", isa::cross_entropy_backward, {&dloss, &logits, &target, &lse, &total, optional},
             {&dlogits}, params) == kOk,
         "cross_entropy_backward");
  compare("cross_entropy_backward values", dlogits.values(), gradient, 2 * eps, 0.3);
}

void test_cross_entropy() {
  for (DType dtype : kFloats) {
    for (int reduction = 0; reduction < 3; ++reduction) {
      for (double smoothing : {0.0, 0.1, 1.0}) {
        for (bool weighted : {false, true}) {
          for (Layout layout : kLayouts) {
            test_entropy(dtype, {7, 10, reduction, smoothing, weighted, 0.3, layout});
            test_entropy(dtype, {3, 1, reduction, smoothing, weighted, 0, layout});
            test_entropy(dtype, {0, 5, reduction, smoothing, weighted, 0, layout});
            test_entropy(dtype, {4, 5, reduction, smoothing, weighted, 2, layout});
          }
          test_entropy(dtype, {601, 67, reduction, smoothing, weighted, 0.1, kPacked});
          test_entropy(dtype, {9, 1031, reduction, smoothing, weighted, 0.1, kGaps});
        }
      }
    }
    // Large logits: the gradient stays exact although lse is rounded.
    Array logits(dtype, {1, 3}), loss(dtype, {}), lse(dtype, {1}), total(dtype, {}), one(dtype, {}),
        grad(dtype, {1, 3});
    Array target(kInt32, {1});
    logits.fill({10000.25, 10001.0, 9999.5});
    target.set(0, 1);
    one.set(0, 1);
    run("cross_entropy", isa::cross_entropy, {&logits, &target}, {&loss, &lse, &total}, {1, -100, 0});
    run("cross_entropy_backward", isa::cross_entropy_backward, {&one, &logits, &target, &lse, &total}, {&grad},
        {1, -100, 0});
    Doubles p = softmax_row({10000.25, 10001.0, 9999.5});
    compare("cross_entropy of large logits", loss.values(), {-::log(p[1])}, 1e-6);
    p[1] -= 1;
    compare("cross_entropy_backward of large logits", grad.values(), p, 1e-6);
    for (int bad : {3, -1, 0x7fffffff, -0x7fffffff - 1}) {
      target.set(0, bad);
      expect(run("cross_entropy", isa::cross_entropy, {&logits, &target}, {&loss, &lse, &total}, {1, -100, 0}) ==
                 kBadIndex,
             "cross_entropy target");
      expect(run("cross_entropy_backward", isa::cross_entropy_backward, {&one, &logits, &target, &lse, &total}, {&grad},
                 {1, -100, 0}) == kBadIndex,
             "cross_entropy_backward target");
    }
    // A class may be ignored, too.
    target.set(0, 1);
    expect(run("cross_entropy", isa::cross_entropy, {&logits, &target}, {&loss, &lse, &total}, {1, 1, 0}) == kOk,
           "ignored");
    compare("all ignored", loss.values(), {NAN}, 0);
  }
}

void test_mse_shape(DType dtype, const Shape& shape, Layout layout) {
  const double eps = dtype == kFloat32 ? 5e-7 : 1e-13;
  for (int reduction = 0; reduction < 3; ++reduction) {
    Array x(dtype, shape, layout), y(dtype, shape, layout == kGaps ? kReversed : layout), dx(dtype, shape, layout);
    const Shape loss_shape = reduction == 0 ? shape : Shape{};
    Array loss(dtype, loss_shape, layout), dloss(dtype, loss_shape);
    const int64_t n = x.view.numel;
    x.fill(random_values(n, 2, dtype));
    y.fill(random_values(n, 2, dtype));
    dloss.fill(random_values(dloss.view.numel, 2, dtype));
    Doubles squares, gradient;
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) {
      const double d = x.get(i) - y.get(i);
      const double g = reduction == 0 ? dloss.get(i) : reduction == 1 ? dloss.get(0) / double(n) : dloss.get(0);
      squares.push_back(d * d);
      gradient.push_back(2 * d * g);
      sum += d * d;
    }
    const Doubles params = {double(reduction)};
    expect(run("mse_loss", isa::mse_loss, {&x, &y}, {&loss}, params) == kOk, "mse_loss");
    compare("mse_loss values", loss.values(),
            reduction == 0 ? squares : Doubles{reduction == 1 ? sum / double(n) : sum}, eps);
    expect(run("mse_loss_backward", isa::mse_loss_backward, {&dloss, &x, &y}, {&dx}, params) == kOk,
           "mse_loss_backward");
    compare("mse_loss_backward values", dx.values(), gradient, eps);
  }
}

void test_mse() {
  for (DType dtype : kFloats) {
    for (Layout layout : kLayouts) {
      for (const Shape& shape : {Shape{}, {1}, {0, 3}, {5, 7}, {2, 3, 19}, {3, 601}})
        test_mse_shape(dtype, shape, layout);
    }
    test_mse_shape(dtype, {40003}, kPacked);
    test_mse_shape(dtype, {131, 257}, kReversed);
  }
}

// --- rows by index

void test_index_case(DType dtype, int64_t rows, int64_t n, const Shape& rest, Layout layout) {
  Shape table = {rows}, many = {n};
  int64_t length = 1;
  for (int64_t d : rest) {
    table.push_back(d);
    many.push_back(d);
    length *= d;
  }
  Array x(dtype, table, layout), out(dtype, many, layout), index(kInt32, {n}, layout);
  for (int64_t i = 0; i < x.view.numel; ++i) x.set(i, floor(fabs(noise()) * (dtype == kBool ? 2 : 200)));
  for (int64_t i = 0; i < n; ++i) index.set(i, floor(fabs(noise()) * 0.999 * double(rows)));
  Doubles want;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < length; ++j) want.push_back(x.get(int64_t(index.get(i)) * length + j));
  }
  expect(run("index_select", isa::index_select, {&x, &index}, {&out}, {}) == kOk, "index_select");
  compare("index_select values", out.values(), want, 0);
  for (int64_t bad : {int64_t{-1}, rows, int64_t{-0x7fffffff - 1}}) {
    if (n == 0) break;
    const double old = index.get(n - 1);
    index.set(n - 1, double(bad));
    expect(run("index_select", isa::index_select, {&x, &index}, {&out}, {}) == kBadIndex, "index_select bad index");
    if (isa::is_float(dtype)) {
      expect(run("index_add", isa::index_add, {&out, &index}, {&x}, {}) == kBadIndex, "index_add bad index");
    }
    index.set(n - 1, old);
  }
  if (!isa::is_float(dtype)) return;
  out.fill(random_values(out.view.numel, 1, dtype));
  Doubles sums = x.values();
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < length; ++j) {
      double& s = sums[static_cast<size_t>(int64_t(index.get(i)) * length + j)];
      s += out.get(i * length + j);
      if (dtype == kFloat32) s = static_cast<float>(s);
    }
  }
  expect(run("index_add", isa::index_add, {&out, &index}, {&x}, {}) == kOk, "index_add");
  compare("index_add values", x.values(), sums, 0);
  x.fill(Doubles(static_cast<size_t>(x.view.numel), 0));
  expect(run("index_add", isa::index_add, {&out, &index}, {&x}, {}) == kOk, "index_add to zeros");
  Array scattered(dtype, table, kPacked);
  scattered.fill(random_values(scattered.view.numel, 2, dtype));
  expect(run("scatter_rows", isa::scatter_rows, {&out, &index}, {&scattered}, {}) == kOk, "scatter_rows");
  compare("scatter_rows values", scattered.values(), x.values(), 0);
}

void test_one_hot(DType dtype, const Shape& shape, int64_t classes, Layout layout) {
  Shape with = shape;
  with.push_back(classes);
  Array index(kInt32, shape, layout), out(dtype, with, layout);
  Doubles want(static_cast<size_t>(out.view.numel));
  for (int64_t i = 0; i < index.view.numel; ++i) {
    index.set(i, floor(fabs(noise()) * 0.999 * double(classes)));
    want[static_cast<size_t>(i * classes + int64_t(index.get(i)))] = 1;
  }
  expect(run("one_hot", isa::one_hot, {&index}, {&out}, {}) == kOk, "one_hot");
  compare("one_hot values", out.values(), want, 0);
  if (index.view.numel == 0) return;
  index.set(index.view.numel - 1, double(classes));
  expect(run("one_hot", isa::one_hot, {&index}, {&out}, {}) == kBadIndex, "one_hot bad index");
}

void test_index() {
  for (DType dtype : {kFloat32, kFloat64, kInt32, kUint8, kBool}) {
    for (Layout layout : kLayouts) {
      for (const Shape& rest : {Shape{}, {1}, {5}, {3, 7}, {0}, {700}}) {
        test_index_case(dtype, 11, 17, rest, layout);
        test_index_case(dtype, 1, 1, rest, layout);
        test_index_case(dtype, 4, 0, rest, layout);
      }
    }
    test_index_case(dtype, 100, 3001, {33}, kPacked);
    test_index_case(dtype, 30, 100, {1025}, kPacked);
    test_index_case(dtype, 300, 100, {1025}, kPacked);
    test_index_case(dtype, 200, 30000, {}, kPacked);
  }
  test_index_case(kFloat32, 4100, 300, {1024}, kPacked);  // past the caches
  test_index_case(kFloat32, 30, 60, {1025}, kGaps);
  test_index_case(kFloat32, 30, 1000, {25}, kReversed);
  for (DType dtype : {kFloat32, kFloat64, kInt32}) {
    for (Layout layout : kLayouts) {
      test_one_hot(dtype, {}, 3, layout);
      test_one_hot(dtype, {4}, 1, layout);
      test_one_hot(dtype, {0}, 5, layout);
      test_one_hot(dtype, {2, 3}, 700, layout);
    }
    test_one_hot(dtype, {4000}, 10, kPacked);
  }
}

}  // namespace

int main() { return run_tests({test_softmax, test_large_softmax, test_cross_entropy, test_mse, test_index}); }
