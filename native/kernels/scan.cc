// Running results along an axis: cumsum, cumprod, cummax, cummin and the linear recurrence that differentiates cumprod.
// Lines along the axis are independent; neighbouring lines advance together, and a long line alone is cut into chunks whose
// totals are carried in order.
#include <stdint.h>

#include "lines.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int64_t kStrip = 64;  // lines that advance together

// What a line is gathered in: wider than the elements, so that long lines stay exact. Integers wrap.
template <class T>
struct Wide {
  using Type = double;
};
template <>
struct Wide<int32_t> {
  using Type = uint32_t;
};

struct Plus {
  template <class Acc>
  static Acc identity() {
    return 0;
  }
  template <class Acc>
  static Acc join(Acc a, Acc b) {
    return a + b;
  }
};
struct Times {
  template <class Acc>
  static Acc identity() {
    return 1;
  }
  template <class Acc>
  static Acc join(Acc a, Acc b) {
    return a * b;
  }
};

// n elements of one line from carry on; the new carry. Partial results of four do not wait for the carry.
template <class T, class Op>
typename Wide<T>::Type scan_line(const T* x, int64_t x_step, T* out, int64_t out_step, int64_t n,
                                 typename Wide<T>::Type carry) {
  using Acc = typename Wide<T>::Type;
  int64_t i = 0;
  for (; i + 4 <= n; i += 4, x += 4 * x_step, out += 4 * out_step) {
    const Acc a = static_cast<Acc>(x[0]), b = Op::join(a, static_cast<Acc>(x[x_step]));
    const Acc c = static_cast<Acc>(x[2 * x_step]), d = Op::join(c, static_cast<Acc>(x[3 * x_step]));
    const Acc all = Op::join(b, d);
    out[0] = static_cast<T>(Op::join(carry, a));
    out[out_step] = static_cast<T>(Op::join(carry, b));
    out[2 * out_step] = static_cast<T>(Op::join(carry, Op::join(b, c)));
    carry = Op::join(carry, all);
    out[3 * out_step] = static_cast<T>(carry);
  }
  for (; i < n; ++i, x += x_step, out += out_step) {
    carry = Op::join(carry, static_cast<Acc>(*x));
    *out = static_cast<T>(carry);
  }
  return carry;
}

template <class T, class Op>
typename Wide<T>::Type total_of(const T* x, int64_t step, int64_t n) {
  using Acc = typename Wide<T>::Type;
  Acc parts[4] = {Op::template identity<Acc>(), Op::template identity<Acc>(), Op::template identity<Acc>(),
                  Op::template identity<Acc>()};
  for (int64_t i = 0; i < n; ++i) parts[i & 3] = Op::join(parts[i & 3], static_cast<Acc>(x[i * step]));
  return Op::join(Op::join(parts[0], parts[1]), Op::join(parts[2], parts[3]));
}

// Lines of x and out, and the units of work they are cut into: strips of neighbours.
struct Strips {
  Lines x, out;
  int64_t width, per_group, units;

  Strips(const View& from, const View& to, int axis, bool together) : x(from, axis), out(to, axis) {
    const int64_t both = x.adjacent() < out.adjacent() ? x.adjacent() : out.adjacent();
    width = together && x.stride != 1 && both > 1 ? both : 1;
    per_group = (width + kStrip - 1) / kStrip;
    units = width == 0 || x.count == 0 ? 0 : x.count / width * per_group;
  }
  // body(first line, number of lines) for each unit.
  template <class F>
  void run(const Pool& pool, const F& body) const {
    for_units(pool, units, x.length * (width < kStrip ? width : kStrip), [&](int64_t begin, int64_t end, int) {
      for (int64_t u = begin; u < end; ++u) {
        const int64_t at = u % per_group * kStrip, left = width - at;
        body(u / per_group * width + at, left < kStrip ? left : kStrip);
      }
    });
  }
};

