#include "tensor.h"

#include <algorithm>

namespace myelin {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 46;
constexpr int64_t kMaxWord = int64_t{1} << 53;

void fail(Operand* operand, int32_t status, const char* what) {
  if (operand->fault != nullptr) return;
  operand->fault = what;
  operand->fault_status = status;
}

// Elements of the shape, or -1 when there are too many. Sizes are at most kMaxWord; zeros do not hide what overflows.
int64_t count_elements(const int64_t* shape, int ndim) {
  int64_t total = 1;
  bool empty = false;
  for (int d = 0; d < ndim; ++d) {
    empty |= shape[d] == 0;
    if (__builtin_mul_overflow(total, shape[d] > 1 ? shape[d] : 1, &total) || total > kMaxElements) return -1;
  }
  return empty ? 0 : total;
}

void set_row_major(View* view) {
  int64_t stride = 1;
  for (int d = view->ndim - 1; d >= 0; --d) {
    view->strides[d] = stride;
    if (view->shape[d] > 1) stride *= view->shape[d];
  }
}

bool is_row_major(const View& view) {
  int64_t stride = 1;
  for (int d = view.ndim - 1; d >= 0; --d) {
    if (view.shape[d] <= 1) continue;
    if (view.strides[d] != stride) return false;
    stride *= view.shape[d];
  }
  return true;
}

bool parse_scalar(WordReader& reader, Operand* operand, View* view) {
  int64_t dtype = 0;
  if (!reader.integer(0, kDTypeCount - 1, &dtype) || !reader.has(1)) return false;
  const double value = reader.next();
  operand->kind = OperandKind::kScalar;
  void* const cell = &operand->scalar_cell;
  *view = View{};
  view->data = cell;
  view->numel = 1;
  view->dtype = static_cast<DType>(dtype);
  view->contiguous = true;
  const bool whole = value >= -9007199254740992.0 && value <= 9007199254740992.0 &&
                     static_cast<double>(static_cast<int64_t>(value)) == value;
  switch (view->dtype) {
    case kFloat32: {
      const float narrow = static_cast<float>(value);
      memcpy(cell, &narrow, sizeof narrow);
      break;
    }
    case kFloat64:
      memcpy(cell, &value, sizeof value);
      break;
    case kInt32: {
      if (!whole || value < -2147483648.0 || value > 2147483647.0) {
        fail(operand, kBadParameter, "is no int32");
        break;
      }
      const int32_t integer = static_cast<int32_t>(value);
      memcpy(cell, &integer, sizeof integer);
      break;
    }
    case kUint8: {
      if (!whole) fail(operand, kBadParameter, "is no whole number");
      const uint8_t byte = static_cast<uint8_t>(whole ? static_cast<int64_t>(value) : 0);
      memcpy(cell, &byte, sizeof byte);
      break;
    }
    default: {
      const uint8_t flag = value != 0;
      memcpy(cell, &flag, sizeof flag);
    }
  }
  return true;
}

}  // namespace

const ErrorRef& out_of_memory_error() {
  static const ErrorRef* const error =
      new ErrorRef(std::make_shared<const Error>(Error{kOutOfMemory, "executor", "out of memory"}));
  return *error;
}

ErrorRef make_error(int32_t status, const char* op, const std::string& what) {
  return std::make_shared<const Error>(Error{status, op, what});
}

double load_element(const void* data, DType dtype) {
  switch (dtype) {
    case kFloat32: {
      float value;
      memcpy(&value, data, sizeof value);
      return static_cast<double>(value);
    }
    case kFloat64: {
      double value;
      memcpy(&value, data, sizeof value);
      return value;
    }
    case kInt32: {
      int32_t value;
      memcpy(&value, data, sizeof value);
      return value;
    }
    default:
      return *static_cast<const uint8_t*>(data);
  }
}

