// One matrix product: how it is cut up, and the loops over one block of its result.
#pragma once
#include "matmul_finish.h"
#include "matmul_pack.h"

namespace myelin {
namespace MYELIN_ISA {

// C (m,n) = act(A (m,k) · B (k,n) + bias + beta·C). Strides in elements. With `turned` the product has been transposed
// (A and B exchanged roles) while `out` still describes C the right way round.
template <class T>
struct Product {
  int64_t m, n, k;
  const T* a;
  int64_t ars, acs;
  const T* b;
  int64_t brs, bcs;
  Epilogue<T> out;
  bool turned;
};

template <class T>
inline void turn(Product<T>* p) {
  const Product<T> q = *p;
  p->m = q.n, p->n = q.m;
  p->a = q.b, p->ars = q.bcs, p->acs = q.brs;
  p->b = q.a, p->brs = q.acs, p->bcs = q.ars;
  p->turned = !q.turned;
}

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// Block sizes: a slice of a B panel stays in L1, a block of A in L2.
template <class T>
inline constexpr int64_t kDepth = sizeof(T) == 4 ? 384 : 256;
inline constexpr int64_t kBlockRows = 24 * kRows;

// Decided by the shape alone, so that results do not depend on the number of threads.
template <class T>
struct Plan {
  bool pack_a, pack_b;
  int64_t depth;       // of one pass over C
  int64_t panels;      // of B, kColumns wide
  int64_t panel_size;  // elements of a packed panel of B: all of k
  int64_t b_size;      // elements of packed B (only its last panel when B is read in place)
  int64_t block_rows;  // most rows of A packed at once
  int64_t a_size;      // elements of a packed block of A
};

template <class T>
Plan<T> make_plan(Product<T>* p) {
  constexpr int N = Vec<T>::N;
  constexpr int64_t in_cache = 24 * 1024 / static_cast<int64_t>(sizeof(T));
  // Rough cycles for each orientation: the products, packing the vector operand, turning the tiles.
  const auto reads_in_place = [](int64_t m, int64_t n, int64_t k, int64_t bcs) {
    return bcs == 1 && (m <= 3 * kRows || k * n <= in_cache);
  };
  const auto cost = [&](int64_t m, int64_t n, int64_t k, int64_t bcs, bool turned) {
    const double products = static_cast<double>(m) * static_cast<double>(round_up(n, N)) * static_cast<double>(k);
    const double packing = reads_in_place(m, n, k, bcs) ? 0 : static_cast<double>(k) * n * (bcs == 1 ? 0.4 : 1.0);
    const double turning = turned ? static_cast<double>(m) * n * divide_up(k, kDepth<T>) : 0;
    return products / (2 * N) + packing + turning;
  };
  if (cost(p->n, p->m, p->k, p->ars, true) < cost(p->m, p->n, p->k, p->bcs, false)) turn(p);
  Plan<T> plan;
  plan.panels = divide_up(p->n, kColumns<T>);
  plan.pack_b = !reads_in_place(p->m, p->n, p->k, p->bcs);
  plan.pack_a = p->m > kRows && plan.panels >= (p->acs == 1 || p->ars == 1 ? 6 : 2);
  plan.depth = larger(1, round_up(divide_up(p->k, larger(1, divide_up(p->k, kDepth<T>))), 4));
  plan.panel_size = p->k * kColumns<T>;
  plan.b_size = plan.panel_size * (plan.pack_b ? plan.panels : p->n % N != 0);
  plan.block_rows = kBlockRows;
  plan.a_size = plan.pack_a ? smaller(round_up(p->m, kRows), plan.block_rows) * smaller(plan.depth, p->k) : 0;
  return plan;
}

// Packs panels [begin, end) of B, or with pack_b false the ragged last one if there is one.
template <class T>
void pack_b(const Product<T>& p, const Plan<T>& plan, int64_t begin, int64_t end, T* packed) {
  const int64_t j0 = begin * kColumns<T>, j1 = smaller(p.n, end * kColumns<T>);
  pack_panels<T, kColumns<T>>(p.b + j0 * p.bcs, p.bcs, p.brs, j1 - j0, p.k, packed + begin * plan.panel_size,
                              plan.panel_size);
}
template <class T>
void pack_last(const Product<T>& p, const Plan<T>& plan, T* packed) {
  const int64_t j0 = (plan.panels - 1) * kColumns<T>;
  pack_panels<T, kColumns<T>>(p.b + j0, p.bcs, p.brs, p.n - j0, p.k, packed, plan.panel_size);
}

// Rows [i0, i1) × panels [j0, j1) of C. b_packed as pack_b or pack_last left it; a_packed has room for plan.a_size elements
// (at most plan.block_rows rows, then).
template <class T>
void run_block(const Product<T>& p, const Plan<T>& plan, int64_t i0, int64_t i1, int64_t j0, int64_t j1,
               const T* b_packed, T* a_packed) {
  constexpr int N = Vec<T>::N;
  alignas(64) T tile[kRows * kColumns<T>];
  alignas(64) T turned[kTurnedStride<T> * kColumns<T>];
  Epilogue<T> e = p.out;
  for (int64_t k0 = 0; k0 == 0 || k0 < p.k; k0 += plan.depth) {
    const int64_t depth = smaller(plan.depth, p.k - k0);
    const bool last = k0 + depth >= p.k;
    e.beta = k0 == 0 ? p.out.beta : T(1);
    e.bias = last ? p.out.bias : nullptr;
    e.activation = last ? p.out.activation : kNoActivation;
    const bool plain = e.ccs == 1 && !p.turned && !e.bias && e.activation == kNoActivation && (e.beta == 0 || e.beta == 1);
    const TileMode mode = e.beta == 0 ? kStore : kAdd;
    if (plan.pack_a) {
      pack_panels<T, kRows>(p.a + i0 * p.ars + k0 * p.acs, p.ars, p.acs, i1 - i0, depth, a_packed, depth * kRows);
    }
    for (int64_t panel = j0; panel < j1; panel++) {
      const int64_t j = panel * kColumns<T>;
      const int columns = static_cast<int>(smaller(kColumns<T>, p.n - j));
      const int vectors = (columns + N - 1) / N;
      const T* b = p.b + j + k0 * p.brs;
      int64_t bs = p.brs;
      if (plan.pack_b || columns % N != 0) {
        b = b_packed + (plan.pack_b ? panel * plan.panel_size : 0) + k0 * kColumns<T>;
        bs = kColumns<T>;
      }
      const auto* const micro = plan.pack_a ? micro_table<T, true>.at : micro_table<T, false>.at;
      for (int64_t i = i0; i < i1; i += kRows) {
        const int rows = static_cast<int>(smaller(kRows, i1 - i));
        const T* a = plan.pack_a ? a_packed + (i - i0) * depth : p.a + i * p.ars + k0 * p.acs;
        const Micro<T> kernel = micro[rows - 1][vectors - 1];
        if (plain && columns % N == 0) {
          kernel(depth, a, p.ars, p.acs, b, bs, e.c + i * e.crs + j, e.crs, mode);
          continue;
        }
        kernel(depth, a, p.ars, p.acs, b, bs, tile, kColumns<T>, kStore);
        if (p.turned) {
          turn_tile(tile, rows, columns, turned);
          finish(e, turned, kTurnedStride<T>, j, columns, i, rows);
        } else {
          finish(e, tile, kColumns<T>, i, rows, j, columns);
        }
      }
    }
  }
}

}  // namespace MYELIN_ISA
}  // namespace myelin
