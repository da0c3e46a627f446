import {
  Adam,
  AdamW,
  add,
  AttentionSeq2Seq,
  CharRNN,
  crossEntropy,
  Embedding,
  gelu,
  LayerNorm,
  linear,
  Linear,
  Module,
  ModuleList,
  noGrad,
  relu,
  scaledDotProductAttention,
  scope,
  sinusoids,
  tensor,
  zeros,
  type Tensor,
} from 'myelin';
import { initialise, ints } from '../data.js';
import { stepBytes, training, type Job, type Workload } from './workload.js';

const tokenLoss = (logits: Tensor, target: Tensor): Tensor =>
  crossEntropy(logits.reshape([target.numel, -1]), target.reshape([target.numel]));

/** The steps of `tokens` along `dim` but for the last, and but for the first. */
const shifted = (tokens: Tensor, dim: number): [Tensor, Tensor] => {
  const count = (tokens.shape[dim] ?? 1) - 1;
  return [tokens.narrow(dim, 0, count).contiguous(), tokens.narrow(dim, 1, count).contiguous()];
};

const adam =
  (lr: number, betas?: [number, number], eps?: number) =>
  (model: Module): Adam =>
    new Adam(model.parameters(), {
      lr,
      ...(betas === undefined ? {} : { betas }),
      ...(eps === undefined ? {} : { eps }),
    });

function characters(kind: 'lstm' | 'gru'): Job {
  const [inputs, targets] = shifted(ints('tokens', [65, 32], 96), 0);
  const model = new CharRNN(kind, 96, 128, 256);
  return training(model, () => tokenLoss(model.forward(inputs)[0], targets), adam(1e-3));
}

function translation(): Job {
  const source = ints('src', [20, 32], 1000);
  const [inputs, targets] = shifted(ints('tgt', [21, 32], 1000), 0);
  const model = new AttentionSeq2Seq(1000, 1000, 256);
  return training(model, () => tokenLoss(model.forward(source, inputs)[0], targets), adam(1e-3));
}

/** Part `i` of `count` side by side in x (B, T, count·width) as (B, heads, T, width / heads). */
const heads = (x: Tensor, i: number, count: number, number: number): Tensor => {
  const [b, t, width] = x.shape as [number, number, number];
  const size = width / count;
  return x
    .narrow(2, i * size, size)
    .reshape([b, t, number, size / number])
    .transpose(1, 2);
};
const joined = (x: Tensor): Tensor => {
  const [b, h, t, d] = x.shape as [number, number, number, number];
  return x.transpose(1, 2).reshape([b, t, h * d]);
};

class SelfAttention extends Module {
  readonly qkv = new Linear(512, 1536);
  readonly proj = new Linear(512, 512);

  forward(x: Tensor, causal: boolean): Tensor {
    const qkv = this.qkv.forward(x);
    const [q, k, v] = [0, 1, 2].map((i) => heads(qkv, i, 3, 8)) as [Tensor, Tensor, Tensor];
    return this.proj.forward(joined(scaledDotProductAttention(q, k, v, { causal })));
  }
}

class CrossAttention extends Module {
  readonly q = new Linear(512, 512);
  readonly kv = new Linear(512, 1024);
  readonly proj = new Linear(512, 512);

  forward(x: Tensor, memory: Tensor): Tensor {
    const kv = this.kv.forward(memory);
    const q = heads(this.q.forward(x), 0, 1, 8);
    return this.proj.forward(joined(scaledDotProductAttention(q, heads(kv, 0, 2, 8), heads(kv, 1, 2, 8))));
  }
}

class Layer extends Module {
  readonly attn = new SelfAttention();
  readonly ln1 = new LayerNorm(512);
  readonly xattn: CrossAttention | null;
  readonly lnx: LayerNorm | null;
  readonly fc1 = new Linear(512, 2048);
  readonly fc2 = new Linear(2048, 512);
  readonly ln2 = new LayerNorm(512);

  constructor(decoder: boolean) {
    super();
    this.xattn = decoder ? new CrossAttention() : null;
    this.lnx = decoder ? new LayerNorm(512) : null;
  }

  forward(x: Tensor, memory: Tensor | null): Tensor {
    let y = this.ln1.forward(add(x, this.attn.forward(x, memory !== null)));
    if (this.xattn !== null && this.lnx !== null && memory !== null) {
      y = this.lnx.forward(add(y, this.xattn.forward(y, memory)));
    }
    return this.ln2.forward(add(y, this.fc2.forward(relu(this.fc1.forward(y)))));
  }
}

