// The cells of recurrent networks on the units of one row: from pre-activations to the next state, and back.
#pragma once
#include "../simd/math.h"
#include "softmax_rows.h"

namespace myelin {
namespace MYELIN_ISA {

// RNN: h' = tanh(a) or relu(a).
// LSTM, gates i f g o: c' = σ(f) c + σ(i) tanh(g), h' = σ(o) tanh(c').
// GRU, gates r z n: h' = (1 - z) n + z h with n = tanh(a_n + r q), q = W_hn h + b_hn.
enum CellMode { kRnnTanh = 0, kRnnRelu = 1, kLstm = 2, kGru = 3, kCellModeCount = 4 };

template <int M>
inline constexpr int kGates = M == kLstm  ? 4
                              : M == kGru ? 3
                                          : 1;
// Gradients of pre-activations kept for a row, in units of the hidden size: a GRU's are q r z n, since that of q is
// another than that of n; the first kGates are those that reach the recurrent weights.
template <int M>
inline constexpr int kGateGradients = M == kGru ? 4 : kGates<M>;

// One row at its first unit. Gates lie `hidden` apart; recurrent products `product_stride`.
template <class T>
struct CellRow {
  int64_t hidden;
  const T* product;  // W_hh h; null for the backward pass
  int64_t product_stride;
  const T* bias;  // b_hh or null
  T* gates;       // in: W_ih x + b_ih; out: the gates
  T* extra;       // LSTM: the next c; GRU: q
  const T* c;     // LSTM: the previous c
  const T* h;     // the previous h
  T* next;        // the next h
};

template <class T, int M>
void cell_forward(const CellRow<T>& row, int64_t units) {
  for_vectors<T>(units, [&](int64_t j, int k) {
    const auto recurrent = [&](int g) {
      const Vec<T> a = load_part(row.product + g * row.product_stride + j, k);
      return row.bias == nullptr ? a : a + load_part(row.bias + g * row.hidden + j, k);
    };
    const auto input = [&](int g) { return load_part(row.gates + g * row.hidden + j, k); };
    const auto keep = [&](int g, Vec<T> x) { store_part(row.gates + g * row.hidden + j, x, k); };
    if constexpr (M == kLstm) {
      const Vec<T> i = sigmoid(input(0) + recurrent(0)), f = sigmoid(input(1) + recurrent(1));
      const Vec<T> g = tanh(input(2) + recurrent(2)), o = sigmoid(input(3) + recurrent(3));
      const Vec<T> c = fma(f, load_part(row.c + j, k), i * g);
      keep(0, i);
      keep(1, f);
      keep(2, g);
      keep(3, o);
      store_part(row.extra + j, c, k);
      store_part(row.next + j, o * tanh(c), k);
    } else if constexpr (M == kGru) {
      const Vec<T> r = sigmoid(input(0) + recurrent(0)), z = sigmoid(input(1) + recurrent(1)), q = recurrent(2);
      const Vec<T> n = tanh(fma(r, q, input(2)));
      keep(0, r);
      keep(1, z);
      keep(2, n);
      store_part(row.extra + j, q, k);
      store_part(row.next + j, fma(z, load_part(row.h + j, k) - n, n), k);
    } else {
      const Vec<T> a = input(0) + recurrent(0);
      store_part(row.next + j, M == kRnnRelu ? max_nan(a, zero<T>()) : tanh(a), k);
    }
  });
}

// The gradients of one row: dh in full; what is left of dh (GRU) and dc goes to dh and dc for the step before.
template <class T>
struct CellGradient {
  T* dh;
  T* dc;
  T* dgates;
};

template <class T, int M>
void cell_backward(const CellRow<T>& row, const CellGradient<T>& d, int64_t units) {
  for_vectors<T>(units, [&](int64_t j, int k) {
    const Vec<T> one = set1<T>(1), dh = load_part(d.dh + j, k);
    const auto gate = [&](int g) { return load_part(row.gates + g * row.hidden + j, k); };
    const auto put = [&](int g, Vec<T> x) { store_part(d.dgates + g * row.hidden + j, x, k); };
    if constexpr (M == kLstm) {
      const Vec<T> i = gate(0), f = gate(1), g = gate(2), o = gate(3);
      const Vec<T> t = tanh(load_part(row.extra + j, k));
      const Vec<T> dc = fma(dh * o, fnma(t, t, one), load_part(d.dc + j, k));
      put(0, dc * g * i * (one - i));
      put(1, dc * load_part(row.c + j, k) * f * (one - f));
      put(2, dc * i * fnma(g, g, one));
      put(3, dh * t * o * (one - o));
      store_part(d.dc + j, dc * f, k);
      store_part(d.dh + j, zero<T>(), k);
    } else if constexpr (M == kGru) {
      const Vec<T> r = gate(0), z = gate(1), n = gate(2), q = load_part(row.extra + j, k);
      const Vec<T> dn = dh * (one - z) * fnma(n, n, one);
      put(0, dn * r);
      put(1, dn * q * r * (one - r));
      put(2, dh * (load_part(row.h + j, k) - n) * z * (one - z));
      put(3, dn);
      store_part(d.dh + j, dh * z, k);
    } else {
      const Vec<T> h = load_part(row.next + j, k);
      put(0, M == kRnnRelu ? zero_unless(~(h <= zero<T>()), dh) : dh * fnma(h, h, one));
      store_part(d.dh + j, zero<T>(), k);
    }
  });
}

}  // namespace MYELIN_ISA
}  // namespace myelin
