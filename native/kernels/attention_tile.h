// Parts of attention: operands of its small products, and the softmax over one tile of scores.
#pragma once
#include <math.h>

#include "call.h"
#include "matmul_pack.h"
#include "softmax_rows.h"

namespace myelin {
namespace MYELIN_ISA {

// A tile of scores: kQueries rows by kKeys columns, which fits the first cache.
inline constexpr int64_t kQueries = 8 * kRows, kKeys = 96;
static_assert(kKeys % kColumns<float> == 0 && kKeys % kColumns<double> == 0, "whole panels");

// Rows (n, h, i) of an operand whose last dimension is contiguous.
template <class T>
struct Rows {
  T* data;
  int64_t batch, head, row;
  T* at(int64_t n, int64_t h) const { return data + n * batch + h * head; }
};

// The right operand of a product (depth, width), packed into panels kColumns wide.
template <class T>
struct Panels {
  T* data = nullptr;
  int64_t width = 0, depth = 0;

  // From x(k, w) = x[k·ks + w·ws].
  void pack(const T* x, int64_t ks, int64_t ws, int64_t k, int64_t w, T* memory) {
    constexpr int64_t W = kColumns<T>;
    data = memory, width = w, depth = k;
    for (int64_t j = 0; j < w; j += W) {
      pack_panel<T, W>(x + j * ws, ws, ks, static_cast<int>(smaller(W, w - j)), w - j, k, data + j * k);
    }
  }
  static int64_t size(int64_t k, int64_t w) { return round_up(w, kColumns<T>) * k; }
};

// out (rows, w1 - w0) (+)= a (rows, k1 - k0) · panels (k0…k1, w0…w1); w0 starts a panel. out is written in whole vectors.
template <class T>
void tile_product(const T* a, int64_t ars, int64_t acs, int64_t rows, const Panels<T>& b, int64_t k0, int64_t k1,
                  int64_t w0, int64_t w1, T* out, int64_t os, TileMode mode) {
  constexpr int64_t W = kColumns<T>;
  for (int64_t w = w0; w < w1; w += W) {
    const int vectors = static_cast<int>(divide_up(smaller(W, w1 - w), Vec<T>::N));
    const T* panel = b.data + w * b.depth + k0 * W;
    for (int64_t i = 0; i < rows; i += kRows) {
      const int64_t count = smaller(kRows, rows - i);
      micro_table<T, false>.at[count - 1][vectors - 1](k1 - k0, a + i * ars, ars, acs, panel, W, out + i * os + w - w0,
                                                       os, mode);
    }
  }
}

// What is added to the scores, or which of them count. data null: nothing, all.
struct MaskView {
  const char* data;
  bool boolean;
  int64_t batch, head, row, column;  // strides in elements
};

// x = scale·x + mask for n scores of one row; scores that do not count become -inf.
template <class T>
void mask_scores(const MaskView& m, int64_t offset, T scale, T* x, int64_t n) {
  const Vec<T> factor = set1<T>(scale), none = set1<T>(static_cast<T>(-INFINITY));
  constexpr int N = Vec<T>::N;
  for_vectors<T>(n, [&](int64_t j, int k) {
    const Vec<T> s = load_part(x + j, k) * factor;
    const int64_t at = offset + j * m.column;
    if (m.data == nullptr) return store_part(x + j, s, k);
    if (m.boolean) {
      uint8_t flags[N] = {};
      const uint8_t* from = reinterpret_cast<const uint8_t*>(m.data) + at;
      for (int i = 0; i < k; ++i) flags[i] = from[i * m.column];
      return store_part(x + j, select(load_bool<T>(flags, k), s, none), k);
    }
    store_part(x + j, s + load_strided(reinterpret_cast<const T*>(m.data) + at, m.column, k), k);
  });
}

}  // namespace MYELIN_ISA
}  // namespace myelin
