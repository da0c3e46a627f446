// The epilogue of matmul: act(tile + bias + beta·c), and the activations.
#pragma once
#include "../simd/math.h"

namespace myelin {
namespace MYELIN_ISA {

enum Activation { kNoActivation, kRelu, kTanh, kSigmoid, kGelu, kGeluTanh, kActivationCount };

template <int A, class T>
MYELIN_INLINE Vec<T> activate(Vec<T> x) {
  if constexpr (A == kRelu) return max_nan(x, zero<T>());
  if constexpr (A == kTanh) return tanh(x);
  if constexpr (A == kSigmoid) return sigmoid(x);
  if constexpr (A == kGelu) return gelu(x);
  if constexpr (A == kGeluTanh) {
    const Vec<T> twice_root = set1<T>(T(1.5957691216057308)), cubic = set1<T>(T(0.044715));  // 2 √(2/π)
    return x * sigmoid(twice_root * fma(cubic * x * x, x, x));
  }
  return x;
}

// Where a result goes and what is done to it on the way. bias is null for none.
template <class T>
struct Epilogue {
  T* c;
  int64_t crs, ccs;
  const T* bias;
  int64_t bias_stride;
  T beta;
  int activation;
};

template <class T>
MYELIN_INLINE void store_strided(T* p, int64_t stride, Vec<T> v, int n) {
  if (stride == 1) return store_n(p, v, n);
  alignas(kVectorBytes) T buffer[Vec<T>::N];
  store(buffer, v);
  for (int i = 0; i < n; i++) p[i * stride] = buffer[i];
}

// c(i0 + i, j0 + j) = act(tile[i·ts + j] + bias[j0 + j] + beta·c(i0 + i, j0 + j)); whole vectors of tile are read.
template <int A, class T>
void finish_with(const Epilogue<T>& e, const T* tile, int64_t ts, int64_t i0, int rows, int64_t j0, int columns) {
  constexpr int N = Vec<T>::N;
  const Vec<T> beta = set1(e.beta);
  for (int j = 0; j < columns; j += N) {
    const int n = columns - j < N ? columns - j : N;
    const Vec<T> bias = e.bias ? load_strided(e.bias + (j0 + j) * e.bias_stride, e.bias_stride, n) : zero<T>();
    for (int i = 0; i < rows; i++) {
      T* const c = e.c + (i0 + i) * e.crs + (j0 + j) * e.ccs;
      Vec<T> x = load(tile + i * ts + j);
      if (e.bias) x = x + bias;
      if (e.beta != T(0)) x = fma(beta, load_strided(c, e.ccs, n), x);
      store_strided(c, e.ccs, activate<A>(x), n);
    }
  }
}

template <class T>
void finish(const Epilogue<T>& e, const T* tile, int64_t ts, int64_t i0, int rows, int64_t j0, int columns) {
  switch (e.activation) {
    case kRelu:
      return finish_with<kRelu>(e, tile, ts, i0, rows, j0, columns);
    case kTanh:
      return finish_with<kTanh>(e, tile, ts, i0, rows, j0, columns);
    case kSigmoid:
      return finish_with<kSigmoid>(e, tile, ts, i0, rows, j0, columns);
    case kGelu:
      return finish_with<kGelu>(e, tile, ts, i0, rows, j0, columns);
    case kGeluTanh:
      return finish_with<kGeluTanh>(e, tile, ts, i0, rows, j0, columns);
    default:
      return finish_with<kNoActivation>(e, tile, ts, i0, rows, j0, columns);
  }
}

}  // namespace MYELIN_ISA
}  // namespace myelin
