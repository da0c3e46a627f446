export { Tensor } from './tensor.js';
export type { DType, TypedArray } from './dtype.js';
export type { Shape } from './shape.js';
export * from './errors.js';
export { defaultGenerator, Generator, manualSeed, type GeneratorState } from './random.js';

export { detectAnomaly, AnomalyError, enableGrad, isGradEnabled, noGrad, type Hook } from './autograd/graph.js';
export { grad, type BackwardOptions, type GradOptions } from './autograd/backward.js';
export { gradcheck, gradgradcheck, type Differentiable, type GradcheckOptions } from './autograd/gradcheck.js';
export { keep, scope } from './autograd/scope.js';

export {
  arange,
  empty,
  eye,
  fromTypedArray,
  full,
  linspace,
  ones,
  onesLike,
  tensor,
  where,
  zeros,
  zerosLike,
  type NestedArray,
  type TensorOptions,
} from './ops/create.js';
export {
  bernoulli,
  dropout,
  rand,
  randint,
  randn,
  randperm,
  type DropoutOptions,
  type RandomOptions,
} from './ops/random.js';
export {
  add,
  div,
  eq,
  ge,
  gt,
  le,
  logicalAnd,
  logicalOr,
  lt,
  maximum,
  minimum,
  mul,
  ne,
  pow,
  sub,
  type Operand,
} from './ops/binary.js';
export {
  abs,
  ceil,
  clamp,
  cos,
  elu,
  erf,
  exp,
  floor,
  gelu,
  leakyRelu,
  log,
  neg,
  reciprocal,
  relu,
  round,
  rsqrt,
  sigmoid,
  sign,
  silu,
  sin,
  softplus,
  sqrt,
  square,
  tanh,
  type GeluOptions,
} from './ops/unary.js';
export { clone, contiguous, isfinite, logicalNot, to } from './ops/cast.js';
export { all, amax, amin, any, argmax, argmin, countNonzero, mean, prod, sum, type Dims } from './ops/reduce.js';
export {
  cat,
  expand,
  flatten,
  narrow,
  permute,
  reshape,
  select,
  slice,
  squeeze,
  stack,
  t,
  transpose,
  unsqueeze,
  view,
} from './ops/views.js';
export { linear, matmul } from './ops/matmul.js';
export { logSoftmax, softmax } from './ops/softmax.js';
export { crossEntropy, mseLoss, type CrossEntropyOptions, type Reduction } from './ops/loss.js';
export { embedding, indexSelect, oneHot } from './ops/indexing.js';

export {
  emptyCache,
  getNumThreads,
  memory,
  nativeInfo,
  resetPeakMemory,
  setMemoryLimit,
  setNumThreads,
  synchronize,
  type MemoryStats,
  type NativeInfo,
} from './runtime.js';

export { Module, type ForwardHook, type LoadResult, type StateDict, type UnaryModule } from './nn/module.js';
export { Parameter } from './nn/parameter.js';
export { Flatten, Identity, Linear, type LinearOptions } from './nn/linear.js';
export { ELU, GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh } from './nn/activation.js';
export { Dropout } from './nn/dropout.js';
export { ModuleDict, ModuleList, ParameterList, Sequential } from './nn/container.js';
export { CrossEntropyLoss, MSELoss, type CrossEntropyLossOptions } from './nn/loss.js';
export { clipGradNorm, clipGradValue } from './nn/clip.js';
export * as init from './nn/init.js';
export { summary, type LayerSummary, type Summary, type SummaryOptions } from './nn/summary.js';

export { Optimizer, type OptimizerStateDict, type ParamGroup, type ParamGroupInput } from './optim/optimizer.js';
export { SGD, type SGDOptions } from './optim/sgd.js';
export { Adam, AdamW, type AdamOptions } from './optim/adam.js';
export { RMSprop, type RMSpropOptions } from './optim/rmsprop.js';
export { Adagrad, type AdagradOptions } from './optim/adagrad.js';
export { LRScheduler, type SchedulerState } from './optim/scheduler.js';
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
} from './optim/schedulers.js';
export { OneCycleLR, type OneCycleLROptions } from './optim/onecycle.js';
export { ReduceLROnPlateau, type ReduceLROnPlateauOptions } from './optim/plateau.js';

export { Dataset, ListDataset, randomSplit, TensorDataset, type Items } from './data/dataset.js';
export { Rows, type Indices } from './data/rows.js';
export { DataLoader, type DataLoaderOptions, type LoaderState } from './data/loader.js';
export { generateMnist1d, mnist1d, type Mnist1d, type Mnist1dOptions } from './data/mnist1d.js';
export { mnist, type MnistOptions } from './data/mnist.js';
export { readIdx, type IdxArray } from './data/idx.js';
export { cacheDir, download, type DownloadOptions } from './data/download.js';

export { loadFile, loadFileWithMetadata, loadMetadata, saveFile, type NamedTensors } from './io/safetensors.js';
export { JsonlWriter, readJsonl } from './io/jsonl.js';
export { writeAtomic, type FileContents } from './io/atomic.js';

export * from './train/index.js';

export { MLP, type ModelOptions } from './models/mlp.js';
export { Mnist1dLinear, Mnist1dMLP } from './models/mnist1d.js';
export { createModel, modelNames, type ModelName } from './models/registry.js';
