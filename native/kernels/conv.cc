// Convolution as networks mean it (correlation) of x (N,C,H,W) with weight (M,C/groups,KH,KW) to y (N,M,OH,OW), and both of
// its gradients:
//   y[n,m,oh,ow] = Σ_{c,kh,kw} weight[m,c,kh,kw] · x[n, c, oh·stride - pad + kh·dilation, …]
// pad is that before the first row and column; what lies past the end follows from the size of y.
#include "conv.h"
#include "vectors.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

// Positions `phase`, phase + stride, … of x's dimension of size `size`, computed from y's of size `out`: the taps that reach
// them have (phase + pad - k·dilation) divisible by the stride.
Axis phase_axis(int64_t size, int64_t out, int64_t taps, int64_t stride, int64_t pad, int64_t dilation, int64_t phase) {
  int64_t common = stride;
  for (int64_t a = dilation; a != 0;) {
    const int64_t rest = common % a;
    common = a, a = rest;
  }
  Axis axis = {out, (size - phase + stride - 1) / stride, 1, 0, 0, -(dilation / common), 0, stride / common};
  for (int64_t k = 0; k < smaller(taps, axis.every); k++) {
    if ((phase + pad - k * dilation) % stride != 0) continue;
    axis.first = k;
    axis.taps = (taps - 1 - k) / axis.every + 1;
    axis.offset = (phase + pad - k * dilation) / stride;
    break;
  }
  return axis;
}

// Input i, a vector over the channels of y, or null.
template <class T>
const T* vector_of(const Call& c, int i) {
  return c.nin > i && !absent(c.in[i]) ? static_cast<const T*>(c.in[i].data) : nullptr;
}

// The same taps in order of growing input position.
void turn_forward(Axis* axis) {
  if (axis->step >= 0) return;
  axis->offset += (axis->taps - 1) * axis->step;
  axis->first += (axis->taps - 1) * axis->every;
  axis->step = -axis->step, axis->every = -axis->every;
}

// y = relu(bias) where there is nothing to sum.
template <class T>
void fill(const Correlation<T>& job) {
  const int64_t channels = job.groups * job.m, size = larger(1, job.h.out * job.w.out);
  parallel_for(*job.call->pool, job.images * channels, larger(1, 65536 / size), [&](int64_t i, int64_t end, int) {
    for (; i < end; i++) {
      const int64_t n = i / channels, m = i % channels;
      const T value = lane(relu_if(job.relu, set1<T>(bias_of(job, m))), 0);
      for (int64_t h = 0; h < job.h.out; h++) {
        T* const y = job.y + n * job.yn + m * job.ym + h * job.yh;
        if (job.yw == 1) {
          for (int64_t w = 0; w < job.w.out; w++) y[w] = value;
        } else {
          for (int64_t w = 0; w < job.w.out; w++) y[w * job.yw] = value;
        }
      }
    }
  });
}

// Activations that are not computed on the way.
template <int A, class T>
void activate_all(const Call& c) {
  T* const y = static_cast<T*>(c.out[0].data);
  for_chunks(*c.pool, c.out[0].numel, [&](int64_t begin, int64_t end) {
    for_vectors<T>(end - begin, [&](int64_t i, int k) {
      T* const p = y + begin + i;
      store_part(p, activate<A>(load_part(p, k)), k);
    });
  });
}
template <class T>
void activate_rest(const Call& c, int activation) {
  switch (activation) {
    case kTanh:
      return activate_all<kTanh, T>(c);
    case kSigmoid:
      return activate_all<kSigmoid, T>(c);
    case kGelu:
      return activate_all<kGelu, T>(c);
    case kGeluTanh:
      return activate_all<kGeluTanh, T>(c);
  }
}

