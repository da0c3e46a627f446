// What one environment (the main thread, or a worker) owns: its stream, the memory that JavaScript sees, the objects
// that it watches.
#pragma once
#include "values.h"

#include <stdint.h>

#include <atomic>
#include <memory>
#include <vector>

#include "executor.h"

namespace myelin {

inline constexpr int32_t kDeadCapacity = 4096;

// Memory that JavaScript sees. It belongs to the environment and its buffers, then to the next environment: it is never
// freed, because a buffer may have been transferred to a thread that lives longer.
class Shared {
 public:
  // Null when there is no memory.
  static Shared* make();
  void acquire() { ++users_; }
  void release();

  double* words = nullptr;  // the segments
  int32_t* dead = nullptr;  // [count, …tickets]

 private:
  std::atomic<int> users_{1};
  Shared* next_ = nullptr;  // of those that nobody uses
};

// An object that is watched. Its reference cannot be deleted while it dies, so that waits for the ticket's next use.
struct Tracked {
  napi_ref reference = nullptr;
  bool dead = false;
};

// A callback to come.
struct Awaited {
  Request request;
  napi_ref callback = nullptr;
  napi_ref buffer = nullptr;
};

struct Instance {
  // Sets exports' segments and dead. Null, with an exception pending, when it cannot be made. Goes with the
  // environment. `deliver` is called on JavaScript's thread when the stream has answers.
  static Instance* make(napi_env env, napi_value exports, const Kernel* kernels,
                        napi_threadsafe_function_call_js deliver);
  ~Instance();

  // Tells V8 of the native memory that its objects keep alive: what makes it collect them.
  void report_memory();

  // False when the value is no object.
  bool track(napi_value object, int32_t ticket);
  bool is_tracked(int32_t ticket) const;
  void untrack(int32_t ticket);
  // Moves tickets that found no room in `dead` there.
  void move_overflow() {
    while (!overflow_.empty() && put_dead(overflow_.back())) overflow_.pop_back();
  }

  napi_env env = nullptr;
  Shared* shared = nullptr;
  std::unique_ptr<Stream> stream;  // null once the environment shuts down
  napi_threadsafe_function finished = nullptr;
  napi_ref array_buffer = nullptr;  // the constructor
  int64_t awaited = 0;              // callbacks to come; while there are any the process stays alive

 private:
  static void died(node_api_basic_env env, void* data, void* hint);
  static void shut_down(void* self);
  bool put_dead(int32_t ticket);
  bool add_buffers(napi_value exports);
  napi_value expose(void* data, napi_typedarray_type type, size_t length);

  PagedTable<Tracked> tracked_;  // by ticket
  int64_t alive_ = 0;            // of those
  int64_t reported_ = 0;         // bytes that V8 believes in
  std::vector<int32_t> overflow_;
};

}  // namespace myelin
