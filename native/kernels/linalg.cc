// Small dense linear algebra: singular values and vectors, symmetric eigenproblems, linear systems, determinants. Matrices
// are the last two dimensions; those of a batch are independent and are the unit of parallel work. All of it is computed in
// double.
#include <math.h>
#include <stdint.h>

#include "lines.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr double kTiny = 0x1p-52;
constexpr int kMaxSweeps = 60;

inline double dot(const double* a, const double* b, int64_t n) {
  double lanes[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; ++j) lanes[j] += a[i + j] * b[i + j];
  for (; i < n; ++i) lanes[0] += a[i] * b[i];
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

// y += a x
inline void add_scaled(double* __restrict y, double a, const double* __restrict x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += a * x[i];
}

// (x, y) = (c x − s y, s x + c y)
inline void rotate(double* __restrict x, double* __restrict y, double c, double s, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double a = x[i], b = y[i];
    x[i] = c * a - s * b;
    y[i] = s * a + c * b;
  }
}

// Rows or columns that counts of work are exact for.
constexpr int64_t kMostRows = 1 << 15;

// A batch of matrices of one float type.
struct Matrices {
  const View& view;
  int64_t count = 1, rows, columns;

  // Without two dimensions there are no rows.
  explicit Matrices(const View& v)
      : view(v), rows(v.ndim < 2 ? 0 : v.shape[v.ndim - 2]), columns(v.ndim < 2 ? 0 : v.shape[v.ndim - 1]) {
    for (int d = 0; d < v.ndim - 2; ++d) count *= v.shape[d];
  }
  int64_t start(int64_t i) const {
    int64_t at = 0;
    for (int d = view.ndim - 3; d >= 0; --d) {
      at += i % view.shape[d] * view.strides[d];
      i /= view.shape[d];
    }
    return at;
  }
  int64_t row_step() const { return view.strides[view.ndim - 2]; }
  int64_t column_step() const { return view.strides[view.ndim - 1]; }

  // Matrix i as rows, or (transposed) as columns, one after another.
  void read(int64_t i, double* to, bool transposed) const {
    const int64_t outer = transposed ? columns : rows, inner = transposed ? rows : columns;
    const int64_t outer_step = transposed ? column_step() : row_step();
    const int64_t inner_step = transposed ? row_step() : column_step();
    for (int64_t r = 0; r < outer; ++r)
      for (int64_t c = 0; c < inner; ++c) *to++ = get(start(i) + r * outer_step + c * inner_step);
  }
  void put(int64_t i, int64_t row, int64_t column, double x) const {
    const int64_t at = start(i) + row * row_step() + column * column_step();
    if (view.dtype == kFloat32)
      static_cast<float*>(view.data)[at] = static_cast<float>(x);
    else
      static_cast<double*>(view.data)[at] = x;
  }

 private:
  double get(int64_t at) const {
    return view.dtype == kFloat32 ? static_cast<double>(static_cast<const float*>(view.data)[at])
                                  : static_cast<const double*>(view.data)[at];
  }
};

// Vectors (…, n) seen as matrices of one row.
View as_rows(const View& v) {
  View r = v;
  r.ndim = v.ndim + 1;
  r.shape[v.ndim] = v.shape[v.ndim - 1];
  r.strides[v.ndim] = v.strides[v.ndim - 1];
  r.shape[v.ndim - 1] = 1;
  r.strides[v.ndim - 1] = 0;
  return r;
}

// Whether v is (batch of x…, the last sizes).
bool fits(const View& v, const View& x, int tail, int64_t a, int64_t b) {
  if (v.dtype != x.dtype || v.ndim != x.ndim - 2 + tail) return false;
  for (int d = 0; d < x.ndim - 2; ++d)
    if (v.shape[d] != x.shape[d]) return false;
  if (tail >= 1 && v.shape[v.ndim - 1] != (tail == 1 ? a : b)) return false;
  return tail < 2 || v.shape[v.ndim - 2] == a;
}