// Where each position reads only itself, an image is one long row.
template <class T>
void join_rows(Correlation<T>* job) {
  Axis &h = job->h, &w = job->w;
  const auto whole = [](const Axis& a) { return a.taps == 1 && a.stride == 1 && a.offset == 0 && a.in == a.out; };
  if (!whole(h) || !whole(w) || job->xh != w.in || job->yw != 1 || job->yh != w.out) return;
  w.in = w.out = h.in * w.in;
  h.in = h.out = 1;
}

// The phases of a dimension, if they may be computed side by side: one, or two that are not empty and of one density.
bool all_phases(int64_t size, int64_t out, int64_t taps, int64_t stride, int64_t pad, int64_t dilation, Axis* axes) {
  if (stride > 2 || (stride == 2 && (dilation != 1 || size < 2))) return false;
  for (int64_t p = 0; p < stride; p++) {
    axes[p] = phase_axis(size, out, taps, stride, pad, dilation, p);
    turn_forward(&axes[p]);
  }
  return stride == 2 || axes[0].taps > 0;
}

// The fastest way that fits.
template <class T>
Status run(Correlation<T> job, const Pool& pool) {
  if (job.c == 0 || job.h.taps == 0 || job.w.taps == 0) {
    fill(job);
    return kOk;
  }
  turn_forward(&job.h);
  turn_forward(&job.w);
  if (line_pays(job)) return correlate_line(job, pool);
  if (planes_pay(job)) return correlate_planes(job, pool);
  if (depthwise_pays(job.c, job.m) && job.yw == 1) return correlate_depthwise(job, &job.h, 1, &job.w, 1, pool);
  join_rows(&job);
  if constexpr (sizeof(T) == 4) {
    const bool fits = job.winograd && job.h.taps == 3 && job.w.taps == 3 && job.h.step == 1 && job.w.step == 1 &&
                      job.h.stride == 1 && job.w.stride == 1 && job.yw == 1 && job.yh == job.w.out;
    if (fits && winograd_pays(job.images, job.c, job.m, job.h.out, job.w.out)) return correlate_winograd(job, pool);
    if (job.winograd && tall_pays(job)) return correlate_tall(job, pool);
    if (job.winograd && long_pays(job)) return correlate_long(job, pool);
  }
  const bool dense = job.yw == 1 && job.yh == job.w.out && job.xh == job.w.in;
  if (dense && images_pay(job)) return correlate_images(job, false, pool);
  return points_pay(job) ? correlate_points(job, pool) : correlate_direct(job, &job.h, 1, &job.w, 1, pool);
}

template <class T>
Status forward(const Call& c, const ConvShape& s) {
  Correlation<T> job;
  job.images = s.n, job.groups = s.groups, job.m = s.m / s.groups, job.c = s.c / s.groups;
  job.h = {s.h, s.oh, s.stride_h, s.kh, -s.pad_h, s.dilation_h, 0, 1};
  job.w = {s.w, s.ow, s.stride_w, s.kw, -s.pad_w, s.dilation_w, 0, 1};
  job.x = static_cast<const T*>(c.in[0].data);
  job.xn = s.c * s.h * s.w, job.xg = job.c * s.h * s.w, job.xc = s.h * s.w, job.xh = s.w;
  job.weight = static_cast<const T*>(c.in[1].data);
  job.wc = s.kh * s.kw, job.wm = job.c * job.wc, job.wg = job.m * job.wm, job.wh = s.kw, job.ww = 1;
  job.y = static_cast<T*>(c.out[0].data);
  job.yn = s.m * s.oh * s.ow, job.yg = job.m * s.oh * s.ow, job.ym = s.oh * s.ow, job.yh = s.ow, job.yw = 1;
  job.bias = vector_of<T>(c, 2), job.scale = vector_of<T>(c, 3);
  job.relu = s.activation == kRelu, job.winograd = s.winograd, job.call = &c;
  return run(job, *c.pool);
}

