// Layer, RMS, group and batch norm and local response norm against float64 references: thin and thick channels, cut channels,
// odd lengths, a mean far above the deviation, hostile operands.
#include "random_tensors.h"

namespace {

double at(const Doubles& v, int64_t i) { return v[static_cast<size_t>(i)]; }
double& at(Doubles& v, int64_t i) { return v[static_cast<size_t>(i)]; }

// A norm of x (batch, channels, spatial): elements of one `set` share statistics.
struct Statistics {
  int64_t batch, channels, spatial;
  int64_t sets;
  std::function<int64_t(int64_t b, int64_t c)> set;
  int64_t numel() const { return batch * channels * spatial; }
};
Statistics layer_layout(int64_t rows, int64_t n) {
  return {rows, n, 1, rows, [](int64_t b, int64_t) { return b; }};
}
Statistics group_layout(int64_t batch, int64_t groups, int64_t per, int64_t spatial) {
  return {batch, groups * per, spatial, batch * groups,
          [groups, per](int64_t b, int64_t c) { return b * groups + c / per; }};
}
Statistics batch_layout(int64_t batch, int64_t channels, int64_t spatial) {
  return {batch, channels, spatial, channels, [](int64_t, int64_t c) { return c; }};
}

struct Reference {
  Doubles y, mean, rstd, dx, dweight, dbias, variance, count;
};

// Everything a norm gives, in float64 from definitions. With `given`, statistics are those and not the input's.
Reference reference(const Statistics& l, const Doubles& x, const Doubles& dy, const Doubles& w, const Doubles& b,
                    double eps, bool centered, const Doubles* given_mean = nullptr,
                    const Doubles* given_var = nullptr) {
  Reference r;
  const size_t n = x.size(), sets = static_cast<size_t>(l.sets), channels = static_cast<size_t>(l.channels);
  r.y = r.dx = Doubles(n);
  r.mean = r.rstd = r.variance = r.count = Doubles(sets);
  r.dweight = r.dbias = Doubles(channels);
  const auto each = [&](const std::function<void(int64_t i, int64_t s, int64_t c)>& f) {
    for (int64_t i = 0; i < l.numel(); ++i) {
      const int64_t c = i / l.spatial % l.channels;
      f(i, l.set(i / l.spatial / l.channels, c), c);
    }
  };
  std::vector<long double> total(sets);
  each([&](int64_t i, int64_t s, int64_t) {
    at(r.count, s) += 1;
    total[static_cast<size_t>(s)] += static_cast<long double>(at(x, i));
  });
  for (size_t s = 0; s < sets; ++s)
    r.mean[s] = centered ? static_cast<double>(total[s] / static_cast<long double>(r.count[s])) : 0;
  if (given_mean != nullptr) r.mean = *given_mean;
  each([&](int64_t i, int64_t s, int64_t) {
    const double d = at(x, i) - at(r.mean, s);
    at(r.variance, s) += d * d;
  });
  for (size_t s = 0; s < sets; ++s) r.variance[s] /= r.count[s];
  if (given_var != nullptr) r.variance = *given_var;
  for (size_t s = 0; s < sets; ++s) r.rstd[s] = 1 / ::sqrt(r.variance[s] + eps);
  Doubles sum(sets), dot(sets);
  const auto standard = [&](int64_t i, int64_t s) { return (at(x, i) - at(r.mean, s)) * at(r.rstd, s); };
  each([&](int64_t i, int64_t s, int64_t c) {
    at(r.y, i) = standard(i, s) * at(w, c) + at(b, c);
    at(sum, s) += at(dy, i) * at(w, c);
    at(dot, s) += at(dy, i) * at(w, c) * standard(i, s);
    at(r.dweight, c) += at(dy, i) * standard(i, s);
    at(r.dbias, c) += at(dy, i);
  });
  each([&](int64_t i, int64_t s, int64_t c) {
    double a = at(dy, i) * at(w, c);
    if (given_mean == nullptr) {
      a -= (centered ? at(sum, s) : 0) / at(r.count, s) + standard(i, s) * at(dot, s) / at(r.count, s);
    }
    at(r.dx, i) = at(r.rstd, s) * a;
  });
  return r;
}

// ‖got - want‖ / ‖want‖, the gate of gradients of weights.
void compare_norm(const char* what, const Doubles& got, const Doubles& want, double tolerance) {
  double error = 0, size = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    error += (got[i] - want[i]) * (got[i] - want[i]);
    size += want[i] * want[i];
  }
  char detail[96];
  snprintf(detail, sizeof(detail), "off by %.3g of %.3g", ::sqrt(error), ::sqrt(size));
  expect(::sqrt(error) <= tolerance * ::sqrt(size) + 1e-30, what, detail);
}

