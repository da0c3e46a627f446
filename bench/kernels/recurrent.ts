import { grad, GRU, LSTM, noGrad, randn, type Module, type Tensor } from 'myelin';
import type { KernelCase, KernelFamily } from './kernel.js';

const [steps, batch, input, hidden] = [64, 32, 128, 256] as const;

interface Layer extends Module {
  forward(x: Tensor): [y: Tensor, ...rest: unknown[]];
}

/** A whole sequence through one layer, and back to the input and every weight. */
function layer(name: 'lstm' | 'gru', gates: number, make: () => Layer): KernelCase[] {
  const mark = `t${steps}b${batch}i${input}h${hidden}`;
  const products = steps * batch * gates * hidden * (input + hidden);
  const weights = gates * hidden * (input + hidden);
  const rows = steps * batch * (input + hidden);
  return [
    {
      name: `${name}-fwd-${mark}`,
      flops: 2 * products,
      bytes: 4 * (weights + rows),
      setUp() {
        const x = randn([steps, batch, input]);
        const module = make();
        return () => {
          const [y] = noGrad(() => module.forward(x));
          y.dispose();
        };
      },
    },
    {
      name: `${name}-bwd-${mark}`,
      flops: 4 * products,
      bytes: 4 * (2 * weights + 2 * rows + steps * batch * gates * hidden),
      setUp() {
        const x = randn([steps, batch, input], { requiresGrad: true });
        const module = make();
        const [y] = module.forward(x);
        const inputs = [x, ...module.parameters()];
        const options = { gradOutputs: randn([steps, batch, hidden]), retainGraph: true };
        return () => {
          for (const gradient of grad(y, inputs, options)) gradient.dispose();
        };
      },
    },
  ];
}

/** Recurrent layers over sequences as long as those of the character models. */
export const recurrentKernels: KernelFamily = {
  rows: [...layer('lstm', 4, () => new LSTM(input, hidden)), ...layer('gru', 3, () => new GRU(input, hidden))],
};