template <class T, class Op>
Status scan(const Call& c, int axis, bool reverse) {
  using Acc = typename Wide<T>::Type;
  const View &in = c.in[0], &to = c.out[0];
  const Strips strips(in, to, axis, true);
  const int64_t n = strips.x.length;
  const int64_t x_step = reverse ? -strips.x.stride : strips.x.stride;
  const int64_t out_step = reverse ? -strips.out.stride : strips.out.stride;
  const T* const x = static_cast<const T*>(in.data) + (reverse ? (n - 1) * strips.x.stride : 0);
  T* const out = static_cast<T*>(to.data) + (reverse ? (n - 1) * strips.out.stride : 0);

  if (strips.width == 1 && strips.x.count < 8 && n > 4 * kChunk) {
    const int64_t cuts = (n + kChunk - 1) / kChunk, count = strips.x.count;
    Acc* carry = static_cast<Acc*>(c.pool->scratch(c.pool->self, -1, static_cast<size_t>(cuts * count) * sizeof(Acc)));
    if (carry == nullptr) return kOutOfMemory;
    const auto pieces = [&](const auto& body) {
      parallel_for(*c.pool, cuts * count, 1, [&](int64_t begin, int64_t end, int) {
        for (int64_t u = begin; u < end; ++u) {
          const int64_t first = u % cuts * kChunk, left = n - first;
          body(u, u / cuts, first, left < kChunk ? left : kChunk);
        }
      });
    };
    pieces([&](int64_t u, int64_t line, int64_t first, int64_t m) {
      carry[u] = total_of<T, Op>(x + strips.x.start(line) + first * x_step, x_step, m);
    });
    for (int64_t line = 0; line < count; ++line) {
      Acc sum = Op::template identity<Acc>();
      for (int64_t k = 0; k < cuts; ++k) {
        const Acc mine = carry[line * cuts + k];
        carry[line * cuts + k] = sum;
        sum = Op::join(sum, mine);
      }
    }
    pieces([&](int64_t u, int64_t line, int64_t first, int64_t m) {
      scan_line<T, Op>(x + strips.x.start(line) + first * x_step, x_step,
                       out + strips.out.start(line) + first * out_step, out_step, m, carry[u]);
    });
    return kOk;
  }

  strips.run(*c.pool, [&](int64_t line, int64_t lines) {
    const T* from = x + strips.x.start(line);
    T* target = out + strips.out.start(line);
    if (lines == 1) {
      scan_line<T, Op>(from, x_step, target, out_step, n, Op::template identity<Acc>());
      return;
    }
    Acc carry[kStrip];
    for (int64_t j = 0; j < lines; ++j) carry[j] = Op::template identity<Acc>();
    for (int64_t i = 0; i < n; ++i, from += x_step, target += out_step) {
#pragma GCC ivdep
      for (int64_t j = 0; j < lines; ++j) {
        carry[j] = Op::join(carry[j], static_cast<Acc>(from[j]));
        target[j] = static_cast<T>(carry[j]);
      }
    }
  });
  return kOk;
}

template <class Op>
Status cumulate(const Call& c) {
  if (c.nin != 1 || c.nout != 1 || c.nparams != 2) return kBadParameter;
  const View &x = c.in[0], &out = c.out[0];
  const int axis = axis_of(c.params[0], x.ndim);
  if (axis < 0) return kBadParameter;
  if (!same_shape(x, out)) return kBadShape;
  if (x.dtype != out.dtype) return kBadDType;
  if (x.numel == 0) return kOk;
  const bool reverse = c.params[1] != 0;
  switch (x.dtype) {
    case kFloat32:
      return scan<float, Op>(c, axis, reverse);
    case kFloat64:
      return scan<double, Op>(c, axis, reverse);
    case kInt32:
      return scan<int32_t, Op>(c, axis, reverse);
    default:
      return kBadDType;
  }
}

