// Order along an axis: sort (also the first k of it), and places in sorted lines.
// Elements become unsigned keys of the same order, NaN above all and -0 equal to 0; keys are sorted with their places byte
// by byte from the lowest (radix sort), which keeps equals in order. Few of many are kept in a short sorted list instead.
#include <stdint.h>
#include <string.h>

#include "lines.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

uint32_t key_of(float x) {
  if (x != x) return 0xffffffffu;
  uint32_t bits;
  x += 0.0f;  // -0 becomes 0
  memcpy(&bits, &x, sizeof(bits));
  return bits ^ ((bits >> 31) != 0 ? 0xffffffffu : 0x80000000u);
}
uint64_t key_of(double x) {
  if (x != x) return ~uint64_t{0};
  uint64_t bits;
  x += 0.0;
  memcpy(&bits, &x, sizeof(bits));
  return bits ^ ((bits >> 63) != 0 ? ~uint64_t{0} : uint64_t{1} << 63);
}
uint32_t key_of(int32_t x) { return static_cast<uint32_t>(x) ^ 0x80000000u; }
uint32_t key_of(uint8_t x) { return x; }

template <class Key>
struct Item {
  Key key;
  int32_t place;
};

constexpr int64_t kSmall = 48;           // sorted by insertion up to here
constexpr int64_t kShared = 131072;      // lines this long are sorted by all workers together
constexpr int64_t kSharedChunk = 32768;  // at least
constexpr int64_t kMaxCuts = 32;
constexpr int64_t kFewest = 64;  // at most so many of many are kept in a list

template <class Key>
void insertion_sort(Item<Key>* items, int64_t n) {
  for (int64_t i = 1; i < n; ++i) {
    const Item<Key> item = items[i];
    int64_t j = i;
    for (; j > 0 && items[j - 1].key > item.key; --j) items[j] = items[j - 1];
    items[j] = item;
  }
}

// Sorts n items by the `bytes` lowest bytes of their keys, with `other` as room for n more; where the result is.
template <class Key>
Item<Key>* radix_sort(Item<Key>* items, Item<Key>* other, int64_t n, int bytes) {
  if (n <= kSmall) {
    insertion_sort(items, n);
    return items;
  }
  int64_t counts[sizeof(Key)][256];
  memset(counts, 0, sizeof(counts));
  for (int64_t i = 0; i < n; ++i) {
    const Key key = items[i].key;
    for (int b = 0; b < bytes; ++b) ++counts[b][key >> (8 * b) & 255];
  }
  for (int b = 0; b < bytes; ++b) {
    int64_t* const count = counts[b];
    if (count[items[0].key >> (8 * b) & 255] == n) continue;  // all alike here
    int64_t at = 0;
    for (int d = 0; d < 256; ++d) {
      const int64_t mine = count[d];
      count[d] = at;
      at += mine;
    }
    for (int64_t i = 0; i < n; ++i) other[count[items[i].key >> (8 * b) & 255]++] = items[i];
    Item<Key>* const swap = items;
    items = other;
    other = swap;
  }
  return items;
}

// The same by all workers: each chunk counts, then moves its items to the places before which all earlier ones stand.
template <class Key>
Item<Key>* radix_sort_together(const Pool& pool, Item<Key>* items, Item<Key>* other, int64_t n, int bytes) {
  const int64_t chunk = n / kMaxCuts < kSharedChunk ? kSharedChunk : (n + kMaxCuts - 1) / kMaxCuts;
  int64_t counts[kMaxCuts][256];
  const int64_t cuts = (n + chunk - 1) / chunk;
  for (int b = 0; b < bytes; ++b) {
    parallel_for(pool, n, chunk, [&](int64_t begin, int64_t end, int) {
      int64_t* const count = counts[begin / chunk];
      memset(count, 0, sizeof(counts[0]));
      for (int64_t i = begin; i < end; ++i) ++count[items[i].key >> (8 * b) & 255];
    });
    int64_t at = 0;
    bool alike = false;
    for (int d = 0; d < 256; ++d) {
      const int64_t before = at;
      for (int64_t k = 0; k < cuts; ++k) {
        const int64_t mine = counts[k][d];
        counts[k][d] = at;
        at += mine;
      }
      alike = alike || at - before == n;
    }
    if (alike) continue;
    parallel_for(pool, n, chunk, [&](int64_t begin, int64_t end, int) {
      int64_t* const place = counts[begin / chunk];
      for (int64_t i = begin; i < end; ++i) other[place[items[i].key >> (8 * b) & 255]++] = items[i];
    });
    Item<Key>* const swap = items;
    items = other;
    other = swap;
  }
  return items;
}

