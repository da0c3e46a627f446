"""Makes models.json: fits, energies and gradients of the models without convolution, by NumPy and PyTorch in float64.

Run with a PyTorch of version 1.13 or later: python3 test/golden/models.py
"""

import json
import math
import pathlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)


def values(count, seed, low=-0.5, high=0.5):
    """The numbers that test/nn/values.ts makes: exact in both languages."""
    residues = [((i + 1) * (7919 + 2 * seed) + seed) % 1009 for i in range(count)]
    return torch.tensor([low + (high - low) * r / 1009 for r in residues])


def irls(family, x, y, classes=0):
    """Coefficients (outputs, inputs + 1), bias last, by plain Newton steps."""
    design = np.hstack([x, np.ones((len(x), 1))])
    n, d = design.shape
    outputs = classes - 1 if family == "categorical" else 1
    beta = np.zeros((outputs, d))
    for _ in range(60):
        eta = design @ beta.T
        if family == "gaussian":
            mu, w = eta, np.ones_like(eta)
        elif family == "bernoulli":
            mu = 1 / (1 + np.exp(-eta))
            w = mu * (1 - mu)
        elif family == "poisson":
            mu = np.exp(eta)
            w = mu
        else:
            full = np.exp(np.hstack([eta, np.zeros((n, 1))]))
            mu = (full / full.sum(1, keepdims=True))[:, :outputs]
        target = np.eye(classes)[y][:, :outputs] if family == "categorical" else y[:, None]
        gradient = (target - mu).T @ design
        hessian = np.zeros((outputs * d, outputs * d))
        for k in range(outputs):
            for j in range(outputs):
                v = mu[:, k] * ((k == j) - mu[:, j]) if family == "categorical" else w[:, 0]
                hessian[k * d : k * d + d, j * d : j * d + d] = design.T @ (design * v[:, None])
        beta = beta + np.linalg.solve(hessian, gradient.ravel()).reshape(beta.shape)
    eta = design @ beta.T
    if family == "gaussian":
        logs = -((y - eta[:, 0]) ** 2) / 2 - math.log(2 * math.pi) / 2
        deviance = ((y - eta[:, 0]) ** 2).sum()
    elif family == "bernoulli":
        logs = y * eta[:, 0] - np.log1p(np.exp(eta[:, 0]))
        deviance = -2 * logs.sum()
    elif family == "poisson":
        mu = np.exp(eta[:, 0])
        logs = y * eta[:, 0] - mu - np.array([math.lgamma(v + 1) for v in y])
        deviance = 2 * (np.where(y > 0, y * np.log(np.maximum(y, 1) / mu), 0) - (y - mu)).sum()
    else:
        full = np.hstack([eta, np.zeros((n, 1))])
        logs = full[np.arange(n), y] - np.log(np.exp(full).sum(1))
        deviance = -2 * logs.sum()
    return {"coefficients": beta.ravel().tolist(), "logLikelihood": logs.sum(), "deviance": deviance}


def glm():
    n = 60
    rng = np.random.RandomState(5)
    x = rng.uniform(-2, 2, (n, 3)).round(6)
    noise = rng.uniform(-1, 1, n)
    eta = x @ np.array([0.8, -0.5, 0.3]) + 0.2
    targets = {
        "gaussian": eta + noise,
        "bernoulli": (eta + 3 * noise > 0).astype(float),
        "poisson": np.floor(np.exp(eta) * (1.2 + noise)),
        "categorical": np.clip(np.round(1.5 + eta + 3 * noise), 0, 3).astype(int),
    }
    fits = {family: {"y": y.tolist(), **irls(family, x, y, 4)} for family, y in targets.items()}
    return {"x": x.ravel().tolist(), "fits": fits}


def pca():
    x = values(20 * 6, 2, -1, 1).reshape(20, 6).numpy() * np.array([3, 2, 1.5, 1, 0.5, 0.2])
    eigenvalues, vectors = np.linalg.eigh(np.cov(x.T))
    order = np.argsort(-eigenvalues)
    rows = vectors[:, order].T
    rows = rows * np.sign(rows[np.arange(6), np.abs(rows).argmax(1)])[:, None]
    return {"variance": eigenvalues[order].tolist(), "components": rows.ravel().tolist()}


def rbm():
    w, a, b = values(4 * 6, 1).reshape(4, 6), values(6, 2), values(4, 3)
    for t in (w, a, b):
        t.requires_grad_()
    v = (values(5 * 6, 4) > 0).to(torch.float64).reshape(5, 6)
    sample = (values(5 * 6, 5) > 0).to(torch.float64).reshape(5, 6)

    def free(v):
        # Sum over all 16 hidden states: no use of the closed form.
        states = torch.tensor([[(s >> i) & 1 for i in range(4)] for s in range(16)], dtype=torch.float64)
        energy = -(v @ a)[:, None] - states @ b - v @ w.T @ states.T
        return -torch.logsumexp(-energy, 1)

    loss = free(v).mean() - free(sample).mean()
    loss.backward()
    return {
        "freeEnergy": free(v).tolist(),
        "loss": loss.item(),
        "gradients": [t.grad.ravel().tolist() for t in (w, a, b)],
    }


def autoencoder():
    encoder = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))
    decoder = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 12), nn.Sigmoid())
    parameters = list(encoder.parameters()) + list(decoder.parameters())
    for seed, p in enumerate(parameters):
        bound = 1 / math.sqrt(p.shape[-1])
        p.data = values(p.numel(), seed, -bound, bound).reshape(p.shape)
    x = values(6 * 12, 3, 0, 1).reshape(6, 12)
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    losses = []
    for _ in range(10):
        loss = F.mse_loss(decoder(encoder(x)), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


golden = {"glm": glm(), "pca": pca(), "rbm": rbm(), "autoencoder": autoencoder()}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden, indent=1) + "\n")
