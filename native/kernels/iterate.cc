// The engine of strided iteration.
#include <string.h>

#include "iterate.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

// Runs one RowOp over a nest.
class Engine {
 public:
  Engine(const Nest& nest, const RowOp& op) : nest_(nest), op_(op) {
    for (int k = 1; k < nest.operands; k++) scalars_ |= nest.scalar[k] ? 1u << (k - 1) : 0;
    if (!taken(scalars_)) scalars_ = 0;
    linear_ = true;
    for (int k = 0; k < nest.operands; k++) linear_ = linear_ && direct(k);
    if (!linear_) {
      if (!choose_rows()) choose_tiles();
    }
    if (nest.linear[0] && nest.numel * nest.size[0] >= kStreamBytes &&
        reinterpret_cast<uintptr_t>(nest.data[0]) % 64 == 0) {
      streams_ = true;
      for (int k = 1; k < nest.operands; k++) streams_ = streams_ && nest.data[k] != nest.data[0];
    }
  }

  void run(const Pool& pool) const {
    const int64_t units = tiled() ? tiles() : nest_.numel;
    int64_t grain = tiled() ? op_.grain / kBlock : op_.grain;
    if (grain < 1) grain = 1;
    if (units <= grain) {
      run_range(0, units);
    } else {
      parallel_for(pool, units, grain, [this](int64_t begin, int64_t end, int) { run_range(begin, end); });
    }
  }

 private:
  const Nest& nest_;
  const RowOp& op_;
  uint32_t scalars_ = 0;      // of the whole nest
  uint32_t row_scalars_ = 0;  // of one row, in row mode
  int tile_dim_ = -1;         // the other dimension of tiles; the innermost is the first
  bool linear_ = false;       // every operand is adjacent over the whole nest, or the scalar that row takes
  bool rows_ = false;
  bool streams_ = false;

  bool taken(uint32_t scalars) const { return scalars == 0 || (op_.one_scalar && scalars != 3); }
  bool tiled() const { return tile_dim_ >= 0; }
  bool is_scalar(int k) const { return k > 0 && (scalars_ >> (k - 1) & 1); }
  bool direct(int k) const { return nest_.linear[k] || is_scalar(k); }

  // Whole rows can be computed in place when every operand is adjacent or constant along them.
  bool choose_rows() {
    const int d = nest_.ndim - 1;
    if (nest_.shape[d] < kShortRow || nest_.stride[0][d] != nest_.size[0]) return false;
    for (int k = 1; k < nest_.operands; k++) {
      if (nest_.stride[k][d] == 0)
        row_scalars_ |= 1u << (k - 1);
      else if (nest_.stride[k][d] != nest_.size[k])
        return false;
    }
    rows_ = taken(row_scalars_);
    return rows_;
  }

  // Tiles when some operand is far closer together along another dimension than along the innermost.
  void choose_tiles() {
    const int inner = nest_.ndim - 1;
    if (nest_.shape[inner] < 4) return;
    for (int k = 0; k < nest_.operands; k++) {
      if (nest_.stride[k][inner] <= nest_.size[k]) continue;
      int best = inner;
      for (int d = 0; d < inner; d++)
        if (nest_.stride[k][d] != 0 && nest_.stride[k][d] < nest_.stride[k][best]) best = d;
      if (best != inner && nest_.shape[best] >= 4) {
        tile_dim_ = best;
        return;
      }
    }
  }

  void run_range(int64_t begin, int64_t end) const {
    if (tiled()) {
      run_tiles(begin, end);
    } else if (rows_) {
      run_rows(begin, end);
    } else if (linear_ && (!streams_ || op_.streams)) {
      const char* in[kMaxOperands];
      for (int k = 1; k < nest_.operands; k++)
        in[k - 1] = is_scalar(k) ? nest_.data[k] : nest_.data[k] + begin * nest_.size[k];
      op_.row(op_.functor, end - begin, nest_.data[0] + begin * nest_.size[0], in,
              scalars_ | (streams_ ? kStreamOut : 0));
    } else {
      run_blocks(begin, end);
    }
    if (streams_) stream_fence();
  }

