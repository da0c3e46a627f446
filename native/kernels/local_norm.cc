// Local response norm across channels of x (N, C, …): y = x d^-β, d = k + α/size Σ x² over the `size` channels around, from
// c - ⌊size/2⌋ to c + ⌊(size - 1)/2⌋. dx = dy d^-β - 2αβ/size x Σ dy x d^(-β-1) over the channels whose windows hold x.
#include <math.h>
#include <stdint.h>

#include "../simd/math.h"
#include "../simd/simd.h"
#include "blocks.h"
#include "call.h"
#include "vectors.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

template <class T>
struct LocalNorm {
  int64_t batch;
  int64_t channels;
  int64_t spatial;
  int64_t before;  // channels before and after in a window
  int64_t after;
  T k;
  T scale;  // α / size
  T beta;
  const T* x;

  // d^-β
  MYELIN_INLINE Vec<T> power(Vec<T> d) const {
    if (beta == T(0.75)) {
      const Vec<T> root = sqrt(d);
      return set1<T>(1) / (root * sqrt(root));
    }
    return pow(d, set1<T>(-beta));
  }

  MYELIN_INLINE Vec<T> denominator(const T* from, int64_t c, int lanes) const {
    const int64_t low = c > before ? c - before : 0, high = channels - 1 - c > after ? c + after : channels - 1;
    Vec<T> sum = zero<T>();
    for (int64_t j = low; j <= high; ++j) {
      const Vec<T> v = load_part(from + j * spatial, lanes);
      sum = fma(v, v, sum);
    }
    return fma(sum, set1<T>(scale), set1<T>(k));
  }

  // Channels of `lanes` positions.
  void forward(const T* from, T* to, int lanes) const {
    for (int64_t c = 0; c < channels; ++c) {
      const Vec<T> y = load_part(from + c * spatial, lanes) * power(denominator(from, c, lanes));
      store_part(to + c * spatial, y, lanes);
    }
  }

  // `buffer` holds dy x d^(-β-1), a vector a channel.
  void backward(const T* dy, const T* from, T* dx, T* buffer, int lanes) const {
    constexpr int N = Vec<T>::N;
    for (int64_t c = 0; c < channels; ++c) {
      const Vec<T> d = denominator(from, c, lanes);
      const Vec<T> direct = load_part(dy + c * spatial, lanes) * power(d);
      store(buffer + c * N, direct * load_part(from + c * spatial, lanes) / d);
      store_part(dx + c * spatial, direct, lanes);
    }
    const Vec<T> factor = set1<T>(-2 * scale * beta);
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t low = c > after ? c - after : 0, high = channels - 1 - c > before ? c + before : channels - 1;
      Vec<T> sum = zero<T>();
      for (int64_t j = low; j <= high; ++j) sum = sum + load(buffer + j * N);
      const Vec<T> v = load_part(from + c * spatial, lanes);
      store_part(dx + c * spatial, fma(factor * v, sum, load_part(dx + c * spatial, lanes)), lanes);
    }
  }
};

// body(offset of the first channel, lanes, worker) for every vector of positions of every sample, in parallel.
template <class T, class F>
void each_position(const Pool& pool, const LocalNorm<T>& f, const F& body) {
  constexpr int N = Vec<T>::N;
  const int64_t vectors = (f.spatial + N - 1) / N, work = f.channels * N * (f.before + f.after + 4);
  const auto run = [&](int64_t begin, int64_t end, int worker) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t at = i % vectors * N, left = f.spatial - at;
      body(i / vectors * f.channels * f.spatial + at, left < N ? static_cast<int>(left) : N, worker);
    }
  };
  if (f.batch * vectors * work <= 2 * kChunk) {
    run(0, f.batch * vectors, 0);
  } else {
    parallel_for(pool, f.batch * vectors, work >= 2 * kChunk ? 1 : 2 * kChunk / work, run);
  }
}

template <class T>
Status run_local(const Call& c, const View& x, bool gradient) {
  LocalNorm<T> f;
  f.batch = x.shape[0];
  f.channels = x.shape[1];
  f.spatial = 1;
  for (int d = 2; d < x.ndim; ++d) f.spatial *= x.shape[d];
  const int64_t size = static_cast<int64_t>(c.params[0]);
  f.before = size / 2;
  f.after = (size - 1) / 2;
  f.scale = static_cast<T>(c.params[1] / c.params[0]);
  f.beta = static_cast<T>(c.params[2]);
  f.k = static_cast<T>(c.params[3]);
  f.x = static_cast<const T*>(x.data);
  T* out = static_cast<T*>(c.out[0].data);
  bool failed = false;
  each_position(*c.pool, f, [&](int64_t at, int lanes, int worker) {
    if (!gradient) return f.forward(f.x + at, out + at, lanes);
    const size_t bytes = static_cast<size_t>(f.channels) * kVectorBytes;
    T* buffer = static_cast<T*>(c.pool->scratch(c.pool->self, worker, bytes));
    if (buffer == nullptr) {
      __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
      return;
    }
    f.backward(static_cast<const T*>(c.in[0].data) + at, f.x + at, out + at, buffer, lanes);
  });
  return failed ? kOutOfMemory : kOk;
}

Status check_local(const Call& c, bool gradient) {
  const int inputs = gradient ? 2 : 1;
  if (c.nin != inputs || c.nout != 1 || c.nparams != 4) return kBadParameter;
  const View& x = c.in[inputs - 1];
  if (!is_float(x.dtype)) return kBadDType;
  if (x.ndim < 2 || !x.contiguous || !c.out[0].contiguous || !c.in[0].contiguous) return kBadShape;
  if (!alike(c.out[0], x) || !alike(c.in[0], x)) return kBadShape;
  const double size = c.params[0];
  if (!(size >= 1 && size <= INT32_MAX) || size != ::floor(size)) return kBadParameter;
  if (x.numel == 0) return kOk;
  return x.dtype == kFloat32 ? run_local<float>(c, x, gradient) : run_local<double>(c, x, gradient);
}

}  // namespace

Status local_response_norm(const Call& c) { return check_local(c, false); }
Status local_response_norm_backward(const Call& c) { return check_local(c, true); }

}  // namespace MYELIN_ISA
}  // namespace myelin
