import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  crossEntropy,
  FileFormatError,
  Generator,
  GPT,
  IoError,
  loadFile,
  loadGPT,
  type MyelinError,
  saveGPT,
  StateDictError,
  tensor,
  ValueError,
} from '../../lib/index.js';
import { readSafetensors, writeSafetensors, type RawTensor } from '../../lib/io/safetensors.js';
import { temporaryDirectory } from '../io/tmp.js';
import { distance, numbers } from '../nn/values.js';

const original = fileURLToPath(new URL('../golden/gpt2', import.meta.url));
const golden = JSON.parse(readFileSync(join(original, 'logits.json'), 'utf8')) as {
  tokens: number[][];
  logits: number[];
};
const tokens = tensor(golden.tokens, { dtype: 'int32' });
const tmp = temporaryDirectory();
let count = 0;

/** A copy of the model in a directory of its own. */
function copy(): string {
  const directory = join(tmp, `gpt2-${count++}`);
  cpSync(original, directory, { recursive: true });
  return directory;
}

const configure = (directory: string, changes: object): void => {
  const path = join(directory, 'config.json');
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...changes }));
};

/** Changes the tensors of the file. */
async function rewrite(directory: string, change: (tensors: Map<string, RawTensor>) => void): Promise<void> {
  const path = join(directory, 'model.safetensors');
  const { tensors } = await readSafetensors(path);
  change(tensors);
  await writeSafetensors(tensors, path);
}

/** Cuts the file into two with an index. */
async function shard(directory: string): Promise<void> {
  const path = join(directory, 'model.safetensors');
  const { tensors } = await readSafetensors(path);
  const map: Record<string, string> = {};
  const halves = [new Map<string, RawTensor>(), new Map<string, RawTensor>()];
  [...tensors].forEach(([name, value], i) => {
    map[name] = `model-0000${(i % 2) + 1}-of-00002.safetensors`;
    halves[i % 2]!.set(name, value);
  });
  for (const [i, half] of halves.entries()) {
    await writeSafetensors(half, join(directory, `model-0000${i + 1}-of-00002.safetensors`));
  }
  rmSync(path);
  const index = { metadata: { total_size: 1 }, weight_map: map };
  writeFileSync(join(directory, 'model.safetensors.index.json'), JSON.stringify(index));
}

const reindex = (directory: string, name: string, file: unknown): void => {
  const path = join(directory, 'model.safetensors.index.json');
  const index = JSON.parse(readFileSync(path, 'utf8')) as { weight_map: Record<string, unknown> };
  index.weight_map[name] = file;
  writeFileSync(path, JSON.stringify(index));
};

const logitsOf = async (directory: string): Promise<number[]> => numbers((await loadGPT(directory)).forward(tokens));

