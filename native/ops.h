// What the executor knows about each op, made at compile time from ops.def.
#pragma once
#include <stdint.h>

namespace myelin {

struct OpInfo {
  const char* name;
  int32_t inputs;  // operands the row names; a list counts as one
  int32_t outputs;
  int32_t params;
  bool input_list;  // the last input repeats any number of times
  bool output_list;
  uint32_t optional;      // bit i: input i may be left out
  uint32_t index_inputs;  // bit i: input i holds indices, which kernels check before they use them as addresses
};

namespace ops_detail {

constexpr bool same(const char* begin, const char* end, const char* text) {
  while (begin != end && *text != '\0' && *begin == *text) ++begin, ++text;
  return begin == end && *text == '\0';
}

// Calls visit(index, begin, end) for each name of a row's space-separated list; the number of names.
template <class F>
constexpr int32_t each_name(const char* text, F visit) {
  int32_t count = 0;
  while (*text != '\0') {
    const char* end = text;
    while (*end != '\0' && *end != ' ') ++end;
    visit(count++, text, end);
    text = *end == ' ' ? end + 1 : end;
  }
  return count;
}

constexpr OpInfo describe(const char* name, const char* inputs, const char* outputs, const char* params) {
  OpInfo info{name, 0, 0, 0, false, false, 0, 0};
  info.inputs = each_name(inputs, [&info](int32_t i, const char* begin, const char* end) {
    if (end[-1] == '*') info.input_list = true;
    if (end[-1] == '?') info.optional |= 1u << i;
    if (same(begin, end, "index") || same(begin, end, "target")) info.index_inputs |= 1u << i;
  });
  info.outputs = each_name(outputs, [&info](int32_t, const char*, const char* end) {
    if (end[-1] == '*') info.output_list = true;
  });
  info.params = each_name(params, [](int32_t, const char*, const char*) {});
  return info;
}

}  // namespace ops_detail

inline constexpr OpInfo kOps[] = {
#define OP(name, inputs, outputs, params) ops_detail::describe(#name, inputs, outputs, params),
#include "ops.def"
#undef OP
};
inline constexpr int32_t kOpCount = sizeof(kOps) / sizeof(kOps[0]);
inline constexpr int32_t kMaxParams = 16;

}  // namespace myelin
