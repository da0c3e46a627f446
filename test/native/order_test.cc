// Indexing, running results and orders along an axis against loops over plain arrays: random shapes, strides and axes, lengths from
// 0 to 67 and beyond, NaN, equal elements, indices outside.
#include <algorithm>

#include "random_tensors.h"

namespace {

// A shape around an axis: (outer, n, inner), of which outer and inner may be split in two.
struct Axis {
  Shape shape;
  int64_t outer, n, inner;
  int axis;

  Axis with(int64_t size) const {
    Axis a = *this;
    a.shape[static_cast<size_t>(axis)] = a.n = size;
    return a;
  }
  int64_t at(int64_t o, int64_t i, int64_t k) const { return (o * n + i) * inner + k; }
  int64_t lines() const { return outer * inner; }
};

Axis random_axis(int64_t n) {
  Axis a{{}, 1, n, 1, 0};
  for (int64_t d = below(3); d > 0; --d) a.shape.push_back(1 + below(5)), a.outer *= a.shape.back();
  a.axis = static_cast<int>(a.shape.size());
  a.shape.push_back(n);
  for (int64_t d = below(3); d > 0; --d) a.shape.push_back(1 + below(d == 1 ? 9 : 4)), a.inner *= a.shape.back();
  return a;
}

Layout some_layout() { return kLayouts[below(3)]; }
double param(int64_t x) { return static_cast<double>(x); }

Doubles indices_below(int64_t n, int64_t limit) {
  Doubles r(static_cast<size_t>(n));
  for (double& x : r) x = param(below(limit));
  return r;
}

// fn(outer, inner) for every line.
template <class F>
void for_lines(const Axis& a, const F& fn) {
  for (int64_t o = 0; o < a.outer; ++o)
    for (int64_t k = 0; k < a.inner; ++k) fn(o, k);
}

void test_gather(DType dtype, int64_t n, int64_t m) {
  const Axis from = random_axis(n), to = from.with(m);
  Array x(dtype, from.shape, some_layout()), index(kInt32, to.shape, some_layout()),
      out(dtype, to.shape, some_layout());
  x.fill(values_for(dtype, x.view.numel));
  index.fill(indices_below(index.view.numel, n));
  expect(run("gather", isa::gather, {&x, &index}, {&out}, {param(from.axis)}) == kOk, "gather", "status");
  Doubles want(static_cast<size_t>(out.view.numel));
  for_lines(to, [&](int64_t o, int64_t k) {
    for (int64_t i = 0; i < m; ++i) {
      const int64_t at = to.at(o, i, k);
      want[static_cast<size_t>(at)] = x.get(from.at(o, static_cast<int64_t>(index.get(at)), k));
    }
  });
  compare("gather", out.values(), want, 0);

  // Its reverse, in order along the axis: the last of equal indices stays, or all are added.
  const bool addable = dtype == kFloat32 || dtype == kFloat64 || dtype == kInt32;
  for (const bool add : {false, true}) {
    if (add && !addable) continue;
    Array src(dtype, to.shape, some_layout()), table(dtype, from.shape, some_layout());
    src.fill(add ? indices_below(src.view.numel, 100) : values_for(dtype, src.view.numel));
    table.fill(add ? indices_below(table.view.numel, 100) : values_for(dtype, table.view.numel));
    Doubles expected = table.values();
    for_lines(to, [&](int64_t o, int64_t k) {
      for (int64_t i = 0; i < m; ++i) {
        const int64_t at = to.at(o, i, k);
        double& cell = expected[static_cast<size_t>(from.at(o, static_cast<int64_t>(index.get(at)), k))];
        cell = add ? cell + src.get(at) : src.get(at);
      }
    });
    const Doubles params = {param(from.axis), param(add)};
    expect(run("scatter", isa::scatter, {&src, &index}, {&table}, params) == kOk, "scatter", "status");
    compare("scatter", table.values(), expected, 0);
  }
  if (m > 0 && index.view.numel > 0) {
    for (const double bad : {param(n), -1.0, 2147483647.0, -2147483648.0}) {
      index.set(below(index.view.numel), bad);
      Array table(dtype, from.shape);
      table.fill(Doubles(static_cast<size_t>(table.view.numel), 0));
      expect(run("gather outside", isa::gather, {&x, &index}, {&out}, {param(from.axis)}) == kBadIndex, "gather",
             "outside");
      expect(run("scatter outside", isa::scatter, {&out, &index}, {&table}, {param(from.axis), 0}) == kBadIndex,
             "scatter", "outside");
    }
  }
}

void test_gathers() {
  for (DType dtype : {kFloat32, kFloat64, kInt32, kUint8, kBool}) {
    for (int64_t n = 1; n <= 67; n += 3) test_gather(dtype, n, 67 - n);
    for (int k = 0; k < 8 * kThorough; ++k) test_gather(dtype, 1 + below(300), below(3000));
  }
}

void test_nonzero() {
  for (DType dtype : {kUint8, kBool}) {
    for (int k = 0; k < 30 * kThorough; ++k) {
      const Shape shape = random_shape(k % 7 == 0 ? 40000 : 500);
      Array x(dtype, shape, some_layout());
      for (int64_t i = 0; i < x.view.numel; ++i) x.set(i, below(3) == 0);
      Doubles want;
      for (int64_t i = 0; i < x.view.numel; ++i) {
        if (x.get(i) == 0) continue;
        Doubles position;
        int64_t rest = i;
        for (int d = x.view.ndim - 1; d >= 0; --d) {
          position.insert(position.begin(), param(rest % x.view.shape[d]));
          rest /= x.view.shape[d];
        }
        want.insert(want.end(), position.begin(), position.end());
      }
      int64_t count = 0;
      for (int64_t i = 0; i < x.view.numel; ++i) count += x.get(i) != 0;
      Array out(kInt32, {count, x.view.ndim});
      expect(run("nonzero", isa::nonzero, {&x}, {&out}, {}) == kOk, "nonzero", "status");
      compare("nonzero", out.values(), want, 0);
    }
  }
}

void test_scan(DType dtype, int64_t n) {
  const Axis a = random_axis(n);
  Array x(dtype, a.shape, some_layout()), b(dtype, a.shape, some_layout()), out(dtype, a.shape, some_layout());
  Array values(dtype, a.shape, some_layout()), index(kInt32, a.shape, some_layout());
  const bool whole = dtype == kInt32;
  const double tolerance = whole ? 0 : 40 * epsilon_of(dtype);
  for (const bool reverse : {false, true}) {
    for (const int kind : {0, 1, 2}) {
      if (whole && kind == 2) continue;
      x.fill(random_values(x.view.numel, 1, dtype));
      b.fill(random_values(b.view.numel, 1, dtype));
      for (int64_t i = 0; i < x.view.numel; ++i) {
        if (whole)
          x.set(i, kind == 1 ? (below(9) == 0 ? -1 : 1) : param(below(100)));
        else if (kind == 1)
          x.set(i, 1 + 0.1 * x.get(i));
      }
      if (!whole && below(3) == 0 && x.view.numel > 0) x.set(below(x.view.numel), NAN);
      Doubles want(static_cast<size_t>(x.view.numel));
      double scale = 1;
      for_lines(a, [&](int64_t o, int64_t k) {
        double running = kind == 1 ? 1 : 0;
        for (int64_t i = 0; i < n; ++i) {
          const int64_t at = a.at(o, reverse ? n - 1 - i : i, k);
          running = kind == 0   ? running + x.get(at)
                    : kind == 1 ? running * x.get(at)
                    : i == 0    ? b.get(at)
                                : x.get(at) * running + b.get(at);
          want[static_cast<size_t>(at)] = running;
          if (fabs(running) > scale) scale = fabs(running);
        }
      });
      const Doubles params = {param(a.axis), param(reverse)};
      const char* what = kind == 0 ? "cumsum" : kind == 1 ? "cumprod" : "recurrence";
      const Status status = kind == 0   ? run(what, isa::cumsum, {&x}, {&out}, params)
                            : kind == 1 ? run(what, isa::cumprod, {&x}, {&out}, params)
                                        : run(what, isa::recurrence, {&x, &b}, {&out}, params);
      expect(status == kOk, what, "status");
      compare(what, out.values(), want, tolerance * (1 + param(n) / 16), scale);
    }
  }
  for (const bool least : {false, true}) {
    x.fill(indices_below(x.view.numel, 20));
    if (!whole && below(2) == 0 && x.view.numel > 0) x.set(below(x.view.numel), NAN);
    Doubles want(static_cast<size_t>(x.view.numel)), where = want;
    for_lines(a, [&](int64_t o, int64_t k) {
      int64_t best = 0;
      for (int64_t i = 0; i < n; ++i) {
        const double now = x.get(a.at(o, i, k)), old = x.get(a.at(o, best, k));
        if (!isnan(old) && (isnan(now) || (least ? now <= old : now >= old))) best = i;
        want[static_cast<size_t>(a.at(o, i, k))] = x.get(a.at(o, best, k));
        where[static_cast<size_t>(a.at(o, i, k))] = param(best);
      }
    });
    const Kernel kernel = least ? isa::cummin : isa::cummax;
    expect(run("cummax", kernel, {&x}, {&values, &index}, {param(a.axis)}) == kOk, "cummax", "status");
    compare("cummax values", values.values(), want, 0);
    compare("cummax index", index.values(), where, 0);
  }
}

void test_scans() {
  for (DType dtype : {kFloat32, kFloat64, kInt32}) {
    for (int64_t n = 0; n <= 67; ++n) test_scan(dtype, n);
    for (int64_t n : {130, 1025, 5001}) test_scan(dtype, n);
  }
}

// NaN above all numbers.
bool before(double a, double b) { return isnan(b) ? !isnan(a) : a < b; }

void test_sort(DType dtype, int64_t n, bool descending) {
  const Axis a = random_axis(n), kept = a.with(below(3) == 0 ? below(n + 1) : n);
  Array x(dtype, a.shape, some_layout()), values(dtype, kept.shape, some_layout()),
      index(kInt32, kept.shape, some_layout());
  x.fill(below(2) == 0 ? values_for(dtype, x.view.numel) : indices_below(x.view.numel, dtype == kBool ? 2 : 9));
  Doubles want(static_cast<size_t>(kept.lines() * kept.n)), where = want;
  for_lines(a, [&](int64_t o, int64_t k) {
    std::vector<int64_t> order(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) order[static_cast<size_t>(i)] = i;
    std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
      const double p = x.get(a.at(o, i, k)), q = x.get(a.at(o, j, k));
      return descending ? before(q, p) : before(p, q);
    });
    for (int64_t i = 0; i < kept.n; ++i) {
      const size_t at = static_cast<size_t>(kept.at(o, i, k));
      where[at] = param(order[static_cast<size_t>(i)]);
      want[at] = x.get(a.at(o, order[static_cast<size_t>(i)], k));
    }
  });
  const Doubles params = {param(a.axis), param(descending)};
  expect(run("sort", isa::sort, {&x}, {&values, &index}, params) == kOk, "sort", "status");
  compare("sort values", values.values(), want, 0);
  compare("sort index", index.values(), where, 0);
}

