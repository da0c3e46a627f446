import { noGrad } from '../autograd/graph.js';
import { scope } from '../autograd/scope.js';
import { checkInteger, show } from '../check.js';
import { ShapeError, ValueError } from '../errors.js';
import { checkFloat } from '../ops/apply.js';
import { fromTypedArray, tensor } from '../ops/create.js';
import { cat } from '../ops/views.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { MLP } from './mlp.js';

/** A stretch of the line on which a network of one input is one linear function, `slopes`·x + `offsets`. */
export interface LinearPiece {
  readonly from: number;
  readonly to: number;
  readonly slopes: Float64Array;
  readonly offsets: Float64Array;
}

interface Layer {
  readonly weight: Float64Array;
  readonly bias: Float64Array;
  readonly inputs: number;
  readonly outputs: number;
}

/**
 * The linear pieces of a ReLU network of one input, from left to right: each hidden layer cuts every piece where one of its units
 * crosses 0, so that they are exact but for rounding, however narrow. `outputs` bends are not looked for: the last layer is linear.
 * Neighbours whose functions are equal (all units that differ are off downstream) count as one.
 *
 * @param range ends of the part of the line that is looked at; all of it
 */
export async function linearPieces(
  model: MLP,
  range: readonly [number, number] = [-Infinity, Infinity],
): Promise<LinearPiece[]> {
  const fn = 'linearPieces';
  if (!Array.isArray(range) || range.length !== 2 || !(range[0] < range[1])) {
    throw new ValueError(`${fn}: expected range to be two ascending numbers, got ${show(range)}`);
  }
  if (model.fc[0]!.inFeatures !== 1) {
    throw new ValueError(`${fn}: expected a network of one input, got ${model.fc[0]!.inFeatures}`);
  }
  if (model.activation !== 'relu') throw new ValueError(`${fn}: expected a network of relu, got ${model.activation}`);
  const layers: Layer[] = await Promise.all(
    model.fc.map(async ({ weight, bias, inFeatures, outFeatures }) => ({
      weight: Float64Array.from(await weight.data()),
      bias: bias === null ? new Float64Array(outFeatures) : Float64Array.from(await bias.data()),
      inputs: inFeatures,
      outputs: outFeatures,
    })),
  );
  let pieces: LinearPiece[] = [
    { from: range[0], to: range[1], slopes: Float64Array.of(1), offsets: Float64Array.of(0) },
  ];
  layers.forEach((layer, i) => {
    pieces = pieces.flatMap((piece) => {
      const before = through(layer, piece);
      return i === layers.length - 1 ? [before] : cut(before);
    });
  });
  return merged(pieces);
}

/** What a linear layer makes of a piece. */
function through({ weight, bias, inputs, outputs }: Layer, { from, to, slopes, offsets }: LinearPiece): LinearPiece {
  const out = { from, to, slopes: new Float64Array(outputs), offsets: Float64Array.from(bias) };
  for (let o = 0; o < outputs; o++) {
    for (let j = 0; j < inputs; j++) {
      out.slopes[o]! += weight[o * inputs + j]! * slopes[j]!;
      out.offsets[o]! += weight[o * inputs + j]! * offsets[j]!;
    }
  }
  return out;
}

/** A piece cut where one of its functions crosses 0, each part with the functions that are below 0 on it set to 0. */
function cut({ from, to, slopes, offsets }: LinearPiece): LinearPiece[] {
  const zeros = Array.from(slopes, (slope, j) => (slope === 0 ? NaN : -offsets[j]! / slope));
  const bends = zeros.filter((x) => x > from && x < to).sort((a, b) => a - b);
  const ends = [from, ...new Set(bends), to];
  return ends.slice(1).map((end, i) => {
    const start = ends[i]!;
    // Whether a unit is on follows from which side of its zero the part lies, without rounding.
    const on = Array.from(slopes, (slope, j) => {
      if (slope === 0) return offsets[j]! > 0;
      return slope > 0 ? zeros[j]! <= start : zeros[j]! >= end;
    });
    return {
      from: start,
      to: end,
      slopes: slopes.map((v, j) => (on[j] ? v : 0)),
      offsets: offsets.map((v, j) => (on[j] ? v : 0)),
    };
  });
}

/** Neighbours of one function joined. */
function merged(pieces: readonly LinearPiece[]): LinearPiece[] {
  const out: LinearPiece[] = [];
  for (const piece of pieces) {
    const last = out.at(-1);
    const same =
      last !== undefined &&
      last.slopes.every((v, j) => v === piece.slopes[j]) &&
      last.offsets.every((v, j) => v === piece.offsets[j]);
    if (same) out[out.length - 1] = { ...last, to: piece.to };
    else out.push(piece);
  }
  return out;
}

/**
 * Which hidden units of a ReLU network are on, one row of bytes an example: rows that are equal lie in one region, a convex
 * polytope on which the network is one linear function. x (N, inputs) to (N, all hidden units), uint8.
 */
