import { Linear } from '../nn/linear.js';
import { Module } from '../nn/module.js';
import { RNN } from '../nn/rnn.js';
import type { Tensor } from '../tensor.js';
import type { ModelOptions } from './mlp.js';

/**
 * Elman's network ("Finding structure in time", 1990): the hidden layer reads the input and its own last values, its context;
 * h_t = tanh(W_ih x_t + b_ih + W_hh h_{t−1} + b_hh), y_t = W_o h_t + b_o.
 */
export class ElmanNetwork extends Module {
  readonly rnn: RNN;
  readonly out: Linear;

  constructor(inputs: number, hidden: number, outputs: number, options: ModelOptions = {}) {
    super();
    this.rnn = new RNN(inputs, hidden, options);
    this.out = new Linear(hidden, outputs, options);
  }

  /** x (T, B, inputs), the context (1, B, hidden) of the call before or zeros: y (T, B, outputs) and the context. */
  forward(x: Tensor, context: Tensor | null = null): [y: Tensor, context: Tensor] {
    const [states, last] = this.rnn.forward(x, context);
    return [this.out.forward(states), last];
  }
}
