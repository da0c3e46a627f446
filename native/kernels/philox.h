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

// Counters that one call of philox_words turns into words.
inline constexpr int kPhiloxLanes = 64;

MYELIN_INLINE Vec<int32_t> set1_word(uint32_t word) { return set1<int32_t>(static_cast<int32_t>(word)); }

// words[k][j]: word k of lane j; on entry the counter of that lane, least significant word first. Lanes: a multiple of 16.
template <int Lanes>
inline void philox(uint32_t (&words)[4][Lanes], uint32_t key0, uint32_t key1) {
  using V = Vec<int32_t>;
  static_assert(Lanes % V::N == 0, "whole vectors");
  const V m0 = set1_word(kPhiloxM0);
  const V m1 = set1_word(kPhiloxM1);
  for (int j = 0; j < Lanes; j += V::N) {
    V c0 = load(reinterpret_cast<const int32_t*>(&words[0][j]));
    V c1 = load(reinterpret_cast<const int32_t*>(&words[1][j]));
    V c2 = load(reinterpret_cast<const int32_t*>(&words[2][j]));
    V c3 = load(reinterpret_cast<const int32_t*>(&words[3][j]));
    uint32_t k0 = key0;
    uint32_t k1 = key1;
    for (int round = 0; round < 10; ++round) {
      const WideProduct p0 = multiply_wide(c0, m0);
      const WideProduct p1 = multiply_wide(c2, m1);
      c0 = p1.high ^ c1 ^ set1_word(k0);
      c1 = p1.low;
      c2 = p0.high ^ c3 ^ set1_word(k1);
      c3 = p0.low;
      k0 += kPhiloxW0;
      k1 += kPhiloxW1;
    }
    store(reinterpret_cast<int32_t*>(&words[0][j]), c0);
    store(reinterpret_cast<int32_t*>(&words[1][j]), c1);
    store(reinterpret_cast<int32_t*>(&words[2][j]), c2);
    store(reinterpret_cast<int32_t*>(&words[3][j]), c3);
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

// The words of counters first, first + 1, … (modulo 2^64) after the stream's offset.
template <int Lanes>
inline void philox_words(uint32_t (&words)[4][Lanes], const Stream& s, int64_t first) {
  for (int j = 0; j < Lanes; ++j) {
    const uint64_t counter = s.offset + static_cast<uint64_t>(first + j);
    words[0][j] = static_cast<uint32_t>(counter);
    words[1][j] = static_cast<uint32_t>(counter >> 32);
    words[2][j] = 0;
    words[3][j] = 0;
  }
  philox(words, s.key0, s.key1);
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
