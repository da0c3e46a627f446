import { rmSync } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { checkInteger, show } from '../check.js';
import { itemSizes } from '../dtype.js';
import { FileFormatError, StateDictError, ValueError } from '../errors.js';
import { checkPath, ioError, writeAtomic } from '../io/atomic.js';
import { eachTensor, readSafetensorsHeader, saveFile } from '../io/safetensors.js';
import { meta } from '../meta.js';
import { difference } from '../nn/module.js';
import { contiguous } from '../ops/cast.js';
import { transpose } from '../ops/views.js';
import { formatShape, sameShape, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { GPT, type GPTConfig } from './gpt.js';

const CONFIG = 'config.json';
const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

/** Longest JSON file that is read, in bytes; the index of a model of a thousand layers is far below. */
const MAX_JSON = 16 * 1024 * 1024;

/** Options of {@link loadGPT}. */
export interface LoadGPTOptions {
  /** Probability of dropping when the model is trained on; 0. */
  readonly dropout?: number;
}

/**
 * Loads a GPT-2 as Hugging Face stores it: a directory with `config.json` and `model.safetensors`, or several files and
 * `model.safetensors.index.json`. Names may begin with `transformer.`; the matrices of its `Conv1D` layers, (in, out), are turned; masks
 * and a copy of the tied head are passed over. Everything is checked against the headers before memory is taken. The model comes in
 * evaluation mode.
 * @throws FileFormatError for another architecture, a config or an index that is not one, and missing files; StateDictError, which lists
 * every weight that is missing, unexpected or of a wrong shape
 */
export async function loadGPT(directory: string, options: LoadGPTOptions = {}): Promise<GPT> {
  const fn = 'loadGPT';
  checkPath(fn, 'directory', directory);
  const config = await readConfig(directory);
  const places = await placesOf(directory);
  // A config of a billion layers has no such file.
  if (places.size < 12 * config.layers) {
    throw badConfig(directory, `n_layer to be ${Math.floor(places.size / 12)} as in the weights`, config.layers);
  }
  const model = meta(() => new GPT({ ...config, dropout: options.dropout ?? 0 }));
  checkWeights(directory, model, places);
  const weights = new Map<string, Tensor>();
  for (const path of new Set(Array.from(places.values(), (place) => place.path))) {
    for await (const [name, tensor] of eachTensor(fn, path, (name) => places.get(own(name))?.path === path)) {
      const weight = (isTurned(own(name)) ? contiguous(transpose(tensor, 0, 1)) : tensor).to('float32');
      if (weight.storage !== tensor.storage) tensor.dispose();
      weights.set(own(name), weight);
    }
  }
  model.loadStateDict(weights, { assign: true });
  return model.eval();
}

/** Options of {@link saveGPT}. */
export interface SaveGPTOptions {
  /** Most bytes of weights in one file, but for a weight that is larger alone; 5e9. */
  readonly maxShardSize?: number;
}

/**
 * Saves a GPT as Hugging Face stores a `GPT2LMHeadModel`: `model.safetensors`, or several files and `model.safetensors.index.json` beyond
 * `maxShardSize`, then `config.json`. Each file is replaced in one step; files of an earlier model in the other form are removed at the
 * end, but an earlier index first, so that a save that is cut off leaves no mixture. The directory must exist.
 */
export async function saveGPT(model: GPT, directory: string, options: SaveGPTOptions = {}): Promise<void> {
  const fn = 'saveGPT';
  checkPath(fn, 'directory', directory);
  const limit = checkInteger(fn, 'maxShardSize', options.maxShardSize ?? 5e9, { min: 1 });
  if (!(model instanceof GPT)) throw new ValueError(`${fn}: expected a GPT, got ${show(model)}`);
  if (!model.config.bias) throw new ValueError(`${fn}: expected a GPT with biases, as GPT-2 has, got one without`);
  const weights = new Map<string, Tensor>();
  for (const [name, tensor] of Object.entries(model.stateDict())) {
    weights.set(`${PREFIX}${name}`, isTurned(name) ? contiguous(transpose(tensor, 0, 1)) : tensor);
  }
  await saveWeights(fn, weights, directory, limit);
  const { vocabulary, context, layers, heads, width, hidden, activation, eps, dropout } = model.config;
  const config = {
    architectures: ['GPT2LMHeadModel'],
    model_type: 'gpt2',
    vocab_size: vocabulary,
    n_positions: context,
    n_ctx: context,
    n_embd: width,
    n_layer: layers,
    n_head: heads,
    n_inner: hidden === 4 * width ? null : hidden,
    activation_function: activation === 'gelu' ? 'gelu' : 'gelu_new',
    layer_norm_epsilon: eps,
    embd_pdrop: dropout,
    attn_pdrop: dropout,
    resid_pdrop: dropout,
    tie_word_embeddings: true,
    torch_dtype: 'float32',
  };
  await writeAtomic(join(directory, CONFIG), `${JSON.stringify(config, null, 2)}\n`, fn);
}

/** Writes one file, or shards of at most `limit` bytes and their index. */
async function saveWeights(
  fn: string,
  weights: ReadonlyMap<string, Tensor>,
  directory: string,
  limit: number,
): Promise<void> {
  const index = join(directory, INDEX);
  const shards = shardsOf(weights, limit);
  const isWhole = shards.length === 1;
  const files = shards.map((_, i) => (isWhole ? WEIGHTS : shardName(i + 1, shards.length)));
  if (!isWhole) rmSync(index, { force: true });
  // All at once: each takes its weights as they are now.
  const writes = shards.map((shard, i) => saveFile(shard, join(directory, files[i]!), { format: 'pt' }));
  for (const write of await Promise.allSettled(writes)) if (write.status === 'rejected') throw write.reason;
  if (!isWhole) {
    const names = shards.flatMap((shard, i) => Array.from(shard.keys(), (name) => [name, files[i]!] as const));
    const total = Array.from(weights.values(), bytesOf).reduce((sum, bytes) => sum + bytes, 0);
    const text = { metadata: { total_size: total }, weight_map: Object.fromEntries(names) };
    await writeAtomic(index, `${JSON.stringify(text, null, 2)}\n`, fn);
  }
  const earlier = (await readdir(directory)).filter((file) => SHARD.test(file) || file === WEIGHTS || file === INDEX);
  for (const file of earlier) {
    if (!files.includes(file) && (isWhole || file !== INDEX)) await rm(join(directory, file), { force: true });
  }
}

const SHARD = /^model-\d{5}-of-\d{5}\.safetensors$/;

const shardName = (i: number, count: number): string =>
  `model-${String(i).padStart(5, '0')}-of-${String(count).padStart(5, '0')}.safetensors`;

const bytesOf = (x: Tensor): number => x.numel * itemSizes[x.code]!;

/** The weights in their order, cut where a file would become larger than `limit`. */
function shardsOf(weights: ReadonlyMap<string, Tensor>, limit: number): Map<string, Tensor>[] {
  const shards: Map<string, Tensor>[] = [];
  let left = -1;
  for (const [name, tensor] of weights) {
    const bytes = bytesOf(tensor);
    if (left < bytes) {
      shards.push(new Map());
      left = limit;
    }
    shards[shards.length - 1]!.set(name, tensor);
    left -= bytes;
  }
  return shards;
}

// ------------------------------------------------------------------------------------------------- names

const PREFIX = 'transformer.';

/** The module's own name of a weight in a file. */
const own = (name: string): string => (name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name);

/** Whether the file has the matrix as (in, out). */
const isTurned = (name: string): boolean => /\.c_(attn|proj|fc)\.weight$/.test(name);

/** Masks of old files, and the head, which is the embedding. */
const isPassedOver = (name: string): boolean =>
  /^h\.\d+\.attn\.(bias|masked_bias)$/.test(name) || name === 'lm_head.weight';

// ------------------------------------------------------------------------------------------------- config

type Json = Readonly<Record<string, unknown>>;

async function readJson(path: string): Promise<Json> {
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > MAX_JSON) {
      throw new FileFormatError(`loadGPT: expected ${path} of at most ${MAX_JSON} bytes, got ${size}`, path);
    }
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw ioError('loadGPT', 'read', path, error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new FileFormatError(`loadGPT: ${path} is not JSON: ${(error as Error).message}`, path);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw new FileFormatError(`loadGPT: expected ${path} to hold an object, got ${show(value)}`, path);
}

function badConfig(directory: string, expected: string, got: unknown): FileFormatError {
  const path = join(directory, CONFIG);
  return new FileFormatError(`loadGPT: ${path}: expected ${expected}, got ${show(got)}`, path);
}

const activations = { gelu_new: 'gelu-tanh', gelu_pytorch_tanh: 'gelu-tanh', gelu: 'gelu' } as const;

async function readConfig(directory: string): Promise<GPTConfig> {
  const json = await readJson(join(directory, CONFIG));
  const fail = (expected: string, got: unknown): never => {
    throw badConfig(directory, expected, got);
  };
  if (json['model_type'] !== 'gpt2') fail('model_type to be "gpt2"', json['model_type']);
  const classes = json['architectures'];
  if (Array.isArray(classes) && !classes.some((name) => name === 'GPT2LMHeadModel' || name === 'GPT2Model')) {
    fail('architectures to name GPT2LMHeadModel or GPT2Model', classes);
  }
  // Variants that compute something else.
  for (const [key, wanted] of [
    ['tie_word_embeddings', true],
    ['scale_attn_weights', true],
    ['scale_attn_by_inverse_layer_idx', false],
    ['add_cross_attention', false],
  ] as const) {
    if (json[key] !== undefined && json[key] !== wanted) fail(`${key} to be ${wanted}`, json[key]);
  }
  const size = (key: string, alternative?: number): number => {
    const value = json[key] ?? alternative;
    if (Number.isSafeInteger(value) && (value as number) > 0 && (value as number) < 2 ** 31) return value as number;
    return fail(`${key} to be a positive integer`, value);
  };
  const [width, heads] = [size('n_embd'), size('n_head')];
  if (width % heads !== 0) fail(`n_embd to be a multiple of n_head (${heads})`, width);
  const named = json['activation_function'] ?? 'gelu_new';
  if (typeof named !== 'string' || !Object.hasOwn(activations, named)) {
    fail(`activation_function to be one of ${Object.keys(activations).join(', ')}`, named);
  }
  const eps = json['layer_norm_epsilon'] ?? 1e-5;
  if (!(Number.isFinite(eps) && (eps as number) >= 0)) fail('layer_norm_epsilon to be a number of at least 0', eps);
  return {
    vocabulary: size('vocab_size'),
    context: size('n_positions', json['n_ctx'] as number),
    layers: size('n_layer'),
    heads,
    width,
    hidden: size('n_inner', 4 * width),
    activation: activations[named as keyof typeof activations],
    eps: eps as number,
  };
}

// ------------------------------------------------------------------------------------------------- weights

interface Place {
  readonly path: string;
  readonly shape: Shape;
}

/** Where each weight lies, by the module's names. */
async function placesOf(directory: string): Promise<Map<string, Place>> {
  const places = new Map<string, Place>();
  const whole = join(directory, WEIGHTS);
  if (await exists(whole)) {
    for (const [name, { shape }] of (await readSafetensorsHeader(whole)).tensors) {
      if (!isPassedOver(own(name))) places.set(own(name), { path: whole, shape });
    }
    return places;
  }
  const index = join(directory, INDEX);
  if (!(await exists(index))) {
    throw new FileFormatError(`loadGPT: expected ${WEIGHTS} or ${INDEX} in ${directory}, got neither`, directory);
  }
  const map = (await readJson(index))['weight_map'];
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw new FileFormatError(`loadGPT: ${index}: expected weight_map to be an object, got ${show(map)}`, index);
  }
  const entries = Object.entries(map as Json);
  for (const [name, file] of entries) {
    if (typeof file !== 'string' || file !== basename(file) || !file.endsWith('.safetensors')) {
      throw new FileFormatError(
        `loadGPT: ${index}: expected a .safetensors file of the same directory for ${name}, got ${show(file)}`,
        index,
      );
    }
  }
  for (const file of new Set(entries.map(([, given]) => given as string))) {
    const path = join(directory, file);
    if (!(await exists(path)))
      throw new FileFormatError(`loadGPT: expected the shard ${file} in ${directory}, got none`, path);
    const { tensors } = await readSafetensorsHeader(path);
    for (const [name, given] of entries) {
      if (given !== file || isPassedOver(own(name))) continue;
      const info = tensors.get(name);
      if (info === undefined) {
        throw new FileFormatError(`loadGPT: expected ${name} in ${path}, as ${INDEX} says, got none`, path);
      }
      places.set(own(name), { path, shape: info.shape });
    }
  }
  return places;
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw ioError('loadGPT', 'read', path, error);
  }
}

/** Throws unless the files hold exactly the model's weights, in its shapes. */
function checkWeights(directory: string, model: GPT, places: ReadonlyMap<string, Place>): void {
  const weights = model.namedParameters();
  const names = new Set(weights.map(([name]) => name));
  const wrong: string[] = [];
  for (const [name, { shape }] of weights) {
    const place = places.get(name);
    const wanted = isTurned(name) ? [...shape].reverse() : shape;
    if (place === undefined || sameShape(place.shape, wanted)) continue;
    wrong.push(`${name}: expected shape ${formatShape(wanted)}, got ${formatShape(place.shape)}`);
  }
  const missing = [...names].filter((name) => !places.has(name));
  const unexpected = [...places.keys()].filter((name) => !names.has(name));
  if (missing.length + unexpected.length + wrong.length === 0) return;
  throw new StateDictError(
    difference(`loadGPT: the weights of ${directory} do not fit ${CONFIG}`, [
      ['missing', missing],
      ['unexpected', unexpected],
      ['wrong', wrong],
    ]),
  );
}
