"""Makes optim.json: parameters after steps of every optimizer, the curve of every scheduler, by PyTorch in float64.

Run with a PyTorch of version 1.13 or later: python3 test/golden/optim.py
"""

import json
import math
import pathlib

import torch
from torch import optim
from torch.optim import lr_scheduler as schedulers

torch.set_default_dtype(torch.float64)
STEPS = 20
SEEN = [1, 2, 3, 10, 20]


def values(count, seed, low=-0.5, high=0.5):
    """The numbers that test/nn/values.ts makes: exact in both languages."""
    residues = [((i + 1) * (7919 + 2 * seed) + seed) % 1009 for i in range(count)]
    return torch.tensor([low + (high - low) * r / 1009 for r in residues])


def parameters():
    return [values(6, 1).reshape(3, 2).requires_grad_(), values(5, 2).requires_grad_()]


def run(optimizer_class, options):
    """The second parameter has no gradient in every fourth step."""
    params = parameters()
    optimizer = optimizer_class(params, **options)
    seen = []
    for step in range(1, STEPS + 1):
        for i, p in enumerate(params):
            p.grad = None if i == 1 and step % 4 == 0 else values(p.numel(), 10 * step + i, -1, 1).reshape(p.shape)
        optimizer.step()
        if step in SEEN:
            seen.append([p.detach().flatten().tolist() for p in params])
    return seen


optimizers = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.02}),
    ("SGD", {"lr": 0.1, "momentum": 0.5, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.01, "betas": [0.8, 0.95], "eps": 1e-6, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.02, "amsgrad": True}),
    ("Adam", {"lr": 0.02, "amsgrad": True, "weight_decay": 0.05, "maximize": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.03, "weight_decay": 0.2, "betas": [0.7, 0.9]}),
    ("AdamW", {"lr": 0.03, "amsgrad": True, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-6, "weight_decay": 0.03}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.9}),
    ("RMSprop", {"lr": 0.02, "centered": True}),
    ("RMSprop", {"lr": 0.02, "centered": True, "momentum": 0.8, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.05, "weight_decay": 0.02, "initial_accumulator_value": 0.1, "eps": 1e-8}),
    ("Adagrad", {"lr": 0.1, "maximize": True}),
]

METRICS = [1.0, 0.9, 0.95, 0.91, 0.9, 0.8999, 0.92, 0.7, 0.71, 0.72, 0.73, 0.74, 0.7, 0.7, 0.7] + [0.69] * 5


def noam(size, warmup, factor):
    return lambda epoch: factor * size**-0.5 * min((epoch + 1) ** -0.5, (epoch + 1) * warmup**-1.5)


def curve(name, make, steps=30, metrics=None, adam=False):
    """Rates of two groups (and the momentum of the first) from the start and after each step."""
    a, b = parameters()
    groups = [{"params": [a], "lr": 0.1}, {"params": [b], "lr": 0.5}]
    optimizer = optim.Adam(groups) if adam else optim.SGD(groups, lr=1.0, momentum=0.9)
    if name == "NoamLR":
        for group in groups:
            group["lr"] = 1.0
        optimizer = optim.SGD(groups, lr=1.0)
    scheduler = make(optimizer)
    rows = []
    for i in range(steps + 1):
        first = optimizer.param_groups[0]
        rows.append([g["lr"] for g in optimizer.param_groups] + [first["betas"][0] if adam else first["momentum"]])
        if i == steps:
            break
        optimizer.step()
        scheduler.step(*([] if metrics is None else [metrics[i % len(metrics)]]))
    return rows


curves = {
    "StepLR": curve("StepLR", lambda o: schedulers.StepLR(o, 4, 0.5)),
    "MultiStepLR": curve("MultiStepLR", lambda o: schedulers.MultiStepLR(o, [3, 8, 8, 20], 0.3)),
    "ExponentialLR": curve("ExponentialLR", lambda o: schedulers.ExponentialLR(o, 0.93)),
    "CosineAnnealingLR": curve("CosineAnnealingLR", lambda o: schedulers.CosineAnnealingLR(o, 12, 0.01)),
    "LinearLR": curve("LinearLR", lambda o: schedulers.LinearLR(o)),
    "LinearLR down": curve("LinearLR", lambda o: schedulers.LinearLR(o, 1.0, 0.1, 10)),
    "LambdaLR": curve("LambdaLR", lambda o: schedulers.LambdaLR(o, [lambda t: 0.9**t, lambda t: 1 / (1 + t)])),
    "OneCycleLR": curve("OneCycleLR", lambda o: schedulers.OneCycleLR(o, 0.3, total_steps=30), steps=29),
    "OneCycleLR linear": curve(
        "OneCycleLR",
        lambda o: schedulers.OneCycleLR(
            o, [0.3, 0.6], epochs=5, steps_per_epoch=6, anneal_strategy="linear", pct_start=0.2
        ),
        steps=29,
    ),
    "OneCycleLR three": curve(
        "OneCycleLR",
        lambda o: schedulers.OneCycleLR(
            o, 0.3, total_steps=30, three_phase=True, div_factor=10.0, final_div_factor=100.0
        ),
        steps=29,
        adam=True,
    ),
    "ReduceLROnPlateau": curve(
        "ReduceLROnPlateau",
        lambda o: schedulers.ReduceLROnPlateau(o, factor=0.5, patience=2, cooldown=1),
        metrics=METRICS,
    ),
    "ReduceLROnPlateau max": curve(
        "ReduceLROnPlateau",
        lambda o: schedulers.ReduceLROnPlateau(
            o, mode="max", patience=1, threshold=0.01, threshold_mode="abs", min_lr=[0.02, 0.001]
        ),
        metrics=METRICS,
    ),
    "NoamLR": curve("NoamLR", lambda o: schedulers.LambdaLR(o, noam(512, 10, 2.0))),
    "warm-up and cosine": curve(
        "chain",
        lambda o: schedulers.ChainedScheduler(
            [schedulers.LinearLR(o, 0.2, 1.0, 5), schedulers.CosineAnnealingLR(o, 40)]
        ),
    ),
}

golden = {
    "seen": SEEN,
    "optimizers": [{"name": n, "options": o, "params": run(getattr(optim, n), o)} for n, o in optimizers],
    "metrics": METRICS,
    "curves": curves,
}
assert all(math.isfinite(x) for rows in curves.values() for row in rows for x in row)
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden, indent=1) + "\n")
