// What the passes over attention's scores share: their operands, and one row of scores forward and backward.
#pragma once
#include <math.h>

#include "attention_tile.h"
#include "blocks.h"
#include "philox.h"

namespace myelin {
namespace MYELIN_ISA {

// Dropout of the weights, by their elements: weight e of (N,H,Tq,Tk) is dropped by word e of a stream, so that every pass over
// the scores makes the same choice whatever its tiles.
struct WeightDropout {
  bool any;
  Stream stream;
  uint32_t last;  // the greatest word that drops
  double scale;   // of what is kept
};

// Reads seed_low, seed_high, offset and the probability p from params[at] on.
inline Status read_dropout(const Call& c, int at, WeightDropout* d) {
  const double p = c.params[at + 3];
  if (!(p >= 0 && p <= 1) || !read_stream(c, at, &d->stream)) return kBadParameter;
  const WordsBelow drop(p);
  d->any = drop.some;
  d->last = drop.last;
  d->scale = p < 1 ? 1 / (1 - p) : 0;
  return kOk;
}

inline constexpr int kDropLanes = 32;
static_assert(kKeys + 3 <= 4 * kDropLanes, "the words of a tile's row, wherever it begins");

// What dropout makes of n ≤ kKeys weights from element `first` on: factors of 0 or the scale, in `memory`.
template <class T>
const T* drop_factors(const WeightDropout& d, int64_t first, T (&memory)[4 * kDropLanes]) {
  uint32_t words[4 * kDropLanes];
  const T scale = static_cast<T>(d.scale);
  const uint32_t last = d.last;
  philox_words(words, d.stream, first / 4);
  for (int i = 0; i < 4 * kDropLanes; ++i) memory[i] = words[i] <= last ? T(0) : scale;
  return memory + first % 4;
}

// x *= y over n elements.
template <class T>
void multiply_by(T* x, const T* y, int64_t n) {
  for_vectors<T>(n, [&](int64_t j, int k) { store_part(x + j, load_part(x + j, k) * load_part(y + j, k), k); });
}

// q (N,H,Tq,D), k (N,H,Tk,D), v (N,H,Tk,Dv), out (N,Tq,H,Dv).
template <class T>
struct Attention {
  int64_t N, H, Tq, Tk, D, Dv;
  Rows<const T> q, k, v;
  MaskView mask;
  bool causal;  // query i sees keys 0 … i
  T scale;
  WeightDropout dropout;
  // Of each row of scores (N,H,Tq) what it takes to make the same probabilities again, exp(score - greatest) / Σ: the greatest
  // score, and 1/Σ after all of those; both are 0 where nothing counts.
  T *greatest, *factor;

