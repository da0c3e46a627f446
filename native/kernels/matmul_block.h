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
  const T* kept = nullptr;  // all of B as pack_all packs it, if that is at hand
};

template <class T>
inline void turn(Product<T>* p) {
  const Product<T> q = *p;
  p->m = q.n, p->n = q.m;
  p->a = q.b, p->ars = q.bcs, p->acs = q.brs;
  p->b = q.a, p->brs = q.acs, p->bcs = q.ars;
  p->turned = !q.turned;
}

// Block sizes: a panel of B passes through L1 while a block of rows of A, which stays in L2, goes by. A panel as large as L1 is read
// anew for every tile, which costs less than a second pass over C; where several passes are made anyway panels are smaller.
// What a task packs of B may take a part of the last level of cache.
inline constexpr int64_t kPanelBytes = 32 * 1024, kPassBytes = 26 * 1024;
inline constexpr int64_t kBlockBytes = 192 * 1024, kHoldBytes = 8 << 20;
template <class T>
inline constexpr int64_t kDepth = kPanelBytes / (kColumns<T> * static_cast<int64_t>(sizeof(T))) / 16 * 16;

// Of one pass over C.
template <class T>
int64_t depth_of(int64_t k) {
  constexpr int64_t most = kDepth<T> * kPassBytes / kPanelBytes;
  return k <= kDepth<T> ? larger(1, round_up(k, 4)) : round_up(divide_up(k, divide_up(k, most)), 4);
}

// Decided by the shape alone, so that results do not depend on the number of threads.
struct Plan {
  bool pack_a, pack_b;
  int64_t depth;   // depth_of k
  int64_t rows;    // of a block, a multiple of kRows
  int64_t panels;  // of B, kColumns wide
  int64_t packed;  // the first of the panels that are packed; in place only the ragged last one is
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
  if (!p->kept && cost(p->n, p->m, p->k, p->ars, true) < cost(p->m, p->n, p->k, p->bcs, false)) turn(p);
  Plan plan;
  plan.panels = divide_up(p->n, kColumns<T>);
  plan.pack_b = p->kept || !reads_in_place(p->m, p->n, p->k, p->bcs);
  plan.packed = plan.pack_b ? 0 : p->n % N == 0 ? plan.panels : plan.panels - 1;
  plan.depth = depth_of<T>(p->k);
  plan.rows = kBlockBytes / (plan.depth * static_cast<int64_t>(sizeof(T))) / kRows * kRows;
  // Contiguous rows of A are read in place, unless they lie whole pages apart, where all fall into the same few cache sets.
  const bool in_rows = p->acs == 1 && (p->m <= plan.rows / 2 || p->ars * static_cast<int64_t>(sizeof(T)) % 4096 != 0);
  plan.pack_a = p->m > kRows && !in_rows && plan.panels >= (p->acs == 1 || p->ars == 1 ? 6 : 2);
  return plan;
}

// Rows of the next tile where `left` are left: kRows, but a last one that would waste more than half is evened out.
inline int64_t strip_rows(int64_t left) {
  return left <= kRows ? left : left < kRows + kRows / 2 ? (left + 1) / 2 : kRows;
}

// Elements from one packed strip of A to the next: whole pages would put all strips into the same few cache sets.
inline int64_t strip_step(int64_t depth) { return round_up(kRows * depth, 16) + 16; }

// Elements that a task of so many panels packs: a block of A, then panels of B, of all k if they may be held.
template <class T>
bool holds(const Product<T>& p, int64_t panels) {
  return panels * kColumns<T> * p.k * static_cast<int64_t>(sizeof(T)) <= kHoldBytes;
}
template <class T>
int64_t block_size(const Product<T>& p, const Plan& plan) {
  return plan.pack_a ? divide_up(smaller(plan.rows, p.m), kRows) * strip_step(plan.depth) : 0;
}
template <class T>
size_t task_bytes(const Product<T>& p, const Plan& plan, int64_t panels) {
  constexpr int64_t most = kHoldBytes / static_cast<int64_t>(sizeof(T));
  const int64_t packed = p.kept ? 0 : smaller(panels, plan.panels - plan.packed);
  return static_cast<size_t>(block_size(p, plan) + smaller(most, packed * kColumns<T> * p.k)) * sizeof(T);
}

