"""What test/ops/promotion.test.ts and operations.test.ts compare with: /usr/bin/python3 test/golden/torch_api.py > test/golden/torch_api.json

The dtypes of results for every pair of operands, and the names of PyTorch's tensor methods. int64, which results of counting
and of booleans with numbers have in PyTorch, is int32 here. null: PyTorch throws.
"""
import json

import torch

DTYPES = {'float32': torch.float32, 'float64': torch.float64, 'int32': torch.int32, 'uint8': torch.uint8, 'bool': torch.bool}
NAMES = {dtype: name for name, dtype in DTYPES.items()} | {torch.int64: 'int32'}

BINARY = {
    'add': torch.add, 'sub': torch.sub, 'mul': torch.mul, 'div': torch.div, 'trueDivide': torch.true_divide,
    'floorDivide': torch.floor_divide, 'remainder': torch.remainder, 'fmod': torch.fmod, 'pow': torch.pow, 'maximum': torch.maximum,
    'minimum': torch.minimum, 'fmax': torch.fmax, 'fmin': torch.fmin, 'atan2': torch.atan2, 'hypot': torch.hypot,
    'logaddexp': torch.logaddexp, 'xlogy': torch.xlogy, 'eq': torch.eq, 'lt': torch.lt, 'logicalAnd': torch.logical_and,
    'bitwiseAnd': torch.bitwise_and, 'where': lambda a, b: torch.where(torch.tensor([True, False]), a, b),
    'cat': lambda a, b: torch.cat([a, b]), 'stack': lambda a, b: torch.stack([a, b]),
}
UNARY = {
    'exp': torch.exp, 'log': torch.log, 'sqrt': torch.sqrt, 'sigmoid': torch.sigmoid, 'sin': torch.sin, 'erf': torch.erf, 'abs': torch.abs,
    'neg': torch.neg, 'square': torch.square, 'reciprocal': torch.reciprocal, 'sign': torch.sign, 'floor': torch.floor,
    'round': torch.round, 'isfinite': torch.isfinite, 'logicalNot': torch.logical_not, 'bitwiseNot': torch.bitwise_not,
    'sum': torch.sum, 'prod': torch.prod, 'mean': torch.mean, 'amax': torch.amax, 'argmax': torch.argmax, 'any': torch.any,
    'all': torch.all, 'countNonzero': torch.count_nonzero, 'cumsum': lambda x: torch.cumsum(x, 0),
    'cumprod': lambda x: torch.cumprod(x, 0), 'sort': lambda x: torch.sort(x)[0], 'softmax': lambda x: torch.softmax(x, 0),
    'relu': torch.relu, 'clamp': lambda x: torch.clamp(x, 0, 1),
}


def dtype_of(fn, *operands):
    try:
        return NAMES[fn(*operands).dtype]
    except (RuntimeError, TypeError, IndexError):
        return None


def vector(dtype):
    return torch.tensor([1, 1]).to(dtype)


pairs = []
for fn_name, fn in BINARY.items():
    for a, a_dtype in DTYPES.items():
        for b, b_dtype in DTYPES.items():
            pairs.append([fn_name, a, b, dtype_of(fn, vector(a_dtype), vector(b_dtype))])
            if fn_name not in ('cat', 'stack'):
                pairs.append([fn_name, a, f'{b} scalar', dtype_of(fn, vector(a_dtype), torch.tensor(1).to(b_dtype))])
                pairs.append([fn_name, f'{a} scalar', b, dtype_of(fn, torch.tensor(1).to(a_dtype), vector(b_dtype))])
        if fn_name in ('add', 'sub', 'mul', 'div', 'floorDivide', 'remainder', 'pow', 'eq', 'lt'):
            for number in [1, 2.5]:
                pairs.append([fn_name, a, number, dtype_of(fn, vector(a_dtype), number)])

single = [[name, a, dtype_of(fn, vector(dtype))] for name, fn in UNARY.items() for a, dtype in DTYPES.items()]
methods = [name for name in dir(torch.Tensor) if not name.startswith('_')]


def rows(items):
    return '[\n' + ',\n'.join(json.dumps(item, separators=(',', ':')) for item in items) + '\n]'


print(f'{{"pairs":{rows(pairs)},"single":{rows(single)},"methods":{json.dumps(methods)}}}')
