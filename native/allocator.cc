#include "allocator.h"

#include <stdlib.h>

#include <algorithm>

#if defined(__SANITIZE_ADDRESS__)
#define MYELIN_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MYELIN_ASAN 1
#endif
#endif
#ifdef MYELIN_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace myelin {
namespace {

constexpr size_t kLarge = size_t{256} << 10;  // from here on blocks come from the arena
constexpr size_t kSlack = size_t{64} << 20;   // cached bytes that are never worth giving back
constexpr uint64_t kEpoch = 4096;             // allocations after which "recent use" moves on
constexpr size_t kMaxBytes = size_t{1} << 46;

// Classes: multiples of 64 up to 512 bytes, then eight to a power of two, so that at most an eighth is lost.
int class_of(size_t bytes) {
  if (bytes <= 512) return bytes == 0 ? 0 : static_cast<int>((bytes - 1) >> 6);
  const int log = 63 - __builtin_clzll(bytes - 1);  // bytes in (2^log, 2^(log + 1)]
  const int eighth = static_cast<int>((bytes - 1) >> (log - 3)) & 7;
  return 8 + (log - 9) * 8 + eighth;
}

size_t size_of_class(int index) {
  if (index < 8) return static_cast<size_t>(index + 1) * 64;
  const int log = 9 + (index - 8) / 8;
  return (size_t{1} << log) + (static_cast<size_t>((index - 8) % 8 + 1) << (log - 3));
}

// Under AddressSanitizer a block's unused tail and all cached blocks are off limits, as malloc's would be.
void fence(void* block, size_t open, size_t size) {
#ifdef MYELIN_ASAN
  ASAN_UNPOISON_MEMORY_REGION(block, open);
  ASAN_POISON_MEMORY_REGION(static_cast<char*>(block) + open, size - open);
#else
  (void)block, (void)open, (void)size;
#endif
}

// Blocks of the arena are whole grains; AddressSanitizer gets some bytes behind each to watch.
size_t large_bytes(size_t bytes) {
#ifdef MYELIN_ASAN
  bytes += Allocator::kAlignment;
#endif
  return std::max(bytes + Arena::kGrain - 1, Arena::kGrain) / Arena::kGrain * Arena::kGrain;
}

void* system_allocate(size_t size) {
  void* block = nullptr;
  return posix_memalign(&block, Allocator::kAlignment, size) == 0 ? block : nullptr;
}

void system_release(void* block, size_t size) {
  fence(block, size, size);
  free(block);
}

}  // namespace

Allocator& Allocator::get() {
  static Allocator* const instance = new Allocator();
  return *instance;
}

size_t Allocator::class_bytes(size_t bytes) {
  if (bytes > kMaxBytes) return bytes;
  return bytes < kLarge ? size_of_class(class_of(bytes)) : large_bytes(bytes);
}

void Allocator::count_allocation(size_t size) {
  allocated_ += size;
  peak_ = std::max(peak_, allocated_);
  epoch_peak_ = std::max(epoch_peak_, allocated_);
  if ((clock_ & (kEpoch - 1)) == 0) {
    previous_peak_ = epoch_peak_;
    epoch_peak_ = allocated_;
  }
}

size_t Allocator::bound(size_t held) const { return 2 * std::max({held, epoch_peak_, previous_peak_}) + kSlack; }

void* Allocator::take(SizeClass& entry, size_t size) {
  Free* block = entry.head;
  fence(block, sizeof(Free), size);
  entry.head = block->next;
  --entry.count;
  return block;
}

void* Allocator::allocate_large(size_t size) {
  if (size > limit_ || allocated_ > limit_ - size) return nullptr;
  void* block = arena_.allocate(size);
  if (block == nullptr) {
    trim(0);
    block = arena_.allocate(size);
    if (block == nullptr) return nullptr;
  }
  const size_t most = std::min(limit_, bound(allocated_ + size));
  if (reserved() > most) trim(most);
  return block;
}

void* Allocator::allocate_small(int index) {
  const size_t size = size_of_class(index);
  SizeClass& entry = classes_[index];
  entry.used = clock_;
  if (entry.head != nullptr) return take(entry, size);
  if (size > limit_ || allocated_ > limit_ - size) return nullptr;
  if (reserved() > limit_ - size) trim(limit_ - size);
  const size_t most = bound(allocated_ + size);
  if (reserved() + size > most) trim(most - size);
  void* block = system_allocate(size);
  if (block == nullptr) {
    trim(0);
    block = system_allocate(size);
    if (block == nullptr) return nullptr;
  }
  small_ += size;
  return block;
}

void* Allocator::allocate(size_t bytes) {
  if (bytes > kMaxBytes) return nullptr;
  const size_t size = class_bytes(bytes);
  const std::lock_guard<std::mutex> lock(mutex_);
  ++clock_;
  void* block = bytes < kLarge ? allocate_small(class_of(bytes)) : allocate_large(size);
  if (block == nullptr) return nullptr;
  count_allocation(size);
  fence(block, bytes, size);
  return block;
}

void Allocator::release(void* block, size_t bytes) {
  const size_t size = class_bytes(bytes);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (bytes < kLarge) {
    SizeClass& entry = classes_[class_of(bytes)];
    fence(block, sizeof(Free), size);
    Free* node = static_cast<Free*>(block);
    node->next = entry.head;
    fence(block, sizeof(Free), size);  // leak checkers follow what is open
    entry.head = node;
    ++entry.count;
    entry.used = clock_;
  } else {
    fence(block, 0, size);
    arena_.release(block);
  }
  allocated_ -= size;
  const size_t most = std::min(limit_, bound(0));
  if (reserved() > most) trim(most);
}

void Allocator::drop(int index) {
  SizeClass& entry = classes_[index];
  const size_t size = size_of_class(index);
  while (entry.head != nullptr) {
    system_release(take(entry, size), size);
    small_ -= size;
  }
}

// Gives free memory back to the system until `target` or less is reserved: large ranges, then the longest unused classes.
void Allocator::trim(size_t target) {
  arena_.trim((target > small_ ? target - small_ : 0) + scratch_);
  while (reserved() > target) {
    int oldest = -1;
    for (int i = 0; i < kClasses; ++i) {
      if (classes_[i].head != nullptr && (oldest < 0 || classes_[i].used < classes_[oldest].used)) oldest = i;
    }
    if (oldest < 0) return;
    drop(oldest);
  }
}

void* Allocator::allocate_scratch(size_t bytes) {
  if (bytes > kMaxBytes) return nullptr;
  const size_t size = large_bytes(bytes);
  const std::lock_guard<std::mutex> lock(mutex_);
  void* block = arena_.allocate(size);
  if (block == nullptr) {
    trim(0);
    block = arena_.allocate(size);
    if (block == nullptr) return nullptr;
  }
  scratch_ += size;
  fence(block, bytes, size);
  return block;
}

void Allocator::release_scratch(void* block, size_t bytes) {
  const size_t size = large_bytes(bytes);
  const std::lock_guard<std::mutex> lock(mutex_);
  fence(block, 0, size);
  arena_.release(block);
  scratch_ -= size;
}

void Allocator::empty_cache() {
  const std::lock_guard<std::mutex> lock(mutex_);
  trim(0);
}

MemoryStats Allocator::stats() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return {allocated_, reserved() + scratch_, peak_, limit_};
}

void Allocator::reset_peak() {
  const std::lock_guard<std::mutex> lock(mutex_);
  peak_ = allocated_;
}

void Allocator::set_limit(size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  limit_ = bytes;
  if (reserved() > limit_) trim(limit_);
}

}  // namespace myelin