describe('loadGPT', () => {
  it('gives the logits of a PyTorch forward pass with the same weights', async () => {
    const model = await loadGPT(original);
    expect(model.training).toBe(false);
    expect(model.config).toEqual({
      vocabulary: 13,
      context: 12,
      layers: 2,
      heads: 2,
      width: 8,
      hidden: 32,
      activation: 'gelu-tanh',
      bias: true,
      eps: 1e-4,
      dropout: 0,
    });
    expect(distance(numbers(model.forward(tokens)), golden.logits)).toBeLessThan(1e-5);
  });
  it('takes names without a prefix, no head, shards and half precision', async () => {
    const bare = copy();
    await rewrite(bare, (tensors) => {
      for (const [name, value] of [...tensors]) {
        tensors.delete(name);
        if (name !== 'lm_head.weight') tensors.set(name.replace('transformer.', ''), value);
      }
    });
    configure(bare, { architectures: ['GPT2Model'], n_ctx: undefined, n_inner: null });
    expect(await logitsOf(bare)).toEqual(await logitsOf(original));
    const cut = copy();
    await shard(cut);
    expect(await logitsOf(cut)).toEqual(await logitsOf(original));
    const half = copy();
    await rewrite(half, (tensors) => {
      for (const [name, { shape, data }] of tensors) {
        const words = new Uint16Array(data.slice().buffer).filter((_, i) => i % 2 === 1);
        tensors.set(name, { dtype: 'BF16', shape, data: new Uint8Array(words.buffer) });
      }
    });
    expect(distance(await logitsOf(half), golden.logits)).toBeLessThan(0.1);
  });
  it('gives a model that trains and generates', async () => {
    const model = await loadGPT(original, { dropout: 0.2 });
    model.train();
    const loss = crossEntropy(model.forward(tokens).reshape([-1, 13]), tokens.reshape([-1]));
    loss.backward();
    expect(model.parameters().every((p) => p.grad !== null)).toBe(true);
    model.eval();
    const made: number[] = [];
    for await (const token of model.generate([1], { maxTokens: 3 })) made.push(token);
    expect(made).toHaveLength(3);
  });

  it.each<[string, (directory: string) => void | Promise<void>, new (...args: never[]) => MyelinError, string]>([
    [
      'another model',
      (d) => configure(d, { model_type: 'bert' }),
      FileFormatError,
      'expected model_type to be "gpt2", got "bert"',
    ],
    [
      'another head',
      (d) => configure(d, { architectures: ['GPT2ForSequenceClassification'] }),
      FileFormatError,
      'expected architectures to name GPT2LMHeadModel or GPT2Model, got ["GPT2ForSequenceClassification"]',
    ],
    [
      'a loose head',
      (d) => configure(d, { tie_word_embeddings: false }),
      FileFormatError,
      'expected tie_word_embeddings to be true',
    ],
    [
      'ReLU',
      (d) => configure(d, { activation_function: 'relu' }),
      FileFormatError,
      'expected activation_function to be one of gelu_new',
    ],
    [
      'no sizes',
      (d) => configure(d, { n_embd: undefined }),
      FileFormatError,
      'expected n_embd to be a positive integer, got undefined',
    ],
    [
      'sizes of text',
      (d) => configure(d, { n_layer: '2' }),
      FileFormatError,
      'expected n_layer to be a positive integer, got "2"',
    ],
    [
      'odd heads',
      (d) => configure(d, { n_head: 3 }),
      FileFormatError,
      'expected n_embd to be a multiple of n_head (3), got 8',
    ],
    [
      'a billion layers',
      (d) => configure(d, { n_layer: 1e9 }),
      FileFormatError,
      'expected n_layer to be 2 as in the weights, got 1000000000',
    ],
    [
      'another vocabulary',
      (d) => configure(d, { vocab_size: 14 }),
      StateDictError,
      'wte.weight: expected shape [14, 8], got [13, 8]',
    ],
    ['fewer layers', (d) => configure(d, { n_layer: 1 }), StateDictError, 'unexpected: h.1.ln_1.weight, h.1.ln_1.bias'],
    ['no JSON', (d) => writeFileSync(join(d, 'config.json'), '{'), FileFormatError, 'config.json is not JSON'],
    ['a list', (d) => writeFileSync(join(d, 'config.json'), '[]'), FileFormatError, 'to hold an object, got []'],
    ['no config', (d) => rmSync(join(d, 'config.json')), IoError, 'loadGPT: cannot read'],
    [
      'no weights',
      (d) => rmSync(join(d, 'model.safetensors')),
      FileFormatError,
      'expected model.safetensors or model.safetensors.index.json in',
    ],
    [
      'a missing weight',
      (d) => rewrite(d, (tensors) => void tensors.delete('transformer.h.1.mlp.c_fc.bias')),
      StateDictError,
      'missing: h.1.mlp.c_fc.bias',
    ],
    [
      'turned matrices',
      (d) =>
        rewrite(d, (tensors) => {
          const name = 'transformer.h.0.mlp.c_fc.weight';
          tensors.set(name, { ...tensors.get(name)!, shape: [32, 8] });
        }),
      StateDictError,
      'h.0.mlp.c_fc.weight: expected shape [8, 32], got [32, 8]',
    ],
    [
      'a missing shard',
      async (d) => {
        await shard(d);
        rmSync(join(d, 'model-00002-of-00002.safetensors'));
      },
      FileFormatError,
      'expected the shard model-00002-of-00002.safetensors in',
    ],
    [
      'a shard elsewhere',
      async (d) => {
        await shard(d);
        reindex(d, 'transformer.wte.weight', '../model.safetensors');
      },
      FileFormatError,
      'expected a .safetensors file of the same directory for transformer.wte.weight, got "../model.safetensors"',
    ],
    [
      'a wrong index',
      async (d) => {
        await shard(d);
        reindex(d, 'transformer.h.7.attn.c_attn.weight', 'model-00001-of-00002.safetensors');
      },
      FileFormatError,
      'expected transformer.h.7.attn.c_attn.weight in',
    ],
  ])('refuses %s', async (_, spoil, kind, message) => {
    const directory = copy();
    await spoil(directory);
    const attempt = loadGPT(directory);
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toThrow(kind);
  });
});

