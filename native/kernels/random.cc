// Counter-based random numbers: element i depends on seed, offset and i only, never on the instruction set or the number
// of threads. No fused multiply-add anywhere in this file: it exists on some instruction sets only and rounds differently.
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "blocks.h"
#include "call.h"
#include "philox.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int L = kPhiloxLanes;
using Words = uint32_t[4 * L];

// Elements per counter: float64 takes two words, everything else one.
template <class T>
constexpr int kPerCounter = sizeof(T) == 8 ? 2 : 4;

// block(first, count, words) for groups of L counters; `first` is the element the group starts at.
template <class T, class F>
void for_groups(const Call& c, const Stream& s, int64_t n, const F& block) {
  constexpr int64_t group = int64_t{L} * kPerCounter<T>;
  static_assert(kChunk % group == 0, "chunks start at a group");
  for_chunks(*c.pool, n, [&](int64_t begin, int64_t end) {
    Words words;
    for (int64_t i = begin; i < end; i += group) {
      philox_words(words, s, i / kPerCounter<T>);
      block(i, end - i < group ? end - i : group, words);
    }
  });
}

// out = the elements that value.fill(words, elements) makes of a group: element i from word i (float64: words 2i and 2i + 1).
template <class T, class Value>
void generate(const Call& c, const Stream& s, const Value& value) {
  constexpr int per = kPerCounter<T>;
  const View& out = c.out[0];
  for_groups<T>(c, s, out.numel, [&](int64_t first, int64_t count, const Words& words) {
    T buffer[per * L];
    const bool direct = out.contiguous && count == per * L;
    value.fill(words, direct ? static_cast<T*>(out.data) + first : buffer);
    if (direct) return;
    if (out.contiguous) {
      memcpy(static_cast<T*>(out.data) + first, buffer, static_cast<size_t>(count) * sizeof(T));
    } else {
      close_block(out, first, count, buffer);
    }
  });
}

// A word as float64, exactly.
inline double word_to_double(uint32_t w) { return static_cast<double>(static_cast<int32_t>(w ^ 0x80000000u)) + 0x1p31; }

// The 53-bit integer of a pair of words: all of the first, the upper 21 bits of the second.
inline double pair_to_double(uint32_t high, uint32_t low) {
  return word_to_double(high) * 0x1p21 + static_cast<double>(static_cast<int32_t>(low >> 11));
}

// low + (high - low) u, u in [0, 1); rounding up to `high` gives the number before it.
template <class T>
struct Uniform {
  T low;
  T range;
  T top;

  T scale(T u) const {
    const T value = low + range * u;
    return value < top ? value : top;
  }
  void fill(const Words& words, float* out) const {
    for (int i = 0; i < 4 * L; ++i) out[i] = scale(static_cast<float>(static_cast<int32_t>(words[i] >> 8)) * 0x1p-24f);
  }
  void fill(const Words& words, double* out) const {
    for (int i = 0; i < 2 * L; ++i) out[i] = scale(pair_to_double(words[2 * i], words[2 * i + 1]) * 0x1p-53);
  }
};

// log(u) for normal u in (0, 1]: u = m 2^e with m in [√½, √2), log m = 2 atanh(s), s = (m - 1) / (m + 1), as its series.
inline float log_unit(float u) {
  const int32_t bits = __builtin_bit_cast(int32_t, u) - 0x3f3504f3;
  const float e = static_cast<float>(bits >> 23);
  const float m = __builtin_bit_cast(float, (bits & 0x007fffff) + 0x3f3504f3);
  const float s = (m - 1.0f) / (m + 1.0f);
  const float z = s * s;
  const float p = ((((1.0f / 11) * z + 1.0f / 9) * z + 1.0f / 7) * z + 1.0f / 5) * z + 1.0f / 3;
  return e * 0.693147180559945f + 2.0f * (s + s * z * p);
}

