// Recurrent networks over whole sequences, forward and backward. The products with the inputs of all steps are matrix products
// made before (forward) and after (backward) by the front end; here is what has to go step by step: the product of the
// state with the recurrent weights, which stay packed, and the cell fused behind it.
#include <string.h>

#include "blocks.h"
#include "call.h"
#include "matmul_pack.h"
#include "recurrent_cell.h"

namespace myelin {
namespace MYELIN_ISA {

namespace {

constexpr int64_t kTileRows = 8 * kRows;    // rows whose products wait for their cell
constexpr int64_t kDepthBlock = 512;        // of a product: a panel of weights that stays in cache
constexpr double kStepProducts = 4e5;       // multiply-adds of a step from which it is cut among threads
constexpr double kRecurrentProducts = 2e5;  // multiply-adds of one task

// Shapes of a call. Position p of a sequence has its previous state at before(t) and its next at after(t) of the states.
struct Sequence {
  int64_t steps, batch, hidden;
  bool reverse;
  const int32_t* lengths;  // rows end there; null when all are full

  int64_t position(int64_t t) const { return reverse ? steps - 1 - t : t; }
  int64_t before(int64_t t) const { return reverse ? steps - t : t; }
  int64_t after(int64_t t) const { return reverse ? steps - 1 - t : t + 1; }
  bool active(int64_t position, int64_t b) const { return lengths == nullptr || position < lengths[b]; }
};

// Weights as panels kColumns wide, one for each block of units and each of `parts` gates.
template <class T>
struct Panels {
  int64_t blocks, parts, depth;
  T* data;
  T* at(int64_t block, int64_t part) const { return data + (block * parts + part) * depth * kColumns<T>; }
};

template <class T>
struct Step {
  Sequence s;
  Panels<T> weights;  // data null: no recurrent product here
  const T* product;   // given instead (one step)
  const T* bias;
  T* gates;
  T* states;
  T* extra;
  // backward
  const T* dy;
  T* dgates;
  T* dh;
  T* dc;
};

// tile(i, ·) = a(i, ·) · panel for `rows` rows, in blocks of depth.
template <class T>
void multiply(const T* a, int64_t stride, int64_t rows, const T* panel, int64_t depth, int vectors, T* tile) {
  for (int64_t k = 0; k == 0 || k < depth; k += kDepthBlock) {
    const int64_t part = smaller(kDepthBlock, depth - k);
    // Blocks of nearly equal height: one of a row or two would take as long as a whole one.
    int64_t count = 0;
    for (int64_t i = 0, blocks = divide_up(rows, kRows); i < rows; i += count, --blocks) {
      count = divide_up(rows - i, blocks);
      micro_table<T, false>.at[count - 1][vectors - 1](part, a + i * stride + k, stride, 1, panel + k * kColumns<T>,
                                                       kColumns<T>, tile + i * kColumns<T>, kColumns<T>,
                                                       k == 0 ? kStore : kAdd);
    }
  }
}

template <class T, int M>
CellRow<T> row_at(const Step<T>& x, int64_t t, int64_t b, int64_t unit) {
  const Sequence& s = x.s;
  const int64_t plane = s.batch * s.hidden, place = b * s.hidden + unit;
  CellRow<T> row;
  row.hidden = s.hidden;
  row.product = nullptr, row.product_stride = 0;
  row.bias = x.bias == nullptr ? nullptr : x.bias + unit;
  row.gates = x.gates == nullptr ? nullptr : x.gates + (s.position(t) * s.batch + b) * s.hidden * kGates<M> + unit;
  row.extra = nullptr, row.c = nullptr;
  if (M == kLstm) row.extra = x.extra + s.after(t) * plane + place, row.c = x.extra + s.before(t) * plane + place;
  if (M == kGru) row.extra = x.extra + s.position(t) * plane + place;
  row.h = x.states + s.before(t) * plane + place;
  row.next = x.states + s.after(t) * plane + place;
  return row;
}

// Step t of rows [b0, b1) of one block of units.
template <class T, int M>
void forward_block(const Step<T>& x, int64_t t, int64_t b0, int64_t b1, int64_t block) {
  constexpr int64_t W = kColumns<T>;
  const Sequence& s = x.s;
  const int64_t unit = block * W, units = smaller(W, s.hidden - unit);
  const int vectors = static_cast<int>(divide_up(units, Vec<T>::N));
  alignas(64) T tile[kGates<M> * kTileRows * W];
  for (int64_t b = b0; b < b1; b += kTileRows) {
    const int64_t rows = smaller(kTileRows, b1 - b);
    for (int g = 0; g < kGates<M> && x.product == nullptr; ++g) {
      multiply(x.states + (s.before(t) * s.batch + b) * s.hidden, s.hidden, rows, x.weights.at(block, g), s.hidden,
               vectors, tile + g * kTileRows * W);
    }
    for (int64_t i = 0; i < rows; ++i) {
      CellRow<T> row = row_at<T, M>(x, t, b + i, unit);
      row.product = x.product == nullptr ? tile + i * W : x.product + (b + i) * s.hidden * kGates<M> + unit;
      row.product_stride = x.product == nullptr ? kTileRows * W : s.hidden;
      if (s.active(s.position(t), b + i)) {
        cell_forward<T, M>(row, units);
        continue;
      }
      const size_t bytes = static_cast<size_t>(units) * sizeof(T);
      memcpy(row.next, row.h, bytes);
      if (M == kLstm) memcpy(row.extra, row.c, bytes);
    }
  }
}

// Step t backward, of rows [b0, b1) of one block of units: dh gets what came through the products of the step after, then the cell.
// t = -1 only finishes dh.
template <class T, int M>
void backward_block(const Step<T>& x, int64_t t, int64_t b0, int64_t b1, int64_t block) {
  constexpr int64_t W = kColumns<T>;
  const Sequence& s = x.s;
  const int64_t unit = block * W, units = smaller(W, s.hidden - unit);
  const int vectors = static_cast<int>(divide_up(units, Vec<T>::N));
  const int64_t stride = kGateGradients<M> * s.hidden;
  const bool through = t + 1 < s.steps && x.weights.data != nullptr;
  alignas(64) T tile[kTileRows * W];
  for (int64_t b = b0; b < b1; b += kTileRows) {
    const int64_t rows = smaller(kTileRows, b1 - b);
    if (through) {
      multiply(x.dgates + (s.position(t + 1) * s.batch + b) * stride, stride, rows, x.weights.at(block, 0),
               x.weights.depth, vectors, tile);
    }
    for (int64_t i = 0; i < rows; ++i) {
      T* dh = x.dh + (b + i) * s.hidden + unit;
      const T* dy = t < 0 || x.dy == nullptr ? nullptr : x.dy + (s.position(t) * s.batch + b + i) * s.hidden + unit;
      for_vectors<T>(units, [&](int64_t j, int k) {
        Vec<T> d = load_part(dh + j, k);
        if (through) d = d + load_part(tile + i * W + j, k);
        if (dy != nullptr) d = d + load_part(dy + j, k);
        store_part(dh + j, d, k);
      });
      if (t < 0) continue;
      T* dgates = x.dgates + (s.position(t) * s.batch + b + i) * stride + unit;
      if (!s.active(s.position(t), b + i)) {
        for (int g = 0; g < kGateGradients<M>; ++g)
          memset(dgates + g * s.hidden, 0, static_cast<size_t>(units) * sizeof(T));
        continue;
      }
      const CellGradient<T> d = {dh, M == kLstm ? x.dc + (b + i) * s.hidden + unit : nullptr, dgates};
      cell_backward<T, M>(row_at<T, M>(x, t, b + i, unit), d, units);
    }
  }
}

// body(t, b0, b1, block) for all steps in order. Small steps: each task takes some rows through all of them. Large steps: each is
// cut into blocks of units.
template <class T, class F>
void for_steps(const Pool& pool, const Sequence& s, int64_t from, int64_t to, double products, const F& body) {
  const int64_t blocks = divide_up(s.hidden, kColumns<T>), by = from < to ? 1 : -1, count = (to - from) * by;
  if (products < kStepProducts) {
    const double each = products * static_cast<double>(count) / static_cast<double>(s.batch) + 1;
    const int64_t rows = round_up(static_cast<int64_t>(kRecurrentProducts / each) + 1, kRows);
    parallel_for(pool, s.batch, rows, [&](int64_t b0, int64_t b1, int) {
      for (int64_t t = from; t != to; t += by) {
        for (int64_t block = 0; block < blocks; ++block) body(t, b0, b1, block);
      }
    });
    return;
  }
  const int64_t chunks = divide_up(s.batch, kTileRows), tasks = blocks * chunks;
  const int64_t grain = static_cast<int64_t>(static_cast<double>(tasks) * kRecurrentProducts / products) + 1;
  for (int64_t t = from; t != to; t += by) {
    parallel_for(pool, tasks, grain, [&](int64_t begin, int64_t end, int) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t b = task % chunks * kTileRows;
        body(t, b, smaller(s.batch, b + kTileRows), task / chunks);
      }
    });
  }
}

// Packs w (parts·hidden, hidden). Forward: a panel for each gate, its depth along the columns; backward: one panel with
// the rows as its depth, for a GRU those of n first, as the gradients lie.
template <class T, int M>
bool pack_weights(const Call& c, const View& w, const Sequence& s, bool backward, Panels<T>* panels) {
  constexpr int64_t W = kColumns<T>;
  constexpr int G = kGates<M>;
  const int64_t H = s.hidden;
  *panels = {divide_up(H, W), backward ? 1 : G, backward ? G * H : H, nullptr};
  const size_t bytes = static_cast<size_t>(panels->blocks * W * G * H) * sizeof(T);
  panels->data = static_cast<T*>(c.pool->scratch(c.pool->self, -1, bytes + 64));
  if (panels->data == nullptr) return false;
  const T* data = static_cast<const T*>(w.data);
  const int64_t rs = w.strides[0], cs = w.strides[1];
  parallel_for(*c.pool, panels->blocks * G, 1 + 16384 / (W * H), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t block = i / G, g = i % G, unit = block * W;
      const int width = static_cast<int>(smaller(W, H - unit));
      if (backward) {
        const int64_t from = M == kGru ? (g + 2) % 3 : g;
        pack_panel<T, W>(data + from * H * rs + unit * cs, cs, rs, width, H - unit, H,
                         panels->at(block, 0) + g * H * W);
      } else {
        pack_panel<T, W>(data + (g * H + unit) * rs, rs, cs, width, H - unit, H, panels->at(block, g));
      }
    }
  });
  return true;
}

