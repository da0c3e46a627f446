#include "values.h"

#include <math.h>
#include <node_api.h>
#include <stdio.h>

namespace myelin {

napi_value number(napi_env env, double value) {
  napi_value result = nullptr;
  napi_create_double(env, value, &result);
  return result;
}

napi_value text(napi_env env, const std::string& value) {
  napi_value result = nullptr;
  napi_create_string_utf8(env, value.c_str(), value.size(), &result);
  return result;
}

napi_value text_list(napi_env env, const std::vector<std::string>& values) {
  napi_value result = nullptr;
  napi_create_array_with_length(env, values.size(), &result);
  for (size_t i = 0; i < values.size(); ++i)
    napi_set_element(env, result, static_cast<uint32_t>(i), text(env, values[i]));
  return result;
}

napi_value boolean(napi_env env, bool value) {
  napi_value result = nullptr;
  napi_get_boolean(env, value, &result);
  return result;
}

void set(napi_env env, napi_value object, const char* name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

napi_value failure(napi_env env, int32_t status, const std::string& op, const std::string& message) {
  napi_value result = nullptr;
  napi_create_object(env, &result);
  set(env, result, "status", number(env, status));
  set(env, result, "op", text(env, op));
  set(env, result, "message", text(env, message));
  return result;
}

napi_value failure(napi_env env, const ErrorRef& error) {
  return failure(env, error->status, error->op, error->message);
}

napi_value misuse(const Args& args, const std::string& what, bool range) {
  const std::string message = std::string(args.function) + ": expected " + what;
  (range ? napi_throw_range_error : napi_throw_type_error)(args.env, nullptr, message.c_str());
  return nullptr;
}

bool get_number(const Args& args, size_t index, const char* name, double* out) {
  if (napi_get_value_double(args.env, args.values[index], out) == napi_ok) return true;
  misuse(args, std::string(name) + " to be a number");
  return false;
}

bool get_integer(const Args& args, size_t index, const char* name, int64_t low, int64_t high, int64_t* out) {
  double value = 0;
  if (!get_number(args, index, name, &value)) return false;
  if (value >= static_cast<double>(low) && value <= static_cast<double>(high) && value == floor(value)) {
    *out = static_cast<int64_t>(value);
    return true;
  }
  char got[40];
  snprintf(got, sizeof got, "%.17g", value);
  misuse(args,
         std::string(name) + " to be an integer from " + std::to_string(low) + " to " + std::to_string(high) +
             ", got " + got,
         true);
  return false;
}

bool get_callback(const Args& args, size_t index, napi_value* out) {
  *out = nullptr;
  napi_valuetype type = napi_undefined;
  napi_typeof(args.env, args.values[index], &type);
  if (type == napi_function) *out = args.values[index];
  if (type == napi_function || type == napi_undefined || type == napi_null) return true;
  misuse(args, "callback to be a function");
  return false;
}

}  // namespace myelin
