import { Adam, crossEntropy, Linear, Module, ModuleList, mseLoss, relu, SGD, sigmoid, type Tensor } from 'myelin';
import { ints, uni } from '../data.js';
import { inference, stepBytes, training, type Job, type Workload } from './workload.js';

/** Fully connected layers with ReLU between them. */
class MLP extends Module {
  readonly fc: ModuleList<Linear>;

  constructor(...sizes: readonly number[]) {
    super();
    this.fc = new ModuleList(sizes.slice(1).map((size, i) => new Linear(sizes[i] ?? 0, size)));
  }

  forward(x: Tensor): Tensor {
    const last = this.fc.length - 1;
    for (let i = 0; i < last; i++) x = relu(this.fc.get(i).forward(x));
    return this.fc.get(last).forward(x);
  }
}

class Autoencoder extends Module {
  readonly fc1 = new Linear(784, 256);
  readonly fc2 = new Linear(256, 32);
  readonly fc3 = new Linear(32, 256);
  readonly fc4 = new Linear(256, 784);

  forward(x: Tensor): Tensor {
    const code = this.fc2.forward(relu(this.fc1.forward(x)));
    return sigmoid(this.fc4.forward(relu(this.fc3.forward(code))));
  }
}

/**
 * Limits of fully connected layers on `rows` rows. Forward, weight gradient and, but for the first layer, input gradient cost
 * 2·rows·in·out each.
 */
function limits(
  rows: number,
  sizes: readonly number[],
  optimizer: Parameters<typeof stepBytes>[2],
): Pick<Workload, 'flops' | 'bytes' | 'samples'> {
  let flops = 0;
  let params = 0;
  for (let i = 1; i < sizes.length; i++) {
    const weights = (sizes[i - 1] ?? 0) * (sizes[i] ?? 0);
    flops += (optimizer === 'inference' ? 2 : i === 1 ? 4 : 6) * rows * weights;
    params += weights + (sizes[i] ?? 0);
  }
  const activations = rows * sizes.reduce((a, b) => a + b, 0);
  return { flops, bytes: stepBytes(params, activations, optimizer), samples: rows };
}

const sgd =
  (lr: number) =>
  (model: Module): SGD =>
    new SGD(model.parameters(), { lr });

const digits = [784, 200, 200, 10];
function trainDigits(rows: number): Job {
  const x = uni('x', [rows, 784], 0, 1);
  const y = ints('y', [rows], 10);
  return training(new MLP(...digits), (model) => crossEntropy(model.forward(x), y), sgd(0.1));
}

/** Fully connected networks. */
export const mlpWorkloads: readonly Workload[] = [
  {
    name: 'mlp-mnist',
    kind: 'training',
    check: [2.353784, 1.848507],
    ...limits(64, digits, 'sgd'),
    make: () => trainDigits(64),
  },
  {
    name: 'mlp-mnist-b1024',
    kind: 'training',
    check: [2.33748, 2.275773],
    ...limits(1024, digits, 'sgd'),
    make: () => trainDigits(1024),
  },
  {
    name: 'mlp-mnist1d',
    kind: 'training',
    check: [2.326962, 2.196228],
    ...limits(100, [40, 100, 100, 10], 'sgd'),
    make() {
      const x = uni('x', [100, 40], -1, 1);
      const y = ints('y', [100], 10);
      return training(new MLP(40, 100, 100, 10), (model) => crossEntropy(model.forward(x), y), sgd(0.1));
    },
  },
  {
    name: 'shallow-1d',
    kind: 'training',
    check: [0.3571641, 0.3250542],
    ...limits(32, [1, 3, 1], 'sgd'),
    make() {
      const x = uni('x', [32, 1], -1, 1);
      const y = uni('y', [32, 1], -1, 1);
      return training(new MLP(1, 3, 1), (model) => mseLoss(model.forward(x), y), sgd(0.05));
    },
  },
  {
    name: 'autoencoder',
    kind: 'training',
    check: [0.08902889, 0.08262563],
    ...limits(128, [784, 256, 32, 256, 784], 'adam'),
    make() {
      const x = uni('x', [128, 784], 0, 1);
      const adam = (model: Module): Adam => new Adam(model.parameters(), { lr: 1e-3 });
      return training(new Autoencoder(), (model) => mseLoss(model.forward(x), x), adam);
    },
  },
  {
    name: 'infer-mlp-b1',
    kind: 'inference',
    check: [-0.2847562, -0.2847562],
    ...limits(1, digits, 'inference'),
    make() {
      const x = uni('x', [1, 784], 0, 1);
      return inference(new MLP(...digits), (model) => model.forward(x).select(1, 0));
    },
  },
];
