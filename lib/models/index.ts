export { Perceptron, mistakeBound, type PerceptronFit, type PerceptronFitOptions } from './perceptron.js';
export { GLM, type GLMFamily, type GLMFit, type GLMFitOptions } from './glm.js';
export { ShallowNetwork, TwoLayerNetwork, type HiddenActivation } from './shallow.js';
export { collapse, MLP, mlpWeights, type MLPOptions, type ModelOptions } from './mlp.js';
export {
  activationPatterns,
  linearPieces,
  maximumRegions,
  planeGrid,
  sampledRegions,
  zigzagNetwork,
  type LinearPiece,
} from './regions.js';
export { Mnist1dCNN, Mnist1dGRU, Mnist1dLinear, Mnist1dMLP } from './mnist1d.js';
export { DigitCNN, LeNet5, lenetLoss, LeNet5Original, RBFOutput, SparseConv2d, TrainableSubsampling } from './lenet.js';
export { AlexNet, AlexNetGrouped, type AlexNetOptions } from './alexnet.js';
export { CifarVGG, VGG, vggLayers, type ImageModelOptions, type VGGLayers, type VGGOptions } from './vgg.js';
export { GoogLeNet, googlenetLoss, type GoogLeNetOptions } from './googlenet.js';
export {
  BasicBlock,
  Bottleneck,
  CifarResNet,
  PadShortcut,
  ResNet,
  resnetLayers,
  type ResNetOptions,
} from './resnet.js';
export { DenseNet, densenetLayers, type DenseNetOptions } from './densenet.js';
export { PCA } from './pca.js';
export {
  Autoencoder,
  Corruption,
  DenoisingAutoencoder,
  LinearAutoencoder,
  SparseAutoencoder,
  type AutoencoderOptions,
  type CorruptionKind,
  type SparseAutoencoderOptions,
} from './autoencoder.js';
export { RBM, type GibbsOptions } from './rbm.js';
export { ElmanNetwork } from './elman.js';
export { CharRNN, type CharState } from './char_rnn.js';
export {
  drawToken,
  generateTokens,
  type CausalModel,
  type DecoderCallOptions,
  type DrawOptions,
  type GenerateOptions,
  type KVCache,
} from './generate.js';
export { GPT, gpt, gptConfigs, type GPTConfig } from './gpt.js';
export { Decoder, type DecoderConfig } from './decoder.js';
export { loadGPT, saveGPT, type LoadGPTOptions, type SaveGPTOptions } from './gpt_files.js';
export {
  AttentionSeq2Seq,
  Seq2Seq,
  type AttentionState,
  type Seq2SeqCallOptions,
  type Seq2SeqOptions,
} from './seq2seq.js';
export { copyTask, TransformerSeq2Seq, type TransformerSeq2SeqOptions, type TransformerState } from './transformer.js';
export {
  beamSearch,
  greedyDecode,
  type BeamSearchOptions,
  type DecodeOptions,
  type Hypothesis,
  type StepModel,
} from './beam.js';
export { createModel, modelEntry, modelNames, type ModelDataset, type ModelEntry, type ModelName } from './registry.js';
export {
  sequenceDatasets,
  sequenceEntry,
  sequenceModelNames,
  type SequenceDataset,
  type SequenceEntry,
  type SequenceModelName,
  type SequenceSizes,
} from './sequences.js';