bool is_shape(const View& v, DType dtype, int64_t a, int64_t b, int64_t c) {
  return v.ndim == 3 && v.dtype == dtype && v.contiguous && v.shape[0] == a && v.shape[1] == b && v.shape[2] == c;
}

bool is_matrix(const View& v, DType dtype, int64_t a, int64_t b) {
  return v.ndim == 2 && v.dtype == dtype && v.contiguous && v.shape[0] == a && v.shape[1] == b;
}

// The operands that forward and backward share.
struct Operands {
  Sequence s;
  DType dtype;
  int mode;
};

Status read_operands(const Call& c, const View& gates, const View& states, const View& extra, const View& weight,
                     const View& lengths, Operands* o) {
  if (c.nparams != 2) return kBadParameter;
  const double mode = c.params[0];
  if (!(mode >= 0 && mode < kCellModeCount && mode == static_cast<int>(mode))) return kBadParameter;
  o->mode = static_cast<int>(mode);
  o->dtype = states.dtype;
  if (!is_float(states.dtype)) return kBadDType;
  if (states.ndim != 3 || states.shape[0] < 1) return kBadShape;
  const int64_t T = states.shape[0] - 1, B = states.shape[1], H = states.shape[2];
  const int64_t G = o->mode == kLstm ? 4 : o->mode == kGru ? 3 : 1;
  o->s = {T, B, H, c.params[1] != 0, nullptr};
  if (!is_shape(states, o->dtype, T + 1, B, H)) return kBadShape;
  // The backward pass of plain cells reads no gates.
  if (!(absent(gates) && G == 1) && !is_shape(gates, o->dtype, T, B, G * H)) return kBadShape;
  const int64_t planes = o->mode == kLstm ? T + 1 : o->mode == kGru ? T : 0;
  if (!is_shape(extra, o->dtype, planes, B, H)) return kBadShape;
  if (!absent(weight)) {
    if (weight.ndim != 2 || weight.shape[0] != G * H || weight.shape[1] != H) return kBadShape;
    if (weight.dtype != o->dtype) return kBadDType;
  }
  if (!absent(lengths)) {
    if (lengths.dtype != kInt32) return kBadDType;
    if (lengths.ndim != 1 || lengths.shape[0] != B || !lengths.contiguous) return kBadShape;
    o->s.lengths = static_cast<const int32_t*>(lengths.data);
    for (int64_t b = 0; b < B; ++b) {
      if (o->s.lengths[b] < 1 || o->s.lengths[b] > T) return kBadLength;
    }
  }
  return kOk;
}

