// out[…,M,N] = act(a[…,M,K] · b[…,K,N] + bias[N] + accumulate·out), float and double: packed panels and a register-blocked
// kernel in the manner of BLIS; operands small enough are read in place.
#include "call.h"
#include "matmul_block.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr double kSerialProducts = 6e5;   // multiply-adds below which waking other threads does not pay
constexpr double kTaskProducts = 1e6;     // multiply-adds of one task
constexpr double kBatchProducts = 4e6;    // matrices of a batch below this are not split further
constexpr int64_t kMaxTasks = 64;
constexpr int64_t kPackBytes = 64 << 20;  // of B packed at once
constexpr size_t kLocalBytes = 16 * 1024;

double products(int64_t m, int64_t n, int64_t k) {
  return static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
}

template <class T>
size_t plan_bytes(const Plan<T>& plan) {
  return static_cast<size_t>(round_up(plan.b_size, 16) + plan.a_size) * sizeof(T);
}

// A whole product on this thread; scratch holds plan_bytes.
template <class T>
void run_alone(const Product<T>& p, const Plan<T>& plan, T* scratch) {
  T* const a_packed = scratch + round_up(plan.b_size, 16);
  if (plan.pack_b) {
    pack_b(p, plan, 0, plan.panels, scratch);
  } else if (plan.b_size > 0) {
    pack_last(p, plan, scratch);
  }
  for (int64_t i = 0; i < p.m; i += plan.block_rows) {
    run_block(p, plan, i, smaller(p.m, i + plan.block_rows), 0, plan.panels, scratch, a_packed);
  }
}

// A whole product on the pool: B is packed by all, then each task takes a block of rows × panels.
template <class T>
Status run_together(const Product<T>& p, Plan<T> plan, const Pool& pool) {
  const double total = products(p.m, p.n, p.k);
  const int64_t want = smaller(kMaxTasks, static_cast<int64_t>(total / kTaskProducts) + 1);
  int64_t row_blocks = larger(divide_up(p.m, kBlockRows), smaller(want, divide_up(p.m, 4 * kRows)));
  const int64_t rows = round_up(divide_up(p.m, row_blocks), kRows);
  row_blocks = divide_up(p.m, rows);
  const int64_t panels = divide_up(plan.panels, smaller(plan.panels, larger(1, want / row_blocks)));
  const int64_t panel_blocks = divide_up(plan.panels, panels);
  plan.block_rows = rows;
  plan.a_size = plan.pack_a ? rows * smaller(plan.depth, p.k) : 0;

  T* const b_packed = static_cast<T*>(pool.scratch(pool.self, -1, static_cast<size_t>(plan.b_size) * sizeof(T) + 64));
  if (!b_packed) return kOutOfMemory;
  if (plan.pack_b) {
    const int64_t grain = larger(1, 32768 / larger(1, plan.panel_size));
    parallel_for(pool, plan.panels, grain,
                 [&](int64_t begin, int64_t end, int) { pack_b(p, plan, begin, end, b_packed); });
  } else if (plan.b_size > 0) {
    pack_last(p, plan, b_packed);
  }
  int32_t failed = 0;
  parallel_for(pool, row_blocks * panel_blocks, 1, [&](int64_t begin, int64_t end, int worker) {
    T* a_packed = nullptr;
    if (plan.a_size > 0) {
      a_packed = static_cast<T*>(pool.scratch(pool.self, worker, static_cast<size_t>(plan.a_size) * sizeof(T)));
      if (!a_packed) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    }
    for (int64_t t = begin; t < end; t++) {
      const int64_t i = t / panel_blocks * rows, j = t % panel_blocks * panels;
      run_block(p, plan, i, smaller(p.m, i + rows), j, smaller(plan.panels, j + panels), b_packed, a_packed);
    }
  });
  return failed ? kOutOfMemory : kOk;
}

// Cuts a product whose packed B would be too large along n, then along k.
template <class T>
Status run_large(Product<T> p, const Pool& pool) {
  Plan<T> plan = make_plan(&p);
  if (plan.b_size * static_cast<int64_t>(sizeof(T)) <= kPackBytes) return run_together(p, plan, pool);
  const int64_t most = kPackBytes / static_cast<int64_t>(sizeof(T));
  Product<T> part = p;
  if (plan.panel_size > most) {
    const int64_t depth = most / kColumns<T> / 2 / kDepth<T> * kDepth<T>;
    for (int64_t k = 0; k < p.k; k += depth) {
      part.k = smaller(depth, p.k - k);
      part.a = p.a + k * p.acs;
      part.b = p.b + k * p.brs;
      part.out.beta = k == 0 ? p.out.beta : T(1);
      const bool last = k + depth >= p.k;
      part.out.bias = last ? p.out.bias : nullptr;
      part.out.activation = last ? p.out.activation : kNoActivation;
      Product<T> straight = part;
      if (straight.turned) turn(&straight);
      const Status status = run_large(straight, pool);
      if (status != kOk) return status;
    }
    return kOk;
  }
  const int64_t columns = most / plan.panel_size * kColumns<T>;
  for (int64_t j = 0; j < p.n; j += columns) {
    part.n = smaller(columns, p.n - j);
    part.b = p.b + j * p.bcs;
    part.out.c = p.out.c + j * (p.turned ? p.out.crs : p.out.ccs);
    if (p.out.bias && !p.turned) part.out.bias = p.out.bias + j * p.out.bias_stride;
    Plan<T> part_plan = plan;
    part_plan.panels = divide_up(part.n, kColumns<T>);
    part_plan.b_size = part_plan.panels * plan.panel_size;
    const Status status = run_together(part, part_plan, pool);
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

template <class T>
Status run(const Batch& batch, const Product<T>& p, const Pool& pool) {
  const double each = products(p.m, p.n, p.k), total = each * static_cast<double>(batch.count);
  if (total > kSerialProducts && (each > kBatchProducts || batch.count == 1)) {
    for (int64_t i = 0; i < batch.count; i++) {
      const Status status = run_large(at(batch, p, i), pool);
      if (status != kOk) return status;
    }
    return kOk;
  }
  Product<T> first = p;
  const Plan<T> plan = make_plan(&first);
  const size_t bytes = plan_bytes(plan);
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
  const int64_t grain = larger(divide_up(batch.count, kMaxTasks), static_cast<int64_t>(kTaskProducts / 4 / larger(1, p.m * p.n * p.k)));
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
  p.out = {static_cast<T*>(out.data),
           out.strides[d - 2],
           out.strides[d - 1],
           bias ? static_cast<const T*>(bias->data) : nullptr,
           bias ? bias->strides[0] : 0,
           static_cast<T>(c.params[1]),
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
  if (!(activation >= 0 && activation < kActivationCount && activation == static_cast<int>(activation))) return kBadParameter;
  if (a.dtype == kFloat32) return matmul_of<float>(c);
  if (a.dtype == kFloat64) return matmul_of<double>(c);
  return kBadDType;
}

}  // namespace MYELIN_ISA
}  // namespace myelin