struct Inputs {
  Array x, dy, weight, bias;
  Doubles w, b;
  bool weighted, biased;

  Inputs(DType dtype, const Shape& shape, int64_t channels, double mean, bool weighted_, bool biased_)
      : x(dtype, shape),
        dy(dtype, shape),
        weight(dtype, {channels}),
        bias(dtype, {channels}),
        weighted(weighted_),
        biased(biased_) {
    Doubles values = random_values(x.view.numel, 2, dtype);
    for (double& v : values) v = rounded(dtype, v + mean);
    x.fill(values);
    dy.fill(random_values(x.view.numel, 1, dtype));
    weight.fill(random_values(channels, 1.5, dtype));
    bias.fill(random_values(channels, 1.5, dtype));
    w = weighted ? weight.values() : Doubles(static_cast<size_t>(channels), 1.0);
    b = biased ? bias.values() : Doubles(static_cast<size_t>(channels), 0.0);
  }
  Array* weight_or_none() { return weighted ? &weight : nullptr; }
  Array* bias_or_none() { return biased ? &bias : nullptr; }
};

struct Tolerances {
  double y, dx, weights, statistics;
};
// A float64 mean is itself rounded, which shows where it is far from 0.
Tolerances tolerances(DType dtype, double mean) {
  const double more = fabs(mean) * 0x1p-51;
  return dtype == kFloat32 ? Tolerances{1e-6, 2e-6, 5e-6, 1e-6}
                           : Tolerances{1e-14 + more, 1e-13 + more, 1e-13 + more, 1e-14 + more};
}

void check_gradients(const char* what, const Array& dx, const Array& dweight, const Array& dbias, const Reference& r,
                     const Tolerances& t) {
  compare(what, dx.values(), r.dx, t.dx, 4);
  compare_norm(what, dweight.values(), r.dweight, t.weights);
  compare_norm(what, dbias.values(), r.dbias, t.weights);
}

void test_rows(DType dtype, const Statistics& l, const Shape& shape, int groups, double mean, bool centered,
               int affine) {
  const double eps = 1e-5;
  const Tolerances t = tolerances(dtype, mean);
  Inputs in(dtype, shape, l.channels, mean, (affine & 1) != 0, (affine & 2) != 0);
  Array y(dtype, shape), m(kFloat64, {l.sets}), rstd(kFloat64, {l.sets}), dx(dtype, shape);
  Array dweight(dtype, {l.channels}), dbias(dtype, {l.channels});
  const Reference r = reference(l, in.x.values(), in.dy.values(), in.w, in.b, eps, centered);
  const bool layer = groups == 0;
  const double n = static_cast<double>(l.channels), c = centered ? 1 : 0;
  const Doubles forward = layer ? Doubles{n, eps, c} : Doubles{static_cast<double>(groups), eps};
  const Doubles backward = layer ? Doubles{n, c} : Doubles{static_cast<double>(groups)};
  const char* what = layer ? "layer_norm" : "group_norm";
  expect(run(what, layer ? isa::layer_norm : isa::group_norm, {&in.x, in.weight_or_none(), in.bias_or_none()},
             {&y, &m, &rstd}, forward) == kOk,
         what);
  compare(what, y.values(), r.y, t.y, 2);
  compare("means", m.values(), r.mean, t.statistics, 2);
  compare("deviations", rstd.values(), r.rstd, t.statistics);
  expect(run(what, layer ? isa::layer_norm_backward : isa::group_norm_backward,
             {&in.dy, &in.x, &m, &rstd, in.weight_or_none()}, {&dx, &dweight, &dbias}, backward) == kOk,
         what);
  check_gradients(what, dx, dweight, dbias, r, t);
}