double step_products(const Operands& o, int gates) {
  return static_cast<double>(o.s.batch * o.s.hidden) * static_cast<double>(gates * o.s.hidden);
}

// to = from, or zeros without it.
template <class T>
void copy_or_clear(T* to, const View& from, int64_t n) {
  const size_t bytes = static_cast<size_t>(n) * sizeof(T);
  if (bytes == 0) return;
  if (absent(from)) {
    memset(to, 0, bytes);
  } else {
    memcpy(to, from.data, bytes);
  }
}

template <class T, int M>
Status forward(const Call& c, const Operands& o) {
  const Sequence& s = o.s;
  const int64_t plane = s.batch * s.hidden;
  Step<T> x{};
  x.s = s;
  x.gates = static_cast<T*>(c.out[0].data);
  x.states = static_cast<T*>(c.out[1].data);
  x.extra = static_cast<T*>(c.out[2].data);
  x.product = absent(c.in[1]) ? nullptr : static_cast<const T*>(c.in[1].data);
  x.bias = absent(c.in[4]) ? nullptr : static_cast<const T*>(c.in[4].data);
  copy_or_clear(x.states + s.before(0) * plane, c.in[2], plane);
  if (M == kLstm) copy_or_clear(x.extra + s.before(0) * plane, c.in[3], plane);
  if (s.steps == 0 || plane == 0) return kOk;
  if (x.product == nullptr && !pack_weights<T, M>(c, c.in[0], s, false, &x.weights)) return kOutOfMemory;
  for_steps<T>(*c.pool, s, 0, s.steps, step_products(o, kGates<M>),
               [&](int64_t t, int64_t b0, int64_t b1, int64_t block) { forward_block<T, M>(x, t, b0, b1, block); });
  return kOk;
}

