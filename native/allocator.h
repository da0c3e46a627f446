// The caching allocator behind every tensor, shared by all environments of the process: 64-byte aligned blocks, small ones in size
// classes that are kept after release, large ones from an arena.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <mutex>

#include "arena.h"

namespace myelin {

// All figures are bytes of whole blocks.
struct MemoryStats {
  size_t allocated;  // held by callers
  size_t reserved;   // taken from the system: allocated + cached + scratch
  size_t peak;       // largest `allocated` since the last reset
  size_t limit;      // SIZE_MAX: none
};

class Allocator {
 public:
  static constexpr size_t kAlignment = 64;

  // The process's one allocator. Never destroyed: threads may hold blocks while the process exits.
  static Allocator& get();

  // Contents are undefined; 0 bytes give a block too. Null when the limit or the system says no, after the cache has
  // been given up.
  void* allocate(size_t bytes);
  // `bytes` as given to allocate().
  void release(void* block, size_t bytes);

  // Memory for kernels' scratch: counts as reserved, not as allocated, and not against the limit.
  void* allocate_scratch(size_t bytes);
  void release_scratch(void* block, size_t bytes);

  void empty_cache();
  MemoryStats stats();
  void reset_peak();
  // A limit below what is held already fails allocations until enough has been released.
  void set_limit(size_t bytes);

  // The bytes that a request of `bytes` really takes.
  static size_t class_bytes(size_t bytes);

 private:
  struct Free {
    Free* next;
  };
  struct SizeClass {
    Free* head = nullptr;
    size_t count = 0;
    uint64_t used = 0;  // clock of the last allocation or release
  };
  static constexpr int kClasses = 8 + 8 * 9;

  Allocator() = default;
  void* allocate_small(int index);
  void* allocate_large(size_t size);
  void* take(SizeClass& entry, size_t size);
  // Allocated and cached; all scratch comes from the arena.
  size_t reserved() const { return small_ + arena_.held() - scratch_; }
  void count_allocation(size_t size);
  // Reserved bytes past which free memory is given back.
  size_t bound(size_t held) const;
  void trim(size_t target);
  void drop(int index);

  std::mutex mutex_;
  SizeClass classes_[kClasses];
  Arena arena_;
  uint64_t clock_ = 0;  // allocations so far
  size_t allocated_ = 0;
  size_t small_ = 0;  // bytes of the classes' blocks, allocated and cached
  size_t scratch_ = 0;
  size_t peak_ = 0;
  size_t limit_ = SIZE_MAX;
  size_t epoch_peak_ = 0;     // largest `allocated` in the running epoch of allocations
  size_t previous_peak_ = 0;  // and in the one before
};

}  // namespace myelin