void test_layer_and_group() {
  for (DType dtype : kFloats) {
    for (int affine = 0; affine < 4; ++affine) {
      for (int64_t n : {1, 2, 7, 8, 31, 64, 67, 1025}) {
        for (int64_t rows : {1, 3, 9}) {
          test_rows(dtype, layer_layout(rows, n), {rows, n}, 0, 0, n > 1, affine);
          test_rows(dtype, layer_layout(rows, n), {rows, n}, 0, 0.3, false, affine);
        }
      }
      for (int64_t spatial : {1, 3, 15, 16, 17, 49, 130}) {
        test_rows(dtype, group_layout(3, 2, 3, spatial), {3, 6, spatial}, 2, 0, true, affine);
        test_rows(dtype, group_layout(5, 1, 2, spatial), {5, 2, spatial}, 1, 0, true, affine);
      }
      test_rows(dtype, group_layout(2, 4, 1, 36), {2, 4, 6, 6}, 4, 0, true, affine);
    }
    test_rows(dtype, layer_layout(700, 67), {700, 67}, 0, 0, true, 3);  // many chunks
    test_rows(dtype, layer_layout(2, 40001), {2, 40001}, 0, 0, true, 3);
    test_rows(dtype, group_layout(40, 8, 4, 100), {40, 32, 10, 10}, 8, 0, true, 3);
    test_rows(dtype, group_layout(301, 4, 8, 4), {301, 32, 2, 2}, 4, 0, true, 3);
    // A mean far above the deviation: nothing is lost but what x itself has lost by rounding.
    const double far = dtype == kFloat32 ? 3e4 : 3e8;
    test_rows(dtype, layer_layout(5, 700), {5, 700}, 0, far, true, 3);
    test_rows(dtype, group_layout(3, 2, 3, 200), {3, 6, 200}, 2, far, true, 3);
    test_rows(dtype, group_layout(3, 2, 3, 5), {3, 6, 5}, 2, far, true, 3);
  }
  for (int k = 0; k < 60 * kThorough; ++k) {
    const DType dtype = kFloats[k % 2];
    const int64_t groups = 1 + below(4), per = 1 + below(5), spatial = 1 + below(k % 3 == 0 ? 200 : 20);
    const int64_t batch = 1 + below(12);
    if (per * spatial < 2) continue;
    test_rows(dtype, group_layout(batch, groups, per, spatial), {batch, groups * per, spatial},
              static_cast<int>(groups), noise() * 5, true, static_cast<int>(below(4)));
    test_rows(dtype, layer_layout(batch, groups * spatial + 1), {batch, groups * spatial + 1}, 0, noise() * 5,
              below(2) == 0, static_cast<int>(below(4)));
  }
}