template <class T, int M>
Status backward(const Call& c, const Operands& o) {
  const Sequence& s = o.s;
  const int64_t plane = s.batch * s.hidden;
  Step<T> x{};
  x.s = s;
  x.gates = static_cast<T*>(c.in[1].data);
  x.states = static_cast<T*>(c.in[2].data);
  x.extra = static_cast<T*>(c.in[3].data);
  x.dy = absent(c.in[4]) ? nullptr : static_cast<const T*>(c.in[4].data);
  x.dgates = static_cast<T*>(c.out[0].data);
  x.dh = static_cast<T*>(c.out[1].data);
  x.dc = static_cast<T*>(c.out[2].data);
  copy_or_clear(x.dh, c.in[5], plane);
  if (M == kLstm) copy_or_clear(x.dc, c.in[6], plane);
  if (s.steps == 0 || plane == 0) return kOk;
  if (!absent(c.in[0]) && !pack_weights<T, M>(c, c.in[0], s, true, &x.weights)) return kOutOfMemory;
  for_steps<T>(*c.pool, s, s.steps - 1, x.weights.data == nullptr ? -1 : -2, step_products(o, kGates<M>),
               [&](int64_t t, int64_t b0, int64_t b1, int64_t block) { backward_block<T, M>(x, t, b0, b1, block); });
  return kOk;
}

