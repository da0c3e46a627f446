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

// Block sizes: a slice of a B panel stays in L1 while a block of rows of A goes by, that block and a group of panels in L2.
inline constexpr int64_t kPanelBytes = 24 * 1024, kGroupBytes = 12 * kPanelBytes;
template <class T>
inline constexpr int64_t kDepth = kPanelBytes / (kColumns<T> * static_cast<int64_t>(sizeof(T))) / 16 * 16;
inline constexpr int64_t kGroupPanels = kGroupBytes / kPanelBytes;
inline constexpr int64_t kBlockRows = 96 / kRows * kRows;

// Decided by the shape alone, so that results do not depend on the number of threads.
struct Plan {
  bool pack_a, pack_b;
  int64_t depth;   // of one pass over C
  int64_t panels;  // of B, kColumns wide
  Packing a, b;    // b: only the ragged last panel when B is read in place
  int64_t a_size, b_size;
};

template <class T>
Plan make_plan(Product<T>* p) {
  constexpr int N = Vec<T>::N;
  constexpr int64_t in_cache = 24 * 1024 / static_cast<int64_t>(sizeof(T));
  // Rough cycles for each orientation: the products, packing the vector operand, turning the tiles.
  const auto reads_in_place = [](int64_t m, int64_t n, int64_t k, int64_t bcs) {
    return bcs == 1 && (m <= 3 * kRows || k * n <= in_cache);
  };
  const auto cost = [&](int64_t m, int64_t n, int64_t k, int64_t bcs, bool turned) {
    const double products = static_cast<double>(m) * static_cast<double>(round_up(n, N)) * static_cast<double>(k);
    const double packing =
        reads_in_place(m, n, k, bcs) ? 0 : static_cast<double>(k) * static_cast<double>(n) * (bcs == 1 ? 0.4 : 1.0);
    const double turning = turned ? 3.0 * static_cast<double>(m) * static_cast<double>(n * divide_up(k, kDepth<T>)) : 0;
    return products / (2 * N) + packing + turning;
  };
  if (cost(p->n, p->m, p->k, p->ars, true) < cost(p->m, p->n, p->k, p->bcs, false)) turn(p);
  Plan plan;
  plan.panels = divide_up(p->n, kColumns<T>);
  plan.pack_b = !reads_in_place(p->m, p->n, p->k, p->bcs);
  // Packing A once pays over enough panels of B; contiguous rows are read in place the longest, unless they lie whole pages
  // apart, where all fall into the same few cache sets.
  const bool in_rows = p->acs == 1 && p->ars * static_cast<int64_t>(sizeof(T)) % 4096 != 0;
  const int64_t enough = in_rows ? 40 : p->acs == 1 || p->ars == 1 ? 6 : 2;
  plan.pack_a = p->m > kRows && plan.panels >= enough;
  plan.depth = larger(1, round_up(divide_up(p->k, larger(1, divide_up(p->k, kDepth<T>))), 4));
  const int64_t in_place = plan.pack_b ? 0 : p->n % N == 0 ? p->n : (plan.panels - 1) * kColumns<T>;
  plan.a = make_packing<kRows>(plan.pack_a ? p->m : 0, p->k, plan.depth, p->ars, p->acs);
  plan.b = make_packing<kColumns<T>>(p->n - in_place, p->k, plan.depth, p->bcs, p->brs);
  plan.a_size = round_up(packed_size<kRows>(plan.a), 64);
  plan.b_size = round_up(packed_size<kColumns<T>>(plan.b), 64);
  return plan;
}

// One unit of the packing of A (those come last) and B; packed has room for b_size + a_size elements.
template <class T>
void pack(const Product<T>& p, const Plan& plan, int64_t unit, T* packed) {
  if (unit < plan.b.units) {
    pack_unit<T, kColumns<T>>(plan.b, p.b + (p.n - plan.b.width) * p.bcs, unit, packed);
  } else {
    pack_unit<T, kRows>(plan.a, p.a, unit - plan.b.units, packed + plan.b_size);
  }
}

// The slice of packed B that a block multiplies with: where panel `first` of it lies. With `copy`, its whole panels are not
// there yet: the block's first tiles read B in place and leave them there.
template <class T>
struct PackedB {
  T* data;
  int64_t first;
  bool copy;
};

