// The core without Node: allocator, pool, and streams driven as JavaScript drives them, from several threads at once.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include "allocator.h"
#include "cpu.h"
#include "executor.h"
#include "thread_pool.h"

namespace {

using namespace myelin;

std::atomic<int> passed{0};
std::atomic<int> failed{0};

void expect(bool ok, const char* what) {
  if (ok) {
    ++passed;
  } else if (++failed <= 30) {
    printf("FAILED %s\n", what);
  }
}

int opcode(const char* name) {
  for (int i = 0; i < kOpCount; ++i) {
    if (strcmp(kOps[i].name, name) == 0) return i;
  }
  return -1;
}

// What the front end does: fills segments, submits them, reads.
class Client {
 public:
  Client() : words_(kSegments * kSegmentWords), stream_(chosen_isa(nullptr)->kernels, words_.data(), finished, this) {}
  ~Client() { take(stream_.stop()); }

  void put(std::initializer_list<double> words) {
    if (position_ + static_cast<int>(words.size()) > kSegmentWords) flush(false);
    for (double word : words) words_[static_cast<size_t>(segment_ * kSegmentWords + position_++)] = word;
  }
  void flush(bool wake) {
    segment_ = stream_.submit(segment_, position_, wake);
    position_ = 0;
  }
  void fill(double id, double n, double value) { put({op_fill_, 0, 1, 1, id, kVector, 0, n, value}); }
  void add(double a, double b, double out, double n) {
    put({op_add_, 2, 1, 0, a, kVector, 0, n, b, kVector, 0, n, out, kVector, 0, n});
  }
  void free(double id) { put({-1, id}); }
  // Element 0 of `id`, at once.
  ErrorRef item(int64_t id, double* value) {
    flush(false);
    Request request;
    request.kind = Request::kElement;
    request.id = id;
    stream_.enter(true);
    stream_.answer(&request);
    *value = request.value;
    return request.error;
  }
  // The same, later.
  void ask(int64_t id) {
    Request* request = new Request();
    request->kind = Request::kElement;
    request->id = id;
    ++asked_;
    if (!stream_.enter(false)) return stream_.enqueue(request);
    stream_.answer(request);
    take(request);
  }
  void wait() {
    stream_.enter(true);
    while (answered < asked_) {
      take(stream_.take_finished());
      std::this_thread::yield();
    }
  }
  Stream& stream() { return stream_; }

  int answered = 0;
  std::vector<double> values;  // answers in order

 private:
  static constexpr double kVector = 0 | 1 << 4 | 256;  // float32, one dimension, contiguous

  static void finished(void* self) { ++static_cast<Client*>(self)->notified_; }
  void take(Request* list) {
    while (list != nullptr) {
      Request* next = list->next;
      ++answered;
      values.push_back(list->value);
      delete list;
      list = next;
    }
  }

  const double op_fill_ = opcode("fill");
  const double op_add_ = opcode("add");
  std::vector<double> words_;
  Stream stream_;
  int segment_ = 0;
  int position_ = 0;
  int asked_ = 0;
  std::atomic<int> notified_{0};
};

void test_allocator() {
  Allocator& allocator = Allocator::get();
  const size_t before = allocator.stats().allocated;
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{64}, size_t{65}, size_t{513}, size_t{100000}, size_t{5} << 20}) {
    void* block = allocator.allocate(bytes);
    expect(block != nullptr && reinterpret_cast<uintptr_t>(block) % Allocator::kAlignment == 0, "aligned block");
    memset(block, 1, bytes);
    const size_t size = Allocator::class_bytes(bytes);
    expect(size >= bytes && size <= (bytes < 512 ? bytes + 64 : bytes + bytes / 8 + 1), "size class");
    expect(allocator.stats().allocated == before + size, "allocated bytes");
    allocator.release(block, bytes);
    void* again = allocator.allocate(bytes);
    expect(again == block, "a released block is used again");
    allocator.release(again, bytes);
  }
  allocator.set_limit(before + (1 << 20));
  expect(allocator.allocate(2 << 20) == nullptr, "limit");
  allocator.set_limit(SIZE_MAX);
  expect(allocator.allocate(SIZE_MAX / 2) == nullptr, "more than there is");
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      std::mt19937 random(t);
      std::vector<std::pair<unsigned char*, size_t>> held;
      for (int i = 0; i < 4000; ++i) {
        if (held.size() > 20) {
          const auto [block, bytes] = held[random() % held.size()];
          if (bytes > 0) expect(block[0] == t && block[bytes - 1] == t, "nobody else wrote into the block");
          for (auto& entry : held) {
            if (entry.first == block) entry = held.back();
          }
          held.pop_back();
          Allocator::get().release(block, bytes);
        }
        const size_t bytes = random() % (1 << random() % 23);
        unsigned char* block = static_cast<unsigned char*>(Allocator::get().allocate(bytes));
        if (bytes > 0) block[0] = block[bytes - 1] = static_cast<unsigned char>(t);
        held.emplace_back(block, bytes);
      }
      for (const auto& [block, bytes] : held) Allocator::get().release(block, bytes);
    });
  }
  for (std::thread& thread : threads) thread.join();
  expect(allocator.stats().allocated == before, "all released");
  allocator.empty_cache();
}

