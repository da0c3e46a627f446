export { Tensor } from './tensor.js';
export type { DType, TypedArray } from './dtype.js';
export type { Shape } from './shape.js';
export * from './errors.js';
export { defaultGenerator, Generator, manualSeed, type GeneratorState } from './random.js';

export { detectAnomaly, AnomalyError, enableGrad, isGradEnabled, noGrad, type Hook } from './autograd/graph.js';
export { grad, type BackwardOptions, type GradOptions } from './autograd/backward.js';
export { gradcheck, gradgradcheck, type Differentiable, type GradcheckOptions } from './autograd/gradcheck.js';
export { defineFunction, type FunctionContext, type FunctionDefinition } from './autograd/function.js';
export { keep, scope } from './autograd/scope.js';
export { meta } from './meta.js';

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
  exponential,
  multinomial,
  rand,
  randint,
  randn,
  randperm,
  type DropoutOptions,
  type MultinomialOptions,
  type RandomOptions,
} from './ops/random.js';
export {
  add,
  atan2,
  div,
  eq,
  floorDivide,
  fmax,
  fmin,
  fmod,
  ge,
  gt,
  hypot,
  le,
  logaddexp,
  logicalAnd,
  logicalOr,
  lt,
  maximum,
  minimum,
  mul,
  ne,
  pow,
  remainder,
  sub,
  trueDivide,
  xlogy,
  type AlphaOptions,
  type DivOptions,
  type Operand,
} from './ops/binary.js';
export { addcdiv, addcmul, lerp, type ValueOptions } from './ops/ternary.js';
export {
  allclose,
  bitwiseAnd,
  bitwiseNot,
  bitwiseOr,
  bitwiseXor,
  equal,
  heaviside,
  isclose,
  isinf,
  isnan,
  logicalXor,
  nanToNum,
  type CloseOptions,
  type NanToNumOptions,
} from './ops/logic.js';
export { clamp, clampMax, clampMin } from './ops/clamp.js';
export {
  abs,
  acos,
  acosh,
  asin,
  asinh,
  atan,
  atanh,
  ceil,
  cos,
  cosh,
  erf,
  erfc,
  exp,
  exp2,
  expm1,
  floor,
  frac,
  log,
  log10,
  log1p,
  log2,
  logit,
  neg,
  reciprocal,
  round,
  rsqrt,
  sigmoid,
  sign,
  sin,
  sinh,
  sqrt,
  square,
  tan,
  tanh,
  trunc,
} from './ops/unary.js';
export {
  celu,
  elu,
  gelu,
  glu,
  hardshrink,
  hardsigmoid,
  hardswish,
  hardtanh,
  leakyRelu,
  logSigmoid,
  maxout,
  mish,
  prelu,
  relu,
  relu6,
  rrelu,
  selu,
  silu,
  softplus,
  softshrink,
  softsign,
  tanhshrink,
  threshold,
  type GeluOptions,
  type RReluOptions,
} from './ops/activation.js';
export { clone, contiguous, isfinite, logicalNot, to } from './ops/cast.js';
export {
  all,
  amax,
  amin,
  any,
  argmax,
  argmin,
  countNonzero,
  max,
  mean,
  min,
  prod,
  sum,
  type Dims,
  type ReduceDType,
} from './ops/reduce.js';
export {
  logsumexp,
  nanmean,
  nansum,
  norm,
  std,
  stdMean,
  variance as var,
  varMean,
  vectorNorm,
  type VarianceOptions,
} from './ops/statistics.js';
export { det, eigh, eigvalsh, inverse, solve, svd, svdvals, trace, type Eigh, type Svd } from './ops/linalg.js';
export {
  atleast1d,
  atleast2d,
  atleast3d,
  broadcastTensors,
  broadcastTo,
  cat,
  chunk,
  diag,
  diagEmbed,
  diagonal,
  expand,
  flatten,
  hstack,
  movedim,
  narrow,
  permute,
  reshape,
  select,
  slice,
  split,
  squeeze,
  stack,
  swapaxes,
  t,
  tensorSplit,
  transpose,
  unbind,
  unflatten,
  unfoldDim,
  unsqueeze,
  view,
  vstack,
} from './ops/views.js';
export {
  flip,
  fliplr,
  flipud,
  meshgrid,
  repeat,
  repeatInterleave,
  roll,
  rot90,
  tile,
  tril,
  trilIndices,
  triu,
  triuIndices,
} from './ops/arrange.js';
export {
  gather,
  indexAdd,
  indexCopy,
  indexFill,
  maskedFill,
  maskedScatter,
  maskedSelect,
  nonzero,
  scatter,
  scatterAdd,
  take,
  takeAlongDim,
} from './ops/gather.js';
export { index, indexPut, type IndexPutOptions, type Range, type Subscript } from './ops/subscript.js';
export { einsum } from './ops/einsum.js';
export { cummax, cummin, cumprod, cumsum, type DTypeOption, type ValuesAndIndices } from './ops/scan.js';
export {
  argsort,
  bincount,
  bucketize,
  kthvalue,
  median,
  searchsorted,
  sort,
  topk,
  unique,
  type BincountOptions,
  type SearchOptions,
  type SortOptions,
  type TopkOptions,
  type Unique,
} from './ops/sort.js';
export { attentionWeights, scaledDotProductAttention, type AttentionOptions } from './ops/attention.js';
export { addmm, baddbmm, bilinear, bmm, dot, linear, matmul, mm, mv, outer, type AddmmOptions } from './ops/matmul.js';
export { logSoftmax, softmax, softmin } from './ops/softmax.js';
export { recurrent, type Cell, type RecurrentInputs, type RecurrentOutputs } from './ops/recurrent.js';
export {
  conv1d,
  conv2d,
  convTranspose1d,
  convTranspose2d,
  getWinograd,
  setWinograd,
  type ConvActivation,
  type ConvOptions,
  type ConvTransposeOptions,
} from './ops/conv.js';
export { convolutionMatrix, convolve1d, convolve2d, type ConvolveMode, type ConvolveOptions } from './ops/convolve.js';
export { groupNorm, layerNorm, rmsNorm, type NormOptions, type RmsNormOptions } from './ops/norm.js';
export { batchNorm, instanceNorm, type BatchNormOptions, type InstanceNormOptions } from './ops/batch_norm.js';
export { localResponseNorm, type LocalResponseNormOptions } from './ops/local_norm.js';
export {
  fold,
  interpolate,
  pad,
  pixelShuffle,
  pixelUnshuffle,
  unfold,
  type InterpolateMode,
  type InterpolateOptions,
  type PadMode,
  type PadOptions,
  type UnfoldOptions,
} from './ops/image.js';
export {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  avgPool1d,
  avgPool2d,
  avgPool3d,
  maxPool1d,
  maxPool2d,
  maxPool3d,
  type AdaptiveMaxPoolOptions,
  type AvgPoolOptions,
  type MaxPoolOptions,
  type OutputSize,
  type Sizes,
} from './ops/pool.js';
export {
  cosineSimilarity,
  normalize,
  pairwiseDistance,
  type CosineSimilarityOptions,
  type NormalizeOptions,
  type PairwiseDistanceOptions,
} from './ops/distance.js';
export { crossEntropy, nllLoss, type CrossEntropyOptions, type NllLossOptions } from './ops/loss.js';
export type { LossOptions, Reduction } from './ops/loss_common.js';
export {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  gaussianNllLoss,
  huberLoss,
  klDiv,
  l1Loss,
  mseLoss,
  multilabelSoftMarginLoss,
  poissonNllLoss,
  smoothL1Loss,
  type BinaryCrossEntropyWithLogitsOptions,
  type GaussianNllLossOptions,
  type KlDivOptions,
  type PoissonNllLossOptions,
} from './ops/loss_pairs.js';
export {
  cosineEmbeddingLoss,
  hingeEmbeddingLoss,
  marginRankingLoss,
  multiMarginLoss,
  softMarginLoss,
  tripletMarginLoss,
  type MultiMarginLossOptions,
  type TripletMarginLossOptions,
} from './ops/loss_margins.js';
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

