// What the machine can do: single-precision fused multiply-adds a second with every thread busy and nothing touching memory, and the
// bytes a second that move when every thread reads, writes, copies, adds or updates arrays, in cache and beyond it.
//   g++ -std=c++17 -O2 -march=native -ffp-contract=fast -pthread bench/probe.cc -o probe
//   ./probe THREADS CACHE_BYTES RUNS
// prints {"gflops":F,"gbs":{"cache":B,"memory":B,"read":B,"copy":B,"write":B}}, the last three beyond the cache, "copy" also where two
// arrays are added into a third, "memory" the best of all: the best of so many short runs, all threads started together.
//   ./probe THREADS 0 RUNS MS
// prints {"gflops":F}: the best of so many runs of so many milliseconds.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
using Vec = float __attribute__((vector_size(kBytes)));
constexpr long kLanes = kBytes / sizeof(float);
// Latency times throughput: at least 4 cycles on 2 units need 8 independent chains.
constexpr int kChains = 12;
constexpr long kRounds = 4'000'000;

static float fma_loop(float seed, long rounds) {
  Vec acc[kChains];
  for (int i = 0; i < kChains; ++i) acc[i] = Vec{} + (seed + static_cast<float>(i));
  Vec scale = Vec{} + 0.999f, shift = Vec{} + seed;
  for (long r = 0; r < rounds; ++r) {
    // Opaque to the compiler, so that rounds are neither merged nor hoisted.
    asm volatile("" : "+x"(scale), "+x"(shift));
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) acc[i] = acc[i] * scale + shift;
  }
  Vec sum{};
  for (int i = 0; i < kChains; ++i) sum += acc[i];
  return sum[0];
}

// Past the cache when the array does not fit: a plain store would read the line first.
static void store(Vec* to, Vec value, bool stream) {
#if defined(__SSE__)
  if (stream) {
#if defined(__AVX512F__)
    __builtin_ia32_movntps512(reinterpret_cast<float*>(to), value);
#elif defined(__AVX__)
    __builtin_ia32_movntps256(reinterpret_cast<float*>(to), value);
#else
    __builtin_ia32_movntps(reinterpret_cast<float*>(to), value);
#endif
    return;
  }
#else
  (void)stream;
#endif
  *to = value;
}

// Adds n vectors into `sum`: from one place after another, or from four places in turn, of which a core keeps more lines in flight.
static void read_loop(const Vec* x, long n, bool places, Vec* sum) {
  Vec s[4] = {};
  const long turn = 512 / kBytes, part = n / 4 / turn * turn;
  const auto take = [&s](const Vec* from) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) s[k] += from[k];
  };
  if (places) {
    for (long from = 0; from < part; from += turn)
      for (int j = 0; j < 4; ++j)
        for (long i = 0; i < turn; i += 4) take(x + j * part + from + i);
  } else {
    for (long i = 0; i + 4 <= n; i += 4) take(x + i);
  }
  *sum = s[0] + s[1] + s[2] + s[3];
}

static void write_loop(Vec* y, long n, bool stream) {
  for (long i = 0; i < n; ++i) store(y + i, Vec{} + 1.0f, stream);
}

// y = x + z, all of n vectors.
static void add_loop(const Vec* x, const Vec* z, Vec* y, long n, bool stream) {
  for (long i = 0; i < n; ++i) store(y + i, x[i] + z[i], stream);
}

static void copy_loop(const Vec* x, Vec* y, long n, bool stream) {
  for (long i = 0; i < n; ++i) store(y + i, x[i], stream);
}

// x += z and y += z: what an optimizer does, where lines are written to where they were read.
static void update_loop(Vec* x, Vec* y, const Vec* z, long n) {
  for (long i = 0; i < n; ++i) {
    x[i] += z[i];
    y[i] += z[i];
  }
}

// Seconds until every thread has run `work(thread)`, begun together.
static double together(int threads, const std::function<void(int)>& work) {
  std::atomic<int> ready{0};
  std::vector<std::chrono::steady_clock::time_point> from(static_cast<size_t>(threads)), to(from);
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; ++t) {
    pool.emplace_back([&, t] {
      ready.fetch_add(1);
      while (ready.load() < threads) {
      }
      from[static_cast<size_t>(t)] = std::chrono::steady_clock::now();
      work(t);
      to[static_cast<size_t>(t)] = std::chrono::steady_clock::now();
    });
  }
  for (std::thread& thread : pool) thread.join();
  auto first = from[0], last = to[0];
  for (auto time : from) first = time < first ? time : first;
  for (auto time : to) last = time > last ? time : last;
  return std::chrono::duration<double>(last - first).count();
}