// body(matrix, memory of `doubles`) for each matrix, over the pool.
template <class F>
Status each_matrix(const Pool& pool, int64_t count, int64_t doubles, int64_t work, const F& body) {
  int32_t failed = 0;
  for_units(pool, count, work, [&](int64_t begin, int64_t end, int worker) {
    auto* memory = static_cast<double*>(pool.scratch(pool.self, worker, static_cast<size_t>(doubles + 8) * 8));
    if (memory == nullptr) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    for (int64_t i = begin; i < end; ++i) body(i, memory);
  });
  return failed != 0 ? kOutOfMemory : kOk;
}

// Indices of values from the largest (or the smallest) on.
void order(const double* values, int64_t n, bool descending, double* places) {
  for (int64_t i = 0; i < n; ++i) {
    int64_t j = i;
    for (; j > 0; --j) {
      const double before = values[static_cast<int64_t>(places[j - 1])];
      if (descending ? !(before < values[i]) : !(before > values[i])) break;
      places[j] = places[j - 1];
    }
    places[j] = static_cast<double>(i);
  }
}

// One-sided Jacobi: n columns of length m ≥ n in `a` are rotated until orthogonal, and the rows of v, n by n, with them:
// then a's columns are U S and A = U S Vᵀ with column j of V in row j of v.
void orthogonalize(double* a, double* v, int64_t m, int64_t n) {
  for (int64_t i = 0; i < n * n; ++i) v[i] = i / n == i % n ? 1 : 0;
  for (int sweep = 0; sweep < kMaxSweeps; ++sweep) {
    bool rotated = false;
    for (int64_t p = 0; p + 1 < n; ++p) {
      for (int64_t q = p + 1; q < n; ++q) {
        double *x = a + p * m, *y = a + q * m;
        const double alpha = dot(x, x, m), beta = dot(y, y, m), gamma = dot(x, y, m);
        if (!(fabs(gamma) > kTiny * ::sqrt(alpha) * ::sqrt(beta)) || gamma == 0) continue;
        rotated = true;
        const double zeta = (beta - alpha) / (2 * gamma);
        const double t = (zeta >= 0 ? 1 : -1) / (fabs(zeta) + ::sqrt(1 + zeta * zeta));
        const double c = 1 / ::sqrt(1 + t * t), s = c * t;
        rotate(x, y, c, s, m);
        rotate(v + p * n, v + q * n, c, s, n);
      }
    }
    if (!rotated) return;
  }
}

// Makes column j of a, of length m, orthogonal to the columns `done` lists and of length 1: a unit vector serves.
void complete(double* a, int64_t m, int64_t j, const double* done, int64_t count) {
  double* x = a + j * m;
  for (int64_t unit = 0; unit < m; ++unit) {
    for (int64_t i = 0; i < m; ++i) x[i] = i == unit ? 1 : 0;
    for (int pass = 0; pass < 2; ++pass) {
      for (int64_t k = 0; k < count; ++k) {
        const double* other = a + static_cast<int64_t>(done[k]) * m;
        add_scaled(x, -dot(x, other, m), other, m);
      }
    }
    const double length = ::sqrt(dot(x, x, m));
    if (length < 0.5 / static_cast<double>(m)) continue;
    for (int64_t i = 0; i < m; ++i) x[i] /= length;
    return;
  }
}

// Column j of a, of length m, which rounding alone may have left, becomes orthogonal to the columns `done` lists and of length 1.
void straighten(double* a, int64_t m, int64_t j, double length, const double* done, int64_t count) {
  double* x = a + j * m;
  if (length > 0) {
    for (int64_t i = 0; i < m; ++i) x[i] /= length;
    for (int pass = 0; pass < 2; ++pass) {
      for (int64_t k = 0; k < count; ++k) {
        const double* other = a + static_cast<int64_t>(done[k]) * m;
        add_scaled(x, -dot(x, other, m), other, m);
      }
    }
    const double left = ::sqrt(dot(x, x, m));
    if (left > 0.5) {
      for (int64_t i = 0; i < m; ++i) x[i] /= left;
      return;
    }
  }
  complete(a, m, j, done, count);
}

