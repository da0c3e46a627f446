// Large blocks, cut from regions of address space and joined with their free neighbours again, so that memory that was freed in
// one size serves others. Not for several threads at once: its owner locks.
#pragma once
#include <stddef.h>

#include <map>
#include <set>
#include <utility>
#include <vector>

namespace myelin {

class Arena {
 public:
  static constexpr size_t kGrain = 4096;
  static constexpr size_t kPage = size_t{2} << 20;

  // `size` is a positive multiple of kGrain. Null when the system has no more address space or the table no more room.
  void* allocate(size_t size);
  void release(void* block);

  // Gives whole pages of free ranges back to the system, of the longest ranges first, until at most `target` bytes are held.
  void trim(size_t target);

  // Bytes of the pages that have been used and not been given back.
  size_t held() const { return held_ * kPage; }

 private:
  using Sizes = std::set<std::pair<size_t, char*>>;
  struct Range {
    size_t size;
    bool free;
    Sizes::node_type place;  // while in use: what enters it among the free ones, so that a release needs no memory
  };
  struct Region {
    char* start;
    std::vector<bool> held;  // pages
  };

  bool grow(size_t size);
  Region& region_of(const char* address);
  void use(char* start, size_t size);

  std::map<char*, Range> ranges_;  // all of every region, by address; no two neighbours are free
  Sizes sizes_;                    // the free ones
  std::vector<Region> regions_;
  size_t held_ = 0;
};

}  // namespace myelin
