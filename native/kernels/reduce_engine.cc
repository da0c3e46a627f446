// The engine of reductions. Work is cut by shape only and partial results are joined in order, so results do not depend on the
// number of threads.
#include <stdint.h>
#include <string.h>

#include "reduce.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int64_t kManyOutputs = 64;  // from here on one output is not cut further
constexpr int64_t kBatch = 64;        // rows whose results are finished together

// x's dimensions of size other than 1, those that stay and those that go, each ordered by x's strides and merged.
// Strides in elements.
struct Reduction {
  int kept = 0, gone = 0;
  int64_t kept_shape[kMaxDims], kept_stride[kMaxDims], kept_out[kMaxDims];
  int64_t gone_shape[kMaxDims], gone_stride[kMaxDims];
  int64_t outputs = 1, count = 1;  // products of the shapes

  // False when the shapes do not fit.
  bool init(const View& x, const View& out) {
    if (x.ndim != out.ndim || x.ndim < 0) return false;
    for (int d = 0; d < x.ndim; d++) {
      if (x.shape[d] != out.shape[d] && out.shape[d] != 1) return false;
      if (x.shape[d] == 1) continue;
      if (x.shape[d] == out.shape[d]) {
        insert(kept_shape, kept_stride, kept_out, kept, x.shape[d], x.strides[d], out.strides[d]);
        outputs *= x.shape[d];
      } else {
        insert(gone_shape, gone_stride, nullptr, gone, x.shape[d], x.strides[d], 0);
        count *= x.shape[d];
      }
    }
    merge(kept_shape, kept_stride, kept_out, kept);
    merge(gone_shape, gone_stride, nullptr, gone);
    return true;
  }

  // Offsets in x and out of output number i.
  void locate(int64_t i, int dims, int64_t* x, int64_t* out) const {
    int64_t from = 0, to = 0;
    for (int d = dims - 1; d >= 0; d--) {
      const int64_t rest = d == 0 ? 0 : i / kept_shape[d], at = i - rest * kept_shape[d];
      from += at * kept_stride[d];
      to += at * kept_out[d];
      i = rest;
    }
    *x = from;
    *out = to;
  }

  // Calls body(offset in x, stride, n) for the pieces of the innermost dimension that goes that make up [begin, end) of
  // all that goes, in order.
  template <class F>
  void pieces(int64_t begin, int64_t end, const F& body) const {
    if (begin >= end) return;
    if (gone == 0) return body(0, 1, 1);
    const int inner = gone - 1;
    int64_t index[kMaxDims], offset = 0, rest = begin;
    for (int d = inner; d >= 0; d--) {
      index[d] = d == 0 ? rest : rest % gone_shape[d];
      rest = d == 0 ? 0 : rest / gone_shape[d];
      offset += index[d] * gone_stride[d];
    }
    while (begin < end) {
      const int64_t row = gone_shape[inner] - index[inner];
      const int64_t n = row < end - begin ? row : end - begin;
      body(offset, gone_stride[inner], n);
      begin += n;
      index[inner] += n;
      offset += n * gone_stride[inner];
      for (int d = inner; d > 0 && index[d] == gone_shape[d]; d--) {
        offset += gone_stride[d - 1] - index[d] * gone_stride[d];
        index[d] = 0;
        index[d - 1]++;
      }
    }
  }

 private:
  static void insert(int64_t* shape, int64_t* stride, int64_t* out, int& n, int64_t size, int64_t by, int64_t to) {
    int at = n++;
    for (; at > 0 && stride[at - 1] < by; at--) {
      shape[at] = shape[at - 1];
      stride[at] = stride[at - 1];
      if (out) out[at] = out[at - 1];
    }
    shape[at] = size;
    stride[at] = by;
    if (out) out[at] = to;
  }
  static void merge(int64_t* shape, int64_t* stride, int64_t* out, int& n) {
    int last = 0;
    for (int d = 1; d < n; d++) {
      const bool joined = stride[last] == shape[d] * stride[d] && (!out || out[last] == shape[d] * out[d]);
      if (joined)
        shape[last] *= shape[d];
      else
        shape[++last] = shape[d];
      stride[last] = stride[d];
      if (out) out[last] = out[d];
    }
    if (n > 0) n = last + 1;
  }
};

