// The transforms of Winograd's minimal filtering F(4×4, 3×3): 36 products make 16 outputs of a 3×3 window, a quarter of the
// direct 144 (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015). The interpolation points
// 0, ±1/√2, ±√2, ∞ lose about a third of the accuracy that 0, ±1, ±2, ∞ do. All work on vectors of channels.
#pragma once
#include "conv.h"
#include "matmul_micro.h"

namespace myelin {
namespace MYELIN_ISA {

constexpr int kTileOut = 4, kTileIn = 6, kFrequencies = kTileIn * kTileIn;

constexpr double kNear = 0.70710678118654752440, kFar = 1.41421356237309504880;

// t = Bᵀ d
template <class T>
MYELIN_INLINE void input_transform(const Vec<T>* d, int ds, Vec<T>* t, int ts) {
  const Vec<T> a = set1<T>(T(kNear)), b = set1<T>(T(kFar)), two = set1<T>(T(2)), half = set1<T>(T(0.5));
  const Vec<T> both = set1<T>(T(2.5));
  const Vec<T> d1 = d[ds], d2 = d[2 * ds], d3 = d[3 * ds], d4 = d[4 * ds];
  const Vec<T> even_a = fnma(two, d2, d4), odd_a = fnma(two, d1, d3);
  const Vec<T> even_b = fnma(half, d2, d4), odd_b = fnma(half, d1, d3);
  t[0] = fnma(both, d2, d[0] + d4);
  t[ts] = fma(a, odd_a, even_a);
  t[2 * ts] = fnma(a, odd_a, even_a);
  t[3 * ts] = fma(b, odd_b, even_b);
  t[4 * ts] = fnma(b, odd_b, even_b);
  t[5 * ts] = fnma(both, d3, d1 + d[5 * ds]);
}

// u = G g
template <class T>
MYELIN_INLINE void weight_transform(const Vec<T>* g, int gs, Vec<T>* u, int us) {
  const Vec<T> g0 = g[0], g1 = g[gs], g2 = g[2 * gs];
  const Vec<T> near = set1<T>(T(-1 / 1.5)), far = set1<T>(T(1.0 / 6));
  const Vec<T> even_a = near * fma(set1<T>(T(0.5)), g2, g0), even_b = far * fma(set1<T>(T(2)), g2, g0);
  const Vec<T> odd_a = set1<T>(T(-kNear / 1.5)), odd_b = set1<T>(T(kFar / 6));
  u[0] = g0;
  u[us] = fma(odd_a, g1, even_a);
  u[2 * us] = fnma(odd_a, g1, even_a);
  u[3 * us] = fma(odd_b, g1, even_b);
  u[4 * us] = fnma(odd_b, g1, even_b);
  u[5 * us] = g2;
}

// y = Aᵀ m
template <class T>
MYELIN_INLINE void output_transform(const Vec<T>* m, int ms, Vec<T>* y, int ys) {
  const Vec<T> s = m[ms] + m[2 * ms], d = m[ms] - m[2 * ms];
  const Vec<T> p = m[3 * ms] + m[4 * ms], q = m[3 * ms] - m[4 * ms];
  y[0] = m[0] + s + p;
  y[ys] = fma(set1<T>(T(kNear)), d, set1<T>(T(kFar)) * q);
  y[2 * ys] = fma(set1<T>(T(0.5)), s, set1<T>(T(2)) * p);
  y[3 * ys] = fma(set1<T>(T(kNear / 2)), d, fma(set1<T>(T(2 * kFar)), q, m[5 * ms]));
}

// z = A y, the transpose of output_transform
template <class T>
MYELIN_INLINE void gradient_transform(const Vec<T>* y, int ys, Vec<T>* z, int zs) {
  const Vec<T> a = set1<T>(T(kNear)), b = set1<T>(T(kFar)), two = set1<T>(T(2)), half = set1<T>(T(0.5));
  const Vec<T> even_a = fma(half, y[2 * ys], y[0]), odd_a = fma(half, y[3 * ys], y[ys]);
  const Vec<T> even_b = fma(two, y[2 * ys], y[0]), odd_b = fma(two, y[3 * ys], y[ys]);
  z[0] = y[0];
  z[zs] = fma(a, odd_a, even_a);
  z[2 * zs] = fnma(a, odd_a, even_a);
  z[3 * zs] = fma(b, odd_b, even_b);
  z[4 * zs] = fnma(b, odd_b, even_b);
  z[5 * zs] = y[3 * ys];
}

// g = Gᵀ u, the transpose of weight_transform
template <class T>
MYELIN_INLINE void weight_gradient(const Vec<T>* u, int us, Vec<T>* g, int gs) {
  const Vec<T> near = set1<T>(T(-1 / 1.5)), far = set1<T>(T(1.0 / 6));
  const Vec<T> s = near * (u[us] + u[2 * us]), p = far * (u[3 * us] + u[4 * us]);
  g[0] = u[0] + s + p;
  g[gs] = fma(set1<T>(T(-kNear / 1.5)), u[us] - u[2 * us], set1<T>(T(kFar / 6)) * (u[3 * us] - u[4 * us]));
  g[2 * gs] = fma(set1<T>(T(0.5)), s, fma(set1<T>(T(2)), p, u[5 * us]));
}

// One channel of an image: rows `stride` apart.
template <class T>
struct Plane {
  const T* data;
  int64_t channel, stride, high, wide;
};

// `channels` (at most N) channels of a window of an image from (top, left) on, with zeros around:
// patch[(r·columns + j)·N + channel].
template <class T>
void load_patch(const Plane<T>& plane, int channels, int64_t top, int64_t left, int rows, int64_t columns, T* patch) {
  constexpr int N = Vec<T>::N;
  // Columns [from, to) of the patch lie in the image.
  const int64_t from = smaller(columns, larger(0, -left)), to = larger(from, smaller(columns, plane.wide - left));
  for (int r = 0; r < rows; r++, patch += columns * N) {
    const int64_t row = top + r;
    const bool inside = row >= 0 && row < plane.high;
    const int64_t first = inside ? from : columns;
    for (int64_t j = 0; j < first; j++) store(patch + j * N, zero<T>());
    if (!inside) continue;
    const T* const in = plane.data + row * plane.stride + left;
    for (int64_t j = from; j < to; j += N)
      transpose_block<T, N>(in + j, plane.channel, channels, static_cast<int>(smaller(N, to - j)), patch + j * N, N);
    for (int64_t j = to; j < columns; j++) store(patch + j * N, zero<T>());
  }
}

// Bᵀ d B of the tile at d (rows `stride` apart): to[f·step].
template <class T>
MYELIN_INLINE void transform_tile(const T* d, int64_t stride, T* to, int64_t step) {
  constexpr int N = Vec<T>::N;
  Vec<T> half[kFrequencies];
#pragma GCC unroll 6
  for (int w = 0; w < kTileIn; w++) {
    Vec<T> column[kTileIn];
#pragma GCC unroll 6
    for (int h = 0; h < kTileIn; h++) column[h] = load(d + h * stride + w * N);
    input_transform(column, 1, half + w, kTileIn);
  }
#pragma GCC unroll 6
  for (int h = 0; h < kTileIn; h++) {
    Vec<T> v[kTileIn];
    input_transform(half + h * kTileIn, 1, v, 1);
#pragma GCC unroll 6
    for (int w = 0; w < kTileIn; w++) store(to + (h * kTileIn + w) * step, v[w]);
  }
}

}  // namespace MYELIN_ISA
}  // namespace myelin