  void run_rows(int64_t begin, int64_t end) const {
    alignas(64) char buffer[kBlock * 8];
    const int inner = nest_.ndim - 1;
    const int64_t length = nest_.shape[inner];
    const bool streams = streams_ && length * nest_.size[0] % 64 == 0, buffered = streams && !op_.streams;
    const uint32_t flags = row_scalars_ | (streams && !buffered ? kStreamOut : 0);
    Cursor at(nest_, begin);
    while (begin < end) {
      const int64_t left = at.row_left(nest_), most = buffered && left > kBlock ? kBlock : left;
      const int64_t n = most < end - begin ? most : end - begin;
      const char* in[kMaxOperands];
      for (int k = 1; k < nest_.operands; k++) in[k - 1] = nest_.data[k] + at.offset[k];
      char* out = nest_.data[0] + at.offset[0];
      if (n == length && inner > 0) {
        // Whole rows one after another along the next dimension.
        const int64_t rows_left = nest_.shape[inner - 1] - at.index[inner - 1], fit = (end - begin) / n;
        const int64_t rows = rows_left < fit ? rows_left : fit;
        for (int64_t r = 0; r < rows; r++) {
          op_.row(op_.functor, n, buffered ? buffer : out, in, flags);
          if (buffered) stream_bytes(out, buffer, n * nest_.size[0]);
          out += nest_.stride[0][inner - 1];
          for (int k = 1; k < nest_.operands; k++) in[k - 1] += nest_.stride[k][inner - 1];
        }
        at.advance(nest_, rows, inner - 1);
        begin += rows * n;
        continue;
      }
      op_.row(op_.functor, n, buffered ? buffer : out, in, flags);
      if (buffered) stream_bytes(out, buffer, n * nest_.size[0]);
      at.advance(nest_, n, inner);
      begin += n;
    }
  }

  // Blocks of adjacent elements of the nest; what is not adjacent in memory goes through a buffer.
  void run_blocks(int64_t begin, int64_t end) const {
    alignas(64) char buffer[kMaxOperands][kBlock * 8];
    const bool buffered_out = !nest_.linear[0];
    const int inner = nest_.ndim - 1;
    int64_t period = inner > 0 ? nest_.shape[inner] : 0;
    while (streams_ && period % 64 != 0) period *= 2;  // blocks stay aligned
    if (period > kBlock) period = 0;
    const int64_t block = period > 0 ? kBlock - kBlock % period : kBlock;
    Cursor at(nest_, begin);
    // What is the same in every block, because it repeats with the innermost rows, is brought once.
    bool ready[kMaxOperands] = {};
    bool walks = buffered_out;
    for (int k = 1; k < nest_.operands; k++) {
      ready[k] = direct(k) || nest_.scalar[k] || repeats(k, period);
      walks = walks || !ready[k];
      if (direct(k) || !ready[k]) continue;
      Cursor from = at;
      walk(from, block < end - begin ? block : end - begin, [&](int64_t done, int64_t count) {
        move_elements(buffer[k] + done * nest_.size[k], nest_.size[k], nest_.data[k] + from.offset[k],
                      nest_.stride[k][inner], count, nest_.size[k]);
      });
    }
    while (begin < end) {
      const int64_t n = block < end - begin ? block : end - begin;
      const Cursor start = at;
      const char* in[kMaxOperands];
      for (int k = 1; k < nest_.operands; k++) {
        in[k - 1] = is_scalar(k) ? nest_.data[k] : nest_.linear[k] ? nest_.data[k] + begin * nest_.size[k] : buffer[k];
      }
      if (walks) {
        walk(at, n, [&](int64_t done, int64_t count) {
          for (int k = 1; k < nest_.operands; k++)
            if (!ready[k])
              move_elements(buffer[k] + done * nest_.size[k], nest_.size[k], nest_.data[k] + at.offset[k],
                            nest_.stride[k][nest_.ndim - 1], count, nest_.size[k]);
        });
      }
      const int64_t size = nest_.size[0];
      char* out = nest_.data[0] + begin * size;
      op_.row(op_.functor, n, buffered_out || streams_ ? buffer[0] : out, in, scalars_);
      if (buffered_out) {
        Cursor to = start;
        walk(to, n, [&](int64_t done, int64_t count) {
          move_elements(nest_.data[0] + to.offset[0], nest_.stride[0][nest_.ndim - 1], buffer[0] + done * size, size,
                        count, size);
        });
      } else if (streams_) {
        stream_bytes(out, buffer[0], n * size);
      }
      begin += n;
    }
  }

