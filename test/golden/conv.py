"""Reference values for test/ops/conv.test.ts: /usr/bin/python3 test/golden/conv.py > test/golden/conv.json

Every case runs a convolution of PyTorch in float64 on fixed inputs and stores the output and the gradients of
sum(output * cos(index)).
"""
import json
import math

import torch
import torch.nn.functional as F


def spread(shape, salt=0.0):
    n = math.prod(shape)
    values = [2 * math.sin(1.3 * i * i + 0.7 * i + salt) for i in range(n)]
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def flat(t):
    return {'shape': list(t.shape), 'data': [float(f'{v:.15g}') for v in t.reshape(-1).tolist()]}


cases = []


def case(name, x, weight, bias=True, **options):
    torch_name = {'conv1d': F.conv1d, 'conv2d': F.conv2d, 'convTranspose1d': F.conv_transpose1d, 'convTranspose2d': F.conv_transpose2d}[name]
    transposed = name.startswith('convT')
    out_channels = weight[1] * options.get('groups', 1) if transposed else weight[0]
    leaves = [spread(x), spread(weight, 0.3)] + ([spread((out_channels,), 0.9)] if bias else [])
    for leaf in leaves:
        leaf.requires_grad_()
    renamed = {('output_padding' if k == 'outputPadding' else k): v for k, v in options.items()}
    out = torch_name(*leaves, **renamed)
    weights = torch.cos(torch.arange(out.numel(), dtype=torch.float64)).reshape(out.shape)
    (out * weights).sum().backward()
    cases.append({
        'name': name, 'options': options, 'inputs': [list(leaf.shape) for leaf in leaves],
        'output': flat(out.detach()), 'grads': [flat(leaf.grad) for leaf in leaves],
    })


case('conv1d', (2, 3, 9), (4, 3, 3))
case('conv1d', (3, 9), (4, 3, 3), bias=False, stride=2, padding=2)
case('conv1d', (2, 4, 11), (6, 2, 3), groups=2, dilation=2, padding=1)
case('conv1d', (1, 2, 8), (3, 2, 4), padding='same')
case('conv1d', (1, 2, 8), (3, 2, 4), padding='valid')
case('conv2d', (2, 3, 6, 5), (4, 3, 3, 3), padding=1)
case('conv2d', (2, 3, 7, 8), (5, 3, 3, 2), bias=False, stride=[2, 3], padding=[0, 1])
case('conv2d', (3, 6, 7), (2, 3, 3, 3), padding='same', dilation=2)
case('conv2d', (1, 4, 6, 6), (4, 1, 3, 3), groups=4, padding=1, stride=2)
case('conv2d', (2, 4, 5, 5), (6, 2, 1, 1), groups=2)
case('conv2d', (1, 2, 9, 9), (3, 2, 2, 3), dilation=[3, 2], stride=2, padding=[1, 2])
case('convTranspose1d', (2, 3, 5), (3, 4, 3))
case('convTranspose1d', (4, 5), (4, 3, 3), groups=2, stride=3, padding=1, outputPadding=2)
case('convTranspose2d', (2, 3, 4, 3), (3, 2, 3, 3), stride=2, padding=1, outputPadding=1)
case('convTranspose2d', (1, 4, 3, 4), (4, 2, 2, 3), bias=False, groups=2, stride=[2, 1], dilation=[1, 3], outputPadding=[0, 2])
case('convTranspose2d', (3, 3, 4), (3, 2, 3, 3))

print(json.dumps({'torch': torch.__version__, 'cases': cases}))
