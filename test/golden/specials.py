"""Reference values for test/ops/specials.test.ts: /usr/bin/python3 test/golden/specials.py > test/golden/specials.json

What PyTorch makes of NaN, infinities, zeros of either sign, denormal and huge numbers of float32, and of empty tensors, by the
names of the rows of test/ops/sweep_rows.ts and sweep_layers.ts; shapes are those of the rows at n = 5 and n = 0. It computes in
float64: in float32 it takes some denormals for 0. Where PyTorch throws, `outputs` is null. Three things that PyTorch 1.13 does
are left out: NaN becomes 0 in softshrink, the mean of an infinity is NaN in var_mean, and padding times an infinite weight is 0
or NaN by the shape of a convolution.
"""
import json
import math

import torch
import torch.nn.functional as F

NAN, INF = math.nan, math.inf
POOL = [0.5, 1e-40, -0.0, 2.0, -1.5, NAN, 1.0, 0.25, -3.0, 0.75, INF, 1.0, -2.0, 0.5, 1e-39, -INF, INF, 1.0, 3.0, -1.0,
        -1e-40, 0.0, -0.5, 20.0, -20.0, 1e30, -1e30, 100.0, -100.0, -1.0]

PAIRED = [0.5, 1e-40, -0.0, 0.0, -1.5, NAN, INF, -INF, 3.0, 1e30]


def plain(shape, salt):
    n = math.prod(shape)
    values = [1.1 * math.sin(1.3 * i * i + 0.7 * i + salt) + 0.05 for i in range(n)]
    return torch.tensor(values, dtype=torch.float32).reshape(shape)


def special(shape, salt):
    """Large tensors hold few special numbers, so that results are not all NaN."""
    n = math.prod(shape)
    x = plain(shape, salt).reshape(-1)
    step = 1 if n <= 30 else 7
    for i, value in enumerate(POOL):
        if i * step < n:
            x[i * step] = value
    return x.reshape(shape)


def encode(v):
    v = v if isinstance(v, (bool, int)) else torch.tensor(v).float().item()
    if isinstance(v, bool):
        return int(v)
    if v != v:
        return 'nan'
    if v in (INF, -INF):
        return 'inf' if v > 0 else '-inf'
    return '-0' if v == 0 and math.copysign(1, v) < 0 else float('%.9g' % v)


def flat(t):
    dtype = 'float32' if t.is_floating_point() else 'bool' if t.dtype == torch.bool else 'int32'
    return {'dtype': dtype, 'shape': list(t.shape), 'data': [encode(v) for v in t.reshape(-1).tolist()]}


cases = []


def case(name, kind, fn, inputs):
    try:
        out = fn(*[x.double() if x.is_floating_point() else x for x in inputs])
        out = [out] if isinstance(out, torch.Tensor) else list(out)
        outputs = [flat(x) for x in out]
    except (RuntimeError, IndexError, ValueError):
        outputs = None
    cases.append({'name': name, 'kind': kind, 'inputs': [flat(x) for x in inputs], 'outputs': outputs})


def row(name, fn, *shapes, empty=True, positive=(), only=None):
    """`shapes` are functions of n, or functions of n that make an input of integers or booleans."""
    def inputs(n, at):
        made = []
        for i, shape in enumerate(shapes):
            given = shape(n)
            if isinstance(given, torch.Tensor):
                made.append(given)
            else:
                x = special(given, i) if i == at else plain(given, i)
                made.append(x.abs() + 0.1 if i in positive else x)
        return made

    for at, shape in enumerate(shapes):
        if only is not None and at != only:
            continue
        if not isinstance(shape(5), torch.Tensor) and at not in positive:
            case(name, f'special {at}', fn, inputs(5, at))
    if empty:
        case(name, 'empty', fn, inputs(0, -1))