void test_arena() {
  constexpr size_t kMegabyte = size_t{1} << 20;
  Arena arena;
  void* first = arena.allocate(3 * kMegabyte);
  void* second = arena.allocate(kMegabyte);
  void* third = arena.allocate(5 * kMegabyte);
  expect(arena.held() == 10 * kMegabyte, "pages of two megabytes");
  arena.release(second);
  arena.release(first);
  expect(arena.allocate(4 * kMegabyte) == first, "neighbours are joined");
  arena.release(third);
  expect(arena.held() == 10 * kMegabyte, "what was used is kept");
  arena.trim(8 * kMegabyte);
  expect(arena.held() == 4 * kMegabyte, "whole free pages are given back");
  void* again = arena.allocate(5 * kMegabyte);
  expect(again == third && static_cast<char*>(again)[kMegabyte] == 0, "and come back empty");
  arena.release(first);
  arena.release(again);
  arena.trim(0);
  expect(arena.held() == 0, "all is given back");

  std::mt19937 random(11);
  std::vector<std::pair<char*, size_t>> blocks;
  size_t total = 0;
  for (int i = 0; i < 6000; ++i) {
    if (blocks.size() > 40 || (i >= 5000 && !blocks.empty())) {
      std::swap(blocks[random() % blocks.size()], blocks.back());
      const auto [block, size] = blocks.back();
      const char mark = static_cast<char>(size / Arena::kGrain);
      expect(block[0] == mark && block[size - 1] == mark, "no block lies in another");
      arena.release(block);
      blocks.pop_back();
      total -= size;
    } else if (i < 5000) {
      const size_t size = (1 + random() % (1 << random() % 11)) * Arena::kGrain;
      char* block = static_cast<char*>(arena.allocate(size));
      block[0] = block[size - 1] = static_cast<char>(size / Arena::kGrain);
      blocks.emplace_back(block, size);
      total += size;
      if (i % 500 == 0) arena.trim(total);
    }
    if (arena.held() < total) expect(false, "blocks lie in pages that are held");
  }
  expect(blocks.empty(), "all released");
  arena.release(arena.allocate(size_t{1} << 30));
  expect(arena.held() == size_t{1} << 30, "a whole region is one range again");
  arena.trim(0);
  expect(arena.allocate(size_t{1} << 60) == nullptr, "more than there is");
}

