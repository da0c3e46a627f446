// Packing of operands of matmul into panels, and the transpose of a finished tile.
#pragma once
#include "matmul_micro.h"

namespace myelin {
namespace MYELIN_ISA {

// N columns of up to N vectors each N long: out[j·os + i] = in[i·is + j] for i < rows, j < columns; out rows are written
// in `Rows` lanes (with Whole in all of them), in columns of missing rows nothing is read.
template <class T, int Rows, bool Whole = false>
MYELIN_INLINE void transpose_block(const T* in, int64_t is, int rows, int columns, T* out, int64_t os) {
  constexpr int N = Vec<T>::N;
  Vec<T> r[N];
#pragma GCC unroll 16
  for (int i = 0; i < N; i++) {
    r[i] = zero<T>();
    if (i < Rows && i < rows) r[i] = columns == N ? load(in + i * is) : load_n(in + i * is, columns);
  }
  transpose(r);
#pragma GCC unroll 16
  for (int j = 0; j < N; j++) {
    if (j < columns) store_n(out + j * os, r[j], Whole ? N : Rows);
  }
}

// One panel: out[k·W + w] = in[w·ws + k·ks] for k < depth, w < width; 0 for width <= w < W. With ws = 1, `readable` (>= width)
// elements may be read.
template <class T, int W>
void pack_panel(const T* in, int64_t ws, int64_t ks, int width, int64_t readable, int64_t depth, T* out) {
  constexpr int N = Vec<T>::N, whole = W / N * N, rest = W - whole;
  if (ws == 1 || width == 1) {
    int64_t k = 0;
    if (rest > 0 && ws == 1 && readable >= whole + N) {
      // Whole vectors: what is written past W, the next row writes over.
      for (; k + 1 < depth; k++, in += ks, out += W) {
#pragma GCC unroll 4
        for (int w = 0; w < W; w += N) store(out + w, load(in + w));
      }
    }
    for (; k < depth; k++, in += ks, out += W) {
      if (width == W) {
#pragma GCC unroll 4
        for (int w = 0; w < whole; w += N) store(out + w, load(in + w));
        if constexpr (rest > 0) store_n(out + whole, load_n(in + whole, rest), rest);
      } else {
        for (int w = 0; w < W; w += N) {
          const int left = width - w;
          store_n(out + w, load_n(in + w, left < 0 ? 0 : left < N ? left : N), W - w < N ? W - w : N);
        }
      }
    }
  } else if (ks == 1) {
    // A cache line of each row at a time: rows that lie whole pages apart push each other out of the cache.
    constexpr int64_t line = 64 / sizeof(T) > N ? 64 / sizeof(T) : N;
    for (int64_t k0 = 0; k0 < depth; k0 += line) {
      const int64_t k1 = k0 + line < depth ? k0 + line : depth;
      for (int w = 0; w < whole; w += N) {
        for (int64_t k = k0; k < k1; k += N) {
          const int columns = k1 - k < N ? static_cast<int>(k1 - k) : N;
          transpose_block<T, N>(in + w * ws + k, ws, width - w, columns, out + k * W + w, W);
        }
      }
      if constexpr (rest > 0) {
        for (int64_t k = k0; k < k1; k += N) {
          const int columns = k1 - k < N ? static_cast<int>(k1 - k) : N;
          if (whole == 0 && k + N < depth) {
            // What is written past W, the next row writes over.
            transpose_block<T, rest, true>(in + k, ws, width, columns, out + k * W, W);
          } else {
            transpose_block<T, rest>(in + whole * ws + k, ws, width - whole, columns, out + k * W + whole, W);
          }
        }
      }
    }
  } else {
    for (int64_t k = 0; k < depth; k++) {
      for (int w = 0; w < width; w++) out[k * W + w] = in[w * ws + k * ks];
      for (int w = width; w < W; w++) out[k * W + w] = T(0);
    }
  }
}

inline constexpr int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline constexpr int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// The kRows × kColumns tile turned: out[j·kTurnedStride + i] = tile[i·kColumns + j] for i < rows, j < columns.
template <class T>
inline constexpr int kTurnedStride = (kRows + Vec<T>::N - 1) / Vec<T>::N * Vec<T>::N;
template <class T>
void turn_tile(const T* tile, int rows, int columns, T* out) {
  constexpr int N = Vec<T>::N;
  for (int i = 0; i < rows; i += N) {
    for (int j = 0; j < columns; j += N) {
      transpose_block<T, N>(tile + i * kColumns<T> + j, kColumns<T>, rows - i, N, out + j * kTurnedStride<T> + i,
                            kTurnedStride<T>);
    }
  }
}

}  // namespace MYELIN_ISA
}  // namespace myelin
