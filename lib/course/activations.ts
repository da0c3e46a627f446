import { grad } from '../autograd/backward.js';
import {
  celu,
  elu,
  gelu,
  hardsigmoid,
  hardswish,
  hardtanh,
  leakyRelu,
  mish,
  prelu,
  relu,
  relu6,
  selu,
  silu,
  softplus,
  softshrink,
  softsign,
  tanhshrink,
  logSigmoid,
} from '../ops/activation.js';
import { tensor } from '../ops/create.js';
import { sigmoid, sign, tanh } from '../ops/unary.js';
import { ge } from '../ops/binary.js';
import type { Tensor } from '../tensor.js';
import { plot, sheet } from './chart.js';
import { numbersOf, short, spaced } from './common.js';
import type { Finding } from './experiment.js';

/** Every activation function by the name of its figure. */
const gallery: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  step: (x) => ge(x, 0).to('float64'),
  sign,
  sigmoid,
  tanh,
  ReLU: relu,
  'leaky ReLU 0.1': (x) => leakyRelu(x, 0.1),
  'PReLU 0.25': (x) => prelu(x, tensor([0.25], { dtype: 'float64' })),
  ELU: elu,
  SELU: selu,
  CELU: celu,
  softplus,
  GELU: gelu,
  'GELU by tanh': (x) => gelu(x, { approximate: 'tanh' }),
  'SiLU (Swish)': silu,
  Mish: mish,
  softsign,
  'log-sigmoid': logSigmoid,
  'hard sigmoid': hardsigmoid,
  'hard tanh': hardtanh,
  'hard Swish': hardswish,
  ReLU6: relu6,
  softshrink,
  tanhshrink,
};

/** The gallery of activation functions: value and derivative of each. */
export async function run(): Promise<Finding> {
  const at = spaced(-4, 4, 321);
  const figures: Record<string, unknown> = {};
  const panels = [];
  for (const [name, fn] of Object.entries(gallery)) {
    const x = tensor(at, { dtype: 'float64', requiresGrad: true });
    const y = fn(x);
    const slope = y.requiresGrad ? grad(y.sum(), [x])[0]! : x.mul(0);
    const [values, slopes] = [await numbersOf(y), await numbersOf(slope)];
    const of = (v: number): number => at.findIndex((a) => Math.abs(a - v) < 1e-9);
    figures[name] = Object.fromEntries([-1, 1].map((v) => [v, [short(values[of(v)]!), short(slopes[of(v)]!)]]));
    const curves = [
      { name: 'value', x: at, y: values },
      { name: 'derivative', x: at, y: slopes },
    ];
    panels.push(plot(curves, { title: name, width: 170, height: 120, domainX: [-4, 4], domainY: [-2, 4] }));
  }
  return { figures, picture: sheet('Activation functions', 'value and derivative of each', panels, 5) };
}
