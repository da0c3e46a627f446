import { checkInteger, checkNumber, checkOneOf } from '../check.js';
import { fromTypedArray } from '../ops/create.js';
import { rand, randn } from '../ops/random.js';
import type { Generator } from '../random.js';
import type { Tensor } from '../tensor.js';
import { TensorDataset } from './dataset.js';

/** The four classifications of TensorFlow Playground. */
export const playgroundNames = ['circle', 'xor', 'gauss', 'spiral'] as const;

/** One of {@link playgroundNames}. */
export type PlaygroundName = (typeof playgroundNames)[number];

/** How many points, and how exact. */
export interface PlaygroundOptions {
  /** Points in all, half of each class (but `xor`); 500. */
  readonly examples?: number;
  /** From 0 (none, the default) to 0.5. */
  readonly noise?: number;
  readonly generator?: Generator | undefined;
}

/** Half the side of the square that the points lie in. */
const RADIUS = 5;

/**
 * The data of TensorFlow Playground (Smilkov et al., 2017): points of the plane, float32 (N, 2) within about [−6, 6]², and their classes
 * −1 and 1, float32 (N, 1). `circle`: a disc in a ring; `xor`: quadrants; `gauss`: two clouds around (2, 2) and (−2, −2);
 * `spiral`: two arms.
 */
export async function playground(
  name: PlaygroundName,
  { examples = 500, noise = 0, generator }: PlaygroundOptions = {},
): Promise<TensorDataset<[points: Tensor, classes: Tensor]>> {
  const fn = 'playground';
  checkOneOf(fn, 'name', name, playgroundNames);
  checkInteger(fn, 'examples', examples, { min: 2 });
  checkNumber(fn, 'noise', noise, { min: 0, max: 0.5 });
  const [uniform, normal] = await Promise.all([
    rand([examples, 4], { dtype: 'float64', generator }).data(),
    randn([examples, 2], { dtype: 'float64', generator }).data(),
  ]);
  const points = new Float32Array(2 * examples);
  const classes = new Float32Array(examples);
  const half = Math.ceil(examples / 2);
  for (let i = 0; i < examples; i++) {
    const [u0, u1, u2, u3] = [0, 1, 2, 3].map((k) => uniform[4 * i + k]!) as [number, number, number, number];
    const [g0, g1] = [normal[2 * i]!, normal[2 * i + 1]!];
    const first = i < half;
    const around = (u: number): number => (2 * u - 1) * RADIUS * noise;
    let [x, y, label] = [0, 0, first ? 1 : -1];
    if (name === 'circle') {
      const r = first ? u0 * RADIUS * 0.5 : RADIUS * (0.7 + 0.3 * u0);
      [x, y] = [r * Math.sin(2 * Math.PI * u1), r * Math.cos(2 * Math.PI * u1)];
      // The class is that of the place with its noise; the point stays where it is.
      label = Math.hypot(x + around(u2), y + around(u3)) < RADIUS * 0.5 ? 1 : -1;
    } else if (name === 'xor') {
      const apart = (v: number): number => v + (v > 0 ? 0.3 : -0.3);
      [x, y] = [apart((2 * u0 - 1) * RADIUS), apart((2 * u1 - 1) * RADIUS)];
      label = (x + around(u2)) * (y + around(u3)) >= 0 ? 1 : -1;
    } else if (name === 'gauss') {
      const deviation = Math.sqrt(0.5 + 7 * noise);
      [x, y] = [2 * label + deviation * g0, 2 * label + deviation * g1];
    } else {
      const k = first ? i : i - half;
      const r = (k / half) * RADIUS;
      const turn = ((1.75 * k) / half) * 2 * Math.PI + (first ? 0 : Math.PI);
      [x, y] = [r * Math.sin(turn) + (2 * u0 - 1) * noise, r * Math.cos(turn) + (2 * u1 - 1) * noise];
    }
    points.set([x, y], 2 * i);
    classes[i] = label;
  }
  return new TensorDataset(fromTypedArray(points, [examples, 2]), fromTypedArray(classes, [examples, 1]));
}
