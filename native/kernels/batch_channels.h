// Batch norm where a channel is runs of 16 or more adjacent elements: x (N, C, S), channel c being N runs of S. A channel is
// read from memory once and then again from the cache; one too large for that is cut into parts of whole runs.
#pragma once
#include <math.h>
#include <stdint.h>

#include "../simd/simd.h"
#include "blocks.h"
#include "call.h"
#include "moments.h"

namespace myelin {
namespace MYELIN_ISA {

struct BatchShape {
  int64_t batch;
  int64_t channels;
  int64_t spatial;

  int64_t count() const { return batch * spatial; }  // elements of a channel

  // Parts of a channel, of whole runs: more than one only where the channels are too few to share out.
  static constexpr int64_t kFewChannels = 16;
  int64_t parts() const {
    if (channels >= kFewChannels) return 1;
    const int64_t by_work = count() / (2 * kChunk);
    const int64_t n = by_work < batch ? by_work : batch;
    return n < 1 ? 1 : n > 64 ? 64 : n;
  }
  int64_t runs_of_part() const { return (batch + parts() - 1) / parts(); }
  Segments part(int64_t p) const {
    const int64_t runs = runs_of_part(), first = p * runs;
    const int64_t left = first < batch ? batch - first : 0;
    return {left < runs ? left : runs, spatial, channels * spatial};
  }
  int64_t part_offset(int64_t channel, int64_t p) const { return (p * runs_of_part() * channels + channel) * spatial; }
};

// y = (x - high) · scale + shift
template <class T>
struct Line {
  T high;
  T scale;
  T shift;
};

template <class T>
struct BatchForward {
  BatchShape shape;
  const T* x;
  const T* weight;  // null: 1
  const T* bias;    // null: 0
  T* out;
  double* mean;
  double* rstd;
  double eps;
  Moments* moments;  // of each channel; of the parts of channels behind that

  size_t scratch_moments() const { return static_cast<size_t>(shape.channels * (1 + shape.parts())); }

  Line<T> line(int64_t channel, double m, double r) const {
    const Standard<T> s(m, r);
    const T scale = s.scale * (weight != nullptr ? weight[channel] : T(1));
    return {s.high, scale, (bias != nullptr ? bias[channel] : T(0)) - s.low * scale};
  }
  // Keeps the statistics of a channel that is all there.
  Line<T> finish(int64_t channel) const {
    const Moments& m = moments[channel];
    mean[channel] = m.mean;
    rstd[channel] = 1 / ::sqrt(m.variance() + eps);
    return line(channel, mean[channel], rstd[channel]);
  }
};

struct BatchSums {
  double mean;
  double rstd;
  double sum;  // Σ dy
  double dot;  // Σ dy x̂
};

template <class T>
struct BatchBackward {
  BatchShape shape;
  bool training;
  const T* dy;
  const T* x;
  const T* weight;
  T* dx;
  T* dweight;
  T* dbias;
  BatchSums* sums;  // of each channel; of the parts of channels behind that

  size_t scratch_sums() const { return static_cast<size_t>(shape.channels * (1 + shape.parts())); }