inline double log_unit(double u) {
  // The exponent is taken from the upper half so that only 32-bit integers are converted.
  const uint64_t bits = __builtin_bit_cast(uint64_t, u) - 0x3fe6a09e667f3bcdull;
  const double e = static_cast<double>(static_cast<int32_t>(bits >> 32) >> 20);
  const double m = __builtin_bit_cast(double, (bits & 0x000fffffffffffffull) + 0x3fe6a09e667f3bcdull);
  const double s = (m - 1.0) / (m + 1.0);
  const double z = s * s;
  double p = 1.0 / 25;
  p = p * z + 1.0 / 23;
  p = p * z + 1.0 / 21;
  p = p * z + 1.0 / 19;
  p = p * z + 1.0 / 17;
  p = p * z + 1.0 / 15;
  p = p * z + 1.0 / 13;
  p = p * z + 1.0 / 11;
  p = p * z + 1.0 / 9;
  p = p * z + 1.0 / 7;
  p = p * z + 1.0 / 5;
  p = p * z + 1.0 / 3;
  return e * 0.693147180559945309417 + 2.0 * (s + s * z * p);
}

// sin x and cos x for |x| ≤ π/4, Taylor.
inline float sin_eighth(float x) {
  const float z = x * x;
  const float p = (((1.0f / 362880) * z - 1.0f / 5040) * z + 1.0f / 120) * z - 1.0f / 6;
  return x + x * z * p;
}

inline float cos_eighth(float x) {
  const float z = x * x;
  const float p = (((-1.0f / 3628800) * z + 1.0f / 40320) * z - 1.0f / 720) * z + 1.0f / 24;
  return (1.0f - 0.5f * z) + z * z * p;
}

inline double sin_eighth(double x) {
  const double z = x * x;
  double p = 1.0 / 355687428096000;
  p = p * z - 1.0 / 1307674368000;
  p = p * z + 1.0 / 6227020800;
  p = p * z - 1.0 / 39916800;
  p = p * z + 1.0 / 362880;
  p = p * z - 1.0 / 5040;
  p = p * z + 1.0 / 120;
  p = p * z - 1.0 / 6;
  return x + x * z * p;
}

inline double cos_eighth(double x) {
  const double z = x * x;
  double p = -1.0 / 6402373705728000;
  p = p * z + 1.0 / 20922789888000;
  p = p * z - 1.0 / 87178291200;
  p = p * z + 1.0 / 479001600;
  p = p * z - 1.0 / 3628800;
  p = p * z + 1.0 / 40320;
  p = p * z - 1.0 / 720;
  p = p * z + 1.0 / 24;
  return (1.0 - 0.5 * z) + z * z * p;
}

// Box–Muller: r = √(-2 log u), r cos 2πv and r sin 2πv. The quarter turn of v comes from the top bits of its word (turn),
// the rest is an angle within ±π/4.
template <class T>
struct Normal {
  T mean;
  T std;

  inline void pair(T u, uint32_t turn, T angle, T& first, T& second) const {
    const T r = std * root(T(-2) * log_unit(u));
    const T sine = sin_eighth(angle);
    const T cosine = cos_eighth(angle);
    const T a = (turn & 1) != 0 ? sine : cosine;
    const T b = (turn & 1) != 0 ? cosine : sine;
    first = mean + r * (((turn + 1) & 2) != 0 ? -a : a);
    second = mean + r * ((turn & 2) != 0 ? -b : b);
  }
  // u = (w + ½) 2^-32 in (0, 1].
  void fill(const Words& words, float* out) const {
    for (int i = 0; i < 4 * L; i += 2) {
      const uint32_t w = words[i];
      const uint32_t v = words[i + 1];
      const float whole = static_cast<float>(static_cast<int32_t>(w >> 16)) * 65536.0f +
                          static_cast<float>(static_cast<int32_t>(w & 0xffffu));
      const uint32_t turn = (v + 0x20000000u) >> 30;
      const float angle = static_cast<float>(static_cast<int32_t>(v - (turn << 30))) * 1.46291807926715968e-9f;
      pair((whole + 0.5f) * 0x1p-32f, turn, angle, out[i], out[i + 1]);
    }
  }
  // u = (w + 1) 2^-53 in (0, 1].
  void fill(const Words& words, double* out) const {
    for (int j = 0; j < L; ++j) {
      const uint32_t* const w = words + 4 * j;
      const double u = (pair_to_double(w[0], w[1]) + 1.0) * 0x1p-53;
      const uint32_t turn = (w[2] + 0x20000000u) >> 30;
      const double angle = (static_cast<double>(static_cast<int32_t>(w[2] - (turn << 30))) * 0x1p21 +
                            static_cast<double>(static_cast<int32_t>(w[3] >> 11))) *
                           6.97573699601726e-16;
      pair(u, turn, angle, out[2 * j], out[2 * j + 1]);
    }
  }
};