bool parse_operand(WordReader& reader, Operand* operand, View* view) {
  operand->fault = nullptr;
  operand->id = -1;
  operand->offset = 0;
  operand->extent = 0;
  operand->slot = nullptr;
  operand->fresh = false;
  int64_t id = 0;
  if (!reader.integer(-2, kMaxId, &id)) return false;
  if (id == -1) return parse_scalar(reader, operand, view);
  if (id == -2) {
    operand->kind = OperandKind::kAbsent;
    view->data = nullptr;
    view->ndim = -1;
    view->numel = 0;
    view->dtype = kFloat32;
    view->contiguous = false;
    return true;
  }
  int64_t meta = 0;
  if (!reader.integer(0, 511, &meta)) return false;
  const int ndim = static_cast<int>(meta >> 4) & 15;
  const bool contiguous = (meta & 256) != 0;
  if (ndim > kMaxDims || (meta & 15) >= kDTypeCount || !reader.has(1 + (contiguous ? 1 : 2) * ndim)) return false;
  operand->kind = OperandKind::kTensor;
  operand->marked_contiguous = contiguous;
  operand->id = id;
  view->data = nullptr;
  view->ndim = ndim;
  view->dtype = static_cast<DType>(meta & 15);
  bool valid = reader.integer(0, kMaxWord, &operand->offset);
  for (int d = 0; d < ndim; ++d) valid &= reader.integer(0, kMaxWord, &view->shape[d]);
  if (!contiguous) {
    for (int d = 0; d < ndim; ++d) valid &= reader.integer(0, kMaxWord, &view->strides[d]);
  }
  view->numel = valid ? count_elements(view->shape, ndim) : -1;
  if (view->numel < 0) {
    *view = View{};
    fail(operand, kBadShape, valid ? "has too many elements" : "has a negative or fractional size, stride or offset");
    return true;
  }
  if (contiguous) {
    set_row_major(view);
    view->contiguous = true;
    if (view->numel > 0) operand->extent = operand->offset + view->numel;
    return true;
  }
  view->contiguous = is_row_major(*view);
  if (view->numel == 0) return true;
  int64_t last = operand->offset;
  for (int d = 0; d < ndim; ++d) {
    int64_t step = 0;
    if (__builtin_mul_overflow(view->shape[d] - 1, view->strides[d], &step) ||
        __builtin_add_overflow(last, step, &last)) {
      fail(operand, kBadShape, "has strides that overflow");
      return true;
    }
  }
  operand->extent = last + 1;
  if (last > kMaxWord) fail(operand, kBadShape, "has strides that overflow");
  return true;
}

bool bind_view(const Operand& operand, const Slot& slot, View* view) {
  const size_t size = item_size(view->dtype);
  const size_t elements = slot.bytes / size;
  if (static_cast<size_t>(operand.extent) > elements) return false;
  const size_t offset = view->numel == 0 ? 0 : static_cast<size_t>(operand.offset);
  view->data = static_cast<char*>(slot.data) + offset * size;
  return true;
}

std::string describe(const View& view) {
  static const char* const names[kDTypeCount] = {"float32", "float64", "int32", "uint8", "bool"};
  if (view.ndim < 0) return "nothing";
  std::string text = std::string(names[view.dtype]) + " [";
  for (int d = 0; d < view.ndim; ++d) text += (d == 0 ? "" : ", ") + std::to_string(view.shape[d]);
  return text + "]";
}

std::string describe_range(const View& view) {
  if (view.dtype != kInt32 || view.data == nullptr || view.ndim < 0 || view.numel == 0) return "";
  const auto* data = static_cast<const int32_t*>(view.data);
  int32_t low = data[0];
  int32_t high = data[0];
  int64_t at[kMaxDims] = {};
  int64_t offset = 0;
  for (int64_t i = 0; i < view.numel; ++i) {
    low = std::min(low, data[offset]);
    high = std::max(high, data[offset]);
    for (int d = view.ndim - 1; d >= 0; --d) {
      offset += view.strides[d];
      if (++at[d] < view.shape[d]) break;
      offset -= view.strides[d] * view.shape[d];
      at[d] = 0;
    }
  }
  return low == high ? " of " + std::to_string(low) : " from " + std::to_string(low) + " to " + std::to_string(high);
}

}  // namespace myelin
