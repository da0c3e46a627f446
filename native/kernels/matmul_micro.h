// The register-blocked inner kernel of matmul: an R × (V vectors) tile of C held in registers, one rank-1 update a step.
#pragma once
#include "../simd/simd.h"

namespace myelin {
namespace MYELIN_ISA {

// Tile of kRows × kVectors vectors. Accumulators, one row of B and a broadcast element of A must fit the register file:
// 32 vector registers hold 8 × 3 + 3 + 1, 16 hold 6 × 2 + 2 + 1 (and 4 × 2 + 2 + 2 where a product needs a register).
#if defined(__AVX512F__) || defined(__ARM_NEON)
inline constexpr int kRows = 8, kVectors = 3;
#elif defined(__AVX2__)
inline constexpr int kRows = 6, kVectors = 2;
#else
inline constexpr int kRows = 4, kVectors = 2;
#endif
template <class T>
inline constexpr int kColumns = kVectors * Vec<T>::N;

// A kernel of tiles of every size: at[rows - 1][vectors - 1] is Kernel::run<rows, vectors>.
template <class Kernel>
struct TileTable {
  typename Kernel::Run* at[kRows][kVectors];
  template <int... I>
  constexpr explicit TileTable(Lanes<I...>) : at{} {
    ((at[I / kVectors][I % kVectors] = Kernel::template run<I / kVectors + 1, I % kVectors + 1>), ...);
  }
};
template <class Kernel>
inline constexpr TileTable<Kernel> tile_table{typename MakeLanes<kRows * kVectors>::type{}};

// What becomes of the tile: written, or added to what is there; before that a bias of its columns is added (elements of the tile's
// type; null: none), after it what is below 0 becomes 0.
struct TileMode {
  bool add;
  bool relu = false;
  const void* bias = nullptr;
};
inline constexpr TileMode kStore{false}, kAdd{true};

// tile(i, j) (+)= Σ_k a[i·ars + k·acs] · b[k·bs + j] for i < R, j < V vectors, in order of k.
// b and tile are accessed in whole vectors. With Packed, a is a panel of kRows: ars = 1, acs = kRows. With Copy, what is
// read of b is also written to `copy`, as a packed panel, for the tiles that come after.
template <class T, int R, int V, bool Packed, bool Copy>
MYELIN_INLINE void accumulate(int64_t depth, const T* a, int64_t ars, int64_t acs, const T* b, int64_t bs, T* tile,
                              int64_t ts, TileMode mode, T* copy) {
  constexpr int N = Vec<T>::N;
  if constexpr (Packed) ars = 1, acs = kRows;
  Vec<T> acc[R][V];
  const T* row[R];
#pragma GCC unroll 8
  for (int i = 0; i < R; i++) {
    row[i] = a + i * ars;
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) acc[i][v] = zero<T>();
  }
  int64_t k = 0, at = 0;
  if constexpr (R == kRows && V == kVectors && Packed && !Copy) {
    // Panels of constant width, with fewer instructions. They count where another thread computes on the other half of a core:
    // products with their loads alone need 20 of them in 6 cycles. Fetching A ahead took one more.
#pragma GCC unroll 4
    for (; bs == kColumns<T> && k < depth; k++, a += kRows, b += kColumns<T>) {
      Vec<T> bv[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) bv[v] = load(b + v * N);
#pragma GCC unroll 8
      for (int i = 0; i < R; i++) {
        const Vec<T> av = set1<T>(a[i]);
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) acc[i][v] = fma(av, bv[v], acc[i][v]);
      }
    }
  }
#pragma GCC unroll 4
  for (; k < depth; k++) {
    Vec<T> bv[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) bv[v] = load(b + v * N);
    if constexpr (Copy) {
      prefetch(b + 20 * bs);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) store(copy + k * V * N + v * N, bv[v]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; i++) {
      const Vec<T> av = set1<T>(Packed ? a[i] : row[i][at]);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) acc[i][v] = fma(av, bv[v], acc[i][v]);
    }
    if constexpr (Packed) a += kRows;
    at += acs;
    b += bs;
  }
  if (mode.bias) {
    const T* const bias = static_cast<const T*>(mode.bias);
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      const Vec<T> each = load(bias + v * N);
#pragma GCC unroll 8
      for (int i = 0; i < R; i++) acc[i][v] = acc[i][v] + each;
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < R; i++) {
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      T* p = tile + i * ts + v * N;
      Vec<T> x = mode.add ? load(p) + acc[i][v] : acc[i][v];
      if (mode.relu) x = max_nan(x, zero<T>());
      store(p, x);
    }
  }
}

// A whole tile.
template <class T, bool Packed>
void micro_copy(int64_t depth, const T* a, int64_t ars, int64_t acs, const T* b, int64_t bs, T* tile, int64_t ts,
                TileMode mode, T* copy) {
  accumulate<T, kRows, kVectors, Packed, true>(depth, a, ars, acs, b, bs, tile, ts, mode, copy);
}

template <class T, bool Packed>
struct Micro {
  using Run = void(int64_t, const T*, int64_t, int64_t, const T*, int64_t, T*, int64_t, TileMode);
  template <int R, int V>
  static void run(int64_t depth, const T* a, int64_t ars, int64_t acs, const T* b, int64_t bs, T* tile, int64_t ts,
                  TileMode mode) {
    accumulate<T, R, V, Packed, false>(depth, a, ars, acs, b, bs, tile, ts, mode, nullptr);
  }
};
template <class T, bool Packed>
inline constexpr const auto& micro_table = tile_table<Micro<T, Packed>>;

}  // namespace MYELIN_ISA
}  // namespace myelin
