// The scores of additive attention, v · tanh(query + key) (Bahdanau et al., 2015), forward and backward, without keeping a tanh.
#include <string.h>

#include "../simd/math.h"
#include "blocks.h"
#include "vectors.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int64_t kScoreElements = 16384;  // keys × width of one task

// S keys and one query for each of B rows, A wide.
struct Additive {
  int64_t S, B, A;
  int64_t grain() const { return kScoreElements / (S * A + 1) + 1; }
};

// query (B,A), keys (S,B,A), v (A), scores (S,B); all contiguous and of one dtype.
Status read_additive(const View& query, const View& keys, const View& v, const View& scores, Additive* a) {
  if (query.ndim != 2 || keys.ndim != 3 || v.ndim != 1 || scores.ndim != 2) return kBadShape;
  *a = {keys.shape[0], keys.shape[1], keys.shape[2]};
  if (query.shape[0] != a->B || query.shape[1] != a->A || v.shape[0] != a->A) return kBadShape;
  if (scores.shape[0] != a->S || scores.shape[1] != a->B) return kBadShape;
  const View* const all[] = {&query, &keys, &v, &scores};
  for (const View* x : all) {
    if (x->dtype != query.dtype || !is_float(x->dtype)) return kBadDType;
    if (!x->contiguous) return kBadShape;
  }
  return kOk;
}

template <class T>
const T* read(const View& v) {
  return static_cast<const T*>(v.data);
}

template <class T>
Status forward(const Call& c, const Additive& a) {
  const T *query = read<T>(c.in[0]), *keys = read<T>(c.in[1]), *v = read<T>(c.in[2]);
  T* scores = static_cast<T*>(c.out[0].data);
  parallel_for(*c.pool, a.B, a.grain(), [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; ++b) {
      const T* q = query + b * a.A;
      for (int64_t s = 0; s < a.S; ++s) {
        const T* key = keys + (s * a.B + b) * a.A;
        // Lanes past the end: v is 0 there.
        scores[s * a.B + b] = sum_vectors<T>(a.A, [&](int64_t i, int k) {
          return load_part(v + i, k) * tanh(load_part(key + i, k) + load_part(q + i, k));
        });
      }
    }
  });
  return kOk;
}

// With g = dscore v (1 - tanh²): dkey = g, dquery = Σ_s g, dv = Σ dscore tanh, row by row and then over the rows in order.
template <class T>
Status backward(const Call& c, const Additive& a, bool add) {
  const T *dscores = read<T>(c.in[0]), *query = read<T>(c.in[1]), *keys = read<T>(c.in[2]), *v = read<T>(c.in[3]);
  T *dquery = static_cast<T*>(c.out[0].data), *dkeys = static_cast<T*>(c.out[1].data);
  T* dv = static_cast<T*>(c.out[2].data);
  const size_t width = static_cast<size_t>(a.A) * sizeof(T);
  T* const parts = static_cast<T*>(c.pool->scratch(c.pool->self, -1, static_cast<size_t>(a.B) * width + 64));
  if (parts == nullptr) return kOutOfMemory;
  const Vec<T> one = set1<T>(1);
  parallel_for(*c.pool, a.B, a.grain(), [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; ++b) {
      const T* q = query + b * a.A;
      T *dq = dquery + b * a.A, *part = parts + b * a.A;
      memset(dq, 0, width);
      memset(part, 0, width);
      for (int64_t s = 0; s < a.S; ++s) {
        const int64_t at = (s * a.B + b) * a.A;
        const Vec<T> d = set1<T>(dscores[s * a.B + b]);
        for_vectors<T>(a.A, [&](int64_t i, int k) {
          const Vec<T> t = tanh(load_part(keys + at + i, k) + load_part(q + i, k));
          const Vec<T> g = d * load_part(v + i, k) * fnma(t, t, one);
          store_part(dkeys + at + i, add ? load_part(dkeys + at + i, k) + g : g, k);
          store_part(dq + i, load_part(dq + i, k) + g, k);
          store_part(part + i, fma(d, t, load_part(part + i, k)), k);
        });
      }
    }
  });
  if (width > 0) memset(dv, 0, width);
  for (int64_t b = 0; b < a.B; ++b) add_scaled(dv, parts + b * a.A, T(1), a.A);
  return kOk;
}

}  // namespace

// query (B,A), keys (S,B,A), v (A), contiguous: scores (S,B).
Status additive_scores(const Call& c) {
  if (c.nin != 3 || c.nout != 1) return kBadShape;
  Additive a;
  const Status status = read_additive(c.in[0], c.in[1], c.in[2], c.out[0], &a);
  if (status != kOk) return status;
  return c.in[0].dtype == kFloat32 ? forward<float>(c, a) : forward<double>(c, a);
}

// dscores (S,B) and the operands: dquery (B,A), dkeys (S,B,A), which is added to what is there with `add`, and dv (A).
Status additive_scores_backward(const Call& c) {
  if (c.nin != 4 || c.nout != 3) return kBadShape;
  if (c.nparams != 1) return kBadParameter;
  Additive a, same;
  Status status = read_additive(c.in[1], c.in[2], c.in[3], c.in[0], &a);
  if (status == kOk) status = read_additive(c.out[0], c.out[1], c.out[2], c.in[0], &same);
  if (status != kOk) return status;
  if (same.A != a.A || c.out[0].dtype != c.in[1].dtype) return kBadShape;
  const bool add = c.params[0] != 0;
  return c.in[1].dtype == kFloat32 ? backward<float>(c, a, add) : backward<double>(c, a, add);
}

}  // namespace MYELIN_ISA
}  // namespace myelin
