import { MLP } from '../models/mlp.js';
import { linearPieces, maximumRegions, planeGrid, sampledRegions, zigzagNetwork } from '../models/regions.js';
import { kaimingNormal_ } from '../nn/init.js';
import { field, plot, sheet } from './chart.js';
import { countOf } from './common.js';
import type { Finding, Setting } from './experiment.js';

/** How many linear regions networks have: exactly for one input, by sampling the plane for two, and at most. */
export async function run(setting: Setting): Promise<Finding> {
  const random = (sizes: number[], stream: number): MLP => {
    const generator = setting.generator(stream);
    const model = new MLP(sizes, { generator });
    for (const { weight } of model.fc) kaimingNormal_(weight, { nonlinearity: 'relu', generator });
    return model;
  };
  const layers = [1, 2, 3, 4, 5];
  const deep = (k: number): number[] => [1, ...new Array<number>(k).fill(10), 1];
  const atRandom: number[] = [];
  const reached: number[] = [];
  for (const k of layers) {
    setting.check();
    atRandom.push((await linearPieces(random(deep(k), k))).length);
    reached.push((await linearPieces(zigzagNetwork(10, k))).length);
  }
  const zigzag = await linearPieces(zigzagNetwork(4, 2), [0, 9]);
  const ends = [0, ...zigzag.map((piece) => piece.to)];
  const heights = ends.map((x, i) => {
    const piece = zigzag[Math.max(0, i - 1)]!;
    return piece.slopes[0]! * x + piece.offsets[0]!;
  });
  const side = setting.full ? 1000 : 300;
  const plane = random([2, 10, 10, 1], 100);
  const { count, labels } = await sampledRegions(plane, planeGrid([-3, 3], [-3, 3], side));
  const shades = Array.from({ length: count }, (_, k) => {
    const hue = (k * 0.618034) % 1;
    return [0, 1, 2].map((c) => Math.round(190 + 60 * Math.cos(2 * Math.PI * (hue + c / 3)))) as [
      number,
      number,
      number,
    ];
  });
  const wide = new MLP([10, 50, 50, 50, 50, 50, 1]);
  return {
    figures: {
      one_input_5_layers_of_10: {
        parameters: countOf(zigzagNetwork(10, 5)),
        maximum: Number(maximumRegions(1, 10, 5)),
        counted_in_the_zigzag_network: reached[4],
        counted_in_a_random_network: atRandom[4],
      },
      ten_inputs_5_layers_of_50: {
        parameters: countOf(wide),
        maximum: Number(maximumRegions(10, 50, 5)).toPrecision(4),
      },
      by_layers: Object.fromEntries(
        layers.map((k, i) => [
          k,
          { random: atRandom[i], zigzag: reached[i], maximum: Number(maximumRegions(1, 10, k)) },
        ]),
      ),
      two_inputs_2_layers_of_10: { sampled: count, points: side * side, maximum: Number(maximumRegions(2, 10, 2)) },
    },
    picture: sheet('Linear regions', 'ReLU networks of one input counted exactly, of two inputs by sampling', [
      plot(
        [
          {
            name: 'maximum (D + 1)^K',
            x: layers,
            y: layers.map((k) => Number(maximumRegions(1, 10, k))),
            dashed: true,
          },
          { name: 'zigzag network', x: layers, y: reached, as: 'points' },
          { name: 'random network', x: layers, y: atRandom, as: 'both' },
        ],
        { title: '10 units a layer, one input', x: 'layers', logY: true },
      ),
      plot([{ name: 'y', x: ends, y: heights }], { title: `A zigzag of 2 × 4 units: ${zigzag.length} pieces`, x: 'x' }),
      field({ width: side, height: side, at: (x, y) => shades[labels[y * side + x]!]! }, [], {
        title: `2-10-10-1: ${count} regions found`,
        domainX: [-3, 3],
        domainY: [-3, 3],
        x: 'x₁',
        y: 'x₂',
      }),
    ]),
  };
}
