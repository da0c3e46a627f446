import { fromTypedArray, type Tensor } from 'myelin';
import { Unsupported, type Arguments } from './arguments.js';
import { cancelling, exact, normalised, product, total, transcendental, weightGradient, type Gate } from './gates.js';
import { callFunction, camelCase, many, one, operation, options, type Operation } from './operation.js';

const activation = (name: string, gate: Gate = total): Operation =>
  operation('input', (a) => one(name, a.tensor('input')), gate);

/** An activation with numbers after its input, passed one after another. */
const withNumbers = (name: string, parameters: string, gate: Gate = total, grads: Gate = total): Operation =>
  operation(
    `input ${parameters}`,
    (a) => one(name, a.tensor('input'), ...parameters.split(' ').map((p) => a.number(p))),
    gate,
    grads,
  );

const windows = { stride: 'integers', padding: 'integers' } as const;

const averagePool = (dims: 1 | 2 | 3): Operation =>
  operation('input kernel_size stride padding ceil_mode count_include_pad divisor_override', (a) =>
    one(`avgPool${dims}d`, a.tensor('input'), a.integers('kernel_size'), {
      ...nonEmpty(a, 'stride'),
      ...options(a, {
        padding: 'integers',
        ceil_mode: 'boolean',
        count_include_pad: 'boolean',
        divisor_override: 'number',
      }),
    }),
  );

/** An empty list of strides means the kernel's size, as leaving it out does. */
function nonEmpty(a: Arguments, name: string): Record<string, unknown> {
  const value = a.integers(name);
  return value === undefined || (Array.isArray(value) && value.length === 0) ? {} : { [name]: value };
}

const maxPool = (dims: 1 | 2): Operation =>
  operation(
    'input kernel_size stride padding dilation ceil_mode return_indices',
    (a) =>
      many(
        `maxPool${dims}d`,
        a.tensor('input'),
        a.integers('kernel_size'),
        options(a, { ...windows, dilation: 'integers', ceil_mode: 'boolean', return_indices: 'boolean' }),
      ),
    exact,
    total,
  );

const adaptivePool = (name: string, gate: Gate = total): Operation =>
  operation(
    'input output_size return_indices',
    (a) => many(name, a.tensor('input'), a.integers('output_size'), options(a, { return_indices: 'boolean' })),
    gate,
  );

const convolution = (dims: 1 | 2): Operation =>
  operation(
    'input weight bias stride padding dilation groups',
    (a) =>
      one(`conv${dims}d`, a.tensor('input'), a.tensor('weight'), a.optionalTensor('bias') ?? null, {
        ...padding(a),
        ...options(a, { stride: 'integers', dilation: 'integers', groups: 'number' }),
      }),
    product,
    weightGradient,
  );

/** Amounts, or the name of one. */
function padding(a: Arguments): Record<string, unknown> {
  try {
    return options(a, { padding: 'integers' }) ?? {};
  } catch {
    return options(a, { padding: 'string' }) ?? {};
  }
}

const transposed = (dims: 1 | 2): Operation =>
  operation(
    'input weight bias stride padding output_padding groups dilation',
    (a) =>
      one(
        `convTranspose${dims}d`,
        a.tensor('input'),
        a.tensor('weight'),
        a.optionalTensor('bias') ?? null,
        options(a, { ...windows, output_padding: 'integers', groups: 'number', dilation: 'integers' }),
      ),
    product,
    weightGradient,
  );

const affine = { weight: 'tensor', bias: 'tensor', eps: 'number' } as const;

/** Two or three tensors, then options. */
const loss = (
  name: string,
  tensors: string,
  kinds: Parameters<typeof options>[1] = {},
  grads: Gate = total,
): Operation =>
  operation(
    `input ${tensors}`,
    (a) =>
      one(
        camelCase(name),
        a.tensor('input'),
        ...tensors.split(' ').map((t) => a.tensor(t)),
        options(a, { reduction: 'string', ...kinds }),
      ),
    // Terms of either sign that are summed.
    cancelling,
    grads,
  );

/** `torch.manual_seed(42)`, then 120 of `torch.bernoulli(0.5)`: what PyTorch's own dropout keeps in these samples. */
const kept =
  '111101001111001010011011110111111100011101110011000110101101101011000100110100110001001011001101001011000011001111100100';

/**
 * Attention and its weights. PyTorch's random dropout is put in from its own generator: which elements another library drops
 * is its own affair.
 */