  // Operand k is the same for each of the innermost rows, which are shorter than a block.
  bool repeats(int k, int64_t period) const {
    if (period == 0) return false;
    for (int d = 0; d < nest_.ndim - 1; d++)
      if (nest_.stride[k][d] != 0) return false;
    return true;
  }

  // Calls body(done, count) for the row pieces of the next n elements and moves the cursor past them.
  template <class F>
  void walk(Cursor& at, int64_t n, const F& body) const {
    for (int64_t done = 0; done < n;) {
      const int64_t left = at.row_left(nest_);
      const int64_t count = left < n - done ? left : n - done;
      body(done, count);
      at.advance(nest_, count, nest_.ndim - 1);
      done += count;
    }
  }

  int64_t tiles() const {
    const int inner = nest_.ndim - 1;
    int64_t n = (nest_.shape[inner] + kTileColumns - 1) / kTileColumns;
    n *= (nest_.shape[tile_dim_] + kTileRows - 1) / kTileRows;
    for (int d = 0; d < inner; d++)
      if (d != tile_dim_) n *= nest_.shape[d];
    return n;
  }

  // Tiles of tile_dim_ (rows) by the innermost dimension (columns): every operand goes through a buffer.
  void run_tiles(int64_t begin, int64_t end) const {
    alignas(64) char buffer[kMaxOperands][kBlock * 8];
    const int inner = nest_.ndim - 1;
    const int64_t across = (nest_.shape[inner] + kTileColumns - 1) / kTileColumns;
    const int64_t down = (nest_.shape[tile_dim_] + kTileRows - 1) / kTileRows;
    for (int64_t t = begin; t < end; t++) {
      // Down a group of tiles first: neighbours below share cache lines and pages of the operand that lies across.
      int64_t rest = t / (across * down);
      const int64_t place = t % (across * down), group = place / (across * kTileGroup);
      const int64_t below = down - group * kTileGroup, high = below < kTileGroup ? below : kTileGroup;
      const int64_t inside = place - group * across * kTileGroup;
      const int64_t column = inside / high * kTileColumns;
      const int64_t row = (group * kTileGroup + inside % high) * kTileRows;
      char* base[kMaxOperands];
      for (int k = 0; k < nest_.operands; k++)
        base[k] = nest_.data[k] + column * nest_.stride[k][inner] + row * nest_.stride[k][tile_dim_];
      for (int d = inner - 1; d >= 0; d--) {
        if (d == tile_dim_) continue;
        for (int k = 0; k < nest_.operands; k++) base[k] += rest % nest_.shape[d] * nest_.stride[k][d];
        rest /= nest_.shape[d];
      }
      const int64_t columns = nest_.shape[inner] - column < kTileColumns ? nest_.shape[inner] - column : kTileColumns;
      const int64_t rows = nest_.shape[tile_dim_] - row < kTileRows ? nest_.shape[tile_dim_] - row : kTileRows;
      const char* in[kMaxOperands];
      for (int k = 1; k < nest_.operands; k++) {
        in[k - 1] = is_scalar(k) ? base[k] : buffer[k];
        const int64_t size = nest_.size[k];
        if (!is_scalar(k))
          move_tile(buffer[k], columns * size, size, base[k], nest_.stride[k][tile_dim_], nest_.stride[k][inner], rows,
                    columns, size);
      }
      op_.row(op_.functor, rows * columns, buffer[0], in, scalars_);
      const int64_t size = nest_.size[0], bytes = columns * size;
      const uintptr_t place_of = reinterpret_cast<uintptr_t>(base[0]);
      if (streams_ && (place_of | static_cast<uint64_t>(bytes | nest_.stride[0][tile_dim_])) % 64 == 0) {
        for (int64_t i = 0; i < rows; i++)
          stream_bytes(base[0] + i * nest_.stride[0][tile_dim_], buffer[0] + i * bytes, bytes);
        continue;
      }
      move_tile(base[0], nest_.stride[0][tile_dim_], nest_.stride[0][inner], buffer[0], columns * size, size, rows,
                columns, size);
    }
  }

