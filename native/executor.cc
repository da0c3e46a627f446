#include "executor.h"

#include <string.h>

#include "cpu.h"

namespace myelin {
namespace {

constexpr int64_t kSpinNanoseconds = 5000;

}  // namespace

void Stream::List::push(Request* request) {
  request->next = nullptr;
  (first == nullptr ? first : last->next) = request;
  last = request;
}

Request* Stream::List::pop() {
  Request* request = first;
  first = request->next;
  request->next = nullptr;
  return request;
}

Stream::Stream(const Kernel* kernels, const double* words, void (*finished)(void*), void* context)
    : interpreter_(kernels),
      words_(words),
      finished_(finished),
      context_(context),
      spin_(usable_cores() > 1 ? kSpinNanoseconds : 0) {}

Stream::~Stream() { stop(); }

bool Stream::is_free(int segment) const { return number_[segment] <= completed_.load(std::memory_order_acquire); }

int Stream::submit(int segment, int words, bool wake) {
  if (words > 0) {
    ring_[submitted_ % kSegments] = {segment, words};
    number_[segment] = ++submitted_;
    light_words_ += words;
  }
  // Work given to an executor that is awake anyway costs nothing; a whole segment of light work is worth a wake.
  if (light_words_ > 0 && (wake || light_words_ >= kSegmentWords || !idle_.load(std::memory_order_acquire))) {
    hand_over(nullptr);
  }
  const auto next = [this, segment] {
    for (int i = 0; i < kSegments; ++i) {
      const int candidate = (segment + i) % kSegments;
      if (is_free(candidate)) return candidate;
    }
    return -1;
  };
  int free = next();
  if (free >= 0) return free;
  hand_over(nullptr);
  wait([&] { return (free = next()) >= 0; });
  return free;
}

bool Stream::enter(bool wait_for_it) {
  if (!idle_.load(std::memory_order_acquire)) {
    if (!wait_for_it) return false;
    hand_over(nullptr);
    wait([this] { return idle_.load(); });
  }
  while (completed_.load(std::memory_order_relaxed) < submitted_) run_next();
  light_words_ = 0;
  return true;
}

void Stream::enqueue(Request* request) { hand_over(request); }

// Gives the executor all that is queued, and one thing to answer after it.
void Stream::hand_over(Request* request) {
  if (!thread_.joinable() && !threadless_) {
    threadless_ = !start_thread(
        &thread_, [](void* self) { static_cast<Stream*>(self)->loop(); }, this);
  }
  light_words_ = 0;
  if (threadless_) {
    while (completed_.load(std::memory_order_relaxed) < submitted_) run_next();
    if (request == nullptr) return;
    answer(request);
    answered_.push(request);
    finished_(context_);
    return;
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    handed_ = submitted_;
    if (request != nullptr) {
      request->after = submitted_;
      requests_.push(request);
    }
    idle_.store(false);
  }
  work_.unpark();
}

void Stream::run_next() {
  const uint64_t number = completed_.load(std::memory_order_relaxed);
  const Entry entry = ring_[number % kSegments];
  interpreter_.run(words_ + entry.segment * kSegmentWords, entry.words, stop_);
  completed_.store(number + 1);
}

void Stream::answer(Request* request) {
  request->error = interpreter_.take_error();
  if (request->error != nullptr || request->kind == Request::kSync) return;
  if (request->kind == Request::kElement) {
    request->error = interpreter_.read_element(request->id, request->dtype, request->offset, &request->value);
    return;
  }
  const void* data = nullptr;
  request->error = interpreter_.read_bytes(request->id, request->offset, request->length, &data);
  if (request->error == nullptr && request->length > 0) {
    memcpy(request->destination, data, static_cast<size_t>(request->length));
  }
}

template <class Ready>
void Stream::wait(const Ready& ready) {
  if (spin_ > 0) {
    spin_briefly(
        spin_, [](void* r) { return (*static_cast<const Ready*>(r))(); }, const_cast<Ready*>(&ready));
  }
  if (!ready()) done_.park(ready);
}

void Stream::loop() {
  const auto wanted = [](void* self) { return static_cast<Stream*>(self)->wanted(); };
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stop_.load()) {
    const uint64_t completed = completed_.load(std::memory_order_relaxed);
    if (requests_.first != nullptr && requests_.first->after <= completed) {
      Request* request = requests_.pop();
      lock.unlock();
      answer(request);
      lock.lock();
      const bool first = answered_.first == nullptr;
      answered_.push(request);
      if (!first) continue;
      lock.unlock();
      finished_(context_);
      lock.lock();
    } else if (completed < handed_) {
      lock.unlock();
      run_next();
      done_.unpark();
      lock.lock();
    } else {
      idle_.store(true);
      lock.unlock();
      done_.unpark();
      if (spin_ > 0) spin_briefly(spin_, wanted, this);
      if (!this->wanted()) work_.park([this] { return this->wanted(); });
      lock.lock();
    }
  }
}

Request* Stream::take_finished() {
  const std::lock_guard<std::mutex> lock(mutex_);
  Request* list = answered_.first;
  answered_ = {};
  return list;
}

Request* Stream::stop() {
  stop_.store(true);
  work_.unpark();
  if (thread_.joinable()) thread_.join();
  if (answered_.first != nullptr) {
    answered_.last->next = requests_.first;
  } else {
    answered_.first = requests_.first;
  }
  Request* list = answered_.first;
  answered_ = {};
  requests_ = {};
  return list;
}

}  // namespace myelin