export function activationPatterns(model: MLP, x: Tensor): Tensor {
  const fn = 'activationPatterns';
  checkFloat(fn, 'x', x);
  const inputs = model.fc[0]!.inFeatures;
  if (x.ndim !== 2 || x.shape[1] !== inputs) {
    throw new ShapeError(`${fn}: expected x of shape [N, ${inputs}], got ${formatShape(x.shape)}`);
  }
  if (model.activation !== 'relu') throw new ValueError(`${fn}: expected a network of relu, got ${model.activation}`);
  if (model.fc.length < 2) throw new ValueError(`${fn}: expected a network with a hidden layer`);
  return scope(() =>
    noGrad(() => {
      let h = x;
      const on = model.fc.slice(0, -1).map((layer) => {
        const sums = layer.forward(h);
        h = sums.clamp(0);
        return sums.gt(0).to('uint8');
      });
      return cat(on, 1);
    }),
  );
}

/**
 * How many regions a ReLU network has among the given points, and the number of each point's region in order of appearance: a lower
 * bound of what the plane (or any space) that they sample holds.
 */
export async function sampledRegions(model: MLP, x: Tensor): Promise<{ count: number; labels: Int32Array }> {
  const patterns = activationPatterns(model, x);
  const [rows, units] = patterns.shape as [number, number];
  const data = await patterns.data();
  patterns.dispose();
  const seen = new Map<string, number>();
  const labels = new Int32Array(rows);
  for (let i = 0; i < rows; i++) {
    const key = data.subarray(i * units, (i + 1) * units).join('');
    let label = seen.get(key);
    if (label === undefined) seen.set(key, (label = seen.size));
    labels[i] = label;
  }
  return { count: seen.size, labels };
}

/** A grid of points over a rectangle, (columns · rows, 2), by rows from the top: what {@link sampledRegions} and pictures take. */
export function planeGrid(
  [x0, x1]: readonly [number, number],
  [y0, y1]: readonly [number, number],
  columns: number,
  rows = columns,
): Tensor {
  checkInteger('planeGrid', 'columns', columns, { min: 2 });
  checkInteger('planeGrid', 'rows', rows, { min: 2 });
  const points = new Float32Array(2 * columns * rows);
  for (let i = 0; i < columns * rows; i++) {
    points[2 * i] = x0 + ((x1 - x0) * (i % columns)) / (columns - 1);
    points[2 * i + 1] = y1 - ((y1 - y0) * Math.floor(i / columns)) / (rows - 1);
  }
  return fromTypedArray(points, [columns * rows, 2]);
}

/**
 * The most linear regions that a ReLU network of `layers` hidden layers of `width` units can be shown to reach with `inputs` inputs:
 * (⌊D/Dᵢ⌋ + 1)^(Dᵢ(K − 1)) · Σ_{j ≤ Dᵢ} C(D, j), exact as a bigint. With one input it is (D + 1)^K. Montúfar et al., "On the
 * number of linear regions of deep neural networks" (2014).
 */
export function maximumRegions(inputs: number, width: number, layers: number): bigint {
  const fn = 'maximumRegions';
  checkInteger(fn, 'inputs', inputs, { min: 1 });
  checkInteger(fn, 'width', width, { min: inputs });
  checkInteger(fn, 'layers', layers, { min: 1 });
  let sum = 0n;
  let choose = 1n;
  for (let j = 0; j <= inputs; j++) {
    sum += choose;
    choose = (choose * BigInt(width - j)) / BigInt(j + 1);
  }
  return BigInt(Math.floor(width / inputs) + 1) ** BigInt(inputs * (layers - 1)) * sum;
}

/**
 * A ReLU network of one input and one output that reaches {@link maximumRegions}: (width + 1)^layers. Every hidden layer is the same zigzag of width
 * + 1 pieces, each of which runs over the whole of [0, 2·width + 1], so that the next layer folds every piece again.
 * Weights are small multiples of 1/2: nothing is rounded.
 *
 * @param width hidden units a layer, at least 4
 */
export function zigzagNetwork(width: number, layers: number): MLP {
  const fn = 'zigzagNetwork';
  checkInteger(fn, 'width', width, { min: 4 });
  checkInteger(fn, 'layers', layers, { min: 1 });
  const length = 2 * width + 1;
  // Piece 1 is 1 wide and twice as steep, the others are 2 wide. Units 1 and 4 look to the left: with these slopes that makes
  // piece 0 rise without a unit of its own.
  const slope = (piece: number): number => (piece % 2 === 0 ? 1 : -1) * (piece === 1 ? length : length / 2);
  const units = Array.from({ length: width }, (_, i) => {
    const r = i + 1;
    const bend = r === 1 ? 2 : 2 * r - 1;
    return { bend, side: r === 1 || r === 4 ? -1 : 1, change: slope(r) - slope(r - 1) };
  });
  const level = units.reduce((sum, { bend, side, change }) => (side < 0 ? sum - change * bend : sum), 0);
  const model = new MLP([1, ...new Array<number>(layers).fill(width), 1]);
  noGrad(() => {
    model.fc.forEach(({ weight, bias }, i) => {
      const outputs = i === layers ? [{ bend: 0, side: 1 }] : units;
      const folded = i > 0;
      const rows = outputs.map(({ side }) => (folded ? units.map(({ change }) => side * change) : [side]));
      weight.copy_(tensor(rows));
      bias!.copy_(tensor(outputs.map(({ bend, side }) => side * ((folded ? level : 0) - bend))));
    });
  });
  return model;
}
