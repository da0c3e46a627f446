// Recurrent layers and attention against scalar float64 references: odd sizes, missing operands, lengths, masks, hostile calls.
#include "kernel_harness.h"

namespace {

double value(const Doubles& v, int64_t i) { return v[static_cast<size_t>(i)]; }
double logistic(double x) { return 1 / (1 + ::exp(-x)); }

// The states after every step, from pre-activations of the inputs, as the kernel lays them out.
Doubles reference_states(int mode, int64_t T, int64_t B, int64_t H, const Doubles& gates, const Doubles& w,
                         const Doubles& h0, const Doubles& c0, const Doubles& bias, bool reverse,
                         const Doubles& lengths) {
  const int64_t G = mode == 2 ? 4 : mode == 3 ? 3 : 1;
  Doubles states(static_cast<size_t>((T + 1) * B * H));
  Doubles h = h0, c = c0;
  const auto put = [&](int64_t at) {
    for (int64_t i = 0; i < B * H; ++i) states[static_cast<size_t>(at * B * H + i)] = value(h, i);
  };
  put(reverse ? T : 0);
  for (int64_t t = 0; t < T; ++t) {
    const int64_t p = reverse ? T - 1 - t : t;
    Doubles next = h, next_c = c;
    for (int64_t b = 0; b < B; ++b) {
      if (!lengths.empty() && p >= value(lengths, b)) continue;
      for (int64_t j = 0; j < H; ++j) {
        double in[4], rec[4];
        for (int64_t g = 0; g < G; ++g) {
          in[g] = value(gates, ((p * B + b) * G + g) * H + j);
          rec[g] = bias.empty() ? 0 : value(bias, g * H + j);
          for (int64_t k = 0; k < H; ++k) rec[g] += value(w, (g * H + j) * H + k) * value(h, b * H + k);
        }
        double& out = next[static_cast<size_t>(b * H + j)];
        if (mode == 2) {
          double& cell = next_c[static_cast<size_t>(b * H + j)];
          cell = logistic(in[1] + rec[1]) * value(c, b * H + j) + logistic(in[0] + rec[0]) * ::tanh(in[2] + rec[2]);
          out = logistic(in[3] + rec[3]) * ::tanh(cell);
        } else if (mode == 3) {
          const double z = logistic(in[1] + rec[1]), n = ::tanh(in[2] + logistic(in[0] + rec[0]) * rec[2]);
          out = (1 - z) * n + z * value(h, b * H + j);
        } else {
          out = mode == 0 ? ::tanh(in[0] + rec[0]) : fmax(in[0] + rec[0], 0);
        }
      }
    }
    h = next, c = next_c;
    put(reverse ? T - 1 - t : t + 1);
  }
  return states;
}

void test_recurrent(DType dtype, int mode, int64_t T, int64_t B, int64_t H, bool full, bool reverse) {
  const int64_t G = mode == 2 ? 4 : mode == 3 ? 3 : 1;
  Array gates(dtype, {T, B, G * H}), states(dtype, {T + 1, B, H});
  Array extra(dtype, {mode == 2 ? T + 1 : mode == 3 ? T : 0, B, H});
  Array w(dtype, {G * H, H}, full ? kReversed : kPacked), h0(dtype, {B, H}), c0(dtype, {B, H}), bias(dtype, {G * H});
  Array lengths(kInt32, {B});
  gates.fill(random_values(gates.view.numel, 1, dtype));
  w.fill(random_values(w.view.numel, 0.5, dtype));
  bias.fill(random_values(bias.view.numel, 1, dtype));
  for (int64_t b = 0; b < B; ++b) lengths.set(b, static_cast<double>(1 + b % T));
  const Doubles zeros(static_cast<size_t>(B * H), 0.0);
  if (full) h0.fill(random_values(B * H, 1, dtype)), c0.fill(random_values(B * H, 1, dtype));
  const Doubles want = reference_states(mode, T, B, H, gates.values(), w.values(), full ? h0.values() : zeros,
                                        full ? c0.values() : zeros, full ? bias.values() : Doubles{}, reverse,
                                        full ? lengths.values() : Doubles{});
  const Arrays in = {&w,
                     nullptr,
                     full ? &h0 : nullptr,
                     full && mode == 2 ? &c0 : nullptr,
                     full ? &bias : nullptr,
                     full ? &lengths : nullptr};
  expect(run("recurrent", isa::recurrent, in, {&gates, &states, &extra}, {double(mode), double(reverse)}) == kOk,
         "recurrent");
  compare("recurrent states", states.values(), want, dtype == kFloat32 ? 2e-5 : 1e-12, 1);

  Array dgates(dtype, {T, B, (mode > 1 ? 4 : 1) * H}), dh(dtype, {B, H}), dc(dtype, {mode == 2 ? B : 0, H});
  Array dy(dtype, {T, B, H});
  dy.fill(random_values(dy.view.numel, 1, dtype));
  const Arrays saved = {&w, &gates, &states, &extra, &dy, nullptr, nullptr, full ? &lengths : nullptr};
  expect(run("recurrent_backward", isa::recurrent_backward, saved, {&dgates, &dh, &dc},
             {double(mode), double(reverse)}) == kOk,
         "recurrent_backward");
}

void test_recurrent_shapes() {
  for (DType dtype : kFloats) {
    for (int mode = 0; mode < 4; ++mode) {
      for (bool full : {false, true}) {
        test_recurrent(dtype, mode, 3, 2, 5, full, false);
        test_recurrent(dtype, mode, 4, 7, 19, full, true);
        test_recurrent(dtype, mode, 2, 53, 33, full, false);
        test_recurrent(dtype, mode, 2, 50, 150, full, true);
      }
    }
  }
  Array gates(kFloat32, {2, 3, 16}), states(kFloat32, {3, 3, 4}), extra(kFloat32, {3, 3, 4}), w(kFloat32, {16, 4});
  Array wrong(kFloat32, {12, 4});
  const Arrays out = {&gates, &states, &extra};
  const auto call = [&](const Arrays& in, double mode) { return run("hostile", isa::recurrent, in, out, {mode, 0}); };
  expect(call({&wrong, nullptr, nullptr, nullptr, nullptr, nullptr}, 2) == kBadShape, "wrong weight");
  expect(call({nullptr, nullptr, nullptr, nullptr, nullptr, nullptr}, 2) == kBadShape, "no weight");
  expect(call({&w, nullptr, nullptr, nullptr, nullptr, nullptr}, 3) == kBadShape, "another cell");
  expect(call({&w, nullptr, nullptr, nullptr, nullptr, nullptr}, 4) == kBadParameter, "no such cell");
  expect(call({&w, nullptr, &w, nullptr, nullptr, nullptr}, 2) == kBadShape, "wrong state");
}

void test_attention(DType dtype, int64_t N, int64_t H, int64_t Tq, int64_t Tk, int64_t D, int64_t Dv, bool causal,
                    bool masked) {
  Array q(dtype, {N, H, Tq, D}), k(dtype, {N, H, Tk, D}), v(dtype, {N, H, Tk, Dv}), mask(kBool, {N, H, Tq, Tk});
  Array out(dtype, {N, Tq, H, Dv}), statistics(dtype, {2, N, H, Tq});
  for (Array* x : {&q, &k, &v}) x->fill(random_values(x->view.numel, 1, dtype));
  for (int64_t i = 0; i < mask.view.numel; ++i) mask.set(i, noise() > -0.2);
  const double scale = 0.7;
  Doubles want(static_cast<size_t>(N * Tq * H * Dv), 0.0);
  for (int64_t n = 0; n < N; ++n) {
    for (int64_t h = 0; h < H; ++h) {
      for (int64_t i = 0; i < Tq; ++i) {
        const int64_t head = n * H + h;
        double total = 0;
        Doubles sum(static_cast<size_t>(Dv), 0.0);
        for (int64_t j = 0; j < Tk; ++j) {
          if ((causal && j > i) || (masked && mask.get((head * Tq + i) * Tk + j) == 0)) continue;
          double s = 0;
          for (int64_t d = 0; d < D; ++d) s += q.get((head * Tq + i) * D + d) * k.get((head * Tk + j) * D + d);
          const double p = ::exp(scale * s);
          total += p;
          for (int64_t d = 0; d < Dv; ++d) sum[static_cast<size_t>(d)] += p * v.get((head * Tk + j) * Dv + d);
        }
        for (int64_t d = 0; d < Dv && total > 0; ++d) {
          want[static_cast<size_t>(((n * Tq + i) * H + h) * Dv + d)] = value(sum, d) / total;
        }
      }
    }
  }
  const Doubles params = {scale, double(causal), 0, 0, 0, 0};
  expect(run("attention", isa::attention, {&q, &k, &v, masked ? &mask : nullptr}, {&out, &statistics}, params) == kOk,
         "attention");
  compare("attention values", out.values(), want, dtype == kFloat32 ? 1e-5 : 1e-12, 1);
  Array dout(dtype, {N, H, Tq, Dv}), dq(dtype, {N, Tq, 1, H, D}), dk(dtype, {N, Tk, 1, H, D}),
      dv(dtype, {N, Tk, 1, H, Dv});
  dout.fill(random_values(dout.view.numel, 1, dtype));
  expect(run("attention_backward", isa::attention_backward,
             {&q, &k, &v, masked ? &mask : nullptr, &out, &statistics, &dout}, {&dq, &dk, &dv}, params) == kOk,
         "attention_backward");
}

// Whatever thread or tile comes to a weight, dropout and the mask's gradient are those of the whole matrix of scores.
void test_dropped_attention(DType dtype, int64_t N, int64_t H, int64_t Tq, int64_t Tk, bool causal) {
  const int64_t D = 5;
  const Doubles params = {0.4, double(causal), 7, 1, 100, 0.3};
  Array q(dtype, {N, H, Tq, D}), k(dtype, {N, H, Tk, D}), v(dtype, {N, H, Tk, D}), dout(dtype, {N, H, Tq, D});
  Array mask(dtype, {N, H, Tq, Tk}), out(dtype, {N, Tq, H, D}), statistics(dtype, {2, N, H, Tq});
  Array ones(dtype, {N, H, Tq, Tk}), kept(dtype, {N, H, Tq, Tk}), flags(kBool, {N, H, Tq, Tk});
  for (Array* x : {&q, &k, &v, &dout, &mask}) x->fill(random_values(x->view.numel, 1, dtype));
  ones.fill(Doubles(static_cast<size_t>(ones.view.numel), 1.0));
  expect(run("dropout", isa::dropout, {&ones}, {&kept, &flags}, {7, 1, 100, 0.3}) == kOk, "dropout");
  Doubles want(static_cast<size_t>(N * Tq * H * D), 0.0), dmask(static_cast<size_t>(mask.view.numel), 0.0);
  Doubles by_key(static_cast<size_t>(Tk), 0.0), by_head(static_cast<size_t>(H * Tq), 0.0);
  for (int64_t row = 0; row < N * H * Tq; ++row) {
    const int64_t head = row / Tq, i = row % Tq, end = causal ? std::min(Tk, i + 1) : Tk;
    Doubles p(static_cast<size_t>(Tk), 0.0), dp(static_cast<size_t>(Tk), 0.0);
    double total = 0, delta = 0;
    for (int64_t j = 0; j < end; ++j) {
      double s = 0;
      for (int64_t d = 0; d < D; ++d) s += q.get(row * D + d) * k.get((head * Tk + j) * D + d);
      total += p[static_cast<size_t>(j)] = ::exp(0.4 * s + mask.get(row * Tk + j));
    }
    for (int64_t j = 0; j < end; ++j) {
      double& share = p[static_cast<size_t>(j)];
      share /= total;
      for (int64_t d = 0; d < D; ++d) {
        const double factor = kept.get(row * Tk + j), x = v.get((head * Tk + j) * D + d);
        want[static_cast<size_t>(((head / H * Tq + i) * H + head % H) * D + d)] += share * factor * x;
        dp[static_cast<size_t>(j)] += factor * dout.get(row * D + d) * x;
      }
      delta += share * value(dp, j);
    }
    for (int64_t j = 0; j < end; ++j) {
      const double ds = value(p, j) * (value(dp, j) - delta);
      dmask[static_cast<size_t>(row * Tk + j)] = ds;
      by_key[static_cast<size_t>(j)] += ds;
      by_head[static_cast<size_t>(row % (H * Tq))] += ds;
    }
  }
  const double tolerance = dtype == kFloat32 ? 2e-5 : 1e-12;
  expect(run("attention", isa::attention, {&q, &k, &v, &mask}, {&out, &statistics}, params) == kOk, "attention");
  compare("dropped values", out.values(), want, tolerance, 1);
  const auto gradient = [&](const std::vector<int64_t>& shape, const Doubles& expected) {
    Array got(dtype, shape);
    expect(
        run("mask", isa::attention_mask_backward, {&q, &k, &v, &mask, &out, &statistics, &dout}, {&got}, params) == kOk,
        "attention_mask_backward");
    compare("gradient of the mask", got.values(), expected, tolerance, 1);
  };
  gradient({N, H, Tq, Tk}, dmask);
  gradient({1, 1, 1, Tk}, by_key);
  gradient({1, H, Tq, 1}, by_head);
}

void test_attention_shapes() {
  for (DType dtype : kFloats) {
    for (bool masked : {false, true}) {
      test_attention(dtype, 2, 3, 5, 7, 4, 6, false, masked);
      test_attention(dtype, 1, 2, 1, 130, 9, 3, false, masked);
      test_attention(dtype, 1, 1, 110, 205, 17, 33, true, masked);
      test_attention(dtype, 4, 5, 61, 100, 8, 8, true, masked);
      test_attention(dtype, 1, 1, 500, 430, 3, 3, true, masked);
    }
  }
  for (DType dtype : kFloats) {
    test_dropped_attention(dtype, 2, 3, 5, 7, false);
    test_dropped_attention(dtype, 2, 1, 1, 205, false);
    test_dropped_attention(dtype, 1, 2, 101, 203, true);
    test_dropped_attention(dtype, 5, 4, 60, 50, true);
  }
  Array q(kFloat32, {1, 2, 3, 4}), k(kFloat32, {1, 2, 5, 4}), wrong(kFloat32, {1, 2, 5, 3}), mask(kBool, {1, 2, 3, 4});
  Array out(kFloat32, {1, 3, 2, 4}), statistics(kFloat32, {2, 1, 2, 3});
  const auto call = [&](const Arrays& in) {
    return run("hostile", isa::attention, in, {&out, &statistics}, {1, 0, 0, 0, 0, 0});
  };
  expect(call({&q, &wrong, &k, nullptr}) == kBadShape, "wrong keys");
  expect(call({&q, &k, &wrong, nullptr}) == kBadShape, "wrong values");
  expect(call({&q, &k, &k, &mask}) == kBadShape, "wrong mask");
}

void test_additive(DType dtype, int64_t S, int64_t B, int64_t A, bool add) {
  Array query(dtype, {B, A}), keys(dtype, {S, B, A}), v(dtype, {A}), scores(dtype, {S, B}), dscores(dtype, {S, B});
  Array dquery(dtype, {B, A}), dkeys(dtype, {S, B, A}), dv(dtype, {A});
  for (Array* x : {&query, &keys, &v, &dscores, &dkeys}) x->fill(random_values(x->view.numel, 1, dtype));
  Doubles want(static_cast<size_t>(S * B), 0.0), wq(static_cast<size_t>(B * A), 0.0), wv(static_cast<size_t>(A), 0.0);
  Doubles wk = add ? dkeys.values() : Doubles(static_cast<size_t>(S * B * A), 0.0);
  for (int64_t row = 0; row < S * B; ++row) {
    for (int64_t i = 0; i < A; ++i) {
      const int64_t q = row % B * A + i;
      const double t = ::tanh(keys.get(row * A + i) + query.get(q)), d = dscores.get(row);
      want[static_cast<size_t>(row)] += v.get(i) * t;
      wk[static_cast<size_t>(row * A + i)] += d * v.get(i) * (1 - t * t);
      wq[static_cast<size_t>(q)] += d * v.get(i) * (1 - t * t);
      wv[static_cast<size_t>(i)] += d * t;
    }
  }
  const double tolerance = dtype == kFloat32 ? 5e-6 : 1e-13;
  expect(run("additive", isa::additive_scores, {&query, &keys, &v}, {&scores}, {}) == kOk, "additive");
  compare("additive scores", scores.values(), want, tolerance, 1);
  expect(run("additive_backward", isa::additive_scores_backward, {&dscores, &query, &keys, &v}, {&dquery, &dkeys, &dv},
             {double(add)}) == kOk,
         "additive_backward");
  compare("additive dquery", dquery.values(), wq, tolerance, 1);
  compare("additive dkeys", dkeys.values(), wk, tolerance, 1);
  compare("additive dv", dv.values(), wv, tolerance, 1);
}

void test_additive_shapes() {
  for (DType dtype : kFloats) {
    for (bool add : {false, true}) {
      test_additive(dtype, 3, 2, 5, add);
      test_additive(dtype, 20, 9, 256, add);
      test_additive(dtype, 1, 1, 1, add);
      test_additive(dtype, 0, 3, 7, add);
      test_additive(dtype, 5, 0, 7, add);
      test_additive(dtype, 70, 3, 301, add);
    }
  }
  Array query(kFloat32, {2, 3}), keys(kFloat32, {4, 2, 3}), v(kFloat32, {3}), scores(kFloat32, {4, 2});
  Array wrong(kFloat32, {2, 4}), other(kFloat64, {3});
  const auto call = [&](const Arrays& in) { return run("hostile", isa::additive_scores, in, {&scores}, {}); };
  expect(call({&wrong, &keys, &v}) == kBadShape, "wrong query");
  expect(call({&query, &keys, &query}) == kBadShape, "wrong v");
  expect(call({&query, &keys, &other}) == kBadDType, "another dtype");
}

}  // namespace

int main() { return run_tests({test_recurrent_shapes, test_attention_shapes, test_additive_shapes}); }
