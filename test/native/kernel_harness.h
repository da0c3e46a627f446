// What tests of single kernels share: tensors in guarded memory, a pool, comparison with float64 references. Operands end at
// a guard page, and every kernel runs with 1, 2 and 3 threads, which must give the same bits.
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <initializer_list>
#include <thread>
#include <vector>

#include "kernels/blocks.h"
#include "kernels/call.h"

// The kernels that programs are linked with: those of the addon, not compiled again.
namespace myelin {
namespace MYELIN_ISA {
#define OP(name, inputs, outputs, params) Status name(const Call& c);
#include "ops.def"
#undef OP
}  // namespace MYELIN_ISA
}  // namespace myelin

namespace {

using namespace myelin;
namespace isa = myelin::MYELIN_ISA;
using Doubles = std::vector<double>;
using Shape = std::vector<int64_t>;

int passed = 0;
int failed = 0;

void expect(bool ok, const char* what, const char* detail = "") {
  if (ok) {
    ++passed;
  } else if (++failed <= 30) {
    printf("FAILED %s %s\n", what, detail);
  }
}

// Memory that ends at an inaccessible page; freed by the destructor.
class Guarded {
 public:
  explicit Guarded(size_t bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t used = (bytes + page - 1) / page * page;
    size_ = used + 2 * page;
    base_ = static_cast<char*>(mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base_, page, PROT_NONE);
    mprotect(base_ + page + used, page, PROT_NONE);
    data = base_ + page + used - bytes;
    memset(base_ + page, 0x5a, used);
  }
  Guarded(const Guarded&) = delete;
  ~Guarded() { munmap(base_, size_); }
  char* data;

 private:
  char* base_;
  size_t size_;
};

// A pool of `threads` that hands out chunks in no particular order.
struct TestPool {
  Pool pool;
  std::vector<Guarded*> blocks;

  explicit TestPool(int threads) : blocks(static_cast<size_t>(threads) + 1, nullptr) {
    pool = {this, threads, run, scratch};
  }
  ~TestPool() {
    for (Guarded* b : blocks) delete b;
  }
  static void run(void* self, int64_t n, int64_t grain, void (*fn)(void*, int64_t, int64_t, int), void* ctx) {
    const int threads = static_cast<TestPool*>(self)->pool.threads;
    const int64_t chunks = (n + grain - 1) / grain;
    std::atomic<int64_t> next{0};
    const auto work = [&](int worker) {
      for (int64_t k = next++; k < chunks; k = next++) {
        const int64_t at = threads == 2 ? chunks - 1 - k : k;
        fn(ctx, at * grain, n < (at + 1) * grain ? n : (at + 1) * grain, worker);
      }
    };
    std::vector<std::thread> others;
    for (int w = 1; w < threads && chunks > 1; ++w) others.emplace_back(work, w);
    work(0);
    for (std::thread& t : others) t.join();
  }
  static void* scratch(void* self, int worker, size_t bytes) {
    Guarded*& block = static_cast<TestPool*>(self)->blocks[static_cast<size_t>(worker + 1)];
    delete block;
    block = new Guarded((bytes + 63) / 64 * 64);
    return block->data;
  }
};

enum Layout { kPacked, kGaps, kReversed };

// A tensor in guarded memory. kGaps: every stride has room to spare; kReversed: strides as of the transpose.
struct Array {
  View view;
  Guarded memory;
  size_t bytes;