int64_t pieces_of(int64_t n, int64_t size) { return (n + size - 1) / size; }
int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Units of work [0, units) of `each` elements: on this thread when there is little, else over the pool.
template <class F>
void run_units(const Pool& pool, int64_t units, int64_t each, const F& body) {
  const int64_t grain = each >= kReduceChunk ? 1 : pieces_of(kReduceChunk, each < 1 ? 1 : each);
  if (units <= grain || units * each <= 2 * kReduceChunk)
    body(0, units, 0);
  else
    parallel_for(pool, units, grain, body);
}

void repeat(char* to, const void* item, int64_t size, int64_t n) {
  if (size == 4 || size == 8)
    move_elements(to, size, static_cast<const char*>(item), 0, n, size);
  else
    for (int64_t i = 0; i < n; i++) memcpy(to + i * size, item, static_cast<size_t>(size));
}

// n elements, `step` of them apart, side by side; bytes as int32.
void bring(char* to, const char* from, int64_t step, int64_t n, bool bytes, int64_t item) {
  if (!bytes) return move_elements(to, item, from, step * item, n, item);
  int32_t* wide = reinterpret_cast<int32_t*>(to);
  const unsigned char* narrow = reinterpret_cast<const unsigned char*>(from);
  if (step == 1)
    for (int64_t i = 0; i < n; i++) wide[i] = narrow[i];
  else
    for (int64_t i = 0; i < n; i++) wide[i] = narrow[i * step];
}

// One call of reduce().
class Work {
 public:
  Work(const Pool& pool, const Reducer& f, Finish finish, const double* params, const View& x, const View& out)
      : pool_(pool),
        f_(f),
        finish_(finish),
        params_(params),
        x_(static_cast<const char*>(x.data)),
        out_(static_cast<char*>(out.data)),
        size_(item_size(x.dtype)),
        out_size_(item_size(out.dtype)),
        bytes_(size_ != f.item) {}

  bool init(const View& x, const View& out) { return r_.init(x, out); }

  Status run() const {
    if (r_.outputs == 0) return kOk;
    const bool adjacent = r_.kept > 0 && r_.kept_stride[r_.kept - 1] == 1;
    const bool rows = r_.gone > 0 && r_.gone_stride[r_.gone - 1] == 1;
    if (adjacent && !rows) {
      const int64_t width = r_.kept_shape[r_.kept - 1];
      const bool gapless = r_.gone == 1 && r_.gone_stride[0] == width && width <= kColumns / 8;
      int64_t fold = gapless ? kColumns / 2 / width : 1;
      while (fold > 1 && fold * 8 > r_.count) fold /= 2;
      if (width >= 8 || fold > 1) return run_outer(fold);
    }
    return run_rows();
  }

  // Joins the partial result of [begin, end) of what goes, from `base` on.
  void pieces(char* acc, const char* base, int64_t begin, int64_t end) const {
    const int inner = r_.gone - 1;
    if (!bytes_ && inner >= 0 && r_.gone_stride[inner] == 1 && (inner == 0 || r_.gone_shape[inner] >= 64)) {
      r_.pieces(begin, end, [&](int64_t offset, int64_t, int64_t n) { f_.run(acc, base + offset * size_, n); });
      return;
    }
    // Short or scattered pieces are brought together first.
    alignas(64) char buffer[kBlock * 8];
    int64_t held = 0;
    r_.pieces(begin, end, [&](int64_t offset, int64_t stride, int64_t n) {
      const char* p = base + offset * size_;
      while (n > 0) {
        const int64_t m = least(n, kBlock - held);
        bring(buffer + held * f_.item, p, stride, m, bytes_, f_.item);
        held += m;
        p += m * stride * size_;
        n -= m;
        if (held == kBlock) {
          f_.run(acc, buffer, kBlock);
          held = 0;
        }
      }
    });
    if (held > 0) f_.run(acc, buffer, held);
  }

