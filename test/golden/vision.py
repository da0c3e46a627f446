"""Makes vision.json: logits, losses and gradients of small convolutional networks, by torchvision in float64.

Run with Debian's python3-torch and python3-torchvision: /usr/bin/python3 test/golden/vision.py. Weights and inputs are those of
test/models/vision.test.ts: exact in both languages, so that no file of them is needed.
"""

import json
import math
import pathlib
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.alexnet import AlexNet
from torchvision.models.densenet import DenseNet
from torchvision.models.googlenet import BasicConv2d, GoogLeNet, Inception, InceptionAux
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.models.vgg import VGG, make_layers

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def values(count, seed, low=-0.5, high=0.5):
    """The numbers that test/models/vision.test.ts makes: 32-bit hashes of their places, exact in both languages."""
    h = (torch.arange(1, count + 1, dtype=torch.int64) * 2654435761 + seed * 97531) % 2**32
    h = h ^ (h >> 15)
    h = (h * 73244475) % 2**32
    h = h ^ (h >> 13)
    return low + (high - low) * h.double() / 2**32


def fill(model):
    """Every parameter by its place in the sorted list of names."""
    for seed, (name, p) in enumerate(sorted(model.named_parameters())):
        if p.dim() == 1:
            p.data = values(p.numel(), seed, 0.5, 1.5) if name.endswith("weight") else values(p.numel(), seed, -0.1, 0.1)
        else:
            bound = math.sqrt(3 / (p.numel() / p.shape[0]))
            p.data = values(p.numel(), seed, -bound, bound).reshape(p.shape)


class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class Mnist1dCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(1, 25, 5, stride=2, padding=1)
        self.conv2 = nn.Conv1d(25, 25, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(25, 25, 3, stride=2, padding=1)
        self.linear = nn.Linear(125, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x[:, None]))
        return self.linear(F.relu(self.conv3(F.relu(self.conv2(x)))).flatten(1))


def alexnet():
    """An eighth of the published widths."""
    model = AlexNet(num_classes=10, dropout=0.0)
    for layers in (model.features, model.classifier):
        for i, old in enumerate(layers):
            if isinstance(old, nn.Conv2d):
                channels = old.in_channels if old.in_channels == 3 else old.in_channels // 8
                layers[i] = nn.Conv2d(channels, old.out_channels // 8, old.kernel_size, old.stride, old.padding)
            elif isinstance(old, nn.Linear):
                out = old.out_features if old.out_features == 10 else old.out_features // 8
                layers[i] = nn.Linear(old.in_features // 8, out)
    return model


def vgg(batch_norm):
    model = VGG(make_layers([8, "M", 12, "M", 16, 16, "M"], batch_norm), num_classes=10, init_weights=False)
    model.classifier = nn.Sequential(
        nn.Linear(16 * 49, 32), nn.ReLU(), nn.Dropout(0), nn.Linear(32, 32), nn.ReLU(), nn.Dropout(0), nn.Linear(32, 10)
    )
    return model


def resnet(block):
    """An eighth of the published widths; the stem's is set in the constructor, so its first assignment is caught."""

    class Narrow(ResNet):
        def __setattr__(self, name, value):
            stem = name == "inplanes" and not hasattr(self, "inplanes")
            super().__setattr__(name, 8 if stem else value)

        def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
            return super()._make_layer(block, planes // 8, blocks, stride, dilate)

    model = Narrow(block, [1, 2, 1, 1], num_classes=10)
    model.fc = nn.Linear(64 * block.expansion, 10)
    return model


def googlenet():
    """An eighth of the published widths."""

    def conv(channels, out, **kwargs):
        return BasicConv2d(channels if channels == 3 else channels // 8, out // 8, **kwargs)

    blocks = [conv, partial(Inception, conv_block=conv), partial(InceptionAux, conv_block=conv)]
    model = GoogLeNet(10, aux_logits=True, init_weights=False, blocks=blocks, dropout=0.0, dropout_aux=0.0)
    for aux in (model.aux1, model.aux2):
        aux.fc1, aux.fc2 = nn.Linear(256, 128), nn.Linear(128, 10)
    model.fc = nn.Linear(128, 10)
    return model


models = {
    "lenet5": (LeNet5(), [4, 1, 28, 28]),
    "mnist1d-cnn": (Mnist1dCNN(), [6, 40]),
    "alexnet": (alexnet(), [4, 3, 95, 95]),
    "vgg": (vgg(False), [2, 3, 32, 32]),
    "vgg-bn": (vgg(True), [4, 3, 32, 32]),
    "resnet-basic": (resnet(BasicBlock), [4, 3, 64, 64]),
    "resnet-bottleneck": (resnet(Bottleneck), [4, 3, 64, 64]),
    "densenet": (DenseNet(8, (2, 3, 2), 16, num_classes=10), [4, 3, 64, 64]),
    "googlenet-aux": (googlenet(), [4, 3, 128, 128]),
}


def run(model, shape, lr, steps=10):
    """Logits and gradient norms of the first step, and the losses of `steps` steps of gradient descent."""
    fill(model)
    model.train()
    x = values(math.prod(shape), 3, -1, 1).reshape(shape)
    y = torch.arange(shape[0]) * 3 % 10
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    result = {"shape": shape, "lr": lr, "losses": []}
    for step in range(steps):
        out = model(x)
        if isinstance(out, tuple):
            logits, aux2, aux1 = out
            loss = F.cross_entropy(logits, y) + 0.3 * (F.cross_entropy(aux1, y) + F.cross_entropy(aux2, y))
        else:
            logits = out
            loss = F.cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            result["logits"] = logits.detach().flatten().tolist()
            result["gradientNorms"] = {n: p.grad.norm().item() for n, p in sorted(model.named_parameters())}
        optimizer.step()
        result["losses"].append(loss.item())
    model.eval()
    result["evaluated"] = model(x).detach().flatten().tolist()
    return result


# Small where training magnifies rounding: a unit at 0 that rounds to the other side has another gradient.
rates = {"resnet-basic": 2e-4, "resnet-bottleneck": 1e-4, "googlenet-aux": 1e-5}
golden = {name: run(model, shape, rates.get(name, 2e-3)) for name, (model, shape) in models.items()}
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(golden) + "\n")