void test_batch(DType dtype, const Statistics& l, const Shape& shape, double mean, int affine) {
  const double eps = 1e-5, momentum = 0.3;
  const Tolerances t = tolerances(dtype, mean);
  Inputs in(dtype, shape, l.channels, mean, (affine & 1) != 0, (affine & 2) != 0);
  Array y(dtype, shape), m(kFloat64, {l.sets}), rstd(kFloat64, {l.sets}), dx(dtype, shape), rate(kFloat64, {});
  Array dweight(dtype, {l.channels}), dbias(dtype, {l.channels});
  Array running_mean(dtype, {l.channels}), running_var(dtype, {l.channels});
  running_mean.fill(random_values(l.channels, 1, dtype));
  Doubles positive = random_values(l.channels, 1, dtype);
  for (double& v : positive) v = rounded(dtype, fabs(v) + 0.5);
  running_var.fill(positive);
  rate.set(0, momentum);
  const Doubles old_mean = running_mean.values(), old_var = running_var.values();

  // By given statistics.
  Reference r = reference(l, in.x.values(), in.dy.values(), in.w, in.b, eps, true, &old_mean, &old_var);
  expect(run("batch_norm_inference", isa::batch_norm_inference,
             {&in.x, &running_mean, &running_var, in.weight_or_none(), in.bias_or_none()}, {&y}, {eps}) == kOk,
         "batch_norm_inference");
  compare("batch_norm_inference values", y.values(), r.y, 2 * t.y, 4 + fabs(mean));
  expect(run("batch_norm_inference_backward", isa::batch_norm_inference_backward,
             {&in.dy, &in.x, &running_mean, &running_var, in.weight_or_none()}, {&dx, &dweight, &dbias}, {eps}) == kOk,
         "batch_norm_inference_backward");
  check_gradients("batch_norm_inference_backward", dx, dweight, dbias, r, t);

  // By those of the batch.
  r = reference(l, in.x.values(), in.dy.values(), in.w, in.b, eps, true);
  expect(run("batch_norm", isa::batch_norm, {&in.x, in.weight_or_none(), in.bias_or_none(), &rate},
             {&y, &m, &rstd, &running_mean, &running_var}, {eps}) == kOk,
         "batch_norm");
  compare("batch_norm values", y.values(), r.y, t.y, 2);
  compare("batch_norm mean", m.values(), r.mean, t.statistics, 2);
  compare("batch_norm deviation", rstd.values(), r.rstd, t.statistics);
  Doubles new_mean, new_var;
  for (size_t c = 0; c < old_mean.size(); ++c) {
    new_mean.push_back((1 - momentum) * old_mean[c] + momentum * r.mean[c]);
    new_var.push_back((1 - momentum) * old_var[c] + momentum * r.variance[c] * r.count[c] / (r.count[c] - 1));
  }
  compare("running mean", running_mean.values(), new_mean, t.statistics, 2);
  compare("running variance", running_var.values(), new_var, 2 * t.statistics);
  expect(run("batch_norm_backward", isa::batch_norm_backward, {&in.dy, &in.x, &m, &rstd, in.weight_or_none()},
             {&dx, &dweight, &dbias}, {}) == kOk,
         "batch_norm_backward");
  check_gradients("batch_norm_backward", dx, dweight, dbias, r, t);
}

void test_batch_norm() {
  for (DType dtype : kFloats) {
    for (int64_t spatial : {1, 2, 3, 15, 16, 17, 49, 64, 1030}) {
      for (int64_t channels : {1, 3, 17}) {
        test_batch(dtype, batch_layout(5, channels, spatial), {5, channels, spatial}, 0.5,
                   static_cast<int>(spatial % 4));
      }
    }
    test_batch(dtype, batch_layout(300, 70, 1), {300, 70}, 0, 3);
    test_batch(dtype, batch_layout(130, 33, 4), {130, 33, 2, 2}, 0, 3);
    test_batch(dtype, batch_layout(2, 3, 50000), {2, 3, 50000}, 0, 3);  // channels in parts
    test_batch(dtype, batch_layout(37, 2, 5000), {37, 2, 50, 100}, 0, 3);
    test_batch(dtype, batch_layout(20, 40, 100), {20, 40, 10, 10}, 0, 3);
    const double far = dtype == kFloat32 ? 3e4 : 3e8;
    test_batch(dtype, batch_layout(20, 4, 100), {20, 4, 100}, far, 3);
    test_batch(dtype, batch_layout(200, 4, 1), {200, 4}, far, 3);
  }
  for (int k = 0; k < 40 * kThorough; ++k) {
    const int64_t batch = 2 + below(20), channels = 1 + below(40), spatial = 1 + below(k % 2 == 0 ? 12 : 150);
    test_batch(kFloats[k % 2], batch_layout(batch, channels, spatial), {batch, channels, spatial}, noise() * 3,
               static_cast<int>(below(4)));
  }
}

