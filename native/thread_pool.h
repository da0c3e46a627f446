// The process's one pool of worker threads, and what each stream shows its kernels of it.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "kernels/call.h"

namespace myelin {

// Tells the CPU that this is a spinning loop.
inline void spin_pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Puts one thread to sleep until a condition that others make true holds. Waking costs nothing while nobody sleeps.
class Parker {
 public:
  // Returns once ready() holds. `ready` must read what the waker writes with sequentially consistent operations.
  template <class Ready>
  void park(const Ready& ready) {
    std::unique_lock<std::mutex> lock(mutex_);
    asleep_.store(true);
    while (!ready()) condition_.wait(lock);
    asleep_.store(false);
  }
  // To be called after the condition has been made true.
  void unpark() {
    if (!asleep_.load()) return;
    { const std::lock_guard<std::mutex> lock(mutex_); }
    condition_.notify_one();
  }

 private:
  std::atomic<bool> asleep_{false};
  std::mutex mutex_;
  std::condition_variable condition_;
};

// Starts a thread that takes no signals; false when the system has none to give.
bool start_thread(std::thread* thread, void (*body)(void*), void* argument);

// Polls done(argument) for about that long, letting other threads on when they want the CPU.
void spin_briefly(int64_t nanoseconds, bool (*done)(void*), void* argument);

using ChunkFunction = void (*)(void* ctx, int64_t begin, int64_t end, int worker);

// Runs one job at a time: the thread that calls run() is worker 0, and the helpers that are awake in time join it. A
// helper that comes too late is not waited for. While the pool is busy with another stream's job, run() works alone.
class ThreadPool {
 public:
  static constexpr int kMaxThreads = 256;

  // Never destroyed: its threads are detached and outlive every environment.
  static ThreadPool& get();

  int threads() const { return threads_.load(std::memory_order_relaxed); }
  // 1 to kMaxThreads; holds from the next kernel on.
  void set_threads(int count) { threads_.store(count, std::memory_order_relaxed); }

  void run(int threads, int64_t n, int64_t grain, ChunkFunction fn, void* ctx);

 private:
  struct Job {
    ChunkFunction fn = nullptr;
    void* ctx = nullptr;
    int64_t n = 0;
    int64_t grain = 1;
    int64_t chunks = 0;
    int cpu = -1;  // of the thread that runs it
  };

  ThreadPool();
  void start_helpers(int count);
  void helper(int worker);
  bool join(int worker, uint64_t* seen);
  void leave();
  void work(int worker);

  std::atomic<int> threads_;
  std::atomic<bool> busy_{false};
  int helpers_ = 0;  // started; touched by the owner of busy_ only
  bool failed_ = false;
  Job job_;
  // One word says all about the job: how many helpers are in it (bits 0–15), whether more may come in (bit 16), how
  // many workers it takes (bits 20–35) and its number (bits 36–63).
  alignas(64) std::atomic<uint64_t> state_{0};
  alignas(64) std::atomic<int64_t> next_{0};  // the chunk to be taken next
  alignas(64) Parker parkers_[kMaxThreads];   // [0]: the thread that runs the job
};

// A stream's side of the pool: its own scratch, so that streams never share any.
class PoolClient {
 public:
  PoolClient();
  ~PoolClient();
  PoolClient(const PoolClient&) = delete;
  PoolClient& operator=(const PoolClient&) = delete;

  // For the kernel about to run.
  const Pool* pool() {
    pool_.threads = ThreadPool::get().threads();
    return &pool_;
  }

 private:
  struct Block {
    void* data = nullptr;
    size_t bytes = 0;
  };

  Pool pool_;
  Block blocks_[ThreadPool::kMaxThreads + 1];  // [worker + 1]
};

}  // namespace myelin
