// Layer, RMS and group norm over rows of adjacent elements; f and its gradient.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "../simd/simd.h"
#include "blocks.h"
#include "call.h"
#include "moments.h"

namespace myelin {
namespace MYELIN_ISA {

// x (batch, groups, per_group, spatial); a row is the last two. Weights are one a channel: (groups, per_group).
struct NormShape {
  int64_t batch;
  int64_t groups;
  int64_t per_group;
  int64_t spatial;

  int64_t rows() const { return batch * groups; }
  int64_t row() const { return per_group * spatial; }
  int64_t channels() const { return groups * per_group; }
  // Channels of fewer elements have their weights written out, one an element.
  bool thin() const { return spatial < 16; }
};

// One value of a channel for each of its elements; `missing` where there are none.
template <class T>
inline void spread_channels(const T* values, T missing, int64_t channels, int64_t spatial, T* to) {
  for (int64_t c = 0; c < channels; ++c) {
    const T v = values != nullptr ? values[c] : missing;
    for (int64_t s = 0; s < spatial; ++s) to[c * spatial + s] = v;
  }
}

// Runs body(begin, end, worker) over `n` rows of `length` elements; rows of one chunk stay together.
template <class F>
inline void for_rows(const Pool& pool, int64_t n, int64_t length, const F& body) {
  if (n * length <= kChunk) {
    if (n > 0) body(int64_t{0}, n, 0);
    return;
  }
  parallel_for(pool, n, length >= kChunk ? 1 : kChunk / length, body);
}

template <class T>
struct NormForward {
  NormShape shape;
  double eps;
  bool centered;  // false: the mean is taken to be 0
  const T* x;
  const T* weight;  // null: 1
  const T* bias;    // null: 0
  T* out;
  double* mean;
  double* rstd;

  Standard<T> statistics(int64_t r) const {
    const int64_t n = shape.row();
    const T* row = x + r * n;
    double m = 0;
    double variance;
    if (centered) {
      const Moments moments = moments_of<true>(row, {1, n, n}, out + r * n);
      m = moments.mean;
      variance = moments.variance();
    } else {
      double sum[1] = {0};
      gather_sums<T>({1, n, n}, sum, [&](int64_t i, int lanes, Vec<T>* acc) {
        prefetch(out + r * n + i);
        const Vec<T> v = load_part(row + i, lanes);
        acc[0] = fma(v, v, acc[0]);
      });
      variance = sum[0] / static_cast<double>(n);
    }
    mean[r] = m;
    rstd[r] = 1 / ::sqrt(variance + eps);
    return Standard<T>(m, rstd[r]);
  }

  Status run(const Pool& pool) const {
    const bool plain = weight == nullptr && bias == nullptr;
    const int64_t n = shape.row();
    const T* w = weight;
    const T* b = bias;
    if (!plain && shape.thin() && (shape.spatial > 1 || w == nullptr || b == nullptr)) {
      const int64_t elements = shape.channels() * shape.spatial;
      T* wide = static_cast<T*>(pool.scratch(pool.self, -1, static_cast<size_t>(2 * elements) * sizeof(T)));
      if (wide == nullptr) return kOutOfMemory;
      spread_channels(weight, T(1), shape.channels(), shape.spatial, wide);
      spread_channels(bias, T(0), shape.channels(), shape.spatial, wide + elements);
      w = wide;
      b = wide + elements;
    }
    for_rows(pool, shape.rows(), n, [&](int64_t begin, int64_t end, int) {
      for (int64_t r = begin; r < end; ++r) {
        const Standard<T> s = statistics(r);
        const int64_t group = r % shape.groups;
        if (plain) {
          affine(x + r * n, out + r * n, n, s, T(1), T(0));
        } else if (shape.thin()) {
          elementwise(x + r * n, out + r * n, n, s, w + group * n, b + group * n);
        } else {
          for (int64_t k = 0; k < shape.per_group; ++k) {
            const int64_t channel = group * shape.per_group + k, at = r * n + k * shape.spatial;
            affine(x + at, out + at, shape.spatial, s, w != nullptr ? w[channel] : T(1),
                   b != nullptr ? b[channel] : T(0));
          }
        }
      }
    });
    return kOk;
  }

  // Both fetch the next row.
  static void affine(const T* from, T* to, int64_t n, const Standard<T>& s, T w, T b) {
    const Vec<T> high = set1<T>(s.high), scale = set1<T>(s.scale * w), shift = set1<T>(b - s.low * (s.scale * w));
    for_vectors<T>(n,
                   [&](int64_t i, int k) { store_part(to + i, fma(load_part(from + i, k) - high, scale, shift), k); });
  }

  static void elementwise(const T* from, T* to, int64_t n, const Standard<T>& s, const T* w, const T* b) {
    const Vec<T> high = set1<T>(s.high), scale = set1<T>(s.scale), shift = set1<T>(-s.low * s.scale);
    for_vectors<T>(n, [&](int64_t i, int k) {
      prefetch(from + n + i);
      const Vec<T> standard = fma(load_part(from + i, k) - high, scale, shift);
      store_part(to + i, fma(standard, load_part(w + i, k), load_part(b + i, k)), k);
    });
  }
};

template <class T>
struct NormBackward {
  static constexpr int kTriple = 3;           // rows that share one pass over the sums of the weights
  static constexpr int64_t kFlush = 63;       // rows summed in T before they go to double
  static constexpr int64_t kMostChunks = 32;  // parts that the rows are cut into