  // Row i of the scores, among all.
  int64_t row_of(int64_t n, int64_t h, int64_t i) const { return (n * H + h) * Tq + i; }
  int64_t end_of_keys(int64_t i1) const { return causal ? smaller(Tk, i1) : Tk; }
  int64_t mask_at(int64_t n, int64_t h, int64_t i, int64_t j) const {
    return n * mask.batch + h * mask.head + i * mask.row + j * mask.column;
  }
};

// Scores of a tile in place: scaled, masked, columns that do not count cut off. Returns how many of row i count at most.
template <class T>
int64_t finish_scores(const Attention<T>& a, int64_t n, int64_t h, int64_t i, int64_t j0, int64_t count, T* row) {
  const int64_t seen = a.causal ? larger(0, smaller(count, i + 1 - j0)) : count;
  mask_scores(a.mask, a.mask.data == nullptr ? 0 : a.mask_at(n, h, i, j0), a.scale, row, seen);
  for (int64_t j = seen; j < count; ++j) row[j] = T(0);
  return seen;
}

// Drops weights j0 … j0 + n of row i in place.
template <class T>
void drop_weights(const Attention<T>& a, int64_t n, int64_t h, int64_t i, int64_t j0, int64_t count, T* weights) {
  T memory[4 * kDropLanes];
  for (int64_t j = 0; j < count; j += kKeys) {
    const T* factors = drop_factors(a.dropout, a.row_of(n, h, i) * a.Tk + j0 + j, memory);
    multiply_by(weights + j, factors, smaller(kKeys, count - j));
  }
}

// Σ x y over n elements.
template <class T>
T dot(const T* x, const T* y, int64_t n) {
  return sum_vectors<T>(n, [&](int64_t i, int k) { return load_part(x + i, k) * load_part(y + i, k); });
}

// The probabilities and the gradients of the scores of one row, in place of its scores and of dp = dout vᵀ: p and p (dp - δ) with
// δ = Σ p dp. That is `delta` (which Σ dout out gives) unless `sums`: all keys are here. Summed from the same p and dp it leaves
// the smallest error where p is near 1 and dp - δ cancels.
template <class T>
void backward_row(T* p, T* ds, int64_t n, T greatest, T factor, T delta, bool sums) {
  const Vec<T> shift = set1<T>(greatest), scale = set1<T>(factor);
  if (!sums) {
    const Vec<T> d = set1<T>(delta);
    return for_vectors<T>(n, [&](int64_t c, int k) {
      const Vec<T> e = exp(load_part(p + c, k) - shift) * scale;
      store_part(p + c, e, k);
      store_part(ds + c, e * (load_part(ds + c, k) - d), k);
    });
  }
  const Vec<T> d = set1<T>(sum_vectors<T>(n, [&](int64_t c, int k) {
    const Vec<T> e = exp(load_part(p + c, k) - shift) * scale;
    store_part(p + c, e, k);
    const Vec<T> product = e * load_part(ds + c, k);
    return k == Vec<T>::N ? product : zero_unless(first_n<T>(k), product);
  }));
  for_vectors<T>(n, [&](int64_t c, int k) { store_part(ds + c, load_part(p + c, k) * (load_part(ds + c, k) - d), k); });
}

// One row backward, in place of its scores and of dout vᵀ: the weights as dropped, and the gradients of the scores.
template <class T>
void backward_scores(const Attention<T>& a, int64_t n, int64_t h, int64_t i, int64_t j0, int64_t count, T delta,
                     bool sums, T* p, T* ds) {
  const int64_t row = a.row_of(n, h, i);
  const T greatest = a.greatest[row], factor = a.factor[row];
  if (!a.dropout.any) return backward_row(p, ds, count, greatest, factor, delta, sums);
  T memory[4 * kDropLanes];
  const T* factors = drop_factors(a.dropout, row * a.Tk + j0, memory);
  multiply_by(ds, factors, count);
  backward_row(p, ds, count, greatest, factor, delta, sums);
  multiply_by(p, factors, count);
}

// Reads a view (N,H,rows,width) with contiguous rows.
template <class T, class U>
bool read_rows(const View& v, int64_t n, int64_t h, int64_t rows, int64_t width, Rows<U>* r) {
  if (v.ndim != 4 || v.shape[0] != n || v.shape[1] != h || v.shape[2] != rows || v.shape[3] != width) return false;
  if (width > 1 && v.strides[3] != 1) return false;
  *r = {static_cast<T*>(v.data), v.strides[0], v.strides[1], v.strides[2]};
  return true;
}

template <class T>
Status read_attention(const Call& c, Attention<T>* a, const View& statistics) {
  const View &q = c.in[0], &k = c.in[1], &v = c.in[2], &mask = c.in[3];
  if (c.nparams != 6) return kBadParameter;
  if (q.ndim != 4 || k.ndim != 4 || v.ndim != 4 || statistics.ndim != 4) return kBadShape;
  a->N = q.shape[0], a->H = q.shape[1], a->Tq = q.shape[2], a->D = q.shape[3];
  a->Tk = k.shape[2], a->Dv = v.shape[3];
  if (!read_rows<T>(q, a->N, a->H, a->Tq, a->D, &a->q) || !read_rows<T>(k, a->N, a->H, a->Tk, a->D, &a->k) ||
      !read_rows<T>(v, a->N, a->H, a->Tk, a->Dv, &a->v)) {
    return kBadShape;
  }
  const int64_t* const kept = statistics.shape;
  if (kept[0] != 2 || kept[1] != a->N || kept[2] != a->H || kept[3] != a->Tq || !statistics.contiguous)
    return kBadShape;
  if (k.dtype != q.dtype || v.dtype != q.dtype || statistics.dtype != q.dtype) return kBadDType;
  a->greatest = static_cast<T*>(statistics.data);
  a->factor = a->greatest + a->N * a->H * a->Tq;
  a->mask = {nullptr, false, 0, 0, 0, 0};
  if (!absent(mask)) {
    if (mask.ndim != 4 || mask.shape[0] != a->N || mask.shape[1] != a->H || mask.shape[2] != a->Tq ||
        mask.shape[3] != a->Tk) {
      return kBadShape;
    }
    if (mask.dtype != kBool && mask.dtype != q.dtype) return kBadDType;
    a->mask = {static_cast<const char*>(mask.data),
               mask.dtype == kBool,
               mask.strides[0],
               mask.strides[1],
               mask.strides[2],
               mask.strides[3]};
  }
  a->scale = static_cast<T>(c.params[0]);
  a->causal = c.params[1] != 0;
  return read_dropout(c, 2, &a->dropout);
}

// What backward knows of the outputs, each head's rows (Tq,Dv).
template <class T>
struct Outputs {
  Rows<const T> out, dout;
  // δ of row i, of the weights as dropped.
  T delta(int64_t n, int64_t h, int64_t i, int64_t width) const {
    return dot(dout.at(n, h) + i * dout.row, out.at(n, h) + i * out.row, width);
  }
};

// Reads out (N,Tq,H,Dv) and dout (N,H,Tq,Dv), inputs 4 and 6 of the backward operations.
template <class T>
Status read_outputs(const Call& c, const Attention<T>& a, Outputs<T>* o) {
  if (c.in[4].dtype != c.in[0].dtype || c.in[6].dtype != c.in[0].dtype) return kBadDType;
  Rows<const T> out;
  if (!read_rows<T>(c.in[4], a.N, a.Tq, a.H, a.Dv, &out) || !read_rows<T>(c.in[6], a.N, a.H, a.Tq, a.Dv, &o->dout)) {
    return kBadShape;
  }
  o->out = {out.data, out.batch, out.row, out.head};
  return kOk;
}

}  // namespace MYELIN_ISA
}  // namespace myelin
