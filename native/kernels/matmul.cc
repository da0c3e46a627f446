// out[…,M,N] = act(a[…,M,K] · b[…,K,N] + bias[N] + accumulate·out), float and double: packed panels and a register-blocked
// kernel in the manner of BLIS; operands small enough are read in place.
#include "call.h"
#include "matmul_row.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr double kSerialProducts = 6e5;  // multiply-adds below which waking other threads does not pay
constexpr double kTaskProducts = 5e5;    // multiply-adds of one task
constexpr double kBatchProducts = 4e6;   // matrices of a batch below this are not split further
constexpr int64_t kKeptRows = 256;       // of A, above which packing B is little beside the products
constexpr int64_t kMaxTasks = 128;
constexpr int64_t kMaxColumns = 64;        // of tasks
constexpr int64_t kLeastRows = 4 * kRows;  // that a thread takes at a time
constexpr int64_t kLeastPanels = 4;        // likewise, of so few rows
constexpr int64_t kMostParts = 8;
constexpr int64_t kMaxFields = 256;  // columns of tasks, or parts of their rows
constexpr size_t kLocalBytes = 16 * 1024;

double products(int64_t m, int64_t n, int64_t k) {
  return static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
}

// A whole product on this thread; scratch holds task_bytes.
template <class T>
void run_alone(const Product<T>& p, const Plan& plan, T* scratch) {
  Own own = {0, plan.panels};
  run_task(p, plan, 0, p.m, 0, plan.panels, &own, scratch);
}

// Panels × rows of one task.
struct Task {
  int64_t panels, rows;
};

// The cut into at most `most` tasks that leaves the busiest thread the least to do, in units of a tile. A thread packs the panels
// of its column of tasks once if it can hold them, else for every task.
template <class T>
Task cut_evenly(const Product<T>& p, const Plan& plan, int64_t threads, int64_t most) {
  const int64_t strips = divide_up(p.m, kRows);
  const double pack_a = plan.pack_a ? 0.6 : 0, pack_b = !plan.pack_b || p.kept ? 0 : p.bcs == 1 ? 0.7 : 2.7;
  Task best = {plan.panels, strips * kRows};
  double least = -1;
  for (int64_t across = 1; across <= smaller(smaller(most, kMaxColumns), plan.panels); across++) {
    for (int64_t down = 1; across * down <= most && down <= strips; down++) {
      const int64_t wide = divide_up(plan.panels, across), high = divide_up(strips, down);
      const int64_t columns = divide_up(plan.panels, wide), tasks = columns * divide_up(strips, high);
      const int64_t rounds = divide_up(tasks, threads),
                    packings = holds(p, wide) ? divide_up(columns, threads) : rounds;
      const double each = (static_cast<double>(wide) + pack_a) * static_cast<double>(high) + 0.2;
      const double cost = static_cast<double>(rounds) * each * (1 + 0.02 / static_cast<double>(rounds)) +
                          static_cast<double>(packings * wide) * pack_b;
      if (least < 0 || cost < least) least = cost, best = {wide, high * kRows};
    }
  }
  return best;
}

// B packed, when a call before has left it or it is to be left for later ones: B is a layer's weights then, and used unchanged.
template <class T>
const T* kept_panels(const Product<T>& p, const Call& c) {
  if (!c.keeper || p.m > kKeptRows || p.k == 0) return nullptr;
  const int64_t panels = divide_up(p.n, kColumns<T>);
  const int64_t numbers[] = {p.k, p.n};
  bool ready = false;
  const size_t bytes = static_cast<size_t>(panels * kColumns<T> * p.k) * sizeof(T);
  T* const kept = static_cast<T*>(c.keeper->keep(c.keeper->self, 1, numbers, 2, bytes, &ready));
  if (kept && !ready) {
    parallel_for(*c.pool, panels, 4, [&](int64_t begin, int64_t end, int) { pack_all(p, begin, end, kept); });
  }
  return kept;
}