// Panels [j0, j1) of B for every pass, one pass after the other: `packed` holds all panels.
template <class T>
void pack_all(const Product<T>& p, int64_t j0, int64_t j1, T* packed) {
  constexpr int64_t W = kColumns<T>;
  const int64_t panels = divide_up(p.n, W), step = depth_of<T>(p.k);
  for (int64_t k0 = 0; k0 < p.k; k0 += step) {
    const int64_t depth = smaller(step, p.k - k0);
    for (int64_t panel = j0; panel < j1; panel++) {
      const int64_t j = panel * W;
      pack_panel<T, static_cast<int>(W)>(p.b + j * p.bcs + k0 * p.brs, p.bcs, p.brs,
                                         static_cast<int>(smaller(W, p.n - j)), p.n - j, depth,
                                         packed + k0 * panels * W + panel * depth * W);
    }
  }
}

// `width` rows of an operand, strips of at most kRows: packed as panels, of which `readable` rows may be read.
template <class T>
void pack_rows(const T* in, int64_t ars, int64_t acs, int64_t width, int64_t readable, int64_t depth, T* out) {
  constexpr int64_t N = Vec<T>::N, written = round_up(kRows, N), line = 64 / static_cast<int64_t>(sizeof(T));
  const int64_t step = strip_step(depth);
  int64_t i = 0;
  if (ars == 1) {
    // Column after column through all whole strips. What is written past a strip's rows its next column writes over, and the last
    // one lies between strips.
    while (strip_rows(width - i) == kRows && readable - i >= written) i += kRows;
    for (int64_t k = 0; k < depth; k++) {
      const T* const column = in + k * acs;
      for (int64_t at = 0; k + 8 < depth && at < i; at += line) prefetch(column + 8 * acs + at);
      T* to = out + k * kRows;
      for (int64_t from = 0; from < i; from += kRows, to += step) {
#pragma GCC unroll 4
        for (int64_t v = 0; v < written; v += N) store(to + v, load(column + from + v));
      }
    }
    out += i / kRows * step;
  }
  for (int64_t rows = 0; i < width; i += rows, out += step) {
    rows = strip_rows(width - i);
    pack_panel<T, kRows>(in + i * ars, ars, acs, static_cast<int>(rows), readable - i, depth, out);
  }
}

// Where a tile finds its panel of B: at b, rows bs apart. With `copy` it leaves the panel there, packed; of the panel after it,
// which lies as b does, lines from `ahead` on are wanted soon.
template <class T>
struct PanelB {
  const T* b;
  int64_t bs;
  T* copy;
  const T* ahead;
  int64_t ahead_step;
};

// The part of C's rows [i0, i1) × panel that k in [k0, k0 + plan.depth) gives. a is the packed A from row i0 on.
template <class T>
void run_panel(const Product<T>& p, const Plan& plan, int64_t k0, int64_t i0, int64_t i1, int64_t panel, const T* a,
               PanelB<T> b) {
  constexpr int N = Vec<T>::N;
  alignas(64) T tile[kRows * kColumns<T>];
  alignas(64) T turned[kTurnedStride<T> * kColumns<T>];
  Epilogue<T> e = p.out;
  const int64_t depth = smaller(plan.depth, p.k - k0);
  const bool last = k0 + depth >= p.k;
  e.beta = k0 == 0 ? p.out.beta : T(1);
  e.bias = last ? p.out.bias : nullptr;
  e.activation = last ? p.out.activation : kNoActivation;
  const int64_t j = panel * kColumns<T>;
  const int columns = static_cast<int>(smaller(kColumns<T>, p.n - j));
  const int vectors = (columns + N - 1) / N;
  const bool direct = e.ccs == 1 && !p.turned && (!e.bias || e.bias_stride == 1) && e.activation <= kRelu &&
                      (e.beta == 0 || e.beta == 1) && columns % N == 0;
  const TileMode mode = direct ? TileMode{e.beta != 0, e.activation == kRelu, e.bias ? e.bias + j : nullptr} : kStore;
  const auto* const micro = plan.pack_a ? micro_table<T, true>.at : micro_table<T, false>.at;
  const int64_t lines = divide_up(depth, divide_up(i1 - i0, kRows));
  const T* ahead = b.ahead;
  int64_t rows = 0;
  for (int64_t i = i0; i < i1; i += rows) {
    rows = strip_rows(i1 - i);
    const T* const at = plan.pack_a ? a : p.a + i * p.ars + k0 * p.acs;
    T* const target = direct ? e.c + i * e.crs + j : tile;
    const int64_t ts = direct ? e.crs : kColumns<T>;
    if (ahead) {
      for (int64_t line = 0; line < lines; line++, ahead += b.ahead_step) prefetch(ahead);
    }
    if (b.copy) {
      const auto first = plan.pack_a ? micro_copy<T, true> : micro_copy<T, false>;
      first(depth, at, p.ars, p.acs, b.b, b.bs, target, ts, mode, b.copy);
      b.b = b.copy, b.bs = kColumns<T>, b.copy = nullptr;
    } else {
      micro[rows - 1][vectors - 1](depth, at, p.ars, p.acs, b.b, b.bs, target, ts, mode);
    }
    a += strip_step(depth);
    if (direct) continue;
    const int height = static_cast<int>(rows);
    if (p.turned) {
      turn_tile(tile, height, columns, turned);
      finish(e, turned, kTurnedStride<T>, j, columns, i, height);
    } else {
      finish(e, tile, kColumns<T>, i, height, j, columns);
    }
  }
}

