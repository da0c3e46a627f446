#include "instance.h"

#include <node_api.h>
#include <stdlib.h>

#include <new>

namespace myelin {
namespace {

constexpr int64_t kObjectBytes = 512;  // what a tracked object is said to hold besides its storage

}  // namespace

Shared* Shared::make() {
  Shared* shared = new (std::nothrow) Shared();
  if (shared == nullptr) return nullptr;
  shared->words = static_cast<double*>(calloc(kSegments * kSegmentWords, sizeof(double)));
  shared->dead = static_cast<int32_t*>(calloc(1 + kDeadCapacity, sizeof(int32_t)));
  if (shared->words != nullptr && shared->dead != nullptr) return shared;
  shared->release();
  return nullptr;
}

void Shared::release() {
  if (users_.fetch_sub(1) != 1) return;
  free(words);
  free(dead);
  delete this;
}

Instance* Instance::make(napi_env env, const Kernel* kernels, napi_threadsafe_function_call_js deliver) {
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

  // The stream's hook is added after the function that its executor calls, so that it runs before that goes.
  if (napi_create_threadsafe_function(env, nullptr, nullptr, text(env, "myelin"), 0, 1, nullptr, nullptr, self, deliver,
                                      &self->finished) != napi_ok ||
      napi_unref_threadsafe_function(env, self->finished) != napi_ok) {
    return fail("no thread-safe function");
  }
  const auto notify = [](void* context) {
    napi_call_threadsafe_function(static_cast<Instance*>(context)->finished, nullptr, napi_tsfn_nonblocking);
  };
  self->stream = std::make_unique<Stream>(kernels, self->shared->words, notify, self);
  napi_add_env_cleanup_hook(env, shut_down, self);

  napi_value global = nullptr;
  napi_value constructor = nullptr;
  napi_get_global(env, &global);
  napi_get_named_property(env, global, "ArrayBuffer", &constructor);
  napi_create_reference(env, constructor, 1, &self->array_buffer);
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
    // Its references go with the environment.
    const std::unique_ptr<Awaited> awaited(static_cast<Awaited*>(next->user));
    next = next->next;
  }
  self->stream.reset();
  self->tracked_.each([self](Tracked& entry) {
    if (entry.reference != nullptr) napi_delete_reference(self->env, entry.reference);
  });
  // Whoever detached a buffer may have given it to another thread: then its memory is never freed.
  if (self->buffers_detached()) self->shared->acquire();
}

bool Instance::buffers_detached() const {
  napi_handle_scope scope = nullptr;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return true;
  bool any = false;
  for (napi_ref reference : buffers_) {
    napi_value buffer = nullptr;
    bool detached = false;
    if (reference != nullptr) napi_get_reference_value(env, reference, &buffer);
    if (buffer != nullptr) napi_is_detached_arraybuffer(env, buffer, &detached);
    any |= detached;
  }
  napi_close_handle_scope(env, scope);
  return any;
}

// A typed array over native memory of `shared`.
napi_value Instance::expose(void* data, napi_typedarray_type type, size_t length, napi_ref* reference) {
  napi_value buffer = nullptr;
  napi_value array = nullptr;
  const size_t bytes = length * (type == napi_float64_array ? sizeof(double) : sizeof(int32_t));
  const auto done = [](node_api_basic_env, void*, void* hint) { static_cast<Shared*>(hint)->release(); };
  if (napi_create_external_arraybuffer(env, data, bytes, done, shared, &buffer) != napi_ok) return nullptr;
  shared->acquire();
  napi_create_reference(env, buffer, 1, reference);
  return napi_create_typedarray(env, type, length, buffer, 0, &array) == napi_ok ? array : nullptr;
}

bool Instance::add_buffers(napi_value exports) {
  napi_value segments = nullptr;
  napi_create_array_with_length(env, kSegments, &segments);
  for (uint32_t i = 0; i < kSegments; ++i) {
    napi_value segment = expose(shared->words + i * kSegmentWords, napi_float64_array, kSegmentWords, &buffers_[i]);
    if (segment == nullptr) return false;
    napi_set_element(env, segments, i, segment);
  }
  napi_value dead = expose(shared->dead, napi_int32_array, 1 + kDeadCapacity, &buffers_[kSegments]);
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
