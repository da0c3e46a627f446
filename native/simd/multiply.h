// Unsigned 32 x 32 -> 64-bit products of int32_t lanes.
#pragma once
#include "simd.h"

namespace myelin {
namespace MYELIN_ISA {

struct WideProduct {
  Vec<int32_t> high;
  Vec<int32_t> low;
};

MYELIN_INLINE WideProduct multiply_wide(Vec<int32_t> a, Vec<int32_t> b) {
  using Raw = Vec<int32_t>::Raw;
#if defined(__ARM_NEON)
  const uint32x4_t x = (uint32x4_t)a.v, y = (uint32x4_t)b.v;
  const uint32x4_t lower = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(x), vget_low_u32(y)));
  const uint32x4_t upper = vreinterpretq_u32_u64(vmull_high_u32(x, y));
  return {{(Raw)vuzp2q_u32(lower, upper)}, {(Raw)vuzp1q_u32(lower, upper)}};
#else
  // The instruction multiplies even lanes; odd ones are shifted into their place.
  typedef uint64_t Pairs __attribute__((vector_size(kVectorBytes)));
  const Pairs x = (Pairs)a.v, y = (Pairs)b.v;
#if defined(__AVX512F__)
  const Pairs even = (Pairs)_mm512_maskz_mul_epu32(0xff, (__m512i)x, (__m512i)y);
  const Pairs odd = (Pairs)_mm512_maskz_mul_epu32(0xff, (__m512i)(x >> 32), (__m512i)(y >> 32));
#elif defined(__AVX2__)
  const Pairs even = (Pairs)_mm256_mul_epu32((__m256i)x, (__m256i)y);
  const Pairs odd = (Pairs)_mm256_mul_epu32((__m256i)(x >> 32), (__m256i)(y >> 32));
#else
  const Pairs even = (Pairs)_mm_mul_epu32((__m128i)x, (__m128i)y);
  const Pairs odd = (Pairs)_mm_mul_epu32((__m128i)(x >> 32), (__m128i)(y >> 32));
#endif
  const Pairs low = Pairs{} + 0xffffffffu;
  return {{(Raw)((even >> 32) | (odd & ~low))}, {(Raw)((even & low) | (odd << 32))}};
#endif
}

}  // namespace MYELIN_ISA
}  // namespace myelin
