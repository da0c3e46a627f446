// Reductions: where the elements of each result lie, and how they are gathered, apart from one another. The engine in
// reduce_engine.cc walks the memory; a Reducer holds the loops over adjacent elements of one type, made from the structs in
// reducers.h.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "iterate.h"

namespace myelin {
namespace MYELIN_ISA {

inline constexpr int64_t kReduceChunk = 32768;  // elements of one partial result
inline constexpr int64_t kColumns = 1024;       // columns gathered at once
inline constexpr int64_t kFlushRows = 128;
inline constexpr int64_t kMostAcc = 24, kMostLane = 24;  // bytes

// Memory beyond the caches is read at four places in turn, since a core keeps more loads in flight from four streams than
// from one: so many bytes at a time, of four rows, or of four parts of a run of at least kLongRunBytes.
inline constexpr int64_t kTurnBytes = 512, kLongRunBytes = 32768;
template <class T>
inline constexpr int64_t kTurn = kTurnBytes / static_cast<int64_t>(sizeof(T));
template <class T>
inline constexpr int64_t kLongRun = kLongRunBytes / static_cast<int64_t>(sizeof(T));

// The loops over elements. `acc` are partial results and `lanes` what columns are gathered in over at most kFlushRows rows, of which
// `held` are in them already; both are arrays whose elements only these functions know.
struct Reducer {
  int64_t item;         // bytes of an element
  int64_t acc;          // bytes of a partial result: 4, 8 or kMostAcc
  const void* nothing;  // the partial result of no element
  const void* no_lane;  // its like of lanes, of lane_item bytes; null: the first row sets lanes
  int64_t lane_item;
  void (*run)(void* acc, const void* p, int64_t n);                      // joins n adjacent elements to acc[0]
  void (*join)(void* acc, const void* other, int64_t n);                 // other[i] to acc[i]
  void (*flush)(void* acc, const void* lanes, int64_t n, int64_t held);  // lanes[i] to acc[i]
  // To lanes[0 … width): `rows` rows, `stride` elements apart.
  void (*gather)(void* lanes, const void* p, int64_t stride, int64_t rows, int64_t width, int64_t held);
  // acc[i] of the `count` elements, `step` apart, from p + i next on.
  void (*short_rows)(void* acc, const void* p, int64_t next, int64_t rows, int64_t step, int64_t count);
};

// out[i · stride] from acc[i], each of `count` elements.
using Finish = void (*)(const double* params, const void* acc, int64_t n, int64_t count, void* out, int64_t stride);

// out = finish(partial result of its elements). Elements of one byte are given to the reducer, whose item is then 4, as int32.
Status reduce(const Pool& pool, const Reducer& reducer, Finish finish, const double* params, const View& x,
              const View& out);

// Joins to acc all of x, whatever its strides.
void reduce_strided(const Pool& pool, const Reducer& reducer, const View& x, void* acc);

// Extremes and where they are.
struct ArgReducer {
  int64_t item;
  // The first of the winners of n elements, n >= 1: its place, and itself in *value.
  int64_t (*best)(const void* p, int64_t stride, int64_t n, void* value);
  // Whether b, which comes later, takes a's place.
  bool (*takes_over)(const void* a, const void* b);
  // index[i] for each of `width` adjacent columns, at most kArgColumns, of `rows` rows.
  void (*columns)(const void* p, int64_t stride, int64_t rows, int64_t width, int32_t* index);
};
inline constexpr int64_t kArgColumns = 256;

// out is the place of the extreme along `axis`, or, for -1, in all of x in row-major order. Elements of one byte as in reduce().
Status arg_reduce(const Pool& pool, const ArgReducer& reducer, const View& x, const View& out, int axis);

}  // namespace MYELIN_ISA
}  // namespace myelin
