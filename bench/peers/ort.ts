// onnxruntime-node on the inference workloads: node ort.js THREADS answers requests as serve.ts says.
import { createRequire } from 'node:module';
import { preparedSteps, processFacts, serve, type Prepared } from '../serve.js';
import { intValues, uniValues } from '../values.js';
import { Graph, type Value } from './onnx.js';

interface OrtTensor {
  readonly data: Float32Array | BigInt64Array;
}
type Feeds = Record<string, OrtTensor>;
interface Session {
  run(feeds: Feeds): Promise<Feeds>;
}
interface Ort {
  readonly Tensor: new (type: string, data: Float32Array | BigInt64Array, shape: readonly number[]) => OrtTensor;
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<Session> };
}

const require = createRequire(new URL('../../peers/package.json', import.meta.url));
const importStarted = performance.now();
const ort = require('onnxruntime-node') as Ort;
const facts = processFacts(performance.now() - importStarted);
const threads = Number(process.argv[2] ?? '1');

/** Weights by their name's sequence in ±√(3 / fan-in), as everywhere in the bench. */
function matrix(graph: Graph, name: string, shape: readonly number[]): string {
  const limit = Math.sqrt(3 / shape.slice(1).reduce((a, b) => a * b, 1));
  return graph.weight(name, uniValues(name, shape, -limit, limit), shape);
}

function linear(graph: Graph, name: string, x: string, inputs: number, outputs: number, output?: string): string {
  const weight = matrix(graph, `${name}.weight`, [outputs, inputs]);
  const bias = graph.weight(`${name}.bias`, new Float32Array(outputs), [outputs]);
  return graph.node('Gemm', [x, weight, bias], { transB: 1 }, output);
}

function mlp(): Uint8Array {
  const graph = new Graph();
  const first = graph.node('Relu', [linear(graph, 'fc.0', 'x', 784, 200)]);
  const second = graph.node('Relu', [linear(graph, 'fc.1', first, 200, 200)]);
  linear(graph, 'fc.2', second, 200, 10, 'y');
  return graph.model([{ name: 'x', shape: [1, 784] }], [{ name: 'y', shape: [1, 10] }]);
}

function resnet18(): Uint8Array {
  const graph = new Graph();
  const conv = (name: string, x: string, inputs: number, width: number, kernel: number, stride: number): string => {
    const weight = matrix(graph, `${name}.weight`, [width, inputs, kernel, kernel]);
    const pad = kernel === 3 ? 1 : 0;
    const sizes = { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad] };
    const y = graph.node('Conv', [x, weight], sizes);
    const statistics = (['gain', 'offset', 'mean', 'variance'] as const).map((each, i) =>
      graph.weight(`${name}.${each}`, new Float32Array(width).fill(i === 0 || i === 3 ? 1 : 0), [width]),
    );
    return graph.node('BatchNormalization', [y, ...statistics], { epsilon: 1e-5 });
  };
  let x = graph.node('Relu', [conv('conv1', 'x', 3, 64, 3, 1)]);
  let channels = 64;
  for (const [stage, width] of [64, 128, 256, 512].entries()) {
    for (const block of [0, 1]) {
      const name = `layer${stage + 1}.${block}`;
      const stride = channels === width ? 1 : 2;
      const first = graph.node('Relu', [conv(`${name}.conv1`, x, channels, width, 3, stride)]);
      const second = conv(`${name}.conv2`, first, width, width, 3, 1);
      const shortcut = stride === 1 ? x : conv(`${name}.downsample.0`, x, channels, width, 1, stride);
      x = graph.node('Relu', [graph.node('Add', [second, shortcut])]);
      channels = width;
    }
  }
  const pooled = graph.node('Flatten', [graph.node('GlobalAveragePool', [x])]);
  linear(graph, 'fc', pooled, 512, 10, 'y');
  return graph.model([{ name: 'x', shape: [1, 3, 32, 32] }], [{ name: 'y', shape: [1, 10] }]);
}

const LAYERS = 6;
const WIDTH = 384;
const HEADS = 6;
const PROMPT = 128;
const keys = Array.from({ length: LAYERS }, (_, i) => `k${i}`);
const values = Array.from({ length: LAYERS }, (_, i) => `v${i}`);
const heads = (names: readonly string[], length: number | string): Value[] =>
  names.map((name) => ({ name, shape: [HEADS, length, WIDTH / HEADS] }));

/**
 * The decoder of gpt-mini on so many tokens `ids` at places `at`: the likeliest `token` after the last one, and every layer's keys and
 * values, `k0` to `v5`. With `cached` those of the tokens before come as `pk0` to `pv5`, and go before.
 */