  // dx = dy · scale + (x - high) · slope + shift
  struct Lines {
    T high;
    T scale;
    T slope;
    T shift;
  };
  Lines finish(int64_t channel) const {
    const BatchSums& s = sums[channel];
    const Standard<T> standard(s.mean, s.rstd);
    dweight[channel] = static_cast<T>(s.dot);
    dbias[channel] = static_cast<T>(s.sum);
    const double w = weight != nullptr ? static_cast<double>(weight[channel]) : 1;
    const double scale = s.rstd * w;
    if (!training) return {standard.high, static_cast<T>(scale), T(0), T(0)};
    const double n = static_cast<double>(shape.count());
    const double slope = -scale * s.rstd * s.dot / n;
    const double shift = -scale * s.sum / n - slope * static_cast<double>(standard.low);
    return {standard.high, static_cast<T>(scale), static_cast<T>(slope), static_cast<T>(shift)};
  }
};

// part(at, lanes) for the vectors of all segments.
template <class T, class F>
MYELIN_INLINE void each_vector(const Segments& s, const F& part) {
  for (int64_t r = 0; r < s.count; ++r) {
    const int64_t at = r * s.stride;
    for_vectors<T>(s.length, [&](int64_t i, int lanes) { part(at + i, lanes); });
  }
}

template <class T>
inline void apply_line(const T* from, T* to, const Segments& s, const Line<T>& l) {
  const Vec<T> high = set1<T>(l.high), scale = set1<T>(l.scale), shift = set1<T>(l.shift);
  each_vector<T>(s, [&](int64_t i, int lanes) {
    store_part(to + i, fma(load_part(from + i, lanes) - high, scale, shift), lanes);
  });
}

// body(channel, part) for all of them, in parallel.
template <class F>
inline void each_part(const Pool& pool, const BatchShape& shape, const F& body) {
  const int64_t parts = shape.parts(), work = shape.count() / parts;
  const auto run = [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) body(i / parts, i % parts);
  };
  if (shape.channels * shape.count() <= kChunk) {
    run(0, shape.channels * parts, 0);
  } else {
    parallel_for(pool, shape.channels * parts, work >= kChunk ? 1 : kChunk / work, run);
  }
}

template <class T>
Status train_channels(const BatchForward<T>& f, const Pool& pool) {
  const BatchShape& shape = f.shape;
  const int64_t parts = shape.parts();
  const auto write = [&](int64_t channel, int64_t p) {
    const int64_t at = shape.part_offset(channel, p);
    apply_line(f.x + at, f.out + at, shape.part(p), f.finish(channel));
  };
  if (parts == 1) {
    each_part(pool, shape, [&](int64_t channel, int64_t) {
      f.moments[channel] = moments_of(f.x + shape.part_offset(channel, 0), shape.part(0));
      write(channel, 0);
    });
    return kOk;
  }
  Moments* of_parts = f.moments + shape.channels;
  each_part(pool, shape, [&](int64_t channel, int64_t p) {
    of_parts[channel * parts + p] = moments_of(f.x + shape.part_offset(channel, p), shape.part(p));
  });
  for (int64_t i = 0; i < shape.channels * parts; ++i) f.moments[i / parts].join(of_parts[i]);
  for (int64_t channel = 0; channel < shape.channels; ++channel) f.finish(channel);
  each_part(pool, shape, [&](int64_t channel, int64_t p) {
    const int64_t at = shape.part_offset(channel, p);
    apply_line(f.x + at, f.out + at, shape.part(p), f.line(channel, f.mean[channel], f.rstd[channel]));
  });
  return kOk;
}

template <class T>
Status infer_channels(const BatchForward<T>& f, const Line<T>* lines, const Pool& pool) {
  each_part(pool, f.shape, [&](int64_t channel, int64_t p) {
    const int64_t at = f.shape.part_offset(channel, p);
    apply_line(f.x + at, f.out + at, f.shape.part(p), lines[channel]);
  });
  return kOk;
}

template <class T>
inline void sum_part(const BatchBackward<T>& b, int64_t channel, int64_t p, BatchSums* to) {
  const Standard<T> s(b.sums[channel].mean, b.sums[channel].rstd);
  const Vec<T> high = set1<T>(s.high);
  const T* dy = b.dy + b.shape.part_offset(channel, p);
  const T* x = b.x + b.shape.part_offset(channel, p);
  double sums[2] = {0, 0};
  gather_sums<T>(b.shape.part(p), sums, [&](int64_t i, int lanes, Vec<T>* acc) {
    const Vec<T> g = load_part(dy + i, lanes);
    acc[0] = acc[0] + g;
    acc[1] = fma(g, load_part(x + i, lanes) - high, acc[1]);
  });
  to->sum = sums[0];
  to->dot = (sums[1] - static_cast<double>(s.low) * sums[0]) * b.sums[channel].rstd;
}

template <class T>
inline void write_part(const BatchBackward<T>& b, int64_t channel, int64_t p,
                       const typename BatchBackward<T>::Lines& l) {
  const T* dy = b.dy + b.shape.part_offset(channel, p);
  const T* x = b.x + b.shape.part_offset(channel, p);
  T* dx = b.dx + b.shape.part_offset(channel, p);
  const Vec<T> high = set1<T>(l.high), scale = set1<T>(l.scale), slope = set1<T>(l.slope), shift = set1<T>(l.shift);
  each_vector<T>(b.shape.part(p), [&](int64_t i, int lanes) {
    const Vec<T> rest = fma(load_part(x + i, lanes) - high, slope, shift);
    store_part(dx + i, fma(load_part(dy + i, lanes), scale, rest), lanes);
  });
}

template <class T>
Status backward_channels(const BatchBackward<T>& b, const Pool& pool) {
  const BatchShape& shape = b.shape;
  const int64_t parts = shape.parts();
  if (parts == 1) {
    each_part(pool, shape, [&](int64_t channel, int64_t) {
      sum_part(b, channel, 0, &b.sums[channel]);
      write_part(b, channel, 0, b.finish(channel));
    });
    return kOk;
  }
  BatchSums* of_parts = b.sums + shape.channels;
  each_part(pool, shape, [&](int64_t channel, int64_t p) { sum_part(b, channel, p, &of_parts[channel * parts + p]); });
  for (int64_t i = 0; i < shape.channels * parts; ++i) {
    b.sums[i / parts].sum += of_parts[i].sum;
    b.sums[i / parts].dot += of_parts[i].dot;
  }
  for (int64_t channel = 0; channel < shape.channels; ++channel) b.finish(channel);
  each_part(pool, shape, [&](int64_t channel, int64_t p) { write_part(b, channel, p, b.finish(channel)); });
  return kOk;
}

}  // namespace MYELIN_ISA
}  // namespace myelin