void test_sorts() {
  for (DType dtype : {kFloat32, kFloat64, kInt32, kUint8, kBool}) {
    for (int64_t n = 0; n <= 67; n += 1 + below(3)) test_sort(dtype, n, n % 2 == 1);
    for (int64_t n : {255, 1024, 4099}) test_sort(dtype, n, n == 1024);
  }
}

void test_search() {
  for (DType dtype : {kFloat32, kFloat64, kInt32, kUint8}) {
    for (int k = 0; k < 20 * kThorough; ++k) {
      const int64_t rows = 1 + below(5), n = below(k % 5 == 0 ? 300 : 20), m = below(50);
      const bool shared = below(2) == 0, right = below(2) == 0;
      Array sorted(dtype, shared ? Shape{n} : Shape{rows, n}, some_layout()), x(dtype, {rows, m}, some_layout());
      Array out(kInt32, {rows, m}, some_layout());
      for (int64_t r = 0; r < (shared ? 1 : rows); ++r) {
        Doubles line = indices_below(n, 30);
        std::sort(line.begin(), line.end());
        for (int64_t i = 0; i < n; ++i) sorted.set(r * n + i, line[static_cast<size_t>(i)]);
      }
      x.fill(indices_below(x.view.numel, 32));
      Doubles want;
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t j = 0; j < m; ++j) {
          int64_t count = 0;
          for (int64_t i = 0; i < n; ++i) {
            const double s = sorted.get((shared ? 0 : r * n) + i), v = x.get(r * m + j);
            count += right ? s <= v : s < v;
          }
          want.push_back(param(count));
        }
      }
      expect(run("searchsorted", isa::searchsorted, {&sorted, &x}, {&out}, {param(right)}) == kOk, "searchsorted",
             "status");
      compare("searchsorted", out.values(), want, 0);
    }
  }
}

}  // namespace

int main() { return run_tests({test_gathers, test_nonzero, test_scans, test_sorts, test_search}); }