// a, n by n symmetric, becomes tridiagonal (diagonal d, e[i] between i and i + 1) by Householder reflections, whose product
// Qᵀ is left in z: A = Q T Qᵀ. w has room for 2 n.
void tridiagonalize(double* a, double* z, double* d, double* e, double* w, int64_t n) {
  double* beta = w + n;
  for (int64_t k = 0; k + 2 < n; ++k) {
    // The reflection 1 − β v vᵀ takes row k right of the diagonal to its first element; v stays in its place.
    double* v = a + k * n + k + 1;
    const int64_t m = n - k - 1;
    const double tail = dot(v + 1, v + 1, m - 1);
    if (tail == 0) {
      beta[k] = 0;
      e[k] = v[0];
      continue;
    }
    const double length = ::sqrt(v[0] * v[0] + tail), alpha = v[0] > 0 ? -length : length;
    e[k] = alpha;
    v[0] -= alpha;
    beta[k] = 2 / (v[0] * v[0] + tail);
    double* block = a + (k + 1) * n + k + 1;
    for (int64_t i = 0; i < m; ++i) w[i] = beta[k] * dot(block + i * n, v, m);
    add_scaled(w, -0.5 * beta[k] * dot(w, v, m), v, m);
    for (int64_t i = 0; i < m; ++i) {
      add_scaled(block + i * n, -v[i], w, m);
      add_scaled(block + i * n, -w[i], v, m);
    }
  }
  if (n > 1) e[n - 2] = a[(n - 2) * n + n - 1];
  for (int64_t i = 0; i < n; ++i) d[i] = a[i * n + i];
  // Qᵀ: the reflections applied to the identity from the right, the last first, so that only its corner is touched.
  for (int64_t i = 0; i < n * n; ++i) z[i] = i / n == i % n ? 1 : 0;
  for (int64_t k = n - 3; k >= 0; --k) {
    if (beta[k] == 0) continue;
    const double* v = a + k * n + k + 1;
    const int64_t m = n - k - 1;
    for (int64_t i = k + 1; i < n; ++i) {
      double* row = z + i * n + k + 1;
      add_scaled(row, -beta[k] * dot(row, v, m), v, m);
    }
  }
}

