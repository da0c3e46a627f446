// Reductions against scalar references: any axes of any strides, empty operands, NaN, ties, sums of many, norms of lists.
#include "random_tensors.h"

namespace {

struct ReduceCase {
  const char* name;
  Kernel kernel;
  std::function<double(const Doubles&)> want;
  std::vector<DType> dtypes;
  int result;  // dtype, or -1: that of x
  double tolerance;
  bool nothing;  // defined for no elements
};

double extreme_of(const Doubles& x, bool lowest) {
  double best = lowest ? kInf : -kInf;
  for (double v : x) best = isnan(v) || isnan(best) ? NAN : lowest ? fmin(best, v) : fmax(best, v);
  return best;
}

double pairwise_sum(const double* x, size_t n) {
  if (n > 8) return pairwise_sum(x, n / 2) + pairwise_sum(x + n / 2, n - n / 2);
  double total = 0;
  for (size_t i = 0; i < n; ++i) total += x[i];
  return total;
}
double plain_sum(const Doubles& x) { return pairwise_sum(x.data(), x.size()); }

double arg_of(const Doubles& x, bool lowest) {
  size_t best = 0;
  for (size_t i = 1; i < x.size() && !isnan(x[best]); ++i)
    if (isnan(x[i]) || (lowest ? x[i] < x[best] : x[i] > x[best])) best = i;
  return static_cast<double>(best);
}

std::vector<ReduceCase> reduce_cases() {
  const std::vector<DType> numbers = {kFloat32, kFloat64, kInt32, kUint8}, floats = {kFloat32, kFloat64},
                           every = {kFloat32, kFloat64, kInt32, kUint8, kBool}, truth = {kBool};
  return {
      {"sum", isa::sum, plain_sum, floats, -1, 4, true},
      {"mean", isa::mean, [](const Doubles& x) { return plain_sum(x) / static_cast<double>(x.size()); }, floats, -1, 4,
       true},
      {"prod", isa::prod,
       [](const Doubles& x) {
         double product = 1;
         for (double v : x) product *= v;
         return product;
       },
       floats, -1, 1, true},
      {"amax", isa::amax, [](const Doubles& x) { return extreme_of(x, false); }, numbers, -1, 0, false},
      {"amin", isa::amin, [](const Doubles& x) { return extreme_of(x, true); }, numbers, -1, 0, false},
      {"any", isa::any,
       [](const Doubles& x) {
         double r = 0;
         for (double v : x) r = v != 0 ? 1 : r;
         return r;
       },
       truth, kBool, 0, true},
      {"all", isa::all,
       [](const Doubles& x) {
         double r = 1;
         for (double v : x) r = v == 0 ? 0 : r;
         return r;
       },
       truth, kBool, 0, true},
      {"count_nonzero", isa::count_nonzero,
       [](const Doubles& x) {
         double r = 0;
         for (double v : x) r += v != 0;
         return r;
       },
       every, kInt32, 0, true},
  };
}

// Values that a reduction of reals can be checked with: no overflow, few specials, products near 1.
void fill_for_reduction(Array& x, const char* name) {
  const DType dtype = x.view.dtype;
  const bool product = strcmp(name, "prod") == 0;
  const bool specials = !product && below(3) == 0;
  for (int64_t i = 0; i < x.view.numel; ++i) {
    double v = dtype == kFloat32 || dtype == kFloat64 ? (product ? 1 + noise() * 0.1 : floor(noise() * 8) + noise())
               : dtype == kBool                       ? double(below(50) > 0)
               : dtype == kUint8                      ? double(below(256))
                                                      : floor(noise() * 1e6);
    if (strcmp(name, "any") == 0) v = v == 0;
    if (specials && dtype <= kFloat64 && below(400) == 0) v = below(2) == 0 ? NAN : kInf;
    x.set(i, rounded(dtype, v));
  }
}

// The elements of x that go to each output, in row-major order of what goes. axes: bit d set = d is reduced.
std::vector<Doubles> groups_of(const Array& x, unsigned axes) {
  int64_t outputs = 1;
  for (int d = 0; d < x.view.ndim; ++d) outputs *= axes >> d & 1 ? 1 : x.view.shape[d];
  std::vector<Doubles> groups(static_cast<size_t>(outputs));
  for (int64_t i = 0; i < x.view.numel; ++i) {
    int64_t rest = i, at = 0, scale = 1;
    for (int d = x.view.ndim - 1; d >= 0; --d) {
      if (!(axes >> d & 1)) {
        at += rest % x.view.shape[d] * scale;
        scale *= x.view.shape[d];
      }
      rest /= x.view.shape[d];
    }
    groups[static_cast<size_t>(at)].push_back(x.get(i));
  }
  return groups;
}

Shape reduced_shape(const View& x, unsigned axes) {
  Shape shape;
  for (int d = 0; d < x.ndim; ++d) shape.push_back(axes >> d & 1 ? 1 : x.shape[d]);
  return shape;
}

void check_reduce(const ReduceCase& r, Array& x, unsigned axes) {
  const DType dtype = x.view.dtype, result = r.result < 0 ? dtype : static_cast<DType>(r.result);
  fill_for_reduction(x, r.name);
  Scattered out(result, reduced_shape(x.view, axes), false);
  const std::vector<Doubles> groups = groups_of(x, axes);
  const Status status = run(r.name, r.kernel, {&x}, {&out}, {});
  if (x.view.numel == 0 && out.view.numel > 0 && !r.nothing) {
    expect(status == kBadShape, r.name, "of nothing");
    return;
  }
  expect(status == kOk, r.name, "status");
  Doubles want;
  double scale = 1e-30;
  for (const Doubles& group : groups) {
    want.push_back(rounded(result, r.want(group)));
    // Cancelling terms count with their own size.
    double size = 0;
    for (double v : group) size += ::isfinite(v) ? ::fabs(v) : 0;
    if (r.kernel == static_cast<Kernel>(isa::mean) && !group.empty()) size /= static_cast<double>(group.size());
    if (r.kernel == static_cast<Kernel>(isa::sum) || r.kernel == static_cast<Kernel>(isa::mean))
      scale = fmax(scale, size * 0.2);
  }
  // float32 multiplies in double; in float64 every factor may cost half an ULP.
  const bool long_product = r.kernel == static_cast<Kernel>(isa::prod) && dtype == kFloat64;
  compare(r.name, out.values(), want, r.tolerance * epsilon_of(dtype) * (long_product ? 512 : 1), scale);
}

void check_arg(Array& x, int axis, bool lowest) {
  const char* name = lowest ? "argmin" : "argmax";
  fill_for_reduction(x, name);
  for (int64_t i = 0; i < x.view.numel; ++i)  // ties
    if (below(2) == 0 && !isnan(x.get(i)) && !isinf(x.get(i))) x.set(i, floor(x.get(i)));
  const unsigned axes = axis < 0 ? 255u : 1u << axis;
  Scattered out(kInt32, reduced_shape(x.view, axes), false);
  const Status status = run(name, lowest ? isa::argmin : isa::argmax, {&x}, {&out}, {double(axis)});
  if (x.view.numel == 0 && out.view.numel > 0) {
    expect(status == kBadShape, name, "of nothing");
    return;
  }
  expect(status == kOk, name, "status");
  Doubles want;
  for (const Doubles& group : groups_of(x, axes)) want.push_back(arg_of(group, lowest));
  compare(name, out.values(), want, 0);
}

void test_reduce() {
  for (const ReduceCase& r : reduce_cases()) {
    for (DType dtype : r.dtypes) {
      for (int64_t n = 0; n <= 67; ++n) {
        Array x(dtype, {n}, n % 4 == 3 ? kGaps : kPacked);
        check_reduce(r, x, 1);
      }
      for (int k = 0; k < 40 * kThorough; ++k) {
        Scattered x(dtype, random_shape(4000), k % 3 == 0);
        check_reduce(r, x, static_cast<unsigned>(below(256)));
      }
      const Shape large[] = {{100003},     {30011, 3}, {3, 40007}, {900, 130}, {65, 1500},
                             {7, 30, 600}, {20, 3, 0}, {0, 3},     {2500, 40}};
      for (const Shape& shape : large) {
        if (kThorough == 1 && dtype != r.dtypes[0]) break;
        for (unsigned axes = 0; axes < 1u << shape.size(); ++axes) {
          Array x(dtype, shape);
          check_reduce(r, x, axes);
        }
      }
    }
  }
  for (DType dtype : {kFloat32, kFloat64, kInt32, kUint8, kBool}) {
    for (bool lowest : {false, true}) {
      for (int64_t n = 0; n <= 67; ++n) {
        Array x(dtype, {n}, n % 4 == 3 ? kGaps : kPacked);
        check_arg(x, n % 2 == 0 ? 0 : -1, lowest);
      }
      for (int k = 0; k < 40 * kThorough; ++k) {
        Scattered x(dtype, random_shape(4000), k % 3 == 0);
        check_arg(x, static_cast<int>(below(x.view.ndim + 1)) - 1, lowest);
      }
      for (const Shape& shape : {Shape{3000}, Shape{700, 90}, Shape{90, 700}, Shape{3, 0}, Shape{5, 600, 7}})
        for (int axis = -1; axis < static_cast<int>(shape.size()); ++axis) {
          Array x(dtype, shape);
          check_arg(x, axis, lowest);
        }
    }
  }
}

void test_sum_accuracy() {
  for (int kind = 0; kind < 3; ++kind) {
    Array x(kFloat32, {1000000}), out(kFloat32, {1});
    double want = 0;
    for (int64_t i = 0; i < 1000000; ++i) {
      const double v = kind == 0 ? 0.1 : kind == 1 ? (noise() + 1) * 0.5 : 1.0 / static_cast<double>(i + 1);
      x.set(i, v);
      want += x.get(i);
    }
    run("sum", isa::sum, {&x}, {&out}, {});
    compare("sum of 1e6", out.values(), {want}, 3e-7);
    x.view.ndim = 2;  // columns
    x.view.shape[0] = 62500;
    x.view.shape[1] = x.view.strides[0] = 16;
    x.view.strides[1] = 1;
    Array columns(kFloat32, {1, 16});
    run("sum", isa::sum, {&x}, {&columns}, {});
    compare("sum of columns", {plain_sum(columns.values())}, {want}, 3e-7);
  }
}

void test_norm() {
  for (DType dtype : kFloats) {
    for (int most = 0; most < 2; ++most) {
      std::vector<Array*> list;
      long double squares = 0, largest = 0;
      for (const Shape& shape : {Shape{}, Shape{0}, Shape{7}, Shape{40, 3}, Shape{70001}, Shape{20, 30}}) {
        list.push_back(new Array(dtype, shape, list.size() == 5 ? kGaps : kPacked));
        list.back()->fill(random_values(list.back()->view.numel, dtype == kFloat32 ? 1e25 : 1e100, dtype));
        for (double v : list.back()->values()) {
          squares += static_cast<long double>(v) * v;
          largest = fmaxl(largest, fabsl(v));
        }
      }
      Array out(dtype, {});
      expect(run("foreach_norm", isa::foreach_norm, list, {&out}, {most ? kInf : 2}) == kOk, "foreach_norm", "status");
      compare("foreach_norm", out.values(), {static_cast<double>(most ? largest : sqrtl(squares))},
              most ? 0 : 2 * epsilon_of(dtype));
      list[2]->set(3, NAN);
      run("foreach_norm", isa::foreach_norm, list, {&out}, {most ? kInf : 2});
      expect(isnan(out.get(0)), "foreach_norm", "NaN");
      for (Array* a : list) delete a;
    }
    Array out(dtype, {});
    expect(run("foreach_norm", isa::foreach_norm, {}, {&out}, {2}) == kOk && out.get(0) == 0, "foreach_norm",
           "of nothing");
    expect(run("foreach_norm", isa::foreach_norm, {}, {&out}, {3}) == kBadParameter, "foreach_norm", "p");
  }
}

}  // namespace

int main() {
  static constexpr std::initializer_list<void (*)()> tests = {test_reduce, test_sum_accuracy, test_norm};
  return run_tests(tests);
}