describe('saveGPT', () => {
  it('writes what it loads, and what Hugging Face names', async () => {
    const model = await loadGPT(original);
    const directory = join(tmp, 'saved');
    mkdirSync(directory);
    await saveGPT(model, directory);
    expect(await logitsOf(directory)).toEqual(numbers(model.forward(tokens)));
    const [saved, given] = await Promise.all([directory, original].map((d) => loadFile(join(d, 'model.safetensors'))));
    for (const [name, value] of saved!) expect(numbers(value)).toEqual(numbers(given!.get(name)!));
    expect(saved!.size).toBe(28);
    const config = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8')) as Record<string, unknown>;
    expect(config).toMatchObject({
      model_type: 'gpt2',
      n_embd: 8,
      layer_norm_epsilon: 1e-4,
      activation_function: 'gelu_new',
    });
  });
  it('cuts large models into shards with an index, and leaves no weights of the model before', async () => {
    const model = await loadGPT(original);
    const directory = copy();
    const files = (): string[] => readdirSync(directory).filter((name) => name.startsWith('model'));
    for (const [maxShardSize, least] of [
      [3000, 3],
      [1, 28],
    ] as const) {
      await saveGPT(model, directory, { maxShardSize });
      const index = JSON.parse(readFileSync(join(directory, 'model.safetensors.index.json'), 'utf8')) as {
        metadata: { total_size: number };
        weight_map: Record<string, string>;
      };
      const shards = [...new Set(Object.values(index.weight_map))];
      expect(shards.length).toBeGreaterThanOrEqual(least);
      expect(shards[0]).toBe(`model-00001-of-${String(shards.length).padStart(5, '0')}.safetensors`);
      expect(files().sort()).toEqual([...shards, 'model.safetensors.index.json'].sort());
      let total = 0;
      for (const shard of shards) {
        const { tensors } = await readSafetensors(join(directory, shard));
        const bytes = [...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
        expect(bytes <= maxShardSize || tensors.size === 1).toBe(true);
        for (const name of tensors.keys()) expect(index.weight_map[name]).toBe(shard);
        total += bytes;
      }
      expect(index.metadata.total_size).toBe(total);
      expect(await logitsOf(directory)).toEqual(numbers(model.forward(tokens)));
    }
    await saveGPT(model, directory);
    expect(files()).toEqual(['model.safetensors']);
    await expect(saveGPT(model, directory, { maxShardSize: 0 })).rejects.toThrow('expected maxShardSize to be');
  });
  it('refuses what GPT-2 cannot be', async () => {
    const config = { vocabulary: 5, context: 4, layers: 1, heads: 1, width: 4 };
    const model = new GPT({ ...config, bias: false }, { generator: new Generator(1) });
    await expect(saveGPT(model, tmp)).rejects.toThrow(ValueError);
    await expect(saveGPT({} as unknown as GPT, tmp)).rejects.toThrow('saveGPT: expected a GPT, got an object');
    await expect(saveGPT(new GPT(config), join(tmp, 'nowhere'))).rejects.toThrow(IoError);
  });
});