void test_local(DType dtype, int64_t batch, int64_t channels, int64_t spatial, int64_t size, double beta) {
  const double alpha = 0.7, k = 1.3;
  const double eps = dtype == kFloat32 ? 2e-6 : 1e-14;
  Array x(dtype, {batch, channels, spatial}), y(dtype, {batch, channels, spatial});
  Array dy(dtype, {batch, channels, spatial}), dx(dtype, {batch, channels, spatial});
  x.fill(random_values(x.view.numel, 2, dtype));
  dy.fill(random_values(x.view.numel, 1, dtype));
  const Doubles params = {static_cast<double>(size), alpha, beta, k};
  Doubles want(static_cast<size_t>(x.view.numel)), gradient(want.size());
  const auto index = [&](int64_t b, int64_t c, int64_t s) { return (b * channels + c) * spatial + s; };
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t s = 0; s < spatial; ++s) {
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t low = c - size / 2 < 0 ? 0 : c - size / 2;
        const int64_t high = c + (size - 1) / 2 < channels ? c + (size - 1) / 2 : channels - 1;
        double sum = 0;
        for (int64_t j = low; j <= high; ++j) sum += x.get(index(b, j, s)) * x.get(index(b, j, s));
        const double d = k + alpha / static_cast<double>(size) * sum;
        at(want, index(b, c, s)) = x.get(index(b, c, s)) * ::pow(d, -beta);
        at(gradient, index(b, c, s)) += dy.get(index(b, c, s)) * ::pow(d, -beta);
        for (int64_t j = low; j <= high; ++j) {
          at(gradient, index(b, j, s)) -= dy.get(index(b, c, s)) * x.get(index(b, c, s)) * beta * ::pow(d, -beta - 1) *
                                          alpha / static_cast<double>(size) * 2 * x.get(index(b, j, s));
        }
      }
    }
  }
  expect(run("local_response_norm", isa::local_response_norm, {&x}, {&y}, params) == kOk, "local_response_norm");
  compare("local_response_norm values", y.values(), want, eps, 1e-3);
  expect(run("local_response_norm_backward", isa::local_response_norm_backward, {&dy, &x}, {&dx}, params) == kOk,
         "local_response_norm_backward");
  compare("local_response_norm_backward values", dx.values(), gradient, eps, 1);
}

void test_local_norm() {
  for (DType dtype : kFloats) {
    for (int64_t size : {1, 2, 3, 5, 9}) {
      for (double beta : {0.75, 0.5, 1.0, -0.3}) {
        test_local(dtype, 2, 6, 7, size, beta);
        test_local(dtype, 1, 3, 35, size, beta);
      }
    }
    test_local(dtype, 3, 33, 300, 5, 0.75);
    test_local(dtype, 0, 3, 4, 5, 0.75);
  }
}

