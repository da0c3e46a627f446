// Scaled dot-product attention, softmax(scale q kᵀ + mask) v, forward and backward, in tiles of scores: the whole matrix of
// scores never exists, so memory is linear in the lengths (Dao et al., FlashAttention, 2022). A row in which nothing counts
// gives zeros.
#include <math.h>
#include <string.h>

#include "attention_scores.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int64_t kFewQueries = 2;      // so few go key by key, without packing
constexpr int64_t kFewHeads = 16;       // fewer are cut along the queries or keys
constexpr double kAttentionTask = 2e5;  // multiply-adds of one task

template <class T>
T exponential(T x) {
  return lane(exp(set1<T>(x)), 0);
}

// What forward leaves to backward of a row; 1/total, or 0 where nothing counts.
template <class T>
T keep_statistics(const Attention<T>& a, int64_t n, int64_t h, int64_t i, T greatest, T total) {
  const int64_t at = a.row_of(n, h, i);
  a.greatest[at] = greatest == static_cast<T>(-INFINITY) ? T(0) : greatest;
  return a.factor[at] = total == T(0) ? T(0) : T(1) / total;
}

// Queries [i0, i1) of one head with packed keys and values; scratch: kQueries × (kKeys + width of out).
template <class T>
void forward_queries(const Attention<T>& a, int64_t n, int64_t h, int64_t i0, int64_t i1, const Panels<T>& keys,
                     const Panels<T>& values, T* scratch, const Rows<T>& out) {
  T* const scores = scratch;
  T* const sum = scratch + kQueries * kKeys;
  const int64_t width = round_up(a.Dv, kColumns<T>);
  const T* q = a.q.at(n, h);
  T greatest[kQueries], total[kQueries];
  for (int64_t b = i0; b < i1; b += kQueries) {
    const int64_t rows = smaller(kQueries, i1 - b);
    for (int64_t i = 0; i < rows; ++i) greatest[i] = static_cast<T>(-INFINITY), total[i] = T(0);
    const int64_t end = a.end_of_keys(b + rows);
    for (int64_t j0 = 0; j0 < end; j0 += kKeys) {
      const int64_t j1 = smaller(end, j0 + kKeys);
      tile_product(q + b * a.q.row, a.q.row, 1, rows, keys, 0, a.D, j0, j1, scores, kKeys, kStore);
      for (int64_t i = 0; i < rows; ++i) {
        T* const row = scores + i * kKeys;
        const int64_t seen = finish_scores(a, n, h, b + i, j0, j1 - j0, row);
        const T before = greatest[i];
        T now = row_max(row, seen);
        now = now > before ? now : before;
        const T shift = now == static_cast<T>(-INFINITY) ? T(0) : now;
        const T added = row_exp_sum<T, true>(row, row, seen, shift);
        if (j0 > 0 && now != before) {
          const T factor = exponential(before - shift);
          total[i] *= factor;
          row_scale(sum + i * width, width, factor);
        }
        total[i] += added;
        greatest[i] = now;
        if (a.dropout.any) drop_weights(a, n, h, b + i, j0, seen, row);
      }
      tile_product(scores, kKeys, 1, rows, values, j0, j1, 0, a.Dv, sum, width, j0 == 0 ? kStore : kAdd);
    }
    for (int64_t i = 0; i < rows; ++i) {
      T* to = out.at(n, h) + (b + i) * out.row;
      const Vec<T> factor = set1<T>(keep_statistics(a, n, h, b + i, greatest[i], total[i]));
      const bool any = total[i] != T(0);  // NaN counts
      const T* from = sum + i * width;
      for_vectors<T>(
          a.Dv, [&](int64_t j, int k) { store_part(to + j, any ? load_part(from + j, k) * factor : zero<T>(), k); });
    }
  }
}

