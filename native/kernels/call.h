// What every kernel gets and nothing more: views of memory, parameters, a pool. Plain C types only, because this header is
// compiled once per instruction set (an inline function of the standard library compiled for AVX-512 could be picked by the
// linker for every CPU).
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace myelin {

enum DType : int32_t { kFloat32 = 0, kFloat64 = 1, kInt32 = 2, kUint8 = 3, kBool = 4, kDTypeCount = 5 };

inline constexpr int kMaxDims = 8;

// What a kernel answers. Anything but kOk leaves the outputs unspecified; the executor turns it into a typed error that
// names the op.
enum Status : int32_t {
  kOk = 0,
  kOutOfMemory = 1,  // scratch could not be had
  kBadShape = 2,     // operands do not fit together (the front end has checked: a bug or a hostile caller)
  kBadDType = 3,
  kBadParameter = 4,  // a parameter is out of its range
  kBadIndex = 5,      // an index *value* is out of range
  kBadLength = 6,     // the length of a row is below 1 or beyond the steps
};

// A strided view. `data` points at element (0,…,0); strides are in elements and never negative; 0 broadcasts.
// A scalar given in the command itself is a view of 0 dimensions and 1 element.
struct View {
  void* data;
  int64_t numel;
  int64_t shape[kMaxDims];
  int64_t strides[kMaxDims];
  int32_t ndim;
  DType dtype;
  bool contiguous;  // row-major without gaps
};

// Splits [0, n) into chunks of `grain` (the last may be shorter) and runs fn(ctx, begin, end, worker) on each, on any
// thread, in any order. Chunks depend on n and grain only, never on the number of threads: that is what keeps results
// bit-identical. One chunk or one thread runs inline. Not to be nested.
struct Pool {
  void* self;
  int threads;  // workers that may call fn at once; worker is in [0, threads)
  void (*run)(void* self, int64_t n, int64_t grain, void (*fn)(void* ctx, int64_t begin, int64_t end, int worker),
              void* ctx);
  // 64-byte aligned memory private to `worker`, kept between calls, contents undefined; null when it cannot be had.
  // A second call for the same worker within one kernel returns the same block (grown, contents lost).
  // Worker -1 is a block shared by the whole kernel call (to be taken before run()).
  void* (*scratch)(void* self, int worker, size_t bytes);
};

// parallel_for(pool, n, grain, [&](int64_t begin, int64_t end, int worker) { … })
template <class F>
inline void parallel_for(const Pool& pool, int64_t n, int64_t grain, const F& body) {
  if (n <= 0) return;
  pool.run(
      pool.self, n, grain < 1 ? 1 : grain,
      [](void* ctx, int64_t begin, int64_t end, int worker) { (*static_cast<const F*>(ctx))(begin, end, worker); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

// Memory that lives as long as an input's storage goes unwritten: for what a kernel makes of that input alone (a weight packed
// for its loops) and will want again.
struct Keeper {
  void* self;
  // The block of `bytes` that belongs to that view of input `input` and these `count` numbers; 64-byte aligned, *ready when an
  // earlier call has filled it, else to be filled by this one. Null when there is none to be had, or not yet: the first to ask
  // after a write gets nothing, since a weight that is trained changes before it is used in the same way again.
  void* (*keep)(void* self, int input, const int64_t* numbers, int count, size_t bytes, bool* ready);
};
inline constexpr int kMaxKept = 12;  // numbers

// One op call. Inputs are read only; outputs have storage already. An operand that the command leaves out (an optional
// one) has data == nullptr and ndim == -1.
struct Call {
  const View* in;
  View* out;
  const double* params;
  const Pool* pool;
  int32_t nin;
  int32_t nout;
  int32_t nparams;
  const Keeper* keeper = nullptr;  // null: nothing can be kept
};

using Kernel = Status (*)(const Call&);

}  // namespace myelin
