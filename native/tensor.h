// Storages by id, and the operands of commands: words become checked views of storages.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <memory>
#include <string>
#include <vector>

#include "kernels/call.h"

namespace myelin {

// What may be wrong with a command besides what kernels answer.
enum CommandStatus : int32_t {
  kBadCommand = 6,  // words that are no command, or operands that the op's row does not have
  kNoStorage = 7,   // an id that names no storage: never made, or freed
};

// What a failed command leaves. Whatever is computed from its outputs shares it.
struct Error {
  int32_t status;
  std::string op;
  std::string message;  // without the op's name
};
using ErrorRef = std::shared_ptr<const Error>;

// "out of memory", made in advance so that it can be told when there is none.
const ErrorRef& out_of_memory_error();
ErrorRef make_error(int32_t status, const char* op, const std::string& what);

inline constexpr int64_t kMaxId = (int64_t{1} << 31) - 1;

inline size_t item_size(DType dtype) {
  constexpr unsigned char sizes[kDTypeCount] = {4, 8, 4, 1, 1};
  return sizes[dtype];
}

// Reads an element of that type as a number.
double load_element(const void* data, DType dtype);

// What kernels have kept of a view of a storage (see Keeper), or that one has asked for the first time: no data.
struct Kept {
  int64_t offset;
  int64_t shape[kMaxDims], strides[kMaxDims];
  int64_t numbers[kMaxKept];
  int32_t ndim;
  int32_t count;
  void* data;
  size_t bytes;
};

// A block of memory, or the error of the command that should have made it, or nothing.
struct Slot {
  void* data = nullptr;
  size_t bytes = 0;
  ErrorRef error;
  std::unique_ptr<std::vector<Kept>> kept;
  bool empty() const { return data == nullptr && error == nullptr; }
};

// Entries by id. Ids are dense but any id up to kMaxId is safe: a directory of pages that are made at first use and
// stay where they are.
template <class T>
class PagedTable {
 public:
  // Null when nothing near that id was ever made.
  T* find(int64_t id) const {
    const size_t page = static_cast<size_t>(id) >> kPageBits;
    if (page >= pages_.size() || pages_[page] == nullptr) return nullptr;
    return &pages_[page][static_cast<size_t>(id) & (kPageSize - 1)];
  }
  // Throws std::bad_alloc.
  T& at(int64_t id) {
    T* entry = find(id);
    return entry != nullptr ? *entry : make(id);
  }
  template <class F>
  void each(const F& visit) {
    for (const auto& page : pages_) {
      for (size_t i = 0; page != nullptr && i < kPageSize; ++i) visit(page[i]);
    }
  }

 private:
  static constexpr size_t kPageBits = 10;
  static constexpr size_t kPageSize = size_t{1} << kPageBits;

  T& make(int64_t id) {
    const size_t page = static_cast<size_t>(id) >> kPageBits;
    if (page >= pages_.size()) pages_.resize(page + 1 > 2 * pages_.size() ? page + 1 : 2 * pages_.size());
    pages_[page] = std::make_unique<T[]>(kPageSize);
    return pages_[page][static_cast<size_t>(id) & (kPageSize - 1)];
  }

  std::vector<std::unique_ptr<T[]>> pages_;
};

using SlotTable = PagedTable<Slot>;

// Words of a segment, from a position on. Each word is read once, in one access: whatever JavaScript writes meanwhile,
// a value that was checked is the value that is used.
class WordReader {
 public:
  WordReader(const double* words, int count) : words_(words), count_(count) {}
  int position() const { return position_; }
  bool at_end() const { return position_ >= count_; }
  bool has(int64_t words) const { return words <= count_ - position_; }

  // To be called only when has(1).
  double next() {
    uint64_t bits;
    __atomic_load(reinterpret_cast<const uint64_t*>(words_ + position_++), &bits, __ATOMIC_RELAXED);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
  }
  // A whole number in [low, high]; false for anything else.
  bool integer(int64_t low, int64_t high, int64_t* out) {
    if (!has(1)) return false;
    const double value = next();
    if (!(value >= static_cast<double>(low) && value <= static_cast<double>(high))) return false;
    *out = static_cast<int64_t>(value);
    return static_cast<double>(*out) == value;
  }

 private:
  const double* words_;
  int count_;
  int position_ = 0;
};

enum class OperandKind { kTensor, kScalar, kAbsent };

// One operand as the command gives it. The view's data is filled in when the storage is known.
struct Operand {
  OperandKind kind;
  bool marked_contiguous;
  int64_t id;
  int64_t offset;  // elements
  int64_t extent;  // one past the last element that the view reaches, counted from the storage's start; 0: reaches none
  double scalar_cell;  // memory of an immediate scalar
  const char* fault;   // what is wrong with it, or null
  int32_t fault_status;
  Slot* slot;  // an output's slot, for the executor
  bool fresh;  // the running command has allocated that slot
};

// Reads one operand:
//   tensor            [id, dtype | ndim << 4 | contiguous << 8, offset, …shape, …strides if not contiguous]
//   immediate scalar  [-1, dtype, value]
//   absent            [-2]
// False: not an operand, and where the next one starts is unknown. A fault inside a readable operand (sizes or strides
// that overflow, a value that does not fit) is left in operand->fault. A scalar's view points into the operand.
bool parse_operand(WordReader& reader, Operand* operand, View* view);

// Points the view into the storage; false when it reaches outside.
bool bind_view(const Operand& operand, const Slot& slot, View* view);

// `float32 [2, 3]`
std::string describe(const View& view);

// " from 0 to 7": the least and the greatest value of an int32 view; nothing for others and for empty ones.
std::string describe_range(const View& view);

}  // namespace myelin
