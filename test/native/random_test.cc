// Random numbers: Philox's known answers, every element against its definition, moments, the same bits everywhere.
#include "kernel_harness.h"
#include "kernels/philox.h"

namespace {

// FNV-1a of 200000 normal numbers (seed 1, 2; offset 3).
constexpr uint64_t kNormalHash32 = 0x9bce6ba0b99cfa4aull;
constexpr uint64_t kNormalHash64 = 0x0b8cda88168104deull;

// Word k that Philox makes of one counter.
uint32_t philox_word(const uint32_t (&counter)[4], uint32_t key0, uint32_t key1, int k) {
  isa::PhiloxWord c[4][1];
  for (int i = 0; i < 4; ++i) c[i][0] = isa::set1_word(counter[i]);
  isa::philox(c, isa::PhiloxKeys(key0, key1));
  return static_cast<uint32_t>(lane(c[k][0], 0));
}

struct Reference {
  uint32_t key0, key1;
  uint64_t offset;
  uint32_t word(int64_t counter, int k) const {
    const uint64_t at = offset + static_cast<uint64_t>(counter);
    return philox_word({static_cast<uint32_t>(at), static_cast<uint32_t>(at >> 32), 0, 0}, key0, key1, k);
  }
  uint32_t word32(int64_t i) const { return word(i / 4, static_cast<int>(i % 4)); }
  uint64_t word53(int64_t i) const {
    const int k = static_cast<int>(i % 2) * 2;
    return (static_cast<uint64_t>(word(i / 2, k)) << 32 | word(i / 2, k + 1)) >> 11;
  }
};

void test_philox() {
  const uint32_t known[3][3][4] = {{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
                                   {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
                                   {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                                    {0xa4093822, 0x299f31d0},
                                    {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
  for (const auto& k : known) {
    for (int i = 0; i < 4; ++i) expect(philox_word(k[0], k[1][0], k[1][1], i) == k[2][i], "philox known answer");
  }
  uint32_t words[4 * isa::kPhiloxLanes];
  const Reference r{7, 9, 0xfffffff0ull};
  isa::philox_words(words, {r.key0, r.key1, r.offset}, 0);
  bool same = true;
  for (int j = 0; j < isa::kPhiloxLanes; ++j) {
    for (int k = 0; k < 4; ++k) same = same && words[4 * j + k] == r.word(j, k);
  }
  expect(same, "philox_words over 2^32");
}

uint64_t hash_bytes(const Array& a) {
  uint64_t h = 14695981039346656037ull;
  for (size_t i = 0; i < a.bytes; ++i) h = (h ^ static_cast<uint8_t>(a.memory.data[i])) * 1099511628211ull;
  return h;
}

void test_random_values(DType dtype, int64_t n, Layout layout) {
  const bool f64 = dtype == kFloat64;
  const Reference r{0x12345678, 0x9abcdef0, 0xffffffffull - 3};
  const Doubles head = {double(r.key0), double(r.key1), double(r.offset)};
  const auto with = [&](std::initializer_list<double> more) {
    Doubles p = head;
    p.insert(p.end(), more);
    return p;
  };
  Array out(dtype, {n, 1}, layout);
  Doubles want(static_cast<size_t>(n));
  const auto each = [&](const std::function<double(int64_t)>& f) {
    for (int64_t i = 0; i < n; ++i) want[static_cast<size_t>(i)] = f(i);
  };
  expect(run("uniform", isa::uniform, {}, {&out}, with({-2, 3})) == kOk, "uniform");
  each([&](int64_t i) -> double {
    return f64 ? -2 + 5 * (double(r.word53(i)) * 0x1p-53) : -2 + 5 * (float(r.word32(i) >> 8) * 0x1p-24f);
  });
  compare("uniform values", out.values(), want, 0);

  expect(run("normal", isa::normal, {}, {&out}, with({0.5, 2})) == kOk, "normal");
  each([&](int64_t i) {
    double u, v;
    if (f64) {
      u = (double(r.word53(i / 2 * 2)) + 1) * 0x1p-53;
      v = double(r.word53(i / 2 * 2 + 1)) * 0x1p-53;
    } else {
      u = (double(float(r.word32(i / 2 * 2))) + 0.5) * 0x1p-32;
      v = double(r.word32(i / 2 * 2 + 1)) * 0x1p-32;
    }
    const double radius = ::sqrt(-2 * ::log(u));
    return 0.5 + 2 * radius * (i % 2 == 0 ? ::cos(2 * M_PI * v) : ::sin(2 * M_PI * v));
  });
  compare("normal values", out.values(), want, f64 ? 4e-15 : 2e-6, 2);

  expect(run("bernoulli", isa::bernoulli, {}, {&out}, with({0.3})) == kOk, "bernoulli");
  each([&](int64_t i) { return f64 ? double(r.word53(i)) * 0x1p-53 < 0.3 : double(r.word32(i)) * 0x1p-32 < 0.3; });
  compare("bernoulli values", out.values(), want, 0);
  const Doubles drawn = want;

  Array x(dtype, {n, 1}, layout);
  Array mask(kBool, {n, 1}, layout);
  x.fill(random_values(n, 3, dtype));
  Doubles kept(want.size());
  const Doubles xs = x.values();
  for (size_t i = 0; i < want.size(); ++i) {
    kept[i] = double(r.word32(static_cast<int64_t>(i))) * 0x1p-32 < 0.3 ? 0 : 1;
    want[i] = f64 ? xs[i] * (kept[i] * (1 / 0.7)) : float(xs[i]) * float(kept[i] * float(1 / (1 - 0.3)));
  }
  expect(run("dropout", isa::dropout, {&x}, {&out, &mask}, with({0.3})) == kOk, "dropout");
  compare("dropout values", out.values(), want, f64 ? 1e-15 : 0);
  compare("dropout mask", mask.values(), kept, 0);

  if (f64) return;
  for (DType other : {kInt32, kUint8, kBool}) {
    Array hits(other, {n}, layout);
    expect(run("bernoulli", isa::bernoulli, {}, {&hits}, with({0.3})) == kOk, "bernoulli");
    compare("bernoulli other types", hits.values(), drawn, 0);
  }
  for (const auto& bounds : {std::pair<double, double>{-5, 17}, {-0x1p31, 0x1p31}, {3, 4}, {0, 0x7fffffff}}) {
    Array ints(kInt32, {n}, layout);
    expect(run("randint", isa::randint, {}, {&ints}, with({bounds.first, bounds.second})) == kOk, "randint");
    each([&](int64_t i) {
      return bounds.first + floor(double(r.word32(i)) * (bounds.second - bounds.first) * 0x1p-32);
    });
    compare("randint values", ints.values(), want, 0);
  }
  Array permutation(kInt32, {n}, layout);
  expect(run("randperm", isa::randperm, {}, {&permutation}, head) == kOk, "randperm");
  for (int64_t i = 0; i < n; ++i) want[static_cast<size_t>(i)] = double(i);
  for (int64_t k = 0, i = n - 1; i > 0; ++k, --i) {
    const uint64_t j = (uint64_t{r.word32(k)} * static_cast<uint64_t>(i + 1)) >> 32;
    std::swap(want[static_cast<size_t>(i)], want[j]);
  }
  compare("randperm values", permutation.values(), want, 0);
}

void test_random() {
  test_philox();
  for (DType dtype : kFloats) {
    for (int64_t n : {0, 1, 3, 127, 259, 1000}) {
      for (Layout layout : kLayouts) test_random_values(dtype, n, layout);
    }
    test_random_values(dtype, 40001, kPacked);

    const int64_t n = 200000;
    Array a(dtype, {n});
    double m1 = 0, m2 = 0, m4 = 0;
    run("normal", isa::normal, {}, {&a}, {1, 2, 3, 0, 1});
    // The same bits on every instruction set.
    const uint64_t h = hash_bytes(a);
    expect(h == (dtype == kFloat32 ? kNormalHash32 : kNormalHash64), "normal: same bits everywhere");
    for (double v : a.values()) {
      m1 += v / n;
      m2 += v * v / n;
      m4 += v * v * v * v / n;
    }
    expect(fabs(m1) < 0.01 && fabs(m2 - 1) < 0.015 && fabs(m4 - 3) < 0.12, "normal moments");
    run("uniform", isa::uniform, {}, {&a}, {1, 2, 3, 0, 1});
    double u1 = 0, u2 = 0, least = 1, most = 0;
    for (double v : a.values()) {
      u1 += v / n;
      u2 += v * v / n;
      least = v < least ? v : least;
      most = v > most ? v : most;
    }
    expect(fabs(u1 - 0.5) < 0.003 && fabs(u2 - 1.0 / 3) < 0.003 && least >= 0 && most < 1, "uniform moments");
    // low + range u rounds up to high here, were it not held back.
    run("uniform", isa::uniform, {}, {&a}, {1, 2, 3, 1, 1 + (dtype == kFloat32 ? 0x1p-22 : 0x1p-51)});
    for (double v : a.values()) {
      if (!(v >= 1 && v < 1 + (dtype == kFloat32 ? 0x1p-22 : 0x1p-51))) return expect(false, "uniform reaches high");
    }
    for (double p : {0.0, 1.0}) {
      run("bernoulli", isa::bernoulli, {}, {&a}, {1, 2, 3, p});
      compare("bernoulli certain", a.values(), Doubles(n, p), 0);
    }
  }
  Array a(kFloat32, {5});
  Array ints(kInt32, {5});
  expect(run("uniform", isa::uniform, {}, {&a}, {-1, 0, 0, 0, 1}) == kBadParameter, "negative seed");
  expect(run("uniform", isa::uniform, {}, {&a}, {0, 0x1p32, 0, 0, 1}) == kBadParameter, "large seed");
  expect(run("uniform", isa::uniform, {}, {&a}, {0, 0, 0.5, 0, 1}) == kBadParameter, "fractional offset");
  expect(run("uniform", isa::uniform, {}, {&a}, {0, 0, 0, 1, NAN}) == kBadParameter, "NaN bound");
  expect(run("uniform", isa::uniform, {}, {&ints}, {0, 0, 0, 0, 1}) == kBadDType, "uniform int");
  expect(run("randint", isa::randint, {}, {&ints}, {0, 0, 0, 3, 3}) == kBadParameter, "empty range");
  expect(run("bernoulli", isa::bernoulli, {}, {&a}, {0, 0, 0, 1.5}) == kBadParameter, "p > 1");
}

}  // namespace

int main() { return run_tests({test_random}); }