// One query, key by key; scores has room for all keys.
template <class T>
void forward_query(const Attention<T>& a, int64_t n, int64_t h, int64_t i, T* scores, const Rows<T>& out) {
  constexpr int V = 4;
  const T* q = a.q.at(n, h) + i * a.q.row;
  const T* keys = a.k.at(n, h);
  const T* values = a.v.at(n, h);
  const int64_t end = a.end_of_keys(i + 1);
  for (int64_t j = 0; j < end; ++j) scores[j] = dot(q, keys + j * a.k.row, a.D);
  finish_scores(a, n, h, i, 0, end, scores);
  const T most = end > 0 ? row_max(scores, end) : static_cast<T>(-INFINITY);
  const T total = row_exp_sum<T, true>(scores, scores, end, most == static_cast<T>(-INFINITY) ? T(0) : most);
  const bool any = total != T(0);
  if (a.dropout.any) drop_weights(a, n, h, i, 0, end, scores);
  const Vec<T> factor = set1<T>(keep_statistics(a, n, h, i, most, total));
  T* to = out.at(n, h) + i * out.row;
  for (int64_t c = 0; c < a.Dv; c += V * Vec<T>::N) {
    Vec<T> sum[V];
    int lanes[V];
    for (int v = 0; v < V; ++v) {
      sum[v] = zero<T>();
      lanes[v] = static_cast<int>(larger(0, smaller(Vec<T>::N, a.Dv - c - v * Vec<T>::N)));
    }
    for (int64_t j = 0; j < end && any; ++j) {
      const Vec<T> p = set1<T>(scores[j]);
      const T* row = values + j * a.v.row + c;
      for (int v = 0; v < V; ++v) {
        if (lanes[v] > 0) sum[v] = fma(p, load_part(row + v * Vec<T>::N, lanes[v]), sum[v]);
      }
    }
    for (int v = 0; v < V; ++v) {
      if (lanes[v] > 0) store_part(to + c + v * Vec<T>::N, sum[v] * factor, lanes[v]);
    }
  }
}

double head_products(int64_t tq, int64_t tk, int64_t d) {
  return static_cast<double>(tq) * static_cast<double>(tk) * static_cast<double>(d) + 1;
}

// Into how many groups `length` rows of a head are cut: many heads are not.
int64_t groups_of(int64_t heads, int64_t length) {
  if (heads >= kFewHeads) return 1;
  return larger(1, smaller(divide_up(kFewHeads, heads), length / (4 * kQueries)));
}

int64_t aligned(int64_t n) { return round_up(n, 16); }

template <class T>
Status forward(const Call& c, const Attention<T>& a, const Rows<T>& out) {
  const int64_t heads = a.N * a.H;
  const double each = head_products(a.Tq, a.Tk, a.D + a.Dv);
  const int64_t grain = static_cast<int64_t>(kAttentionTask / each) + 1;
  int32_t failed = 0;
  if (a.Tq <= kFewQueries) {
    parallel_for(*c.pool, heads, grain, [&](int64_t begin, int64_t end, int worker) {
      T* scores = static_cast<T*>(c.pool->scratch(c.pool->self, worker, static_cast<size_t>(a.Tk + 16) * sizeof(T)));
      if (scores == nullptr) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
      for (int64_t t = begin; t < end; ++t) {
        for (int64_t i = 0; i < a.Tq; ++i) forward_query(a, t / a.H, t % a.H, i, scores, out);
      }
    });
    return failed ? kOutOfMemory : kOk;
  }
  const int64_t groups = groups_of(heads, a.Tq);
  const int64_t rows = round_up(divide_up(a.Tq, groups), kQueries);
  const int64_t keys_size = aligned(Panels<T>::size(a.D, a.Tk)), values_size = aligned(Panels<T>::size(a.Tk, a.Dv));
  const int64_t tile_size = kQueries * (kKeys + round_up(a.Dv, kColumns<T>));
  const size_t bytes = static_cast<size_t>(keys_size + values_size + tile_size) * sizeof(T);
  parallel_for(*c.pool, heads * groups, groups > 1 ? 1 : grain, [&](int64_t begin, int64_t end, int worker) {
    T* const scratch = static_cast<T*>(c.pool->scratch(c.pool->self, worker, bytes));
    if (scratch == nullptr) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    for (int64_t t = begin; t < end; ++t) {
      const int64_t head = t / groups, n = head / a.H, h = head % a.H, i0 = t % groups * rows;
      const int64_t i1 = smaller(a.Tq, i0 + rows), last = a.end_of_keys(i1);
      if (i0 >= i1) continue;
      Panels<T> keys, values;
      keys.pack(a.k.at(n, h), 1, a.k.row, a.D, last, scratch);
      values.pack(a.v.at(n, h), a.v.row, 1, last, a.Dv, scratch + keys_size);
      forward_queries(a, n, h, i0, i1, keys, values, scratch + keys_size + values_size, out);
    }
  });
  return failed ? kOutOfMemory : kOk;
}

