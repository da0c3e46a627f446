// What the kernels for groups of next to no channels share.
#pragma once
#include "conv.h"

namespace myelin {
namespace MYELIN_ISA {

template <bool B>
struct Inside {
  static constexpr bool value = B;
};

inline constexpr double kDepthwiseTask = 1.5e5;  // multiply-adds of a task, about

// Whether the windows are those of slide_planes: 3×3, padding 1, stride 1 or 2 or the gradient of such.
bool slides(const Axis* h, int64_t h_phases, const Axis* w, int64_t w_phases);
// correlate_depthwise() for such windows and groups of one input channel. Of float32, as are the sums below.
template <class T>
Status slide_planes(const Correlation<T>& job, const Axis* h, int64_t phases, const Axis* w, const Pool& pool);
// sums(channel, tap) += the products of a plane of x with each of `count` planes of dy for each of the 9 taps, lane by lane. zeros: a
// row of x of them.
template <class T>
void slide_weights(const Axis& h, const Axis& w, const T* x, const T* dy, int64_t count, const T* zeros, T* sums);

}  // namespace MYELIN_ISA
}  // namespace myelin
