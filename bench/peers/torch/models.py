"""The networks of the suite, with PyTorch's usual parameter names."""
import math

import torch
from torch import nn
from torch.nn import functional as F


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


class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        for conv in (self.conv1, self.conv2):
            x = F.max_pool2d(F.relu(conv(x)), 2)
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc3(F.relu(self.fc2(x)))


class BasicBlock(nn.Module):
    def __init__(self, width_in, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or width_in != width:
            self.downsample = nn.Sequential(nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + shortcut)


class ResNet18(nn.Module):
    """With the stem for pictures of 32×32: 3×3, stride 1, no pooling."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64)
        widths = (64, 64, 128, 256, 512)
        for i in range(1, 5):
            first = BasicBlock(widths[i - 1], widths[i], 1 if i == 1 else 2)
            setattr(self, f'layer{i}', nn.Sequential(first, BasicBlock(widths[i], widths[i], 1)))
        self.fc = nn.Linear(512, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
        return self.fc(x.mean((2, 3)))


class VGG11(nn.Module):
    def __init__(self):
        super().__init__()
        layers, channels = [], 3
        for width in (64, None, 128, None, 256, 256, None, 512, 512, None, 512, 512, None):
            if width is None:
                layers.append(nn.MaxPool2d(2))
                continue
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            channels = width
        self.features, self.fc = nn.Sequential(*layers), nn.Linear(512, 10)

    def forward(self, x):
        return self.fc(torch.flatten(self.features(x), 1))


class CharModel(nn.Module):
    """Characters (T,B) to logits (T,B,96) through one recurrent layer."""

    def __init__(self, layer):
        super().__init__()
        self.emb, self.rnn, self.out = nn.Embedding(96, 128), layer(128, 256), nn.Linear(256, 96)

    def forward(self, ids):
        return self.out(self.rnn(self.emb(ids))[0])


class Seq2Seq(nn.Module):
    """A GRU encoder, and a GRU cell that attends to it additively before every step."""

    def __init__(self, vocabulary=1000, width=256):
        super().__init__()
        self.src_emb, self.tgt_emb = nn.Embedding(vocabulary, width), nn.Embedding(vocabulary, width)
        self.enc, self.cell = nn.GRU(width, width), nn.GRUCell(2 * width, width)
        self.attn_w1, self.attn_w2 = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.attn_v = nn.Linear(width, 1, bias=False)
        self.out = nn.Linear(width, vocabulary)

    def forward(self, src, tgt):
        memory, last = self.enc(self.src_emb(src))
        keys, inputs, h, states = self.attn_w2(memory), self.tgt_emb(tgt), last[0], []
        for x in inputs:
            scores = self.attn_v(torch.tanh(keys + self.attn_w1(h))).squeeze(2)
            context = (torch.softmax(scores, 0).unsqueeze(2) * memory).sum(0)
            h = self.cell(torch.cat((x, context), 1), h)
            states.append(h)
        return self.out(torch.stack(states))


def attend(q, k, v, causal):
    """Scaled dot-product attention on (B,H,T,D), fused where this PyTorch has it so."""
    if hasattr(F, 'scaled_dot_product_attention'):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
    if causal:
        future = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(future, -math.inf)
    return torch.softmax(scores, 3) @ v


def split_heads(x, heads):
    return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def join_heads(x):
    return x.transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.qkv, self.proj, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads

    def forward(self, x, causal):
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, 2))
        return self.proj(join_heads(attend(q, k, v, causal)))


class CrossAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.q, self.kv = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.proj, self.heads = nn.Linear(width, width), heads

    def forward(self, x, memory):
        k, v = (split_heads(part, self.heads) for part in self.kv(memory).chunk(2, 2))
        return self.proj(join_heads(attend(split_heads(self.q(x), self.heads), k, v, False)))


class TransformerLayer(nn.Module):
    def __init__(self, decoder, width=512, heads=8, hidden=2048):
        super().__init__()
        self.attn, self.ln1 = SelfAttention(width, heads), nn.LayerNorm(width)
        self.decoder = decoder
        if decoder:
            self.xattn, self.lnx = CrossAttention(width, heads), nn.LayerNorm(width)
        self.fc1, self.fc2, self.ln2 = nn.Linear(width, hidden), nn.Linear(hidden, width), nn.LayerNorm(width)

    def forward(self, x, memory=None):
        x = self.ln1(x + self.attn(x, self.decoder))
        if self.decoder:
            x = self.lnx(x + self.xattn(x, memory))
        return self.ln2(x + self.fc2(F.relu(self.fc1(x))))


def sinusoids(length, width):
    position = torch.arange(length, dtype=torch.float64)[:, None]
    angle = position / 10000 ** (torch.arange(0, width, 2, dtype=torch.float64) / width)
    return torch.stack((angle.sin(), angle.cos()), 2).flatten(1).float()


class Transformer(nn.Module):
    def __init__(self, layers, vocabulary=1000, width=512):
        super().__init__()
        self.src_emb, self.tgt_emb = nn.Embedding(vocabulary, width), nn.Embedding(vocabulary, width)
        self.enc = nn.ModuleList(TransformerLayer(False) for _ in range(layers))
        self.decl = nn.ModuleList(TransformerLayer(True) for _ in range(layers))
        self.out = nn.Linear(width, vocabulary)
        self.register_buffer('positions', sinusoids(64, width))
        self.scale = math.sqrt(width)

    def forward(self, src, tgt):
        x = self.src_emb(src) * self.scale + self.positions
        for layer in self.enc:
            x = layer(x)
        y = self.tgt_emb(tgt) * self.scale + self.positions
        for layer in self.decl:
            y = layer(y, x)
        return self.out(y)


class GPTBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1, self.ln_2, self.heads = nn.LayerNorm(width), nn.LayerNorm(width), heads
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.c_fc, self.c_proj2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, cache=None, start=0):
        q, k, v = (split_heads(part, self.heads) for part in self.c_attn(self.ln_1(x)).chunk(3, 2))
        if cache is not None:
            end = start + x.shape[1]
            for stored, new in zip(cache, (k, v)):
                stored[:, :, start:end] = new
            k, v = (stored[:, :, :end] for stored in cache)
        x = x + self.c_proj(join_heads(attend(q, k, v, x.shape[1] > 1)))
        return x + self.c_proj2(F.gelu(self.c_fc(self.ln_2(x)), approximate='tanh'))


class GPT(nn.Module):
    def __init__(self, layers=6, width=384, heads=6, context=256, vocabulary=96):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.h = nn.ModuleList(GPTBlock(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)

    def forward(self, ids, caches=None, start=0, last=False):
        x = self.wte(ids) + self.wpe.weight[start:start + ids.shape[1]]
        for i, block in enumerate(self.h):
            x = block(x, None if caches is None else caches[i], start)
        if last:
            x = x[:, -1:]
        return F.linear(self.ln_f(x), self.wte.weight)

    def new_caches(self, length):
        heads = self.h[0].heads
        shape = (1, heads, length, self.wte.embedding_dim // heads)
        return [(torch.zeros(shape), torch.zeros(shape)) for _ in self.h]
