"""Training and inference of the suite: WORKLOADS[name]() gives (kind, step, parameters)."""
import torch
from torch import nn
from torch.nn import functional as F

import models
from data import initialise, ints, uni

CHANNELS_LAST = torch.channels_last
FUSED = tuple(int(part) for part in torch.__version__.split('.')[:2]) >= (2, 4)
FAST = {'fused': True} if FUSED else {'foreach': True}


def images_first(model, x):
    return model.to(memory_format=CHANNELS_LAST), x.contiguous(memory_format=CHANNELS_LAST)


def count(model):
    return sum(p.numel() for p in model.parameters())


def training(model, inputs, target, loss_of, optimizer_of):
    initialise(model)
    if inputs[0].dim() == 4:
        model, image = images_first(model, inputs[0])
        inputs = (image,)
    optimizer = optimizer_of(model)

    def step():
        loss = loss_of(model(*inputs), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.item()

    return 'training', step, count(model)


def inference(model, x):
    initialise(model).eval()
    if x.dim() == 4:
        model, x = images_first(model, x)

    def step():
        with torch.inference_mode():
            return model(x)[0, 0].item()

    return 'inference', step, count(model)


def sgd(**options):
    return lambda model: torch.optim.SGD(model.parameters(), **options, **FAST)


def adam(**options):
    return lambda model: torch.optim.Adam(model.parameters(), **options, **FAST)


def adamw(weight_decay, **options):
    def make(model):
        matrices = [p for p in model.parameters() if p.dim() > 1]
        others = [p for p in model.parameters() if p.dim() <= 1]
        groups = [{'params': matrices, 'weight_decay': weight_decay}, {'params': others, 'weight_decay': 0.0}]
        return torch.optim.AdamW(groups, **options, **FAST)
    return make


def token_loss(logits, target):
    return F.cross_entropy(logits.flatten(0, 1), target.flatten())


def digits(rows):
    x, y = uni('x', (rows, 784), 0, 1), ints('y', (rows,), 10)
    return training(models.MLP(784, 200, 200, 10), (x,), y, F.cross_entropy, sgd(lr=0.1))


def mnist1d():
    x, y = uni('x', (100, 40), -1, 1), ints('y', (100,), 10)
    return training(models.MLP(40, 100, 100, 10), (x,), y, F.cross_entropy, sgd(lr=0.1))


def shallow():
    x, y = uni('x', (32, 1), -1, 1), uni('y', (32, 1), -1, 1)
    return training(models.MLP(1, 3, 1), (x,), y, F.mse_loss, sgd(lr=0.05))


def lenet():
    x, y = uni('x', (64, 1, 28, 28), 0, 1), ints('y', (64,), 10)
    return training(models.LeNet5(), (x,), y, F.cross_entropy, adam(lr=1e-3))


def cifar(model):
    x, y = uni('x', (32, 3, 32, 32), -1, 1), ints('y', (32,), 10)
    return training(model, (x,), y, F.cross_entropy, sgd(lr=0.01, momentum=0.9, weight_decay=5e-4))


def autoencoder():
    x = uni('x', (128, 784), 0, 1)
    return training(models.Autoencoder(), (x,), x, F.mse_loss, adam(lr=1e-3))


def characters(layer):
    d = ints('tokens', (65, 32), 96)
    return training(models.CharModel(layer), (d[:-1].contiguous(),), d[1:].contiguous(), token_loss, adam(lr=1e-3))


def translation():
    src, t = ints('src', (20, 32), 1000), ints('tgt', (21, 32), 1000)
    return training(models.Seq2Seq(), (src, t[:-1].contiguous()), t[1:].contiguous(), token_loss, adam(lr=1e-3))


def transformer(layers):
    src, t = ints('src', (8, 64), 1000), ints('tgt', (8, 65), 1000)
    optimizer = adam(lr=1e-4, betas=(0.9, 0.98), eps=1e-9)
    inputs, target = (src, t[:, :-1].contiguous()), t[:, 1:].contiguous()
    return training(models.Transformer(layers), inputs, target, token_loss, optimizer)


def gpt():
    d = ints('tokens', (4, 257), 96)
    optimizer = adamw(0.1, lr=3e-4, betas=(0.9, 0.95), eps=1e-8)
    return training(models.GPT(), (d[:, :-1].contiguous(),), d[:, 1:].contiguous(), token_loss, optimizer)


def generation(decode):
    model = initialise(models.GPT()).eval()
    prompt, caches = ints('tokens', (1, 128), 96), model.new_caches(192)

    def token(ids, start):
        with torch.inference_mode():
            return int(model(ids, caches, start, last=True)[0, -1].argmax())

    def prefill():
        return float(token(prompt, 0))

    first = int(prefill())

    def decode64():
        current, total = first, 0
        for t in range(64):
            total = (total * 31 + current) % 1000003
            current = token(torch.tensor([[current]]), 128 + t)
        return float(total)

    return 'inference', decode64 if decode else prefill, count(model)


WORKLOADS = {
    'mlp-mnist': lambda: digits(64),
    'mlp-mnist-b1024': lambda: digits(1024),
    'mlp-mnist1d': mnist1d,
    'shallow-1d': shallow,
    'lenet5': lenet,
    'resnet18-cifar': lambda: cifar(models.ResNet18()),
    'vgg11-bn-cifar': lambda: cifar(models.VGG11()),
    'autoencoder': autoencoder,
    'lstm-char': lambda: characters(nn.LSTM),
    'gru-char': lambda: characters(nn.GRU),
    'seq2seq-attn': translation,
    'transformer-n2': lambda: transformer(2),
    'transformer-n6': lambda: transformer(6),
    'gpt-mini': gpt,
    'infer-mlp-b1': lambda: inference(models.MLP(784, 200, 200, 10), uni('x', (1, 784), 0, 1)),
    'infer-resnet18-b1': lambda: inference(models.ResNet18(), uni('x', (1, 3, 32, 32), -1, 1)),
    'infer-gpt-prefill128': lambda: generation(False),
    'infer-gpt-decode64': lambda: generation(True),
}
