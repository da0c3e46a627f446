"""Deterministic data and weights: a hash of the position, seeded with the FNV-1a hash of the tensor's name."""
import math

import numpy as np
import torch


def fnv(name):
    h = 2166136261
    for byte in name.encode('ascii'):
        h = (h ^ byte) * 16777619 % 2**32
    return h


def u(name, shape):
    with np.errstate(over='ignore'):
        x = np.arange(math.prod(shape), dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(fnv(name))
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
            x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
        x ^= x >> np.uint32(16)
    return ((x >> np.uint32(8)) / 2.0**24).reshape(shape)


def uni(name, shape, low, high):
    return torch.from_numpy((low + (high - low) * u(name, shape)).astype(np.float32))


def ints(name, shape, k):
    return torch.from_numpy(np.floor(u(name, shape) * k).astype(np.int64))


def bound(name, parameters):
    """Half the range of a weight: by its width for recurrent layers, 0.1 for embeddings, else by its fan-in."""
    p = parameters[name]
    if name.endswith(('emb.weight', 'wte.weight', 'wpe.weight')):
        return 0.1
    if 'weight_ih' in name or 'weight_hh' in name:
        return 1 / math.sqrt(parameters[name.replace('weight_ih', 'weight_hh')].shape[1])
    return math.sqrt(3 / math.prod(p.shape[1:]))


def initialise(model):
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, p in parameters.items():
            if p.dim() < 2:
                p.fill_(1 if name.endswith('weight') else 0)
            else:
                b = bound(name, parameters)
                p.copy_(uni(name, tuple(p.shape), -b, b))
    return model
