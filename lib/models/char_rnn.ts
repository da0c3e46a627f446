import { keep } from '../autograd/scope.js';
import { checkOneOf } from '../check.js';
import { Embedding } from '../nn/embedding.js';
import { Linear } from '../nn/linear.js';
import { Module } from '../nn/module.js';
import { GRU, LSTM, RNN, type RecurrentOptions } from '../nn/rnn.js';
import { Tensor } from '../tensor.js';
import { generateTokens, type CausalModel, type GenerateOptions } from './generate.js';

const layers = { rnn: RNN, lstm: LSTM, gru: GRU } as const;

/** States of a {@link CharRNN} between calls. */
export type CharState = Tensor | readonly [Tensor, Tensor];

/** A character language model: embedding, recurrent layers, a linear head at every step (Karpathy, 2015). */
export class CharRNN extends Module {
  readonly emb: Embedding;
  readonly rnn: RNN | LSTM | GRU;
  readonly out: Linear;

  constructor(
    kind: keyof typeof layers,
    vocabulary: number,
    embeddingDim: number,
    hiddenSize: number,
    options: Omit<RecurrentOptions, 'batchFirst' | 'bidirectional'> = {},
  ) {
    super();
    checkOneOf('CharRNN', 'kind', kind, Object.keys(layers) as (keyof typeof layers)[]);
    this.emb = new Embedding(vocabulary, embeddingDim, { generator: options.generator });
    this.rnn = new layers[kind](embeddingDim, hiddenSize, options);
    this.out = new Linear(hiddenSize, vocabulary, { generator: options.generator });
  }

  /** tokens (T, B) of int32, states of the call before or zeros: logits (T, B, vocabulary) and the states. */
  forward(tokens: Tensor, state: CharState | null = null): [logits: Tensor, state: CharState] {
    const x = this.emb.forward(tokens);
    const [y, last] =
      this.rnn instanceof LSTM
        ? this.rnn.forward(x, state as readonly [Tensor, Tensor] | null)
        : this.rnn.forward(x, state as Tensor | null);
    return [this.out.forward(y), last];
  }

  /**
   * Continues `prompt` token by token, without an end unless `maxTokens` or `stop` gives one; otherwise as {@link generateTokens}.
   * @example for await (const token of model.generate([0], { temperature: 0.8, maxTokens: 200 })) show(token);
   */
  async *generate(prompt: readonly number[], options: GenerateOptions = {}): AsyncGenerator<number, void, undefined> {
    let state: CharState | null = null;
    const parts = (of: CharState | null): readonly Tensor[] => (of === null ? [] : of instanceof Tensor ? [of] : of);
    const replace = (next: CharState | null): void => {
      for (const old of parts(state)) old.dispose();
      state = next;
    };
    const steps: CausalModel = {
      config: { vocabulary: this.emb.numEmbeddings, context: Number.MAX_SAFE_INTEGER },
      newCache: () => ({ layers: [], capacity: Infinity, length: 0 }),
      forward: (tokens) => {
        const [logits, next] = this.forward(tokens.transpose(0, 1), state);
        for (const part of parts(next)) keep(part);
        replace(next);
        return logits.narrow(0, logits.shape[0]! - 1, 1);
      },
    };
    try {
      yield* generateTokens(steps, prompt, {
        maxTokens: Number.MAX_SAFE_INTEGER - prompt.length,
        ...options,
        slide: false,
      });
    } finally {
      replace(null);
    }
  }
}
