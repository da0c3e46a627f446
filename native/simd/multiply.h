// Unsigned 32 x 32 -> 64-bit products.
#pragma once
#include "simd.h"

namespace myelin {
namespace MYELIN_ISA {

// The product of the lower halves of each lane, unsigned.
MYELIN_INLINE Vec<int64_t> multiply_low_halves(Vec<int64_t> a, Vec<int64_t> b) {
  using Raw = Vec<int64_t>::Raw;
#if defined(__ARM_NEON)
  return {(Raw)vmull_u32(vmovn_u64((uint64x2_t)a.v), vmovn_u64((uint64x2_t)b.v))};
#elif defined(__AVX512F__)
  return {(Raw)_mm512_maskz_mul_epu32(0xff, (__m512i)a.v, (__m512i)b.v)};
#elif defined(__AVX2__)
  return {(Raw)_mm256_mul_epu32((__m256i)a.v, (__m256i)b.v)};
#else
  return {(Raw)_mm_mul_epu32((__m128i)a.v, (__m128i)b.v)};
#endif
}

}  // namespace MYELIN_ISA
}  // namespace myelin
