"""Makes nn.json: activations, losses, module texts and small training runs, computed by PyTorch in float64.

Run with a PyTorch of version 1.13 or later: python3 test/golden/nn.py
"""

import json
import math
import pathlib

import torch
from torch import nn
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)


def values(count, seed, low=-0.5, high=0.5):
    """The numbers that test/nn/values.ts makes: exact in both languages."""
    residues = [((i + 1) * (7919 + 2 * seed) + seed) % 1009 for i in range(count)]
    return torch.tensor([low + (high - low) * r / 1009 for r in residues])


def fill(model):
    for seed, (_, p) in enumerate(model.named_parameters()):
        bound = 1 / math.sqrt(p.shape[-1])
        p.data = values(p.numel(), seed, -bound, bound).reshape(p.shape)


class Perceptron(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.fc = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))

    def forward(self, x):
        for layer in self.fc[:-1]:
            x = F.relu(layer(x))
        return self.fc[-1](x)


class Mnist1dLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(40, 10)

    def forward(self, x):
        return self.linear(x)


class Mnist1dMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear1 = nn.Linear(40, 100)
        self.linear2 = nn.Linear(100, 100)
        self.linear3 = nn.Linear(100, 10)

    def forward(self, x):
        h = F.relu(self.linear1(x))
        return self.linear3(h + F.relu(self.linear2(h)))


def run(model, inputs, rows=8, steps=10):
    """Logits of the first row, norms of the first gradients, and the losses of a few steps of gradient descent."""
    fill(model)
    x = values(rows * inputs, 3, -1, 1).reshape(rows, inputs)
    y = torch.arange(rows) * 3 % 10
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses, logits, norms = [], None, None
    for _ in range(steps):
        out = model(x)
        loss = F.cross_entropy(out, y)
        optimizer.zero_grad()
        loss.backward()
        if logits is None:
            logits = out[0].tolist()
            norms = {name: p.grad.norm().item() for name, p in model.named_parameters()}
        optimizer.step()
        losses.append(loss.item())
    return {"logits": logits, "gradientNorms": norms, "losses": losses}


points = [-30.0, -5.0, -2.5, -1.0, -0.3, 0.0, 1e-3, 0.7, 1.0, 3.0, 19.0, 25.0]
activations = {
    "ReLU": nn.ReLU(),
    "LeakyReLU": nn.LeakyReLU(),
    "LeakyReLU 0.2": nn.LeakyReLU(0.2),
    "ELU": nn.ELU(),
    "ELU 0.5": nn.ELU(0.5),
    "GELU": nn.GELU(),
    "GELU tanh": nn.GELU(approximate="tanh"),
    "SiLU": nn.SiLU(),
    "Sigmoid": nn.Sigmoid(),
    "Tanh": nn.Tanh(),
    "Softplus": nn.Softplus(),
    "Softplus 2": nn.Softplus(beta=2, threshold=5),
    "Softmax": nn.Softmax(dim=-1),
    "LogSoftmax": nn.LogSoftmax(dim=-1),
}
activation_values = {}
for name, module in activations.items():
    x = torch.tensor(points, requires_grad=True)
    y = module(x)
    y.backward(torch.arange(1.0, len(points) + 1))
    activation_values[name] = {"y": y.tolist(), "dx": x.grad.tolist()}

logits = values(20, 1, -2, 2).reshape(4, 5)
target = torch.tensor([1, 4, 0, 2])
weight = torch.tensor([0.5, 1.0, 2.0, 0.1, 1.5])
losses = {
    "mean": nn.CrossEntropyLoss()(logits, target),
    "sum": nn.CrossEntropyLoss(reduction="sum")(logits, target),
    "none": nn.CrossEntropyLoss(reduction="none")(logits, target),
    "weight": nn.CrossEntropyLoss(weight=weight)(logits, target),
    "ignoreIndex": nn.CrossEntropyLoss(ignore_index=4)(logits, target),
    "labelSmoothing": nn.CrossEntropyLoss(label_smoothing=0.1)(logits, target),
    "mse": nn.MSELoss()(logits, logits.flip(0)),
    "mseSum": nn.MSELoss(reduction="sum")(logits, logits.flip(0)),
}

clip = {}
for norm_type in (2.0, float("inf"), 3.0):
    grads = [values(6, 1), values(5, 2), values(1, 3)]
    params = [torch.zeros_like(g, requires_grad=True) for g in grads]
    for p, g in zip(params, grads):
        p.grad = g.clone()
    total = torch.nn.utils.clip_grad_norm_(params, 0.5, norm_type=norm_type)
    clip[str(norm_type)] = {"total": total.item(), "grads": [p.grad.tolist() for p in params]}

golden = {
    "points": points,
    "activations": activation_values,
    "losses": {name: value.tolist() for name, value in losses.items()},
    "clip": clip,
    "runs": {
        "mlp": run(Perceptron([784, 200, 200, 10]), 784),
        "logistic": run(Perceptron([784, 10]), 784),
        "mnist1d-linear": run(Mnist1dLinear(), 40),
        "mnist1d-mlp": run(Mnist1dMLP(), 40),
    },
}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden, indent=1) + "\n")