// Eigenvalues of the tridiagonal matrix in d by implicit QL with Wilkinson's shift; rows of z are turned along.
void diagonalize(double* d, double* e, double* z, int64_t n) {
  if (n > 0) e[n - 1] = 0;
  for (int64_t l = 0; l < n; ++l) {
    for (int round = 0; round < kMaxSweeps; ++round) {
      int64_t m = l;
      while (m + 1 < n && fabs(e[m]) > kTiny * (fabs(d[m]) + fabs(d[m + 1]))) ++m;
      if (m == l) break;
      const double half = (d[l + 1] - d[l]) / (2 * e[l]), root = ::sqrt(half * half + 1);
      double g = d[m] - d[l] + e[l] / (half + (half >= 0 ? root : -root));
      double s = 1, c = 1, p = 0;
      bool split = false;
      for (int64_t i = m - 1; i >= l; --i) {
        const double f = s * e[i], b = c * e[i];
        const double r = ::sqrt(f * f + g * g);
        e[i + 1] = r;
        if (r == 0) {  // it falls apart here
          d[i + 1] -= p;
          e[m] = 0;
          split = true;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        const double t = (d[i] - g) * s + 2 * c * b;
        p = s * t;
        d[i + 1] = g + p;
        g = c * t - b;
        rotate(z + i * n, z + (i + 1) * n, c, s, n);
      }
      if (split) continue;
      d[l] -= p;
      e[l] = g;
      e[m] = 0;
    }
  }
}

// a = P L U in place by rows, the largest pivot first; the rows of b, n by k, are exchanged and reduced along. The sign of P.
double eliminate(double* a, double* b, int64_t n, int64_t k) {
  double sign = 1;
  for (int64_t j = 0; j < n; ++j) {
    int64_t pivot = j;
    for (int64_t i = j + 1; i < n; ++i)
      if (fabs(a[i * n + j]) > fabs(a[pivot * n + j])) pivot = i;
    if (pivot != j) {
      sign = -sign;
      for (int64_t c = 0; c < n; ++c) {
        const double swap = a[j * n + c];
        a[j * n + c] = a[pivot * n + c];
        a[pivot * n + c] = swap;
      }
      for (int64_t c = 0; c < k; ++c) {
        const double swap = b[j * k + c];
        b[j * k + c] = b[pivot * k + c];
        b[pivot * k + c] = swap;
      }
    }
    const double by = a[j * n + j];
    for (int64_t i = j + 1; i < n; ++i) {
      const double factor = a[i * n + j] / by;
      if (factor == 0) continue;
      add_scaled(a + i * n + j, -factor, a + j * n + j, n - j);
      add_scaled(b + i * k, -factor, b + j * k, k);
    }
  }
  return sign;
}

Status check(const Call& c, int inputs, int outputs) {
  if (c.nin != inputs || c.nout != outputs || c.nparams != 0) return kBadParameter;
  for (int i = 0; i < inputs; ++i) {
    const View& v = c.in[i];
    if (v.ndim < 2 || v.shape[v.ndim - 2] > kMostRows || v.shape[v.ndim - 1] > kMostRows) return kBadShape;
  }
  return is_float(c.in[0].dtype) ? kOk : kBadDType;
}

}  // namespace

// x (…, m, n) = u · diag(s) · vt with k = min(m, n): u (…, m, k), s (…, k) descending, vt (…, k, n).
Status svd(const Call& c) {
  const Status status = check(c, 1, 3);
  if (status != kOk) return status;
  const View& x = c.in[0];
  const Matrices from(x);
  const bool wide = from.columns > from.rows;  // then the transpose is taken apart
  const int64_t m = wide ? from.columns : from.rows, n = wide ? from.rows : from.columns;
  if (!fits(c.out[0], x, 2, from.rows, n) || !fits(c.out[1], x, 1, n, 0) || !fits(c.out[2], x, 2, n, from.columns))
    return kBadShape;
  if (x.numel == 0) return kOk;
  const View values = as_rows(c.out[1]);
  const Matrices u(c.out[0]), s(values), vt(c.out[2]);
  return each_matrix(*c.pool, from.count, m * n + n * n + 3 * n, 32 * m * n * n, [&](int64_t i, double* a) {
    double *v = a + m * n, *sigma = v + n * n, *places = sigma + n, *done = places + n;
    from.read(i, a, !wide);
    orthogonalize(a, v, m, n);
    for (int64_t j = 0; j < n; ++j) sigma[j] = ::sqrt(dot(a + j * m, a + j * m, m));
    order(sigma, n, true, places);
    int64_t count = 0;
    for (int64_t j = 0; j < n; ++j) {
      const int64_t column = static_cast<int64_t>(places[j]);
      double* left = a + column * m;
      // Of a matrix without full rank such columns are what is left of others that cancelled.
      const double rounding = kTiny * static_cast<double>(m) * sigma[static_cast<int64_t>(places[0])];
      if (sigma[column] <= rounding)
        straighten(a, m, column, sigma[column], done, count);
      else
        for (int64_t r = 0; r < m; ++r) left[r] /= sigma[column];
      done[count++] = static_cast<double>(column);
      s.put(i, 0, j, sigma[column]);
      for (int64_t r = 0; r < m; ++r) wide ? vt.put(i, j, r, left[r]) : u.put(i, r, j, left[r]);
      for (int64_t r = 0; r < n; ++r) {
        const double right = v[column * n + r];
        wide ? u.put(i, r, j, right) : vt.put(i, j, r, right);
      }
    }
  });
}

