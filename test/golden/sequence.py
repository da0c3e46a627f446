"""Makes sequence.json: recurrent layers, attention and Transformer layers with their gradients, computed by PyTorch in float64.

Run with a PyTorch of version 1.13 or later: python3 test/golden/sequence.py
"""

import json
import math
import pathlib

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

torch.set_default_dtype(torch.float64)


def values(count, seed, low=-0.5, high=0.5):
    """The numbers that test/nn/values.ts makes: exact in both languages."""
    residues = [((i + 1) * (7919 + 2 * seed) + seed) % 1009 for i in range(count)]
    return torch.tensor([low + (high - low) * r / 1009 for r in residues])


def tensor(shape, seed):
    return values(math.prod(shape), seed, -1, 1).reshape(shape).requires_grad_()


def fill(model):
    for seed, (_, p) in enumerate(model.named_parameters()):
        bound = 1 / math.sqrt(p.shape[-1])
        p.data = values(p.numel(), seed, -bound, bound).reshape(p.shape)


def numbers(x):
    return [float(f'{v:.15g}') for v in x.detach().flatten().tolist()]


def record(model, outputs, inputs):
    """Outputs, and the gradients of a weighted sum of all of them."""
    loss = sum((y * values(y.numel(), 50 + i, -1, 1).reshape(y.shape)).sum() for i, y in enumerate(outputs))
    names = [name for name, _ in model.named_parameters()]
    parameters = [p for _, p in model.named_parameters()]
    grads = torch.autograd.grad(loss, [*inputs, *parameters])
    return {
        'outputs': [numbers(y) for y in outputs],
        'shapes': [list(y.shape) for y in outputs],
        'grads': [numbers(g) for g in grads],
        'names': names,
    }


def recurrent(kind, options, lengths=None, state=True, shape=(5, 3, 4)):
    model = {'RNN': nn.RNN, 'LSTM': nn.LSTM, 'GRU': nn.GRU}[kind](4, 6, **options)
    fill(model)
    x = tensor(shape, 60)
    batch = shape[0] if options.get('batch_first') else shape[1]
    rows = options.get('num_layers', 1) * (2 if options.get('bidirectional') else 1)
    count = 0 if not state else 2 if kind == 'LSTM' else 1
    states = [tensor((rows, batch, 6), 61 + i) for i in range(count)]
    hx = None if not state else tuple(states) if kind == 'LSTM' else states[0]
    if lengths is None:
        y, last = model(x, hx)
    else:
        first = options.get('batch_first', False)
        packed, last = model(pack_padded_sequence(x, lengths, batch_first=first, enforce_sorted=False), hx)
        y, _ = pad_packed_sequence(packed, batch_first=first, total_length=shape[1 if first else 0])
    outputs = [y, *last] if kind == 'LSTM' else [y, last]
    return record(model, outputs, [x, *states])


def cell(kind):
    model = {'RNNCell': nn.RNNCell, 'LSTMCell': nn.LSTMCell, 'GRUCell': nn.GRUCell}[kind](4, 6)
    fill(model)
    x, h, c = tensor((3, 4), 60), tensor((3, 6), 61), tensor((3, 6), 62)
    if kind == 'LSTMCell':
        return record(model, model(x, (h, c)), [x, h, c])
    return record(model, [model(x, h)], [x, h])


def attention(options, shapes, need, **masks):
    model = nn.MultiheadAttention(8, 2, **options)
    fill(model)
    q, k, v = (tensor(shape, 60 + i) for i, shape in enumerate(shapes))
    output, weights = model(q, k, v, need_weights=need, **masks)
    return record(model, [output] if weights is None else [output, weights], [q, k, v])


def self_attention(options, shape, **masks):
    model = nn.MultiheadAttention(8, 2, **options)
    fill(model)
    x = tensor(shape, 60)
    return record(model, [model(x, x, x, need_weights=False, **masks)[0]], [x])


