"""Reference values for test/ops/golden.test.ts: /usr/bin/python3 test/golden/ops.py > test/golden/ops.json

Every case runs PyTorch in float64 on fixed inputs and stores the output and, for float inputs, the gradients of
sum(output * cos(index)).
"""
import json
import math

import torch
import torch.nn.functional as F


def spread(shape, salt=0.0, low=-2.0, high=2.0):
    n = math.prod(shape)
    values = [low + (high - low) * (0.5 + 0.5 * math.sin(1.3 * i * i + 0.7 * i + salt)) for i in range(n)]
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def flat(t):
    return {'shape': list(t.shape), 'data': [encode(v) for v in t.reshape(-1).tolist()]}


def encode(v):
    if isinstance(v, bool):
        return int(v)
    if v != v:
        return 'nan'
    if v in (math.inf, -math.inf):
        return 'inf' if v > 0 else '-inf'
    return v


cases = []


def case(name, fn, *inputs):
    leaves = [x.clone().requires_grad_(x.is_floating_point()) for x in inputs]
    out = fn(*leaves)
    record = {'name': name, 'inputs': [flat(x) for x in inputs], 'output': flat(out.detach())}
    if out.requires_grad:
        weight = torch.cos(torch.arange(out.numel(), dtype=torch.float64)).reshape(out.shape)
        (out * weight).sum().backward()
        record['grads'] = [flat(x.grad) for x in leaves if x.is_floating_point()]
    cases.append(record)


special = torch.tensor([0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 3.0, -3.0, 30.0, -30.0, 1e-8, -1e-8, math.inf, -math.inf, math.nan], dtype=torch.float64)
positive = torch.tensor([1e-30, 0.25, 1.0, 2.0, 17.5, 1e30], dtype=torch.float64)

for name, fn in {
    'abs': torch.abs, 'exp': torch.exp, 'sin': torch.sin, 'cos': torch.cos, 'erf': torch.erf, 'tanh': torch.tanh,
    'sigmoid': torch.sigmoid, 'relu': torch.relu, 'gelu': F.gelu, 'geluTanh': lambda x: F.gelu(x, approximate='tanh'),
    'silu': F.silu, 'softplus': F.softplus, 'leakyRelu': F.leaky_relu, 'elu': F.elu, 'floor': torch.floor, 'ceil': torch.ceil,
    'round': torch.round, 'sign': torch.sign, 'clamp': lambda x: torch.clamp(x, -0.75, 1.25), 'neg': torch.neg, 'square': torch.square,
}.items():
    case(name, fn, spread((3, 7)))
    if name not in ('sin', 'cos', 'silu', 'gelu', 'geluTanh'):
        case(name, fn, special)
for name, fn in {'log': torch.log, 'sqrt': torch.sqrt, 'rsqrt': torch.rsqrt, 'reciprocal': torch.reciprocal}.items():
    case(name, fn, positive)

def values(name, fn, *inputs):
    """A case without gradients: at poles and infinities they are a matter of taste."""
    cases.append({'name': name, 'inputs': [flat(x) for x in inputs], 'output': flat(fn(*inputs))})


for name, fn in {
    'trunc': torch.trunc, 'frac': torch.frac, 'exp2': torch.exp2, 'expm1': torch.expm1, 'log1p': torch.log1p, 'log2': torch.log2,
    'log10': torch.log10, 'tan': torch.tan, 'asin': torch.asin, 'acos': torch.acos, 'atan': torch.atan, 'sinh': torch.sinh,
    'cosh': torch.cosh, 'asinh': torch.asinh, 'acosh': torch.acosh, 'atanh': torch.atanh, 'erfc': torch.erfc, 'logit': torch.logit,
    'nanToNum': torch.nan_to_num, 'isnan': torch.isnan, 'isinf': torch.isinf, 'isfinite': torch.isfinite,
    'relu6': F.relu6, 'hardtanh': F.hardtanh, 'hardsigmoid': F.hardsigmoid, 'hardswish': F.hardswish, 'hardshrink': F.hardshrink,
    'softshrink': F.softshrink, 'softsign': F.softsign, 'tanhshrink': F.tanhshrink, 'logSigmoid': F.logsigmoid, 'mish': F.mish,
    'selu': F.selu, 'celu': F.celu,
}.items():
    # NaN in softshrink and 1/6 in float64 are not as in later versions; the largest number depends on the dtype.
    if name not in ('softshrink', 'nanToNum'):
        values(name, fn, special)
    if not name.startswith('is') and name != 'hardsigmoid':
        case(name, fn, spread((3, 7), 0.0, 1.1, 3.0) if name == 'acosh' else spread((3, 7), 0.0, 0.05, 0.95))
        if name not in ('acosh', 'tan', 'logit'):
            case(name, fn, spread((3, 7), 0.3, -0.95, 7.0))
