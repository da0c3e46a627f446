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
    for (int64_t k = 0; k < depth; k += N) {
      const int columns = depth - k < N ? static_cast<int>(depth - k) : N;
      for (int w = 0; w < whole; w += N)
        transpose_block<T, N>(in + w * ws + k, ws, width - w, columns, out + k * W + w, W);
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

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// Rows of k packed at a time where neighbouring rows of the operand share cache lines.
inline constexpr int64_t kSlice = 8;

// How an operand of `width` rows and k columns is packed: cut along k into blocks of `depth`, each a sequence of panels of
// W rows. The work is cut into units that may be done in any order: where neighbouring rows share cache lines (ws = 1),
// a slice of k by many panels, else all of a block by few.
struct Packing {
  int64_t width, k, depth, ws, ks;
  int64_t panels, slice, slices, group, groups, units;
};
template <int W>
inline Packing make_packing(int64_t width, int64_t k, int64_t depth, int64_t ws, int64_t ks) {
  Packing q = {width, k, depth, ws, ks, divide_up(width, W), 0, 0, 0, 0, 0};
  q.slice = ws == 1 ? 4 * kSlice : depth;
  q.slices = divide_up(depth, q.slice);
  q.group = ws == 1 ? 1024 / W : larger(1, 8192 / (W * depth));
  q.groups = divide_up(q.panels, q.group);
  q.units = divide_up(k, depth) * q.slices * q.groups;
  return q;
}
// Elements of the packed operand.
template <int W>
inline int64_t packed_size(const Packing& q) {
  return q.panels * W * q.k;
}
// Where `panel` of the block of k that starts at k0 lies.
template <int W>
inline int64_t panel_at(int64_t panels, int64_t k, int64_t depth, int64_t k0, int64_t panel) {
  return (k0 * panels + panel * smaller(depth, k - k0)) * W;
}

// Of the block of k that starts at k0, [from, from + part) of panels [p0, p1): out is where panel p0 lies.
template <class T, int W>
void pack_panels(const Packing& q, const T* in, int64_t k0, int64_t from, int64_t part, int64_t p0, int64_t p1,
                 T* out) {
  const int64_t depth = smaller(q.depth, q.k - k0), slice = q.ws == 1 ? kSlice : part;
  for (int64_t k = from; k < from + part; k += slice) {
    for (int64_t panel = p0; panel < p1; panel++) {
      const int64_t w = panel * W;
      pack_panel<T, W>(in + w * q.ws + (k0 + k) * q.ks, q.ws, q.ks, static_cast<int>(smaller(W, q.width - w)),
                       q.width - w, smaller(slice, from + part - k), out + (panel - p0) * depth * W + k * W);
    }
  }
}

template <class T, int W>
void pack_unit(const Packing& q, const T* in, int64_t unit, T* out) {
  const int64_t group = unit % q.groups, rest = unit / q.groups;
  const int64_t k0 = rest / q.slices * q.depth, from = rest % q.slices * q.slice;
  const int64_t part = smaller(q.slice, smaller(q.depth, q.k - k0) - from);
  if (part <= 0) return;
  const int64_t first = group * q.group, last = smaller(q.panels, first + q.group);
  pack_panels<T, W>(q, in, k0, from, part, first, last, out + panel_at<W>(q.panels, q.k, q.depth, k0, first));
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
