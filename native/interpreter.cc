#include "interpreter.h"

#include <algorithm>
#include <new>

#include "allocator.h"

namespace myelin {
namespace {

// A counter that one thread at a time changes and any may read.
template <class T, class D>
void bump(std::atomic<T>& counter, D change) {
  counter.store(counter.load(std::memory_order_relaxed) + static_cast<T>(change), std::memory_order_relaxed);
}

constexpr size_t kMostKept = 64;  // blocks of a storage

std::string operand_name(const char* kind, int64_t index, const Operand& operand) {
  std::string name = std::string(kind) + " " + std::to_string(index);
  if (operand.id >= 0) name += " (id " + std::to_string(operand.id) + ")";
  return name;
}

const char* meaning(Status status) {
  switch (status) {
    case kOutOfMemory:
      return "no memory for scratch";
    case kBadShape:
      return "operands do not fit together";
    case kBadDType:
      return "unsupported dtypes";
    case kBadParameter:
      return "a parameter is out of its range";
    case kBadIndex:
      return "an index is out of range";
    case kBadLength:
      return "a length is out of range";
    default:
      return "failed";
  }
}

}  // namespace

Interpreter::Interpreter(const Kernel* kernels) : kernels_(kernels), operands_(64), views_(64) {
  keeper_ = {this, [](void* self, int input, const int64_t* numbers, int count, size_t bytes, bool* ready) {
               return static_cast<Interpreter*>(self)->keep_block(input, numbers, count, bytes, ready);
             }};
}

Interpreter::~Interpreter() {
  slots_.each([this](Slot& slot) { clear(&slot); });
  for (size_t i = first_upload_; i < uploads_.size(); ++i) {
    Allocator::get().release(uploads_[i].data, uploads_[i].bytes);
  }
}

void Interpreter::run(const double* words, int count, const std::atomic<bool>& stop) {
  WordReader reader(words, count);
  while (!reader.at_end() && !stop.load(std::memory_order_relaxed)) {
    const int start = reader.position();
    try {
      if (step(reader)) continue;
      keep(make_error(kBadCommand, "executor", "no command at word " + std::to_string(start) + " of a segment"));
    } catch (const std::bad_alloc&) {
      keep(out_of_memory_error());
    }
    return;
  }
}

// False when the words make no sense, so that where the next command starts is unknown.
bool Interpreter::step(WordReader& reader) {
  int64_t opcode = 0;
  if (!reader.integer(-2, kOpCount - 1, &opcode)) return false;
  if (opcode >= 0) return command(reader, opcode);
  int64_t id = 0;
  if (!reader.integer(0, kMaxId, &id)) return false;
  if (opcode == -2) {
    bind_upload(id);
  } else if (Slot* slot = slots_.find(id)) {
    clear(slot);
  }
  return true;
}

bool Interpreter::command(WordReader& reader, int64_t opcode) {
  const OpInfo& op = kOps[opcode];
  int64_t given = 0;
  int64_t nout = 0;
  int64_t nparams = 0;
  if (!reader.integer(0, kSegmentWords, &given) || !reader.integer(0, kSegmentWords, &nout) ||
      !reader.integer(0, kSegmentWords, &nparams) || !reader.has(given + nout + nparams)) {
    return false;
  }
  // Inputs that are left out at the end become absent operands, so that kernels find as many as their row names.
  const int64_t nin = std::max<int64_t>(given, op.input_list ? op.inputs - 1 : op.inputs);
  if (static_cast<size_t>(nin + nout) > views_.size()) {
    operands_.resize(static_cast<size_t>(nin + nout));
    views_.resize(static_cast<size_t>(nin + nout));
  }
  Operand* const inputs = operands_.data();
  Operand* const outputs = inputs + nin;
  View* const in = views_.data();
  View* const out = in + nin;

  ErrorRef error;
  if ((given > op.inputs && !op.input_list) || (nout > op.outputs && !op.output_list) ||
      nout < op.outputs - (op.output_list ? 1 : 0) || nparams != op.params) {
    error = make_error(kBadCommand, op.name, "wrong number of operands or parameters");
  }
  for (int64_t i = 0; i < nin; ++i) {
    if (i < given) {
      if (!parse_operand(reader, &inputs[i], &in[i])) return false;
    } else {
      static constexpr double absent[1] = {-2};
      WordReader nothing(absent, 1);
      parse_operand(nothing, &inputs[i], &in[i]);
    }
    if (error == nullptr) error = bind_input(op, i, inputs[i], &in[i]);
  }
  for (int64_t i = 0; i < nout; ++i) {
    if (!parse_operand(reader, &outputs[i], &out[i])) return false;
    if (outputs[i].id >= 0) outputs[i].slot = &slots_.at(outputs[i].id);
  }
  double params[kMaxParams];
  if (!reader.has(nparams)) return false;
  for (int64_t i = 0; i < nparams; ++i) {
    const double value = reader.next();
    if (i < kMaxParams) params[i] = value;
  }
  for (int64_t i = 0; i < nout && error == nullptr; ++i) error = bind_output(op, i, &outputs[i], &out[i]);
  if (error == nullptr && op.index_inputs != 0) error = check_indices(op, nin, nout);
  if (error == nullptr) {
    const Call call{in,        out,     params, pool_.pool(), static_cast<int32_t>(nin), static_cast<int32_t>(nout),
                    op.params, &keeper_};
    unfilled_ = nullptr;
    const Status status = kernels_[opcode](call);
    if (status == kOk) return true;
    if (unfilled_ != nullptr) drop_kept(unfilled_);
    error = kernel_error(op, status, nin, nout);
  }
  fail(error, outputs, nout);
  return true;
}

ErrorRef Interpreter::bind_input(const OpInfo& op, int64_t index, const Operand& operand, View* view) const {
  if (operand.fault != nullptr) {
    return make_error(operand.fault_status, op.name, operand_name("input", index, operand) + " " + operand.fault);
  }
  if (operand.kind == OperandKind::kScalar) return nullptr;
  if (operand.kind == OperandKind::kAbsent) {
    if (index < op.inputs && (op.optional >> index & 1) != 0) return nullptr;
    return make_error(kBadCommand, op.name, operand_name("input", index, operand) + " is missing");
  }
  const Slot* slot = slots_.find(operand.id);
  if (slot == nullptr || slot->empty()) {
    return make_error(kNoStorage, op.name, operand_name("input", index, operand) + " has no storage");
  }
  if (slot->error != nullptr) return slot->error;
  if (bind_view(operand, *slot, view)) return nullptr;
  return make_error(kBadShape, op.name, operand_name("input", index, operand) + " reaches outside its storage");
}

ErrorRef Interpreter::bind_output(const OpInfo& op, int64_t index, Operand* operand, View* view) {
  const char* fault = operand->fault;
  int32_t status = operand->fault_status;
  if (fault == nullptr && operand->kind != OperandKind::kTensor) {
    fault = "is no tensor";
    status = kBadCommand;
  }
  if (fault == nullptr) {
    Slot* slot = operand->slot;
    if (slot->error != nullptr) return slot->error;
    if (slot->data != nullptr) {
      if (slot->kept != nullptr) drop_kept(slot);
      if (bind_view(*operand, *slot, view)) return nullptr;
      fault = "reaches outside its storage";
      status = kBadShape;
    } else if (!operand->marked_contiguous || operand->offset != 0) {
      fault = "is new and must be contiguous, from offset 0";
      status = kBadShape;
    } else {
      const size_t bytes = static_cast<size_t>(view->numel) * item_size(view->dtype);
      view->data = Allocator::get().allocate(bytes);
      if (view->data == nullptr && drop_all_kept()) view->data = Allocator::get().allocate(bytes);
      if (view->data != nullptr) {
        fill(slot, view->data, bytes);
        operand->fresh = true;
        return nullptr;
      }
      const std::string what = "out of memory: " + std::to_string(bytes) + " bytes for " + describe(*view);
      return make_error(kOutOfMemory, op.name, what);
    }
  }
  return make_error(status, op.name, operand_name("output", index, *operand) + " " + fault);
}

// Kernels check the values of indices, then use them: no output may change them in between.
ErrorRef Interpreter::check_indices(const OpInfo& op, int64_t nin, int64_t nout) const {
  const int64_t count = std::min<int64_t>(nin, op.inputs);
  for (int64_t i = 0; i < count; ++i) {
    const Operand& input = operands_[static_cast<size_t>(i)];
    if ((op.index_inputs >> i & 1) == 0 || input.kind != OperandKind::kTensor) continue;
    const int64_t size_in = static_cast<int64_t>(item_size(views_[static_cast<size_t>(i)].dtype));
    for (int64_t j = nin; j < nin + nout; ++j) {
      const Operand& output = operands_[static_cast<size_t>(j)];
      const int64_t size_out = static_cast<int64_t>(item_size(views_[static_cast<size_t>(j)].dtype));
      if (output.id == input.id && output.offset * size_out < input.extent * size_in &&
          input.offset * size_in < output.extent * size_out) {
        return make_error(kBadShape, op.name, "output " + std::to_string(j - nin) + " overlaps the indices");
      }
    }
  }
  return nullptr;
}

ErrorRef Interpreter::kernel_error(const OpInfo& op, Status status, int64_t nin, int64_t nout) const {
  std::string what = meaning(status);
  const bool values = status == kBadIndex || status == kBadLength;
  if (status == kBadShape || status == kBadDType || values) {
    constexpr int64_t kMost = 6;  // operands shown
    what += ": ";
    for (int64_t i = 0; i < nin + nout && i < kMost; ++i) {
      if (i > 0) what += i == nin ? " -> " : ", ";
      const View& view = views_[static_cast<size_t>(i)];
      what += describe(view);
      if (values && i < nin) what += describe_range(view);
    }
    if (nin + nout > kMost) what += ", …";
  }
  return make_error(status, op.name, what);
}

void Interpreter::fail(const ErrorRef& error, Operand* outputs, int64_t nout) {
  bool kept = nout == 0;
  for (int64_t i = 0; i < nout; ++i) {
    Slot* slot = outputs[i].slot;
    if (slot == nullptr) {
      kept = true;
    } else if (outputs[i].fresh || slot->empty()) {
      poison(slot, error);
    } else {
      kept |= slot->data != nullptr;
    }
  }
  if (kept) keep(error);
}

void Interpreter::keep(const ErrorRef& error) {
  if (error_ == nullptr) error_ = error;
}

void Interpreter::fill(Slot* slot, void* data, size_t bytes) {
  slot->data = data;
  slot->bytes = bytes;
  bump(bytes_, bytes);
  bump(handles_, 1);
}

void* Interpreter::keep_block(int input, const int64_t* numbers, int count, size_t bytes, bool* ready) {
  const Operand& operand = operands_[static_cast<size_t>(input)];
  const View& view = views_[static_cast<size_t>(input)];
  if (operand.kind != OperandKind::kTensor || count > kMaxKept) return nullptr;
  Slot* const slot = slots_.find(operand.id);
  try {
    if (slot->kept == nullptr) slot->kept = std::make_unique<std::vector<Kept>>();
    for (Kept& kept : *slot->kept) {
      if (kept.offset != operand.offset || kept.ndim != view.ndim || kept.count != count ||
          !std::equal(view.shape, view.shape + view.ndim, kept.shape) ||
          !std::equal(view.strides, view.strides + view.ndim, kept.strides) ||
          !std::equal(numbers, numbers + count, kept.numbers)) {
        continue;
      }
      if (kept.data != nullptr) {
        *ready = kept.bytes == bytes;
        return *ready ? kept.data : nullptr;
      }
      kept.data = Allocator::get().allocate(bytes);
      if (kept.data == nullptr) return nullptr;
      kept.bytes = bytes;
      bump(bytes_, bytes);
      unfilled_ = slot;
      return kept.data;
    }
    if (slot->kept->size() >= kMostKept) return nullptr;
    Kept kept{};
    kept.offset = operand.offset, kept.ndim = view.ndim, kept.count = count;
    std::copy(view.shape, view.shape + view.ndim, kept.shape);
    std::copy(view.strides, view.strides + view.ndim, kept.strides);
    std::copy(numbers, numbers + count, kept.numbers);
    slot->kept->push_back(kept);
  } catch (const std::bad_alloc&) {
  }
  return nullptr;
}

void Interpreter::drop_kept(Slot* slot) {
  for (const Kept& kept : *slot->kept) {
    if (kept.data == nullptr) continue;
    Allocator::get().release(kept.data, kept.bytes);
    bump(bytes_, size_t{0} - kept.bytes);
  }
  slot->kept->clear();
}

// Whether there was any.
bool Interpreter::drop_all_kept() {
  const size_t before = bytes();
  slots_.each([this](Slot& slot) {
    if (slot.kept != nullptr) drop_kept(&slot);
  });
  return bytes() < before;
}

void Interpreter::clear(Slot* slot) {
  if (slot->empty()) return;
  if (slot->kept != nullptr) {
    drop_kept(slot);
    slot->kept.reset();
  }
  if (slot->data != nullptr) Allocator::get().release(slot->data, slot->bytes);
  bump(bytes_, size_t{0} - slot->bytes);
  bump(handles_, -1);
  slot->data = nullptr;
  slot->bytes = 0;
  slot->error.reset();
}

void Interpreter::poison(Slot* slot, const ErrorRef& error) {
  clear(slot);
  slot->error = error;
  bump(handles_, 1);
}

void Interpreter::add_upload(int64_t id, void* data, size_t bytes) {
  const std::lock_guard<std::mutex> lock(uploads_mutex_);
  uploads_.push_back({id, data, bytes});
  bump(upload_bytes_, bytes);
}

void Interpreter::bind_upload(int64_t id) {
  Upload upload{-1, nullptr, 0};
  {
    const std::lock_guard<std::mutex> lock(uploads_mutex_);
    size_t i = first_upload_;
    while (i < uploads_.size() && uploads_[i].id != id) ++i;
    if (i < uploads_.size()) {
      upload = uploads_[i];
      // Uploads are nearly always bound in their order.
      for (; i > first_upload_; --i) uploads_[i] = uploads_[i - 1];
      if (++first_upload_ == uploads_.size()) {
        uploads_.clear();
        first_upload_ = 0;
      } else if (first_upload_ >= 1024 && first_upload_ >= uploads_.size() / 2) {
        uploads_.erase(uploads_.begin(), uploads_.begin() + static_cast<ptrdiff_t>(first_upload_));
        first_upload_ = 0;
      }
      bump(upload_bytes_, size_t{0} - upload.bytes);
    }
  }
  if (upload.data == nullptr) {
    keep(make_error(kNoStorage, "upload", "nothing was uploaded for id " + std::to_string(id)));
    return;
  }
  try {
    Slot* slot = &slots_.at(id);
    clear(slot);
    fill(slot, upload.data, upload.bytes);
  } catch (const std::bad_alloc&) {
    Allocator::get().release(upload.data, upload.bytes);
    keep(out_of_memory_error());
  }
}

ErrorRef Interpreter::take_error() {
  ErrorRef error;
  error.swap(error_);
  return error;
}

ErrorRef Interpreter::readable(const char* op, int64_t id, const Slot** slot) const {
  *slot = slots_.find(id);
  if (*slot == nullptr || (*slot)->empty())
    return make_error(kNoStorage, op, "id " + std::to_string(id) + " has no storage");
  return (*slot)->error;
}

ErrorRef Interpreter::read_element(int64_t id, DType dtype, int64_t offset, double* value) {
  const Slot* slot = nullptr;
  if (ErrorRef error = readable("item", id, &slot)) return error;
  const size_t size = item_size(dtype);
  if (static_cast<uint64_t>(offset) >= slot->bytes / size) {
    return make_error(kBadShape, "item", "element " + std::to_string(offset) + " is outside the storage");
  }
  *value = load_element(static_cast<const char*>(slot->data) + static_cast<size_t>(offset) * size, dtype);
  return nullptr;
}

ErrorRef Interpreter::read_bytes(int64_t id, int64_t offset, int64_t length, const void** data) {
  const Slot* slot = nullptr;
  if (ErrorRef error = readable("read", id, &slot)) return error;
  if (static_cast<uint64_t>(offset) > slot->bytes ||
      static_cast<uint64_t>(length) > slot->bytes - static_cast<uint64_t>(offset)) {
    const std::string range = std::to_string(offset) + " to " + std::to_string(offset + length);
    return make_error(kBadShape, "read", "bytes " + range + " are outside the storage");
  }
  *data = static_cast<const char*>(slot->data) + offset;
  return nullptr;
}

}  // namespace myelin
