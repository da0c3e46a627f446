#include "allocator.h"

#include <stdlib.h>

#include <algorithm>

#if defined(__linux__)
#include <sys/mman.h>
#endif

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

constexpr size_t kLarge = size_t{256} << 10;  // from here on blocks are mapped, not taken from malloc
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kHuge = kHugePage / 2;      // from here on they are aligned for huge pages
constexpr size_t kSlack = size_t{64} << 20;  // cached bytes that are never worth giving back
constexpr uint64_t kEpoch = 4096;            // allocations after which "recent use" moves on
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

// What is mapped for a block: a last huge page that would be nearly full is mapped whole.
size_t mapped_bytes(size_t size) {
  return size % kHugePage >= kHugePage / 8 * 7 ? (size / kHugePage + 1) * kHugePage : size;
}

void* system_allocate(size_t size) {
#if defined(__linux__)
  if (size >= kLarge) {
    const size_t extra = size >= kHuge ? kHugePage : 0;
    size = mapped_bytes(size);
    void* map = mmap(nullptr, size + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return nullptr;
    if (extra == 0) return map;
    const uintptr_t start = reinterpret_cast<uintptr_t>(map);
    const uintptr_t aligned = (start + kHugePage - 1) & ~(kHugePage - 1);
    if (aligned > start) munmap(map, aligned - start);
    if (aligned < start + extra) munmap(reinterpret_cast<void*>(aligned + size), start + extra - aligned);
    void* block = reinterpret_cast<void*>(aligned);
    madvise(block, size, MADV_HUGEPAGE);
    return block;
  }
#endif
  void* block = nullptr;
  return posix_memalign(&block, Allocator::kAlignment, size) == 0 ? block : nullptr;
}

void system_release(void* block, size_t size) {
  fence(block, size, size);
#if defined(__linux__)
  if (size >= kLarge) {
    munmap(block, mapped_bytes(size));
    return;
  }
#endif
  free(block);
}

}  // namespace

Allocator& Allocator::get() {
  static Allocator* const instance = new Allocator();
  return *instance;
}

size_t Allocator::class_bytes(size_t bytes) { return bytes > kMaxBytes ? bytes : size_of_class(class_of(bytes)); }

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

void* Allocator::allocate(size_t bytes) {
  if (bytes > kMaxBytes) return nullptr;
  const int index = class_of(bytes);
  const size_t size = size_of_class(index);
  SizeClass& entry = classes_[index];
  void* block = nullptr;
  const std::lock_guard<std::mutex> lock(mutex_);
  entry.used = ++clock_;
  if (entry.head != nullptr) {
    block = take(entry, size);
  } else {
    if (size > limit_ || allocated_ > limit_ - size) return nullptr;
    if (reserved_ > limit_ - size) trim(limit_ - size);
    const size_t most = bound(allocated_ + size);
    if (reserved_ + size > most) trim(most - size);
    block = system_allocate(size);
    if (block == nullptr) {
      trim(0);
      block = system_allocate(size);
      if (block == nullptr) return nullptr;
    }
    reserved_ += size;
  }
  count_allocation(size);
  fence(block, bytes, size);
  return block;
}

void Allocator::release(void* block, size_t bytes) {
  const int index = class_of(bytes);
  const size_t size = size_of_class(index);
  fence(block, sizeof(Free), size);
  SizeClass& entry = classes_[index];
  const std::lock_guard<std::mutex> lock(mutex_);
  Free* node = static_cast<Free*>(block);
  node->next = entry.head;
  fence(block, sizeof(Free), size);
  entry.head = node;
  ++entry.count;
  entry.used = clock_;
  allocated_ -= size;
  if (reserved_ > limit_) trim(limit_);
  const size_t most = bound(0);
  if (reserved_ > most) trim(most);
}

void Allocator::drop(int index) {
  SizeClass& entry = classes_[index];
  const size_t size = size_of_class(index);
  while (entry.head != nullptr) {
    system_release(take(entry, size), size);
    reserved_ -= size;
  }
}

// Gives cached blocks back to the system, the longest unused classes first, until `target` or less is reserved.
void Allocator::trim(size_t target) {
  while (reserved_ > target) {
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
  const size_t size = class_bytes(bytes);
  void* block = system_allocate(size);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (block == nullptr) {
    trim(0);
    block = system_allocate(size);
    if (block == nullptr) return nullptr;
  }
  scratch_ += size;
  return block;
}

void Allocator::release_scratch(void* block, size_t bytes) {
  const size_t size = class_bytes(bytes);
  system_release(block, size);
  const std::lock_guard<std::mutex> lock(mutex_);
  scratch_ -= size;
}

void Allocator::empty_cache() {
  const std::lock_guard<std::mutex> lock(mutex_);
  trim(0);
}

MemoryStats Allocator::stats() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return {allocated_, reserved_ + scratch_, peak_, limit_};
}

void Allocator::reset_peak() {
  const std::lock_guard<std::mutex> lock(mutex_);
  peak_ = allocated_;
}

void Allocator::set_limit(size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  limit_ = bytes;
  if (reserved_ > limit_) trim(limit_);
}

}  // namespace myelin
