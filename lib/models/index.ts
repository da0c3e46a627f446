export { Perceptron, mistakeBound, type PerceptronFit, type PerceptronFitOptions } from './perceptron.js';
export { GLM, type GLMFamily, type GLMFit, type GLMFitOptions } from './glm.js';
export { ShallowNetwork, TwoLayerNetwork, type HiddenActivation } from './shallow.js';
export { collapse, MLP, mlpWeights, type MLPOptions, type ModelOptions } from './mlp.js';
export { Mnist1dLinear, Mnist1dMLP } from './mnist1d.js';
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
export { createModel, modelEntry, modelNames, type ModelEntry, type ModelName } from './registry.js';
export { CharRNN, type CharState } from './char_rnn.js';
export {
  drawToken,
  GPT,
  gpt,
  gptConfigs,
  type GenerateOptions,
  type GPTCallOptions,
  type GPTConfig,
  type KVCache,
} from './gpt.js';
export { AttentionSeq2Seq, Seq2Seq, type Seq2SeqOptions } from './seq2seq.js';