template <class T>
Status backward_data(const Call& c, const ConvShape& s) {
  Correlation<T> job;
  job.images = s.n, job.groups = s.groups, job.m = s.c / s.groups, job.c = s.m / s.groups;
  job.x = static_cast<const T*>(c.in[0].data);
  job.xn = s.m * s.oh * s.ow, job.xg = job.c * s.oh * s.ow, job.xc = s.oh * s.ow, job.xh = s.ow;
  job.weight = static_cast<const T*>(c.in[1].data);
  job.wm = s.kh * s.kw, job.wc = job.m * job.wm, job.wg = job.c * job.wc, job.wh = s.kw, job.ww = 1;
  job.yn = s.c * s.h * s.w, job.yg = job.m * s.h * s.w, job.ym = s.h * s.w;
  job.yh = s.stride_h * s.w, job.yw = s.stride_w;
  job.bias = vector_of<T>(c, 2), job.scale = vector_of<T>(c, 3);
  job.relu = s.activation == kRelu, job.winograd = s.winograd, job.call = &c;
  const bool strided = s.stride_h > 1 || s.stride_w > 1, depthwise = strided && depthwise_pays(job.c, job.m);
  if (strided && !depthwise) {
    Correlation<T> all = job;
    all.h = {s.oh, s.h, s.stride_h, s.kh, s.pad_h, -s.dilation_h, 0, 1};
    all.w = {s.ow, s.w, s.stride_w, s.kw, s.pad_w, -s.dilation_w, 0, 1};
    all.y = static_cast<T*>(c.out[0].data), all.yh = s.w, all.yw = 1;
    if (images_pay(all)) return correlate_images(all, true, *c.pool);
  }
  if (s.kh == 1 && s.kw == 1 && s.stride_h == 2 && s.stride_w == 2) {
    job.h = phase_axis(s.h, s.oh, 1, 2, s.pad_h, 1, 0), job.w = phase_axis(s.w, s.ow, 1, 2, s.pad_w, 1, 0);
    job.y = static_cast<T*>(c.out[0].data), job.spread_h = s.h, job.spread_w = s.w;
    if (points_pay(job)) return correlate_points(job, *c.pool);
    job.spread_h = job.spread_w = 0;
  }
  Axis hs[2], ws[2];
  if ((depthwise || s.stride_h == 2 || s.stride_w == 2) && job.c > 0 && s.oh > 0 && s.ow > 0 &&
      all_phases(s.h, s.oh, s.kh, s.stride_h, s.pad_h, s.dilation_h, hs) &&
      all_phases(s.w, s.ow, s.kw, s.stride_w, s.pad_w, s.dilation_w, ws)) {
    job.y = static_cast<T*>(c.out[0].data), job.yh = s.w, job.yw = 1;
    const auto correlate = depthwise ? correlate_depthwise<T> : correlate_direct<T>;
    return correlate(job, hs, s.stride_h, ws, s.stride_w, *c.pool);
  }
  // Positions that no tap reaches are set first, all together.
  const auto phase_h = [&](int64_t p) { return phase_axis(s.h, s.oh, s.kh, s.stride_h, s.pad_h, s.dilation_h, p); };
  const auto phase_w = [&](int64_t p) { return phase_axis(s.w, s.ow, s.kw, s.stride_w, s.pad_w, s.dilation_w, p); };
  bool filled = false;
  for (int64_t p = 0; p < smaller(s.stride_h, s.h) && !filled && strided; p++) filled = phase_h(p).taps == 0;
  for (int64_t p = 0; p < smaller(s.stride_w, s.w) && !filled && strided; p++) filled = phase_w(p).taps == 0;
  if (filled) {
    Correlation<T> all = job;
    all.h.out = 1, all.w.out = s.h * s.w, all.yh = all.ym, all.yw = 1, all.y = static_cast<T*>(c.out[0].data);
    fill(all);
  }
  for (int64_t ph = 0; ph < smaller(s.stride_h, s.h); ph++) {
    job.h = phase_h(ph);
    for (int64_t pw = 0; pw < smaller(s.stride_w, s.w); pw++) {
      job.w = phase_w(pw);
      if (filled && (job.h.taps == 0 || job.w.taps == 0)) continue;
      job.y = static_cast<T*>(c.out[0].data) + ph * s.w + pw;
      const Status status = run(job, *c.pool);
      if (status != kOk) return status;
    }
  }
  return kOk;
}

