// Copies that turn the order of dimensions: the source's elements are adjacent along one dimension, the result's along another.
#pragma once
#include "iterate.h"

namespace myelin {
namespace MYELIN_ISA {

// Tiles of one line of cache along the source by one to four along the result go through registers and a small buffer, so that
// lines are read once and written whole. T stands for any elements of its size; only bits are moved.
template <class T>
class AcrossCopy {
 public:
  // `from`: the dimension of the nest along which the source is adjacent.
  AcrossCopy(const Nest& nest, int from) : nest_(nest), from_(from), to_(nest.ndim - 1) {
    across_ = nest.stride[0][from] <= kShortRow * 64 ? kLine : kMostAcross;
    runs_ = (nest.shape[from] + kRun - 1) / kRun;
    strips_ = (nest.shape[to_] + across_ - 1) / across_;
    streams_ = nest.linear[0] && nest.numel * kSize >= kStreamBytes &&
               ((reinterpret_cast<uintptr_t>(nest.data[0]) | static_cast<uint64_t>(nest.stride[0][from])) & 63) == 0;
  }

  void run(const Pool& pool) const {
    const int64_t blocks = nest_.numel / (nest_.shape[from_] * nest_.shape[to_]), units = blocks * strips_ * runs_;
    const auto work = [this](int64_t begin, int64_t end, int) {
      for (int64_t unit = begin; unit < end; unit++) copy_unit(unit);
      if (streams_) stream_fence();
    };
    if (nest_.numel <= kGrain)
      work(0, units, 0);
    else
      parallel_for(pool, units, 1, work);
  }

 private:
  static constexpr int N = Vec<T>::N;
  static constexpr int64_t kSize = sizeof(T);
  static constexpr int64_t kLine = 64 / kSize;  // elements of a line of cache
  static constexpr int64_t kRun = 16 * kLine;   // along the source, one tile after another
  // Of the result's rows in a tile: four lines, so that pages are written in longer pieces; one where rows are of kShortRow lines at
  // most, since neighbouring rows then share pages, and fewer rows of the source at once are read faster.
  static constexpr int64_t kMostAcross = 4 * kLine;
  static constexpr int64_t kShortRow = 16;

  const Nest& nest_;
  int from_, to_;
  bool streams_ = false;
  int64_t across_, runs_, strips_;  // runs and strips of across_ columns of a matrix of both dimensions

  void copy_unit(int64_t unit) const {
    const int64_t i = unit % runs_ * kRun, j = unit / runs_ % strips_ * across_;
    int64_t rest = unit / (runs_ * strips_);
    char* out = nest_.data[0] + i * nest_.stride[0][from_] + j * kSize;
    const char* in = nest_.data[1] + i * kSize + j * nest_.stride[1][to_];
    for (int d = to_ - 1; d >= 0; d--) {
      if (d == from_) continue;
      out += rest % nest_.shape[d] * nest_.stride[0][d];
      in += rest % nest_.shape[d] * nest_.stride[1][d];
      rest /= nest_.shape[d];
    }
    const int64_t high = least(nest_.shape[from_] - i, kRun), wide = least(nest_.shape[to_] - j, across_);
    for (int64_t k = 0; k < high; k += kLine) {
      const int64_t rows = least(high - k, kLine);
      copy_tile(out + k * nest_.stride[0][from_], in + k * kSize, rows, wide, high - k - rows);
    }
  }

  static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