 private:
  const Pool& pool_;
  const Reducer& f_;
  const Finish finish_;
  const double* const params_;
  const char* const x_;
  char* const out_;
  const int64_t size_, out_size_;
  const bool bytes_;  // x's elements, which f takes as int32
  Reduction r_;

  void write(const char* acc, int64_t n, int64_t at, int64_t stride) const {
    finish_(params_, acc, n, r_.count, out_ + at * out_size_, stride);
  }

  char* partial_results(int64_t n) const {
    return static_cast<char*>(pool_.scratch(pool_.self, -1, static_cast<size_t>(n * f_.acc)));
  }

  // Where the innermost dimension of x goes or nothing adjacent stays.
  Status run_rows() const {
    const int64_t cuts =
        r_.outputs < kManyOutputs && r_.count > 2 * kReduceChunk ? pieces_of(r_.count, kReduceChunk) : 1;
    char* const partial = cuts > 1 ? partial_results(r_.outputs * cuts) : nullptr;
    if (cuts > 1 && partial == nullptr) return kOutOfMemory;
    const bool one_run = r_.gone == 1 && !bytes_ && cuts == 1;
    const bool short_rows = one_run && r_.count <= kShortRow;
    const bool plain_rows = one_run && !short_rows && r_.gone_stride[0] == 1 && r_.kept == 1;
    run_units(pool_, r_.outputs * cuts, cuts > 1 ? kReduceChunk : r_.count, [&](int64_t begin, int64_t end, int) {
      if (plain_rows) return run_plain(begin, end);
      if (short_rows) return run_short(begin, end);
      for (int64_t u = begin; u < end; u++) {
        alignas(8) char local[kMostAcc];
        char* const acc = cuts == 1 ? local : partial + u * f_.acc;
        int64_t from, at;
        r_.locate(u / cuts, r_.kept, &from, &at);
        const int64_t first = u % cuts * kReduceChunk;
        memcpy(acc, f_.nothing, static_cast<size_t>(f_.acc));
        pieces(acc, x_ + from * size_, first, cuts == 1 ? r_.count : least(r_.count, first + kReduceChunk));
        if (cuts == 1) write(acc, 1, at, 1);
      }
    });
    for (int64_t i = 0; cuts > 1 && i < r_.outputs; i++) {
      alignas(8) char acc[kMostAcc];
      int64_t from, at;
      r_.locate(i, r_.kept, &from, &at);
      memcpy(acc, f_.nothing, static_cast<size_t>(f_.acc));
      for (int64_t j = 0; j < cuts; j++) f_.join(acc, partial + (i * cuts + j) * f_.acc, 1);
      write(acc, 1, at, 1);
    }
    return kOk;
  }

  // Outputs [begin, end), each of one row of adjacent elements; rows that are not long go four in turn.
  void run_plain(int64_t begin, int64_t end) const {
    const int64_t row = r_.kept_stride[0] * size_, turn = kTurnBytes / size_;
    const bool in_turn = f_.acc <= 8 && r_.count * size_ < kLongRunBytes;
    const int64_t far = in_turn ? (end - begin) / 4 : 0;
    alignas(64) char acc[4][kBatch * 8];
    for (int64_t u = begin; u < begin + far; u += kBatch) {
      const int64_t n = least(kBatch, begin + far - u);
      for (int k = 0; k < 4; k++) repeat(acc[k], f_.nothing, f_.acc, n);
      for (int64_t i = 0; i < n; i++) {
        const char* p = x_ + (u + i) * row;
        for (int64_t j = 0; j < r_.count; j += turn)
          for (int k = 0; k < 4; k++)
            f_.run(acc[k] + i * f_.acc, p + k * far * row + j * size_, least(r_.count - j, turn));
      }
      for (int k = 0; k < 4; k++) write(acc[k], n, (u + k * far) * r_.kept_out[0], r_.kept_out[0]);
    }
    for (int64_t u = begin + 4 * far; u < end; u++) {
      const char* p = x_ + u * row;
      memcpy(acc[0], f_.nothing, static_cast<size_t>(f_.acc));
      if (!in_turn) {
        f_.run(acc[0], p, r_.count);
      } else {
        for (int64_t j = 0; j < r_.count; j += turn) f_.run(acc[0], p + j * size_, least(r_.count - j, turn));
      }
      write(acc[0], 1, u * r_.kept_out[0], 1);
    }
  }

