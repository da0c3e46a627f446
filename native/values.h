// JavaScript values: making them, and checking what a function was called with.
#pragma once
// The experimental version of Node-API (its headers may be without that name): only its modules get finalizers that run
// inside a collection, and not when the loop turns next.
#undef NAPI_VERSION
#define NAPI_VERSION 2147483647
#define NAPI_EXPERIMENTAL
#define NODE_API_EXPERIMENTAL_NO_WARNING
#include <node_api.h>
static_assert(NAPI_VERSION == NAPI_VERSION_EXPERIMENTAL);

#include <stddef.h>
#include <stdint.h>

#include <string>
#include <vector>

#include "tensor.h"

namespace myelin {

struct Instance;

napi_value number(napi_env env, double value);
napi_value boolean(napi_env env, bool value);
napi_value text(napi_env env, const std::string& value);
napi_value text_list(napi_env env, const std::vector<std::string>& values);
void set(napi_env env, napi_value object, const char* name, napi_value value);

// {status, op, message}: errors of commands are values.
napi_value failure(napi_env env, int32_t status, const std::string& op, const std::string& message);
napi_value failure(napi_env env, const ErrorRef& error);

// A call from JavaScript.
struct Args {
  const char* function;
  napi_env env;
  Instance* self;
  size_t count;
  napi_value values[4];  // undefined past count
};

// Throws `<function>: expected <what>`, a RangeError or else a TypeError; null.
napi_value misuse(const Args& args, const std::string& what, bool range = false);

// These throw and answer false when the argument is something else.
bool get_number(const Args& args, size_t index, const char* name, double* out);
bool get_integer(const Args& args, size_t index, const char* name, int64_t low, int64_t high, int64_t* out);
// Null when there is none.
bool get_callback(const Args& args, size_t index, napi_value* out);

}  // namespace myelin
