// What the convolution kernels share: the checked geometry of a call, and the correlation that forward and backward by data
// come down to.
#pragma once
#include "blocks.h"
#include "matmul_finish.h"
#include "matmul_pack.h"

namespace myelin {
namespace MYELIN_ISA {

// One dimension of a correlation: output position q reads input position q·stride + offset + t·step for each tap
// t < taps (0 outside [0, in)), with the weight of kernel position first + t·every.
struct Axis {
  int64_t in, out, stride, taps, offset, step, first, every;
};

// y[n,g,m,qh,qw] = relu(scale[g,m] · Σ_{c,th,tw} w[g,m,c,kh,kw] · x[n,g,c,ih,iw] + bias[g,m]). Strides in elements; x's columns are
// adjacent. y's position (qh, qw) lies at qh·yh + qw·yw.
template <class T>
struct Correlation {
  int64_t images, groups, m, c;
  Axis h, w;
  const T* x;
  int64_t xn, xg, xc, xh;
  const T* weight;
  int64_t wg, wm, wc, wh, ww;
  T* y;
  int64_t yn, yg, ym, yh, yw;
  const T* bias;   // (groups·m) or null
  const T* scale;  // likewise
  bool relu;
  bool winograd;  // may be used
  const Call* call;
  // Where yh is two rows and yw 2: the size of y, of which the positions in between get what an empty sum gives. 0: they stay.
  int64_t spread_h = 0, spread_w = 0;
};

// The geometry of a convolution of x (n, c, h, w) with weight (m, c / groups, kh, kw) to y (n, m, oh, ow).
struct ConvShape {
  int64_t n, c, h, w, m, kh, kw, oh, ow, groups;
  int64_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
  bool winograd;
  int activation;
};

// Reads parameters `stride_h stride_w pad_h pad_w dilation_h dilation_w groups winograd [activation]` and checks the three shapes.
inline Status read_shape(const Call& call, const View& x, const View& weight, const View& y, ConvShape* s) {
  constexpr double most = 2147483647;
  const bool fused = call.nparams == 9;
  if (!fused && call.nparams != 8) return kBadParameter;
  for (int i = 0; i < call.nparams; i++) {
    const double p = call.params[i], least = i == 2 || i == 3 ? -most : i >= 7 ? 0 : 1;
    if (!(p >= least && p <= most && p == static_cast<double>(static_cast<int64_t>(p)))) return kBadParameter;
  }
  const auto at = [&](int i) { return static_cast<int64_t>(call.params[i]); };
  if (x.ndim != 4 || weight.ndim != 4 || y.ndim != 4) return kBadShape;
  if (!is_float(x.dtype)) return kBadDType;
  if (weight.dtype != x.dtype || y.dtype != x.dtype) return kBadDType;
  if (!x.contiguous || !weight.contiguous || !y.contiguous) return kBadShape;
  *s = {x.shape[0],      x.shape[1],      x.shape[2],
        x.shape[3],      weight.shape[0], weight.shape[2],
        weight.shape[3], y.shape[2],      y.shape[3],
        at(6),           at(0),           at(1),
        at(2),           at(3),           at(4),
        at(5),           at(7) != 0,      fused && call.params[8] < kActivationCount ? static_cast<int>(at(8)) : 0};
  if (call.params[7] > 1 || (fused && call.params[8] >= kActivationCount)) return kBadParameter;
  if (y.shape[0] != s->n || y.shape[1] != s->m || s->c != weight.shape[1] * s->groups || s->m % s->groups != 0)
    return kBadShape;
  const int64_t sizes[] = {s->h, s->w, s->kh, s->kw, s->oh, s->ow};
  for (const int64_t size : sizes)
    if (size > (1 << 30)) return kBadShape;
  if (s->kh == 0 || s->kw == 0) return kBadShape;
  return kOk;
}

constexpr double kSerialProducts = 6e5;  // multiply-adds below which waking other threads does not pay

// body(begin, end, worker) over [0, n) in chunks of one, on this thread when `products` multiply-adds in all are few.
template <class F>
inline void for_tasks(const Pool& pool, int64_t n, double products, const F& body) {
  parallel_for(pool, n, products <= kSerialProducts ? n : 1, body);
}

// Positions up to which packing weights takes a share of the time that is worth memory.
constexpr int64_t kKeptPositions = 2048;
enum PackedWay { kRowPanels, kSpotPanels, kWinogradPanels, kImagePanels, kTallPanels };

// The block kept with the weights of a job, which come after its x in the call, for their packed form; *ready when that is there.
// Null: none. The phases of each dimension, of which the first says where the second begins.
template <class T>
inline T* kept_weights(const Correlation<T>& job, PackedWay way, const Axis* h, int64_t h_phases, const Axis* w,
                       int64_t w_phases, int64_t size, bool* ready) {
  *ready = false;
  const Keeper* const keeper = job.call->keeper;
  if (!keeper || job.images * h->out * w->out * h_phases * w_phases > kKeptPositions) return nullptr;
  const auto taps = [](const Axis* axes, int64_t phases) {
    return phases == 1 ? axes->taps : -axes->taps - axes[1].taps;
  };
  const int64_t numbers[] = {way,      job.groups,        job.m,    job.c,    job.wm,
                             job.wc,   taps(h, h_phases), h->first, h->every, taps(w, w_phases),
                             w->first, w->every};
  return static_cast<T*>(keeper->keep(keeper->self, 1, numbers, 12, static_cast<size_t>(size) * sizeof(T), ready));
}

// Likewise of the job's own axes.
template <class T>
inline T* kept_weights(const Correlation<T>& job, PackedWay way, int64_t size, bool* ready) {
  return kept_weights(job, way, &job.h, 1, &job.w, 1, size, ready);
}

// Likewise, or scratch -1. Null: out of memory.
template <class T>
inline T* packed_weights(const Correlation<T>& job, PackedWay way, int64_t size, bool* ready) {
  if (T* const kept = kept_weights(job, way, size, ready)) return kept;
  const Pool& pool = *job.call->pool;
  return static_cast<T*>(pool.scratch(pool.self, -1, static_cast<size_t>(size) * sizeof(T)));
}

// packed[k·R + r] = weight of output channel panel·R + r at inner index k = (channel, tap row, tap column); 0 past the last.
template <int R, class T>
void pack_filters(const Correlation<T>& job, int64_t group, int64_t panel, T* packed) {
  const int64_t m0 = panel * R, taps = job.h.taps * job.w.taps;
  if (job.ww == 1 && job.w.every == 1 && job.h.every == 1 && job.wh == job.w.taps && job.wc == taps) {
    pack_panel<T, R>(job.weight + group * job.wg + m0 * job.wm, job.wm, 1, static_cast<int>(smaller(R, job.m - m0)),
                     job.m - m0, job.c * taps, packed);
    return;
  }
  for (int64_t c = 0; c < job.c; c++) {
    for (int64_t th = 0; th < job.h.taps; th++) {
      const T* from = job.weight + group * job.wg + m0 * job.wm + c * job.wc +
                      (job.h.first + th * job.h.every) * job.wh + job.w.first * job.ww;
      for (int64_t tw = 0; tw < job.w.taps; tw++, packed += R, from += job.w.every * job.ww) {
        for (int r = 0; r < R; r++) packed[r] = m0 + r < job.m ? from[r * job.wm] : T(0);
      }
    }
  }
}

template <class T>
T scale_of(const Correlation<T>& job, int64_t channel) {
  return job.scale ? job.scale[channel] : T(1);
}
template <class T>
T bias_of(const Correlation<T>& job, int64_t channel) {
  return job.bias ? job.bias[channel] : T(0);
}
template <class T>
MYELIN_INLINE Vec<T> relu_if(bool relu, Vec<T> v) {
  return relu ? max_nan(v, zero<T>()) : v;
}
// What becomes of a channel's sums, or of one's a lane.
template <class T>
struct Finish {
  Vec<T> scale, bias;
  bool relu;

