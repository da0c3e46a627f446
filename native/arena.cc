#include "arena.h"

#include <stdint.h>
#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace myelin {
namespace {

// Address space that is asked for at a time. It costs nothing until it is used; what the machine can't have is refused at once.
constexpr size_t kRegion = size_t{1} << 30;

size_t pages(size_t bytes) { return (bytes + Arena::kPage - 1) / Arena::kPage; }

void give_back(char* start, size_t size) {
#if defined(__linux__)
  madvise(start, size, MADV_DONTNEED);
#else
  madvise(start, size, MADV_FREE);
#endif
}

}  // namespace

Arena::Region& Arena::region_of(const char* address) {
  for (Region& region : regions_) {
    if (address >= region.start && address < region.start + region.held.size() * kPage) return region;
  }
  return regions_.front();  // unreachable: all ranges lie in regions
}

// A page more than needed: regions begin at a page of their own and never touch, so that ranges of two never join.
bool Arena::grow(size_t size) {
  size_t count = pages(std::max(size, kRegion));
  void* map = mmap(nullptr, (count + 1) * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED && count > pages(size)) {
    count = pages(size);
    map = mmap(nullptr, (count + 1) * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }
  if (map == MAP_FAILED) return false;
  char* start = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(map) + kPage - 1) & ~uintptr_t{kPage - 1});
#if defined(__linux__)
  madvise(start, count * kPage, MADV_HUGEPAGE);
#endif
  try {
    regions_.push_back({start, std::vector<bool>(count)});
    try {
      ranges_.emplace(start, Range{count * kPage, true, {}});
      sizes_.emplace(count * kPage, start);
    } catch (const std::bad_alloc&) {
      regions_.pop_back();
      ranges_.erase(start);
      throw;
    }
  } catch (const std::bad_alloc&) {
    munmap(map, (count + 1) * kPage);
    return false;
  }
  return true;
}

void Arena::use(char* start, size_t size) {
  Region& region = region_of(start);
  const size_t first = static_cast<size_t>(start - region.start) / kPage;
  const size_t last = static_cast<size_t>(start - region.start + size - 1) / kPage;
  for (size_t page = first; page <= last; ++page) {
    if (!region.held[page]) ++held_;
    region.held[page] = true;
  }
}

void* Arena::allocate(size_t size) {
  auto least = sizes_.lower_bound({size, nullptr});
  if (least == sizes_.end()) {
    if (!grow(size)) return nullptr;
    least = sizes_.lower_bound({size, nullptr});
  }
  char* const start = least->second;
  const auto at = ranges_.find(start);
  const size_t rest = at->second.size - size;
  if (rest > 0) {
    try {
      const auto tail = ranges_.emplace_hint(std::next(at), start + size, Range{rest, true, {}});
      try {
        sizes_.emplace(rest, start + size);
      } catch (const std::bad_alloc&) {
        ranges_.erase(tail);
        throw;
      }
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  }
  at->second.place = sizes_.extract(least);
  at->second.size = size;
  at->second.free = false;
  use(start, size);
  return start;
}

void Arena::release(void* block) {
  auto at = ranges_.find(static_cast<char*>(block));
  at->second.free = true;
  Sizes::node_type place = std::move(at->second.place);
  const auto next = std::next(at);
  if (next != ranges_.end() && next->second.free && at->first + at->second.size == next->first) {
    at->second.size += next->second.size;
    sizes_.erase({next->second.size, next->first});
    ranges_.erase(next);
  }
  if (at != ranges_.begin()) {
    const auto before = std::prev(at);
    if (before->second.free && before->first + before->second.size == at->first) {
      sizes_.erase({before->second.size, before->first});
      before->second.size += at->second.size;
      ranges_.erase(at);
      at = before;
    }
  }
  place.value() = {at->second.size, at->first};
  sizes_.insert(std::move(place));
}

void Arena::trim(size_t target) {
  for (auto range = sizes_.rbegin(); range != sizes_.rend() && held() > target; ++range) {
    const auto [size, start] = *range;
    Region& region = region_of(start);
    const size_t end = static_cast<size_t>(start - region.start + size) / kPage;
    size_t page = pages(static_cast<size_t>(start - region.start));
    while (page < end) {
      size_t stop = page;
      while (stop < end && region.held[stop]) region.held[stop++] = false;
      if (stop > page) {
        give_back(region.start + page * kPage, (stop - page) * kPage);
        held_ -= stop - page;
      }
      page = stop + 1;
    }
  }
}

}  // namespace myelin