// x (…, n, n), of which the lower triangle counts: values (…, n) ascending, vectors (…, n, n) as columns.
Status eigh(const Call& c) {
  const Status status = check(c, 1, 2);
  if (status != kOk) return status;
  const View& x = c.in[0];
  const Matrices from(x);
  const int64_t n = from.rows;
  if (from.columns != n || !fits(c.out[0], x, 1, n, 0) || !fits(c.out[1], x, 2, n, n)) return kBadShape;
  if (x.numel == 0) return kOk;
  const View row = as_rows(c.out[0]);
  const Matrices values(row), vectors(c.out[1]);
  return each_matrix(*c.pool, from.count, 2 * n * n + 5 * n, 16 * n * n * n, [&](int64_t i, double* a) {
    double *z = a + n * n, *d = z + n * n, *e = d + n, *places = e + n, *w = places + n;
    from.read(i, a, false);
    for (int64_t r = 0; r < n; ++r)
      for (int64_t k = r + 1; k < n; ++k) a[r * n + k] = a[k * n + r];
    tridiagonalize(a, z, d, e, w, n);
    diagonalize(d, e, z, n);
    order(d, n, false, places);
    for (int64_t j = 0; j < n; ++j) {
      const int64_t at = static_cast<int64_t>(places[j]);
      values.put(i, 0, j, d[at]);
      for (int64_t r = 0; r < n; ++r) vectors.put(i, r, j, z[at * n + r]);
    }
  });
}

// a (…, n, n), b (…, n, k): out = a⁻¹ b, by elimination with partial pivoting; a singular a gives inf or NaN.
Status solve(const Call& c) {
  const Status status = check(c, 2, 1);
  if (status != kOk) return status;
  const Matrices a(c.in[0]), b(c.in[1]), out(c.out[0]);
  const int64_t n = a.rows, k = b.columns;
  if (a.columns != n || b.rows != n || !fits(c.in[1], c.in[0], 2, n, k) || !alike(c.in[1], c.out[0])) return kBadShape;
  if (c.out[0].numel == 0) return kOk;
  return each_matrix(*c.pool, a.count, n * n + n * k, n * n * (n + k), [&](int64_t i, double* u) {
    double* x = u + n * n;
    a.read(i, u, false);
    b.read(i, x, false);
    eliminate(u, x, n, k);
    for (int64_t r = n - 1; r >= 0; --r) {
      for (int64_t j = r + 1; j < n; ++j) add_scaled(x + r * k, -u[r * n + j], x + j * k, k);
      for (int64_t j = 0; j < k; ++j) {
        x[r * k + j] /= u[r * n + r];
        out.put(i, r, j, x[r * k + j]);
      }
    }
  });
}

// x (…, n, n): out (…, 1, 1) its determinant.
Status determinant(const Call& c) {
  const Status status = check(c, 1, 1);
  if (status != kOk) return status;
  const View& x = c.in[0];
  const Matrices a(x), out(c.out[0]);
  const int64_t n = a.rows;
  if (a.columns != n || !fits(c.out[0], x, 2, 1, 1)) return kBadShape;
  return each_matrix(*c.pool, c.out[0].numel, n * n, n * n * n, [&](int64_t i, double* u) {
    a.read(i, u, false);
    double product = eliminate(u, nullptr, n, 0);
    for (int64_t j = 0; j < n; ++j) product *= u[j * n + j];
    // A column of zeros divided nothing by nothing on the way.
    bool singular = false;
    for (int64_t j = 0; j < n; ++j) singular = singular || u[j * n + j] == 0;
    out.put(i, 0, 0, singular ? 0 : product);
  });
}

}  // namespace MYELIN_ISA
}  // namespace myelin