// low + floor(w range / 2^32).
struct Randint {
  int64_t low;
  uint64_t range;

  void fill(const Words& words, int32_t* out) const {
    for (int i = 0; i < 4 * L; ++i) out[i] = static_cast<int32_t>(low + static_cast<int64_t>((words[i] * range) >> 32));
  }
};

// 1 where u < p, for u of 32 bits (float64: 53 bits), exact for any double p in [0, 1].
struct Chance {
  double threshold;
  WordsBelow words_below;

  explicit Chance(double p) : threshold(p * 0x1p53), words_below(p) {}

  template <class T>
  void fill(const Words& words, T* out) const {
    const T one = static_cast<T>(words_below.some);
    const uint32_t greatest = words_below.last;
    for (int i = 0; i < 4 * L; ++i) out[i] = words[i] <= greatest ? one : T(0);
  }
  void fill(const Words& words, double* out) const {
    for (int i = 0; i < 2 * L; ++i) out[i] = pair_to_double(words[2 * i], words[2 * i + 1]) < threshold ? 1.0 : 0.0;
  }
};

template <class T>
Status uniform_of(const Call& c, const Stream& s, T low, T high) {
  if (!(low <= high) || !__builtin_isfinite(high - low)) return kBadParameter;
  const T top = low < high
                    ? static_cast<T>(sizeof(T) == 4 ? ::nextafterf(static_cast<float>(high), static_cast<float>(low))
                                                    : ::nextafter(high, low))
                    : low;
  generate<T>(c, s, Uniform<T>{low, high - low, top});
  return kOk;
}

template <class T>
Status dropout_of(const Call& c, const Stream& s, double p) {
  // A word an element for either type, so that a mask depends on the seed alone.
  constexpr int most = 4 * L;
  const View& x = c.in[0];
  const View& out = c.out[0];
  const View& mask = c.out[1];
  const T scale = p < 1 ? static_cast<T>(1 / (1 - p)) : T(0);
  const WordsBelow drop(p);
  const T lost = drop.some ? T(0) : scale;
  const uint8_t gone = drop.some ? 0 : 1;
  const uint32_t last = drop.last;
  // Values by copy: a choice between two that lie in memory would be a branch.
  for_groups<float>(c, s, x.numel, [=, &x, &out, &mask](int64_t first, int64_t count, const Words& words) {
    T factor[most];
    T x_buffer[most];
    T out_buffer[most];
    uint8_t mask_buffer[most];
    for (int i = 0; i < most; ++i) factor[i] = words[i] <= last ? lost : scale;
    const T* xs = read_block(x, first, count, x_buffer);
    T* outs = open_block(out, first, out_buffer);
    uint8_t* masks = open_block(mask, first, mask_buffer);
    for (int64_t i = 0; i < count; ++i) outs[i] = xs[i] * factor[i];
    for (int64_t i = 0; i < count; ++i) masks[i] = static_cast<uint8_t>(words[i] > last) | gone;
    close_block(out, first, count, outs);
    close_block(mask, first, count, masks);
  });
  return kOk;
}

}  // namespace

Status uniform(const Call& c) {
  Stream s;
  if (c.nin != 0 || c.nout != 1) return kBadShape;
  if (c.nparams != 5 || !read_stream(c, 0, &s)) return kBadParameter;
  const double low = c.params[3];
  const double high = c.params[4];
  if (c.out[0].dtype == kFloat32) return uniform_of(c, s, static_cast<float>(low), static_cast<float>(high));
  if (c.out[0].dtype == kFloat64) return uniform_of(c, s, low, high);
  return kBadDType;
}