function attention(a: Arguments): Tensor[] {
  const [q, k, v] = [a.tensor('query'), a.tensor('key'), a.tensor('value')];
  const causal = a.boolean('is_causal') ?? false;
  const mask = a.optionalTensor('attn_mask') ?? null;
  const rate = a.number('dropout_p') ?? 0;
  // PyTorch 1.13 returns the weights either way.
  a.boolean('need_attn_weights');
  const weights = one('attentionWeights', q, k, { mask, causal });
  if (rate === 0) return [one('scaledDotProductAttention', q, k, v, { mask, causal }), weights];
  if (rate !== 0.5 || weights.numel > kept.length) throw new Unsupported('random dropout');
  const scales = Float64Array.from({ length: weights.numel }, (_, i) => 2 * Number(kept[i]));
  const dropped = weights.mul(fromTypedArray(scales, weights.shape).to(weights.dtype));
  return [dropped.matmul(v), dropped];
}

/** nn.functional. */
const functional: Readonly<Record<string, Operation>> = {
  relu: activation('relu', exact),
  relu6: activation('relu6', exact),
  hardswish: activation('hardswish'),
  hardsigmoid: activation('hardsigmoid'),
  logsigmoid: activation('logSigmoid', transcendental),
  mish: activation('mish'),
  silu: activation('silu'),
  selu: activation('selu'),
  softsign: activation('softsign'),
  tanhshrink: activation('tanhshrink'),
  elu: withNumbers('elu', 'alpha'),
  celu: withNumbers('celu', 'alpha'),
  leaky_relu: withNumbers('leakyRelu', 'negative_slope'),
  threshold: withNumbers('threshold', 'threshold value', exact, exact),
  softshrink: withNumbers('softshrink', 'lambd'),
  hardshrink: withNumbers('hardshrink', 'lambd', exact, exact),
  hardtanh: withNumbers('hardtanh', 'min_val max_val', exact, exact),
  gelu: operation('input approximate', (a) => one('gelu', a.tensor('input'), options(a, { approximate: 'string' }))),
  glu: operation('input dim', (a) => one('glu', a.tensor('input'), a.number('dim'))),
  prelu: operation('input weight', (a) => one('prelu', a.tensor('input'), a.tensor('weight')), exact),
  softplus: operation('input beta threshold', (a) =>
    one('softplus', a.tensor('input'), options(a, { beta: 'number', threshold: 'number' })),
  ),

  linear: operation(
    'input weight bias',
    (a) => one('linear', a.tensor('input'), a.tensor('weight'), a.optionalTensor('bias')),
    product,
    weightGradient,
  ),
  bilinear: operation(
    'input1 input2 weight bias',
    (a) => one('bilinear', a.tensor('input1'), a.tensor('input2'), a.tensor('weight'), a.optionalTensor('bias')),
    product,
    weightGradient,
  ),
  conv1d: convolution(1),
  conv2d: convolution(2),
  conv_transpose1d: transposed(1),
  conv_transpose2d: transposed(2),
  // The sample's input is the table.
  embedding: operation('weight input', (a) => one('embedding', a.tensor('input'), a.tensor('weight')), exact, total),
  _scaled_dot_product_attention: operation(
    'query key value attn_mask dropout_p need_attn_weights is_causal',
    attention,
    { kind: 'near', limit: 1e-6 },
    // Scores near 80 leave differences of a softmax near 1: PyTorch's float32 itself is 3.1e-5 off, and so is this library. In float64 the
    // same samples are held to a millionth of this.
    { kind: 'norm', limit: 4e-5 },
  ),

  avg_pool1d: averagePool(1),
  avg_pool2d: averagePool(2),
  avg_pool3d: averagePool(3),
  max_pool1d: maxPool(1),
  max_pool2d: maxPool(2),
  adaptive_avg_pool1d: adaptivePool('adaptiveAvgPool1d'),
  adaptive_avg_pool2d: adaptivePool('adaptiveAvgPool2d'),
  adaptive_max_pool2d: adaptivePool('adaptiveMaxPool2d', exact),
  interpolate: operation('input size scale_factor mode align_corners', (a) =>
    one(
      'interpolate',
      a.tensor('input'),
      options(a, { size: 'integers', scale_factor: 'number', mode: 'string', align_corners: 'boolean' }),
    ),
  ),
  pad: operation(
    'input pad mode value',
    (a) => one('pad', a.tensor('input'), a.list('pad'), options(a, { mode: 'string', value: 'number' })),
    exact,
    total,
  ),
  unfold: operation(
    'input kernel_size dilation padding stride',
    (a) =>
      callFunction(
        'unfold',
        a.tensor('input'),
        a.integers('kernel_size'),
        options(a, { ...windows, dilation: 'integers' }),
      ),
    exact,
    total,
  ),
  pixel_shuffle: operation(
    'input upscale_factor',
    (a) => one('pixelShuffle', a.tensor('input'), a.integer('upscale_factor')),
    exact,
    exact,
  ),
  pixel_unshuffle: operation(
    'input downscale_factor',
    (a) => one('pixelUnshuffle', a.tensor('input'), a.integer('downscale_factor')),
    exact,
    exact,
  ),

  batch_norm: operation(
    'input running_mean running_var weight bias training momentum eps',
    (a) =>
      one(
        'batchNorm',
        a.tensor('input'),
        a.optionalTensor('running_mean') ?? null,
        a.optionalTensor('running_var') ?? null,
        options(a, { ...affine, training: 'boolean', momentum: 'number' }),
      ),
    normalised,
    normalised,
  ),
  instance_norm: operation(
    'input running_mean running_var weight bias use_input_stats momentum eps',
    (a) =>
      one(
        'instanceNorm',
        a.tensor('input'),
        options(a, {
          ...affine,
          running_mean: 'tensor',
          running_var: 'tensor',
          use_input_stats: 'boolean',
          momentum: 'number',
        }),
      ),
    normalised,
    normalised,
  ),
  layer_norm: operation(
    'input normalized_shape weight bias eps',
    (a) => one('layerNorm', a.tensor('input'), a.list('normalized_shape'), options(a, affine)),
    normalised,
    normalised,
  ),
  group_norm: operation(
    'input num_groups weight bias eps',
    (a) => one('groupNorm', a.tensor('input'), a.integer('num_groups'), options(a, affine)),
    normalised,
    normalised,
  ),
  local_response_norm: operation('input size alpha beta k', (a) =>
    one(
      'localResponseNorm',
      a.tensor('input'),
      a.integer('size'),
      options(a, { alpha: 'number', beta: 'number', k: 'number' }),
    ),
  ),
  normalize: operation(
    'input p dim eps',
    (a) => one('normalize', a.tensor('input'), options(a, { p: 'number', dim: 'integers', eps: 'number' })),
    total,
    // Of short vectors it is a difference of terms of the size of 1 / |x|: PyTorch's own is 1.5e-5 off.
    { kind: 'unit', limit: 5e-6 },
  ),
  cosine_similarity: operation('x1 x2 dim eps', (a) =>
    one('cosineSimilarity', a.tensor('x1'), a.tensor('x2'), options(a, { dim: 'number', eps: 'number' })),
  ),

  cross_entropy: loss('cross_entropy', 'target', {
    weight: 'tensor',
    ignore_index: 'number',
    label_smoothing: 'number',
  }),
  nll_loss: loss('nll_loss', 'target', { weight: 'tensor', ignore_index: 'number' }),
  binary_cross_entropy: loss('binary_cross_entropy', 'target', { weight: 'tensor' }),
  binary_cross_entropy_with_logits: loss('binary_cross_entropy_with_logits', 'target', {
    weight: 'tensor',
    pos_weight: 'tensor',
  }),
  l1_loss: loss('l1_loss', 'target'),
  mse_loss: loss('mse_loss', 'target'),
  smooth_l1_loss: loss('smooth_l1_loss', 'target', { beta: 'number' }),
  huber_loss: loss('huber_loss', 'target', { delta: 'number' }),
  kl_div: loss('kl_div', 'target', { log_target: 'boolean' }),
  gaussian_nll_loss: loss('gaussian_nll_loss', 'target var', { full: 'boolean', eps: 'number' }),
  poisson_nll_loss: loss('poisson_nll_loss', 'target', { log_input: 'boolean', full: 'boolean', eps: 'number' }),
  hinge_embedding_loss: loss('hinge_embedding_loss', 'target', { margin: 'number' }),
  margin_ranking_loss: loss('margin_ranking_loss', 'input2 target', { margin: 'number' }),
  soft_margin_loss: loss('soft_margin_loss', 'target'),
  cosine_embedding_loss: loss('cosine_embedding_loss', 'input2 target', { margin: 'number' }),
  multi_margin_loss: loss('multi_margin_loss', 'target', { p: 'number', margin: 'number', weight: 'tensor' }),
  multilabel_soft_margin_loss: loss('multilabel_soft_margin_loss', 'target', { weight: 'tensor' }),
  pairwise_distance: operation('x1 x2 p eps keepdim', (a) =>
    one(
      'pairwiseDistance',
      a.tensor('x1'),
      a.tensor('x2'),
      options(a, { p: 'number', eps: 'number', keepdim: 'boolean' }),
    ),
  ),
  triplet_margin_loss: loss('triplet_margin_loss', 'positive negative', {
    margin: 'number',
    p: 'number',
    eps: 'number',
    swap: 'boolean',
  }),
};

export const layers: Readonly<Record<string, Operation>> = Object.fromEntries(
  Object.entries(functional).map(([name, op]) => [`nn.functional.${name}`, op]),
);
