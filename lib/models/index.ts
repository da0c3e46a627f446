export { MLP, type ModelOptions } from './mlp.js';
export { Mnist1dLinear, Mnist1dMLP } from './mnist1d.js';
export { createModel, modelEntry, modelNames, type ModelEntry, type ModelName } from './registry.js';
