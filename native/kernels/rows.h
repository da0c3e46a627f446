// Row functions for iterate.h made from functors: vectors of one float type, or plain loops over any types.
#pragma once
#include "iterate.h"
#include "vectors.h"

namespace myelin {
namespace MYELIN_ISA {

// What an element costs, in loads.
inline constexpr int kPlain = 1, kDivide = 2, kCurve = 4, kPower = 8;
// Grain for such a functor.
constexpr int64_t grain_of(int cost) { return kGrain / cost; }

template <class T>
inline const T* as(const char* p) {
  return reinterpret_cast<const T*>(p);
}
template <class T>
inline T* as(char* p) {
  return reinterpret_cast<T*>(p);
}

// y[i] = get(i, lanes) for the vectors of [0, n), Abreast of them side by side: what waits for one leaves room for the others.
template <int Abreast, class T, class F>
MYELIN_INLINE void put_vectors(bool past_caches, T* y, int64_t n, const F& get) {
  constexpr int N = Vec<T>::N;
  int64_t i = 0;
  for (; i + Abreast * N <= n; i += Abreast * N) {
    Vec<T> r[Abreast];
    for (int j = 0; j < Abreast; j++) r[j] = get(i + j * N, N);
    if (past_caches) {
      for (int j = 0; j < Abreast; j++) stream(y + i + j * N, r[j]);
    } else {
      for (int j = 0; j < Abreast; j++) store(y + i + j * N, r[j]);
    }
  }
  for (; i < n; i += N) {
    const int k = n - i < N ? static_cast<int>(n - i) : N;
    store_part(y + i, get(i, k), k);
  }
}
inline constexpr int kAbreast = 4;

// out[i] = f(in[0][i]), f: Vec<T> → Vec<T>.
template <class T, class F>
__attribute__((flatten)) void vector_row1(const void* functor, int64_t n, char* out, const char* const* in,
                                          uint32_t flags) {
  const F f = *static_cast<const F*>(functor);
  const T* x = as<T>(in[0]);
  put_vectors<kAbreast>((flags & kStreamOut) != 0, as<T>(out), n,
                        [=](int64_t i, int k) { return f(load_part(x + i, k)); });
}

// out[i] = f(in[0][i], in[1][i]); either may be one element, which then is read again and again from a vector of it.
template <class T, class F>
__attribute__((flatten)) void vector_row2(const void* functor, int64_t n, char* out, const char* const* in,
                                          uint32_t flags) {
  const F f = *static_cast<const F*>(functor);
  constexpr int N = Vec<T>::N;
  alignas(64) T one[N];
  const bool one_a = (flags & 1) != 0, one_b = (flags & 2) != 0;
  if (one_a || one_b) store(one, set1<T>(*as<T>(in[one_a ? 0 : 1])));
  const T *a = one_a ? one : as<T>(in[0]), *b = one_b ? one : as<T>(in[1]);
  const int64_t step_a = one_a ? 0 : 1, step_b = one_b ? 0 : 1;
  put_vectors<1>((flags & kStreamOut) != 0, as<T>(out), n,
                 [=](int64_t i, int k) { return f(load_part(a + i * step_a, k), load_part(b + i * step_b, k)); });
}

// The same for two vectors that are never one element.
template <class T, class F>
__attribute__((flatten)) void vector_row2_adjacent(const void* functor, int64_t n, char* out, const char* const* in,
                                                   uint32_t flags) {
  const F f = *static_cast<const F*>(functor);
  const T *a = as<T>(in[0]), *b = as<T>(in[1]);
  put_vectors<kAbreast>((flags & kStreamOut) != 0, as<T>(out), n,
                        [=](int64_t i, int k) { return f(load_part(a + i, k), load_part(b + i, k)); });
}

// out[i] = f(in[0][i], in[1][i], in[2][i]).
template <class T, class F>
__attribute__((flatten)) void vector_row3(const void* functor, int64_t n, char* out, const char* const* in, uint32_t) {
  const F f = *static_cast<const F*>(functor);
  constexpr int N = Vec<T>::N;
  const T *a = as<T>(in[0]), *b = as<T>(in[1]), *c = as<T>(in[2]);
  T* y = as<T>(out);
  int64_t i = 0;
  for (; i + N <= n; i += N) store(y + i, f(load(a + i), load(b + i), load(c + i)));
  if (i < n) {
    const int left = static_cast<int>(n - i);
    store_n(y + i, f(load_n(a + i, left), load_n(b + i, left), load_n(c + i, left)), left);
  }
}

inline constexpr int64_t kPlainBlock = 512;

// out[i] = f(in[0][i]), f: From → To.
template <class From, class To, class F>
void plain_row1(const void* functor, int64_t n, char* out, const char* const* in, uint32_t) {
  const F f = *static_cast<const F*>(functor);
  const From* x = as<From>(in[0]);
  To* y = as<To>(out);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) y[i] = static_cast<To>(f(x[i]));
}

// out[i] = f(in[0][i], in[1][i]), f: From × From → To; either may be one element, of which a block is made then.
template <class From, class To, class F>
void plain_row2(const void* functor, int64_t n, char* out, const char* const* in, uint32_t scalars) {
  const F f = *static_cast<const F*>(functor);
  alignas(64) From one[kPlainBlock];
  if (scalars != 0) {
    const int64_t most = n < kPlainBlock ? n : kPlainBlock;
    move_elements(reinterpret_cast<char*>(one), sizeof(From), in[scalars - 1], 0, most, sizeof(From));
  }
  for (int64_t at = 0; at < n; at += kPlainBlock) {
    const int64_t count = n - at < kPlainBlock ? n - at : kPlainBlock;
    const From* a = (scalars & 1) != 0 ? one : as<From>(in[0]) + at;
    const From* b = (scalars & 2) != 0 ? one : as<From>(in[1]) + at;
    To* y = as<To>(out) + at;
#pragma GCC ivdep
    for (int64_t i = 0; i < count; i++) y[i] = static_cast<To>(f(a[i], b[i]));
  }
}

}  // namespace MYELIN_ISA
}  // namespace myelin