template <class T>
struct Gradients {
  Outputs<T> outputs;
  Rows<T> dq, dk, dv;
};

// What a task of the backward pass needs in scratch, in elements.
template <class T>
struct BackwardSizes {
  int64_t keys, values, key_rows, query_rows, dout_rows, delta, dq, tile;
  explicit BackwardSizes(const Attention<T>& a)
      : keys(aligned(Panels<T>::size(a.D, a.Tk))),
        values(aligned(Panels<T>::size(a.Dv, a.Tk))),
        key_rows(aligned(Panels<T>::size(a.Tk, a.D))),
        query_rows(aligned(Panels<T>::size(a.Tq, a.D))),
        dout_rows(aligned(Panels<T>::size(a.Tq, a.Dv))),
        delta(aligned(a.Tq)),
        dq(aligned(a.Tq * round_up(a.D, kColumns<T>))),
        tile(kKeys * (2 * kQueries + round_up(a.D, kColumns<T>) + round_up(a.Dv, kColumns<T>))) {}
  size_t bytes() const {
    const int64_t n = keys + values + key_rows + query_rows + dout_rows + delta + dq + tile;
    return static_cast<size_t>(n) * sizeof(T);
  }
};

// to (rows, width) = from · scale
template <class T>
void put_rows(const T* from, int64_t stride, int64_t rows, int64_t width, T scale, T* to, int64_t to_stride) {
  const Vec<T> factor = set1<T>(scale);
  for (int64_t i = 0; i < rows; ++i) {
    for_vectors<T>(width, [&](int64_t j, int k) {
      store_part(to + i * to_stride + j, load_part(from + i * stride + j, k) * factor, k);
    });
  }
}

