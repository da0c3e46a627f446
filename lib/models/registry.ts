import { show } from '../check.js';
import { ValueError } from '../errors.js';
import type { UnaryModule } from '../nn/module.js';
import { MLP, type ModelOptions } from './mlp.js';
import { Mnist1dLinear, Mnist1dMLP } from './mnist1d.js';

/** A model that the command line knows. */
export interface ModelEntry {
  /** One line for lists of models. */
  readonly description: string;
  /** Shape of one example. */
  readonly inputShape: readonly number[];
  /** Number of outputs. */
  readonly classes: number;
  /** Data set it is trained on unless another is named. */
  readonly dataset: 'mnist' | 'mnist1d';
  /** Makes it with fresh weights. */
  create(options?: ModelOptions): UnaryModule;
}

const digits = { inputShape: [784], classes: 10, dataset: 'mnist' } as const;
const curves = { inputShape: [40], classes: 10, dataset: 'mnist1d' } as const;

const entries = {
  mlp: {
    ...digits,
    description: 'multilayer perceptron 784-200-200-10 with ReLU',
    create: (options) => new MLP([784, 200, 200, 10], options),
  },
  logistic: {
    ...digits,
    description: 'logistic regression 784-10',
    create: (options) => new MLP([784, 10], options),
  },
  'mnist1d-linear': {
    ...curves,
    description: 'linear classifier 40-10',
    create: (options) => new Mnist1dLinear(options),
  },
  'mnist1d-mlp': {
    ...curves,
    description: 'perceptron 40-100-100-10 with a skip over its second layer',
    create: (options) => new Mnist1dMLP(options),
  },
} satisfies Record<string, ModelEntry>;

/** Names that {@link createModel} takes. */
export type ModelName = keyof typeof entries;

/** The models' names, in the order of lists. */
export const modelNames = Object.keys(entries) as readonly ModelName[];

/** What is known of a model; throws {@link ValueError} that lists the names when there is none of this name. */
export function modelEntry(name: string): ModelEntry {
  if (typeof name === 'string' && Object.hasOwn(entries, name)) return entries[name as ModelName];
  throw new ValueError(`model: expected one of ${modelNames.join(', ')}, got ${show(name)}`);
}

/** A model by its name, with fresh weights. */
export function createModel(name: string, options?: ModelOptions): UnaryModule {
  return modelEntry(name).create(options);
}