  Finish(Vec<T> by, Vec<T> more, bool positive) : scale(by), bias(more), relu(positive) {}
  Finish(const Correlation<T>& job, int64_t channel)
      : Finish(set1<T>(scale_of(job, channel)), set1<T>(bias_of(job, channel)), job.relu) {}
  MYELIN_INLINE Vec<T> operator()(Vec<T> sum) const { return relu_if(relu, fma(scale, sum, bias)); }
};

// The general way: any geometry with taps and channels, taps in order of growing input position. Of each dimension one axis, or those
// of two phases, in place of the job's: then y's positions q·2 and q·2 + 1 are theirs, and yh and yw what all positions are apart.
template <class T>
Status correlate_direct(const Correlation<T>& job, const Axis* h, int64_t h_phases, const Axis* w, int64_t w_phases,
                        const Pool& pool);

// Rows of one channel and windows of a few taps, if line_pays().
template <class T>
bool line_pays(const Correlation<T>& job);
template <class T>
Status correlate_line(const Correlation<T>& job, const Pool& pool);

// Batches of small images, for which images_pay(): vectors across images. x's and y's channels and rows lie one after the other.
// `apart`: output position q of a dimension reads input position (q + offset + t·step) / stride, where that is whole.
template <class T>
bool images_pay(const Correlation<T>& job);
template <class T>
Status correlate_images(const Correlation<T>& job, bool apart, const Pool& pool);

// By Winograd's F(4×4, 3×3), for 3×3 taps one after the other, input stride 1, and y's rows adjacent.
template <class T>
Status correlate_winograd(const Correlation<T>& job, const Pool& pool);
// Whether that is faster for such a job.
bool winograd_pays(int64_t images, int64_t c, int64_t m, int64_t high, int64_t wide);

// By Winograd's algorithm down the columns only, of float32, for tall windows and few channels: tall_pays().
template <class T>
bool tall_pays(const Correlation<T>& job);
template <class T>
Status correlate_tall(const Correlation<T>& job, const Pool& pool);
// And along long single rows: long_pays().
template <class T>
bool long_pays(const Correlation<T>& job);
template <class T>
Status correlate_long(Correlation<T> job, const Pool& pool);

// For 1×1 windows without padding, y's positions contiguous or spread, where there are enough of each to fill tiles: points_pay().
template <class T>
bool points_pay(const Correlation<T>& job);
template <class T>
Status correlate_points(const Correlation<T>& job, const Pool& pool);

// Depthwise, if planes_pay(): vectors across planes.
template <class T>
bool planes_pay(const Correlation<T>& job);
template <class T>
Status correlate_planes(const Correlation<T>& job, const Pool& pool);

// And the gradient by weight, if planes_pay_weights().
template <class T>
bool planes_pay_weights(const ConvShape& s);
template <class T>
Status correlate_weights_planes(const ConvShape& s, const T* x, const T* dy, T* dweight, const Pool& pool);

// For groups of so few channels that depthwise_pays(): the windows of at most two phases a dimension, in place of the job's axes and
// of yh and yw as those say: y's rows are contiguous and yh is their distance.
bool depthwise_pays(int64_t c, int64_t m);
template <class T>
Status correlate_depthwise(const Correlation<T>& job, const Axis* h, int64_t h_phases, const Axis* w, int64_t w_phases,
                           const Pool& pool);
template <class T>
Status correlate_weights_depthwise(const ConvShape& s, const T* x, const T* dy, T* dweight, const Pool& pool);

// dweight[m, c, kh, kw] = Σ_{n,oh,ow} dy[n,m,oh,ow] · x[n,c,ih,iw], any geometry.
template <class T>
Status correlate_weights(const ConvShape& s, const T* x, const T* dy, T* dweight, const Pool& pool);

// The same by Winograd's F(4×4, 3×3), for 3×3 windows of stride and dilation 1.
template <class T>
Status correlate_weights_winograd(const ConvShape& s, const T* x, const T* dy, T* dweight, const Pool& pool);

}  // namespace MYELIN_ISA
}  // namespace myelin