  // Outputs [begin, end), each of a few elements: many at a time along the innermost dimension that stays.
  void run_short(int64_t begin, int64_t end) const {
    alignas(64) char acc[kBatch * kMostAcc];
    const int inner = r_.kept - 1;
    const int64_t length = inner < 0 ? 1 : r_.kept_shape[inner];
    const int64_t next = inner < 0 ? 0 : r_.kept_stride[inner], step = inner < 0 ? 0 : r_.kept_out[inner];
    while (begin < end) {
      const int64_t place = inner == 0 ? begin : begin % length;
      const int64_t n = least(least(end - begin, length - place), kBatch);
      int64_t from, at;
      r_.locate(begin, r_.kept, &from, &at);
      repeat(acc, f_.nothing, f_.acc, n);
      f_.short_rows(acc, x_ + from * size_, next, n, r_.gone_stride[0], r_.count);
      write(acc, n, at, step);
      begin += n;
    }
  }

  // The same where the innermost dimension of x stays and is adjacent: whole rows are added up.
  Status run_outer(int64_t fold) const {
    const int inner = r_.kept - 1;
    const int64_t width = r_.kept_shape[inner], tiles = pieces_of(width, kColumns), outer = r_.outputs / width;
    const int64_t tile = least(width, kColumns);
    int64_t cut_rows = r_.count;
    if (outer * tiles < kManyOutputs / 4 && tile * r_.count > 2 * kReduceChunk) {
      cut_rows = pieces_of(2 * kReduceChunk, tile);
      if (cut_rows < pieces_of(r_.count, kManyOutputs)) cut_rows = pieces_of(r_.count, kManyOutputs);
    }
    const int64_t cuts = r_.count == 0 ? 1 : pieces_of(r_.count, cut_rows);
    char* const partial = cuts > 1 ? partial_results(outer * tiles * cuts * tile) : nullptr;
    if (cuts > 1 && partial == nullptr) return kOutOfMemory;
    const auto finish = [&](int64_t unit, const char* acc) {
      int64_t from, at;
      r_.locate(unit / tiles, inner, &from, &at);
      const int64_t first = unit % tiles * kColumns;
      write(acc, least(width - first, kColumns), at + first * r_.kept_out[inner], r_.kept_out[inner]);
    };
    run_units(pool_, outer * tiles * cuts, tile * cut_rows, [&](int64_t begin, int64_t end, int) {
      alignas(64) char acc[kColumns * kMostAcc];
      for (int64_t u = begin; u < end; u++) {
        const int64_t unit = u / cuts, first = unit % tiles * kColumns, n = least(width - first, kColumns);
        int64_t from, at;
        r_.locate(unit / tiles, inner, &from, &at);
        const int64_t row = u % cuts * cut_rows;
        columns(x_ + (from + first) * size_, row, least(row + cut_rows, r_.count), n, fold, acc);
        if (cuts == 1)
          finish(unit, acc);
        else
          memcpy(partial + u * tile * f_.acc, acc, static_cast<size_t>(n * f_.acc));
      }
    });
    for (int64_t unit = 0; cuts > 1 && unit < outer * tiles; unit++) {
      char* acc = partial + unit * cuts * tile * f_.acc;
      const int64_t n = least(width - unit % tiles * kColumns, kColumns);
      for (int64_t j = 1; j < cuts; j++) f_.join(acc, acc + j * tile * f_.acc, n);
      finish(unit, acc);
    }
    return kOk;
  }