def each(names, fns=None, arity=1):
    for name in names.split():
        fn = (fns or {}).get(name) or getattr(torch, name, None) or getattr(F, name)
        if arity == 1:
            case(name, 'special 0', fn, [torch.tensor(POOL)])
        else:
            a = torch.tensor([x for x in PAIRED for _ in PAIRED])
            b = torch.tensor(PAIRED * len(PAIRED))
            case(name, 'special 0', fn, [a, b][:arity])
        case(name, 'empty', fn, [torch.zeros(0)] * arity)


def lines(name, fn, **options):
    row(name, lambda x: fn(x, 1), lambda n: (3, n), **options)
    row(f'{name} of columns', lambda x: fn(x, 0), lambda n: (n, 5), **options)


def shaped(name, fn, **options):
    row(name, fn, lambda n: (3, n), **options)


def index(count, high):
    return lambda n: torch.arange(count if count >= 0 else n) * 3 % max(high if high >= 0 else n, 1)


own = {
    'isfinite': torch.isfinite, 'logicalNot': torch.logical_not, 'nanToNum': torch.nan_to_num, 'logSigmoid': F.logsigmoid,
    'leakyRelu': F.leaky_relu, 'trueDivide': torch.true_divide, 'floorDivide': torch.floor_divide, 'contiguous': lambda x: x.contiguous(),
    'logicalAnd': torch.logical_and, 'logicalOr': torch.logical_or, 'logicalXor': torch.logical_xor, 'to': lambda x: x * 2,
    'clamp': lambda x: torch.clamp(x, -0.6, 0.7), 'clampMin': lambda x: torch.clamp_min(x, -0.6),
    'clampMax': lambda x: torch.clamp_max(x, 0.6), 'threshold': lambda x: F.threshold(x, 0.1, 0.2),
    'where': lambda x, y: torch.where(x > y, x, y), 'rrelu': lambda x: F.rrelu(x), 'round': torch.round,
}
each('neg abs sign floor ceil round trunc frac exp exp2 expm1 square sin cos tan atan sinh cosh tanh sigmoid erf erfc asinh '
     'isfinite isinf isnan logicalNot nanToNum relu relu6 silu mish logSigmoid softsign hardsigmoid hardswish selu gelu softplus '
     'leakyRelu elu celu hardtanh hardshrink tanhshrink rrelu clone contiguous log log2 log10 log1p sqrt rsqrt '
     'reciprocal asin acos atanh logit acosh clamp clampMin clampMax threshold to', own)
each('add sub mul maximum minimum eq ne lt le gt ge atan2 hypot logaddexp fmax fmin isclose heaviside div trueDivide pow xlogy '
     'fmod remainder floorDivide where', own, 2)
case('gelu by tanh', 'special 0', lambda x: F.gelu(x, approximate='tanh'), [torch.tensor(POOL)])
row('glu', F.glu, lambda n: (3, 2 * n))
row('prelu', F.prelu, lambda n: (3, n), lambda n: (n,), empty=False)

lines('sum', torch.sum)
lines('mean', torch.mean)
lines('prod', torch.prod)
lines('amax', torch.amax)
lines('amin', torch.amin)
lines('argmax', torch.argmax)
lines('argmin', torch.argmin)
lines('max', torch.max)
lines('min', torch.min)
lines('countNonzero', torch.count_nonzero)
lines('logsumexp', torch.logsumexp)
lines('nansum', torch.nansum)
lines('nanmean', torch.nanmean)
lines('norm', lambda x, d: torch.norm(x, 3, d))
lines('vectorNorm', lambda x, d: torch.linalg.vector_norm(x, 2, d))
lines('vectorNorm of order 1', lambda x, d: torch.linalg.vector_norm(x, 1, d))
lines('var', lambda x, d: torch.var(x, d, unbiased=False))
lines('softmax', torch.softmax)
lines('logSoftmax', torch.log_softmax)
lines('softmin', F.softmin)
lines('cumsum', torch.cumsum)
lines('cumprod', torch.cumprod)
lines('cummax', torch.cummax)
lines('cummin', torch.cummin)
lines('sort', lambda x, d: torch.sort(x, dim=d, stable=True))
lines('sort downwards', lambda x, d: torch.sort(x, dim=d, descending=True, stable=True))
lines('argsort', lambda x, d: torch.sort(x, dim=d, stable=True)[1])
lines('kthvalue', lambda x, d: torch.kthvalue(x, math.ceil(x.shape[d] / 3), d)[0], empty=False)
lines('median', lambda x, d: torch.median(x, d)[0])
lines('normalize', lambda x, d: F.normalize(x, dim=d))
row('sum of all', torch.sum, lambda n: (n,))
row('mean of all', torch.mean, lambda n: (n,))
row('pairwiseDistance', F.pairwise_distance, lambda n: (3, n), lambda n: (3, n))

