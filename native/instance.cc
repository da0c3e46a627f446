#include "instance.h"

#include <node_api.h>
#include <stdlib.h>
#include <string.h>

#include <mutex>
#include <new>

namespace myelin {
namespace {

constexpr int64_t kObjectBytes = 512;  // what a tracked object is said to hold besides its storage

std::mutex& unused_mutex() {
  static std::mutex* const mutex = new std::mutex();
  return *mutex;
}

Shared*& unused_head() {
  static Shared* head = nullptr;
  return head;
}

}  // namespace

Shared* Shared::make() {
  {
    const std::lock_guard<std::mutex> lock(unused_mutex());
    if (Shared* shared = unused_head()) {
      unused_head() = shared->next_;
      shared->users_ = 1;
      return shared;
    }
  }
  Shared* shared = new (std::nothrow) Shared();
  if (shared == nullptr) return nullptr;
  shared->words = static_cast<double*>(calloc(kSegments * kSegmentWords, sizeof(double)));
  shared->dead = static_cast<int32_t*>(calloc(1 + kDeadCapacity, sizeof(int32_t)));
  if (shared->words != nullptr && shared->dead != nullptr) return shared;
  free(shared->words);
  free(shared->dead);
  delete shared;
  return nullptr;
}

void Shared::release() {
  if (users_.fetch_sub(1) != 1) return;
  memset(words, 0, kSegments * kSegmentWords * sizeof(double));
  memset(dead, 0, (1 + kDeadCapacity) * sizeof(int32_t));
  const std::lock_guard<std::mutex> lock(unused_mutex());
  next_ = unused_head();
  unused_head() = this;
}

Instance* Instance::make(napi_env env, napi_value exports, const Kernel* kernels,
                         napi_threadsafe_function_call_js deliver) {
  const auto fail = [env](const char* why) {
    napi_throw_error(env, nullptr, why);
    return nullptr;
  };
  auto owner = std::make_unique<Instance>();
  Instance* self = owner.get();
  self->env = env;
  self->shared = Shared::make();
  if (self->shared == nullptr) return fail("out of memory");
  const auto remove = [](napi_env, void* data, void*) { delete static_cast<Instance*>(data); };
  if (napi_set_instance_data(env, self, remove, nullptr) != napi_ok) return fail("no instance data");
  owner.release();

  if (napi_create_threadsafe_function(env, nullptr, nullptr, text(env, "myelin"), 0, 1, nullptr, nullptr, self, deliver,
                                      &self->finished) != napi_ok ||
      napi_unref_threadsafe_function(env, self->finished) != napi_ok) {
    return fail("no thread-safe function");
  }
  const auto notify = [](void* context) {
    napi_call_threadsafe_function(static_cast<Instance*>(context)->finished, nullptr, napi_tsfn_nonblocking);
  };
  self->stream = std::make_unique<Stream>(kernels, self->shared->words, notify, self);
  napi_value global = nullptr;
  napi_value constructor = nullptr;
  napi_get_global(env, &global);
  napi_get_named_property(env, global, "ArrayBuffer", &constructor);
  napi_create_reference(env, constructor, 1, &self->array_buffer);
  if (!self->add_buffers(exports)) return fail("this runtime does not allow external buffers");
  // Hooks run last come, first served: this one before that of the function which the executor calls.
  napi_add_env_cleanup_hook(env, shut_down, self);
  return self;
}

Instance::~Instance() {
  if (shared != nullptr) shared->release();
}

// The environment shuts down: stops the executor after the kernel that runs now and frees every storage.
void Instance::shut_down(void* data) {
  Instance* self = static_cast<Instance*>(data);
  Request* next = self->stream->stop();
  while (next != nullptr) {
    const std::unique_ptr<Awaited> awaited(static_cast<Awaited*>(next->user));
    next = next->next;
    napi_delete_reference(self->env, awaited->callback);
    if (awaited->buffer != nullptr) napi_delete_reference(self->env, awaited->buffer);
  }
  self->stream.reset();
  self->tracked_.each([self](Tracked& entry) {
    if (entry.reference != nullptr) napi_delete_reference(self->env, entry.reference);
  });
  napi_delete_reference(self->env, self->array_buffer);
}

// A typed array over native memory of `shared`.
napi_value Instance::expose(void* data, napi_typedarray_type type, size_t length) {
  napi_value buffer = nullptr;
  napi_value array = nullptr;
  const size_t bytes = length * (type == napi_float64_array ? sizeof(double) : sizeof(int32_t));
  const auto done = [](node_api_basic_env, void*, void* hint) { static_cast<Shared*>(hint)->release(); };
  if (napi_create_external_arraybuffer(env, data, bytes, done, shared, &buffer) != napi_ok) return nullptr;
  shared->acquire();
  return napi_create_typedarray(env, type, length, buffer, 0, &array) == napi_ok ? array : nullptr;
}

bool Instance::add_buffers(napi_value exports) {
  napi_value segments = nullptr;
  napi_create_array_with_length(env, kSegments, &segments);
  for (uint32_t i = 0; i < kSegments; ++i) {
    napi_value segment = expose(shared->words + i * kSegmentWords, napi_float64_array, kSegmentWords);
    if (segment == nullptr) return false;
    napi_set_element(env, segments, i, segment);
  }
  napi_value dead = expose(shared->dead, napi_int32_array, 1 + kDeadCapacity);
  if (dead == nullptr) return false;
  set(env, exports, "segments", segments);
  set(env, exports, "dead", dead);
  return true;
}

void Instance::report_memory() {
  const int64_t now = static_cast<int64_t>(stream->bytes()) + kObjectBytes * alive_;
  const int64_t change = now - reported_;
  const int64_t size = change < 0 ? -change : change;
  if (size <= (1 << 16) || (size <= (1 << 20) && size <= reported_ / 10)) return;
  int64_t total = 0;
  reported_ = now;
  napi_adjust_external_memory(env, change, &total);
}

bool Instance::put_dead(int32_t ticket) {
  int32_t* dead = shared->dead;
  const int32_t count = dead[0];
  if (count < 0 || count >= kDeadCapacity) return false;
  dead[1 + count] = ticket;
  dead[0] = count + 1;
  return true;
}

// Inside a collection: nothing of JavaScript may be touched.
void Instance::died(node_api_basic_env, void* data, void* hint) {
  Instance* self = static_cast<Instance*>(hint);
  const int32_t ticket = static_cast<int32_t>(reinterpret_cast<intptr_t>(data));
  self->tracked_.find(ticket)->dead = true;
  --self->alive_;
  if (self->overflow_.empty() && self->put_dead(ticket)) return;
  try {
    self->overflow_.push_back(ticket);
  } catch (const std::bad_alloc&) {
    // What it stood for stays until the environment ends.
  }
}

bool Instance::track(napi_value object, int32_t ticket) {
  Tracked& entry = tracked_.at(ticket);
  if (entry.reference != nullptr) napi_delete_reference(env, entry.reference);
  entry = Tracked();
  void* data = reinterpret_cast<void*>(static_cast<intptr_t>(ticket));
  if (napi_add_finalizer(env, object, data, died, this, &entry.reference) != napi_ok) {
    entry.reference = nullptr;
    return false;
  }
  ++alive_;
  report_memory();
  return true;
}

bool Instance::is_tracked(int32_t ticket) const {
  const Tracked* entry = tracked_.find(ticket);
  return entry != nullptr && entry->reference != nullptr && !entry->dead;
}

void Instance::untrack(int32_t ticket) {
  Tracked* entry = tracked_.find(ticket);
  napi_delete_reference(env, entry->reference);
  entry->reference = nullptr;
  --alive_;
}

}  // namespace myelin