class EncoderDecoder extends Module {
  readonly src_emb = new Embedding(1000, 512);
  readonly tgt_emb = new Embedding(1000, 512);
  readonly enc: ModuleList<Layer>;
  readonly decl: ModuleList<Layer>;
  readonly out = new Linear(512, 1000);
  declare readonly positions: Tensor;

  constructor(layers: number) {
    super();
    const make = (decoder: boolean): ModuleList<Layer> =>
      new ModuleList(Array.from({ length: layers }, () => new Layer(decoder)));
    this.enc = make(false);
    this.decl = make(true);
    this.registerBuffer('positions', sinusoids(64, 512), { persistent: false });
  }

  forward(source: Tensor, target: Tensor): Tensor {
    const embed = (table: Embedding, ids: Tensor): Tensor =>
      add(table.forward(ids).mul(Math.sqrt(512)), this.positions);
    let memory = embed(this.src_emb, source);
    for (const layer of this.enc) memory = layer.forward(memory, null);
    let y = embed(this.tgt_emb, target);
    for (const layer of this.decl) y = layer.forward(y, memory);
    return this.out.forward(y);
  }
}

function transformer(layers: number): Job {
  const source = ints('src', [8, 64], 1000);
  const [inputs, targets] = shifted(ints('tgt', [8, 65], 1000), 1);
  const model = new EncoderDecoder(layers);
  return training(model, () => tokenLoss(model.forward(source, inputs), targets), adam(1e-4, [0.9, 0.98], 1e-9));
}

type Cache = readonly [keys: Tensor, values: Tensor];

class Block extends Module {
  readonly ln_1 = new LayerNorm(384);
  readonly c_attn = new Linear(384, 1152);
  readonly c_proj = new Linear(384, 384);
  readonly ln_2 = new LayerNorm(384);
  readonly c_fc = new Linear(384, 1536);
  readonly c_proj2 = new Linear(1536, 384);

  forward(x: Tensor, cache: Cache | null, start: number): Tensor {
    const qkv = this.c_attn.forward(this.ln_1.forward(x));
    let [q, k, v] = [0, 1, 2].map((i) => heads(qkv, i, 3, 6)) as [Tensor, Tensor, Tensor];
    const steps = x.shape[1] ?? 0;
    if (cache !== null) {
      cache[0].narrow(2, start, steps).copy_(k);
      cache[1].narrow(2, start, steps).copy_(v);
      [k, v] = [cache[0].narrow(2, 0, start + steps), cache[1].narrow(2, 0, start + steps)];
    }
    q = scaledDotProductAttention(q, k, v, { causal: steps > 1 });
    const y = add(x, this.c_proj.forward(joined(q)));
    return add(y, this.c_proj2.forward(gelu(this.c_fc.forward(this.ln_2.forward(y)), { approximate: 'tanh' })));
  }
}

class SmallGPT extends Module {
  readonly wte = new Embedding(96, 384);
  readonly wpe = new Embedding(256, 384);
  readonly h = new ModuleList(Array.from({ length: 6 }, () => new Block()));
  readonly ln_f = new LayerNorm(384);

  forward(ids: Tensor, caches: readonly Cache[] | null = null, start = 0): Tensor {
    const steps = ids.shape[1] ?? 0;
    let x = add(this.wte.forward(ids), this.wpe.weight.narrow(0, start, steps));
    let i = 0;
    for (const block of this.h) x = block.forward(x, caches?.[i++] ?? null, start);
    if (caches !== null) x = x.narrow(1, steps - 1, 1);
    return linear(this.ln_f.forward(x), this.wte.weight);
  }
}

function gpt(): Job {
  const [inputs, targets] = shifted(ints('tokens', [4, 257], 96), 1);
  const options = { lr: 3e-4, betas: [0.9, 0.95] as [number, number], eps: 1e-8 };
  const optimizerOf = (model: Module): AdamW => {
    const parameters = model.parameters();
    return new AdamW(
      [
        { params: parameters.filter((p) => p.ndim > 1), weightDecay: 0.1 },
        { params: parameters.filter((p) => p.ndim < 2), weightDecay: 0 },
      ],
      options,
    );
  };
  const model = new SmallGPT();
  return training(model, () => tokenLoss(model.forward(inputs), targets), optimizerOf);
}

