// Bands of output positions, and the copy of the input that one reads, with its padding, in one block.
#pragma once
#include "conv.h"
#include "stepped.h"

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

// One dimension: the axes of its phases, of which phase p gives output positions p, p + phases, …; and how a band is copied for
// all of them.
struct Dimension {
  int64_t phases, out;
  Axis axis[2], whole;
  Copied copied;

  Dimension(const Axis* axes, int64_t count) : phases(count), out(axes[0].out), axis{}, whole(axes[0]) {
    for (int64_t p = 0; p < count; p++) axis[p] = axes[p];
    if (count == 1) return;
    out += axes[1].out;
    // From the first position that either reads to the last.
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (const Axis& a : axis) {
      if (a.taps == 0) continue;
      first = smaller(first, a.offset), last = larger(last, a.offset + (a.taps - 1) * a.step);
    }
    whole.taps = last - first + 1, whole.offset = first, whole.step = 1;
  }
  int64_t tap(int64_t p, int64_t t) const {
    return phases == 1 ? copied.tap(t) : axis[p].offset - whole.offset + t * axis[p].step;
  }
};

// The low (Half = 0) or high halves of two phases, element by element in turn.
template <int Half, class T>
MYELIN_INLINE Vec<T> zip(Vec<T> a, Vec<T> b) {
  return shuffle<ZipLanes<Vec<T>::N, Half>>(a, b);
}

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

// out[j] = in[j·every] for lead <= j < to, 0 for the rest of j < n. Up to a vector past n is written.
template <int Every, class T>
MYELIN_INLINE void copy_row(const T* in, int64_t every, int64_t lead, int64_t to, int64_t n, T* out) {
  constexpr int N = Vec<T>::N;
  for (int64_t j = 0; j < lead; j += N) store(out + j, zero<T>());
  int64_t j = lead;
  for (; j + N <= to; j += N) store(out + j, load_stepped<T, Every>(in + j * every, every, N));
  if (j < to) store(out + j, load_stepped<T, Every>(in + j * every, every, static_cast<int>(to - j)));
  for (j = to; j < n; j += N) store(out + j, zero<T>());
}

// The part of one channel of one image that a band reads, rows of x `stride` apart. Up to a vector past the plane is written:
// planes are to be copied in the order in which they lie.
template <int Every, class T>
void copy_rows(const Axis& h, const Axis& w, const Band& band, const Copied& ch, const Copied& cw, const T* x,
               int64_t stride, T* out) {
  const int64_t column = band.column * w.stride + w.offset, every = cw.every, n = cw.length;
  for (int64_t hg = 0; hg < ch.groups; hg++) {
    int64_t ih = band.row * h.stride + h.offset + hg * ch.apart;
    for (int64_t i = 0; i < ch.length; i++, ih += ch.every) {
      if (ih < 0 || ih >= h.in) {
        for (int64_t wg = 0; wg < cw.groups; wg++, out += n) copy_row<1>(x, 1, n, n, n, out);
        continue;
      }
      for (int64_t wg = 0; wg < cw.groups; wg++, out += n) {
        const int64_t from = column + wg * cw.apart, room = w.in - from;
        const int64_t lead = from >= 0 ? 0 : smaller(n, every == 1 ? -from : divide_up(-from, every));
        const int64_t to = larger(lead, smaller(n, room <= 0 ? 0 : every == 1 ? room : divide_up(room, every)));
        copy_row<Every>(x + ih * stride + from, every, lead, to, n, out);
      }
    }
  }
}

template <class T>
void copy_plane(const Axis& h, const Axis& w, const Band& band, const Copied& ch, const Copied& cw, const T* x,
                int64_t stride, T* out) {
  const auto copy = cw.every == 1 ? copy_rows<1, T> : cw.every == 2 ? copy_rows<2, T> : copy_rows<0, T>;
  copy(h, w, band, ch, cw, x, stride, out);
}

}  // namespace MYELIN_ISA
}  // namespace myelin