shaped('flip', lambda x: x.flip([0, 1]))
shaped('rot90', torch.rot90)
shaped('roll', lambda x: x.roll([1, -1], [0, 1]))
shaped('repeat', lambda x: x.repeat([2, 1, 2]))
shaped('repeatInterleave', lambda x: x.repeat_interleave(torch.tensor([1, 3, 2]), 0))
shaped('tril', torch.tril)
shaped('triu', lambda x: x.triu(1))
shaped('chunk', lambda x: x.chunk(2, 1))
shaped('split', lambda x: x.split([1, 2]))
shaped('tensorSplit', lambda x: x.tensor_split(2, 1))
shaped('unbind', torch.unbind)
shaped('diagonal', torch.diagonal)
row('diagEmbed', torch.diag_embed, lambda n: (2, n))
row('diag', torch.diag, lambda n: (n,))
row('index by a mask', lambda x: x[x > 0], lambda n: (n,))
row('index by a tensor', lambda x, i: x[i], lambda n: (9, 4), index(-1, 9))
row('cat', lambda x, y: torch.cat([x, y, x]), lambda n: (3, n), lambda n: (2, n))
row('stack', lambda x, y: torch.stack([x, y], 1), lambda n: (3, n), lambda n: (3, n))
row('maskedFill', lambda x, y: x.masked_fill(y > 0, 2), lambda n: (3, n), lambda n: (n,))
row('maskedSelect', lambda x, y: x.masked_select(y > 0), lambda n: (3, n), lambda n: (n,))
shaped('nonzero', lambda x: torch.nonzero(x > 0))
row('indexSelect', lambda x, i: x.index_select(0, i), lambda n: (9, 4), index(-1, 9))
row('indexAdd', lambda x, i, s: x.index_add(0, i, s), lambda n: (9, 4), index(-1, 9), lambda n: (n, 4))
row('oneHot', lambda i: F.one_hot(i, 9), index(-1, 9))
row('unfoldDim', lambda x: x.unfold(0, 3, 2), lambda n: (n + 2,))