exact = torch.where(special.abs() == 1e-8, torch.sign(special) * 2.0**-27, special)  # what float32 holds
pairs = torch.cartesian_prod(exact, exact)
for name, fn in {
    'atan2': torch.atan2, 'hypot': torch.hypot, 'fmod': torch.fmod, 'remainder': torch.remainder, 'logaddexp': torch.logaddexp,
    'xlogy': torch.xlogy, 'fmax': torch.fmax, 'fmin': torch.fmin, 'maximum': torch.maximum, 'minimum': torch.minimum,
    'floorDivide': lambda p, q: torch.div(p, q, rounding_mode='floor'), 'pow': torch.pow,
}.items():
    values(name, fn, pairs[:, 0].clone(), pairs[:, 1].clone())

a, b = spread((3, 1, 4)), spread((2, 1), 0.4)
for name, fn in {
    'add': torch.add, 'sub': torch.sub, 'mul': torch.mul, 'div': torch.div, 'maximum': torch.maximum, 'minimum': torch.minimum,
    'eq': torch.eq, 'ne': torch.ne, 'lt': torch.lt, 'le': torch.le, 'gt': torch.gt, 'ge': torch.ge,
}.items():
    case(name, fn, a, b)
case('maximum', torch.maximum, torch.tensor([1.0, math.nan, 2.0, math.nan], dtype=torch.float64), torch.tensor([1.0, 1.0, math.nan, math.nan], dtype=torch.float64))
case('pow', torch.pow, spread((2, 5), 0, 0.2, 3.0), spread((5,), 0.3))
case('pow', torch.pow, torch.tensor([0.0, 0.0, -2.0, -2.0, 1.0, 4.0], dtype=torch.float64), torch.tensor([0.0, 2.0, 3.0, 2.0, math.nan, 0.5], dtype=torch.float64))

x = spread((3, 4, 5))
for dims in ((), (0,), (2,), (0, 2)):
    key = ','.join(map(str, dims))
    for name, fn in {'sum': torch.sum, 'mean': torch.mean, 'amax': torch.amax, 'amin': torch.amin}.items():
        case(f'{name}:{key}', lambda t, fn=fn, dims=dims: fn(t, dim=dims) if dims else (fn(t, dim=(0, 1, 2))), x)
for dim in (0, 1, 2):
    case(f'argmax:{dim}', lambda t, dim=dim: t.argmax(dim), x)
    case(f'argmin:{dim}', lambda t, dim=dim: t.argmin(dim), x)
    case(f'softmax:{dim}', lambda t, dim=dim: torch.softmax(t, dim), x)
    case(f'logSoftmax:{dim}', lambda t, dim=dim: torch.log_softmax(t, dim), x)
case('argmax:0', lambda t: t.argmax(0), torch.tensor([1.0, 5.0, 5.0, math.nan, 7.0, math.nan], dtype=torch.float64))
case('amax:0', lambda t: t.amax(0), torch.tensor([1.0, 5.0, 5.0], dtype=torch.float64))
case('softmax:0', lambda t: torch.softmax(t, 0), torch.tensor([1000.0, 999.0, -1000.0], dtype=torch.float64))
case('sum:0', lambda t: t.sum(0), torch.zeros((0, 3), dtype=torch.float64))
case('mean:0', lambda t: t.mean(0), torch.zeros((0, 3), dtype=torch.float64))
case('prod:0', lambda t: t.prod(0), torch.zeros((0, 3), dtype=torch.float64))
case('prod:0', lambda t: t.prod(0), torch.tensor([[2.0, 0.0, 0.0], [3.0, 4.0, 0.0], [5.0, 6.0, 7.0]], dtype=torch.float64))

case('matmul', torch.matmul, spread((4, 7)), spread((7, 3), 0.2))
case('matmul', torch.matmul, spread((2, 1, 4, 7)), spread((3, 7, 3), 0.2))
case('matmul', torch.matmul, spread((7,)), spread((2, 7, 3), 0.2))
case('matmul', torch.matmul, spread((2, 4, 7)), spread((7,), 0.2))
case('matmul', torch.matmul, spread((4, 0)), spread((0, 3), 0.2))
case('linear', F.linear, spread((2, 3, 5)), spread((4, 5), 0.2), spread((4,), 0.6))

logits = spread((5, 4), 0.1)
target = torch.tensor([0, 3, 1, -100, 2])
weight = torch.tensor([0.5, 2.0, 1.0, 1.5], dtype=torch.float64)
for reduction in ('mean', 'sum', 'none'):
    case(f'crossEntropy:{reduction}', lambda z, r=reduction: F.cross_entropy(z, target, reduction=r), logits)
    case(f'crossEntropySmooth:{reduction}', lambda z, r=reduction: F.cross_entropy(z, target, weight=weight, reduction=r, label_smoothing=0.2), logits)
    case(f'mseLoss:{reduction}', lambda p, q, r=reduction: F.mse_loss(p, q, reduction=r), logits, spread((5, 4), 0.9))
case('crossEntropy:mean', lambda z: F.cross_entropy(z, target), torch.tensor([[1e4, -1e4, 0.0, 3.0]] * 5, dtype=torch.float64))

print(json.dumps({'torch': torch.__version__, 'cases': cases}))
