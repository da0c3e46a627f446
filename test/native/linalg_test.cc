// Small matrices by what defines the results: singular values and eigenvectors put the matrix together again, are orthogonal and
// in order; solutions and determinants against elimination in long double. Guard pages, strides, degenerate and NaN matrices.
#include "random_tensors.h"

namespace {

double param(int64_t x) { return static_cast<double>(x); }
Layout some_layout() { return kLayouts[below(3)]; }

// How a matrix is made: of noise, of rank 1, of zeros, or of the same diagonal element.
void fill_matrices(Array& x, int64_t rows, int64_t columns, int kind) {
  x.fill(random_values(x.view.numel, 2, x.view.dtype));
  const int64_t size = rows * columns;
  for (int64_t i = 0; kind > 0 && i < x.view.numel; ++i) {
    const int64_t r = i % size / columns, c = i % columns;
    x.set(i, kind == 1 ? param(r + 1) * param(c - 2) : kind == 2 ? 0.0 : r == c ? 1.5 : 0.0);
  }
}

// Largest |Σ_k a(i,k) s(k) b(k,j) - want(i,j)|.
template <class A, class S, class B, class W>
double residual(int64_t m, int64_t k, int64_t n, const A& a, const S& s, const B& b, const W& want) {
  double worst = 0;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t l = 0; l < k; ++l) sum += a(i, l) * s(l) * b(l, j);
      const double error = fabs(sum - want(i, j));
      if (!(error <= worst)) worst = error;
    }
  }
  return worst;
}

const auto one = [](int64_t) { return 1.0; };
const auto identity = [](int64_t i, int64_t j) { return i == j ? 1.0 : 0.0; };

void test_svd(DType dtype, int64_t batch, int64_t m, int64_t n, int kind) {
  const int64_t k = m < n ? m : n;
  Array x(dtype, {batch, m, n}, some_layout()), u(dtype, {batch, m, k}), s(dtype, {batch, k}), vt(dtype, {batch, k, n});
  fill_matrices(x, m, n, kind);
  expect(run("svd", isa::svd, {&x}, {&u, &s, &vt}, {}) == kOk, "svd", "status");
  const double limit = 40 * param(m + n) * epsilon_of(dtype);
  char of[64];
  snprintf(of, sizeof(of), "kind %d, %d x %d", kind, static_cast<int>(m), static_cast<int>(n));
  for (int64_t b = 0; b < batch; ++b) {
    const auto at_u = [&](int64_t i, int64_t j) { return u.get((b * m + i) * k + j); };
    const auto at_v = [&](int64_t i, int64_t j) { return vt.get((b * k + i) * n + j); };
    const auto at_s = [&](int64_t i) { return s.get(b * k + i); };
    const auto at_x = [&](int64_t i, int64_t j) { return x.get((b * m + i) * n + j); };
    expect(residual(m, k, n, at_u, at_s, at_v, at_x) <= limit * (1 + at_s(0)), "svd u s vt is not x", of);
    expect(residual(
               k, m, k, [&](int64_t i, int64_t j) { return at_u(j, i); }, one, at_u, identity) <= limit,
           "svd u", of);
    expect(residual(
               k, n, k, at_v, one, [&](int64_t i, int64_t j) { return at_v(j, i); }, identity) <= limit,
           "svd vt", of);
    for (int64_t i = 0; i < k; ++i) expect(at_s(i) >= 0 && (i == 0 || at_s(i) <= at_s(i - 1)), "svd", "order");
  }
}

void test_eigh(DType dtype, int64_t batch, int64_t n, int kind) {
  Array x(dtype, {batch, n, n}, some_layout()), values(dtype, {batch, n}), vectors(dtype, {batch, n, n});
  fill_matrices(x, n, n, kind);
  expect(run("eigh", isa::eigh, {&x}, {&values, &vectors}, {}) == kOk, "eigh", "status");
  const double limit = 60 * param(n) * epsilon_of(dtype);
  for (int64_t b = 0; b < batch; ++b) {
    const auto v = [&](int64_t i, int64_t j) { return vectors.get((b * n + i) * n + j); };
    const auto turned = [&](int64_t i, int64_t j) { return v(j, i); };
    const auto value = [&](int64_t i) { return values.get(b * n + i); };
    // Only the lower triangle counts.
    const auto at = [&](int64_t i, int64_t j) { return x.get((b * n + (i > j ? i : j)) * n + (i > j ? j : i)); };
    const double size = 1 + fabs(value(0)) + fabs(value(n - 1));
    expect(residual(n, n, n, v, value, turned, at) <= limit * size, "eigh", "v d vᵀ is not x");
    expect(residual(n, n, n, turned, one, v, identity) <= limit, "eigh", "vectors");
    for (int64_t i = 1; i < n; ++i) expect(value(i) >= value(i - 1), "eigh", "order");
  }
}