  // Columns: acc[c] over rows [begin, end) of what goes, for `width` adjacent columns from base. When the rows follow one
  // another without gaps, `fold` of them are taken as one long row first; acc has room for fold * width.
  void columns(const char* base, int64_t begin, int64_t end, int64_t width, int64_t fold, char* acc) const {
    alignas(64) char lanes[kColumns * kMostLane];
    const int64_t wide = width * fold;
    repeat(acc, f_.nothing, f_.acc, wide);
    if (f_.no_lane != nullptr) repeat(lanes, f_.no_lane, f_.lane_item, wide);
    int64_t held = 0;
    const auto flush = [&](int64_t n) {
      if (held == 0) return;
      f_.flush(acc, lanes, n, held);
      if (f_.no_lane != nullptr) repeat(lanes, f_.no_lane, f_.lane_item, n);
      held = 0;
    };
    const auto gather = [&](const char* p, int64_t stride, int64_t rows, int64_t n) {
      while (rows > 0) {
        const int64_t m = least(rows, kFlushRows - held);
        gather_rows(lanes, p, stride, m, n, held);
        p += m * stride * size_;
        rows -= m;
        held += m;
        if (held == kFlushRows) flush(n);
      }
    };
    if (fold > 1) {
      const int64_t rows = end - begin, long_rows = rows / fold, rest = rows % fold;
      const char* p = base + begin * width * size_;
      gather(p, wide, long_rows, wide);
      flush(wide);
      if (rest > 0) gather(p + long_rows * wide * size_, wide, 1, rest * width);
      flush(rest * width);
      for (int64_t i = 1; i < fold; i++) f_.join(acc, acc + i * width * f_.acc, width);
    } else {
      r_.pieces(begin, end,
                [&](int64_t offset, int64_t stride, int64_t n) { gather(base + offset * size_, stride, n, width); });
      flush(width);
    }
  }

  void gather_rows(char* lanes, const char* p, int64_t stride, int64_t rows, int64_t width, int64_t held) const {
    if (!bytes_) return f_.gather(lanes, p, stride, rows, width, held);
    alignas(64) char row[kColumns * 4];
    for (int64_t i = 0; i < rows; i++) {
      bring(row, p + i * stride, 1, width, true, 4);
      f_.gather(lanes, row, 0, 1, width, held + i);
    }
  }
};

// An extreme and where it is.
struct Best {
  alignas(8) char value[8];
  int64_t index;
};

// One call of arg_reduce().
class ArgWork {
 public:
  ArgWork(const Pool& pool, const ArgReducer& f, const View& x)
      : pool_(pool),
        f_(f),
        x_(x),
        data_(static_cast<const char*>(x.data)),
        size_(item_size(x.dtype)),
        bytes_(size_ != f.item) {}

  // Flattened, in row-major order of x's own dimensions.
  int64_t all() const {
    if (x_.contiguous || x_.ndim == 0) {
      constexpr int64_t kMost = 64;  // pieces
      if (x_.numel <= 4 * kReduceChunk) return best_of(data_, 1, x_.numel).index;
      const int64_t each = x_.numel / kMost < kReduceChunk ? kReduceChunk : pieces_of(x_.numel, kMost);
      Best part[kMost];
      parallel_for(pool_, x_.numel, each, [&](int64_t begin, int64_t end, int) {
        part[begin / each] = best_of(data_ + begin * size_, 1, end - begin);
        part[begin / each].index += begin;
      });
      Best best = part[0];
      for (int64_t k = 1; k < pieces_of(x_.numel, each); k++)
        if (f_.takes_over(best.value, part[k].value)) best = part[k];
      return best.index;
    }
    const int inner = x_.ndim - 1;
    const int64_t n = x_.shape[inner];
    Best best;
    for (int64_t row = 0; row < x_.numel / n; row++) {
      int64_t rest = row, offset = 0;
      for (int d = inner - 1; d >= 0; d--) {
        offset += rest % x_.shape[d] * x_.strides[d];
        rest /= x_.shape[d];
      }
      Best mine = best_of(data_ + offset * size_, x_.strides[inner], n);
      mine.index += row * n;
      if (row == 0 || f_.takes_over(best.value, mine.value)) best = mine;
    }
    return best.index;
  }

