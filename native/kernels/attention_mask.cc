// The gradient of a mask that is added to attention's scores: that of the scores, summed over the dimensions in which the mask
// repeats, in tiles, so that memory is that of the mask.
#include <string.h>

#include "attention_scores.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

// A range of one dimension of the scores that one task sums up or goes through.
struct Range {
  int64_t begin, end;
};

// Part t of a dimension in steps, or all of it where the mask repeats.
Range part_of(bool repeats, int64_t t, int64_t step, int64_t size) {
  if (repeats) return {0, size};
  return {t * step, smaller(size, (t + 1) * step)};
}

// Which part of the scores' gradient one task sums into its tile of the mask's.
struct Part {
  Range n, h, i, j;
};

template <class T>
struct MaskGradient {
  const Attention<T>& a;
  const Outputs<T>& outputs;
  bool rows_repeat, columns_repeat;
  // Sums of one tile (kQueries, kKeys).
  double* sums;
  T* scratch;

  static int64_t sums_bytes() { return kQueries * kKeys * static_cast<int64_t>(sizeof(double)); }
  static int64_t scratch_size(const Attention<T>& a) {
    return Panels<T>::size(a.D, kKeys) + Panels<T>::size(a.Dv, kKeys) + 2 * kQueries * kKeys;
  }

  void add_part(const Part& part) const {
    memset(sums, 0, static_cast<size_t>(sums_bytes()));
    for (int64_t n = part.n.begin; n < part.n.end; ++n) {
      for (int64_t h = part.h.begin; h < part.h.end; ++h) {
        for (int64_t j = part.j.begin; j < part.j.end; j += kKeys) {
          add_keys(n, h, part.i, j, smaller(part.j.end, j + kKeys));
        }
      }
    }
  }

  // Adds the gradients of the scores of rows `rows` and keys [j0, j1), at most kKeys.
  void add_keys(int64_t n, int64_t h, Range rows, int64_t j0, int64_t j1) const {
    const bool whole = a.Tk <= kKeys;
    const int64_t count = j1 - j0;
    const T *q = a.q.at(n, h), *dout = outputs.dout.at(n, h);
    Panels<T> keys, values;
    keys.pack(a.k.at(n, h) + j0 * a.k.row, 1, a.k.row, a.D, count, scratch);
    T* const value_memory = scratch + Panels<T>::size(a.D, kKeys);
    values.pack(a.v.at(n, h) + j0 * a.v.row, 1, a.v.row, a.Dv, count, value_memory);
    T* const p = value_memory + Panels<T>::size(a.Dv, kKeys);
    T* const ds = p + kQueries * kKeys;
    for (int64_t i = rows.begin; i < rows.end; i += kQueries) {
      const int64_t height = smaller(kQueries, rows.end - i);
      if (a.causal && i + height <= j0) continue;
      tile_product(q + i * a.q.row, a.q.row, 1, height, keys, 0, a.D, 0, count, p, kKeys, kStore);
      tile_product(dout + i * outputs.dout.row, outputs.dout.row, 1, height, values, 0, a.Dv, 0, count, ds, kKeys,
                   kStore);
      for (int64_t r = 0; r < height; ++r) {
        T* const row = ds + r * kKeys;
        const int64_t seen = finish_scores(a, n, h, i + r, j0, count, p + r * kKeys);
        const T delta = whole ? T(0) : outputs.delta(n, h, i + r, a.Dv);
        backward_scores(a, n, h, i + r, j0, seen, delta, whole, p + r * kKeys, row);
        double* const to = sums + (rows_repeat ? 0 : r * kKeys);
        for (int64_t c = 0; c < seen; ++c) to[columns_repeat ? 0 : c] += static_cast<double>(row[c]);
      }
    }
  }
};

template <class T>
Status mask_gradient(const Call& c) {
  Attention<T> a;
  Outputs<T> outputs;
  Status status = read_attention(c, &a, c.in[5]);
  if (status == kOk) status = read_outputs(c, a, &outputs);
  if (status != kOk) return status;
  const View& out = c.out[0];
  const int64_t full[4] = {a.N, a.H, a.Tq, a.Tk};
  if (out.dtype != c.in[0].dtype) return kBadDType;
  if (out.ndim != 4 || !out.contiguous) return kBadShape;
  bool repeats[4];
  for (int d = 0; d < 4; ++d) {
    if (out.shape[d] != full[d] && out.shape[d] != 1) return kBadShape;
    repeats[d] = out.shape[d] == 1;
  }
  const int64_t heights = repeats[2] ? 1 : divide_up(a.Tq, kQueries), widths = repeats[3] ? 1 : divide_up(a.Tk, kKeys);
  const int64_t sums_bytes = MaskGradient<T>::sums_bytes();
  const size_t bytes =
      static_cast<size_t>(sums_bytes + MaskGradient<T>::scratch_size(a) * static_cast<int64_t>(sizeof(T)));
  int32_t failed = 0;
  parallel_for(*c.pool, out.shape[0] * out.shape[1] * heights * widths, 1, [&](int64_t begin, int64_t end, int worker) {
    char* const memory = static_cast<char*>(c.pool->scratch(c.pool->self, worker, bytes));
    if (memory == nullptr) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    const MaskGradient<T> g = {a,
                               outputs,
                               repeats[2],
                               repeats[3],
                               reinterpret_cast<double*>(memory),
                               reinterpret_cast<T*>(memory + sums_bytes)};
    for (int64_t t = begin; t < end; ++t) {
      const int64_t column = t % widths, row = t / widths % heights, head = t / widths / heights;
      const int64_t n = head / out.shape[1], h = head % out.shape[1];
      const Part part = {part_of(repeats[0], n, 1, a.N), part_of(repeats[1], h, 1, a.H),
                         part_of(repeats[2], row, kQueries, a.Tq), part_of(repeats[3], column, kKeys, a.Tk)};
      g.add_part(part);
      const int64_t i0 = row * kQueries, i1 = smaller(out.shape[2], i0 + kQueries);
      const int64_t j0 = column * kKeys, j1 = smaller(out.shape[3], j0 + kKeys);
      for (int64_t i = i0; i < i1; ++i) {
        T* const to = static_cast<T*>(out.data) + (head * out.shape[2] + i) * out.shape[3];
        for (int64_t j = j0; j < j1; ++j) to[j] = static_cast<T>(g.sums[(i - i0) * kKeys + j - j0]);
      }
    }
  });
  return failed ? kOutOfMemory : kOk;
}

}  // namespace

// What attention_backward takes, with a mask of floats: the mask's gradient (N,H,Tq,Tk), or 1 in place of a dimension in which the
// mask repeats.
Status attention_mask_backward(const Call& c) {
  if (c.nin != 7 || c.nout != 1 || absent(c.in[3])) return kBadShape;
  if (!is_float(c.in[0].dtype) || c.in[3].dtype != c.in[0].dtype) return kBadDType;
  return c.in[0].dtype == kFloat32 ? mask_gradient<float>(c) : mask_gradient<double>(c);
}

}  // namespace MYELIN_ISA
}  // namespace myelin
