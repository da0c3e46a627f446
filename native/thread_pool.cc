#include "thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <system_error>

#include "allocator.h"
#include "cpu.h"

namespace myelin {
namespace {

constexpr int64_t kSpinNanoseconds = 100000;

constexpr uint64_t kActive = 0xffff;
constexpr uint64_t kOpen = uint64_t{1} << 16;
constexpr int kWorkersShift = 20;
constexpr int kNumberShift = 36;

// The CPU that this thread is on; -1 where that is not known.
int current_cpu() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

// Keeps a helper off the CPU of the thread that it helps. Schedulers like to wake a thread where its waker runs, and leave it
// there for as long as it sleeps often, with other CPUs idle.
class Elsewhere {
 public:
  void move(int cpu) {
#if defined(__linux__)
    if (cpu < 0 || cpu >= CPU_SETSIZE || current_cpu() != cpu) return;
    cpu_set_t now;
    if (sched_getaffinity(0, sizeof now, &now) != 0) return;
    // Other than what was set here: somebody else decided anew where this thread may run.
    if (!moved_ || !CPU_EQUAL(&now, &chosen_)) allowed_ = now;
    chosen_ = allowed_;
    CPU_CLR(cpu, &chosen_);
    moved_ = CPU_COUNT(&chosen_) > 0 && sched_setaffinity(0, sizeof chosen_, &chosen_) == 0;
#else
    (void)cpu;
#endif
  }

#if defined(__linux__)
 private:
  bool moved_ = false;
  cpu_set_t allowed_, chosen_;
#endif
};

uint64_t number_of(uint64_t state) { return state >> kNumberShift; }
int workers_of(uint64_t state) { return static_cast<int>((state >> kWorkersShift) & 0xffff); }

}  // namespace

bool start_thread(std::thread* thread, void (*body)(void*), void* argument) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  const bool masked = pthread_sigmask(SIG_SETMASK, &all, &before) == 0;
  bool started = true;
  try {
    *thread = std::thread(body, argument);
  } catch (const std::system_error&) {
    started = false;
  } catch (const std::bad_alloc&) {
    started = false;
  }
  if (masked) pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

void spin_briefly(int64_t nanoseconds, bool (*done)(void*), void* argument) {
  const auto start = std::chrono::steady_clock::now();
  do {
    for (int i = 0; i < 32; ++i) {
      if (done(argument)) return;
      spin_pause();
    }
    sched_yield();
  } while (std::chrono::steady_clock::now() - start < std::chrono::nanoseconds(nanoseconds));
}

ThreadPool::ThreadPool() : threads_(std::min(usable_cores(), kMaxThreads)) {}

ThreadPool& ThreadPool::get() {
  static ThreadPool* const instance = new ThreadPool();
  return *instance;
}

void ThreadPool::start_helpers(int count) {
  struct Start {
    ThreadPool* pool;
    int worker;
  };
  while (helpers_ < count && !failed_) {
    Start* start = new (std::nothrow) Start{this, helpers_ + 1};
    std::thread thread;
    const auto body = [](void* argument) {
      const Start own = *static_cast<Start*>(argument);
      delete static_cast<Start*>(argument);
      own.pool->helper(own.worker);
    };
    if (start == nullptr || !start_thread(&thread, body, start)) {
      delete start;
      failed_ = true;
      return;
    }
    thread.detach();
    ++helpers_;
  }
}

bool ThreadPool::join(int worker, uint64_t* seen) {
  uint64_t state = state_.load(std::memory_order_relaxed);
  while ((state & kOpen) != 0 && number_of(state) != *seen && worker < workers_of(state)) {
    if (state_.compare_exchange_weak(state, state + 1, std::memory_order_acquire, std::memory_order_relaxed)) {
      *seen = number_of(state);
      return true;
    }
  }
  return false;
}

void ThreadPool::leave() {
  const uint64_t state = state_.fetch_sub(1) - 1;
  if ((state & (kActive | kOpen)) == 0) parkers_[0].unpark();
}

void ThreadPool::work(int worker) {
  const Job job = job_;
  for (;;) {
    const int64_t chunk = next_.fetch_add(1, std::memory_order_relaxed);
    if (chunk >= job.chunks) return;
    const int64_t begin = chunk * job.grain;
    job.fn(job.ctx, begin, job.n - begin < job.grain ? job.n : begin + job.grain, worker);
  }
}

void ThreadPool::helper(int worker) {
  uint64_t seen = ~uint64_t{0};
  struct Wait {
    ThreadPool* pool;
    int worker;
    uint64_t* seen;
    bool ready() const {
      const uint64_t state = pool->state_.load();
      return (state & kOpen) != 0 && number_of(state) != *seen && worker < workers_of(state);
    }
  } wait{this, worker, &seen};
  Elsewhere elsewhere;
  for (;;) {
    if (join(worker, &seen)) {
      elsewhere.move(job_.cpu);
      work(worker);
      leave();
      spin_briefly(
          kSpinNanoseconds, [](void* w) { return static_cast<Wait*>(w)->ready(); }, &wait);
    } else {
      parkers_[worker].park([&wait] { return wait.ready(); });
    }
  }
}

void ThreadPool::run(int threads, int64_t n, int64_t grain, ChunkFunction fn, void* ctx) {
  if (n <= 0) return;
  const int64_t chunks = n / grain + (n % grain != 0);
  bool alone = chunks == 1 || threads <= 1 || busy_.exchange(true, std::memory_order_acquire);
  int workers = 1;
  if (!alone) {
    workers = static_cast<int>(std::min<int64_t>(threads, chunks));
    if (helpers_ < workers - 1) start_helpers(workers - 1);
    workers = std::min(workers, helpers_ + 1);
    if (workers == 1) {
      busy_.store(false, std::memory_order_release);
      alone = true;
    }
  }
  if (alone) {
    for (int64_t begin = 0; begin < n; begin += grain) {
      fn(ctx, begin, n - begin < grain ? n : begin + grain, 0);
      if (n - begin <= grain) return;
    }
    return;
  }
  job_ = {fn, ctx, n, grain, chunks, current_cpu()};
  next_.store(0, std::memory_order_relaxed);
  const uint64_t number = number_of(state_.load(std::memory_order_relaxed)) + 1;
  state_.store(number << kNumberShift | static_cast<uint64_t>(workers) << kWorkersShift | kOpen);
  for (int worker = 1; worker < workers; ++worker) parkers_[worker].unpark();
  work(0);
  const auto idle = [](void* state) { return (static_cast<std::atomic<uint64_t>*>(state)->load() & kActive) == 0; };
  if ((state_.fetch_and(~kOpen) & kActive) != 0) {
    spin_briefly(kSpinNanoseconds, idle, &state_);
    if (!idle(&state_)) parkers_[0].park([&] { return idle(&state_); });
  }
  busy_.store(false, std::memory_order_release);
}

PoolClient::PoolClient() : pool_{} {
  pool_.self = this;
  pool_.threads = 1;
  pool_.run = [](void* self, int64_t n, int64_t grain, ChunkFunction fn, void* ctx) {
    ThreadPool::get().run(static_cast<PoolClient*>(self)->pool_.threads, n, grain, fn, ctx);
  };
  pool_.scratch = [](void* self, int worker, size_t bytes) -> void* {
    if (worker < -1 || worker >= ThreadPool::kMaxThreads) return nullptr;
    Block& block = static_cast<PoolClient*>(self)->blocks_[worker + 1];
    if (block.bytes >= bytes && block.data != nullptr) return block.data;
    Allocator& allocator = Allocator::get();
    if (block.data != nullptr) allocator.release_scratch(block.data, block.bytes);
    block.data = allocator.allocate_scratch(bytes);
    block.bytes = block.data == nullptr ? 0 : bytes;
    return block.data;
  };
}

PoolClient::~PoolClient() {
  for (Block& block : blocks_) {
    if (block.data != nullptr) Allocator::get().release_scratch(block.data, block.bytes);
  }
}

}  // namespace myelin