  // out[i][j] = in[j][i] for `rows` by `wide` elements; `ahead` elements of the source follow and are fetched.
  void copy_tile(char* out, const char* in, int64_t rows, int64_t wide, int64_t ahead) const {
    alignas(64) T buffer[kLine * kMostAcross];
    const int64_t in_row = nest_.stride[1][to_], out_row = nest_.stride[0][from_];
    for (int64_t j = 0; j < wide; j += N) {
      const int count = static_cast<int>(least(wide - j, N));
      if (ahead > 0)
        for (int k = 0; k < count; k++) prefetch(in + (j + k) * in_row + 64);
      for (int64_t i = 0; i < rows; i += N) {
        const int lanes = static_cast<int>(least(rows - i, N));
        Vec<T> block[N];
        if (lanes == N && count == N) {
          for (int k = 0; k < N; k++) block[k] = load(reinterpret_cast<const T*>(in + (j + k) * in_row) + i);
        } else {
          for (int k = 0; k < N; k++)
            block[k] = k < count ? load_n(reinterpret_cast<const T*>(in + (j + k) * in_row) + i, lanes) : zero<T>();
        }
        transpose(block);
        for (int k = 0; k < N; k++) store(buffer + (i + k) * kMostAcross + j, block[k]);
      }
    }
    for (int64_t i = 0; i < rows; i++) {
      char* to = out + i * out_row;
      const char* row = reinterpret_cast<const char*>(buffer + i * kMostAcross);
      if (streams_)
        stream_bytes(to, row, wide * kSize);
      else
        memcpy(to, row, static_cast<size_t>(wide * kSize));
    }
  }
};

// Lanes of a vector of C channels in turn, or of one channel taken out of such: `at` of the first two vectors, then `last` of what
// that gave and the third.
template <int N, int C, int Place, bool Together>
struct ChannelLanes {
  static constexpr int flat(int i) { return Together ? (Place * N + i) % C * N + (Place * N + i) / C : i * C + Place; }
  static constexpr int at(int i) { return flat(i) < 2 * N ? flat(i) : 0; }
  struct Last {
    static constexpr int at(int i) { return flat(i) < 2 * N ? i : flat(i) - N; }
  };
};

// n positions of C channels: planes `plane` elements apart become channels side by side (Together), or the reverse.
template <class T, int C, bool Together>
class ChannelCopy {
 public:
  static void run(T* out, const T* in, int64_t plane, int64_t n, bool past_caches) {
    int64_t i = 0;
    for (; i + N <= n; i += N) {
      Vec<T> v[C];
      for (int c = 0; c < C; c++) v[c] = load(Together ? in + c * plane + i : in + i * C + c * N);
      put<0>(v, out, plane, i, past_caches);
      put<1>(v, out, plane, i, past_caches);
      if constexpr (C > 2) put<2>(v, out, plane, i, past_caches);
    }
    for (; i < n; i++)
      for (int c = 0; c < C; c++) {
        if (Together)
          out[i * C + c] = in[c * plane + i];
        else
          out[c * plane + i] = in[i * C + c];
      }
  }

