// matmul against a plain sum in double (long double for float64): random shapes, strides, transposes, broadcast batches and
// epilogues, each on 1, 2 and 3 threads with equal bits. Every operand ends at a page that may not be touched.
// Link with kernels/matmul.cc compiled for one instruction set; define MYELIN_ISA likewise. An argument scales the number
// of cases in percent.
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../native/kernels/call.h"

namespace myelin {
namespace MYELIN_ISA {
Status matmul(const Call& c);
}
}  // namespace myelin

namespace {

using namespace myelin;

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

bool supported() {
#if defined(__x86_64__)
  const char* const isa = TEXT(MYELIN_ISA);
  __builtin_cpu_init();
  if (strcmp(isa, "avx2") == 0) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (strcmp(isa, "avx512") == 0) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  }
#endif
  return true;
}

uint64_t random_state = 88172645463325252u;
uint64_t random_bits() {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}
int64_t below(int64_t n) { return static_cast<int64_t>(random_bits() >> 11) % n; }
double uniform() { return static_cast<double>(random_bits() >> 11) * 0x1p-52 - 1.0; }

// A pool of up to three threads with its own scratch. It hands out chunks in a different order from call to call.
struct TestPool {
  static constexpr int kMost = 3;
  Pool pool;
  void* blocks[kMost + 1] = {};
  size_t sizes[kMost + 1] = {};
  bool starve = false;
  pthread_t threads[kMost];
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t wake = PTHREAD_COND_INITIALIZER, done = PTHREAD_COND_INITIALIZER;
  int64_t job = 0, next = 0, n = 0, grain = 1;
  int running = 0;
  void (*fn)(void*, int64_t, int64_t, int) = nullptr;
  void* ctx = nullptr;

  struct Start {
    TestPool* self;
    int worker;
  } starts[kMost];

  void work(int worker) {
    for (;;) {
      const int64_t begin = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) * grain;
      if (begin >= n) return;
      fn(ctx, begin, n - begin < grain ? n : begin + grain, worker);
    }
  }
  static void* body(void* argument) {
    const Start start = *static_cast<Start*>(argument);
    TestPool& self = *start.self;
    int64_t seen = 0;
    for (;;) {
      pthread_mutex_lock(&self.mutex);
      while (self.job == seen) pthread_cond_wait(&self.wake, &self.mutex);
      seen = self.job;
      const bool mine = start.worker < self.pool.threads;
      pthread_mutex_unlock(&self.mutex);
      if (mine) self.work(start.worker);
      pthread_mutex_lock(&self.mutex);
      if (--self.running == 0) pthread_cond_signal(&self.done);
      pthread_mutex_unlock(&self.mutex);
    }
  }
  TestPool() {
    pool.self = this;
    pool.threads = 1;
    pool.run = [](void* self, int64_t n, int64_t grain, void (*fn)(void*, int64_t, int64_t, int), void* ctx) {
      TestPool& p = *static_cast<TestPool*>(self);
      p.n = n, p.grain = grain, p.fn = fn, p.ctx = ctx, p.next = 0;
      if (p.pool.threads == 1) return p.work(0);
      pthread_mutex_lock(&p.mutex);
      p.job++;
      p.running = kMost - 1;
      pthread_cond_broadcast(&p.wake);
      pthread_mutex_unlock(&p.mutex);
      p.work(0);
      pthread_mutex_lock(&p.mutex);
      while (p.running > 0) pthread_cond_wait(&p.done, &p.mutex);
      pthread_mutex_unlock(&p.mutex);
    };
    pool.scratch = [](void* self, int worker, size_t bytes) -> void* {
      TestPool& p = *static_cast<TestPool*>(self);
      if (p.starve) return nullptr;
      void*& block = p.blocks[worker + 1];
      if (p.sizes[worker + 1] < bytes) {
        free(block);
        p.sizes[worker + 1] = (bytes + 63) / 64 * 64;
        block = aligned_alloc(64, p.sizes[worker + 1]);
      }
      memset(block, 0xff, bytes < 65536 ? bytes : 65536);  // NaN, so that reading what was not written shows
      return block;
    };
    for (int i = 1; i < kMost; i++) {
      starts[i] = {this, i};
      pthread_create(&threads[i], nullptr, body, &starts[i]);
    }
  }
};
TestPool& test_pool() {
  static TestPool* const pool = new TestPool();
  return *pool;
}