row('matmul', torch.matmul, lambda n: (5, n), lambda n: (n, 3))
row('matmul of many rows', torch.matmul, lambda n: (n, 7), lambda n: (7, n))
row('matmul of a batch', torch.matmul, lambda n: (4, n, 5), lambda n: (4, 5, 3))
row('mv', torch.mv, lambda n: (7, n), lambda n: (n,))
row('dot', torch.dot, lambda n: (n,), lambda n: (n,))
row('outer', torch.outer, lambda n: (n,), lambda n: (5,))
row('linear', F.linear, lambda n: (6, n), lambda n: (5, n), lambda n: (5,))
row('einsum', lambda x, y: torch.einsum('ij,jk->ki', x, y), lambda n: (3, n), lambda n: (n, 4))
row('inverse', lambda x: torch.linalg.inv(x + torch.eye(x.shape[-1]).to(x) * (x.shape[-1] + 2)), lambda n: (2, n, n))
row('trace', torch.trace, lambda n: (n, n))
row('conv1d', lambda x, w, b: F.conv1d(x, w, b, padding=1), lambda n: (2, 3, n + 4), lambda n: (4, 3, 3), lambda n: (4,), only=0)
row('conv2d in groups', lambda x, w: F.conv2d(x, w, groups=2), lambda n: (2, 4, 5, n + 4), lambda n: (6, 2, 3, 2))
row('conv2d of each channel', lambda x, w: F.conv2d(x, w, groups=4), lambda n: (2, 4, 5, n + 4), lambda n: (4, 1, 3, 3))
row('maxPool1d', lambda x: F.max_pool1d(x, 3, 2), lambda n: (2, 3, n + 4))
row('maxPool2d', lambda x: F.max_pool2d(x, 2), lambda n: (2, 3, 6, n + 4))
row('maxPool2d that overlaps', lambda x: F.max_pool2d(x, 3, 2, 1), lambda n: (2, 3, 6, n + 4))
row('maxPool3d', lambda x: F.max_pool3d(x, 2), lambda n: (2, 2, 4, 5, n + 4))
row('avgPool1d', lambda x: F.avg_pool1d(x, 3, padding=1), lambda n: (2, 3, n + 4))
row('avgPool2d', lambda x: F.avg_pool2d(x, 3, 2, 1), lambda n: (2, 3, 6, n + 4))
row('adaptiveAvgPool2d', lambda x: F.adaptive_avg_pool2d(x, [2, 3]), lambda n: (2, 3, 6, n + 4))
row('adaptiveMaxPool2d', lambda x: F.adaptive_max_pool2d(x, [2, 3]), lambda n: (2, 3, 6, n + 4))
row('interpolate', lambda x: F.interpolate(x, scale_factor=1.7, mode='linear'), lambda n: (2, 3, n + 4))
row('interpolate to the nearest', lambda x: F.interpolate(x, scale_factor=1.7), lambda n: (2, 3, n + 4))
row('pad by reflect', lambda x: F.pad(x, [3, 2, 1, 0], mode='reflect'), lambda n: (2, 3, 6, n + 4))
row('layerNorm', lambda x, w, b: F.layer_norm(x, x.shape[1:], w, b, 0.1), lambda n: (5, n), lambda n: (n,), lambda n: (n,), empty=False)
row('groupNorm', lambda x, w, b: F.group_norm(x, 2, w, b, 0.1), lambda n: (3, 4, n), lambda n: (4,), lambda n: (4,), empty=False)
row('batchNorm', lambda x, w, b: F.batch_norm(x, None, None, w, b, True, eps=0.1), lambda n: (3, 4, n), lambda n: (4,), lambda n: (4,), empty=False)
row('batchNorm evaluated', lambda x, m, v: F.batch_norm(x, m, v), lambda n: (3, 4, n), lambda n: (4,), lambda n: (4,), positive=(2,))
row('localResponseNorm', lambda x: F.local_response_norm(x, 3, 0.5, k=1.2), lambda n: (2, 7, n), empty=False)
row('crossEntropy', lambda x, t: F.cross_entropy(x, t, label_smoothing=0.1), lambda n: (5, n), index(5, -1), empty=False)
row('crossEntropy of many', lambda x, t: F.cross_entropy(x, t, reduction='sum'), lambda n: (n, 7), index(-1, 7))
row('nllLoss', F.nll_loss, lambda n: (n, 7), index(-1, 7))
for reduction in ['mean', 'sum', 'none']:
    row(f'mseLoss {reduction}', lambda x, y: F.mse_loss(x, y, reduction=reduction), lambda n: (3, n), lambda n: (3, n))
for name, fn in {'l1Loss': F.l1_loss, 'smoothL1Loss': F.smooth_l1_loss, 'binaryCrossEntropyWithLogits': F.binary_cross_entropy_with_logits,
                 'huberLoss': lambda x, y: F.huber_loss(x, y, delta=0.7)}.items():
    row(name, fn, lambda n: (3, n), lambda n: (3, n))


def attention(q, k, v):
    return torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), -1) @ v


row('scaledDotProductAttention of wide heads', attention, lambda n: (2, 4, n), lambda n: (2, 5, n), lambda n: (2, 5, n), empty=False)

print('{"cases":[\n' + ',\n'.join(json.dumps(c, separators=(',', ':')) for c in cases) + '\n]}')
