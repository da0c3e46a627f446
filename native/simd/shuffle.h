// Reductions across lanes and transposes, from compiler shuffles.
#pragma once

namespace myelin {
namespace MYELIN_ISA {

template <int... I>
struct Lanes {};
template <int N, int... I>
struct MakeLanes : MakeLanes<N - 1, N - 1, I...> {};
template <int... I>
struct MakeLanes<0, I...> {
  using type = Lanes<I...>;
};

// Lane i of the result is lane F::at(i) of a followed by b.
template <class F, class T, int... I>
MYELIN_INLINE Vec<T> shuffle_lanes(Vec<T> a, Vec<T> b, Lanes<I...>) {
  return {__builtin_shufflevector(a.v, b.v, F::at(I)...)};
}
template <class F, class T>
MYELIN_INLINE Vec<T> shuffle(Vec<T> a, Vec<T> b) {
  return shuffle_lanes<F>(a, b, typename MakeLanes<Vec<T>::N>::type{});
}

template <int Distance>
struct LanesDown {
  static constexpr int at(int i) { return i ^ Distance; }
};
template <int Distance, class T, class F>
MYELIN_INLINE T reduce_from(Vec<T> a, F f) {
  if constexpr (Distance == 0) {
    return a.v[0];
  } else {
    return reduce_from<Distance / 2>(f(a, shuffle<LanesDown<Distance>>(a, a)), f);
  }
}
template <class T>
MYELIN_INLINE T reduce_add(Vec<T> a) {
  return reduce_from<Vec<T>::N / 2>(a, [](Vec<T> x, Vec<T> y) { return x + y; });
}
template <class T>
MYELIN_INLINE T reduce_mul(Vec<T> a) {
  return reduce_from<Vec<T>::N / 2>(a, [](Vec<T> x, Vec<T> y) { return x * y; });
}
template <class T>
MYELIN_INLINE T reduce_max(Vec<T> a) {
  return reduce_from<Vec<T>::N / 2>(a, [](Vec<T> x, Vec<T> y) { return max_nan(x, y); });
}
template <class T>
MYELIN_INLINE T reduce_min(Vec<T> a) {
  return reduce_from<Vec<T>::N / 2>(a, [](Vec<T> x, Vec<T> y) { return min_nan(x, y); });
}

// Interleaves groups of Size lanes of the low (Half = 0) or high halves of each 128-bit block of a and b, of N lanes.
template <int N, int Block, int Size, int Half>
struct Interleave {
  static constexpr int at(int i) {
    const int block = i / Block * Block, inside = i % Block;
    return (inside / Size % 2) * N + block + Half * Block / 2 + inside / (2 * Size) * Size + inside % Size;
  }
};
// Blocks of Size lanes: the even (Half = 0) or odd blocks of a and b in turn.
template <int N, int Size, int Half>
struct SwapBlocks {
  static constexpr int at(int i) { return (i & Size) == 0 ? i + Half * Size : N + i - Size + Half * Size; }
};
template <int Size, class T>
MYELIN_INLINE void swap_blocks(Vec<T>* r) {
  constexpr int N = Vec<T>::N;
  if constexpr (Size < N) {
    for (int i = 0; i < N; i++) {
      if (i & Size) continue;
      const Vec<T> a = r[i], b = r[i + Size];
      r[i] = shuffle<SwapBlocks<N, Size, 0>>(a, b);
      r[i + Size] = shuffle<SwapBlocks<N, Size, 1>>(a, b);
    }
    swap_blocks<Size * 2>(r);
  }
}

// r[i] lane j becomes r[j] lane i, for an array of N vectors: first inside 128-bit blocks, then the blocks.
template <class T>
MYELIN_INLINE void transpose(Vec<T>* r) {
  constexpr int N = Vec<T>::N, B = 16 / static_cast<int>(sizeof(T));
  for (int i = 0; i < N; i += B) {
    if constexpr (B == 2) {
      const Vec<T> a = r[i], b = r[i + 1];
      r[i] = shuffle<Interleave<N, B, 1, 0>>(a, b);
      r[i + 1] = shuffle<Interleave<N, B, 1, 1>>(a, b);
    } else {
      const Vec<T> a = shuffle<Interleave<N, B, 1, 0>>(r[i], r[i + 1]),
                   b = shuffle<Interleave<N, B, 1, 1>>(r[i], r[i + 1]);
      const Vec<T> c = shuffle<Interleave<N, B, 1, 0>>(r[i + 2], r[i + 3]);
      const Vec<T> d = shuffle<Interleave<N, B, 1, 1>>(r[i + 2], r[i + 3]);
      r[i] = shuffle<Interleave<N, B, 2, 0>>(a, c);
      r[i + 1] = shuffle<Interleave<N, B, 2, 1>>(a, c);
      r[i + 2] = shuffle<Interleave<N, B, 2, 0>>(b, d);
      r[i + 3] = shuffle<Interleave<N, B, 2, 1>>(b, d);
    }
  }
  swap_blocks<B>(r);
}

}  // namespace MYELIN_ISA
}  // namespace myelin
