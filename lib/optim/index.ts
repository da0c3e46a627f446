export { Adagrad, type AdagradOptions } from './adagrad.js';
export { Adam, AdamW, SparseAdam, type AdamOptions, type SparseAdamOptions } from './adam.js';
export { OneCycleLR, type OneCycleLROptions } from './onecycle.js';
export {
  Optimizer,
  type BaseOptions,
  type OptimizerStateDict,
  type OptionValue,
  type ParamGroup,
  type ParamGroupInput,
  type Params,
} from './optimizer.js';
export { ReduceLROnPlateau, type ReduceLROnPlateauOptions } from './plateau.js';
export { RMSprop, type RMSpropOptions } from './rmsprop.js';
export { LRScheduler, type SchedulerState } from './scheduler.js';
export {
  CosineAnnealingLR,
  ExponentialLR,
  LambdaLR,
  LinearLR,
  MultiStepLR,
  NoamLR,
  StepLR,
  type LinearLROptions,
  type NoamLROptions,
} from './schedulers.js';
export { SGD, type SGDOptions } from './sgd.js';