// The k lowest of n keys in order, k at most kFewest.
template <class T, class Key>
void keep_lowest(const T* x, int64_t stride, int64_t n, Key flip, Item<Key>* list, int64_t k) {
  int64_t held = 0;
  for (int64_t i = 0; i < n; ++i) {
    const Key key = static_cast<Key>(key_of(x[i * stride]) ^ flip);
    if (held == k && key >= list[k - 1].key) continue;
    int64_t j = held < k ? held++ : k - 1;
    for (; j > 0 && list[j - 1].key > key; --j) list[j] = list[j - 1];
    list[j] = {key, static_cast<int32_t>(i)};
  }
}

template <class T, class Key>
Status sort_lines(const Call& c, int axis, bool descending) {
  const Lines in(c.in[0], axis), values(c.out[0], axis), places(c.out[1], axis);
  const int64_t n = in.length, k = values.length;
  const T* const x = static_cast<const T*>(c.in[0].data);
  T* const value = static_cast<T*>(c.out[0].data);
  int32_t* const place = static_cast<int32_t*>(c.out[1].data);
  constexpr Key all = static_cast<Key>(~Key{0});
  const Key flip = descending ? all : Key{0};
  constexpr int bytes = sizeof(T);

  const auto fill = [&](const T* from, Item<Key>* items, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      items[i] = {static_cast<Key>(key_of(from[i * in.stride]) ^ flip), static_cast<int32_t>(i)};
  };
  const auto write = [&](const T* from, int64_t line, const Item<Key>* items, int64_t begin, int64_t end) {
    T* const to = value + values.start(line);
    int32_t* const at = place + places.start(line);
    for (int64_t i = begin; i < end; ++i) {
      to[i * values.stride] = from[items[i].place * in.stride];
      at[i * places.stride] = items[i].place;
    }
  };

  if (k <= kFewest && n >= 4 * k) {
    for_units(*c.pool, in.count, 2 * n, [&](int64_t begin, int64_t end, int) {
      Item<Key> list[kFewest];
      for (int64_t line = begin; line < end; ++line) {
        const T* from = x + in.start(line);
        keep_lowest<T, Key>(from, in.stride, n, flip, list, k);
        write(from, line, list, 0, k);
      }
    });
    return kOk;
  }
  const size_t room = static_cast<size_t>(2 * n) * sizeof(Item<Key>);
  if (n >= kShared && in.count < 8) {
    auto* const items = static_cast<Item<Key>*>(c.pool->scratch(c.pool->self, -1, room));
    if (items == nullptr) return kOutOfMemory;
    for (int64_t line = 0; line < in.count; ++line) {
      const T* from = x + in.start(line);
      for_chunks(*c.pool, n, [&](int64_t begin, int64_t end) { fill(from, items, begin, end); });
      const Item<Key>* const sorted = radix_sort_together(*c.pool, items, items + n, n, bytes);
      for_chunks(*c.pool, k, [&](int64_t begin, int64_t end) { write(from, line, sorted, begin, end); });
    }
    return kOk;
  }
  int32_t failed = 0;
  for_units(*c.pool, in.count, 16 * n, [&](int64_t begin, int64_t end, int worker) {
    Item<Key> few[2 * kSmall];
    Item<Key>* items = few;
    if (n > kSmall) items = static_cast<Item<Key>*>(c.pool->scratch(c.pool->self, worker, room));
    if (items == nullptr) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    for (int64_t line = begin; line < end; ++line) {
      const T* from = x + in.start(line);
      fill(from, items, 0, n);
      write(from, line, radix_sort(items, items + n, n, bytes), 0, k);
    }
  });
  return failed != 0 ? kOutOfMemory : kOk;
}