// The extreme so far and where it stands: the last of equals, and the first NaN for good.
template <class T, bool Lowest>
void scan_extremes(const Call& c, int axis) {
  const Strips strips(c.in[0], c.out[0], axis, false);
  const Lines index(c.out[1], axis);
  const int64_t n = strips.x.length;
  strips.run(*c.pool, [&](int64_t line, int64_t) {
    const T* x = static_cast<const T*>(c.in[0].data) + strips.x.start(line);
    T* value = static_cast<T*>(c.out[0].data) + strips.out.start(line);
    int32_t* at = static_cast<int32_t*>(c.out[1].data) + index.start(line);
    T best = x[0];
    int32_t place = 0;
    for (int64_t i = 0; i < n; ++i) {
      const T now = x[i * strips.x.stride];
      const bool wins = Lowest ? now <= best : now >= best;
      if ((wins || now != now) && best == best) {
        best = now;
        place = static_cast<int32_t>(i);
      }
      value[i * strips.out.stride] = best;
      at[i * index.stride] = place;
    }
  });
}

template <bool Lowest>
Status running_extreme(const Call& c) {
  if (c.nin != 1 || c.nout != 2 || c.nparams != 1) return kBadParameter;
  const View& x = c.in[0];
  const int axis = axis_of(c.params[0], x.ndim);
  if (axis < 0) return kBadParameter;
  if (!same_shape(x, c.out[0]) || !same_shape(x, c.out[1])) return kBadShape;
  if (x.dtype != c.out[0].dtype || c.out[1].dtype != kInt32) return kBadDType;
  if (x.numel == 0) return kOk;
  switch (x.dtype) {
    case kFloat32:
      scan_extremes<float, Lowest>(c, axis);
      return kOk;
    case kFloat64:
      scan_extremes<double, Lowest>(c, axis);
      return kOk;
    case kInt32:
      scan_extremes<int32_t, Lowest>(c, axis);
      return kOk;
    default:
      return kBadDType;
  }
}

// out[t] = a[t] out[t − 1] + b[t], from 0 before the first.
template <class T>
void recur(const Call& c, int axis, bool reverse) {
  const Strips strips(c.in[1], c.out[0], axis, false);
  const Lines factor(c.in[0], axis);
  const int64_t n = strips.x.length;
  strips.run(*c.pool, [&](int64_t line, int64_t) {
    const T* a = static_cast<const T*>(c.in[0].data) + factor.start(line);
    const T* b = static_cast<const T*>(c.in[1].data) + strips.x.start(line);
    T* out = static_cast<T*>(c.out[0].data) + strips.out.start(line);
    double state = 0;
    for (int64_t k = 0; k < n; ++k) {
      const int64_t i = reverse ? n - 1 - k : k;
      const double before = k == 0 ? 0 : static_cast<double>(a[i * factor.stride]) * state;
      state = before + static_cast<double>(b[i * strips.x.stride]);
      out[i * strips.out.stride] = static_cast<T>(state);
    }
  });
}

}  // namespace

Status cumsum(const Call& c) { return cumulate<Plus>(c); }
Status cumprod(const Call& c) { return cumulate<Times>(c); }
Status cummax(const Call& c) { return running_extreme<false>(c); }
Status cummin(const Call& c) { return running_extreme<true>(c); }

// a, b, out of one shape: out[t] = a[t] out[t − 1] + b[t] along axis (t + 1 when reversed); the first a does not count.
Status recurrence(const Call& c) {
  if (c.nin != 2 || c.nout != 1 || c.nparams != 2) return kBadParameter;
  const View &a = c.in[0], &b = c.in[1], &out = c.out[0];
  const int axis = axis_of(c.params[0], out.ndim);
  if (axis < 0) return kBadParameter;
  if (!same_shape(a, out) || !same_shape(b, out)) return kBadShape;
  if (a.dtype != out.dtype || b.dtype != out.dtype) return kBadDType;
  if (out.numel == 0) return kOk;
  if (out.dtype == kFloat32) {
    recur<float>(c, axis, c.params[1] != 0);
  } else if (out.dtype == kFloat64) {
    recur<double>(c, axis, c.params[1] != 0);
  } else {
    return kBadDType;
  }
  return kOk;
}

}  // namespace MYELIN_ISA
}  // namespace myelin