template <class T>
Status forward_of(const Call& c, const Operands& o) {
  switch (o.mode) {
    case kRnnTanh:
      return forward<T, kRnnTanh>(c, o);
    case kRnnRelu:
      return forward<T, kRnnRelu>(c, o);
    case kLstm:
      return forward<T, kLstm>(c, o);
    default:
      return forward<T, kGru>(c, o);
  }
}

template <class T>
Status backward_of(const Call& c, const Operands& o) {
  switch (o.mode) {
    case kRnnTanh:
      return backward<T, kRnnTanh>(c, o);
    case kRnnRelu:
      return backward<T, kRnnRelu>(c, o);
    case kLstm:
      return backward<T, kLstm>(c, o);
    default:
      return backward<T, kGru>(c, o);
  }
}

}  // namespace

// weight? (GH,H), product? (B,GH) = h0 · weightᵀ for one step, h0? (B,H), c0? (B,H), bias? (GH), lengths? (B):
// gates (T,B,GH) holds W_ih x + b_ih; states (T+1,B,H); extra (T+1,B,H) cells, (T,B,H) q or (0,B,H).
Status recurrent(const Call& c) {
  if (c.nin != 6 || c.nout != 3) return kBadShape;
  Operands o;
  const Status status = read_operands(c, c.out[0], c.out[1], c.out[2], c.in[0], c.in[5], &o);
  if (status != kOk) return status;
  const Sequence& s = o.s;
  const int64_t width = c.out[0].shape[2];
  if (absent(c.in[1])) {
    if (absent(c.in[0])) return kBadShape;
  } else if (s.steps != 1 || !is_matrix(c.in[1], o.dtype, s.batch, width)) {
    return kBadShape;
  }
  for (int i = 2; i < 4; ++i) {
    if (!absent(c.in[i]) && !is_matrix(c.in[i], o.dtype, s.batch, s.hidden)) return kBadShape;
  }
  const View& bias = c.in[4];
  if (!absent(bias)) {
    if (bias.ndim != 1 || bias.shape[0] != width || !bias.contiguous) return kBadShape;
    if (bias.dtype != o.dtype) return kBadDType;
  }
  return o.dtype == kFloat32 ? forward_of<float>(c, o) : forward_of<double>(c, o);
}

// weight? as above (without it, of one step, dh0 lacks what comes through the weights), gates? states extra of the forward pass,
// dy? (T,B,H), dhn? dcn? (B,H), lengths? (B): dgates (T,B,DH) with D = G, or 4 for a GRU, whose gates are q r z n;
// dh0 (B,H), dc0 (B,H), or (0,H) without cells.
Status recurrent_backward(const Call& c) {
  if (c.nin != 8 || c.nout != 3) return kBadShape;
  Operands o;
  const Status status = read_operands(c, c.in[1], c.in[2], c.in[3], c.in[0], c.in[7], &o);
  if (status != kOk) return status;
  const Sequence& s = o.s;
  if (absent(c.in[0]) && s.steps > 1) return kBadShape;
  const int64_t width = (o.mode == kGru || o.mode == kLstm ? 4 : 1) * s.hidden;
  if (!is_shape(c.out[0], o.dtype, s.steps, s.batch, width)) return kBadShape;
  if (!is_matrix(c.out[1], o.dtype, s.batch, s.hidden)) return kBadShape;
  if (!is_matrix(c.out[2], o.dtype, o.mode == kLstm ? s.batch : 0, s.hidden)) return kBadShape;
  if (!absent(c.in[4]) && !is_shape(c.in[4], o.dtype, s.steps, s.batch, s.hidden)) return kBadShape;
  for (int i = 5; i < 7; ++i) {
    if (!absent(c.in[i]) && !is_matrix(c.in[i], o.dtype, s.batch, s.hidden)) return kBadShape;
  }
  return o.dtype == kFloat32 ? backward_of<float>(c, o) : backward_of<double>(c, o);
}

}  // namespace MYELIN_ISA
}  // namespace myelin