template <class T>
void search_lines(const Call& c, bool right) {
  const View &sorted = c.in[0], &wanted = c.in[1], &out = c.out[0];
  const int last = wanted.ndim - 1;
  const Lines from(wanted, last), to(out, last);
  const bool one = sorted.ndim == 1;
  const Lines in(sorted, sorted.ndim - 1);
  const int64_t n = in.length, m = from.length, cuts = m > kChunk ? (m + kChunk - 1) / kChunk : 1;
  for_units(*c.pool, from.count * cuts, 16 * (m < kChunk ? m : kChunk), [&](int64_t begin, int64_t end, int) {
    for (int64_t u = begin; u < end; ++u) {
      const int64_t line = u / cuts, first = u % cuts * kChunk;
      const int64_t stop = cuts == 1 || m - first < kChunk ? m : first + kChunk;
      const T* base = static_cast<const T*>(sorted.data) + (one ? 0 : in.start(line));
      const T* x = static_cast<const T*>(wanted.data) + from.start(line);
      int32_t* at = static_cast<int32_t*>(out.data) + to.start(line);
      for (int64_t i = first; i < stop; ++i) {
        const auto key = key_of(x[i * from.stride]);
        int64_t low = 0, left = n;
        while (left > 0) {
          const int64_t half = left / 2;
          const auto mid = key_of(base[(low + half) * in.stride]);
          const bool after = right ? mid <= key : mid < key;
          low = after ? low + half + 1 : low;
          left = after ? left - half - 1 : half;
        }
        at[i * to.stride] = static_cast<int32_t>(low);
      }
    }
  });
}

}  // namespace

// x sorted along axis, equals in their order, NaN above all numbers; index int32 is where each stood. The outputs may be
// shorter along axis: the first of the order.
Status sort(const Call& c) {
  if (c.nin != 1 || c.nout != 2 || c.nparams != 2) return kBadParameter;
  const View &x = c.in[0], &values = c.out[0], &index = c.out[1];
  const int axis = axis_of(c.params[0], x.ndim);
  if (axis < 0) return kBadParameter;
  if (!same_lines(x, values, axis) || !same_shape(values, index)) return kBadShape;
  if (x.ndim > 0 && (values.shape[axis] > x.shape[axis] || x.shape[axis] > INT32_MAX)) return kBadShape;
  if (x.dtype != values.dtype || index.dtype != kInt32) return kBadDType;
  if (values.numel == 0) return kOk;
  const bool descending = c.params[1] != 0;
  switch (x.dtype) {
    case kFloat32:
      return sort_lines<float, uint32_t>(c, axis, descending);
    case kFloat64:
      return sort_lines<double, uint64_t>(c, axis, descending);
    case kInt32:
      return sort_lines<int32_t, uint32_t>(c, axis, descending);
    case kUint8:
    case kBool:
      return sort_lines<uint8_t, uint32_t>(c, axis, descending);
    default:
      return kBadDType;
  }
}

// How many of each sorted line (…, n) stand before (or, `right`, not after) each of x (…, m). One line serves all of x.
Status searchsorted(const Call& c) {
  if (c.nin != 2 || c.nout != 1 || c.nparams != 1) return kBadParameter;
  const View &sorted = c.in[0], &x = c.in[1], &out = c.out[0];
  if (sorted.ndim < 1 || x.ndim < 1 || !same_shape(x, out)) return kBadShape;
  if (sorted.ndim != 1 && !same_lines(sorted, x, x.ndim - 1)) return kBadShape;
  if (sorted.shape[sorted.ndim - 1] > INT32_MAX) return kBadShape;
  if (sorted.dtype != x.dtype || out.dtype != kInt32) return kBadDType;
  if (x.numel == 0) return kOk;
  const bool right = c.params[0] != 0;
  switch (x.dtype) {
    case kFloat32:
      search_lines<float>(c, right);
      return kOk;
    case kFloat64:
      search_lines<double>(c, right);
      return kOk;
    case kInt32:
      search_lines<int32_t>(c, right);
      return kOk;
    case kUint8:
      search_lines<uint8_t>(c, right);
      return kOk;
    default:
      return kBadDType;
  }
}

}  // namespace MYELIN_ISA
}  // namespace myelin
