// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
#pragma once
#include <math.h>
#include <stdint.h>

#include "../simd/multiply.h"
#include "../simd/simd.h"
#include "call.h"

namespace myelin {
namespace MYELIN_ISA {

inline constexpr uint32_t kPhiloxM0 = 0xD2511F53u;
inline constexpr uint32_t kPhiloxM1 = 0xCD9E8D57u;
inline constexpr uint32_t kPhiloxW0 = 0x9E3779B9u;
inline constexpr uint32_t kPhiloxW1 = 0xBB67AE85u;

// Counters that kernels of whole tensors turn into words at a time.
inline constexpr int kPhiloxLanes = 64;

// A word in the lower half of each 64-bit lane; what is in the upper half does not matter.
using PhiloxWord = Vec<int64_t>;
MYELIN_INLINE PhiloxWord set1_word(uint32_t word) { return set1<int64_t>(static_cast<int64_t>(word)); }

// The keys of the rounds, in every lane.
struct PhiloxKeys {
  static constexpr int kRounds = 10;
  PhiloxWord first[kRounds], second[kRounds];
  PhiloxKeys(uint32_t key0, uint32_t key1) {
    for (int round = 0; round < kRounds; ++round, key0 += kPhiloxW0, key1 += kPhiloxW1) {
      first[round] = set1_word(key0);
      second[round] = set1_word(key1);
    }
  }
};

// c[k][g]: word k of the counter of each lane, of Groups vectors of counters, least significant word first; then of the result.
template <int Groups>
MYELIN_INLINE void philox(PhiloxWord (&c)[4][Groups], const PhiloxKeys& keys) {
  const PhiloxWord m0 = set1_word(kPhiloxM0);
  const PhiloxWord m1 = set1_word(kPhiloxM1);
#pragma GCC unroll 10
  for (int round = 0; round < PhiloxKeys::kRounds; ++round) {
    for (int g = 0; g < Groups; ++g) {
      const PhiloxWord p0 = multiply_low_halves(c[0][g], m0);
      const PhiloxWord p1 = multiply_low_halves(c[2][g], m1);
      c[0][g] = shift_right_logical(p1, 32) ^ (c[1][g] ^ keys.first[round]);
      c[1][g] = p1;
      c[2][g] = shift_right_logical(p0, 32) ^ (c[3][g] ^ keys.second[round]);
      c[3][g] = p0;
    }
  }
}

// Where an operation's numbers begin.
struct Stream {
  uint32_t key0;
  uint32_t key1;
  uint64_t offset;
};

// Reads seed_low, seed_high, offset, which stand at params[at] … : integers in [0, 2^32) and [0, 2^53].
inline bool read_stream(const Call& c, int at, Stream* s) {
  const double limits[3] = {4294967295.0, 4294967295.0, 9007199254740992.0};
  for (int i = 0; i < 3; ++i) {
    const double v = c.params[at + i];
    if (!(v >= 0 && v <= limits[i]) || v != ::floor(v)) return false;
  }
  *s = {static_cast<uint32_t>(c.params[at]), static_cast<uint32_t>(c.params[at + 1]),
        static_cast<uint64_t>(c.params[at + 2])};
  return true;
}

// words[4 j + k]: word k of counter first + j (modulo 2^64) after the stream's offset. Count: a multiple of 128.
template <int Count>
inline void philox_words(uint32_t (&words)[Count], const Stream& s, int64_t first) {
  constexpr int N = PhiloxWord::N, kGroups = 4;
  static_assert(Count % (4 * kGroups * N) == 0, "whole groups");
  using Pairs = Vec<int64_t>;
  // Counters in such an order that interleaving the halves of two vectors puts them into theirs.
  PhiloxWord place = zero<int64_t>();
  for (int i = 0; i < N; ++i) place.v[i] = i % 2 * (N / 2) + i / 2;
  const PhiloxWord low = set1_word(0xffffffffu);
  const PhiloxKeys keys(s.key0, s.key1);
  const uint64_t from = s.offset + static_cast<uint64_t>(first);
  for (int j = 0; j < Count / 4; j += kGroups * N) {
    PhiloxWord c[4][kGroups];
    for (int g = 0; g < kGroups; ++g) {
      c[0][g] = set1<int64_t>(static_cast<int64_t>(from + static_cast<uint64_t>(j + g * N))) + place;
      c[1][g] = shift_right_logical(c[0][g], 32);
      c[2][g] = c[3][g] = zero<int64_t>();
    }
    philox(c, keys);
    for (int g = 0; g < kGroups; ++g) {
      const Pairs a = (c[0][g] & low) | (c[1][g] << 32);
      const Pairs b = (c[2][g] & low) | (c[3][g] << 32);
      int64_t halves[2 * N];
      store(halves, shuffle<Interleave<N, 2, 1, 0>>(a, b));
      store(halves + N, shuffle<Interleave<N, 2, 1, 1>>(a, b));
      __builtin_memcpy(words + 4 * (j + g * N), halves, sizeof(halves));
    }
  }
}

// Of all words w, those with w 2^-32 < p, exactly for any double p in [0, 1].
struct WordsBelow {
  bool some;      // false: none
  uint32_t last;  // the greatest of them

  explicit WordsBelow(double p) {
    const uint64_t below = static_cast<uint64_t>(::ceil(p * 0x1p32));
    some = below > 0;
    last = static_cast<uint32_t>(below > 0 ? below - 1 : 0);
  }
};

}  // namespace MYELIN_ISA
}  // namespace myelin