def layer(kind, options):
    model = {'encoder': nn.TransformerEncoderLayer, 'decoder': nn.TransformerDecoderLayer}[kind](
        8, 2, dim_feedforward=12, dropout=0.0, **options
    )
    fill(model)
    x, memory = tensor((4, 3, 8), 60), tensor((5, 3, 8), 61)
    if kind == 'encoder':
        return record(model, [model(x)], [x])
    mask = nn.Transformer.generate_square_subsequent_mask(4).to(torch.float64)
    return record(model, [model(x, memory, tgt_mask=mask)], [x, memory])


def transformer():
    model = nn.Transformer(8, 2, 2, 2, 12, 0.0, batch_first=True)
    fill(model)
    x, y = tensor((3, 5, 8), 60), tensor((3, 4, 8), 61)
    mask = nn.Transformer.generate_square_subsequent_mask(4).to(torch.float64)
    return record(model, [model(x, y, tgt_mask=mask)], [x, y])


def embedding():
    model = nn.Embedding(7, 3, padding_idx=2)
    fill(model)
    return record(model, [model(torch.tensor([[1, 2, 6], [2, 1, 0]]))], [])


LOOKED_UP = [[1, 4, 1, 2], [4, 0], [2, 2, 5]]


def sparse(kind, options):
    """The table after steps that look up LOOKED_UP of it, with a padding row."""
    model = nn.Embedding(7, 3, padding_idx=2, sparse=True)
    fill(model)
    optimizer = getattr(torch.optim, kind)(model.parameters(), **options)
    for step, index in enumerate(LOOKED_UP):
        y = model(torch.tensor(index))
        optimizer.zero_grad()
        (y * values(y.numel(), 50 + step, -1, 1).reshape(y.shape)).sum().backward()
        optimizer.step()
    return numbers(model.weight)


padding = torch.tensor([[False, False, True, False, True], [False, True, False, False, False], [False] * 5])
pairs = torch.tensor([[j > i + 1 for j in range(5)] for i in range(4)])
shapes = [(4, 3, 8), (5, 3, 8), (5, 3, 8)]
options = {
    'plain': {},
    'relu': {'nonlinearity': 'relu'},
    'stacked': {'num_layers': 2, 'bidirectional': True},
    'no bias': {'bias': False, 'batch_first': True},
}
result = {
    'recurrent': {
        f'{kind} {name}': recurrent(kind, o, shape=(3, 5, 4) if 'batch_first' in o else (5, 3, 4))
        for kind in ('RNN', 'LSTM', 'GRU')
        for name, o in options.items()
        if name != 'relu' or kind == 'RNN'
    },
    'lengths': {
        kind: recurrent(kind, {'num_layers': 2, 'bidirectional': True}, lengths=[2, 5, 3]) for kind in ('RNN', 'LSTM', 'GRU')
    },
    'cells': {kind: cell(kind) for kind in ('RNNCell', 'LSTMCell', 'GRUCell')},
    'attention': {
        'cross': attention({}, shapes, False),
        'weights': attention({}, shapes, True),
        'masks': attention({}, shapes, True, key_padding_mask=padding, attn_mask=pairs),
        'widths': attention({'kdim': 6, 'vdim': 7}, [(4, 3, 8), (5, 3, 6), (5, 3, 7)], False),
        'batch first': attention({'batch_first': True, 'bias': False}, [(3, 4, 8), (3, 5, 8), (3, 5, 8)], False),
        'self': self_attention({}, (5, 3, 8), key_padding_mask=padding),
    },
    'layers': {
        'encoder': layer('encoder', {}),
        'encoder normFirst': layer('encoder', {'norm_first': True, 'activation': 'gelu'}),
        'decoder': layer('decoder', {}),
        'decoder normFirst': layer('decoder', {'norm_first': True}),
        'transformer': transformer(),
    },
    'embedding': embedding(),
    'sparse': {
        'SGD': sparse('SGD', {'lr': 0.1}),
        'Adagrad': sparse('Adagrad', {'lr': 0.1, 'lr_decay': 0.1}),
        'SparseAdam': sparse('SparseAdam', {'lr': 0.1, 'betas': (0.8, 0.9), 'eps': 1e-3}),
    },
    'transformer_parameters': sum(p.numel() for p in nn.Transformer().parameters()),
}
path = pathlib.Path(__file__).with_name('sequence.json')
path.write_text(json.dumps(result, separators=(',', ':')) + '\n')