/** Prefill of 128 tokens, or 64 greedy steps from there. */
async function generation(decode: boolean): Promise<Job> {
  const model = initialise(new SmallGPT()).eval();
  const prompt = ints('tokens', [1, 128], 96);
  const caches = Array.from({ length: 6 }, (): Cache => [zeros([1, 6, 192, 64]), zeros([1, 6, 192, 64])]);
  const next = (ids: Tensor, start: number): Promise<number> =>
    scope(() => noGrad(() => model.forward(ids, caches, start).argmax())).item();
  const first = await next(prompt, 0);
  return {
    step: !decode
      ? () => next(prompt, 0)
      : async () => {
          let token = first;
          let sum = 0;
          for (let t = 0; t < 64; t++) {
            sum = (sum * 31 + token) % 1000003;
            token = await next(tensor([[token]], { dtype: 'int32' }), 128 + t);
          }
          return sum;
        },
    params: model.parameters().reduce((sum, p) => sum + p.numel, 0),
  };
}

const GATES = { lstm: 4, gru: 3 } as const;

function characterRow(kind: 'lstm' | 'gru', check: Workload['check']): Workload {
  const rows = GATES[kind] * 256;
  const params = 96 * 128 + rows * (128 + 256 + 2) + 257 * 96;
  return {
    name: `${kind}-char`,
    kind: 'training',
    check,
    flops: 6 * 2048 * (rows * (128 + 256) + 256 * 96),
    bytes: stepBytes(params, 2048 * (128 + rows + 2 * 256 + 96), 'adam'),
    samples: 2048,
    make: () => characters(kind),
  };
}

function transformerRow(layers: number, check: Workload['check']): Workload {
  const feedForward = 2 * 512 * 2048;
  const weights = layers * (2 * feedForward + 12 * 512 * 512) + 512 * 1000;
  const scores = layers * 3 * 2 * 64 * 512;
  return {
    name: `transformer-n${layers}`,
    kind: 'training',
    check,
    tolerance: [1e-4, 1e-2],
    flops: 6 * 512 * (weights + scores),
    bytes: stepBytes(weights + 2 * 512000, 512 * layers * (2 * 2048 + 30 * 512), 'adam'),
    samples: 512,
    make: () => transformer(layers),
  };
}

const gptWeights = 6 * 12 * 384 * 384 + 96 * 384;

/** Recurrent networks, Transformers and GPT. */
export const sequenceWorkloads: readonly Workload[] = [
  characterRow('lstm', [4.56459, 4.544199]),
  characterRow('gru', [4.56489, 4.531109]),
  {
    name: 'seq2seq-attn',
    kind: 'training',
    check: [6.908389, 6.602066],
    flops: 6 * 640 * (768 * 512 + 256 * 256 + 768 * 768 + 256 * 256 + 20 * 256 * 2 + 256 * 1000),
    bytes: stepBytes(1_884_000, 640 * (20 * 512 + 768 * 4 + 1000), 'adam'),
    samples: 640,
    make: translation,
  },
  transformerRow(2, [7.307346, 4.243334]),
  transformerRow(6, [7.378747, 5.933589]),
  {
    name: 'gpt-mini',
    kind: 'training',
    check: [5.283018, 4.073128],
    tolerance: [1e-4, 1e-2],
    flops: 6 * 1024 * (gptWeights + 6 * 2 * 128 * 384),
    bytes: stepBytes(gptWeights + 256 * 384, 1024 * 6 * 16 * 384, 'adam'),
    samples: 1024,
    make: gpt,
  },
  {
    name: 'infer-gpt-prefill128',
    kind: 'inference',
    check: [32, 32],
    flops: 2 * 128 * (gptWeights - 96 * 384 + 6 * 2 * 64 * 384),
    bytes: stepBytes(gptWeights, 128 * 6 * 16 * 384, 'inference'),
    samples: 128,
    make: () => generation(false),
  },
  {
    name: 'infer-gpt-decode64',
    kind: 'inference',
    check: [878998, 878998],
    flops: 2 * 64 * (gptWeights + 6 * 2 * 160 * 384),
    bytes: 64 * stepBytes(gptWeights, 6 * 16 * 384 + 2 * 160 * 384 * 6, 'inference'),
    samples: 64,
    make: () => generation(true),
  },
];
