"""Makes gpt2/: a tiny GPT-2 as Hugging Face stores it, and its logits by a forward pass written in plain PyTorch.

Run with a PyTorch of version 1.13 or later: python3 test/golden/gpt2.py
"""

import json
import math
import pathlib
import struct

import torch
import torch.nn.functional as F

VOCABULARY, CONTEXT, WIDTH, LAYERS, HEADS = 13, 12, 8, 2, 2
EPS = 1e-4  # large, so that it matters


def values(count, seed, low=-0.5, high=0.5):
    """The numbers that test/nn/values.ts makes: exact in both languages."""
    residues = [((i + 1) * (7919 + 2 * seed) + seed) % 1009 for i in range(count)]
    return torch.tensor([low + (high - low) * r / 1009 for r in residues], dtype=torch.float64)


def shapes():
    yield 'wte.weight', (VOCABULARY, WIDTH)
    yield 'wpe.weight', (CONTEXT, WIDTH)
    for i in range(LAYERS):
        for norm in ('ln_1', 'ln_2'):
            yield f'h.{i}.{norm}.weight', (WIDTH,)
            yield f'h.{i}.{norm}.bias', (WIDTH,)
        # Conv1D: (in, out).
        for name, size in (
            ('attn.c_attn', (WIDTH, 3 * WIDTH)),
            ('attn.c_proj', (WIDTH, WIDTH)),
            ('mlp.c_fc', (WIDTH, 4 * WIDTH)),
            ('mlp.c_proj', (4 * WIDTH, WIDTH)),
        ):
            yield f'h.{i}.{name}.weight', size
            yield f'h.{i}.{name}.bias', size[1:]
    yield 'ln_f.weight', (WIDTH,)
    yield 'ln_f.bias', (WIDTH,)


def weights():
    """Numbers that float32 holds exactly."""
    made = {}
    for seed, (name, shape) in enumerate(shapes()):
        x = values(math.prod(shape), seed).reshape(shape)
        if name.endswith('ln_f.weight') or '.ln_' in name and name.endswith('weight'):
            x = x + 1
        made[name] = x.float().double()
    return made


def conv1d(x, w, name):
    return x @ w[f'{name}.weight'] + w[f'{name}.bias']


def norm(x, w, name):
    return F.layer_norm(x, (WIDTH,), w[f'{name}.weight'], w[f'{name}.bias'], EPS)


def gelu_new(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def attention(x, w, name):
    b, t, _ = x.shape
    q, k, v = (y.reshape(b, t, HEADS, -1).transpose(1, 2) for y in conv1d(x, w, f'{name}.c_attn').split(WIDTH, 2))
    scores = q @ k.transpose(2, 3) / math.sqrt(WIDTH / HEADS)
    scores = scores.masked_fill(~torch.tril(torch.ones(t, t, dtype=torch.bool)), float('-inf'))
    return conv1d((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, WIDTH), w, f'{name}.c_proj')


def forward(tokens, w):
    x = w['wte.weight'][tokens] + w['wpe.weight'][: tokens.shape[1]]
    for i in range(LAYERS):
        x = x + attention(norm(x, w, f'h.{i}.ln_1'), w, f'h.{i}.attn')
        y = conv1d(norm(x, w, f'h.{i}.ln_2'), w, f'h.{i}.mlp.c_fc')
        x = x + conv1d(gelu_new(y), w, f'h.{i}.mlp.c_proj')
    return norm(x, w, 'ln_f') @ w['wte.weight'].T


def save_file(tensors, path):
    header, data = {'__metadata__': {'format': 'pt'}}, b''
    for name, x in tensors.items():
        raw = x.float().contiguous().numpy().tobytes()
        header[name] = {'dtype': 'F32', 'shape': list(x.shape), 'data_offsets': [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    path.write_bytes(struct.pack('<Q', len(text)) + text + data)


w = weights()
tokens = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 12], [0, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3]])
stored = {f'transformer.{name}': x for name, x in w.items()}
for i in range(LAYERS):  # as files of old versions have them
    stored[f'transformer.h.{i}.attn.bias'] = torch.tril(torch.ones(CONTEXT, CONTEXT))[None, None]
    stored[f'transformer.h.{i}.attn.masked_bias'] = torch.tensor(-1e4)
stored['lm_head.weight'] = w['wte.weight']

out = pathlib.Path(__file__).with_name('gpt2')
out.mkdir(exist_ok=True)
save_file(stored, out / 'model.safetensors')
config = {
    'activation_function': 'gelu_new',
    'architectures': ['GPT2LMHeadModel'],
    'attn_pdrop': 0.1,
    'bos_token_id': VOCABULARY - 1,
    'embd_pdrop': 0.1,
    'eos_token_id': VOCABULARY - 1,
    'initializer_range': 0.02,
    'layer_norm_epsilon': EPS,
    'model_type': 'gpt2',
    'n_ctx': CONTEXT,
    'n_embd': WIDTH,
    'n_head': HEADS,
    'n_layer': LAYERS,
    'n_positions': CONTEXT,
    'resid_pdrop': 0.1,
    'summary_type': 'cls_index',
    'vocab_size': VOCABULARY,
}
(out / 'config.json').write_text(json.dumps(config, indent=2) + '\n')
logits = [float(f'{x:.9g}') for x in forward(tokens, w).flatten().tolist()]
(out / 'logits.json').write_text(json.dumps({'tokens': tokens.tolist(), 'logits': logits}, separators=(',', ':')) + '\n')
