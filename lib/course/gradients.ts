import { noGrad } from '../autograd/graph.js';
import { Linear } from '../nn/linear.js';
import { kaimingNormal_, zeros_ } from '../nn/init.js';
import { ModuleList } from '../nn/container.js';
import { BatchNorm1d } from '../nn/batch_norm.js';
import { LayerNorm } from '../nn/norm.js';
import type { UnaryModule } from '../nn/module.js';
import { relu } from '../ops/activation.js';
import { randint, randn } from '../ops/random.js';
import { crossEntropy } from '../ops/loss.js';
import type { Tensor } from '../tensor.js';
import { plot, sheet, type Series } from './chart.js';
import { numbersOf, short } from './common.js';
import type { Finding, Setting } from './experiment.js';

const WIDTH = 32;
const ROWS = 64;

type Norm = 'none' | 'batch' | 'layer';

/** The norm of the loss's gradient with respect to each layer's weight, from the first layer to the last. */
async function gradients(setting: Setting, depth: number, skip: boolean, norm: Norm): Promise<number[]> {
  const generator = setting.generator(depth);
  const layers = Array.from({ length: depth }, () => {
    const layer = new Linear(WIDTH, WIDTH, { generator });
    // A little less than He's factor, as one gets by any small mistake: √1.8 for √2.
    kaimingNormal_(layer.weight, { nonlinearity: 'relu', generator });
    noGrad(() => layer.weight.mul_(Math.sqrt(0.9)));
    zeros_(layer.bias!);
    return layer;
  });
  const norms: UnaryModule[] =
    norm === 'none' ? [] : layers.map(() => (norm === 'batch' ? new BatchNorm1d(WIDTH) : new LayerNorm(WIDTH)));
  const head = new Linear(WIDTH, 10, { generator });
  const whole = new ModuleList([...layers, ...norms, head]);
  let h: Tensor = randn([ROWS, WIDTH], { generator });
  const y = randint(0, 10, [ROWS], { generator });
  layers.forEach((layer, i) => {
    const normed = norms[i]?.forward(h) ?? h;
    const out = layer.forward(relu(normed));
    h = skip ? h.add(out) : out;
  });
  crossEntropy(head.forward(h), y).backward();
  const sizes = layers.map(({ weight }) => weight.grad!.square().sum().sqrt());
  const values: number[] = [];
  for (const size of sizes) values.push(...(await numbersOf(size)));
  whole.zeroGrad();
  return values;
}

/** How large the gradient still is at the first layers of very deep networks, with and without skip connections and normalisation. */
export async function run(setting: Setting): Promise<Finding> {
  const depths = setting.full ? [50, 100, 200, 500, 1000] : [50, 200];
  const variants: readonly (readonly [name: string, skip: boolean, norm: Norm])[] = [
    ['plain', false, 'none'],
    ['batch norm', false, 'batch'],
    ['skip', true, 'none'],
    ['skip, batch norm', true, 'batch'],
    ['skip, layer norm', true, 'layer'],
  ];
  const figures: Record<string, unknown> = {};
  const panels = [];
  for (const depth of depths) {
    const series: Series[] = [];
    const found: Record<string, unknown> = {};
    for (const [name, skip, norm] of variants) {
      setting.check();
      const sizes = await gradients(setting, depth, skip, norm);
      series.push({ name, x: sizes.map((_, i) => i + 1), y: sizes });
      const of = (v: number): number | string => (Number.isFinite(v) ? short(v, 3) : String(v));
      found[name] = { first_layer: of(sizes[0]!), last_layer: of(sizes.at(-1)!), ratio: of(sizes[0]! / sizes.at(-1)!) };
    }
    figures[`${depth}_layers`] = found;
    panels.push(plot(series, { title: `${depth} layers`, x: 'layer', y: '‖∂loss/∂W‖', logY: true }));
  }
  return {
    figures,
    picture: sheet('Gradients by depth', `layers of ${WIDTH} ReLU units, weights at √0.9 of He’s`, panels, 2),
  };
}
