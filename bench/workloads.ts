import { Adam, crossEntropy, Linear, Module, ModuleList, mseLoss, relu, SGD, sigmoid, type Tensor } from 'myelin';
import { initialise, ints, uni } from './data.js';

/** A training job: the same batch at every step. */
export interface Workload {
  /** Zeroed gradients, forward, loss, backward, update, and the loss read. */
  step(): Promise<number>;
  /** Rows a step. */
  readonly rows: number;
  readonly params: number;
}

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

type Net = MLP | Autoencoder;

function job(
  model: Net,
  x: Tensor,
  y: Tensor,
  lossOf: (output: Tensor, target: Tensor) => Tensor,
  optimizerOf: (model: Net) => SGD | Adam,
): Workload {
  initialise(model);
  const optimizer = optimizerOf(model);
  return {
    async step() {
      const loss = lossOf(model.forward(x), y);
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      return await loss.item();
    },
    rows: x.shape[0] ?? 1,
    params: model.parameters().reduce((sum, p) => sum + p.numel, 0),
  };
}

const sgd =
  (lr: number) =>
  (model: Net): SGD =>
    new SGD(model.parameters(), { lr });

const digits = (rows: number): Workload =>
  job(new MLP(784, 200, 200, 10), uni('x', [rows, 784], 0, 1), ints('y', [rows], 10), crossEntropy, sgd(0.1));

/** Makers of the jobs by name; {@link figures} has the same names. */
export const workloads: Readonly<Record<string, () => Workload>> = {
  'mlp-mnist': () => digits(64),
  'mlp-mnist-b1024': () => digits(1024),
  'mlp-mnist1d': () =>
    job(new MLP(40, 100, 100, 10), uni('x', [100, 40], -1, 1), ints('y', [100], 10), crossEntropy, sgd(0.1)),
  'shallow-1d': () => job(new MLP(1, 3, 1), uni('x', [32, 1], -1, 1), uni('y', [32, 1], -1, 1), mseLoss, sgd(0.05)),
  autoencoder: () => {
    const x = uni('x', [128, 784], 0, 1);
    return job(new Autoencoder(), x, x, mseLoss, (model) => new Adam(model.parameters(), { lr: 1e-3 }));
  },
};