// Rows that a thread takes next of a column of tasks that has `left`: a part of its share, less and less, so that threads which run at
// different speeds end together; whole blocks while there are any to take.
int64_t rows_to_take(int64_t left, int64_t threads, int64_t block) {
  const int64_t part = left / (2 * threads);
  return part >= block ? part / block * block : larger(kLeastRows, round_up(part, kRows));
}

// Where a column of tasks goes on: at part `part` of the panels of the rows from `row` on, all in one number.
struct Place {
  int64_t row, part;
  explicit Place(int64_t number) : row(number / kMostParts), part(number % kMostParts) {}
  static int64_t number(int64_t row, int64_t part) { return row * kMostParts + part; }
};

// A whole product on the pool. A thread stays in its column of tasks while there are any, so that it packs the panels of B once, and
// then helps with the next. The last rows of a column are given out by parts of its panels, so that nobody waits long for the last
// thread. Every element of C is summed in the same order however the tasks are cut.
template <class T>
Status run_together(Product<T> p, const Pool& pool) {
  const Plan plan = make_plan(&p);
  const int64_t worth = static_cast<int64_t>(products(p.m, p.n, p.k) / kTaskProducts) + 1;
  const int64_t most = pool.threads == 1 ? 1 : smaller(8 * pool.threads, worth);
  const auto [panels, rows] = cut_evenly(p, plan, pool.threads, most);
  const int64_t columns = divide_up(plan.panels, panels), down = divide_up(p.m, rows);
  const int64_t workers = smaller(pool.threads, columns * down);
  const size_t bytes = task_bytes(p, plan, panels);
  const bool shrink = workers > 1 && rows >= 3 * kLeastRows;
  // Every thread begins with rows of its own, the same ones from call to call, which its caches may still hold.
  const int64_t sharers = divide_up(workers, columns), groups = shrink ? smaller(sharers, kMaxFields / columns) : 1;
  const int64_t height = round_up(divide_up(p.m, groups), kRows), fields = columns * groups;
  int64_t next[kMaxFields] = {};
  int32_t failed = 0;
  parallel_for(pool, workers, 1, [&](int64_t begin, int64_t end, int worker) {
    T* const own = bytes == 0 ? nullptr : static_cast<T*>(pool.scratch(pool.self, worker, bytes));
    if (bytes > 0 && !own) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    for (int64_t unit = begin; unit < end; unit++) {
      Own whole = {-1, -1};
      for (int64_t f = 0; f < fields; f++) {
        const int64_t field = (unit * fields / workers + f) % fields, j = field / groups * panels;
        const int64_t j1 = smaller(plan.panels, j + panels), i0 = field % groups * height;
        const int64_t rows_here = smaller(height, p.m - i0);
        if (j != whole.j0) whole = {j, j1};
        for (;;) {
          int64_t place = __atomic_load_n(&next[field], __ATOMIC_RELAXED), after = 0, end = 0, parts = 1;
          do {
            const int64_t i = Place(place).row, left = rows_here - i;
            const int64_t take = shrink ? rows_to_take(left, divide_up(sharers, groups), plan.rows) : rows;
            end = i + smaller(left, take);
            parts = shrink && take == kLeastRows ? larger(1, smaller(kMostParts, (j1 - j) / kLeastPanels)) : 1;
            const int64_t part = Place(place).part + 1;
            after = part < parts ? Place::number(i, part) : Place::number(end, 0);
          } while (Place(place).row < rows_here &&
                   !__atomic_compare_exchange_n(&next[field], &place, after, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
          const auto [i, part] = Place(place);
          if (i >= rows_here) break;
          const int64_t wide = divide_up(j1 - j, parts), from = j + part * wide, to = smaller(j1, from + wide);
          if (from >= to) continue;
          Own some = {from, to};
          run_task(p, plan, i0 + i, i0 + end, from, to, parts == 1 || whole.panels ? &whole : &some, own);
        }
      }
    }
  });
  return failed ? kOutOfMemory : kOk;
}

// Batch dimensions, innermost first, with each operand's strides.
struct Batch {
  int ndim;
  int64_t count;
  int64_t shape[kMaxDims], a[kMaxDims], b[kMaxDims], out[kMaxDims];
};

template <class T>
Product<T> at(const Batch& batch, Product<T> p, int64_t index) {
  for (int d = 0; d < batch.ndim; d++) {
    const int64_t i = index % batch.shape[d];
    index /= batch.shape[d];
    p.a += i * batch.a[d];
    p.b += i * batch.b[d];
    p.out.c += i * batch.out[d];
  }
  return p;
}

// One row (or column) times a large matrix read along its rows is bound by memory.
template <class T>
bool is_row(const Product<T>& p) {
  return p.m == 1 && p.bcs == 1 && p.n >= 4 * kColumns<T> && p.k >= 8 && p.n * p.k >= 32 * 1024;
}

// Likewise when its columns are contiguous, as in a layer applied to one row.
template <class T>
bool is_dots(const Product<T>& p) {
  return p.m == 1 && p.brs == 1 && p.acs == 1 && p.n >= kDots && p.k >= 2 * Vec<T>::N;
}

template <class T>
Status run_rows(const Batch& batch, const Product<T>& p, const Pool& pool, bool as_dots) {
  const int64_t width = as_dots ? kDotColumns : kRowColumns;
  const int64_t chunks = divide_up(p.n, width);
  const double each = products(1, smaller(p.n, width), p.k), least = as_dots ? 4e4 : 1e5;
  parallel_for(pool, batch.count * chunks, static_cast<int64_t>(least / each) + 1,
               [&](int64_t begin, int64_t end, int) {
                 for (int64_t t = begin; t < end; t++) {
                   const int64_t j0 = t % chunks * width, j1 = smaller(p.n, j0 + width);
                   if (as_dots) {
                     run_dots(at(batch, p, t / chunks), j0, j1);
                   } else {
                     run_row(at(batch, p, t / chunks), j0, j1);
                   }
                 }
               });
  return kOk;
}

template <class T>
Status run(const Batch& batch, const Product<T>& p, const Call& c) {
  const Pool& pool = *c.pool;
  if (p.m == 1 || p.n == 1) {
    // `at` moves a, b and c of the untransposed product.
    Product<T> row = p;
    Batch moves = batch;
    for (int turns = 0; turns < 2; turns++) {
      if (is_row(row)) return run_rows(moves, row, pool, false);
      if (is_dots(row)) return run_rows(moves, row, pool, true);
      turn(&row);
      for (int d = 0; d < batch.ndim; d++) moves.a[d] = batch.b[d], moves.b[d] = batch.a[d];
    }
  }
  const double each = products(p.m, p.n, p.k), total = each * static_cast<double>(batch.count);
  if (total > kSerialProducts && (each > kBatchProducts || batch.count == 1)) {
    for (int64_t i = 0; i < batch.count; i++) {
      Product<T> each_product = at(batch, p, i);
      if (batch.count == 1) each_product.kept = kept_panels(p, c);
      const Status status = run_together(each_product, pool);
      if (status != kOk) return status;
    }
    return kOk;
  }
  Product<T> first = p;
  const Plan plan = make_plan(&first);
  const size_t bytes = task_bytes(first, plan, plan.panels);
  if (total <= kSerialProducts) {
    alignas(64) unsigned char local[kLocalBytes];
    void* scratch = bytes <= kLocalBytes ? local : pool.scratch(pool.self, -1, bytes);
    if (!scratch) return kOutOfMemory;
    for (int64_t i = 0; i < batch.count; i++) {
      Product<T> each_product = at(batch, p, i);
      if (first.turned) turn(&each_product);
      run_alone(each_product, plan, static_cast<T*>(scratch));
    }
    return kOk;
  }
  int32_t failed = 0;
  const int64_t grain = larger(divide_up(batch.count, kMaxTasks), static_cast<int64_t>(kTaskProducts / 4 / (each + 1)));
  parallel_for(pool, batch.count, grain, [&](int64_t begin, int64_t end, int worker) {
    void* scratch = pool.scratch(pool.self, worker, bytes + 64);
    if (!scratch) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    for (int64_t i = begin; i < end; i++) {
      Product<T> each_product = at(batch, p, i);
      if (first.turned) turn(&each_product);
      run_alone(each_product, plan, static_cast<T*>(scratch));
    }
  });
  return failed ? kOutOfMemory : kOk;
}

template <class T>
Status matmul_of(const Call& c) {
  const View &a = c.in[0], &b = c.in[1], &out = c.out[0];
  const View* bias = c.nin > 2 && c.in[2].ndim >= 0 ? &c.in[2] : nullptr;
  const int d = out.ndim;
  Product<T> p;
  p.m = out.shape[d - 2], p.n = out.shape[d - 1], p.k = a.shape[d - 1];
  if (a.shape[d - 2] != p.m || b.shape[d - 2] != p.k || b.shape[d - 1] != p.n) return kBadShape;
  if (bias && (bias->dtype != a.dtype || bias->ndim != 1 || bias->shape[0] != p.n)) return kBadShape;
  p.a = static_cast<const T*>(a.data), p.ars = a.strides[d - 2], p.acs = a.strides[d - 1];
  p.b = static_cast<const T*>(b.data), p.brs = b.strides[d - 2], p.bcs = b.strides[d - 1];
  p.turned = false;
  p.out = {static_cast<T*>(out.data),    out.strides[d - 2],
           out.strides[d - 1],           bias ? static_cast<const T*>(bias->data) : nullptr,
           bias ? bias->strides[0] : 0,  static_cast<T>(c.params[1]),
           static_cast<int>(c.params[0])};
  Batch batch;
  batch.ndim = 0, batch.count = 1;
  // Rows of neighbouring matrices that share B make one taller matrix.
  bool fold = true;
  for (int i = d - 3; i >= 0; i--) {
    const int64_t size = out.shape[i];
    if ((a.shape[i] != size && a.shape[i] != 1) || (b.shape[i] != size && b.shape[i] != 1)) return kBadShape;
    if (size == 1) continue;
    const int64_t as = a.shape[i] == 1 ? 0 : a.strides[i], bs = b.shape[i] == 1 ? 0 : b.strides[i];
    if (p.m == 1) p.ars = as, p.out.crs = out.strides[i];
    fold = fold && bs == 0 && as == p.m * p.ars && out.strides[i] == p.m * p.out.crs;
    if (fold) {
      p.m *= size;
      continue;
    }
    batch.shape[batch.ndim] = size;
    batch.a[batch.ndim] = as, batch.b[batch.ndim] = bs, batch.out[batch.ndim] = out.strides[i];
    batch.count *= size;
    batch.ndim++;
  }
  if (p.m == 0 || p.n == 0 || batch.count == 0) return kOk;
  return run(batch, p, c);
}

}  // namespace

Status matmul(const Call& c) {
  if (c.nin < 2 || c.nout != 1) return kBadShape;
  if (c.nparams != 2) return kBadParameter;
  const View &a = c.in[0], &b = c.in[1], &out = c.out[0];
  if (out.ndim < 2 || a.ndim != out.ndim || b.ndim != out.ndim) return kBadShape;
  if (a.dtype != b.dtype || a.dtype != out.dtype) return kBadDType;
  const double activation = c.params[0];
  if (!(activation >= 0 && activation < kActivationCount && activation == static_cast<int>(activation)))
    return kBadParameter;
  if (a.dtype == kFloat32) return matmul_of<float>(c);
  if (a.dtype == kFloat64) return matmul_of<double>(c);
  return kBadDType;
}

}  // namespace MYELIN_ISA
}  // namespace myelin