int passed = 0, failed = 0;
void report(bool ok, const char* what, const char* detail) {
  if (ok) {
    passed++;
  } else if (failed++ < 20) {
    printf("FAILED %s: %s\n", what, detail);
  }
}

// Memory whose last byte is followed by an inaccessible page; kept and reused.
struct Guarded {
  unsigned char* end = nullptr;
  size_t capacity = 0;
  template <class T>
  T* take(int64_t count) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t bytes = static_cast<size_t>(count) * sizeof(T);
    if (bytes > capacity || !end) {
      if (end) munmap(end - capacity, capacity + page);
      capacity = (bytes + (1 << 20)) / page * page;
      auto* base = static_cast<unsigned char*>(
          mmap(nullptr, capacity + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
      if (base == MAP_FAILED) abort();
      end = base + capacity;
      mprotect(end, page, PROT_NONE);
    }
    return reinterpret_cast<T*>(end - bytes);
  }
};

template <class T>
struct TypeOf;
template <>
struct TypeOf<float> {
  static constexpr DType dtype = kFloat32;
  using Wide = double;
  static constexpr double eps = 0x1p-24;
};
template <>
struct TypeOf<double> {
  static constexpr DType dtype = kFloat64;
  using Wide = long double;
  static constexpr double eps = 0x1p-53;
};

template <class W>
W activate(int activation, W x) {
  switch (activation) {
    case 1:
      return x > 0 || x != x ? x : 0;
    case 2:
      return tanhl(x);
    case 3:
      return 1 / (1 + expl(-x));
    case 4:
      return x * erfcl(-x * sqrtl(0.5L)) / 2;
    case 5:
      return x / 2 * (1 + tanhl(0.797884560802865355879892119869L * (x + 0.044715L * x * x * x)));
    default:
      return x;
  }
}

struct Case {
  int64_t m, n, k;
  int batch_dims;
  int64_t batch[3];
  bool share_a[3], share_b[3];
  int a_layout, b_layout,
      out_layout;  // 0 rows, 1 columns, 2 rows with a gap, 3 both strides wide, 4 stride 0 along k, 5 all 0
  bool bias;
  int bias_stride;
  int activation;
  double beta;
  int64_t samples;  // how many results to check; 0: all
};

// Fills in strides for a (batch…, rows, columns) operand; returns the elements it spans.
int64_t lay_out(View* v, const Case& c, int64_t rows, int64_t columns, int layout, const bool* share) {
  v->ndim = c.batch_dims + 2;
  int64_t* const s = v->strides + c.batch_dims;
  int64_t* const shape = v->shape;
  for (int i = 0; i < c.batch_dims; i++) shape[i] = c.batch[i];
  shape[c.batch_dims] = rows, shape[c.batch_dims + 1] = columns;
  const int64_t gap = below(5);
  if (layout == 1)
    s[0] = 1, s[1] = rows + gap;
  else if (layout == 3)
    s[1] = 2 + below(2), s[0] = columns * s[1] + gap;
  else if (layout == 4)
    s[0] = 0, s[1] = 1;
  else if (layout == 5)
    s[0] = s[1] = 0;
  else
    s[1] = 1, s[0] = columns + (layout == 2 ? gap + 1 : 0);
  int64_t span = layout == 1 ? columns * s[1] : layout == 4 ? columns : layout == 5 ? 1 : rows * s[0];
  if (rows == 0 || columns == 0) span = 0;
  const int64_t extra = below(3) == 0 ? below(7) : 0;
  for (int i = c.batch_dims - 1; i >= 0; i--) {
    v->strides[i] = share && share[i] ? 0 : span + extra;
    if (!(share && share[i])) span = (span + extra) * c.batch[i];
  }
  v->numel = rows * columns;
  int64_t last = (rows > 0 ? (rows - 1) * s[0] : 0) + (columns > 0 ? (columns - 1) * s[1] : 0);
  for (int i = 0; i < c.batch_dims; i++) {
    v->numel *= shape[i];
    last += (shape[i] - 1) * v->strides[i];
  }
  v->contiguous = false;
  return v->numel == 0 ? 0 : last + 1;
}

template <class T>
void run_case(const Case& c) {
  using W = typename TypeOf<T>::Wide;
  static Guarded memory[5];
  TestPool& pool = test_pool();
  char text[256];
  snprintf(text, sizeof text, "%s %lldx%lldx%lld batch %d (%lld %lld %lld) a%d b%d out%d bias %d act %d beta %g",
           sizeof(T) == 4 ? "f32" : "f64", static_cast<long long>(c.m), static_cast<long long>(c.n),
           static_cast<long long>(c.k), c.batch_dims, static_cast<long long>(c.batch[0]),
           static_cast<long long>(c.batch[1]), static_cast<long long>(c.batch[2]), c.a_layout, c.b_layout, c.out_layout,
           c.bias, c.activation, c.beta);
  View in[3] = {}, out = {};
  const int64_t a_size = lay_out(&in[0], c, c.m, c.k, c.a_layout, c.share_a);
  const int64_t b_size = lay_out(&in[1], c, c.k, c.n, c.b_layout, c.share_b);
  const int64_t out_size = lay_out(&out, c, c.m, c.n, c.out_layout, nullptr);
  T* const a = memory[0].take<T>(a_size);
  T* const b = memory[1].take<T>(b_size);
  for (int64_t i = 0; i < a_size; i++) a[i] = static_cast<T>(uniform());
  for (int64_t i = 0; i < b_size; i++) b[i] = static_cast<T>(uniform());
  in[0].data = a, in[0].dtype = TypeOf<T>::dtype;
  in[1].data = b, in[1].dtype = TypeOf<T>::dtype;
  T* bias = nullptr;
  in[2].ndim = -1;
  if (c.bias) {
    const int64_t size = c.n == 0 ? 0 : (c.n - 1) * c.bias_stride + 1;
    bias = memory[2].take<T>(size);
    for (int64_t i = 0; i < size; i++) bias[i] = static_cast<T>(uniform());
    in[2].data = bias, in[2].ndim = 1, in[2].shape[0] = in[2].numel = c.n, in[2].strides[0] = c.bias_stride;
    in[2].dtype = TypeOf<T>::dtype;
  }
  T* const before = memory[3].take<T>(out_size);
  T* const result = memory[4].take<T>(out_size);
  for (int64_t i = 0; i < out_size; i++) before[i] = static_cast<T>(c.beta == 0 ? NAN : uniform());
  out.data = result, out.dtype = TypeOf<T>::dtype;
  const double params[2] = {static_cast<double>(c.activation), c.beta};
  const Call call = {in, &out, params, &pool.pool, c.bias || below(2) ? 3 : 2, 1, 2};

  T* first = nullptr;
  for (int threads = 1; threads <= 3; threads++) {
    memcpy(result, before, static_cast<size_t>(out_size) * sizeof(T));
    pool.pool.threads = threads;
    const Status status = MYELIN_ISA::matmul(call);
    if (status != kOk) return report(false, text, "status is not 0");
    const size_t bytes = static_cast<size_t>(out_size) * sizeof(T);
    if (threads == 1) {
      first = static_cast<T*>(malloc(bytes + 1));
      memcpy(first, result, bytes);
    } else if (memcmp(first, result, bytes) != 0) {
      free(first);
      return report(false, text, "bits depend on the number of threads");
    }
  }
  // Each result, and that nothing between them was written.
  unsigned char* const seen = static_cast<unsigned char*>(calloc(static_cast<size_t>(out_size) + 1, 1));
  double error2 = 0, norm2 = 0;
  bool close = true;
  const int64_t checks = c.samples ? c.samples : out.numel;
  for (int64_t s = 0; s < checks; s++) {
    int64_t rest = c.samples ? below(out.numel) : s, at[3] = {0, 0, 0}, index[kMaxDims];
    for (int d = out.ndim - 1; d >= 0; d--) {
      index[d] = rest % out.shape[d];
      rest /= out.shape[d];
    }
    for (int d = 0; d < out.ndim; d++) {
      at[2] += index[d] * out.strides[d];
      if (d < c.batch_dims) {
        at[0] += index[d] * in[0].strides[d];
        at[1] += index[d] * in[1].strides[d];
      }
    }
    const int d = c.batch_dims;
    const int64_t i = index[d], j = index[d + 1];
    W sum = 0;
    double magnitude = 0;
    for (int64_t k = 0; k < c.k; k++) {
      const W term = static_cast<W>(a[at[0] + i * in[0].strides[d] + k * in[0].strides[d + 1]]) *
                     static_cast<W>(b[at[1] + k * in[1].strides[d] + j * in[1].strides[d + 1]]);
      sum += term;
      magnitude += fabs(static_cast<double>(term));
    }
    if (bias) sum += bias[j * c.bias_stride];
    if (c.beta != 0) sum += static_cast<W>(static_cast<T>(c.beta)) * before[at[2]];
    magnitude += 3;
    const W expected = activate<W>(c.activation, sum);
    const double error = fabs(static_cast<double>(static_cast<W>(first[at[2]]) - expected));
    if (!(error <= TypeOf<T>::eps * magnitude * 1.2 * (12 + sqrt(static_cast<double>(c.k))))) close = false;
    error2 += error * error;
    norm2 += static_cast<double>(expected) * static_cast<double>(expected);
    seen[at[2]] = 1;
  }
  bool gaps = true;
  if (!c.samples) {
    for (int64_t i = 0; i < out_size; i++) {
      if (!seen[i] && memcmp(&first[i], &before[i], sizeof(T)) != 0) gaps = false;
    }
  }
  free(first);
  free(seen);
  report(close, text, "a result is off");
  report(gaps, text, "wrote between the results");
  if (sizeof(T) == 4 && norm2 > 1 && c.activation == 0)
    report(sqrt(error2 / norm2) <= 1e-6, text, "error norm above 1e-6");
}

Case plain(int64_t m, int64_t n, int64_t k, int a_layout, int b_layout) {
  Case c = {};
  c.m = m, c.n = n, c.k = k, c.a_layout = a_layout, c.b_layout = b_layout, c.bias_stride = 1;
  return c;
}

int64_t random_size() {
  const int64_t kind = below(8);
  return kind == 0 ? below(4) : kind < 4 ? 1 + below(20) : below(131);
}

Case random_case() {
  Case c = plain(random_size(), random_size(), random_size(), 0, 0);
  c.a_layout = static_cast<int>(below(10) == 0 ? below(6) : below(4));
  c.b_layout = static_cast<int>(below(10) == 0 ? below(6) : below(4));
  c.out_layout = static_cast<int>(below(3) == 0 ? below(4) : 0);
  if (below(3) == 0) {
    c.batch_dims = static_cast<int>(1 + below(3));
    const bool none = below(2) == 0;
    for (int i = 0; i < c.batch_dims; i++) {
      c.batch[i] = below(20) == 0 ? 0 : 1 + below(4);
      c.share_a[i] = below(3) == 0;
      c.share_b[i] = none || below(3) == 0;
    }
    if (c.batch_dims == 3) c.m = c.m < 20 ? c.m : 20, c.n = c.n < 40 ? c.n : 40;
  }
  c.bias = below(2) == 0;
  c.bias_stride = below(4) == 0 ? static_cast<int>(below(3)) : 1;
  c.activation = static_cast<int>(below(2) == 0 ? 0 : below(6));
  c.beta = below(2) == 0 ? 0 : below(2) == 0 ? 1 : uniform();
  return c;
}

// 0 · inf is NaN and stays so; without depth only the epilogue is left; scratch that cannot be had is an error.
template <class T>
void special_cases() {
  TestPool& pool = test_pool();
  T a[40], b[40 * 20], out[20];
  for (T& x : a) x = 0;
  for (T& x : b) x = 1;
  b[7 * 20 + 3] = static_cast<T>(INFINITY);
  b[9 * 20 + 5] = static_cast<T>(NAN);
  View in[2] = {}, result = {};
  in[0] = {a, 40, {1, 40}, {40, 1}, 2, TypeOf<T>::dtype, true};
  in[1] = {b, 800, {40, 20}, {20, 1}, 2, TypeOf<T>::dtype, true};
  result = {out, 20, {1, 20}, {20, 1}, 2, TypeOf<T>::dtype, true};
  double params[2] = {0, 0};
  Call call = {in, &result, params, &pool.pool, 2, 1, 2};
  report(MYELIN_ISA::matmul(call) == kOk && out[3] != out[3] && out[5] != out[5] && out[4] == 0, "special",
         "NaN is lost");
  params[0] = 1;
  report(MYELIN_ISA::matmul(call) == kOk && out[3] != out[3] && out[4] == 0, "special", "relu loses NaN");
  params[0] = 6;
  report(MYELIN_ISA::matmul(call) == kBadParameter, "special", "activation 6");
  params[0] = NAN;
  report(MYELIN_ISA::matmul(call) == kBadParameter, "special", "activation NaN");
  params[0] = 0;
  in[1].shape[0] = 39;
  report(MYELIN_ISA::matmul(call) == kBadShape, "special", "inner sizes differ");
  in[1].shape[0] = 40;
  in[1].dtype = kInt32;
  report(MYELIN_ISA::matmul(call) == kBadDType, "special", "int32");
  Case c = plain(300, 300, 300, 0, 1);
  T* big = static_cast<T*>(calloc(300 * 300, sizeof(T)));
  T* target = static_cast<T*>(calloc(300 * 300, sizeof(T)));
  lay_out(&in[0], c, 300, 300, 0, nullptr);
  in[1] = in[0];
  result = in[0];
  in[0].data = in[1].data = big, result.data = target;
  in[0].dtype = in[1].dtype = result.dtype = TypeOf<T>::dtype;
  pool.starve = true;
  report(MYELIN_ISA::matmul(call) == kOutOfMemory, "special", "no scratch");
  pool.starve = false;
  free(big);
  free(target);
}

template <class T>
void run_all(int percent) {
  special_cases<T>();
  for (int i = 0; i < 12 * percent; i++) run_case<T>(random_case());
  for (int64_t m = 0; m <= 18; m += percent < 50 ? 3 : 1) {
    for (int64_t n = 0; n <= 35; n += percent < 50 ? 5 : 1) {
      Case c = plain(m, n, m + n, static_cast<int>(m % 3), static_cast<int>(n % 3));
      c.bias = true;
      run_case<T>(c);
    }
  }
  for (int i = 0; i < (percent < 50 ? 2 : 4); i++) {
    const int ta = i & 1, tb = (i + 1) >> 1 & 1;
    Case c = plain(301, 203, 901, ta, tb);
    if (percent < 50) c.samples = 500;
    run_case<T>(c);
    c.bias = true, c.activation = 1 + i, c.beta = 0.5;
    run_case<T>(c);
    c = plain(64, 200, 784, ta, tb);
    c.bias = true;
    if (percent < 50) c.samples = 500;
    run_case<T>(c);
    c = plain(520, 500, 300, ta, tb);  // threads share columns of tasks, and parts of their panels at the end
    c.samples = 500;
    run_case<T>(c);
    run_case<T>(plain(1, 1500, 1030, ta, tb));
    run_case<T>(plain(1500, 1, 1030, ta, tb));
    run_case<T>(plain(700, 10, 500, ta, tb));
    run_case<T>(plain(3, 700, 500, ta, tb));
    c = plain(100, 150, 120, ta, tb);
    c.batch_dims = 2, c.batch[0] = 3, c.batch[1] = 2, c.share_b[1] = true;
    run_case<T>(c);
  }
  if (percent < 50) return;
  Case c = plain(2, 3, 1100000, 0, 0);
  c.bias = true, c.activation = 1, c.beta = 1;
  run_case<T>(c);
  c.b_layout = 1;
  run_case<T>(c);
  c = plain(260, 1300, 14000, 0, 1);
  c.samples = 300, c.bias = true;
  run_case<T>(c);
  c = plain(1300, 260, 14000, 1, 0);
  c.samples = 300, c.bias = true;
  run_case<T>(c);
}

}  // namespace

int main(int argc, char** argv) {
  if (!supported()) {
    printf("SKIPPED: this CPU lacks " TEXT(MYELIN_ISA) "\n0 passed, 0 failed\n");
    return 0;
  }
  const int percent = argc > 1 ? atoi(argv[1]) : 100;
  run_all<float>(percent);
  run_all<double>(percent);
  printf("matmul (" TEXT(MYELIN_ISA) "): %d passed, %d failed\n", passed, failed);
  return failed != 0;
}