  Array(DType dtype, const Shape& shape, Layout layout = kPacked) : memory(extent(dtype, shape, layout)) {
    bytes = extent(dtype, shape, layout);
    view = make(dtype, shape, layout);
    view.data = memory.data;
  }
  static View make(DType dtype, const Shape& shape, Layout layout) {
    View v;
    v.dtype = dtype;
    v.ndim = static_cast<int>(shape.size());
    v.numel = 1;
    for (int d = 0; d < v.ndim; ++d) v.numel *= v.shape[d] = shape[static_cast<size_t>(d)];
    int64_t stride = layout == kGaps ? 2 : 1;
    for (int k = 0; k < v.ndim; ++k) {
      const int d = layout == kReversed ? k : v.ndim - 1 - k;
      v.strides[d] = stride;
      stride = stride * (v.shape[d] > 0 ? v.shape[d] : 1) + (layout == kGaps ? 3 : 0);
    }
    v.contiguous = layout == kPacked || (layout == kReversed && v.ndim < 2);
    return v;
  }
  static size_t extent(DType dtype, const Shape& shape, Layout layout) {
    const View v = make(dtype, shape, layout);
    int64_t last = v.numel > 0 ? 1 : 0;
    for (int d = 0; d < v.ndim && v.numel > 0; ++d) last += (v.shape[d] - 1) * v.strides[d];
    return static_cast<size_t>(last * isa::item_size(dtype));
  }
  int64_t offset(int64_t i) const {
    int64_t at = 0;
    for (int d = view.ndim - 1; d >= 0; --d) {
      at += i % view.shape[d] * view.strides[d];
      i /= view.shape[d];
    }
    return at;
  }
  double get(int64_t i) const {
    const int64_t at = offset(i);
    switch (view.dtype) {
      case kFloat32:
        return reinterpret_cast<float*>(view.data)[at];
      case kFloat64:
        return reinterpret_cast<double*>(view.data)[at];
      case kInt32:
        return reinterpret_cast<int32_t*>(view.data)[at];
      default:
        return reinterpret_cast<uint8_t*>(view.data)[at];
    }
  }
  void set(int64_t i, double x) {
    const int64_t at = offset(i);
    switch (view.dtype) {
      case kFloat32:
        reinterpret_cast<float*>(view.data)[at] = static_cast<float>(x);
        break;
      case kFloat64:
        reinterpret_cast<double*>(view.data)[at] = x;
        break;
      case kInt32:
        reinterpret_cast<int32_t*>(view.data)[at] = static_cast<int32_t>(x);
        break;
      default:
        reinterpret_cast<uint8_t*>(view.data)[at] = static_cast<uint8_t>(x);
        break;
    }
  }
  Array& fill(const Doubles& values) {
    for (int64_t i = 0; i < view.numel; ++i) set(i, values[static_cast<size_t>(i)]);
    return *this;
  }
  Doubles values() const {
    Doubles r(static_cast<size_t>(view.numel));
    for (int64_t i = 0; i < view.numel; ++i) r[static_cast<size_t>(i)] = get(i);
    return r;
  }
};

using Arrays = std::vector<Array*>;

// Runs the kernel with 1, 2 and 3 threads from the same outputs; the bits must agree.
Status run(const char* what, Kernel kernel, const Arrays& in, const Arrays& out, const Doubles& params) {
  static TestPool pools[] = {TestPool(1), TestPool(2), TestPool(3)};
  std::vector<View> ins;
  std::vector<View> outs;
  std::vector<std::vector<char>> before;
  std::vector<std::vector<char>> first;
  View none{};
  none.ndim = -1;
  for (Array* a : in) ins.push_back(a != nullptr ? a->view : none);
  for (Array* a : out) {
    outs.push_back(a->view);
    before.emplace_back(a->memory.data, a->memory.data + a->bytes);
  }
  Status status = kOk;
  for (int t = 0; t < 3; ++t) {
    for (size_t i = 0; i < out.size() && t > 0; ++i) {
      if (out[i]->bytes > 0) memcpy(out[i]->memory.data, before[i].data(), out[i]->bytes);
    }
    const Call c{ins.data(),
                 outs.data(),
                 params.data(),
                 &pools[t].pool,
                 static_cast<int32_t>(in.size()),
                 static_cast<int32_t>(out.size()),
                 static_cast<int32_t>(params.size())};
    status = kernel(c);
    for (size_t i = 0; i < out.size(); ++i) {
      const std::vector<char> now(out[i]->memory.data, out[i]->memory.data + out[i]->bytes);
      if (t == 0) {
        first.push_back(now);
      } else {
        expect(now == first[i], what, "differs between numbers of threads");
      }
    }
  }
  return status;
}

// Relative to the magnitude of the reference plus `scale`; NaN and infinities must match.
void compare(const char* what, const Doubles& got, const Doubles& want, double tolerance, double scale = 1e-30) {
  char detail[160] = "";
  bool ok = got.size() == want.size();
  for (size_t i = 0; ok && i < got.size(); ++i) {
    const double g = got[i];
    const double w = want[i];
    ok = isnan(w) ? isnan(g) : isinf(w) ? g == w : fabs(g - w) <= tolerance * (fabs(w) + scale);
    if (!ok) snprintf(detail, sizeof(detail), "at %zu of %zu: expected %.17g, got %.17g", i, got.size(), w, g);
  }
  expect(ok, what, detail);
}

uint64_t test_state = 88172645463325252ull;
double noise() {  // in [-1, 1)
  test_state ^= test_state << 13;
  test_state ^= test_state >> 7;
  test_state ^= test_state << 17;
  return static_cast<double>(static_cast<int64_t>(test_state >> 11)) * 0x1p-52 - 1;
}
Doubles random_values(int64_t n, double scale, DType dtype) {
  Doubles r(static_cast<size_t>(n));
  for (double& x : r) {
    x = noise() * scale;
    if (dtype == kFloat32) x = static_cast<float>(x);
  }
  return r;
}

const DType kFloats[] = {kFloat32, kFloat64};
const Layout kLayouts[] = {kPacked, kGaps, kReversed};

#define MYELIN_TEXT_OF(x) #x
#define MYELIN_TEXT(x) MYELIN_TEXT_OF(x)

// False where this machine cannot run the instruction set the program was compiled for.
inline bool machine_can_run() {
#if defined(__AVX512F__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#elif defined(__AVX2__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return true;
#endif
}

// Runs the tests and prints the outcome; the exit status: 77 when skipped.
inline int run_tests(std::initializer_list<void (*)()> tests) {
  const char* name = MYELIN_TEXT(MYELIN_ISA);
  if (!machine_can_run()) {
    printf("SKIPPED: this machine lacks %s\n", name);
    return 77;
  }
  for (void (*test)() : tests) test();
  printf("%s: %d passed, %d failed\n", name, passed, failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace
