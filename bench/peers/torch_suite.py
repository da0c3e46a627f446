#!/usr/bin/env python3
"""The same workloads as bench/workloads.ts in PyTorch, one JSON line each.

    python3 bench/peers/torch_suite.py --threads 2 --only mlp-mnist,shallow-1d [--budget 2]

The caller sets up the process (see bench/peers.ts): one BLAS thread pool, glibc malloc that keeps freed memory.
"""
import argparse
import json
import math
import resource
import time

parser = argparse.ArgumentParser()
parser.add_argument('--threads', type=int, default=1)
parser.add_argument('--only', default='')
parser.add_argument('--budget', type=float, default=2.0, help='seconds of timed calls a workload')
args = parser.parse_args()


def peak_rss_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


started = time.perf_counter()
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import_ms = (time.perf_counter() - started) * 1e3
rss_after_import_mb = peak_rss_mb()
torch.set_num_threads(args.threads)
LIB = 'torch' + '.'.join(torch.__version__.split('a')[0].split('+')[0].split('.')[:2])


# Data and initialisation: a hash of the position, seeded with the FNV-1a hash of the tensor's name.
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


def initialise(model):
    with torch.no_grad():
        for name, p in model.named_parameters():
            bound = math.sqrt(3 / p.shape[1]) if p.dim() == 2 else 0
            p.copy_(uni(name, tuple(p.shape), -bound, bound) if bound else torch.zeros(p.shape))


class MLP(nn.Module):
    def __init__(self, *sizes):
        super().__init__()
        self.fc = nn.ModuleList(nn.Linear(i, o) for i, o in zip(sizes, sizes[1:]))

    def forward(self, x):
        for layer in self.fc[:-1]:
            x = F.relu(layer(x))
        return self.fc[-1](x)


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(784, 256), nn.Linear(256, 32)
        self.fc3, self.fc4 = nn.Linear(32, 256), nn.Linear(256, 784)

    def forward(self, x):
        code = self.fc2(F.relu(self.fc1(x)))
        return torch.sigmoid(self.fc4(F.relu(self.fc3(code))))


def mlp_mnist(rows):
    x, y = uni('x', (rows, 784), 0, 1), ints('y', (rows,), 10)
    return MLP(784, 200, 200, 10), x, y, F.cross_entropy, lambda p: torch.optim.SGD(p, lr=0.1, foreach=True)


def mlp_mnist1d():
    x, y = uni('x', (100, 40), -1, 1), ints('y', (100,), 10)
    return MLP(40, 100, 100, 10), x, y, F.cross_entropy, lambda p: torch.optim.SGD(p, lr=0.1, foreach=True)


def shallow_1d():
    x, y = uni('x', (32, 1), -1, 1), uni('y', (32, 1), -1, 1)
    return MLP(1, 3, 1), x, y, F.mse_loss, lambda p: torch.optim.SGD(p, lr=0.05, foreach=True)


def autoencoder():
    x = uni('x', (128, 784), 0, 1)
    return Autoencoder(), x, x, F.mse_loss, lambda p: torch.optim.Adam(p, lr=1e-3, foreach=True)


WORKLOADS = {
    'mlp-mnist': lambda: mlp_mnist(64),
    'mlp-mnist-b1024': lambda: mlp_mnist(1024),
    'mlp-mnist1d': mlp_mnist1d,
    'shallow-1d': shallow_1d,
    'autoencoder': autoencoder,
}


def timed(call, budget, least=7, block_s=0.002):
    """Milliseconds a call; calls shorter than 2 ms are timed in blocks."""
    dt = math.inf
    for _ in range(2):
        t = time.perf_counter()
        call()
        dt = min(dt, time.perf_counter() - t)
    block = max(1, int(block_s / dt))
    ms, start = [], time.perf_counter()
    while len(ms) < least or time.perf_counter() - start < budget:
        t = time.perf_counter()
        for _ in range(block):
            call()
        ms.append((time.perf_counter() - t) * 1e3 / block)
    return ms


def run(name):
    built = time.perf_counter()
    model, x, y, loss_of, optimizer_of = WORKLOADS[name]()
    initialise(model)
    optimizer = optimizer_of(model.parameters())

    def step():
        loss = loss_of(model(x), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.item()

    losses = [step()]
    first_s = time.perf_counter() - built
    losses += [step() for _ in range(9)]
    ms = timed(step, args.budget)
    median = float(np.median(ms))
    print(json.dumps({
        'name': name, 'threads': args.threads, 'step_ms_min': round(min(ms), 5), 'step_ms_median': round(median, 5),
        'samples_per_s': round(len(x) / median * 1e3, 2), 'loss_first': losses[0], 'loss_last': losses[-1],
        'reps': len(ms), 'params': sum(p.numel() for p in model.parameters()), 'peak_rss_mb': round(peak_rss_mb(), 1),
        'rss_after_import_mb': round(rss_after_import_mb, 1), 'import_ms': round(import_ms, 1),
        'build_and_first_step_s': round(first_s, 3), 'lib': LIB,
    }), flush=True)


for name in filter(None, args.only.split(',')) if args.only else WORKLOADS:
    if name not in WORKLOADS:
        raise SystemExit(f'torch_suite: unknown workload {name}')
    run(name)