void test_pool() {
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; ++caller) {
    callers.emplace_back([] {
      PoolClient client;
      for (int round = 0; round < 300; ++round) {
        if (round % 100 == 0) ThreadPool::get().set_threads(1 + round / 100 * 2);
        const Pool& pool = *client.pool();
        const int64_t n = 1000 + round;
        std::vector<int> seen(static_cast<size_t>(n), 0);
        std::vector<int64_t> sums(static_cast<size_t>(n));
        std::atomic<bool> good{true};
        parallel_for(pool, n, 7, [&](int64_t begin, int64_t end, int worker) {
          if (worker < 0 || worker >= pool.threads || begin % 7 != 0 || end - begin > 7) good = false;
          int64_t* own = static_cast<int64_t*>(pool.scratch(pool.self, worker, 64));
          *own = 0;
          for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)], *own += i;
          sums[static_cast<size_t>(begin / 7)] = *own;
        });
        int64_t total = 0;
        for (int64_t sum : sums) total += sum;
        for (int count : seen) good = good && count == 1;
        expect(good && total == n * (n - 1) / 2, "every index once");
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
}

// Helpers run elsewhere than the thread that they help, wherever the system wakes them.
void test_places() {
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2) return;
  ThreadPool::get().set_threads(2);
  std::thread([] {
    PoolClient client;
    const Pool& pool = *client.pool();
    const auto job = [&](auto note) {
      parallel_for(pool, 4, 1, [&](int64_t, int64_t, int worker) {
        note(worker);
        std::this_thread::sleep_for(std::chrono::microseconds(500));
      });
    };
    job([](int) {});  // starts the helper while this thread may run anywhere
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    if (sched_setaffinity(0, sizeof here, &here) != 0) return;
    std::atomic<int> shared{0};
    for (int round = 0; round < 50; ++round) {
      job([&](int worker) { shared += worker > 0 && CPU_ISSET(sched_getcpu(), &here); });
    }
    expect(shared == 0, "helpers leave their caller its CPU");
  }).join();
#endif
}

void test_order(unsigned seed) {
  Client client;
  std::mt19937 random(seed);
  double expected = 0;
  client.fill(1, 3, 0);
  std::vector<double> answers;
  for (int i = 0; i < 2000; ++i) {
    const int n = random() % 50 == 0 ? 100000 : 3;
    client.fill(2, n, i);
    client.add(1, 2, 3, 3);
    client.free(2);
    client.free(1);
    client.add(3, 3, 1, 3);
    client.free(3);
    expected = 2.0 * (expected + i);
    if (expected > 1e5) {
      client.free(1);
      client.fill(1, 3, 0);
      expected = 0;
    }
    switch (random() % 4) {
      case 0: {
        double value = -1;
        const ErrorRef error = client.item(1, &value);
        expect(error == nullptr && value == expected, "item");
        break;
      }
      case 1:
        client.flush(random() % 2 == 0);
        client.ask(1);
        answers.push_back(expected);
        break;
      case 2:
        client.flush(random() % 2 == 0);
        break;
      default:
        break;
    }
  }
  client.flush(true);
  client.wait();
  std::vector<double> got = client.values;
  std::sort(got.begin(), got.end());
  std::sort(answers.begin(), answers.end());
  expect(got == answers, "answers");
  expect(client.stream().interpreter().handles() == 1, "handles");
}

void test_errors() {
  Client client;
  double value = 0;
  client.fill(1, 2, 5);
  client.add(1, 9, 2, 2);
  client.add(2, 1, 3, 2);
  client.add(1, 3, 1, 2);
  const ErrorRef kept = client.item(1, &value);
  expect(kept != nullptr && kept->status == kNoStorage && kept->op == "add",
         "an error in place is kept for the next read");
  expect(client.item(1, &value) == nullptr && value == 5, "and the contents stay");
  expect(client.item(3, &value) == kept && client.item(2, &value) == kept, "poison");
  client.free(2);
  client.fill(2, 2, 1);
  expect(client.item(2, &value) == nullptr && value == 1, "a freed handle is new");
  client.put({1e9});
  client.fill(2, 2, 7);
  const ErrorRef bad = client.item(2, &value);
  expect(bad != nullptr && bad->status == kBadCommand, "words that are no command");
  expect(client.item(2, &value) == nullptr && value == 1, "what follows them is dropped");
  client.add(1, 1, 4, 1 << 20);
  const ErrorRef outside = client.item(4, &value);
  expect(outside != nullptr && outside->status == kBadShape, "outside the storage");
}

