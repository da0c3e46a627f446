// The interpreter of command words: validates them, allocates outputs, calls kernels.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <atomic>
#include <mutex>
#include <vector>

#include "kernels/call.h"
#include "ops.h"
#include "tensor.h"
#include "thread_pool.h"

namespace myelin {

inline constexpr int kSegments = 8;
inline constexpr int kSegmentWords = 8192;

// Runs commands on a table of slots. One thread at a time, except where said.
//
// A command is [opcode, nin, nout, nparams, …operands, …params], or [-1, id]: free, or [-2, id]: bind the oldest upload
// of that id. A command that fails poisons the outputs that it would have made; what it would have updated in place
// keeps its contents, and its error is kept for take_error(), as is that of words that are no command.
class Interpreter {
 public:
  explicit Interpreter(const Kernel* kernels);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  // Runs words [0, count), or fewer once `stop` is set.
  void run(const double* words, int count, const std::atomic<bool>& stop);

  // The first error kept since the last call, or null.
  ErrorRef take_error();
  // The element at `offset` of that storage, seen as dtype.
  ErrorRef read_element(int64_t id, DType dtype, int64_t offset, double* value);
  // The address of bytes [offset, offset + length) of that storage.
  ErrorRef read_bytes(int64_t id, int64_t offset, int64_t length, const void** data);

  // Any thread: hands over a block of the allocator, to be bound by [-2, id]. Throws std::bad_alloc, then the block is
  // the caller's still.
  void add_upload(int64_t id, void* data, size_t bytes);

  // Any thread.
  size_t upload_bytes() const { return upload_bytes_.load(std::memory_order_relaxed); }
  size_t bytes() const { return bytes_.load(std::memory_order_relaxed) + upload_bytes(); }
  int64_t handles() const { return handles_.load(std::memory_order_relaxed); }

 private:
  struct Upload {
    int64_t id;
    void* data;
    size_t bytes;
  };

  bool step(WordReader& reader);
  bool command(WordReader& reader, int64_t opcode);
  // The next three answer with the first thing wrong, or null.
  ErrorRef bind_input(const OpInfo& op, int64_t index, const Operand& operand, View* view) const;
  ErrorRef bind_output(const OpInfo& op, int64_t index, Operand* operand, View* view);
  ErrorRef check_indices(const OpInfo& op, int64_t nin, int64_t nout) const;
  ErrorRef kernel_error(const OpInfo& op, Status status, int64_t nin, int64_t nout) const;
  void fail(const ErrorRef& error, Operand* outputs, int64_t nout);
  void keep(const ErrorRef& error);
  void poison(Slot* slot, const ErrorRef& error);
  void fill(Slot* slot, void* data, size_t bytes);
  void clear(Slot* slot);
  // Keeper of the running command.
  void* keep_block(int input, const int64_t* numbers, int count, size_t bytes, bool* ready);
  void drop_kept(Slot* slot);
  bool drop_all_kept();
  void bind_upload(int64_t id);
  ErrorRef readable(const char* op, int64_t id, const Slot** slot) const;

  const Kernel* kernels_;
  SlotTable slots_;
  std::vector<Operand> operands_;  // inputs, then outputs
  std::vector<View> views_;
  ErrorRef error_;
  PoolClient pool_;
  Keeper keeper_;
  Slot* unfilled_ = nullptr;  // of whose kept blocks the running command fills the last
  std::atomic<size_t> bytes_{0};
  std::atomic<int64_t> handles_{0};

  std::mutex uploads_mutex_;
  std::vector<Upload> uploads_;  // in the order they came, from first_upload_ on
  size_t first_upload_ = 0;
  std::atomic<size_t> upload_bytes_{0};
};

}  // namespace myelin