  // to[i][j] = from[j][i] in blocks of one vector by one vector.
  template <class T>
  static void transpose_tile(char* to, int64_t to_row, const char* from, int64_t from_column, int64_t rows,
                             int64_t columns) {
    constexpr int N = Vec<T>::N;
    for (int64_t i = 0; i < rows; i += N) {
      const int high = static_cast<int>(rows - i < N ? rows - i : N);
      for (int64_t j = 0; j < columns; j += N) {
        const int wide = static_cast<int>(columns - j < N ? columns - j : N);
        Vec<T> block[N];
        for (int k = 0; k < N; k++) {
          const char* p = from + (j + k) * from_column + i * static_cast<int64_t>(sizeof(T));
          block[k] = k < wide ? load_n(reinterpret_cast<const T*>(p), high) : zero<T>();
        }
        transpose(block);
        for (int k = 0; k < high; k++) store_n(reinterpret_cast<T*>(to + (i + k) * to_row) + j, block[k], wide);
      }
    }
  }

  // Moves a tile; the source is read along its smaller stride, so that each cache line is touched once.
  static void move_tile(char* to, int64_t to_row, int64_t to_column, const char* from, int64_t from_row,
                        int64_t from_column, int64_t rows, int64_t columns, int64_t size) {
    if (from_row == size && to_column == size && size >= 4 && from_row < from_column) {
      if (size == 4)
        transpose_tile<float>(to, to_row, from, from_column, rows, columns);
      else
        transpose_tile<double>(to, to_row, from, from_column, rows, columns);
    } else if (from_row < from_column) {
      for (int64_t j = 0; j < columns; j++)
        move_elements(to + j * to_column, to_row, from + j * from_column, from_row, rows, size);
    } else {
      for (int64_t i = 0; i < rows; i++)
        move_elements(to + i * to_row, to_column, from + i * from_row, from_column, columns, size);
    }
  }
};

}  // namespace

// Small adjacent operands take a way of their own: no nest, no pool.
void run_elementwise(const Pool& pool, const RowOp& op, const View& out, const View* const* in, int inputs) {
  if (out.numel == 0) return;
  if (out.contiguous && out.numel <= op.grain) {
    const char* data[kMaxOperands] = {};
    uint32_t scalars = 0;
    bool adjacent = true;
    for (int k = 0; k < inputs; k++) {
      data[k] = static_cast<const char*>(in[k]->data);
      if (in[k]->contiguous && in[k]->numel == out.numel) continue;
      if (in[k]->ndim == 0)
        scalars |= 1u << k;
      else
        adjacent = false;
    }
    if (adjacent && (scalars == 0 || (op.one_scalar && scalars != 3))) {
      op.row(op.functor, out.numel, static_cast<char*>(out.data), data, scalars);
      return;
    }
  }
  const Nest nest(out, in, inputs);
  Engine(nest, op).run(pool);
}

Status check_operands(const Call& c, int inputs) {
  if (c.nin != inputs || c.nout != 1) return kBadParameter;
  for (int k = 0; k < inputs; k++)
    if (!broadcasts_to(c.in[k], c.out[0])) return kBadShape;
  return kOk;
}

Status run_rows(const Call& c, RowFn row, const void* functor, int64_t grain, bool one_scalar, bool streams) {
  const View* in[kMaxOperands];
  for (int k = 0; k < c.nin; k++) in[k] = &c.in[k];
  run_elementwise(*c.pool, RowOp{row, functor, grain, one_scalar, streams}, c.out[0], in, c.nin);
  return kOk;
}

}  // namespace MYELIN_ISA
}  // namespace myelin
