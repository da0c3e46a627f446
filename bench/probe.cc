// The machine's ceiling: single-precision fused multiply-adds a second with every thread busy, nothing touching memory.
//   g++ -std=c++17 -O2 -march=native -ffp-contract=fast -pthread bench/probe.cc -o probe && ./probe THREADS
// Prints {"threads":N,"gflops":F}: the best of several short runs, all threads started together.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
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
constexpr int kLanes = kBytes / sizeof(float);
// Latency times throughput: at least 4 cycles on 2 units need 8 independent chains.
constexpr int kChains = 12;
constexpr long kRounds = 4'000'000;

static float fma_loop(float seed) {
  Vec acc[kChains];
  for (int i = 0; i < kChains; ++i) acc[i] = Vec{} + (seed + static_cast<float>(i));
  Vec scale = Vec{} + 0.999f, shift = Vec{} + seed;
  for (long r = 0; r < kRounds; ++r) {
    // Opaque to the compiler, so that rounds are neither merged nor hoisted.
    asm volatile("" : "+x"(scale), "+x"(shift));
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) acc[i] = acc[i] * scale + shift;
  }
  Vec sum{};
  for (int i = 0; i < kChains; ++i) sum += acc[i];
  return sum[0];
}

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  if (threads < 1 || threads > 1024) return 2;
  double best = 0;
  for (int run = 0; run < 6; ++run) {
    std::atomic<int> ready{0};
    std::vector<double> gflops(static_cast<size_t>(threads));
    std::vector<std::thread> pool;
    for (int t = 0; t < threads; ++t) {
      pool.emplace_back([&, t] {
        ready.fetch_add(1);
        while (ready.load() < threads) {
        }
        const auto start = std::chrono::steady_clock::now();
        volatile float sink = fma_loop(static_cast<float>(t) * 1e-3f);
        (void)sink;
        const std::chrono::duration<double> s = std::chrono::steady_clock::now() - start;
        gflops[static_cast<size_t>(t)] = 2.0 * kLanes * kChains * kRounds / s.count() * 1e-9;
      });
    }
    double total = 0;
    for (std::thread& thread : pool) thread.join();
    for (double g : gflops) total += g;
    if (total > best) best = total;
  }
  std::printf("{\"threads\":%d,\"gflops\":%.1f}\n", threads, best);
}
