// The inner kernels of direct convolution: sums in registers, each operand of the input read from a copy at the offset of its tap.
#pragma once
#include "../simd/simd.h"
#include "matmul_micro.h"

namespace myelin {
namespace MYELIN_ISA {

// tile(i, v) (+)= Σ_k a[k·kRows + i] · input[b[v] + at[k] …]: R channels × V vectors, each stored at out[v] + i·rs.
template <class T, int R, int V>
void micro_rows(int64_t depth, const T* a, const int64_t* at, const T* const* b, T* const* out, int64_t rs,
                TileMode mode) {
  Vec<T> acc[R][V];
  const T* base[V];
#pragma GCC unroll 4
  for (int v = 0; v < V; v++) base[v] = b[v];
#pragma GCC unroll 8
  for (int i = 0; i < R; i++) {
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) acc[i][v] = zero<T>();
  }
#pragma GCC unroll 4
  for (int64_t k = 0; k < depth; k++, a += kRows) {
    const int64_t from = at[k];
    Vec<T> bv[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) bv[v] = load(base[v] + from);
#pragma GCC unroll 8
    for (int i = 0; i < R; i++) {
      const Vec<T> av = set1<T>(a[i]);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) acc[i][v] = fma(av, bv[v], acc[i][v]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < R; i++) {
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      T* const p = out[v] + i * rs;
      store(p, mode.add ? load(p) + acc[i][v] : acc[i][v]);
    }
  }
}

// tile(i, v) (+)= Σ_k input[a[i] + at[k]] · b[k·kColumns + v·N …]: R positions × V vectors of channels.
template <class T, int R, int V>
void micro_spots(int64_t depth, const T* const* a, const int64_t* at, const T* b, T* tile, TileMode mode) {
  constexpr int N = Vec<T>::N;
  Vec<T> acc[R][V];
  const T* row[R];
#pragma GCC unroll 8
  for (int i = 0; i < R; i++) {
    row[i] = a[i];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) acc[i][v] = zero<T>();
  }
#pragma GCC unroll 4
  for (int64_t k = 0; k < depth; k++, b += kColumns<T>) {
    const int64_t from = at[k];
    Vec<T> bv[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) bv[v] = load(b + v * N);
#pragma GCC unroll 8
    for (int i = 0; i < R; i++) {
      const Vec<T> av = set1<T>(row[i][from]);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) acc[i][v] = fma(av, bv[v], acc[i][v]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < R; i++) {
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      T* const p = tile + i * kColumns<T> + v * N;
      store(p, mode.add ? load(p) + acc[i][v] : acc[i][v]);
    }
  }
}

template <class T>
struct MicroRows {
  using Run = void(int64_t, const T*, const int64_t*, const T* const*, T* const*, int64_t, TileMode);
  template <int R, int V>
  static constexpr Run* run = micro_rows<T, R, V>;
};
template <class T>
struct MicroSpots {
  using Run = void(int64_t, const T* const*, const int64_t*, const T*, T*, TileMode);
  template <int R, int V>
  static constexpr Run* run = micro_spots<T, R, V>;
};

}  // namespace MYELIN_ISA
}  // namespace myelin