  NormShape shape;
  bool centered;
  const T* dy;
  const T* x;
  const double* mean;
  const double* rstd;
  const T* weight;
  T* dx;
  T* dweight;
  T* dbias;

  // dx = dy · (scale w) + (x - high) · slope + shift
  struct Line {
    T slope;
    T shift;
  };
  // From Σ a and Σ a x̂ over the row.
  Line line(const Standard<T>& s, double sum, double dot) const {
    const double n = static_cast<double>(shape.row()), r = static_cast<double>(s.scale);
    const double slope = -r * r * dot / n;
    const double shift = (centered ? -r * sum / n : 0) - slope * static_cast<double>(s.low);
    return {static_cast<T>(slope), static_cast<T>(shift)};
  }

  Status run(const Pool& pool) const { return shape.thin() ? run_thin(pool) : run_channels(pool); }

  // Channels of many elements: the sums of each are taken once and serve dx as well as the weights.
  Status run_channels(const Pool& pool) const {
    const int64_t channels = shape.channels();
    const int64_t count = shape.batch * channels;
    double* sums = static_cast<double*>(pool.scratch(pool.self, -1, static_cast<size_t>(2 * count) * sizeof(double)));
    if (sums == nullptr) return kOutOfMemory;
    const int64_t n = shape.row(), length = shape.spatial;
    for_rows(pool, shape.rows(), n, [&](int64_t begin, int64_t end, int) {
      for (int64_t r = begin; r < end; ++r) {
        const Standard<T> s(mean[r], rstd[r]);
        const Vec<T> high = set1<T>(s.high);
        double row_sum = 0, row_dot = 0;
        const int64_t first = r % shape.groups * shape.per_group;
        for (int64_t k = 0; k < shape.per_group; ++k) {
          const int64_t at = r * n + k * length;
          double sum[2] = {0, 0};
          gather_sums<T>({1, length, length}, sum, [&](int64_t i, int lanes, Vec<T>* acc) {
            const Vec<T> g = load_part(dy + at + i, lanes);
            acc[0] = acc[0] + g;
            acc[1] = fma(g, load_part(x + at + i, lanes) - high, acc[1]);
          });
          const double dot = (sum[1] - static_cast<double>(s.low) * sum[0]) * static_cast<double>(s.scale);
          double* to = sums + 2 * (r * shape.per_group + k);
          to[0] = sum[0];
          to[1] = dot;
          const double w = weight != nullptr ? static_cast<double>(weight[first + k]) : 1;
          row_sum += w * sum[0];
          row_dot += w * dot;
        }
        const Line l = line(s, row_sum, row_dot);
        const Vec<T> slope = set1<T>(l.slope), shift = set1<T>(l.shift);
        for (int64_t k = 0; k < shape.per_group; ++k) {
          const int64_t at = r * n + k * length;
          const Vec<T> scale = set1<T>(s.scale * (weight != nullptr ? weight[first + k] : T(1)));
          for_vectors<T>(length, [&](int64_t i, int lanes) {
            const Vec<T> rest = fma(load_part(x + at + i, lanes) - high, slope, shift);
            store_part(dx + at + i, fma(load_part(dy + at + i, lanes), scale, rest), lanes);
          });
        }
      }
    });
    for (int64_t c = 0; c < channels; ++c) {
      double sum = 0, dot = 0;
      for (int64_t b = 0; b < shape.batch; ++b) {
        sum += sums[2 * (b * channels + c)];
        dot += sums[2 * (b * channels + c) + 1];
      }
      dbias[c] = static_cast<T>(sum);
      dweight[c] = static_cast<T>(dot);
    }
    return kOk;
  }

