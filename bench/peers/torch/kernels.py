"""Kernels of the suite by name: find(name) gives the calls that do the work, of which the fastest counts; None if there are none."""
import re

import torch
from torch import nn
from torch.nn import functional as F

from models import attend

M16, K64 = 16 * 1024 * 1024, 64 * 1024
randn = torch.randn


def leaf(*shape):
    return randn(*shape).requires_grad_()


def backward(y, inputs, g=None):
    g = randn(y.shape) if g is None else g
    return lambda: torch.autograd.grad(y, inputs, g, retain_graph=True)


def without_grad(call):
    def run():
        with torch.no_grad():
            call()
    return run


def gemm(kind, m, n, k):
    a = randn(k, m).t() if kind == 'tn' else randn(m, k)
    b = randn(n, k).t() if kind == 'nt' else randn(k, n)
    out = torch.empty(m, n)
    return [lambda: torch.mm(a, b, out=out)]


# Batch, channels in, height and width, channels out, kernel, stride, padding.
CONVOLUTIONS = {
    'c3x3-64-32x32-b32': (32, 64, 32, 64, 3, 1, 1),
    'c3x3-256-8x8-b32': (32, 256, 8, 256, 3, 1, 1),
    'c3x3-512-4x4-b32': (32, 512, 4, 512, 3, 1, 1),
    'c7x7s2-3-64-224-b4': (4, 3, 224, 64, 7, 2, 3),
}