// Operands that do not fit are refused, not read.
void test_refusals() {
  Array x(kFloat32, {4, 6}), y(kFloat32, {4, 6}), m(kFloat64, {4}), rstd(kFloat64, {4}), w(kFloat32, {6});
  Array wrong(kFloat32, {5}), doubles(kFloat64, {6}), gaps(kFloat32, {4, 6}, kGaps), flat(kFloat32, {24});
  Array channel_mean(kFloat64, {6}), channel_rstd(kFloat64, {6}), statistic(kFloat32, {6}), dw(kFloat32, {6}),
      db(kFloat32, {6});
  const auto refuses = [&](const char* what, Kernel kernel, const Arrays& in, const Arrays& out,
                           const Doubles& params) {
    expect(run(what, kernel, in, out, params) != kOk, what, "took what does not fit");
  };
  const Doubles layer = {6, 1e-5, 1};
  refuses("layer_norm weight", isa::layer_norm, {&x, &wrong, nullptr}, {&y, &m, &rstd}, layer);
  refuses("layer_norm dtype", isa::layer_norm, {&x, &doubles, nullptr}, {&y, &m, &rstd}, layer);
  refuses("layer_norm gaps", isa::layer_norm, {&gaps, &w, nullptr}, {&y, &m, &rstd}, layer);
  refuses("layer_norm out", isa::layer_norm, {&x, &w, nullptr}, {&flat, &m, &rstd}, layer);
  refuses("layer_norm statistics", isa::layer_norm, {&x, &w, nullptr}, {&y, &channel_mean, &rstd}, layer);
  refuses("layer_norm statistics dtype", isa::layer_norm, {&x, &w, nullptr}, {&y, &x, &rstd}, layer);
  for (double n : {0.0, -6.0, 5.0, 2.5, static_cast<double>(NAN), 1e300}) {
    refuses("layer_norm n", isa::layer_norm, {&x, nullptr, nullptr}, {&y, &m, &rstd}, {n, 1e-5, 1});
  }
  for (double groups : {0.0, -1.0, 4.0, 7.0, 1.5, static_cast<double>(NAN)}) {
    refuses("group_norm groups", isa::group_norm, {&x, nullptr, nullptr}, {&y, &m, &rstd}, {groups, 1e-5});
  }
  refuses("layer_norm_backward dy", isa::layer_norm_backward, {&flat, &x, &m, &rstd, nullptr}, {&y, &dw, &db}, {6, 1});
  refuses("layer_norm_backward dweight", isa::layer_norm_backward, {&y, &x, &m, &rstd, nullptr}, {&y, &wrong, &db},
          {6, 1});
  refuses("batch_norm running", isa::batch_norm, {&x, nullptr, nullptr, nullptr},
          {&y, &channel_mean, &channel_rstd, &statistic, &dw}, {1e-5});
  refuses("batch_norm statistics", isa::batch_norm, {&x, nullptr, nullptr, nullptr}, {&y, &m, &rstd}, {1e-5});
  refuses("batch_norm of a row", isa::batch_norm, {&flat, nullptr, nullptr, nullptr}, {&flat, &m, &rstd}, {1e-5});
  refuses("batch_norm_inference var", isa::batch_norm_inference, {&x, &statistic, &wrong, nullptr, nullptr}, {&y},
          {1e-5});
  refuses("batch_norm_backward mean", isa::batch_norm_backward, {&y, &x, &m, &channel_rstd, nullptr}, {&y, &dw, &db},
          {});
  refuses("local_response_norm size", isa::local_response_norm, {&x}, {&y}, {0, 1, 1, 1});
  refuses("local_response_norm out", isa::local_response_norm, {&x}, {&flat}, {3, 1, 1, 1});

  // Nothing to normalise: gradients of weights are 0.
  Array empty(kFloat32, {0, 6}), none(kFloat64, {0});
  dw.fill(Doubles(6, 7.0));
  db.fill(Doubles(6, 7.0));
  expect(run("empty", isa::layer_norm, {&empty, &w, nullptr}, {&empty, &none, &none}, layer) == kOk,
         "empty layer_norm");
  expect(run("empty", isa::layer_norm_backward, {&empty, &empty, &none, &none, &w}, {&empty, &dw, &db}, {6, 1}) == kOk,
         "empty layer_norm_backward");
  compare("empty dweight", dw.values(), Doubles(6, 0.0), 0);
  db.fill(Doubles(6, 7.0));
  expect(run("empty", isa::batch_norm_backward, {&empty, &empty, &channel_mean, &channel_rstd, &w}, {&empty, &dw, &db},
             {}) == kOk,
         "empty batch_norm_backward");
  compare("empty dbias", db.values(), Doubles(6, 0.0), 0);
}

// A NaN stays in its own row or channel.
void test_nan() {
  Array x(kFloat32, {3, 20}), y(kFloat32, {3, 20}), m(kFloat64, {3}), rstd(kFloat64, {3});
  x.fill(random_values(60, 1, kFloat32));
  x.set(25, NAN);
  run("nan", isa::layer_norm, {&x, nullptr, nullptr}, {&y, &m, &rstd}, {20, 1e-5, 1});
  for (int64_t i = 0; i < 60; ++i) expect(isnan(y.get(i)) == (i / 20 == 1), "NaN of a row");
}

}  // namespace

int main() { return run_tests({test_layer_and_group, test_batch_norm, test_local_norm, test_refusals, test_nan}); }
