// Row functions for iterate.h made from functors: vectors of one float type, or plain loops over any types.
#pragma once
#include "iterate.h"

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

// out[i] = f(in[0][i]), f: Vec<T> → Vec<T>.
template <class T, class F>
void vector_row1(const void* functor, int64_t n, char* out, const char* const* in, uint32_t) {
  const F f = *static_cast<const F*>(functor);
  constexpr int N = Vec<T>::N;
  const T* x = as<T>(in[0]);
  T* y = as<T>(out);
  int64_t i = 0;
  for (; i + N <= n; i += N) store(y + i, f(load(x + i)));
  if (i < n) {
    const int left = static_cast<int>(n - i);
    store_n(y + i, f(load_n(x + i, left)), left);
  }
}

// out[i] = f(in[0][i], in[1][i]); either may be one element.
template <class T, class F>
void vector_row2(const void* functor, int64_t n, char* out, const char* const* in, uint32_t scalars) {
  const F f = *static_cast<const F*>(functor);
  constexpr int N = Vec<T>::N;
  const T *a = as<T>(in[0]), *b = as<T>(in[1]);
  T* y = as<T>(out);
  const auto loop = [&](auto&& left, auto&& right) {
    int64_t i = 0;
    for (; i + N <= n; i += N) store(y + i, f(left(i, N), right(i, N)));
    if (i < n) {
      const int rest = static_cast<int>(n - i);
      store_n(y + i, f(left(i, rest), right(i, rest)), rest);
    }
  };
  const auto adjacent = [](const T* p) {
    return [p](int64_t i, int count) { return count == N ? load(p + i) : load_n(p + i, count); };
  };
  const auto constant = [](const T* p) {
    const Vec<T> value = set1<T>(*p);
    return [value](int64_t, int) { return value; };
  };
  if (scalars == 0)
    loop(adjacent(a), adjacent(b));
  else if (scalars == 1)
    loop(constant(a), adjacent(b));
  else
    loop(adjacent(a), constant(b));
}

// The same for two vectors that are never one element.
template <class T, class F>
void vector_row2_adjacent(const void* functor, int64_t n, char* out, const char* const* in, uint32_t) {
  const F f = *static_cast<const F*>(functor);
  constexpr int N = Vec<T>::N;
  const T *a = as<T>(in[0]), *b = as<T>(in[1]);
  T* y = as<T>(out);
  int64_t i = 0;
  for (; i + N <= n; i += N) store(y + i, f(load(a + i), load(b + i)));
  if (i < n) {
    const int left = static_cast<int>(n - i);
    store_n(y + i, f(load_n(a + i, left), load_n(b + i, left)), left);
  }
}

// out[i] = f(in[0][i], in[1][i], in[2][i]).
template <class T, class F>
void vector_row3(const void* functor, int64_t n, char* out, const char* const* in, uint32_t) {
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

// out[i] = f(in[0][i]), f: From → To.
template <class From, class To, class F>
void plain_row1(const void* functor, int64_t n, char* out, const char* const* in, uint32_t) {
  const F f = *static_cast<const F*>(functor);
  const From* x = as<From>(in[0]);
  To* y = as<To>(out);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; i++) y[i] = static_cast<To>(f(x[i]));
}

// out[i] = f(in[0][i], in[1][i]), f: From × From → To; either may be one element.
template <class From, class To, class F>
void plain_row2(const void* functor, int64_t n, char* out, const char* const* in, uint32_t scalars) {
  const F f = *static_cast<const F*>(functor);
  const From *a = as<From>(in[0]), *b = as<From>(in[1]);
  To* y = as<To>(out);
  if (scalars == 0) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) y[i] = static_cast<To>(f(a[i], b[i]));
  } else if (scalars == 1) {
    const From value = *a;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) y[i] = static_cast<To>(f(value, b[i]));
  } else {
    const From value = *b;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) y[i] = static_cast<To>(f(a[i], value));
  }
}

__attribute__((noinline)) inline Status check_operands(const Call& c, int inputs) {
  if (c.nin != inputs || c.nout != 1) return kBadParameter;
  for (int k = 0; k < inputs; k++)
    if (!broadcasts_to(c.in[k], c.out[0])) return kBadShape;
  return kOk;
}

// One call of a row function; the operands are checked.
__attribute__((noinline)) inline Status run_rows(const Call& c, RowFn row, const void* functor, int64_t grain,
                                                 bool one_scalar) {
  const View* in[kMaxOperands];
  for (int k = 0; k < c.nin; k++) in[k] = &c.in[k];
  run_elementwise(*c.pool, RowOp{row, functor, grain, one_scalar}, c.out[0], in, c.nin);
  return kOk;
}

}  // namespace MYELIN_ISA
}  // namespace myelin