// The gradients of one head that come from queries [i0, i1) and keys [j0, j1): dq when `queries`, dk and dv when `keys`. With p the
// probabilities and ds those of the scores: dv = pᵀ dout, dq = scale ds k, dk = scale dsᵀ q.
template <class T>
void backward_head(const Attention<T>& a, const Gradients<T>& g, int64_t n, int64_t h, int64_t i0, int64_t i1,
                   int64_t j0, int64_t j1, bool queries, bool keys, T* memory) {
  const BackwardSizes<T> sizes(a);
  const int64_t wide = round_up(a.D, kColumns<T>), wide_v = round_up(a.Dv, kColumns<T>);
  const auto take = [&](int64_t size) {
    T* const at = memory;
    memory += size;
    return at;
  };
  const T* const q = a.q.at(n, h) + i0 * a.q.row;
  const T* const k = a.k.at(n, h) + j0 * a.k.row;
  const T* const v = a.v.at(n, h) + j0 * a.v.row;
  const Rows<const T>& dy = g.outputs.dout;
  const T* const dout = dy.at(n, h) + i0 * dy.row;
  const bool sums = a.Tk <= kKeys;  // of the whole problem, so that results do not depend on how it is cut
  const int64_t nq = i1 - i0, nk = j1 - j0;
  Panels<T> kt, vt, k_rows, q_rows, dout_rows;
  kt.pack(k, 1, a.k.row, a.D, nk, take(sizes.keys));
  vt.pack(v, 1, a.v.row, a.Dv, nk, take(sizes.values));
  T* const key_memory = take(sizes.key_rows);
  if (queries) k_rows.pack(k, a.k.row, 1, nk, a.D, key_memory);
  T* const query_memory = take(sizes.query_rows);
  T* const dout_memory = take(sizes.dout_rows);
  if (keys) {
    q_rows.pack(q, a.q.row, 1, nq, a.D, query_memory);
    dout_rows.pack(dout, dy.row, 1, nq, a.Dv, dout_memory);
  }
  T* const delta = take(sizes.delta);
  for (int64_t i = 0; i < nq; ++i) {
    delta[i] = sums ? T(0) : g.outputs.delta(n, h, i0 + i, a.Dv);
  }
  T* const dq = take(sizes.dq);
  if (queries && nq > 0) memset(dq, 0, static_cast<size_t>(nq * wide) * sizeof(T));
  T* const p = take(kQueries * kKeys);
  T* const ds = take(kQueries * kKeys);
  T* const dk = take(kKeys * wide);
  T* const dv = take(kKeys * wide_v);
  for (int64_t j = 0; j < nk; j += kKeys) {
    const int64_t columns = smaller(kKeys, nk - j);
    // Queries before the first key of the block see none of it.
    const int64_t first = a.causal ? larger(0, j0 + j - i0) / kQueries * kQueries : 0;
    if (first >= nq) {
      memset(dk, 0, static_cast<size_t>(columns * wide) * sizeof(T));
      memset(dv, 0, static_cast<size_t>(columns * wide_v) * sizeof(T));
    }
    for (int64_t i = first; i < nq; i += kQueries) {
      const int64_t rows = smaller(kQueries, nq - i);
      tile_product(q + i * a.q.row, a.q.row, 1, rows, kt, 0, a.D, j, j + columns, p, kKeys, kStore);
      tile_product(dout + i * dy.row, dy.row, 1, rows, vt, 0, a.Dv, j, j + columns, ds, kKeys, kStore);
      for (int64_t r = 0; r < rows; ++r) {
        T* const prow = p + r * kKeys;
        T* const drow = ds + r * kKeys;
        const int64_t seen = finish_scores(a, n, h, i0 + i + r, j0 + j, columns, prow);
        backward_scores(a, n, h, i0 + i + r, j0 + j, seen, delta[i + r], sums, prow, drow);
        for (int64_t c = seen; c < columns; ++c) drow[c] = T(0);
      }
      if (queries) tile_product(ds, kKeys, 1, rows, k_rows, j, j + columns, 0, a.D, dq + i * wide, wide, kAdd);
      if (keys) {
        const TileMode mode = i == first ? kStore : kAdd;
        tile_product(p, 1, kKeys, columns, dout_rows, i, i + rows, 0, a.Dv, dv, wide_v, mode);
        tile_product(ds, 1, kKeys, columns, q_rows, i, i + rows, 0, a.D, dk, wide, mode);
      }
    }
    if (keys) {
      put_rows(dk, wide, columns, a.D, a.scale, g.dk.at(n, h) + (j0 + j) * g.dk.row, g.dk.row);
      put_rows(dv, wide_v, columns, a.Dv, T(1), g.dv.at(n, h) + (j0 + j) * g.dv.row, g.dv.row);
    }
  }
  if (queries) put_rows(dq, wide, nq, a.D, a.scale, g.dq.at(n, h) + i0 * g.dq.row, g.dq.row);
}

template <class T>
Status backward(const Call& c, const Attention<T>& a, const Gradients<T>& g) {
  const int64_t heads = a.N * a.H;
  const int64_t groups = groups_of(heads, larger(a.Tq, a.Tk));
  const size_t bytes = BackwardSizes<T>(a).bytes();
  const int64_t grain = static_cast<int64_t>(kAttentionTask / (3 * head_products(a.Tq, a.Tk, a.D + a.Dv))) + 1;
  // Whole heads, or groups of keys and then groups of queries, which makes the scores twice.
  const int64_t q_rows = round_up(divide_up(a.Tq, groups), kQueries), k_rows = round_up(divide_up(a.Tk, groups), kKeys);
  const int64_t tasks = groups == 1 ? heads : 2 * heads * groups;
  int32_t failed = 0;
  parallel_for(*c.pool, tasks, groups == 1 ? grain : 1, [&](int64_t begin, int64_t end, int worker) {
    T* const scratch = static_cast<T*>(c.pool->scratch(c.pool->self, worker, bytes));
    if (scratch == nullptr) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    for (int64_t t = begin; t < end; ++t) {
      const int64_t head = t % heads, n = head / a.H, h = head % a.H, part = t / heads % groups;
      if (groups == 1) {
        backward_head(a, g, n, h, 0, a.Tq, 0, a.Tk, true, true, scratch);
      } else if (t < heads * groups) {
        const int64_t j0 = smaller(a.Tk, part * k_rows);
        backward_head(a, g, n, h, 0, a.Tq, j0, smaller(a.Tk, j0 + k_rows), false, true, scratch);
      } else {
        const int64_t i0 = smaller(a.Tq, part * q_rows), i1 = smaller(a.Tq, i0 + q_rows);
        backward_head(a, g, n, h, i0, i1, 0, a.end_of_keys(i1), true, false, scratch);
      }
    }
  });
  return failed ? kOutOfMemory : kOk;
}