// GB/s of each kind of traffic.
struct Bandwidth {
  double read = 0, copy = 0, write = 0, update = 0;
  double best() const { return std::max({read, copy, write, update}); }
};

// The best of so many runs over arrays of `bytes` in all, each repeated until `volume` bytes have moved; updates beyond the cache alone.
static Bandwidth bandwidth(int threads, long bytes, double volume, int runs, bool stream) {
  const long n = bytes / 3 / threads / kBytes;  // vectors an array and thread
  const size_t size = static_cast<size_t>(3 * n * threads * kBytes);
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return {};
#if defined(MADV_HUGEPAGE)
  madvise(memory, size, MADV_HUGEPAGE);
#endif
  Vec* base = static_cast<Vec*>(memory);
  std::vector<Vec> sums(static_cast<size_t>(threads) * 8);
  const auto array = [&](int t, int which) { return base + (t * 3 + which) * n; };
  together(threads, [&](int t) {
    for (long i = 0; i < 3 * n; ++i) array(t, 0)[i] = Vec{} + 1.0f;
  });
  Bandwidth best;
  const auto measure = [&](double& to, int arrays, const std::function<void(int)>& once) {
    const double moved = static_cast<double>(arrays) * static_cast<double>(n) * threads * kBytes;
    const long repeats = moved < volume ? static_cast<long>(volume / moved) : 1;
    const double s = together(threads, [&](int t) {
      for (long r = 0; r < repeats; ++r) once(t);
    });
    const double rate = moved * static_cast<double>(repeats) / s * 1e-9;
    to = std::max(to, rate);
  };
  for (int run = 0; run < runs; ++run) {
    for (const bool places : {false, true}) {
      measure(best.read, 1, [&](int t) {
        read_loop(array(t, 0), n, places, &sums[static_cast<size_t>(t) * 8]);
        asm volatile("" ::: "memory");
      });
    }
    measure(best.copy, 2, [&](int t) { copy_loop(array(t, 0), array(t, 1), n, stream); });
    measure(best.copy, 3, [&](int t) { add_loop(array(t, 0), array(t, 1), array(t, 2), n, stream); });
    if (stream) measure(best.write, 1, [&](int t) { write_loop(array(t, 2), n, stream); });
    if (stream) measure(best.update, 5, [&](int t) { update_loop(array(t, 0), array(t, 1), array(t, 2), n); });
  }
  munmap(memory, size);
  return best;
}

// The best rate of multiply-adds over `runs` runs, in GFLOP/s.
static double arithmetic(int threads, int runs, long rounds) {
  double best = 0;
  for (int run = 0; run < runs; ++run) {
    volatile float sink = 0;
    const double s = together(threads, [&](int t) { sink = fma_loop(static_cast<float>(t) * 1e-3f, rounds); });
    const double rate = 2.0 * kLanes * kChains * static_cast<double>(rounds) * threads / s * 1e-9;
    best = rate > best ? rate : best;
  }
  return best;
}

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  const long cache = argc > 2 ? std::atol(argv[2]) : 8L << 20;
  const int runs = argc > 3 ? std::atoi(argv[3]) : 6;
  const double ms = argc > 4 ? std::atof(argv[4]) : 0;
  if (threads < 1 || threads > 1024 || runs < 1) return 2;
  if (ms > 0) {
    // A short run tells how long a round takes.
    const double rate = arithmetic(threads, 3, kRounds / 8) / threads;
    const double rounds = ms * 1e6 * rate / (2.0 * kLanes * kChains);
    std::printf("{\"gflops\":%.1f}\n", arithmetic(threads, runs, static_cast<long>(rounds) + 1));
    return 0;
  }
  if (cache < 1 << 16) return 2;
  const double gflops = arithmetic(threads, runs, kRounds);
  const double in_cache = bandwidth(threads, cache / 4, 5e8, runs, false).best();
  const Bandwidth far = bandwidth(threads, 192L << 20, 0, runs, true);
  std::printf("{\"gflops\":%.1f,\"gbs\":{\"cache\":%.1f,\"memory\":%.1f,\"read\":%.1f,\"copy\":%.1f,\"write\":%.1f}}\n",
              gflops, in_cache, far.best(), far.read, far.copy, far.write);
}
