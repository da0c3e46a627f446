// Vectors of elements that lie a few apart.
#pragma once
#include "../simd/simd.h"
#include "vectors.h"

namespace myelin {
namespace MYELIN_ISA {

template <int N>
struct EvenLanes {
  static constexpr int at(int i) { return 2 * i; }
};
template <int N>
struct OddLanes {
  static constexpr int at(int i) { return 2 * i + 1; }
};
// The even lanes of a and the odd ones of b.
template <int N>
struct EvenOddLanes {
  static constexpr int at(int i) { return i < N / 2 ? 2 * i : 2 * i + 1; }
};

// The low (Half = 0) or high halves of a and b, lane by lane in turn.
template <int N, int Half>
struct ZipLanes {
  static constexpr int at(int i) { return Half * N / 2 + i / 2 + (i % 2 == 1 ? N : 0); }
};

// p[0], p[stride], … of `lanes` elements; reads none but what lies between.
template <class T, int Stride>
MYELIN_INLINE Vec<T> load_stepped(const T* p, int64_t stride, int lanes) {
  constexpr int N = Vec<T>::N;
  if constexpr (Stride == 1) {
    return load_part(p, lanes);
  } else if constexpr (Stride == 2) {
    if (lanes == N) return shuffle<EvenOddLanes<N>>(load(p), load(p + N - 1));
    return load_strided(p, 2, lanes);
  } else {
    return load_strided(p, stride, lanes);
  }
}

}  // namespace MYELIN_ISA
}  // namespace myelin
