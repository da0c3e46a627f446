// Bands of output positions, and the copy of the input that one reads, with its padding, in one block.
#pragma once
#include "conv.h"

namespace myelin {
namespace MYELIN_ISA {

// How one dimension of a band of `count` positions is copied: in `groups` runs of `length` input positions `every` apart,
// which begin `apart` apart. Either as it lies (one group); or, when neighbouring positions are to be adjacent though the
// stride is not 1, split by the remainder of the division by the stride; or, where those would hold much that nothing
// reads, once for each tap.
struct Copied {
  enum Way { kAsIs, kByPhase, kByTap };
  Way way;
  int64_t groups, length, every, apart;
  int64_t position;  // distance of neighbouring output positions in the copy
  int64_t taps, step, stride;

  Copied() = default;
  // For bands of at most `count` positions.
  Copied(int64_t count, const Axis& axis, bool adjacent) : taps(axis.taps), step(axis.step), stride(axis.stride) {
    way = stride != 1 && (adjacent || stride > (taps - 1) * step + 1) ? kByPhase : kAsIs;
    resize(count);
    if (size() > taps * count + 16) way = kByTap, resize(count);
  }
  // For a band of that many, not more than before.
  void resize(int64_t count) {
    const int64_t reach = (taps - 1) * step;
    groups = way == kAsIs ? 1 : way == kByPhase ? smaller(stride, reach + 1) : taps;
    length = way == kAsIs ? (count - 1) * stride + reach + 1 : way == kByPhase ? count + reach / stride : count;
    every = way == kAsIs ? 1 : stride, apart = way == kByTap ? step : 1, position = way == kAsIs ? stride : 1;
  }
  int64_t size() const { return groups * length; }
  int64_t tap(int64_t t) const {
    if (way == kByTap) return t * length;
    return way == kAsIs ? t * step : t * step % stride * length + t * step / stride;
  }
};

// Bands: `images` whole images, or part of one.
struct Bands {
  int64_t images, rows, columns;  // of one band, at most
  int64_t by_image, by_row, by_column, count;
};

struct Band {
  int64_t image, images, row, rows, column, columns;
};

inline Bands make_bands(int64_t images, int64_t high, int64_t wide, int64_t positions, int64_t most_columns) {
  Bands b;
  b.columns = smaller(wide, most_columns);
  b.rows = smaller(high, larger(1, positions / b.columns));
  const bool whole = b.columns == wide && b.rows == high;
  b.images = whole ? smaller(images, larger(1, positions / (high * wide))) : 1;
  // Even shares.
  b.rows = divide_up(high, divide_up(high, b.rows));
  b.images = divide_up(images, divide_up(images, b.images));
  b.by_image = divide_up(images, b.images);
  b.by_row = divide_up(high, b.rows);
  b.by_column = divide_up(wide, b.columns);
  b.count = b.by_image * b.by_row * b.by_column;
  return b;
}

inline Band band_at(const Bands& b, int64_t images, int64_t high, int64_t wide, int64_t i) {
  const int64_t column = i % b.by_column * b.columns, row = i / b.by_column % b.by_row * b.rows;
  const int64_t image = i / b.by_column / b.by_row * b.images;
  return {image,  smaller(b.images, images - image), row, smaller(b.rows, high - row),
          column, smaller(b.columns, wide - column)};
}

// out[j] = row[from + j·every] for j < n, 0 where that is outside [0, size).
template <class T>
inline void copy_padded(const T* row, int64_t from, int64_t every, int64_t size, int64_t n, T* out) {
  const int64_t lead = smaller(n, from < 0 ? divide_up(-from, every) : 0);
  const int64_t to = larger(lead, smaller(n, size > from ? divide_up(size - from, every) : 0));
  for (int64_t j = 0; j < lead; j++) out[j] = T(0);
  if (every == 1) {
    constexpr int N = Vec<T>::N;
    int64_t j = lead;
    for (; j + N <= to; j += N) store(out + j, load(row + from + j));
    for (; j < to; j++) out[j] = row[from + j];
  } else if (every == 2) {
    for (int64_t j = lead; j < to; j++) out[j] = row[from + j * 2];
  } else {
    for (int64_t j = lead; j < to; j++) out[j] = row[from + j * every];
  }
  for (int64_t j = to; j < n; j++) out[j] = T(0);
}

// The part of one channel of one image that a band reads, rows of x `stride` apart.
template <class T>
void copy_plane(const Axis& h, const Axis& w, const Band& band, const Copied& ch, const Copied& cw, const T* x,
                int64_t stride, T* out) {
  for (int64_t hg = 0; hg < ch.groups; hg++) {
    for (int64_t i = 0; i < ch.length; i++) {
      const int64_t ih = band.row * h.stride + h.offset + hg * ch.apart + i * ch.every;
      const bool inside = ih >= 0 && ih < h.in;
      const T* const row = x + (inside ? ih * stride : 0);
      for (int64_t wg = 0; wg < cw.groups; wg++, out += cw.length)
        copy_padded(row, band.column * w.stride + w.offset + wg * cw.apart, cw.every, inside ? w.in : 0, cw.length,
                    out);
    }
  }
}

}  // namespace MYELIN_ISA
}  // namespace myelin
