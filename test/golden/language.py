"""Makes language.json: logits, gradients and ten losses of the models that read sequences, computed by PyTorch in float64.

Run with a PyTorch of version 1.13 or later: python3 test/golden/language.py
"""

import json
import math
import pathlib

import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)


def values(count, seed, low=-0.5, high=0.5):
    """The numbers that test/nn/values.ts makes: exact in both languages."""
    residues = [((i + 1) * (7919 + 2 * seed) + seed) % 1009 for i in range(count)]
    return torch.tensor([low + (high - low) * r / 1009 for r in residues])


def tensor(shape, seed):
    return values(math.prod(shape), seed, -1, 1).reshape(shape)


def ids(shape, seed, count):
    """((i + 1)(7919 + 2 seed) + seed mod 1009) mod count, as in language.test.ts."""
    numbers = [(((i + 1) * (7919 + 2 * seed) + seed) % 1009) % count for i in range(math.prod(shape))]
    return torch.tensor(numbers).reshape(shape)


def fill(model):
    for seed, (_, p) in enumerate(model.named_parameters()):
        bound = 1 / math.sqrt(p.shape[-1])
        p.data = values(p.numel(), seed, -bound, bound).reshape(p.shape)


def numbers(x):
    return [float(f'{v:.9g}') for v in x.detach().flatten().tolist()]


def record(model, logits_of, target):
    """Logits (..., V) or values; target of classes, or of values for a squared error."""
    fill(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    result, losses = {}, []
    for step in range(10):
        logits = logits_of(model)
        if target.is_floating_point():
            loss = F.mse_loss(logits, target)
        else:
            loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), target.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            result['logits'] = numbers(logits)
            result['gradients'] = {name: numbers(p.grad) for name, p in model.named_parameters()}
        losses.append(float(f'{loss.item():.9g}'))
        optimizer.step()
    return {**result, 'losses': losses}


class Elman(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(3, 5)
        self.out = nn.Linear(5, 2)

    def forward(self, x):
        return self.out(self.rnn(x)[0])


class Characters(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.emb = nn.Embedding(9, 4)
        self.rnn = {'rnn': nn.RNN, 'gru': nn.GRU, 'lstm': nn.LSTM}[kind](4, 6, 2)
        self.out = nn.Linear(6, 9)

    def forward(self, tokens):
        return self.out(self.rnn(self.emb(tokens))[0])


class Curves(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 2, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(160, 10)

    def forward(self, x):
        return self.linear(self.gru(x[:, :, None])[0].flatten(1))


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.src_emb = nn.Embedding(8, 5)
        self.tgt_emb = nn.Embedding(9, 5)
        self.enc = nn.GRU(5, 5)
        self.dec = nn.GRU(5, 5)
        self.out = nn.Linear(5, 9)

    def forward(self, source, target):
        _, h = self.enc(self.src_emb(source))
        return self.out(self.dec(self.tgt_emb(target), h)[0])


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.src_emb = nn.Embedding(8, 5)
        self.tgt_emb = nn.Embedding(9, 5)
        self.enc = nn.GRU(5, 5)
        self.cell = nn.GRUCell(10, 5)
        self.attn_w1 = nn.Linear(5, 5, bias=False)
        self.attn_w2 = nn.Linear(5, 5, bias=False)
        self.attn_v = nn.Linear(5, 1, bias=False)
        self.out = nn.Linear(5, 9)

    def forward(self, source, target, lengths=None):
        x = self.src_emb(source)
        if lengths is None:
            memory, h = self.enc(x)
        else:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
            packed, h = self.enc(packed)
            memory, _ = nn.utils.rnn.pad_packed_sequence(packed, total_length=len(source))
        h = h[0]
        states = []
        for token in self.tgt_emb(target):
            scores = self.attn_v(torch.tanh(self.attn_w1(h) + self.attn_w2(memory)))[:, :, 0]
            if lengths is not None:
                steps = torch.arange(len(source))[:, None]
                scores = scores.masked_fill(steps >= torch.tensor(lengths), float('-inf'))
            context = (scores.softmax(0)[:, :, None] * memory).sum(0)
            h = self.cell(torch.cat([token, context], 1), h)
            states.append(h)
        return self.out(torch.stack(states))


class EncoderDecoder(nn.Module):
    def __init__(self, norm_first, padding=None):
        super().__init__()
        self.src_emb = nn.Embedding(8, 8)
        self.tgt_emb = nn.Embedding(9, 8)
        options = {'batch_first': True, 'norm_first': norm_first}
        self.transformer = nn.Transformer(8, 2, 2, 2, 12, 0.0, **options)
        self.out = nn.Linear(8, 9)
        self.padding = padding

    def embed(self, tokens, table):
        angles = torch.arange(tokens.shape[1])[:, None] * 10000.0 ** (-torch.arange(0, 8, 2) / 8)
        positions = torch.stack([angles.sin(), angles.cos()], 2).flatten(1)
        return table(tokens) * math.sqrt(8) + positions

    def forward(self, source, target):
        mask = torch.full((target.shape[1],) * 2, float('-inf')).triu(1)
        masks = {}
        if self.padding is not None:
            masks['src_key_padding_mask'] = masks['memory_key_padding_mask'] = source == self.padding
            masks['tgt_key_padding_mask'] = target == self.padding
        x, y = self.embed(source, self.src_emb), self.embed(target, self.tgt_emb)
        return self.out(self.transformer(x, y, tgt_mask=mask, **masks))


class Literal(nn.Module):
    """H = x + attention(x), then FC(FC(H)) + H."""

    def __init__(self):
        super().__init__()
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)
        self.fc1 = nn.Linear(8, 32)
        self.fc2 = nn.Linear(32, 8)

    def forward(self, x):
        h = x + self.attn(x, x, x)[0]
        return self.fc2(F.relu(self.fc1(h))) + h


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn = nn.Linear(8, 24)
        self.c_proj = nn.Linear(8, 8)

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = (y.reshape(b, t, 2, 4).transpose(1, 2) for y in self.c_attn(x).split(8, 2))
        scores = q @ k.transpose(2, 3) / 2 + torch.full((t, t), float('-inf')).triu(1)
        return self.c_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, 8))


class FeedForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_fc = nn.Linear(8, 32)
        self.c_proj = nn.Linear(32, 8)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate='tanh'))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1 = nn.LayerNorm(8)
        self.attn = Attention()
        self.ln_2 = nn.LayerNorm(8)
        self.mlp = FeedForward()

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(11, 8)
        self.wpe = nn.Embedding(7, 8)
        self.h = nn.ModuleList([Block(), Block()])
        self.ln_f = nn.LayerNorm(8)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
        for block in self.h:
            x = block(x)
        return self.ln_f(x) @ self.wte.weight.T


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8))

    def forward(self, x):
        return x / (x.pow(2).mean(-1, keepdim=True) + 1e-3).sqrt() * self.weight


def rotated(x):
    """x (B, H, T, 4): the pairs (x_i, x_{i+2}) turned by t / 100^(2i/4)."""
    angles = torch.arange(x.shape[2])[:, None] * 100.0 ** (-torch.arange(0, 4, 2) / 4)
    a, b = x[..., :2], x[..., 2:]
    return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], -1)


class GroupedAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = nn.Linear(8, 8, bias=False)
        self.k_proj = nn.Linear(8, 4, bias=False)
        self.v_proj = nn.Linear(8, 4, bias=False)
        self.o_proj = nn.Linear(8, 8, bias=False)

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = (f(x).reshape(b, t, -1, 4).transpose(1, 2) for f in (self.q_proj, self.k_proj, self.v_proj))
        scores = rotated(q) @ rotated(k).transpose(2, 3) / 2 + torch.full((t, t), float('-inf')).triu(1)
        return self.o_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, 8))


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_proj = nn.Linear(8, 12, bias=False)
        self.up_proj = nn.Linear(8, 12, bias=False)
        self.down_proj = nn.Linear(12, 8, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class DecoderBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn = GroupedAttention()
        self.mlp = Gated()
        self.input_layernorm = Norm()
        self.post_attention_layernorm = Norm()

    def forward(self, x):
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(11, 8)
        self.layers = nn.ModuleList([DecoderBlock(), DecoderBlock()])
        self.norm = Norm()
        self.lm_head = nn.Linear(8, 11, bias=False)

    def forward(self, tokens):
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.lm_head(self.norm(x))


def translation(model, **options):
    source, target = ids((6, 3), 60, 8), ids((6, 3), 61, 9)
    return record(model, lambda m: m(source, target[:-1], **options), target[1:])


def transformer(model, padding=None):
    source, target = ids((3, 6), 60, 7), ids((3, 6), 61, 7)
    if padding is not None:  # the last tokens of the first row
        source[0, 4:] = target[0, 3:] = padding
    return record(model, lambda m: m(source, target[:, :-1]), target[:, 1:].contiguous())


characters, text = ids((8, 3), 60, 9), ids((2, 8), 60, 11)
result = {
    'ElmanNetwork': record(Elman(), lambda m: m(tensor((6, 4, 3), 60)), tensor((6, 4, 2), 61)),
    **{
        f'CharRNN {kind}': record(Characters(kind), lambda m: m(characters[:-1]), characters[1:])
        for kind in ('rnn', 'gru', 'lstm')
    },
    'Mnist1dGRU': record(Curves(), lambda m: m(tensor((4, 40), 60)), torch.tensor([3, 1, 4, 9])),
    'Seq2Seq': translation(Plain()),
    'AttentionSeq2Seq': translation(Attending()),
    'AttentionSeq2Seq lengths': translation(Attending(), lengths=[6, 2, 4]),
    'TransformerSeq2Seq': transformer(EncoderDecoder(False)),
    'TransformerSeq2Seq normFirst': transformer(EncoderDecoder(True)),
    'TransformerSeq2Seq padding': transformer(EncoderDecoder(False, 7), 7),
    'LiteralTransformerBlock': record(Literal(), lambda m: m(tensor((2, 5, 8), 60)), tensor((2, 5, 8), 61)),
    'GPT': record(GPT(), lambda m: m(text[:, :-1]), text[:, 1:].contiguous()),
    'Decoder': record(Decoder(), lambda m: m(text[:, :-1]), text[:, 1:].contiguous()),
}
path = pathlib.Path(__file__).with_name('language.json')
path.write_text(json.dumps(result, separators=(',', ':')) + '\n')
