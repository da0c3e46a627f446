// out[…,M,N] = act(a[…,M,K] · b[…,K,N] + bias[N] + accumulate·out), float and double: packed panels and a register-blocked
// kernel in the manner of BLIS; operands small enough are read in place.
#include "call.h"
#include "matmul_row.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr double kSerialProducts = 6e5;  // multiply-adds below which waking other threads does not pay
constexpr double kTaskProducts = 1.5e6;  // multiply-adds of one task
constexpr double kBatchProducts = 4e6;   // matrices of a batch below this are not split further
constexpr int64_t kMaxTasks = 128;
constexpr double kCopyStrips = 1, kTurnStrips = 3;  // what packing a panel of B costs: as it lies, or turned
constexpr int64_t kPackBytes = int64_t{64} << 20;   // of one operand packed at once
constexpr size_t kLocalBytes = 16 * 1024;

double products(int64_t m, int64_t n, int64_t k) {
  return static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
}

template <class T>
size_t plan_bytes(const Plan& plan) {
  return static_cast<size_t>(plan.a_size + plan.b_size) * sizeof(T);
}

// A whole product on this thread; scratch holds plan_bytes.
template <class T>
void run_alone(const Product<T>& p, const Plan& plan, T* scratch) {
  for (int64_t unit = 0; unit < plan.a.units + plan.b.units; unit++) pack(p, plan, unit, scratch);
  run_packed(p, plan, 0, p.m, 0, plan.panels, scratch);
}

// Panels × rows of one task.
struct Task {
  int64_t panels, rows;
};

// The cut into at most `most` tasks that leaves the busiest thread the least to do. A task computes panels × strips of kRows
// tiles and packs its panels, which costs as much as some strips more (`packing`); about two tasks a thread are preferred.
Task cut_evenly(int64_t panels, int64_t m, int64_t threads, int64_t most, double packing) {
  const int64_t strips = divide_up(m, kRows);
  Task best = {panels, strips * kRows};
  double least = -1;
  for (int64_t across = 1; across <= smaller(most, panels); across++) {
    for (int64_t down = 1; across * down <= most && down <= strips; down++) {
      const int64_t wide = divide_up(panels, across), high = divide_up(strips, down);
      const int64_t tasks = divide_up(panels, wide) * divide_up(strips, high);
      const double each = (static_cast<double>(wide) + 0.15) * (static_cast<double>(high) + packing);
      const double uneven = static_cast<double>(tasks) / static_cast<double>(threads) - 2;
      const double cost =
          static_cast<double>(divide_up(tasks, threads)) * each * (1 + 0.005 * (uneven < 0 ? -uneven : uneven));
      if (least < 0 || cost < least) least = cost, best = {wide, high * kRows};
    }
  }
  return best;
}

// A whole product on the pool. What all tasks share (A, when it is packed) is packed first; each task packs its own panels of B, which
// then come from its own cache. Every element of C is summed in the same order however the tasks are cut.
template <class T>
Status run_together(const Product<T>& p, Plan plan, const Pool& pool) {
  const int64_t worth = static_cast<int64_t>(products(p.m, p.n, p.k) / kTaskProducts) + 1;
  const int64_t most = pool.threads == 1 ? 1 : smaller(4 * pool.threads, worth);
  const double packing = !plan.pack_b ? 0 : p.bcs == 1 ? kCopyStrips : kTurnStrips;
  const auto [panels, rows] = cut_evenly(plan.panels, p.m, pool.threads, most, packing);
  const int64_t panel_blocks = divide_up(plan.panels, panels);
  if (plan.pack_b) plan.b.units = 0, plan.b_size = 0;
  const size_t bytes = plan_bytes<T>(plan);
  T* const packed = bytes == 0 ? nullptr : static_cast<T*>(pool.scratch(pool.self, -1, bytes));
  if (bytes > 0 && !packed) return kOutOfMemory;
  parallel_for(pool, plan.b.units + plan.a.units, 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t unit = begin; unit < end; unit++) pack(p, plan, unit, packed);
  });
  int32_t failed = 0;
  parallel_for(pool, divide_up(p.m, rows) * panel_blocks, 1, [&](int64_t begin, int64_t end, int worker) {
    T* const own = plan.pack_b ? static_cast<T*>(pool.scratch(pool.self, worker, kGroupBytes)) : nullptr;
    if (plan.pack_b && !own) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    for (int64_t t = begin; t < end; t++) {
      const int64_t i = t / panel_blocks * rows, j = t % panel_blocks * panels;
      const int64_t i1 = smaller(p.m, i + rows), j1 = smaller(plan.panels, j + panels);
      if (plan.pack_b) {
        run_packing(p, plan, i, i1, j, j1, packed, own);
      } else {
        run_packed(p, plan, i, i1, j, j1, packed);
      }
    }
  });
  return failed ? kOutOfMemory : kOk;
}

// Cuts a product whose packed operands would be too large: along k when even one panel is, else along n or m.
template <class T>
Status run_large(Product<T> p, const Pool& pool) {
  const Plan plan = make_plan(&p);
  const int64_t most = kPackBytes / static_cast<int64_t>(sizeof(T));
  if (plan.a_size <= most && plan.b_size <= most) return run_together(p, plan, pool);
  Product<T> part = p;
  const int64_t depth = most / 1024 / kDepth<T> * kDepth<T>;
  const bool cut_k = p.k > depth, cut_n = !cut_k && plan.b_size > most;
  const int64_t size = cut_k ? p.k : cut_n ? p.n : p.m;
  const int64_t step = cut_k ? depth : round_up(most / 2 / p.k, kRows * kColumns<T>);
  for (int64_t from = 0; from < size; from += step) {
    const int64_t length = smaller(step, size - from);
    if (cut_k) {
      const bool last = from + length >= p.k;
      part.k = length, part.a = p.a + from * p.acs, part.b = p.b + from * p.brs;
      part.out.beta = from == 0 ? p.out.beta : T(1);
      part.out.bias = last ? p.out.bias : nullptr;
      part.out.activation = last ? p.out.activation : kNoActivation;
    } else {
      if (cut_n) part.n = length, part.b = p.b + from * p.bcs;
      if (!cut_n) part.m = length, part.a = p.a + from * p.ars;
      const bool columns = cut_n != p.turned;  // of C the right way round
      part.out.c = p.out.c + from * (columns ? p.out.ccs : p.out.crs);
      if (p.out.bias && columns) part.out.bias = p.out.bias + from * p.out.bias_stride;
    }
    Product<T> straight = part;
    if (straight.turned) turn(&straight);
    const Status status = run_large(straight, pool);
    if (status != kOk) return status;
  }
  return kOk;
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
Status run(const Batch& batch, const Product<T>& p, const Pool& pool) {
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
      const Status status = run_large(at(batch, p, i), pool);
      if (status != kOk) return status;
    }
    return kOk;
  }
  Product<T> first = p;
  const Plan plan = make_plan(&first);
  const size_t bytes = plan_bytes<T>(plan);
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
  return run(batch, p, *c.pool);
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
