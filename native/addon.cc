// The Node-API face: argument checks, and what has to happen on JavaScript's thread. lib/native/stream.ts has the types.
//
// ops, segmentWords, segments, dead  the op names in order; 8 buffers of command words; [count, …tickets of the dead]
// submit(segment, words, wake)       queues a segment; answers with one that is free to fill
// item(id, dtype, offset, callback?), read(id, byteOffset, byteLength, callback?), sync(callback?)
//   One element, a copy of bytes, or true, after everything submitted. At once when the executor has nothing to do, or
//   when there is no callback, which blocks. Otherwise they answer undefined and call callback(error | null, value)
//   later. Errors are values: {status, op, message}.
// upload(id, view)                   copies bytes into a new storage, to be bound by the command [-2, id]
// track(object, ticket)              puts the ticket into `dead` once the object has been collected
// untrack(ticket)                    forgets that
// setNumThreads getNumThreads memory setMemoryLimit resetPeak emptyCache info
#include "values.h"

#include <dlfcn.h>
#include <math.h>
#include <node_api.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "allocator.h"
#include "cpu.h"
#include "executor.h"
#include "instance.h"
#include "ops.h"

#ifndef MYELIN_VERSION
#define MYELIN_VERSION "0.0.0"
#endif

namespace myelin {
namespace {

constexpr size_t kUnboundUploads = size_t{256} << 20;  // bytes past which upload() waits for the stream
constexpr int64_t kPlainBuffer = int64_t{1} << 20;     // larger buffers are made in the way that can fail
constexpr int64_t kMaxOffset = int64_t{1} << 53;

template <napi_value (*body)(Args&)>
napi_value entry(napi_env env, napi_callback_info info) {
  Args args{"", env, nullptr, 4, {}};
  void* data = nullptr;
  napi_get_cb_info(env, info, &args.count, args.values, nullptr, &data);
  args.self = static_cast<Instance*>(data);
  if (args.self->stream == nullptr) {
    napi_throw_error(env, nullptr, "the environment shuts down");
    return nullptr;
  }
  try {
    return body(args);
  } catch (const std::bad_alloc&) {
    napi_throw_error(env, "ERR_OUT_OF_MEMORY", "out of memory");
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
  } catch (...) {
    napi_throw_error(env, nullptr, "unknown error");
  }
  return nullptr;
}

napi_value submit(Args& args) {
  args.function = "submit";
  Instance* self = args.self;
  int64_t segment = 0;
  int64_t words = 0;
  bool wake = false;
  if (!get_integer(args, 0, "segment", 0, kSegments - 1, &segment)) return nullptr;
  if (!get_integer(args, 1, "words", 0, kSegmentWords, &words)) return nullptr;
  if (napi_get_value_bool(args.env, args.values[2], &wake) != napi_ok) return misuse(args, "wake to be a boolean");
  if (!self->stream->is_free(static_cast<int>(segment))) return misuse(args, "a segment that is not in flight", true);
  const int next = self->stream->submit(static_cast<int>(segment), static_cast<int>(words), wake);
  self->move_overflow();
  self->report_memory();
  return number(args.env, next);
}

// Leaves a request to the executor.
void await(const Args& args, const Request& request, napi_value callback, napi_value buffer) {
  Instance* self = args.self;
  auto awaited = std::make_unique<Awaited>();
  awaited->request = request;
  napi_create_reference(args.env, callback, 1, &awaited->callback);
  if (buffer != nullptr) napi_create_reference(args.env, buffer, 1, &awaited->buffer);
  awaited->request.user = awaited.get();
  if (self->awaited++ == 0) napi_ref_threadsafe_function(args.env, self->finished);
  self->stream->enqueue(&awaited.release()->request);
}

// A new ArrayBuffer; null when there is no memory for it. napi_create_arraybuffer would end the process then.
napi_value make_buffer(const Args& args, int64_t length, void** data) {
  napi_env env = args.env;
  napi_value buffer = nullptr;
  if (length <= kPlainBuffer) {
    napi_create_arraybuffer(env, static_cast<size_t>(length), data, &buffer);
    return buffer;
  }
  napi_value constructor = nullptr;
  napi_value size = number(env, static_cast<double>(length));
  napi_get_reference_value(env, args.self->array_buffer, &constructor);
  size_t made = 0;
  if (napi_new_instance(env, constructor, 1, &size, &buffer) == napi_ok &&
      napi_get_arraybuffer_info(env, buffer, data, &made) == napi_ok && made == static_cast<size_t>(length)) {
    return buffer;
  }
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && pending) {
    napi_value ignored = nullptr;
    napi_get_and_clear_last_exception(env, &ignored);
  }
  return nullptr;
}

napi_value no_buffer(napi_env env, int64_t length) {
  return failure(env, kOutOfMemory, "read", "no memory for a copy of " + std::to_string(length) + " bytes");
}

napi_value item(Args& args) {
  args.function = "item";
  int64_t id = 0;
  int64_t dtype = 0;
  Request request;
  napi_value callback = nullptr;
  if (!get_integer(args, 0, "id", 0, kMaxId, &id)) return nullptr;
  if (!get_integer(args, 1, "dtype", 0, kDTypeCount - 1, &dtype)) return nullptr;
  if (!get_integer(args, 2, "offset", 0, kMaxOffset, &request.offset)) return nullptr;
  if (args.count > 3 && !get_callback(args, 3, &callback)) return nullptr;
  request.kind = Request::kElement;
  request.id = id;
  request.dtype = static_cast<DType>(dtype);
  if (!args.self->stream->enter(callback == nullptr)) {
    await(args, request, callback, nullptr);
    return nullptr;
  }
  args.self->stream->answer(&request);
  args.self->report_memory();
  return request.error == nullptr ? number(args.env, request.value) : failure(args.env, request.error);
}

napi_value read(Args& args) {
  args.function = "read";
  Request request;
  napi_value callback = nullptr;
  if (!get_integer(args, 0, "id", 0, kMaxId, &request.id)) return nullptr;
  if (!get_integer(args, 1, "byteOffset", 0, kMaxOffset, &request.offset)) return nullptr;
  if (!get_integer(args, 2, "byteLength", 0, kMaxOffset, &request.length)) return nullptr;
  if (args.count > 3 && !get_callback(args, 3, &callback)) return nullptr;
  request.kind = Request::kBytes;
  Stream& stream = *args.self->stream;
  if (!stream.enter(callback == nullptr)) {
    napi_value buffer = make_buffer(args, request.length, &request.destination);
    if (buffer == nullptr) return no_buffer(args.env, request.length);
    await(args, request, callback, buffer);
    return nullptr;
  }
  const void* data = nullptr;
  ErrorRef error = stream.interpreter().take_error();
  if (error == nullptr) error = stream.interpreter().read_bytes(request.id, request.offset, request.length, &data);
  if (error != nullptr) return failure(args.env, error);
  napi_value buffer = make_buffer(args, request.length, &request.destination);
  if (buffer == nullptr) return no_buffer(args.env, request.length);
  stream.answer(&request);
  if (request.error != nullptr) return failure(args.env, request.error);
  args.self->report_memory();
  return buffer;
}

napi_value sync(Args& args) {
  args.function = "sync";
  napi_value callback = nullptr;
  if (!get_callback(args, 0, &callback)) return nullptr;
  if (!args.self->stream->enter(callback == nullptr)) {
    await(args, Request(), callback, nullptr);
    return nullptr;
  }
  const ErrorRef error = args.self->stream->interpreter().take_error();
  args.self->report_memory();
  return error == nullptr ? boolean(args.env, true) : failure(args.env, error);
}

// On JavaScript's thread: calls back everything that has been answered.
void deliver(napi_env env, napi_value, void* context, void*) {
  if (env == nullptr) return;  // the environment shuts down
  Instance* self = static_cast<Instance*>(context);
  if (self->stream == nullptr) return;
  Request* next = self->stream->take_finished();
  while (next != nullptr) {
    const std::unique_ptr<Awaited> awaited(static_cast<Awaited*>(next->user));
    next = next->next;
    napi_handle_scope scope = nullptr;
    napi_open_handle_scope(env, &scope);
    const Request& request = awaited->request;
    napi_value callback = nullptr;
    napi_value arguments[2] = {nullptr, nullptr};
    napi_get_reference_value(env, awaited->callback, &callback);
    napi_delete_reference(env, awaited->callback);
    if (awaited->buffer != nullptr) {
      napi_get_reference_value(env, awaited->buffer, &arguments[1]);
      napi_delete_reference(env, awaited->buffer);
    }
    if (request.kind == Request::kElement) arguments[1] = number(env, request.value);
    if (request.kind == Request::kSync) arguments[1] = boolean(env, true);
    napi_get_null(env, &arguments[0]);
    if (request.error != nullptr) {
      arguments[0] = failure(env, request.error);
      napi_get_undefined(env, &arguments[1]);
    }
    if (--self->awaited == 0) napi_unref_threadsafe_function(env, self->finished);
    napi_value receiver = nullptr;
    napi_get_undefined(env, &receiver);
    if (napi_call_function(env, receiver, callback, 2, arguments, nullptr) == napi_pending_exception) {
      napi_value thrown = nullptr;
      if (napi_get_and_clear_last_exception(env, &thrown) == napi_ok) napi_fatal_exception(env, thrown);
    }
    napi_close_handle_scope(env, scope);
  }
  if (self->stream != nullptr) self->report_memory();
}

napi_value upload(Args& args) {
  args.function = "upload";
  napi_env env = args.env;
  Instance* self = args.self;
  int64_t id = 0;
  if (!get_integer(args, 0, "id", 0, kMaxId, &id)) return nullptr;
  bool typed = false;
  napi_is_typedarray(env, args.values[1], &typed);
  napi_typedarray_type type = napi_uint8_array;
  size_t length = 0;
  void* data = nullptr;
  napi_value buffer = nullptr;
  if (!typed || napi_get_typedarray_info(env, args.values[1], &type, &length, &data, &buffer, nullptr) != napi_ok) {
    return misuse(args, "view to be a typed array");
  }
  bool detached = false;
  if (napi_is_detached_arraybuffer(env, buffer, &detached) == napi_ok && detached) {
    return misuse(args, "a typed array whose buffer is not detached");
  }
  size_t bytes = length;
  switch (type) {
    case napi_int8_array:
    case napi_uint8_array:
    case napi_uint8_clamped_array:
      break;
    case napi_int16_array:
    case napi_uint16_array:
      bytes *= 2;
      break;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array:
      bytes *= 4;
      break;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array:
      bytes *= 8;
      break;
    default:
      return misuse(args, "view to be a typed array of 1, 2, 4 or 8 bytes an element");
  }
  Stream& stream = *self->stream;
  if (stream.interpreter().upload_bytes() > kUnboundUploads) stream.enter(true);
  Allocator& allocator = Allocator::get();
  void* block = allocator.allocate(bytes);
  if (block == nullptr) {
    // What has been freed may still wait in the stream.
    stream.enter(true);
    block = allocator.allocate(bytes);
  }
  if (block == nullptr) {
    return failure(env, kOutOfMemory, "upload", "out of memory: " + std::to_string(bytes) + " bytes");
  }
  if (bytes > 0 && data != nullptr) memcpy(block, data, bytes);
  try {
    stream.interpreter().add_upload(id, block, bytes);
  } catch (const std::bad_alloc&) {
    allocator.release(block, bytes);
    throw;
  }
  self->report_memory();
  return nullptr;
}

napi_value track(Args& args) {
  args.function = "track";
  int64_t ticket = 0;
  if (!get_integer(args, 1, "ticket", 0, kMaxId, &ticket)) return nullptr;
  if (args.self->is_tracked(static_cast<int32_t>(ticket))) return misuse(args, "a ticket that is not in use", true);
  if (!args.self->track(args.values[0], static_cast<int32_t>(ticket))) return misuse(args, "an object");
  return nullptr;
}

napi_value untrack(Args& args) {
  args.function = "untrack";
  int64_t ticket = 0;
  if (!get_integer(args, 0, "ticket", 0, kMaxId, &ticket)) return nullptr;
  if (!args.self->is_tracked(static_cast<int32_t>(ticket))) return misuse(args, "a ticket in use", true);
  args.self->untrack(static_cast<int32_t>(ticket));
  return nullptr;
}

napi_value set_num_threads(Args& args) {
  args.function = "setNumThreads";
  int64_t count = 0;
  if (get_integer(args, 0, "n", 1, ThreadPool::kMaxThreads, &count))
    ThreadPool::get().set_threads(static_cast<int>(count));
  return nullptr;
}

napi_value queued(Args& args) { return number(args.env, args.self->stream->in_flight()); }

napi_value get_num_threads(Args& args) { return number(args.env, ThreadPool::get().threads()); }

napi_value memory(Args& args) {
  napi_env env = args.env;
  const MemoryStats stats = Allocator::get().stats();
  napi_value result = nullptr;
  napi_create_object(env, &result);
  set(env, result, "allocated", number(env, static_cast<double>(stats.allocated)));
  set(env, result, "reserved", number(env, static_cast<double>(stats.reserved)));
  set(env, result, "peak", number(env, static_cast<double>(stats.peak)));
  set(env, result, "limit", number(env, stats.limit == SIZE_MAX ? INFINITY : static_cast<double>(stats.limit)));
  set(env, result, "handles", number(env, static_cast<double>(args.self->stream->interpreter().handles())));
  set(env, result, "inFlight", number(env, args.self->stream->in_flight()));
  return result;
}

napi_value set_memory_limit(Args& args) {
  args.function = "setMemoryLimit";
  double bytes = 0;
  if (!get_number(args, 0, "bytes", &bytes)) return nullptr;
  if (!(bytes >= 0)) return misuse(args, "bytes to be a number of at least 0", true);
  Allocator::get().set_limit(bytes >= 9007199254740992.0 ? SIZE_MAX : static_cast<size_t>(bytes));
  return nullptr;
}

napi_value reset_peak(Args&) {
  Allocator::get().reset_peak();
  return nullptr;
}

napi_value empty_cache(Args&) {
  Allocator::get().empty_cache();
  return nullptr;
}

napi_value info(Args& args) {
  napi_env env = args.env;
  std::vector<std::string> compiled;
  std::vector<std::string> supported;
  for (const Isa& isa : isas()) {
    if (isa.kernels != nullptr) compiled.emplace_back(isa.name);
    if (isa.supported) supported.emplace_back(isa.name);
  }
  const Caches sizes = cpu_caches();
  napi_value caches = nullptr;
  napi_create_object(env, &caches);
  set(env, caches, "l1d", number(env, static_cast<double>(sizes.l1d)));
  set(env, caches, "l2", number(env, static_cast<double>(sizes.l2)));
  set(env, caches, "l3", number(env, static_cast<double>(sizes.l3)));
  napi_value result = nullptr;
  napi_create_object(env, &result);
  set(env, result, "version", text(env, MYELIN_VERSION));
  set(env, result, "isa", text(env, chosen_isa(nullptr)->name));
  set(env, result, "compiledIsas", text_list(env, compiled));
  set(env, result, "supportedIsas", text_list(env, supported));
  set(env, result, "features", text_list(env, cpu_features()));
  set(env, result, "cpu", text(env, cpu_name()));
  set(env, result, "cores", number(env, usable_cores()));
  set(env, result, "threads", number(env, ThreadPool::get().threads()));
  set(env, result, "caches", caches);
  return result;
}

// Worker environments close the library as they end; the pool's threads need its code for as long as the process lives.
void keep_loaded() {
#ifdef RTLD_NODELETE
  Dl_info own;
  if (dladdr(reinterpret_cast<void*>(&keep_loaded), &own) != 0 && own.dli_fname != nullptr) {
    dlopen(own.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  }
#endif
}

napi_value load(napi_env env, napi_value exports) {
  std::string why;
  const Isa* isa = chosen_isa(&why);
  if (isa == nullptr) {
    napi_throw_error(env, nullptr, why.c_str());
    return nullptr;
  }
  keep_loaded();
  Instance* self = Instance::make(env, exports, isa->kernels, deliver);
  if (self == nullptr) return nullptr;
  std::vector<std::string> ops;
  for (const OpInfo& op : kOps) ops.emplace_back(op.name);
  set(env, exports, "ops", text_list(env, ops));
  set(env, exports, "segmentWords", number(env, kSegmentWords));

  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {
      {"submit", entry<submit>},
      {"item", entry<item>},
      {"read", entry<read>},
      {"sync", entry<sync>},
      {"upload", entry<upload>},
      {"track", entry<track>},
      {"untrack", entry<untrack>},
      {"setNumThreads", entry<set_num_threads>},
      {"queued", entry<queued>},
      {"getNumThreads", entry<get_num_threads>},
      {"memory", entry<memory>},
      {"setMemoryLimit", entry<set_memory_limit>},
      {"resetPeak", entry<reset_peak>},
      {"emptyCache", entry<empty_cache>},
      {"info", entry<info>},
  };
  for (const auto& [name, function] : functions) {
    napi_value made = nullptr;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, self, &made) != napi_ok) return nullptr;
    set(env, exports, name, made);
  }
  return exports;
}

}  // namespace
}  // namespace myelin

NAPI_MODULE_INIT() {
  try {
    return myelin::load(env, exports);
  } catch (...) {
    napi_throw_error(env, nullptr, "out of memory");
    return nullptr;
  }
}
