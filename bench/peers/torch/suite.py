#!/usr/bin/env python3
"""The work of the bench in PyTorch, at its best: channels-last convolutions, fused or foreach optimizers, results reused.

    python3 bench/peers/torch/suite.py --threads 2 --only mlp-mnist,softmax-fwd-4096x1024 [--budget 2]

prints an answer a name; with --serve it answers requests on standard input, one JSON object a line (see bench/serve.ts). The
caller sets up the process (see bench/peers.ts): one BLAS thread pool, glibc malloc that keeps freed memory.
"""
import argparse
import json
import resource
import sys
import time
import traceback

parser = argparse.ArgumentParser()
parser.add_argument('--threads', type=int, default=1)
parser.add_argument('--only', default='')
parser.add_argument('--budget', type=float, default=2.0, help='seconds of timed calls each')
parser.add_argument('--serve', action='store_true')
args = parser.parse_args()


def peak_rss_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


started = time.perf_counter()
import torch

IMPORT = {'import_ms': (time.perf_counter() - started) * 1e3, 'rss_after_import_mb': peak_rss_mb()}
torch.set_num_threads(args.threads)
LIB = 'torch' + '.'.join(torch.__version__.split('a')[0].split('+')[0].split('.')[:2])

import kernels
import workloads


def repeat(call, calls):
    for _ in range(calls):
        call()


def seconds(call, calls=1):
    t = time.perf_counter()
    repeat(call, calls)
    return time.perf_counter() - t


def timed(call, budget, least, block_ms):
    """Milliseconds a call, as bench/statistics.ts times it."""
    dt = seconds(call) * 1e3
    long = dt > budget * 1e3
    if dt <= block_ms:
        dt = min(dt, seconds(call) * 1e3)
    block = max(1, int(block_ms / max(dt, 1e-4)))
    ms, spent = ([dt], dt) if long else ([], 0)
    while not ms or spent < (max(4 * budget, 1) if len(ms) < least else budget) * 1e3:
        each = seconds(call, block) * 1e3 / block
        ms.append(each)
        spent += each * block
    return ms


def prepare(name):
    """(call, milliseconds of a block, facts), or None."""
    calls = kernels.find(name)
    if calls is not None:
        # Of the ways to do it the quickest.
        quick = [min(seconds(call) for _ in range(6)) if seconds(call) < 0.1 else seconds(call) for call in calls]
        return calls[quick.index(min(quick))], 10, {}
    if name not in workloads.WORKLOADS:
        return None
    begun = time.perf_counter()
    kind, step, params = workloads.WORKLOADS[name]()
    first = last = step()
    facts = {'build_and_first_step_s': time.perf_counter() - begun, 'params': params}
    for _ in range(9 if kind == 'training' else 2):
        last = step()
    warm = time.perf_counter()
    while time.perf_counter() - warm < 0.3:
        step()
    return step, 2, {**facts, 'loss_first': first, 'loss_last': last}


prepared = {}


def answer(name, budget, least):
    if name not in prepared:
        prepared.clear()
        prepared[name] = prepare(name)
    if prepared[name] is None:
        return {'unsupported': True}
    call, block_ms, facts = prepared[name]
    ms = timed(call, budget, least, block_ms)
    return {'lib': LIB, 'ms': ms, 'facts': {**IMPORT, **facts, 'peak_rss_mb': peak_rss_mb()}}


if args.serve:
    for line in sys.stdin:
        try:
            reply = answer(**json.loads(line))
        except Exception:
            reply = {'error': traceback.format_exc()}
        print(json.dumps(reply), flush=True)
else:
    for name in args.only.split(',') if args.only else workloads.WORKLOADS:
        reply = answer(name, args.budget, 7)
        if 'ms' in reply:
            ms = sorted(reply.pop('ms'))
            reply = {'min_ms': ms[0], 'median_ms': ms[len(ms) // 2], **reply}
        print(json.dumps({'name': name, **reply}), flush=True)