// What a thread has packed into its own memory, which has task_bytes for panels [j0, j1) of B: these, if `panels`, for which holds()
// must allow it; and the block of A that begins at (i, k).
struct Own {
  int64_t j0, j1;
  bool panels = false;
  int64_t i = -1, i1 = 0, k = 0;
};

// Rows [i0, i1) × panels [j0, j1) of C. Without o->panels, o must say the same panels.
template <class T>
void run_task(const Product<T>& p, const Plan& plan, int64_t i0, int64_t i1, int64_t j0, int64_t j1, Own* o, T* own) {
  constexpr int64_t W = kColumns<T>;
  const bool all = holds(p, o->j1 - o->j0);
  const int64_t most = kHoldBytes / (W * plan.depth * static_cast<int64_t>(sizeof(T)));
  T* const panels = own + block_size(p, plan);
  for (int64_t k0 = 0; k0 == 0 || k0 < p.k; k0 += plan.depth) {
    const int64_t depth = smaller(plan.depth, p.k - k0);
    for (int64_t group = j0; group < j1; group += most) {
      const int64_t end = smaller(j1, group + most), from = larger(all ? o->j0 : group, plan.packed);
      T* const packed = panels + (all ? k0 * larger(0, o->j1 - from) * W : 0);
      for (int64_t i = i0; i < i1; i += plan.rows) {
        const int64_t height = smaller(plan.rows, i1 - i);
        if (plan.pack_a && !(o->i == i && o->i1 == i + height && o->k == k0)) {
          pack_rows(p.a + i * p.ars + k0 * p.acs, p.ars, p.acs, height, p.m - i, depth, own);
          o->i = i, o->i1 = i + height, o->k = k0;
        }
        for (int64_t panel = group; panel < end; panel++) {
          const int64_t j = panel * W;
          const T* const source = p.b + j * p.bcs + k0 * p.brs;
          PanelB<T> b = {source, p.brs, nullptr, nullptr, p.brs};
          if (p.kept) {
            b.b = p.kept + (k0 * plan.panels + panel * depth) * W, b.bs = W;
          } else if (panel >= from) {
            T* const to = packed + (panel - from) * depth * W;
            const int columns = static_cast<int>(smaller(W, p.n - j));
            if (o->panels || i > i0) {
              b.b = to, b.bs = W;
            } else if (p.bcs == 1 && columns == W && strip_rows(height) == kRows) {
              b.copy = to;
              if (j + 2 * W <= p.n && panel + 1 < end) b.ahead = source + W;
            } else {
              pack_panel<T, static_cast<int>(W)>(source, p.bcs, p.brs, columns, p.n - j, depth, to);
              b.b = to, b.bs = W;
            }
          }
          run_panel(p, plan, k0, i, i + height, panel, own, b);
        }
      }
    }
  }
  o->panels = all;
}

}  // namespace MYELIN_ISA
}  // namespace myelin