def convolution(which, sizes, rank=2, by_data=True):
    """In both memory formats, reorders included."""
    n, ci, size, co, k, stride, padding, groups = sizes
    convolve = F.conv1d if rank == 1 else F.conv2d
    calls = []
    for layout in (torch.contiguous_format, torch.channels_last)[:rank]:
        x = randn(n, ci, *[size] * rank).contiguous(memory_format=layout)
        w = randn(co, ci // groups, *[k] * rank).contiguous(memory_format=layout)
        y = convolve(x, w, None, stride, padding, 1, groups)
        mask = [which == 'bwdd' or (which == 'bwd' and by_data), which != 'bwdd', False]

        def forward(x=x, w=w):
            convolve(x, w, None, stride, padding, 1, groups)

        def back(g=torch.ones_like(y), x=x, w=w):
            torch.ops.aten.convolution_backward(
                g, x, w, [0], [stride] * rank, [padding] * rank, [1] * rank, False, [0] * rank, groups, mask)

        calls.append(without_grad(forward if which == 'fwd' else back))
    return calls


def softmax(which):
    x, g = randn(4096, 1024), randn(4096, 1024)
    if which == 'fwd':
        out = torch.empty_like(x)
        return [lambda: torch.softmax(x, -1), lambda: torch._softmax(x, -1, False, out=out)]
    y = torch.softmax(x, -1)
    return [lambda: torch._softmax_backward_data(g, y, -1, torch.float32)]


def layer_norm(which):
    x, norm = leaf(4096, 512), nn.LayerNorm(512)
    if which == 'fwd':
        return [without_grad(lambda: norm(x))]
    return [backward(norm(x), [x, norm.weight, norm.bias])]


def batch_norm(which):
    x, norm = leaf(32, 64, 32, 32), nn.BatchNorm2d(64)
    if which == 'fwd':
        return [without_grad(lambda: norm(x))]
    return [backward(norm(x), [x, norm.weight, norm.bias])]


def max_pool(which):
    x = leaf(32, 64, 32, 32)
    if which == 'fwd':
        return [without_grad(lambda: F.max_pool2d(x, 2))]
    return [backward(F.max_pool2d(x, 2), [x])]


def avg_pool(which, size, stride):
    x = leaf(32, 64, 32, 32)
    if which == 'fwd':
        return [without_grad(lambda: F.avg_pool2d(x, size, stride))]
    return [backward(F.avg_pool2d(x, size, stride), [x])]


def image(which, op):
    x = leaf(32, 64, 32, 32)
    return [without_grad(lambda: op(x)) if which == 'fwd' else backward(op(x), [x])]


IMAGES = {
    'pad-reflect1': lambda x: F.pad(x, (1, 1, 1, 1), mode='reflect'),
    'interp-bilinear2': lambda x: F.interpolate(x, scale_factor=2, mode='bilinear'),
    'interp-nearest2': lambda x: F.interpolate(x, scale_factor=2),
}


def embedding(which):
    table, ids = nn.Embedding(10000, 512), torch.randint(10000, (2048,))
    if which == 'fwd':
        return [without_grad(lambda: table(ids))]
    return [backward(table(ids), [table.weight])]


def binary(op, n, preallocated):
    a, b, out = randn(n), randn(n), torch.empty(n)
    return [lambda: op(a, b, out=out)] if preallocated else [lambda: op(a, b)]


def gelu(n, approximate, back=False):
    x, g = randn(n), randn(n)
    if back:
        return [lambda: torch.ops.aten.gelu_backward(g, x, approximate=approximate)]
    return [lambda: F.gelu(x, approximate=approximate)]


def into(op, n, *more):
    """op of 1 or more operands into a preallocated result."""
    x, out = randn(n), torch.empty(n)
    return [lambda: op(x, *more, out=out)]


def curve(call, *shape, back=False):
    x = leaf(*shape)
    return [backward(call(x), [x])] if back else [without_grad(lambda: call(x))]


def choose(n):
    a, b = randn(n), randn(n)
    condition = a > b
    return [lambda: torch.where(condition, a, b)]


def broadcast(op, shape, small):
    a, b, out = randn(shape), randn(small), torch.empty(shape)
    return [lambda: op(a, b, out=out)]


def cross_entropy(rows, classes, back):
    x, target = leaf(rows, classes), torch.randint(classes, (rows,))
    if not back:
        return [without_grad(lambda: F.cross_entropy(x, target))]
    return [lambda: torch.autograd.grad(F.cross_entropy(x, target), [x])]


def rms_norm(x, weight):
    if hasattr(F, 'rms_norm'):
        return F.rms_norm(x, (x.shape[-1],), weight)
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * weight


def rms(which):
    x, weight = leaf(4096, 512), leaf(512)
    if which == 'fwd':
        return [without_grad(lambda: rms_norm(x, weight))]
    return [backward(rms_norm(x, weight), [x, weight])]


def group_norm(which):
    x, norm = leaf(32, 64, 32, 32), nn.GroupNorm(8, 64)
    if which == 'fwd':
        return [without_grad(lambda: norm(x))]
    return [backward(norm(x), [x, norm.weight, norm.bias])]


def reduction(op, *shape):
    x = randn(*shape)
    return [lambda: op(x)]


def copied(view, *shape):
    """The elements of a view in order."""
    x = view(randn(*shape))
    out = torch.empty(x.shape)
    return [lambda: out.copy_(x), lambda: x.contiguous()]


def fill(call):
    out = torch.empty(M16)
    return [lambda: call(out)]


def attention(which):
    q, k, v = (leaf(8, 8, 256, 64) for _ in range(3))
    if which == 'fwd':
        return [without_grad(lambda: attend(q, k, v, True))]
    return [backward(attend(q, k, v, True), [q, k, v])]


def recurrent(layer, which):
    """A whole sequence of 64 steps, and back to the input and every weight."""
    x, module = leaf(64, 32, 128), layer(128, 256)
    if which == 'fwd':
        return [without_grad(lambda: module(x))]
    return [backward(module(x)[0], [x, *module.parameters()])]


def update(kind, **options):
    """Every implementation that this PyTorch has: one loop over parameters, grouped, fused."""
    calls = []
    for variant in ({}, {'foreach': True}, {'fused': True}):
        p = nn.Parameter(randn(10_000_000))
        p.grad = randn(10_000_000) * 1e-3
        try:
            call = kind([p], lr=1e-4, **options, **variant).step
            call()
        except (TypeError, RuntimeError):
            continue
        calls.append(call)
    return calls


def scalar(call):
    a, b = torch.ones(1), torch.ones(1)
    return [lambda: call(a, b)]


def scalar_with_grad(call):
    a, b = (torch.ones(1, requires_grad=True) for _ in range(2))
    return [lambda: call(a, b)]


def small_product():
    a, b = torch.ones(8, 8), torch.ones(8, 8)
    return [lambda: a @ b]


KERNELS = {
    **{f'conv-{which}-{shape}': (lambda which=which, sizes=CONVOLUTIONS[shape]:
                                 convolution(which, (*sizes, 1), by_data=sizes[1] > 3))
       for shape in CONVOLUTIONS for which in ('fwd', 'bwd', 'bwdd', 'bwdw')},
    'softmax-fwd-4096x1024': lambda: softmax('fwd'),
    'softmax-bwd-4096x1024': lambda: softmax('bwd'),
    'layernorm-fwd-4096x512': lambda: layer_norm('fwd'),
    'layernorm-bwd-4096x512': lambda: layer_norm('bwd'),
    'rmsnorm-fwd-4096x512': lambda: rms('fwd'),
    'rmsnorm-bwd-4096x512': lambda: rms('bwd'),
    'groupnorm-fwd-32x64x32x32': lambda: group_norm('fwd'),
    'groupnorm-bwd-32x64x32x32': lambda: group_norm('bwd'),
    **{f'xent-{which}-{rows}x{classes}': (
        lambda which=which, rows=rows, classes=classes: cross_entropy(rows, classes, which == 'both'))
       for rows, classes in ((8192, 1000), (256, 50000)) for which in ('fwd', 'both')},
    'logsoftmax-fwd-4096x1024': lambda: curve(lambda x: torch.log_softmax(x, -1), 4096, 1024),
    'logsoftmax-bwd-4096x1024': lambda: curve(lambda x: torch.log_softmax(x, -1), 4096, 1024, back=True),
    'bn-fwd-train-32x64x32x32': lambda: batch_norm('fwd'),
    'bn-bwd-32x64x32x32': lambda: batch_norm('bwd'),
    'pool-max2-fwd-32x64x32x32': lambda: max_pool('fwd'),
    'pool-max2-bwd-32x64x32x32': lambda: max_pool('bwd'),
    **{f'pool-avg{size}s{stride}-{which}-32x64x32x32': (
        lambda which=which, size=size, stride=stride: avg_pool(which, size, stride))
       for which, size, stride in (('fwd', 2, 2), ('bwd', 2, 2), ('bwd', 3, 1))},
    **{f'{name}-{which}-32x64x32x32': lambda which=which, op=op: image(which, op)
       for name, op in IMAGES.items() for which in ('fwd', 'bwd')},
    'emb-fwd-10000x512-2048': lambda: embedding('fwd'),
    'emb-bwd-10000x512-2048': lambda: embedding('bwd'),
    'ew-add-16M': lambda: binary(torch.add, M16, False),
    'ew-add-out-16M': lambda: binary(torch.add, M16, True),
    'ew-mul-out-16M': lambda: binary(torch.mul, M16, True),
    'ew-gelu-tanh-16M': lambda: gelu(M16, 'tanh'),
    'ew-gelu-erf-16M': lambda: gelu(M16, 'none'),
    'ew-gelu-tanh-bwd-16M': lambda: gelu(M16, 'tanh', True),
    'ew-gelu-erf-bwd-16M': lambda: gelu(M16, 'none', True),
    'ew-exp-16M': lambda: into(torch.exp, M16),
    'ew-log-16M': lambda: into(torch.log, M16),
    'ew-tanh-16M': lambda: into(torch.tanh, M16),
    'ew-sigmoid-16M': lambda: into(torch.sigmoid, M16),
    'ew-silu-16M': lambda: curve(F.silu, M16),
    'ew-silu-bwd-16M': lambda: curve(F.silu, M16, back=True),
    'ew-where-16M': lambda: choose(M16),
    'ew-dropout-16M': lambda: curve(lambda x: F.dropout(x, 0.1), M16),
    'ew-add-row-8192x2048': lambda: broadcast(torch.add, (8192, 2048), (2048,)),
    'ew-mul-channel-32x64x64x64': lambda: broadcast(torch.mul, (32, 64, 64, 64), (64, 1, 1)),
    'red-sum-all-4096x4096': lambda: reduction(torch.sum, 4096, 4096),
    'red-sum-last-4096x4096': lambda: reduction(lambda x: x.sum(-1), 4096, 4096),
    'red-sum-first-4096x4096': lambda: reduction(lambda x: x.sum(0), 4096, 4096),
    'red-sum-middle-64x256x1024': lambda: reduction(lambda x: x.sum(1), 64, 256, 1024),
    'red-mean-last-65536x128': lambda: reduction(lambda x: x.mean(-1), 65536, 128),
    'red-sum-spatial-32x64x32x32': lambda: reduction(lambda x: x.sum((0, 2, 3)), 32, 64, 32, 32),
    'red-max-last-4096x4096': lambda: reduction(lambda x: x.max(-1), 4096, 4096),
    'red-argmax-last-4096x4096': lambda: reduction(lambda x: x.argmax(-1), 4096, 4096),
    'red-argmax-first-4096x4096': lambda: reduction(lambda x: x.argmax(0), 4096, 4096),
    'red-cumsum-last-4096x4096': lambda: reduction(lambda x: x.cumsum(-1), 4096, 4096),
    'red-cumsum-first-4096x4096': lambda: reduction(lambda x: x.cumsum(0), 4096, 4096),
    'copy-transpose-4096x4096': lambda: copied(lambda x: x.t(), 4096, 4096),
    'copy-to-nhwc-32x64x56x56': lambda: copied(lambda x: x.permute(0, 2, 3, 1), 32, 64, 56, 56),
    'copy-to-nchw-32x56x56x64': lambda: copied(lambda x: x.permute(0, 3, 1, 2), 32, 56, 56, 64),
    'copy-to-nhwc-32x3x224x224': lambda: copied(lambda x: x.permute(0, 2, 3, 1), 32, 3, 224, 224),
    'copy-to-nchw-32x224x224x3': lambda: copied(lambda x: x.permute(0, 3, 1, 2), 32, 224, 224, 3),
    'copy-heads-32x256x8x64': lambda: copied(lambda x: x.transpose(1, 2), 32, 256, 8, 64),
    f'copy-to-float64-{M16}': lambda: reduction(torch.Tensor.double, M16),
    f'copy-to-int32-{M16}': lambda: reduction(torch.Tensor.int, M16),
    'fill-16M': lambda: fill(lambda out: out.fill_(1)),
    'rand-16M': lambda: fill(lambda out: out.uniform_()),
    'randn-16M': lambda: fill(lambda out: out.normal_()),
    'ew-add-out-64K': lambda: binary(torch.add, K64, True),
    'ew-gelu-tanh-64K': lambda: gelu(K64, 'tanh'),
    'attn-fwd-b8h8t256d64-causal': lambda: attention('fwd'),
    'attn-bwd-b8h8t256d64-causal': lambda: attention('bwd'),
    **{f'{name}-{which}-t64b32i128h256': (lambda layer=layer, which=which: recurrent(layer, which))
       for name, layer in (('lstm', nn.LSTM), ('gru', nn.GRU)) for which in ('fwd', 'bwd')},
    'adam-10M': lambda: update(torch.optim.Adam),
    'sgdm-10M': lambda: update(torch.optim.SGD, momentum=0.9),
    'op-add-1': lambda: scalar(torch.add),
    'op-add-1-dispose': lambda: scalar(torch.add),
    'op-add-1-record': lambda: scalar_with_grad(torch.add),
    'op-add-1-backward': lambda: scalar_with_grad(lambda a, b: (a + b).backward()),
    'op-mm-8x8': small_product,
}


def find(name):
    if name in KERNELS:
        return KERNELS[name]()
    match = re.fullmatch(r'gemm-(nn|nt|tn)-(\d+)x(\d+)x(\d+)', name)
    if match:
        return gemm(match[1], *map(int, match.groups()[1:]))
    match = re.fullmatch(
        r'conv(1d)?-(fwd|bwd|bwdd|bwdw)-(\d+)x(\d+)x(\d+)-(\d+)k(\d+)(?:s(\d+))?(?:p(\d+))?(?:g(\d+))?', name)
    if not match:
        return None
    line, which, *sizes, stride, padding, groups = match.groups()
    return convolution(which, (*map(int, sizes), int(stride or 1), int(padding or 0), int(groups or 1)), 1 if line else 2)
