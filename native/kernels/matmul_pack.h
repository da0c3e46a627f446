// Packing of operands of matmul into panels, and the transpose of a finished tile.
#pragma once
#include "matmul_micro.h"

namespace myelin {
namespace MYELIN_ISA {

// N columns of up to N vectors each N long: out[j·os + i] = in[i·is + j] for i < rows, j < columns; out rows are written
// in `rows` lanes, in columns of missing rows nothing is read.
template <class T, int Rows>
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
    if (j < columns) store_n(out + j * os, r[j], Rows);
  }
}

// One panel: out[k·W + w] = in[w·ws + k·ks] for k < depth, w < width; 0 for width <= w < W.
template <class T, int W>
void pack_panel(const T* in, int64_t ws, int64_t ks, int width, int64_t depth, T* out) {
  constexpr int N = Vec<T>::N, whole = W / N * N, rest = W - whole;
  if (ws == 1 || width == 1) {
    for (int64_t k = 0; k < depth; k++, in += ks, out += W) {
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
    for (int64_t k = 0; k < depth; k += N) {
      const int columns = depth - k < N ? static_cast<int>(depth - k) : N;
      for (int w = 0; w < whole; w += N) transpose_block<T, N>(in + w * ws + k, ws, width - w, columns, out + k * W + w, W);
      if constexpr (rest > 0) {
        transpose_block<T, rest>(in + whole * ws + k, ws, width - whole, columns, out + k * W + whole, W);
      }
    }
  } else {
    for (int64_t k = 0; k < depth; k++) {
      for (int w = 0; w < width; w++) out[k * W + w] = in[w * ws + k * ks];
      for (int w = width; w < W; w++) out[k * W + w] = T(0);
    }
  }
}

// Panels of W out of `width` rows: panel p, kept `panel_size` elements apart, holds rows p·W … of `in`. Works through the
// depth in slices so that a slice's source lines, which neighbouring panels share, stay in cache.
template <class T, int W>
void pack_panels(const T* in, int64_t ws, int64_t ks, int64_t width, int64_t depth, T* out, int64_t panel_size) {
  constexpr int64_t slice = 64;
  for (int64_t k = 0; k < depth; k += slice) {
    const int64_t part = depth - k < slice ? depth - k : slice;
    for (int64_t w = 0, p = 0; w < width; w += W, p++) {
      const int count = width - w < W ? static_cast<int>(width - w) : W;
      pack_panel<T, W>(in + w * ws + k * ks, ws, ks, count, part, out + p * panel_size + k * W);
    }
  }
}

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