  // Channels of few elements, layer norm's of one: each part of the batch sums its rows for the weights, element by element,
  // and the parts are added up in order.
  Status run_thin(const Pool& pool) const {
    const int64_t width = shape.groups * shape.row(), n = shape.row();
    const int64_t by_work = shape.batch * width / (2 * kChunk), by_rows = (shape.batch + 7) / 8;
    int64_t chunks = by_work < by_rows ? by_work : by_rows;
    chunks = chunks < 1 ? 1 : chunks > kMostChunks ? kMostChunks : chunks;
    const int64_t per_chunk = (shape.batch + chunks - 1) / chunks;
    const size_t wide_bytes = static_cast<size_t>(width) * sizeof(T);
    const size_t part_bytes = static_cast<size_t>(2 * width) * sizeof(double);
    char* shared =
        static_cast<char*>(pool.scratch(pool.self, -1, static_cast<size_t>(chunks) * part_bytes + wide_bytes));
    if (shared == nullptr) return kOutOfMemory;
    double* parts = reinterpret_cast<double*>(shared);
    const T* w = weight;
    if (weight == nullptr || shape.spatial > 1) {
      T* wide = reinterpret_cast<T*>(shared + static_cast<size_t>(chunks) * part_bytes);
      spread_channels(weight, T(1), shape.channels(), shape.spatial, wide);
      w = wide;
    }
    bool failed = false;
    const auto body = [&](int64_t begin, int64_t end, int worker) {
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        double* part = parts + chunk * 2 * width;
        T* acc = static_cast<T*>(pool.scratch(pool.self, worker, 2 * wide_bytes));
        if (acc == nullptr) {
          __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
          return;
        }
        for (int64_t j = 0; j < 2 * width; ++j) part[j] = 0;
        const int64_t stop = (chunk + 1) * per_chunk < shape.batch ? (chunk + 1) * per_chunk : shape.batch;
        for (int64_t b = chunk * per_chunk; b < stop; b += kFlush) {
          const int64_t rows = stop - b < kFlush ? stop - b : kFlush;
          memset(acc, 0, 2 * wide_bytes);
          for (int64_t g = 0; g < shape.groups; ++g) {
            for (int64_t q = 0; q < rows; q += kTriple) {
              triple((b + q) * shape.groups + g, rows - q < kTriple ? static_cast<int>(rows - q) : kTriple, w + g * n,
                     acc + g * n, acc + width + g * n);
            }
          }
          for (int64_t j = 0; j < 2 * width; ++j) part[j] += static_cast<double>(acc[j]);
        }
      }
    };
    if (chunks == 1) {
      body(0, 1, 0);
    } else {
      parallel_for(pool, chunks, 1, body);
    }
    if (failed) return kOutOfMemory;
    for_rows(pool, shape.channels(), chunks * 2 * shape.spatial, [&](int64_t begin, int64_t end, int) {
      for (int64_t c = begin; c < end; ++c) {
        double dot = 0, sum = 0;
        for (int64_t chunk = 0; chunk < chunks; ++chunk) {
          const double* part = parts + chunk * 2 * width + c * shape.spatial;
          for (int64_t s = 0; s < shape.spatial; ++s) {
            dot += part[s];
            sum += part[width + s];
          }
        }
        dweight[c] = static_cast<T>(dot);
        dbias[c] = static_cast<T>(sum);
      }
    });
    return kOk;
  }

  // `count` rows from r on, `groups` apart: dx, and what they add to the sums of dy x̂ and dy.
  void triple(int64_t r, int count, const T* w, T* dot_acc, T* sum_acc) const {
    const int64_t n = shape.row(), step = shape.groups * n;
    if (count == kTriple) {
      rows<kTriple>(r, r * n, step, n, w, dot_acc, sum_acc);
    } else {
      for (int i = 0; i < count; ++i) {
        rows<1>(r + i * shape.groups, r * n + i * step, step, n, w, dot_acc, sum_acc);
      }
    }
  }

  template <int R>
  MYELIN_INLINE void rows(int64_t r, int64_t at, int64_t step, int64_t n, const T* w, T* dot_acc, T* sum_acc) const {
    Vec<T> high[R], low[R], scale[R], slope[R], shift[R];
    for (int q = 0; q < R; ++q) {
      const Standard<T> s(mean[r + q * shape.groups], rstd[r + q * shape.groups]);
      const T* g = dy + at + q * step;
      const T* v = x + at + q * step;
      const Vec<T> h = set1<T>(s.high);
      double sum[2] = {0, 0};
      gather_sums<T>({1, n, n}, sum, [&](int64_t i, int lanes, Vec<T>* acc) {
        prefetch(dx + at + q * step + i);
        const Vec<T> a = load_part(g + i, lanes) * load_part(w + i, lanes);
        acc[0] = acc[0] + a;
        acc[1] = fma(a, load_part(v + i, lanes) - h, acc[1]);
      });
      const double dot = (sum[1] - static_cast<double>(s.low) * sum[0]) * static_cast<double>(s.scale);
      const Line l = line(s, sum[0], dot);
      high[q] = h;
      low[q] = set1<T>(-s.low * s.scale);
      scale[q] = set1<T>(s.scale);
      slope[q] = set1<T>(l.slope);
      shift[q] = set1<T>(l.shift);
    }
    for_vectors<T>(n, [&](int64_t i, int k) {
      const Vec<T> weights = load_part(w + i, k);
      Vec<T> dot = load_part(dot_acc + i, k), sum = load_part(sum_acc + i, k);
      for (int q = 0; q < R; ++q) {
        prefetch(dy + at + (q + R) * step + i);
        prefetch(x + at + (q + R) * step + i);
        const Vec<T> g = load_part(dy + at + q * step + i, k);
        const Vec<T> d = load_part(x + at + q * step + i, k) - high[q];
        sum = sum + g;
        dot = fma(g, fma(d, scale[q], low[q]), dot);
        store_part(dx + at + q * step + i, fma(g * weights, scale[q], fma(d, slope[q], shift[q])), k);
      }
      store_part(dot_acc + i, dot, k);
      store_part(sum_acc + i, sum, k);
    });
  }
};

}  // namespace MYELIN_ISA
}  // namespace myelin