Status normal(const Call& c) {
  Stream s;
  if (c.nin != 0 || c.nout != 1) return kBadShape;
  if (c.nparams != 5 || !read_stream(c, 0, &s)) return kBadParameter;
  const double mean = c.params[3];
  const double std = c.params[4];
  if (!__builtin_isfinite(mean) || !__builtin_isfinite(std) || std < 0) return kBadParameter;
  if (c.out[0].dtype == kFloat32) {
    generate<float>(c, s, Normal<float>{static_cast<float>(mean), static_cast<float>(std)});
    return kOk;
  }
  if (c.out[0].dtype == kFloat64) {
    generate<double>(c, s, Normal<double>{mean, std});
    return kOk;
  }
  return kBadDType;
}

Status randint(const Call& c) {
  Stream s;
  if (c.nin != 0 || c.nout != 1) return kBadShape;
  if (c.nparams != 5 || !read_stream(c, 0, &s)) return kBadParameter;
  const double low = c.params[3];
  const double high = c.params[4];
  if (!(low >= -0x1p31 && low < high && high <= 0x1p31) || low != ::floor(low) || high != ::floor(high)) {
    return kBadParameter;
  }
  if (c.out[0].dtype != kInt32) return kBadDType;
  generate<int32_t>(c, s, Randint{static_cast<int64_t>(low), static_cast<uint64_t>(high - low)});
  return kOk;
}

// Step k = 0, 1, … swaps element i = n - 1 - k with element floor(w (i + 1) / 2^32), w being word k of the stream.
Status randperm(const Call& c) {
  Stream s;
  if (c.nin != 0 || c.nout != 1 || c.out[0].ndim != 1) return kBadShape;
  if (c.nparams != 3 || !read_stream(c, 0, &s)) return kBadParameter;
  const View& out = c.out[0];
  if (out.dtype != kInt32) return kBadDType;
  const int64_t n = out.numel;
  if (n > 0x7fffffff) return kBadShape;
  int32_t* data = static_cast<int32_t*>(out.data);
  const int64_t stride = out.strides[0];
  for (int64_t i = 0; i < n; ++i) data[i * stride] = static_cast<int32_t>(i);
  Words words;
  for (int64_t k = 0; k + 1 < n; ++k) {
    const int64_t at = k % (4 * L);
    if (at == 0) philox_words(words, s, k / 4);
    const int64_t i = n - 1 - k;
    const uint64_t w = words[at];
    const int64_t j = static_cast<int64_t>((w * static_cast<uint64_t>(i + 1)) >> 32);
    const int32_t t = data[i * stride];
    data[i * stride] = data[j * stride];
    data[j * stride] = t;
  }
  return kOk;
}

Status bernoulli(const Call& c) {
  Stream s;
  if (c.nin != 0 || c.nout != 1) return kBadShape;
  if (c.nparams != 4 || !read_stream(c, 0, &s)) return kBadParameter;
  const double p = c.params[3];
  if (!(p >= 0 && p <= 1)) return kBadParameter;
  switch (c.out[0].dtype) {
    case kFloat32:
      generate<float>(c, s, Chance(p));
      return kOk;
    case kFloat64:
      generate<double>(c, s, Chance(p));
      return kOk;
    case kInt32:
      generate<int32_t>(c, s, Chance(p));
      return kOk;
    case kUint8:
    case kBool:
      generate<uint8_t>(c, s, Chance(p));
      return kOk;
    default:
      return kBadDType;
  }
}

// u < p drops an element.
Status dropout(const Call& c) {
  Stream s;
  if (c.nin != 1 || c.nout != 2) return kBadShape;
  if (c.nparams != 4 || !read_stream(c, 0, &s)) return kBadParameter;
  const double p = c.params[3];
  if (!(p >= 0 && p <= 1)) return kBadParameter;
  if (!alike(c.in[0], c.out[0]) || !same_shape(c.in[0], c.out[1])) return kBadShape;
  if (c.out[1].dtype != kBool) return kBadDType;
  if (c.in[0].dtype == kFloat32) return dropout_of<float>(c, s, p);
  if (c.in[0].dtype == kFloat64) return dropout_of<double>(c, s, p);
  return kBadDType;
}

}  // namespace MYELIN_ISA
}  // namespace myelin
