"""Writes losses/manifest.json.gz and losses/data.bin.gz: losses and distances of PyTorch on what its own samples leave out.

python3 losses.py; the format is that of torch-ops/README.md. Inputs are float32, expected values float64.
"""

import gzip
import hashlib
import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(7)
data = bytearray()
cases = []


def store(t):
    t = t.detach().contiguous()
    dtype = {torch.float32: "float32", torch.float64: "float64", torch.int64: "int64"}[t.dtype]
    ref = {"dtype": dtype, "shape": list(t.shape), "offset": len(data), "bytes": t.numel() * t.element_size()}
    data.extend(t.numpy().tobytes())
    return ref


def case(op, *args, variant="", **kwargs):
    """Calls F.op with float64 copies of the arguments; those that require a gradient are differentiated."""
    counter = iter(range(100))
    leaves = []

    def encode(value):
        if isinstance(value, torch.Tensor):
            wide = value.double() if value.is_floating_point() else value
            wide = wide.detach().requires_grad_(value.requires_grad)
            if value.requires_grad:
                leaves.append(wide)
            described = {"tensor": store(value), "index": next(counter), "requires_grad": value.requires_grad}
            return described, wide
        return {"value": value}, value

    encoded = [encode(a) for a in args]
    named = {k: encode(v) for k, v in kwargs.items()}
    out = getattr(F, op)(*(w for _, w in encoded), **{k: w for k, (_, w) in named.items()})
    upstream = torch.rand(out.shape, dtype=torch.float32) + 0.5
    grads = torch.autograd.grad(out, leaves, upstream.double(), allow_unused=True)
    cases.append(
        {
            "op": f"nn.functional.{op}",
            "variant": variant,
            "sample": sum(c["op"] == f"nn.functional.{op}" for c in cases),
            "input": encoded[0][0],
            "args": [d for d, _ in encoded[1:]],
            "kwargs": {k: d for k, (d, _) in named.items()},
            "outputs": [store(out)],
            "upstream": [store(upstream)],
            "grads": [None if g is None else store(g) for g in grads],
        }
    )


def x(*shape, scale=1.0):
    return (torch.randn(shape) * scale).requires_grad_()


def unit(*shape):
    return (torch.rand(shape) * 0.9 + 0.05).requires_grad_()


for reduction in ("mean", "sum", "none"):
    for smoothing in (0.0, 0.3):
        for shape, target in (((5, 4), (5,)), ((2, 4, 3), (2, 3)), ((4,), ())):
            labels = torch.randint(0, 4, target)
            common = {"reduction": reduction, "label_smoothing": smoothing}
            case("cross_entropy", x(*shape), labels, **common)
            case("cross_entropy", x(*shape), labels, weight=torch.rand(4) + 0.5, ignore_index=1, **common)
            case("cross_entropy", x(*shape), unit(*shape), weight=torch.rand(4) + 0.5, **common)
            # Logits of a million.
            case("cross_entropy", x(*shape, scale=1e6), labels, variant="extreme", **common)
    far = torch.tensor([[-1e4, 1e4, -88.0], [104.0, 0.0, 30.0]]).requires_grad_()
    truth = torch.tensor([[0.0, 1.0, 1.0], [0.0, 1.0, 0.25]])
    case("binary_cross_entropy_with_logits", far, truth, reduction=reduction, variant="extreme")
    for p in (1, 2):
        labels = torch.randint(0, 4, (5,))
        case("multi_margin_loss", x(5, 4), labels, p=p, margin=0.7, reduction=reduction)
        case("multi_margin_loss", x(5, 4), labels, p=p, weight=torch.rand(4) + 0.5, reduction=reduction)
    case("multilabel_soft_margin_loss", x(5, 4), torch.randint(0, 2, (5, 4)).float(), reduction=reduction)
    case("multilabel_soft_margin_loss", x(5, 4), unit(5, 4).detach(), weight=torch.rand(4) + 0.5, reduction=reduction)
    for swap in (False, True):
        for p in (1.0, 2.0, 3.0):
            case("triplet_margin_loss", x(5, 4), x(5, 4), x(5, 4), p=p, swap=swap, reduction=reduction)

for p in (0.0, 0.5, 1.0, 2.0, 3.5, float("inf")):
    given = "inf" if p == float("inf") else p
    for keepdim in (False, True):
        case("pairwise_distance", x(5, 4), x(5, 4), p=p, keepdim=keepdim)
        cases[-1]["kwargs"]["p"] = {"value": given}
    case("normalize", x(3, 4, 2), p=p)
    cases[-1]["kwargs"]["p"] = {"value": given}
case("cosine_similarity", x(3, 1, 5), x(4, 5), dim=2)
case("cosine_similarity", torch.zeros(2, 3).requires_grad_(), x(2, 3))

out = pathlib.Path(__file__).parent / "losses"
out.mkdir(exist_ok=True)
(out / "data.bin.gz").write_bytes(gzip.compress(data, mtime=0))
manifest = {"torch": torch.__version__, "seed": 7, "sha256": hashlib.sha256(data).hexdigest(), "cases": cases}
(out / "manifest.json.gz").write_bytes(gzip.compress(json.dumps(manifest, separators=(",", ":")).encode(), mtime=0))
print(len(cases), "cases,", len(data), "bytes")