 private:
  static constexpr int N = Vec<T>::N;
  template <int Place>
  static MYELIN_INLINE void put(const Vec<T>* v, T* out, int64_t plane, int64_t i, bool past_caches) {
    using Lanes = ChannelLanes<N, C, Place, Together>;
    Vec<T> r = shuffle<Lanes>(v[0], v[1]);
    if constexpr (C > 2) r = shuffle<typename Lanes::Last>(r, v[2]);
    T* const to = Together ? out + i * C + Place * N : out + Place * plane + i;
    if (past_caches)
      stream(to, r);
    else
      store(to, r);
  }
};

// Copies between channels side by side and planes, of two or three channels; false if the nest is no such copy.
template <class T>
bool copy_channels(const Pool& pool, const Nest& nest) {
  constexpr int64_t size = sizeof(T), span = 2048;  // positions at a time
  const int inner = nest.ndim - 1;
  const auto is_pair = [&](int64_t channels) { return channels == 2 || channels == 3; };
  const bool together = is_pair(nest.shape[inner]);
  int other = -1;
  for (int d = 0; d < inner; d++)
    if (nest.stride[1][d] == size) other = d;
  if (other < 0 || (!together && !is_pair(nest.shape[other]))) return false;
  const int channel = together ? inner : other, place = together ? other : inner;
  const int64_t channels = nest.shape[channel], n = nest.shape[place], step = nest.stride[together ? 0 : 1][place];
  const int64_t plane = nest.stride[together ? 1 : 0][channel];
  if (step != channels * size || plane % size != 0 || n < 16) return false;
  bool past_caches =
      nest.linear[0] && nest.numel * size >= kStreamBytes &&
      ((reinterpret_cast<uintptr_t>(nest.data[0]) | (together ? 0 : static_cast<uint64_t>(plane))) & 63) == 0;
  for (int d = 0; d < inner; d++)
    if (d != channel && d != place && nest.stride[0][d] % 64 != 0) past_caches = false;
  const int64_t spans = (n + span - 1) / span, units = nest.numel / (n * channels) * spans;
  const auto run = together ? (channels == 2 ? ChannelCopy<T, 2, true>::run : ChannelCopy<T, 3, true>::run)
                            : (channels == 2 ? ChannelCopy<T, 2, false>::run : ChannelCopy<T, 3, false>::run);
  const auto work = [&](int64_t begin, int64_t end, int) {
    for (int64_t u = begin; u < end; u++) {
      const int64_t first = u % spans * span;
      char* out = nest.data[0] + first * nest.stride[0][place];
      const char* in = nest.data[1] + first * nest.stride[1][place];
      int64_t rest = u / spans;
      for (int d = inner; d >= 0; d--) {
        if (d == channel || d == place) continue;
        out += rest % nest.shape[d] * nest.stride[0][d];
        in += rest % nest.shape[d] * nest.stride[1][d];
        rest /= nest.shape[d];
      }
      run(reinterpret_cast<T*>(out), reinterpret_cast<const T*>(in), plane / size, n - first < span ? n - first : span,
          past_caches);
    }
    if (past_caches) stream_fence();
  };
  if (nest.numel <= kGrain)
    work(0, units, 0);
  else
    parallel_for(pool, units, (kGrain + span - 1) / span / 4, work);
  return true;
}

// Short rows that are adjacent in both, but lie apart in the source, where the hardware follows none of them: they are fetched ahead.
inline void copy_short_rows(const Pool& pool, const Nest& nest, int64_t bytes) {
  constexpr int64_t ahead = 8;
  const int inner = nest.ndim - 1, next = inner - 1;
  const int64_t length = nest.shape[inner], step = nest.stride[1][next];
  const bool streams = nest.linear[0] && nest.numel * nest.size[0] >= kStreamBytes &&
                       ((reinterpret_cast<uintptr_t>(nest.data[0]) | static_cast<uint64_t>(bytes)) & 63) == 0;
  const auto work = [&](int64_t begin, int64_t end, int) {
    Cursor at(nest, begin * length);
    while (begin < end) {
      const int64_t left = nest.shape[next] - at.index[next], rows = left < end - begin ? left : end - begin;
      char* out = nest.data[0] + at.offset[0];
      const char* in = nest.data[1] + at.offset[1];
      for (int64_t r = 0; r < rows; r++) {
        if (r + ahead < rows)
          for (int64_t b = 0; b < bytes; b += 64) prefetch(in + ahead * step + b);
        if (streams)
          stream_bytes(out, in, bytes);
        else
          memcpy(out, in, static_cast<size_t>(bytes));
        out += nest.stride[0][next];
        in += step;
      }
      at.advance(nest, rows, next);
      begin += rows;
    }
    if (streams) stream_fence();
  };
  const int64_t rows = nest.numel / length;
  if (nest.numel <= kGrain)
    work(0, rows, 0);
  else
    parallel_for(pool, rows, kGrain / length, work);
}

// Copies x to out, of the same size of element, if that turns the order of dimensions and rows are short; false if not.
inline bool copy_across(const Pool& pool, const View& x, const View& out) {
  const int64_t size = item_size(out.dtype);
  if (size < 4 || out.numel == 0) return false;
  const View* in[] = {&x};
  const Nest nest(out, in, 1);
  const int to = nest.ndim - 1;
  if (to < 1 || nest.stride[0][to] != size) return false;
  if (size == 4 ? copy_channels<float>(pool, nest) : copy_channels<double>(pool, nest)) return true;
  if (nest.shape[to] < 4) return false;
  const int64_t row = nest.shape[to] * size;
  if (nest.stride[1][to] == size && row >= 128 && row <= 1024 && nest.stride[1][to - 1] > row) {
    copy_short_rows(pool, nest, row);
    return true;
  }
  for (int d = 0; d < to; d++) {
    if (nest.stride[1][d] != size || nest.shape[d] < 4) continue;
    if (nest.stride[1][to] <= size) return false;
    if (size == 4)
      AcrossCopy<float>(nest, d).run(pool);
    else
      AcrossCopy<double>(nest, d).run(pool);
    return true;
  }
  return false;
}

}  // namespace MYELIN_ISA
}  // namespace myelin
