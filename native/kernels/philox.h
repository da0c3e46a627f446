// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
#pragma once
#include <stdint.h>

namespace myelin {
namespace MYELIN_ISA {

inline constexpr uint32_t kPhiloxM0 = 0xD2511F53u;
inline constexpr uint32_t kPhiloxM1 = 0xCD9E8D57u;
inline constexpr uint32_t kPhiloxW0 = 0x9E3779B9u;
inline constexpr uint32_t kPhiloxW1 = 0xBB67AE85u;

// Counters that one call of philox_words turns into words.
inline constexpr int kPhiloxLanes = 64;

// words[k][j]: word k of lane j; on entry the counter of that lane, least significant word first.
template <int Lanes>
inline void philox(uint32_t (&words)[4][Lanes], uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    for (int j = 0; j < Lanes; ++j) {
      const uint64_t p0 = static_cast<uint64_t>(kPhiloxM0) * words[0][j];
      const uint64_t p1 = static_cast<uint64_t>(kPhiloxM1) * words[2][j];
      words[0][j] = static_cast<uint32_t>(p1 >> 32) ^ words[1][j] ^ key0;
      words[1][j] = static_cast<uint32_t>(p1);
      words[2][j] = static_cast<uint32_t>(p0 >> 32) ^ words[3][j] ^ key1;
      words[3][j] = static_cast<uint32_t>(p0);
    }
    key0 += kPhiloxW0;
    key1 += kPhiloxW1;
  }
}

// The words of counters first, first + 1, … (modulo 2^64).
inline void philox_words(uint32_t (&words)[4][kPhiloxLanes], uint64_t first, uint32_t key0, uint32_t key1) {
  for (int j = 0; j < kPhiloxLanes; ++j) {
    const uint64_t counter = first + static_cast<uint64_t>(j);
    words[0][j] = static_cast<uint32_t>(counter);
    words[1][j] = static_cast<uint32_t>(counter >> 32);
    words[2][j] = 0;
    words[3][j] = 0;
  }
  philox(words, key0, key1);
}

}  // namespace MYELIN_ISA
}  // namespace myelin
