import { noGrad } from '../autograd/graph.js';
import { MLP } from '../models/mlp.js';
import { sampledRegions } from '../models/regions.js';
import { planeGrid } from '../models/regions.js';
import { ShallowNetwork } from '../models/shallow.js';
import { tensor } from '../ops/create.js';
import { relu } from '../ops/activation.js';
import { field, plot, sheet } from './chart.js';
import { countOf, numbersOf, short, spaced } from './common.js';
import type { Finding, Setting } from './experiment.js';

/** The 1-3-1 network of the lecture with its joints, and the polygons on which a 2-3-1 network is linear. */
export async function run(setting: Setting): Promise<Finding> {
  const net = new ShallowNetwork(1, 3, 1);
  noGrad(() => {
    net.hidden.bias!.copy_(tensor([0.3, -1, -0.5]));
    net.hidden.weight.copy_(tensor([[-1], [2], [0.65]]));
    net.output.bias!.copy_(tensor([-0.3]));
    net.output.weight.copy_(tensor([[2, -1, 7]]));
  });
  const at = spaced(0, 2, 401);
  const x = tensor(at.map((v) => [v]));
  const [sums, y] = noGrad(() => [net.hidden.forward(x), net.forward(x)]);
  const before = await numbersOf(sums);
  const after = await numbersOf(relu(sums));
  const weights = await numbersOf(net.output.weight);
  const joints = await net.joints();
  const units = (from: readonly number[], factor: (j: number) => number) =>
    [0, 1, 2].map((j) => ({ name: `unit ${j + 1}`, x: at, y: at.map((_, i) => factor(j) * from[3 * i + j]!) }));
  const out = await numbersOf(y);
  const at0 = (v: number): number => out[Math.round(v * 200)]!;
  const size = { width: 230, height: 200, x: 'x' };

  const plane = new MLP([2, 3, 1], { generator: setting.generator() });
  const side = 240;
  const grid = planeGrid([-2, 2], [-2, 2], side);
  const { count, labels } = await sampledRegions(plane, grid);
  const heights = await numbersOf(noGrad(() => plane.forward(grid)));
  const shades = Array.from({ length: count }, (_, k) => {
    const hue = (k * 0.618034) % 1;
    return [0, 1, 2].map((c) => Math.round(195 + 55 * Math.cos(2 * Math.PI * (hue + c / 3)))) as [
      number,
      number,
      number,
    ];
  });
  const domain = { domainX: [-2, 2], domainY: [-2, 2], x: 'x₁', y: 'x₂', width: 230, height: 230 } as const;
  return {
    figures: {
      parameters: {
        '1-3-1': countOf(net),
        '2-3-1': countOf(plane),
        '1-4-2': countOf(new MLP([1, 4, 2])),
        '1-3-3-1': countOf(new MLP([1, 3, 3, 1])),
      },
      joints: joints.map((v) => short(v)),
      outputs: Object.fromEntries([0, 0.5, 1, 2].map((v) => [v, short(at0(v))])),
      polygons_of_2_3_1_in_the_square: count,
      most_polygons_of_three_lines: 7,
    },
    picture: sheet(
      'Shallow networks',
      '1-3-1 with θ = (.3, −1), (−1, 2), (−.5, .65), φ = (−.3, 2, −1, 7); a 2-3-1 network at random',
      [
        plot(
          units(before, () => 1),
          { title: 'θ₀ + θ₁x', ...size },
        ),
        plot(
          units(after, () => 1),
          { title: 'after ReLU', ...size },
        ),
        plot(
          units(after, (j) => weights[j]!),
          { title: 'weighted', ...size },
        ),
        plot(
          [
            { name: 'y', x: at, y: out },
            { name: 'joints', x: joints, y: joints.map(at0), as: 'points' },
          ],
          { title: 'y and its joints', ...size },
        ),
        field({ width: side, height: side, at: (i, j) => shades[labels[j * side + i]!]! }, [], {
          title: `2-3-1: ${count} polygons`,
          ...domain,
        }),
        field({ width: side, height: side, at: (i, j) => heights[j * side + i]! }, [], {
          title: '2-3-1: its output',
          colours: 'signed',
          ...domain,
        }),
      ],
    ),
  };
}