// Commands that are nearly right, with strange words among them: nothing but errors may come of them.
void test_hostile() {
  Client client;
  std::mt19937 random(7);
  const double odd[] = {-3,
                        -2,
                        -1,
                        0,
                        1,
                        2,
                        0.5,
                        2147483648.0,
                        9007199254740992.0,
                        1e300,
                        std::numeric_limits<double>::quiet_NaN(),
                        std::numeric_limits<double>::infinity()};
  const auto once_in = [&](unsigned n) { return random() % n == 0; };
  const auto below = [&](unsigned n) { return static_cast<double>(random() % n); };
  const auto maybe_strange = [&](unsigned n, double word) { return once_in(n) ? odd[random() % 12] : word; };
  constexpr unsigned kFloats = 8;  // ids from 0 of floats, then as many of small integers, then as many of nothing
  Allocator::get().set_limit(size_t{1} << 28);
  double value = 0;
  for (int round = 0; round < 2000; ++round) {
    const double dtype = round % 2;
    for (unsigned id = 0; id < 3 * kFloats; ++id) client.free(id);
    for (unsigned id = 0; id < kFloats; ++id) {
      client.put({double(opcode("normal")), 0, 1, 5, double(id), dtype + (1 << 4 | 256), 0, 512, 1, 2, 3, 0, 1});
      client.put({double(opcode("randint")), 0, 1, 5, double(id + kFloats), 2 | 1 << 4 | 256, 0, 512, 1, 2, 3, 0, 3});
    }
    for (int i = 0; i < 10; ++i) {
      const unsigned op = random() % kOpCount;
      const OpInfo& row = kOps[op];
      const auto about = [&](int n, bool list) {
        return once_in(20) ? random() % 4 : unsigned(list ? random() % 4 : n);
      };
      const unsigned nin = about(row.inputs, row.input_list);
      const unsigned nout = about(row.outputs, row.output_list);
      const unsigned rank = random() % 4;
      const bool square = once_in(2);
      const double sizes[] = {below(6), square ? 4 : below(6), square ? 4 : below(40)};
      client.put({maybe_strange(200, op), double(nin), double(nout), double(row.params)});
      for (unsigned k = 0; k < nin + nout; ++k) {
        const bool integers = (k < nin && k < 32 && (row.index_inputs >> k & 1) != 0) != once_in(10);
        const bool alike = !once_in(6);
        const unsigned ndim = integers ? 1 : alike ? rank : random() % 4;
        const bool fresh = k >= nin && once_in(2);
        const bool contiguous = fresh || once_in(2);
        const double kind = once_in(8) ? below(5) : integers ? 2 : dtype;
        client.put({below(kFloats) + (fresh ? 2 * kFloats : integers ? kFloats : 0)});
        client.put({kind + (ndim << 4 | (contiguous ? 256 : 0)), fresh || !once_in(8) ? 0 : below(9)});
        for (unsigned d = 0; d < ndim; ++d) client.put({maybe_strange(500, alike ? sizes[d] : below(6))});
        for (unsigned d = 0; d < ndim && !contiguous; ++d) client.put({maybe_strange(500, below(5))});
      }
      for (int k = 0; k < row.params; ++k) client.put({maybe_strange(10, below(3))});
    }
    client.flush(round % 3 == 0);
    client.item(static_cast<int64_t>(random() % 24), &value);
  }
  for (int id = 0; id < 1024; ++id) client.free(id);  // sizes may have been taken for ids
  while (client.item(2000, &value)->status != kNoStorage) continue;
  expect(client.stream().interpreter().handles() == 0, "handles after hostile words");
  Allocator::get().set_limit(SIZE_MAX);
}

// A stream that ends with work and questions in flight.
void test_stop() {
  const size_t before = Allocator::get().stats().allocated;
  for (int round = 0; round < 100; ++round) {
    Client client;
    for (int i = 0; i < 20; ++i) {
      client.fill(1, 200000, i);
      client.flush(true);
      if (i % 3 == 0) client.ask(1);
    }
    if (round % 2 == 0) std::this_thread::sleep_for(std::chrono::microseconds(50 * round));
  }
  expect(Allocator::get().stats().allocated == before, "nothing is left of stopped streams");
}

}  // namespace

int main() {
  if (chosen_isa(nullptr) == nullptr) return 1;
  test_allocator();
  test_arena();
  test_pool();
  test_places();
  ThreadPool::get().set_threads(3);
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 3; ++seed) threads.emplace_back([seed] { test_order(seed); });
  for (std::thread& thread : threads) thread.join();
  test_errors();
  test_hostile();
  test_stop();
  printf("%d passed, %d failed\n", passed.load(), failed.load());
  return failed == 0 ? 0 : 1;
}