function gpt(tokens: number, cached: boolean): Uint8Array {
  const graph = new Graph();
  const sizes = (...each: number[]): string => graph.constant(BigInt64Array.from(each, BigInt));
  const scalar = (value: number): string => graph.constant(Float32Array.of(value), []);
  const table = (name: string, rows: number): string =>
    graph.weight(name, uniValues(name, [rows, WIDTH], -0.1, 0.1), [rows, WIDTH]);
  const norm = (name: string, x: string): string => {
    const [gain, offset] = [1, 0].map((value) => graph.constant(new Float32Array(WIDTH).fill(value)));
    return graph.node('LayerNormalization', [x, gain!, offset!], { axis: 1, epsilon: 1e-5 }, name);
  };
  const [wte, wpe] = [table('wte.weight', 96), table('wpe.weight', 256)];
  const split = sizes(tokens, HEADS, WIDTH / HEADS);
  const joined = sizes(tokens, WIDTH);
  const scale = scalar(1 / Math.sqrt(WIDTH / HEADS));
  const later = (i: number): boolean => i % tokens > Math.floor(i / tokens);
  const mask = cached
    ? undefined
    : graph.constant(
        Float32Array.from({ length: tokens * tokens }, (_, i) => (later(i) ? -1e9 : 0)),
        [tokens, tokens],
      );
  let x = graph.node('Add', [graph.node('Gather', [wte, 'ids']), graph.node('Gather', [wpe, 'at'])]);
  for (let layer = 0; layer < LAYERS; layer++) {
    const name = `h.${layer}`;
    const three = linear(graph, `${name}.c_attn`, norm(`${name}.ln_1`, x), WIDTH, 3 * WIDTH);
    const parts = graph.nodes('Split', [three], 3, { axis: 1, num_outputs: 3 });
    const [q, k, v] = parts.map((part, i) => {
      const own = i > 0 && !cached ? [keys, values][i - 1]![layer] : undefined;
      return graph.node('Transpose', [graph.node('Reshape', [part, split])], { perm: [1, 0, 2] }, own);
    });
    const [allKeys, allValues] = !cached
      ? [k!, v!]
      : ([
          [keys[layer]!, k!],
          [values[layer]!, v!],
        ].map(([all, added]) => graph.node('Concat', [`p${all}`, added!], { axis: 1 }, all)) as [string, string]);
    let scores = graph.node('MatMul', [
      graph.node('Mul', [q!, scale]),
      graph.node('Transpose', [allKeys], { perm: [0, 2, 1] }),
    ]);
    if (mask !== undefined) scores = graph.node('Add', [scores, mask]);
    const weighed = graph.node('MatMul', [graph.node('Softmax', [scores], { axis: 2 }), allValues]);
    const together = graph.node('Reshape', [graph.node('Transpose', [weighed], { perm: [1, 0, 2] }), joined]);
    x = graph.node('Add', [x, linear(graph, `${name}.c_proj`, together, WIDTH, WIDTH)]);
    const wide = linear(graph, `${name}.c_fc`, norm(`${name}.ln_2`, x), WIDTH, 4 * WIDTH);
    const curved = graph.node('Gelu', [wide], { approximate: 'tanh' });
    x = graph.node('Add', [x, linear(graph, `${name}.c_proj2`, curved, 4 * WIDTH, WIDTH)]);
  }
  if (tokens > 1) x = graph.node('Gather', [x, sizes(tokens - 1)]);
  const logits = graph.node('Gemm', [norm('ln_f', x), wte], { transB: 1 });
  graph.node('ArgMax', [logits], { axis: 1, keepdims: 0 }, 'token');
  const ends = (length: number | string): Value[] => [...heads(keys, length), ...heads(values, length)];
  const past = ends('past').map((value) => ({ ...value, name: `p${value.name}` }));
  const indices = ['ids', 'at'].map((name): Value => ({ name, shape: [tokens], type: 'int64' }));
  return graph.model(cached ? [...indices, ...past] : indices, [
    { name: 'token', shape: [1], type: 'int64' },
    ...ends(cached ? 'all' : tokens),
  ]);
}

const open = (model: Uint8Array): Promise<Session> =>
  ort.InferenceSession.create(model, {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
  });

/** The first logit of a network of pictures or digits. */
async function network(model: Uint8Array, shape: readonly number[], low: number, high: number) {
  const session = await open(model);
  const x = new ort.Tensor('float32', uniValues('x', shape, low, high), shape);
  return async () => Number((await session.run({ x }))['y']?.data[0]);
}

/** Prefill of 128 tokens, or 64 greedy steps from there. */
async function generation(decode: boolean) {
  const indices = (each: ArrayLike<number>): OrtTensor =>
    new ort.Tensor('int64', BigInt64Array.from(Array.from(each), BigInt), [each.length]);
  const prefill = await open(gpt(PROMPT, false));
  const prompt = {
    ids: indices(intValues('tokens', [1, PROMPT], 96)),
    at: indices(Array.from({ length: PROMPT }, (_, i) => i)),
  };
  const tokenOf = (results: Feeds): number => Number(results['token']?.data[0]);
  if (!decode) return async () => tokenOf(await prefill.run(prompt));
  const one = await open(gpt(1, true));
  const first = await prefill.run(prompt);
  return async () => {
    let results = first;
    let sum = 0;
    for (let t = 0; t < 64; t++) {
      const token = tokenOf(results);
      sum = (sum * 31 + token) % 1000003;
      const past = [...keys, ...values].map((name) => [`p${name}`, results[name]!] as const);
      results = await one.run({ ids: indices([token]), at: indices([PROMPT + t]), ...Object.fromEntries(past) });
    }
    return sum;
  };
}

const models: Readonly<Record<string, () => Promise<() => Promise<number>>>> = {
  'infer-mlp-b1': () => network(mlp(), [1, 784], 0, 1),
  'infer-resnet18-b1': () => network(resnet18(), [1, 3, 32, 32], -1, 1),
  'infer-gpt-prefill128': () => generation(false),
  'infer-gpt-decode64': () => generation(true),
};

async function prepare(name: string): Promise<Prepared | undefined> {
  const begun = performance.now();
  const step = await models[name]?.();
  return step === undefined ? undefined : preparedSteps(step, 'inference', begun);
}

await serve('ort-node', facts, prepare);