export * from './nn/index.js';
export * from './optim/index.js';
export * from './models/index.js';

export { Dataset, ListDataset, randomSplit, TensorDataset, type Batches, type Items } from './data/dataset.js';
export { Rows, type Indices } from './data/rows.js';
export { DataLoader, type DataLoaderOptions, type LoaderState } from './data/loader.js';
export { generateMnist1d, mnist1d, type Mnist1d, type Mnist1dOptions } from './data/mnist1d.js';
export { mnist, type MnistOptions } from './data/mnist.js';
export { playground, playgroundNames, type PlaygroundName, type PlaygroundOptions } from './data/playground.js';
export { cifar10, cifar10Classes, readCifar10, type Cifar10, type Cifar10Options } from './data/cifar10.js';
export { imageFolder, ImageFolder, type ImageFile, type ImageFolderOptions } from './data/image_folder.js';
export { augmentImages, imageStatistics, normalizeImages, padImages, type AugmentOptions } from './data/augment.js';
export { readCsv, type CsvOptions } from './data/csv.js';
export { readParquet, type ParquetOptions } from './data/parquet.js';
export { Table, type Column, type MissingValues, type TableDatasetOptions } from './data/table.js';
export { LineDataset, readText, TextDataset, type LineDatasetOptions, type TextDatasetOptions } from './data/text.js';
export {
  PairDataset,
  readPairs,
  SyntheticPairs,
  type MarkedTokenizer,
  type PairDatasetOptions,
  type PairInput,
  type SentencePair,
  type SyntheticPairsOptions,
} from './data/pairs.js';
export { IGNORED } from './data/pad.js';
export { names, sentencePairs, splitText, tinyShakespeare, type CorpusOptions } from './data/corpora.js';
export { readIdx, type IdxArray } from './data/idx.js';
export { cacheDir, download, type DownloadOptions, type FetchOptions } from './data/download.js';

export { checkVocabulary, TokenStream, Vocabulary, type Tokenizer, type UnknownPieces } from './text/tokenizer.js';
export {
  ByteTokenizer,
  CharTokenizer,
  WordTokenizer,
  wordTokens,
  type CharTokenizerOptions,
  type WordTokenizerOptions,
  type WordVocabularyOptions,
} from './text/vocabularies.js';
export { loadTokenizer, loadTokenizers, saveTokenizer, saveTokenizers, type OwnTokenizer } from './text/files.js';

export { loadFile, loadFileWithMetadata, loadMetadata, saveFile, type NamedTensors } from './io/safetensors.js';
export { JsonlWriter, readJsonl } from './io/jsonl.js';
export { writeAtomic, type FileContents } from './io/atomic.js';

export * from './train/index.js';