  // Along an axis of n elements, `stride` apart.
  void along(const Reduction& r, int64_t n, int64_t stride, int32_t* to) const {
    const int inner = r.kept - 1;
    const bool columns = n > 1 && stride != 1 && r.kept > 0 && r.kept_stride[inner] == 1 && !bytes_;
    const int64_t width = columns ? r.kept_shape[inner] : 1, tiles = pieces_of(width, kArgColumns);
    run_units(pool_, r.outputs / width * tiles, n * least(width, kArgColumns), [&](int64_t begin, int64_t end, int) {
      alignas(64) int32_t index[kArgColumns];
      for (int64_t u = begin; u < end; u++) {
        int64_t from, at;
        if (!columns) {
          r.locate(u, r.kept, &from, &at);
          to[at] = static_cast<int32_t>(best_of(data_ + from * size_, stride, n).index);
          continue;
        }
        r.locate(u / tiles, inner, &from, &at);
        const int64_t first = u % tiles * kArgColumns, m = least(width - first, kArgColumns);
        f_.columns(data_ + (from + first) * size_, stride, n, m, index);
        for (int64_t i = 0; i < m; i++) to[at + (first + i) * r.kept_out[inner]] = index[i];
      }
    });
  }

 private:
  const Pool& pool_;
  const ArgReducer& f_;
  const View& x_;
  const char* const data_;
  const int64_t size_;
  const bool bytes_;

  Best best_of(const char* p, int64_t stride, int64_t n) const {
    Best best;
    if (!bytes_) {
      best.index = f_.best(p, stride, n, best.value);
      return best;
    }
    alignas(64) char wide[kBlock * 4];
    for (int64_t i = 0; i < n; i += kBlock) {
      const int64_t m = least(n - i, kBlock);
      bring(wide, p + i * stride, stride, m, true, 4);
      Best block;
      block.index = i + f_.best(wide, 1, m, block.value);
      if (i == 0 || f_.takes_over(best.value, block.value)) best = block;
    }
    return best;
  }
};

}  // namespace

Status reduce(const Pool& pool, const Reducer& reducer, Finish finish, const double* params, const View& x,
              const View& out) {
  Work work(pool, reducer, finish, params, x, out);
  return work.init(x, out) ? work.run() : kBadShape;
}

void reduce_strided(const Pool& pool, const Reducer& reducer, const View& x, void* acc) {
  View one = x;
  int64_t count = 1;
  for (int d = 0; d < x.ndim; d++) {
    one.shape[d] = 1;
    count *= x.shape[d];
  }
  Work work(pool, reducer, nullptr, nullptr, x, one);
  work.init(x, one);
  work.pieces(static_cast<char*>(acc), static_cast<const char*>(x.data), 0, count);
}

Status arg_reduce(const Pool& pool, const ArgReducer& reducer, const View& x, const View& out, int axis) {
  if (x.ndim != out.ndim) return kBadShape;
  for (int d = 0; d < x.ndim; d++)
    if (out.shape[d] != (axis == -1 || d == axis ? 1 : x.shape[d])) return kBadShape;
  const int64_t n = axis == -1 ? x.numel : x.shape[axis];
  if (out.numel == 0) return kOk;
  if (n == 0 || n > INT32_MAX) return kBadShape;
  const ArgWork work(pool, reducer, x);
  int32_t* to = static_cast<int32_t*>(out.data);
  if (axis == -1) {
    *to = static_cast<int32_t>(work.all());
    return kOk;
  }
  Reduction r;
  r.init(x, out);
  work.along(r, n, x.strides[axis], to);
  return kOk;
}

}  // namespace MYELIN_ISA
}  // namespace myelin
