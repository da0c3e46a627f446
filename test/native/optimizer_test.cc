// Optimizer steps against the formulas in float64, ten steps each: lists of odd, empty, strided and large tensors.
#include "kernel_harness.h"

namespace {

using List = std::vector<Array*>;

// One element's parameter and states; `g` is its gradient.
struct Element {
  double p, s1, s2, s3;
};
using Formula = std::function<void(Element& e, double g, int step)>;

struct Group {
  std::vector<Array*> all;
  ~Group() {
    for (Array* a : all) delete a;
  }
  List list(DType dtype, const std::vector<Shape>& shapes, size_t layout) {
    List r;
    for (const Shape& shape : shapes) {
      all.push_back(new Array(dtype, shape, kLayouts[layout++ % 3]));
      r.push_back(all.back());
    }
    return r;
  }
};

// Ten steps of a kernel with `states` state lists (zero at first) against `formula` on every element.
void check_steps(const char* what, Kernel kernel, int states, const std::function<Doubles(int step)>& params,
                 const Formula& formula, DType dtype, const std::vector<Shape>& shapes, bool mixed) {
  Group group;
  std::vector<List> lists;  // grads, params, states
  for (int k = 0; k < states + 2; ++k) {
    List list;
    for (size_t i = 0; i < shapes.size(); ++i) {
      const List one = group.list(dtype, {shapes[i]}, mixed ? i + static_cast<size_t>(k) : 0);
      list.push_back(one[0]);
    }
    lists.push_back(list);
  }
  std::vector<std::vector<Element>> want;
  for (size_t i = 0; i < shapes.size(); ++i) {
    lists[1][i]->fill(random_values(lists[1][i]->view.numel, 1, dtype));
    for (size_t k = 2; k < lists.size(); ++k) {
      lists[k][i]->fill(Doubles(static_cast<size_t>(lists[1][i]->view.numel)));
    }
    std::vector<Element> elements;
    for (double p : lists[1][i]->values()) elements.push_back({p, 0, 0, 0});
    want.push_back(elements);
  }
  List out;
  for (size_t k = 1; k < lists.size(); ++k) out.insert(out.end(), lists[k].begin(), lists[k].end());
  for (int step = 1; step <= 10; ++step) {
    for (size_t i = 0; i < shapes.size(); ++i) {
      const Doubles g = random_values(lists[0][i]->view.numel, 1, dtype);
      lists[0][i]->fill(g);
      for (size_t e = 0; e < g.size(); ++e) formula(want[i][e], g[e], step);
    }
    expect(run(what, kernel, lists[0], out, params(step)) == kOk, what);
  }
  const double eps = dtype == kFloat32 ? 1e-5 : 1e-13;
  for (size_t i = 0; i < shapes.size(); ++i) {
    Doubles fields[4];
    for (const Element& e : want[i]) {
      fields[0].push_back(e.p);
      fields[1].push_back(e.s1);
      fields[2].push_back(e.s2);
      fields[3].push_back(e.s3);
    }
    for (int k = 0; k <= states; ++k)
      compare(what, lists[static_cast<size_t>(k) + 1][i]->values(), fields[k], eps, 0.1);
  }
}

// Small tensors packed and strided in both float types; `large`: enough elements for several chunks, too.
void check_all(const char* what, Kernel kernel, int states, const std::function<Doubles(int step)>& params,
               const Formula& formula, bool large) {
  const std::vector<Shape> small = {{}, {1}, {7}, {0}, {3, 5}, {2, 3, 11}, {33}, {31, 37}};
  for (DType dtype : kFloats) {
    check_steps(what, kernel, states, params, formula, dtype, small, false);
    check_steps(what, kernel, states, params, formula, dtype, small, true);
  }
  if (large) check_steps(what, kernel, states, params, formula, kFloat32, {{5}, {129, 130}, {0}, {17000}, {3}}, false);
}

void test_sgd() {
  const double lr = 0.05;
  for (double momentum : {0.0, 0.9}) {
    for (double decay : {0.0, 0.01}) {
      for (int flags = 0; flags < 4; ++flags) {
        const bool maximize = (flags & 1) != 0;
        const bool nesterov = (flags & 2) != 0;
        const double dampening = nesterov ? 0 : 0.1;
        check_all(
            "sgd_step", isa::sgd_step, momentum != 0 ? 1 : 0,
            [&](int step) {
              return Doubles{lr, momentum, dampening, decay, double(nesterov), double(maximize), double(step == 1)};
            },
            [&](Element& e, double g, int step) {
              if (maximize) g = -g;
              g += decay * e.p;
              if (momentum != 0) {
                e.s1 = step == 1 ? g : momentum * e.s1 + (1 - dampening) * g;
                g = nesterov ? g + momentum * e.s1 : e.s1;
              }
              e.p -= lr * g;
            },
            flags == 0 && decay != 0);
      }
    }
  }
}

void test_adam() {
  const double lr = 0.01, beta2 = 0.99, eps = 1e-6;
  for (double beta1 : {0.9, 0.3}) {
    for (double decay : {0.0, 0.1}) {
      for (int flags = 0; flags < 8; ++flags) {
        const bool decoupled = (flags & 1) != 0;
        const bool amsgrad = (flags & 2) != 0;
        const bool maximize = (flags & 4) != 0;
        if (beta1 != 0.9 && flags != 0) continue;
        check_all(
            "adam_step", isa::adam_step, amsgrad ? 3 : 2,
            [&](int step) {
              return Doubles{
                  lr, beta1, beta2, eps, decay, double(decoupled), double(amsgrad), double(maximize), double(step)};
            },
            [&](Element& e, double g, int step) {
              if (maximize) g = -g;
              if (decoupled) {
                e.p *= 1 - lr * decay;
              } else {
                g += decay * e.p;
              }
              e.s1 = beta1 * e.s1 + (1 - beta1) * g;
              e.s2 = beta2 * e.s2 + (1 - beta2) * g * g;
              e.s3 = e.s3 > e.s2 ? e.s3 : e.s2;
              const double m = e.s1 / (1 - pow(beta1, step));
              const double v = (amsgrad ? e.s3 : e.s2) / (1 - pow(beta2, step));
              e.p -= lr * m / (::sqrt(v) + eps);
            },
            flags == 2 && decay != 0);
      }
    }
  }
}

void test_rmsprop() {
  const double lr = 0.01, alpha = 0.9, eps = 1e-3;
  for (double momentum : {0.0, 0.8}) {
    for (double decay : {0.0, 0.05}) {
      for (int flags = 0; flags < 4; ++flags) {
        const bool centered = (flags & 1) != 0;
        const bool maximize = (flags & 2) != 0;
        check_all(
            "rmsprop_step", isa::rmsprop_step, 1 + (momentum != 0 ? 1 : 0) + (centered ? 1 : 0),
            [&](int) { return Doubles{lr, alpha, eps, decay, momentum, double(centered), double(maximize)}; },
            [&](Element& e, double g, int) {
              if (maximize) g = -g;
              g += decay * e.p;
              e.s1 = alpha * e.s1 + (1 - alpha) * g * g;
              double& buffer = e.s2;
              double& mean = momentum != 0 ? e.s3 : e.s2;
              if (centered) mean = alpha * mean + (1 - alpha) * g;
              const double spread = ::sqrt(e.s1 - (centered ? mean * mean : 0)) + eps;
              if (momentum != 0) {
                buffer = momentum * buffer + g / spread;
                e.p -= lr * buffer;
              } else {
                e.p -= lr * g / spread;
              }
            },
            flags == 1 && decay != 0);
      }
    }
  }
}

void test_adagrad() {
  const double lr = 0.1, lr_decay = 0.02, eps = 1e-6;
  for (double decay : {0.0, 0.05}) {
    for (bool maximize : {false, true}) {
      check_all(
          "adagrad_step", isa::adagrad_step, 1,
          [&](int step) { return Doubles{lr, lr_decay, decay, eps, double(maximize), double(step)}; },
          [&](Element& e, double g, int step) {
            if (maximize) g = -g;
            g += decay * e.p;
            e.s1 += g * g;
            e.p -= lr / (1 + (step - 1) * lr_decay) * g / (::sqrt(e.s1) + eps);
          },
          maximize && decay != 0);
    }
  }
}

void test_foreach() {
  const std::vector<Shape> shapes = {{}, {9}, {0}, {40, 41}, {17, 18}, {20001}, {3, 700}};
  for (DType dtype : kFloats) {
    for (int clip = 0; clip < 6; ++clip) {
      Group group;
      const List tensors = group.list(dtype, shapes, 0);
      Array norm(dtype, {});
      std::vector<Doubles> want;
      const double norms[] = {10, 0.5, NAN, INFINITY, 2, 0};
      const double limit = 2;
      norm.set(0, norms[clip]);
      for (Array* a : tensors) {
        Doubles x = random_values(a->view.numel, 5, dtype);
        if (!x.empty()) x[x.size() / 2] = NAN;
        a->fill(x);
        for (double& v : x) {
          const double ratio = limit / (norms[clip] + 1e-6);
          if (clip < 5) v *= ratio >= 1 ? 1 : ratio;
          if (clip == 5 && fabs(v) > limit) v = copysign(limit, v);
        }
        want.push_back(x);
      }
      const Status status = clip < 5 ? run("foreach_clip", isa::foreach_clip, {&norm}, tensors, {limit})
                                     : run("foreach_clamp", isa::foreach_clamp, {}, tensors, {limit});
      expect(status == kOk, "foreach");
      for (size_t i = 0; i < shapes.size(); ++i) compare("foreach values", tensors[i]->values(), want[i], 1e-6);
    }
  }
}

void test_errors() {
  Array a(kFloat32, {3}), b(kFloat32, {3}), c(kFloat32, {4}), d(kFloat64, {3}), i(kInt32, {3}), norm(kFloat32, {});
  const Doubles adam = {0.1, 0.9, 0.999, 1e-8, 0, 0, 0, 0, 1};
  const Doubles sgd = {0.1, 0, 0, 0, 0, 0, 1};
  expect(run("adam", isa::adam_step, {&a}, {&b, &b}, adam) == kBadShape, "state list missing");
  expect(run("adam", isa::adam_step, {&a}, {&b, &b, &c}, adam) == kBadShape, "state of another shape");
  expect(run("adam", isa::adam_step, {&a}, {&b, &b, &d}, adam) == kBadDType, "state of another dtype");
  expect(run("sgd", isa::sgd_step, {&i}, {&i}, sgd) == kBadDType, "integers");
  expect(run("sgd", isa::sgd_step, {&a, nullptr}, {&b, &b}, sgd) != kOk, "absent gradient");
  expect(run("sgd", isa::sgd_step, {}, {}, sgd) == kOk, "no tensors");
  expect(run("sgd", isa::sgd_step, {&a}, {&b}, {0.1}) == kBadParameter, "parameters missing");
  expect(run("clip", isa::foreach_clip, {&a}, {&b}, {1}) == kBadShape, "norm of three elements");
  expect(run("clip", isa::foreach_clip, {&norm}, {&b, &d}, {1}) == kBadDType, "mixed dtypes");
  expect(run("clamp", isa::foreach_clamp, {}, {&b}, {NAN}) == kBadParameter, "NaN limit");
}

}  // namespace

int main() { return run_tests({test_sgd, test_adam, test_rmsprop, test_adagrad, test_foreach, test_errors}); }
