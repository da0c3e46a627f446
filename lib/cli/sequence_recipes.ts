import type { SequenceDataset } from '../models/sequences.js';
import type { Recipe } from './recipes.js';

/** A character model of tiny Shakespeare: 2,000 steps, judged every 250. */
const text: Recipe = {
  optimizer: 'adamw',
  lr: 2e-3,
  weightDecay: 0.1,
  schedule: 'warmup-cosine',
  warmup: 100,
  clipNorm: 1,
  batchSize: 12,
  batches: 250,
  epochs: 8,
  shuffle: true,
  augment: false,
};

const pairs: Recipe = {
  ...text,
  optimizer: 'adam',
  lr: 2e-3,
  weightDecay: 0,
  schedule: 'constant',
  batchSize: 64,
  batches: 100,
  epochs: 10,
};

/** What the data set alone says, and the model for it. */
export const sequenceRecipes: Readonly<Record<SequenceDataset, { readonly model: string; readonly recipe: Recipe }>> = {
  shakespeare: { model: 'char-gpt', recipe: text },
  text: { model: 'char-gpt', recipe: text },
  names: { model: 'char-gru', recipe: { ...text, batches: null, epochs: 2 } },
  reverse: { model: 'seq2seq-attention', recipe: { ...pairs, lr: 5e-3, schedule: 'cosine', batchSize: 256 } },
  copy: {
    model: 'seq2seq-transformer',
    recipe: { ...pairs, lr: 0.5, schedule: 'noam', warmup: 400, batchSize: 80, batches: 100, epochs: 12 },
  },
  translation: {
    model: 'seq2seq-attention',
    recipe: { ...pairs, lr: 2e-3, schedule: 'warmup-cosine', warmup: 200, batches: null, epochs: 5 },
  },
};

const recurrent: Partial<Recipe> = { optimizer: 'adam', lr: 3e-3, weightDecay: 0, batchSize: 32 };

/** What the model changes in that. */
export const sequenceModelRecipes: Readonly<Record<string, Partial<Recipe>>> = {
  'char-rnn': { ...recurrent, lr: 1e-3 },
  'char-gru': recurrent,
  'char-lstm': recurrent,
};
