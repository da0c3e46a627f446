"""torchvision's side of full_size.mjs, which runs it: weights, inputs and what PyTorch makes of them, as safetensors.

    python3 full_size.py make NAME DIRECTORY RATE     writes weights.safetensors and torch.safetensors
    python3 full_size.py read NAME DIRECTORY          loads trained.safetensors by name, writes read.safetensors
"""

import json
import pathlib
import struct
import sys

import numpy as np
import torch
from torch.nn import functional as F
from torchvision import models

DTYPES = {"F32": np.float32, "I64": np.int64, "I32": np.int32}
NAMES = {torch.float32: "F32", torch.int64: "I64"}


def save(path, tensors):
    """The safetensors format: the length of a JSON header, the header, the data."""
    header, at = {}, 0
    for name, t in tensors.items():
        size = t.numel() * t.element_size()
        header[name] = {"dtype": NAMES[t.dtype], "shape": list(t.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            file.write(t.detach().contiguous().numpy().tobytes())


def load(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    result = {}
    for name, entry in header.items():
        start, end = (8 + length + at for at in entry["data_offsets"])
        array = np.frombuffer(data[start:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
        result[name] = torch.from_numpy(array.copy())
    return result


def create(name):
    torch.manual_seed(1)
    if name.startswith("googlenet"):
        model = models.googlenet(weights=None, init_weights=True, aux_logits=name.endswith("aux"))
    else:
        model = getattr(models, name.replace("-", "_"))(weights=None)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def inputs():
    torch.manual_seed(2)
    return torch.randn(2, 3, 224, 224), torch.tensor([3, 701])


def cost(out, y):
    if not isinstance(out, tuple):
        return F.cross_entropy(out, y)
    return F.cross_entropy(out[0], y) + 0.3 * (F.cross_entropy(out[1], y) + F.cross_entropy(out[2], y))


def make(name, directory, rate, steps=10):
    model = create(name)
    x, y = inputs()
    save(directory / "weights.safetensors", model.state_dict())
    result = {"x": x, "y": y}
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    losses = []
    for step in range(steps):
        out = model(x)
        loss = cost(out, y)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            logits = out[0] if isinstance(out, tuple) else out
            result["logits"] = logits.detach().clone()
            result.update({f"grad {n}": p.grad.clone() for n, p in model.named_parameters()})
        optimizer.step()
        losses.append(loss.item())
    result["losses"] = torch.tensor(losses)
    model.eval()
    with torch.no_grad():
        result["evaluated"] = model(x)
    result["rounding"] = torch.tensor([rounding(name, x, y, result)])
    save(directory / "torch.safetensors", result)


def rounding(name, x, y, result):
    """How far PyTorch's own gradients are from those in float64, in relation to their norm."""
    exact = create(name).double()
    cost(exact(x.double()), y).backward()
    pairs = [(result[f"grad {n}"].double(), p.grad) for n, p in exact.named_parameters()]
    off, norm = (sum(v.square().sum().item() for v in values) for values in ([a - b for a, b in pairs], [b for _, b in pairs]))
    return (off / norm) ** 0.5


def read(name, directory):
    model = create(name)
    model.load_state_dict(load(directory / "trained.safetensors"), strict=True)
    model.eval()
    with torch.no_grad():
        save(directory / "read.safetensors", {"evaluated": model(inputs()[0])})


command, network, place = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
if command == "make":
    make(network, place, float(sys.argv[4]))
else:
    read(network, place)