template <class T>
Status attention_of(const Call& c) {
  Attention<T> a;
  const Status status = read_attention(c, &a, c.out[1]);
  if (status != kOk) return status;
  const View& out = c.out[0];
  Rows<T> to;
  if (out.dtype != c.in[0].dtype) return kBadDType;
  if (!read_rows<T>(out, a.N, a.Tq, a.H, a.Dv, &to)) return kBadShape;
  const Rows<T> by_head = {to.data, to.batch, to.row, to.head};
  return forward(c, a, by_head);
}

template <class T>
Status attention_backward_of(const Call& c) {
  Attention<T> a;
  Status status = read_attention(c, &a, c.in[5]);
  if (status != kOk) return status;
  const DType dtype = c.in[0].dtype;
  Gradients<T> g;
  status = read_outputs(c, a, &g.outputs);
  if (status != kOk) return status;
  // The gradients (N,T,H,D) of q, k and v, some of them side by side in one output (N,T,count,H,D).
  const int64_t lengths[3] = {a.Tq, a.Tk, a.Tk}, widths[3] = {a.D, a.D, a.Dv};
  Rows<T>* const gradients[3] = {&g.dq, &g.dk, &g.dv};
  int next = 0;
  for (int i = 0; i < c.nout; ++i) {
    const View& v = c.out[i];
    if (v.dtype != dtype) return kBadDType;
    if (v.ndim != 5 || !v.contiguous || next + v.shape[2] > 3) return kBadShape;
    for (int64_t p = 0; p < v.shape[2]; ++p, ++next) {
      if (v.shape[0] != a.N || v.shape[1] != lengths[next] || v.shape[3] != a.H || v.shape[4] != widths[next]) {
        return kBadShape;
      }
      *gradients[next] = {static_cast<T*>(v.data) + p * v.strides[2], v.strides[0], v.strides[3], v.strides[1]};
    }
  }
  if (next != 3) return kBadShape;
  return backward(c, a, g);
}

}  // namespace

// q (N,H,Tq,D), k (N,H,Tk,D), v (N,H,Tk,Dv), last dimensions contiguous; mask? (N,H,Tq,Tk) bool (true counts) or added:
// out (N,Tq,H,Dv), statistics (2,N,H,Tq).
Status attention(const Call& c) {
  if (c.nin != 4 || c.nout != 2) return kBadShape;
  const DType dtype = c.in[0].dtype;
  if (!is_float(dtype)) return kBadDType;
  return dtype == kFloat32 ? attention_of<float>(c) : attention_of<double>(c);
}

// q k v mask? as above, out and statistics of the forward pass, dout (N,H,Tq,Dv) with a contiguous last dimension: the gradients of q, k and
// v as (N,T,1,H,D) each, or several of them as one (N,T,count,H,D).
Status attention_backward(const Call& c) {
  if (c.nin != 7 || c.nout < 1 || c.nout > 3) return kBadShape;
  const DType dtype = c.in[0].dtype;
  if (!is_float(dtype)) return kBadDType;
  return dtype == kFloat32 ? attention_backward_of<float>(c) : attention_backward_of<double>(c);
}

}  // namespace MYELIN_ISA
}  // namespace myelin
