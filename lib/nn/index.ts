export {
  CELU,
  ELU,
  GELU,
  GLU,
  Hardshrink,
  Hardsigmoid,
  Hardswish,
  Hardtanh,
  LeakyReLU,
  LogSigmoid,
  LogSoftmax,
  Maxout,
  Mish,
  PReLU,
  ReLU,
  ReLU6,
  RReLU,
  SELU,
  Sigmoid,
  SiLU,
  Softmax,
  Softmin,
  Softplus,
  Softshrink,
  Softsign,
  Tanh,
  Tanhshrink,
  Threshold,
} from './activation.js';
export {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  InstanceNorm1d,
  InstanceNorm2d,
  type BatchNormLayerOptions,
} from './batch_norm.js';
export {
  additiveAttention,
  AdditiveAttention,
  DotProductAttention,
  MultiheadAttention,
  ScaledDotProductAttention,
  type AdditiveAttentionOptions,
  type MultiheadAttentionOptions,
  type MultiheadCallOptions,
} from './attention.js';
export { clipGradNorm, clipGradValue } from './clip.js';
export { ModuleDict, ModuleList, ParameterList, Sequential } from './container.js';
export {
  Conv1d,
  Conv2d,
  ConvTranspose1d,
  ConvTranspose2d,
  type ConvModuleOptions,
  type ConvTransposeModuleOptions,
} from './conv.js';
export { convNorm, type ConvNormOptions } from './conv_norm.js';
export { Dropout } from './dropout.js';
export { Embedding, type EmbeddingOptions } from './embedding.js';
export { GatedLinear, Highway, Residual } from './gating.js';
export { Fold, PixelShuffle, PixelUnshuffle, Unflatten, Unfold, Upsample, type UpsampleOptions } from './image.js';
export * as init from './init.js';
export { Flatten, Identity, Linear, type LinearOptions } from './linear.js';
export {
  BCELoss,
  BCEWithLogitsLoss,
  CosineEmbeddingLoss,
  CosineSimilarity,
  CrossEntropyLoss,
  GaussianNLLLoss,
  HingeEmbeddingLoss,
  HuberLoss,
  KLDivLoss,
  L1Loss,
  MarginRankingLoss,
  MSELoss,
  MultiLabelSoftMarginLoss,
  MultiMarginLoss,
  NLLLoss,
  PairwiseDistance,
  PoissonNLLLoss,
  SmoothL1Loss,
  SoftMarginLoss,
  TripletMarginLoss,
  type CrossEntropyLossOptions,
  type NLLLossOptions,
} from './loss.js';
export { Module, type ForwardHook, type LoadResult, type StateDict, type UnaryModule } from './module.js';
export {
  GroupNorm,
  LayerNorm,
  LocalResponseNorm,
  RMSNorm,
  type GroupNormOptions,
  type LayerNormOptions,
  type RMSNormOptions,
} from './norm.js';
export {
  CircularPad1d,
  CircularPad2d,
  CircularPad3d,
  ConstantPad1d,
  ConstantPad2d,
  ConstantPad3d,
  ReflectionPad1d,
  ReflectionPad2d,
  ReflectionPad3d,
  ReplicationPad1d,
  ReplicationPad2d,
  ReplicationPad3d,
  ZeroPad2d,
} from './padding.js';
export { packPaddedSequence, packSequence, padPackedSequence, padSequence, type PackedSequence } from './packed.js';
export { Parameter } from './parameter.js';
export {
  AdaptiveAvgPool1d,
  AdaptiveAvgPool2d,
  AdaptiveMaxPool1d,
  AdaptiveMaxPool2d,
  AvgPool1d,
  AvgPool2d,
  AvgPool3d,
  MaxPool1d,
  MaxPool2d,
} from './pool.js';
export { summary, type LayerSummary, type Summary, type SummaryOptions } from './summary.js';
export { LearnedPositions, RotaryPositions, SinusoidalPositions, sinusoids } from './positions.js';
export {
  GRU,
  GRUCell,
  LSTM,
  LSTMCell,
  RNN,
  RNNCell,
  type CellOptions,
  type LSTMState,
  type RecurrentCallOptions,
  type RecurrentOptions,
  type RNNOptions,
} from './rnn.js';
export {
  LiteralTransformerBlock,
  Transformer,
  TransformerDecoder,
  TransformerDecoderLayer,
  TransformerEncoder,
  TransformerEncoderLayer,
  type DecoderLayerCache,
  type DecoderMasks,
  type EncoderMasks,
  type StepMasks,
  type TransformerLayerOptions,
  type TransformerOptions,
} from './transformer.js';
