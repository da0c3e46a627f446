// The stream of one environment: segments of commands in order, run by the executor's own thread.
#pragma once
#include <stdint.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "interpreter.h"

namespace myelin {

// Something to be read when the stream gets there.
struct Request {
  enum Kind { kElement, kBytes, kSync };
  Kind kind = kSync;
  int64_t id = 0;
  DType dtype = kFloat32;
  int64_t offset = 0;           // elements or bytes
  int64_t length = 0;           // bytes
  void* destination = nullptr;  // for kBytes
  void* user = nullptr;         // the asker's own
  double value = 0;             // answers
  ErrorRef error;
  uint64_t after = 0;  // for the stream
  Request* next = nullptr;
};

// A queue of segments, run by the executor thread or, while that has nothing to do, by the thread that submits: the
// owner. All functions are the owner's. The executor touches the queue and the interpreter only between the owner's
// handing over and its own saying that it is idle.
class Stream {
 public:
  // `words` is kSegments segments of kSegmentWords. `finished` is called on the executor thread when take_finished()
  // has something to give after it had nothing.
  Stream(const Kernel* kernels, const double* words, void (*finished)(void*), void* context);
  // Stops after the command that runs now; what has not run is dropped.
  ~Stream();

  // False while that segment is in flight.
  bool is_free(int segment) const;
  // Queues words [0, words) of a segment that is free. Without `wake` they may stay queued until something is read.
  // Returns a segment that is free to fill; waits for one if need be.
  int submit(int segment, int words, bool wake);

  // Makes the interpreter the owner's, with all that was submitted done. False, if not to wait, while the executor
  // works. It stays so until the next submit(), enqueue() or enter().
  bool enter(bool wait);
  Interpreter& interpreter() { return interpreter_; }

  // To be answered after all that was submitted.
  void enqueue(Request* request);
  // Answers a request at once; only after enter().
  void answer(Request* request);
  // Answered requests in order, linked by `next`.
  Request* take_finished();
  // All requests, answered or not; stops the executor for good.
  Request* stop();

  int in_flight() const { return static_cast<int>(submitted_ - completed_.load(std::memory_order_acquire)); }
  size_t bytes() const { return interpreter_.bytes(); }

 private:
  struct Entry {
    int segment;
    int words;
  };
  struct List {
    Request* first = nullptr;
    Request* last = nullptr;
    void push(Request* request);
    Request* pop();
  };

  void hand_over(Request* request);
  void run_next();
  template <class Ready>
  void wait(const Ready& ready);
  void loop();
  bool wanted() const { return !idle_.load() || stop_.load(); }

  Interpreter interpreter_;
  const double* const words_;
  void (*const finished_)(void*);
  void* const context_;
  const int64_t spin_;  // nanoseconds

  // The owner's.
  uint64_t submitted_ = 0;
  uint64_t number_[kSegments] = {};  // of the submit that queued each segment last
  int light_words_ = 0;              // queued and not handed over
  std::thread thread_;
  bool threadless_ = false;  // no thread to be had: the owner runs everything

  // Entry i % kSegments is the owner's until i < handed_, and again once i < completed_.
  Entry ring_[kSegments] = {};
  std::atomic<uint64_t> completed_{0};
  std::atomic<bool> idle_{true};
  std::atomic<bool> stop_{false};
  Parker work_;  // the executor sleeps here
  Parker done_;  // the owner does

  std::mutex mutex_;
  uint64_t handed_ = 0;
  List requests_;
  List answered_;
};

}  // namespace myelin
