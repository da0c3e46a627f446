import type { Arguments } from './arguments.js';
import { cancelling, exact, probability, total, transcendental, type Gate } from './gates.js';
import { many, one, operation, options, type Operation } from './operation.js';

const reduction = (name: string, gate: Gate, grads: Gate = total): Operation =>
  operation(
    'input dim keepdim',
    (a) => {
      const dtype = a.dtype('dtype');
      const x = a.tensor('input');
      return one(name, dtype === undefined ? x : one('to', x, dtype), a.integers('dim'), a.boolean('keepdim'));
    },
    gate,
    grads,
  );

/** std and var: unbiased true is correction 1, false 0; torch.std(x, unbiased) has no dim. */
const moment = (name: string): Operation =>
  operation('input dim unbiased keepdim', (a) => {
    const [dim, unbiased] = dimOrUnbiased(a);
    const given = a.number('correction');
    const correction = unbiased === undefined ? given : unbiased ? 1 : 0;
    const keepdim = a.boolean('keepdim');
    return one(name, a.tensor('input'), dim, {
      ...(correction === undefined ? {} : { correction }),
      ...(keepdim === undefined ? {} : { keepdim }),
    });
  });

function dimOrUnbiased(a: Arguments): [unknown, boolean | undefined] {
  try {
    return [a.integers('dim'), a.boolean('unbiased')];
  } catch {
    return [undefined, a.boolean('dim')];
  }
}

const along = (name: string, gate: Gate): Operation =>
  operation(
    'input dim',
    (a) => {
      const dtype = a.dtype('dtype');
      const x = a.tensor('input');
      return one(name, dtype === undefined ? x : one('to', x, dtype), a.integer('dim'));
    },
    gate,
    // Differences of numbers of the size of the upstream gradient, times a probability.
    cancelling,
  );

const norm = operation('input p dim keepdim', (a) => {
  const p = a.given('p') ? named(a) : undefined;
  return one('norm', a.tensor('input'), p, a.integers('dim'), a.boolean('keepdim'));
});

/** The order of a norm: a number or a name such as 'fro'. */
function named(a: Arguments): unknown {
  try {
    return a.number('p');
  } catch {
    return a.string('p');
  }
}

const lists = (name: string): Operation =>
  operation('tensors dim', (a) => one(name, a.tensors('tensors'), a.number('dim')), exact, exact);

const shaped = (name: string, grads: Gate = total): Operation =>
  operation('input size', (a) => one(name, a.tensor('input'), a.list('size')), exact, grads);

const triangle = (name: string): Operation =>
  operation('input diagonal', (a) => one(name, a.tensor('input'), a.number('diagonal')), exact, exact);

/** Views, shapes, indexing, sorting and reductions. */
export const shaping: Readonly<Record<string, Operation>> = {
  broadcast_to: shaped('broadcastTo'),
  expand: shaped('expand'),
  reshape: shaped('reshape', exact),
  view: shaped('view', exact),
  repeat: shaped('repeat'),
  tile: shaped('tile'),
  chunk: operation(
    'input chunks dim',
    (a) => many('chunk', a.tensor('input'), a.integer('chunks'), a.number('dim')),
    exact,
    exact,
  ),
  split: operation(
    'input split_size_or_sections dim',
    (a) => many('split', a.tensor('input'), a.integers('split_size_or_sections'), a.number('dim')),
    exact,
    exact,
  ),
  diagonal: operation(
    'input offset dim1 dim2',
    (a) => one('diagonal', a.tensor('input'), a.number('offset'), a.number('dim1'), a.number('dim2')),
    exact,
    exact,
  ),
  flatten: operation(
    'input start_dim end_dim',
    (a) => one('flatten', a.tensor('input'), a.number('start_dim'), a.number('end_dim')),
    exact,
    exact,
  ),
  flip: operation('input dims', (a) => one('flip', a.tensor('input'), a.list('dims')), exact, exact),
  roll: operation(
    'input shifts dims',
    (a) => one('roll', a.tensor('input'), a.integers('shifts'), a.integers('dims')),
    exact,
    exact,
  ),
  movedim: operation(
    'input source destination',
    (a) => one('movedim', a.tensor('input'), a.integers('source'), a.integers('destination')),
    exact,
    exact,
  ),
  narrow: operation(
    'input dim start length',
    (a) => one('narrow', a.tensor('input'), a.integer('dim'), a.integer('start'), a.integer('length')),
    exact,
    exact,
  ),
  permute: operation('input dims', (a) => one('permute', a.tensor('input'), a.list('dims')), exact, exact),
  select: operation(
    'input dim index',
    (a) => one('select', a.tensor('input'), a.integer('dim'), a.integer('index')),
    exact,
    exact,
  ),
  squeeze: operation('input dim', (a) => one('squeeze', a.tensor('input'), a.integers('dim')), exact, exact),
  unsqueeze: operation('input dim', (a) => one('unsqueeze', a.tensor('input'), a.integer('dim')), exact, exact),
  t: operation('input', (a) => one('t', a.tensor('input')), exact, exact),
  transpose: operation(
    'input dim0 dim1',
    (a) => one('transpose', a.tensor('input'), a.integer('dim0'), a.integer('dim1')),
    exact,
    exact,
  ),
  tril: triangle('tril'),
  triu: triangle('triu'),
  cat: lists('cat'),
  stack: lists('stack'),
  // Tensor.unfold, not nn.functional.unfold: sliding windows along one dimension.
  unfold: operation(
    'input dimension size step',
    (a) => one('unfoldDim', a.tensor('input'), a.integer('dimension'), a.integer('size'), a.integer('step')),
    exact,
    total,
  ),

  gather: operation(
    'input dim index',
    (a) => one('gather', a.tensor('input'), a.integer('dim'), a.tensor('index')),
    exact,
    total,
  ),
  index_select: operation(
    'input dim index',
    (a) => one('indexSelect', a.tensor('input'), a.integer('dim'), a.tensor('index')),
    exact,
    total,
  ),
  scatter_add: operation(
    'input dim index src',
    (a) => one('scatterAdd', a.tensor('input'), a.integer('dim'), a.tensor('index'), a.tensor('src')),
    total,
    total,
  ),
  sort: operation(
    'input dim descending',
    (a) => many('sort', a.tensor('input'), options(a, { dim: 'number', descending: 'boolean', stable: 'boolean' })),
    exact,
    exact,
  ),
  topk: operation(
    'input k dim largest sorted',
    (a) =>
      many(
        'topk',
        a.tensor('input'),
        a.integer('k'),
        options(a, { dim: 'number', largest: 'boolean', sorted: 'boolean' }),
      ),
    exact,
    exact,
  ),

  cumsum: operation('input dim', (a) => one('cumsum', a.tensor('input'), a.integer('dim')), total, total),
  logsumexp: operation(
    'input dim keepdim',
    (a) => one('logsumexp', a.tensor('input'), a.integers('dim'), a.boolean('keepdim')),
    transcendental,
  ),
  softmax: along('softmax', probability),
  log_softmax: along('logSoftmax', total),
  'nn.functional.softmin': along('softmin', probability),
  all: reduction('all', exact),
  any: reduction('any', exact),
  amax: reduction('amax', exact, total),
  amin: reduction('amin', exact, total),
  argmax: reduction('argmax', exact),
  argmin: reduction('argmin', exact),
  mean: reduction('mean', total, total),
  sum: reduction('sum', total, total),
  prod: reduction('prod', total),
  std: moment('std'),
  var: moment('var'),
  norm,
};
