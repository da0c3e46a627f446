import type { Finding, Setting } from './experiment.js';

/** An experiment and the way to load it. */
export interface Entry {
  /** Section of the course. */
  readonly section: string;
  readonly title: string;
  readonly load: () => Promise<{ readonly run: (setting: Setting) => Promise<Finding> }>;
}

const neurons = (title: string, load: Entry['load']): Entry => ({ section: 'Neurons, outputs, losses', title, load });
const feedForward = (title: string, load: Entry['load']): Entry => ({ section: 'Feed-forward networks', title, load });
const convolution = (title: string, load: Entry['load']): Entry => ({ section: 'Convolution', title, load });
const unsupervised = (title: string, load: Entry['load']): Entry => ({ section: 'Without a teacher', title, load });
const deep = (title: string, load: Entry['load']): Entry => ({ section: 'Depth', title, load });

/** Every experiment of the course by its name, in the order of the lectures. */
export const experiments: Readonly<Record<string, Entry>> = {
  perceptron: neurons('updates on separable points, against the bound (R/γ)²', () => import('./perceptron.js')),
  'loss-surface': neurons('gradient descent over the loss of a line', () => import('./loss_surface.js')),
  glm: neurons('four generalised linear models, by Newton’s method and by gradients', () => import('./glm.js')),
  softmax: neurons('the Jacobian of softmax, and K − 1 logits for K classes', () => import('./softmax.js')),
  activations: neurons('gallery of activation functions and their derivatives', () => import('./activations.js')),
  'chain-rule': neurons('derivatives of (2x − 3)³ by backpropagation', () => import('./chain_rule.js')),
  joints: feedForward('joints of a 1-3-1 network, polygons of a 2-3-1 network', () => import('./joints.js')),
  playground: feedForward('circle, xor, clouds and spiral, learnt by 2-4-2-1 of tanh', () => import('./playground.js')),
  universal: feedForward('one hidden layer of D units fitted to a function', () => import('./universal.js')),
  collapse: feedForward('deep linear networks are one layer', () => import('./collapse.js')),
  depth: feedForward('1 to 4 layers of as many parameters learn random labels', () => import('./depth.js')),
  regions: feedForward('linear regions: counted, sampled, and the most there can be', () => import('./regions.js')),
  representation: feedForward(
    'Θ = U S Vᵀ, and how a 2-2-1 network warps the plane',
    () => import('./representation.js'),
  ),
  'michaelis-menten': feedForward('V[S] / (K + [S]) by one layer and by two', () => import('./michaelis_menten.js')),
  'double-descent': feedForward('test error against width, with wrong labels', () => import('./double_descent.js')),
  'hidden-weights': feedForward(
    'weights of hidden units beside those of logistic regression, on MNIST',
    () => import('./hidden_weights.js'),
  ),
  growth: feedForward('parameters of networks over the years', () => import('./growth.js')),
  toeplitz: convolution('convolution as a matrix, smoothing, edges, pooling', () => import('./toeplitz.js')),
  mnist1d: convolution(
    'linear, perceptron, convolutional and recurrent network on MNIST-1D',
    () => import('./mnist1d.js'),
  ),
  autoencoders: unsupervised(
    'PCA and four autoencoders of digits: errors and reconstructions',
    () => import('./autoencoders.js'),
  ),
  rbm: unsupervised('hidden units of a Boltzmann machine against pixels, on nudged digits', () => import('./rbm.js')),
  gradients: deep('size of the gradient by depth, with skips and norms and without', () => import('./gradients.js')),
};