void test_solve(DType dtype, int64_t batch, int64_t n, int64_t k) {
  Array a(dtype, {batch, n, n}, some_layout()), b(dtype, {batch, n, k}, some_layout()),
      out(dtype, {batch, n, k}, some_layout());
  Array det(dtype, {batch, 1, 1});
  fill_matrices(a, n, n, 0);
  b.fill(random_values(b.view.numel, 2, dtype));
  for (int64_t i = 0; i < batch * n; ++i) a.set(i * n + i % n, a.get(i * n + i % n) + param(n));
  expect(run("solve", isa::solve, {&a, &b}, {&out}, {}) == kOk, "solve", "status");
  expect(run("determinant", isa::determinant, {&a}, {&det}, {}) == kOk, "determinant", "status");
  Doubles want(static_cast<size_t>(batch)), x(static_cast<size_t>(batch * n * k));
  for (int64_t m = 0; m < batch; ++m) {
    std::vector<std::vector<long double>> rows(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) rows[static_cast<size_t>(i)].push_back(a.get((m * n + i) * n + j));
      for (int64_t j = 0; j < k; ++j) rows[static_cast<size_t>(i)].push_back(b.get((m * n + i) * k + j));
    }
    long double product = 1;
    for (size_t p = 0; p < rows.size(); ++p) {
      size_t best = p;
      for (size_t r = p; r < rows.size(); ++r)
        if (fabsl(rows[r][p]) > fabsl(rows[best][p])) best = r;
      if (best != p) rows[p].swap(rows[best]), product = -product;
      product *= rows[p][p];
      for (size_t r = 0; r < rows.size(); ++r) {
        const long double factor = rows[r][p] / rows[p][p];
        for (size_t c = p; r != p && c < rows[r].size(); ++c) rows[r][c] -= factor * rows[p][c];
      }
    }
    want[static_cast<size_t>(m)] = rounded(dtype, static_cast<double>(product));
    for (size_t r = 0; r < rows.size(); ++r)
      for (size_t c = 0; c < static_cast<size_t>(k); ++c)
        x[(static_cast<size_t>(m * n) + r) * static_cast<size_t>(k) + c] =
            static_cast<double>(rows[r][static_cast<size_t>(n) + c] / rows[r][r]);
  }
  compare("solve", out.values(), x, 20 * epsilon_of(dtype), 1);
  compare("determinant", det.values(), want, 20 * param(n) * epsilon_of(dtype));
}

void test_matrices() {
  for (DType dtype : kFloats) {
    for (int kind = 0; kind < 4; ++kind) {
      for (int64_t n = 1; n <= 13; n += kind == 0 ? 1 : 4) {
        test_svd(dtype, 1 + below(3), n, 1 + below(14), kind);
        test_svd(dtype, 2, 1 + below(14), n, kind);
        test_eigh(dtype, 1 + below(3), n, kind);
      }
    }
    test_svd(dtype, 1, 67, 33, 0);
    test_eigh(dtype, 1, 41, 0);
    for (int64_t n = 1; n <= 13; ++n) test_solve(dtype, 1 + below(3), n, 1 + below(9));
    test_solve(dtype, 2, 67, 5);
    test_solve(dtype, 40, 3, 2);
  }
}

// Neither hangs nor reads outside; what comes out is NaN, or an error.
void test_nan() {
  for (DType dtype : kFloats) {
    for (const double bad : {double(NAN), double(INFINITY)}) {
      Array x(dtype, {2, 4, 4}), u(dtype, {2, 4, 4}), s(dtype, {2, 4}), vt(dtype, {2, 4, 4}), det(dtype, {2, 1, 1});
      fill_matrices(x, 4, 4, 0);
      x.set(5, bad);
      run("svd of NaN", isa::svd, {&x}, {&u, &s, &vt}, {});
      run("eigh of NaN", isa::eigh, {&x}, {&s, &u}, {});
      run("solve of NaN", isa::solve, {&x, &vt}, {&u}, {});
      expect(run("determinant of NaN", isa::determinant, {&x}, {&det}, {}) == kOk, "determinant", "status");
      expect(!isfinite(det.get(0)) && isfinite(det.get(1)), "determinant", "of NaN");
    }
    Array none(dtype, {0, 3, 3}), det(dtype, {0, 1, 1});
    expect(run("determinant of nothing", isa::determinant, {&none}, {&det}, {}) == kOk, "determinant", "nothing");
  }
}

}  // namespace

int main() { return run_tests({test_matrices, test_nan}); }
