// Batch norm where a channel has few adjacent elements: x (N, C·S) as columns, C·S of them, tiles of which advance together
// over the rows. A tile holds whole channels.
#pragma once
#include <math.h>
#include <stdint.h>

#include "batch_channels.h"
#include "blocks.h"
#include "call.h"
#include "moments.h"

namespace myelin {
namespace MYELIN_ISA {

inline constexpr int64_t kTileColumns = 64;
inline constexpr int64_t kTileRows = 128;  // rows summed in T before they go to double

struct Tiles {
  int64_t rows;
  int64_t columns;
  int64_t spatial;  // columns of a channel
  int64_t width;    // columns of a tile

  explicit Tiles(const BatchShape& s)
      : rows(s.batch),
        columns(s.channels * s.spatial),
        spatial(s.spatial),
        width(kTileColumns / s.spatial * s.spatial) {}

  // body(first column, columns) for every tile, in parallel.
  template <class F>
  void each(const Pool& pool, const F& body) const {
    const int64_t tiles = (columns + width - 1) / width;
    const auto run = [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; ++t) {
        body(t * width, columns - t * width < width ? columns - t * width : width);
      }
    };
    if (rows * columns <= kChunk) {
      run(0, tiles, 0);
    } else {
      parallel_for(pool, tiles, rows * width >= kChunk ? 1 : kChunk / (rows * width), run);
    }
  }
};

// Moments of `n` columns: to[j] for column j.
template <class T>
inline void column_moments(const T* x, int64_t rows, int64_t stride, int64_t n, Moments* to) {
  alignas(64) T center[kTileColumns] = {};
  alignas(64) T sum[kTileColumns];
  alignas(64) T square[kTileColumns];
  for (int64_t first = 0; first < rows; first += kTileRows) {
    const int64_t last = rows - first < kTileRows ? rows : first + kTileRows;
    const T count = static_cast<T>(last - first);
    if (first == 0) {
      for (int64_t r = first; r < last; ++r) {
#pragma GCC ivdep
        for (int64_t j = 0; j < n; ++j) center[j] += x[r * stride + j];
      }
      for (int64_t j = 0; j < n; ++j) center[j] /= count;
    } else {
      for (int64_t j = 0; j < n; ++j) center[j] = static_cast<T>(to[j].mean);
    }
    for (int64_t j = 0; j < n; ++j) sum[j] = square[j] = 0;
    for (int64_t r = first; r < last; ++r) {
#pragma GCC ivdep
      for (int64_t j = 0; j < n; ++j) {
        const T d = x[r * stride + j] - center[j];
        sum[j] += d;
        square[j] += d * d;
      }
    }
    for (int64_t j = 0; j < n; ++j) {
      to[j].add(static_cast<double>(last - first), static_cast<double>(center[j]), static_cast<double>(sum[j]),
                static_cast<double>(square[j]));
    }
  }
}

// Coefficients of a tile, one a column.
template <class T>
struct ColumnLines {
  alignas(64) T high[kTileColumns];
  alignas(64) T scale[kTileColumns];
  alignas(64) T shift[kTileColumns];

  void set(int64_t j, const Line<T>& l) {
    high[j] = l.high;
    scale[j] = l.scale;
    shift[j] = l.shift;
  }
};

template <class T>
inline void apply_columns(const BatchForward<T>& f, const Tiles& t, int64_t first, int64_t n, const ColumnLines<T>& l) {
  for (int64_t r = 0; r < t.rows; ++r) {
    const T* from = f.x + r * t.columns + first;
    T* to = f.out + r * t.columns + first;
#pragma GCC ivdep
    for (int64_t j = 0; j < n; ++j) to[j] = (from[j] - l.high[j]) * l.scale[j] + l.shift[j];
  }
}

template <class T>
Status train_columns(const BatchForward<T>& f, const Pool& pool) {
  const Tiles tiles(f.shape);
  tiles.each(pool, [&](int64_t first, int64_t n) {
    Moments columns[kTileColumns];
    ColumnLines<T> lines;
    column_moments(f.x + first, tiles.rows, tiles.columns, n, columns);
    for (int64_t j = 0; j < n; j += tiles.spatial) {
      const int64_t channel = (first + j) / tiles.spatial;
      for (int64_t s = 0; s < tiles.spatial; ++s) f.moments[channel].join(columns[j + s]);
      const Line<T> l = f.finish(channel);
      for (int64_t s = 0; s < tiles.spatial; ++s) lines.set(j + s, l);
    }
    apply_columns(f, tiles, first, n, lines);
  });
  return kOk;
}

template <class T>
Status infer_columns(const BatchForward<T>& f, const Line<T>* of_channels, const Pool& pool) {
  const Tiles tiles(f.shape);
  tiles.each(pool, [&](int64_t first, int64_t n) {
    ColumnLines<T> lines;
    for (int64_t j = 0; j < n; ++j) lines.set(j, of_channels[(first + j) / tiles.spatial]);
    apply_columns(f, tiles, first, n, lines);
  });
  return kOk;
}

template <class T>
Status backward_columns(const BatchBackward<T>& b, const Pool& pool) {
  const Tiles tiles(b.shape);
  tiles.each(pool, [&](int64_t first, int64_t n) {
    alignas(64) T high[kTileColumns], scale[kTileColumns], slope[kTileColumns], shift[kTileColumns];
    alignas(64) T sum[kTileColumns], dot[kTileColumns];
    double sums[kTileColumns] = {}, dots[kTileColumns] = {};
    for (int64_t j = 0; j < n; ++j) high[j] = static_cast<T>(b.sums[(first + j) / tiles.spatial].mean);
    for (int64_t begin = 0; begin < tiles.rows; begin += kTileRows) {
      const int64_t end = tiles.rows - begin < kTileRows ? tiles.rows : begin + kTileRows;
      for (int64_t j = 0; j < n; ++j) sum[j] = dot[j] = 0;
      for (int64_t r = begin; r < end; ++r) {
        const T* g = b.dy + r * tiles.columns + first;
        const T* v = b.x + r * tiles.columns + first;
#pragma GCC ivdep
        for (int64_t j = 0; j < n; ++j) {
          sum[j] += g[j];
          dot[j] += g[j] * (v[j] - high[j]);
        }
      }
      for (int64_t j = 0; j < n; ++j) {
        sums[j] += static_cast<double>(sum[j]);
        dots[j] += static_cast<double>(dot[j]);
      }
    }
    for (int64_t j = 0; j < n; j += tiles.spatial) {
      const int64_t channel = (first + j) / tiles.spatial;
      BatchSums& s = b.sums[channel];
      const double low = s.mean - static_cast<double>(high[j]);
      for (int64_t i = j; i < j + tiles.spatial; ++i) {
        s.sum += sums[i];
        s.dot += (dots[i] - low * sums[i]) * s.rstd;
      }
      const typename BatchBackward<T>::Lines l = b.finish(channel);
      for (int64_t i = j; i < j + tiles.spatial; ++i) {
        scale[i] = l.scale;
        slope[i] = l.slope;
        shift[i] = l.shift;
      }
    }
    for (int64_t r = 0; r < tiles.rows; ++r) {
      const T* g = b.dy + r * tiles.columns + first;
      const T* v = b.x + r * tiles.columns + first;
      T* to = b.dx + r * tiles.columns + first;
#pragma GCC ivdep
      for (int64_t j = 0; j < n; ++j) to[j] = g[j] * scale[j] + ((v[j] - high[j]) * slope[j] + shift[j]);
    }
  });
  return kOk;
}

}  // namespace MYELIN_ISA
}  // namespace myelin