// The part of C's rows [i0, i1) × panels [j0, j1) that k in [k0, k0 + plan.depth) gives; i0 is a multiple of kRows. a is the packed A.
template <class T>
void run_block(const Product<T>& p, const Plan& plan, int64_t k0, int64_t i0, int64_t i1, int64_t j0, int64_t j1,
               const T* packed_a, PackedB<T> packed_b) {
  constexpr int N = Vec<T>::N;
  alignas(64) T tile[kRows * kColumns<T>];
  alignas(64) T turned[kTurnedStride<T> * kColumns<T>];
  Epilogue<T> e = p.out;
  const int64_t depth = smaller(plan.depth, p.k - k0);
  const bool last = k0 + depth >= p.k;
  e.beta = k0 == 0 ? p.out.beta : T(1);
  e.bias = last ? p.out.bias : nullptr;
  e.activation = last ? p.out.activation : kNoActivation;
  const bool plain =
      e.ccs == 1 && !p.turned && !e.bias && e.activation == kNoActivation && (e.beta == 0 || e.beta == 1);
  const TileMode mode = e.beta == 0 ? kStore : kAdd;
  const auto* const micro = plan.pack_a ? micro_table<T, true>.at : micro_table<T, false>.at;
  for (int64_t panel = j0; panel < j1; panel++) {
    const int64_t j = panel * kColumns<T>;
    const int columns = static_cast<int>(smaller(kColumns<T>, p.n - j));
    const int vectors = (columns + N - 1) / N;
    const T* b = p.b + j + k0 * p.brs;
    int64_t bs = p.brs;
    if (plan.pack_b || columns % N != 0) {
      b = packed_b.data + (panel - packed_b.first) * depth * kColumns<T>;
      bs = kColumns<T>;
    }
    for (int64_t i = i0; i < i1; i += kRows) {
      const int rows = static_cast<int>(smaller(kRows, i1 - i));
      const T* a = plan.pack_a ? packed_a + (k0 * plan.a.panels * kRows + i * depth) : p.a + i * p.ars + k0 * p.acs;
      const Micro<T> kernel = micro[rows - 1][vectors - 1];
      const bool direct = plain && columns % N == 0;
      T* const target = direct ? e.c + i * e.crs + j : tile;
      const int64_t ts = direct ? e.crs : kColumns<T>;
      if (packed_b.copy && i == i0 && columns == kColumns<T>) {
        const auto first = plan.pack_a ? micro_copy<T, true> : micro_copy<T, false>;
        first(depth, a, p.ars, p.acs, p.b + j + k0 * p.brs, p.brs, target, ts, direct ? mode : kStore,
              packed_b.data + (panel - packed_b.first) * depth * kColumns<T>);
      } else {
        kernel(depth, a, p.ars, p.acs, b, bs, target, ts, direct ? mode : kStore);
      }
      if (direct) continue;
      if (p.turned) {
        turn_tile(tile, rows, columns, turned);
        finish(e, turned, kTurnedStride<T>, j, columns, i, rows);
      } else {
        finish(e, tile, kColumns<T>, i, rows, j, columns);
      }
    }
  }
}

// Rows [i0, i1) × panels [j0, j1) of C, B being packed whole or read in place.
template <class T>
void run_packed(const Product<T>& p, const Plan& plan, int64_t i0, int64_t i1, int64_t j0, int64_t j1, T* packed) {
  for (int64_t group = j0; group < j1; group += kGroupPanels) {
    const int64_t end = smaller(j1, group + kGroupPanels);
    for (int64_t k0 = 0; k0 == 0 || k0 < p.k; k0 += plan.depth) {
      const PackedB<T> b = {packed + k0 * plan.b.panels * kColumns<T>, plan.panels - plan.b.panels, false};
      for (int64_t i = i0; i < i1; i += kBlockRows) {
        run_block(p, plan, k0, i, smaller(i1, i + kBlockRows), group, end, packed + plan.b_size, b);
      }
    }
  }
}

// Likewise, packing each group of panels of B into `own` (of kGroupBytes) when its turn comes; packed holds A alone.
template <class T>
void run_packing(const Product<T>& p, const Plan& plan, int64_t i0, int64_t i1, int64_t j0, int64_t j1,
                 const T* packed_a, T* own) {
  for (int64_t group = j0; group < j1; group += kGroupPanels) {
    const int64_t end = smaller(j1, group + kGroupPanels);
    // Whole panels whose rows are contiguous are copied by the first tiles that read them.
    const bool copy = p.bcs == 1 && i1 - i0 >= kRows;
    const int64_t from = copy ? smaller(end, p.n / kColumns<T>) : group;
    for (int64_t k0 = 0; k0 < p.k; k0 += plan.depth) {
      const int64_t depth = smaller(plan.depth, p.k - k0);
      pack_panels<T, kColumns<T>>(plan.b, p.b, k0, 0, depth, from, end, own + (from - group) * depth * kColumns<T>);
      for (int64_t i = i0; i < i1; i += kBlockRows) {
        const PackedB<T> b = {own, group, copy && i == i0};
        run_block(p, plan, k0, i, smaller(i1, i + kBlockRows), group, end, packed_a, b);
      }
    }
  }
}

}  // namespace MYELIN_ISA
}  // namespace myelin