// The vectors over the channels of y, from input 2 on.
Status check_vectors(const Call& c, const View& out) {
  for (int i = 2; i < c.nin; i++) {
    const View& v = c.in[i];
    if (absent(v)) continue;
    if (v.dtype != out.dtype) return kBadDType;
    if (v.ndim != 1 || !v.contiguous || v.shape[0] != out.shape[1]) return kBadShape;
  }
  return kOk;
}

template <class T>
Status finished(Status (*correlate)(const Call&, const ConvShape&), const Call& c, const ConvShape& s) {
  const Status status = correlate(c, s);
  if (status == kOk) activate_rest<T>(c, s.activation);
  return status;
}

}  // namespace

Status conv2d(const Call& c) {
  if (c.nin < 2 || c.nin > 4 || c.nout != 1) return kBadShape;
  ConvShape s;
  Status status = read_shape(c, c.in[0], c.in[1], c.out[0], &s);
  if (status == kOk) status = check_vectors(c, c.out[0]);
  if (status != kOk || c.out[0].numel == 0) return status;
  return c.in[0].dtype == kFloat32 ? finished<float>(forward<float>, c, s) : finished<double>(forward<double>, c, s);
}

Status conv2d_backward_data(const Call& c) {
  if (c.nin < 2 || c.nin > 3 || c.nout != 1) return kBadShape;
  ConvShape s;
  Status status = read_shape(c, c.out[0], c.in[1], c.in[0], &s);
  if (status == kOk) status = check_vectors(c, c.out[0]);
  if (status != kOk || c.out[0].numel == 0) return status;
  return c.in[0].dtype == kFloat32 ? finished<float>(backward_data<float>, c, s)
                                   : finished<double>(backward_data<double>, c, s);
}

Status conv2d_backward_weight(const Call& c) {
  if (c.nin != 2 || c.nout != 1) return kBadShape;
  ConvShape s;
  const Status status = read_shape(c, c.in[1], c.out[0], c.in[0], &s);
  if (status != kOk || c.out[0].numel == 0) return status;
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    if (planes_pay_weights<T>(s)) {
      return correlate_weights_planes<T>(s, static_cast<const T*>(c.in[1].data), static_cast<const T*>(c.in[0].data),
                                         static_cast<T*>(c.out[0].data), *c.pool);
    }
    if (s.n > 0 && s.oh > 0 && s.ow > 0 && depthwise_pays(s.c / s.groups, s.m / s.groups) && s.c > 0) {
      return correlate_weights_depthwise<T>(s, static_cast<const T*>(c.in[1].data), static_cast<const T*>(c.in[0].data),
                                            static_cast<T*>(c.out[0].data), *c.pool);
    }
    if constexpr (sizeof(T) == 4) {
      const bool fits = s.winograd && s.kh == 3 && s.kw == 3 && s.stride_h == 1 && s.stride_w == 1 &&
                        s.dilation_h == 1 && s.dilation_w == 1;
      if (fits && winograd_pays(s.n, s.c / s.groups, s.m / s.groups, s.oh, s.ow)) {
        return correlate_weights_winograd<T>(s, static_cast<const T*>(c.in[1].data),
                                             static_cast<const T*>(c.in[0].data), static_cast<T*>(c.out[0].data),
                                             *c.pool);
      }
    }
    return correlate_weights<T>(s, static_cast<const T*>(c.in[1].data), static_cast<const T*>(c.in[0].data),
                                static_cast<T*>(c.out[0].data), *c.pool);
  };
  return c.in[0].dtype == kFloat32 ? run(float{}) : run(double{});
}

}  // namespace MYELIN_ISA
}  // namespace myelin
