import { readFile, stat } from 'node:fs/promises';
import { show } from '../check.js';
import { FileFormatError, MyelinError } from '../errors.js';
import { checkPath, ioError, writeAtomic } from '../io/atomic.js';
import { ByteTokenizer, CharTokenizer, WordTokenizer } from './vocabularies.js';
import { checkText, checkToken, type Tokenizer } from './tokenizer.js';

const FORMAT = 'myelin-tokenizer';
/** Largest file that is read, in bytes. */
const MAX_BYTES = 256 * 2 ** 20;

/** A tokenizer that {@link saveTokenizer} can write. */
export type OwnTokenizer = CharTokenizer | ByteTokenizer | WordTokenizer;

function describe(tokenizer: OwnTokenizer): object {
  if (tokenizer instanceof ByteTokenizer) return { kind: 'bytes' };
  const { pieces, special } = tokenizer.vocabulary;
  const own = pieces.slice(special.length);
  if (tokenizer instanceof WordTokenizer) return { kind: 'words', lowercase: tokenizer.lowercase, words: own };
  return { kind: 'characters', special, unknown: tokenizer.unknown, characters: own.join('') };
}

/** Writes tokenizers, by name, into one JSON file; {@link loadTokenizers} reads it. @throws IoError */
export async function saveTokenizers(path: string, tokenizers: Readonly<Record<string, OwnTokenizer>>): Promise<void> {
  const entries = Object.entries(tokenizers).map(([name, tokenizer]) => [name, describe(tokenizer)]);
  const file = { format: FORMAT, version: 1, tokenizers: Object.fromEntries(entries) as object };
  await writeAtomic(path, `${JSON.stringify(file)}\n`, 'saveTokenizers');
}

/**
 * Reads what {@link saveTokenizers} wrote.
 * @throws IoError if the file cannot be read, FileFormatError if it holds no tokenizers.
 */
export async function loadTokenizers(path: string): Promise<Record<string, OwnTokenizer>> {
  const fn = 'loadTokenizers';
  const file = (await readJson(fn, path)) as { format?: unknown; version?: unknown; tokenizers?: unknown } | null;
  const wrong = (what: string): never => {
    throw new FileFormatError(`${fn}: expected ${path} to hold ${what}`, path);
  };
  if (file === null || typeof file !== 'object' || file.format !== FORMAT || file.version !== 1)
    return wrong(`tokenizers of version 1`);
  if (file.tokenizers === null || typeof file.tokenizers !== 'object') return wrong('tokenizers by name');
  const out: Record<string, OwnTokenizer> = {};
  for (const [name, value] of Object.entries(file.tokenizers)) {
    const { kind, characters, special, unknown, words, lowercase } = (value ?? {}) as Record<string, unknown>;
    try {
      if (kind === 'bytes') out[name] = new ByteTokenizer();
      else if (kind === 'characters') {
        out[name] = new CharTokenizer(characters as string, {
          special: special as string[],
          unknown: checkText(fn, unknown),
        });
      } else if (kind === 'words')
        out[name] = new WordTokenizer(words as string[], { lowercase: lowercase as boolean });
      else wrong(`a tokenizer of kind characters, bytes or words as ${name}, got ${show(kind)}`);
    } catch (error) {
      if (!(error instanceof MyelinError) || error instanceof FileFormatError) throw error;
      throw new FileFormatError(`${fn}: the tokenizer ${name} in ${path} is wrong: ${error.message}`, path);
    }
  }
  return out;
}

/** Writes one tokenizer. @throws IoError */
export const saveTokenizer = (path: string, tokenizer: OwnTokenizer): Promise<void> =>
  saveTokenizers(path, { tokenizer });

/**
 * Reads one tokenizer from a file of {@link saveTokenizer}, or from the `tokenizer.json` of a Hugging Face model.
 * @throws IoError if the file cannot be read, FileFormatError if it holds no tokenizer.
 */
export async function loadTokenizer(path: string): Promise<Tokenizer> {
  const file = (await readJson('loadTokenizer', path)) as { format?: unknown; model?: unknown } | null;
  if (file?.format !== FORMAT && typeof file?.model === 'object') return huggingFaceTokenizer(file, path);
  const { tokenizer } = await loadTokenizers(path);
  if (tokenizer !== undefined) return tokenizer;
  throw new FileFormatError(`loadTokenizer: expected ${path} to hold one tokenizer, got several`, path);
}

/** What is used of the package; its own declarations do not resolve under Node's rules. */
interface HuggingFace {
  readonly Tokenizer: new (
    tokenizer: object,
    config: object,
  ) => {
    encode(text: string, options: { add_special_tokens: boolean }): { readonly ids: readonly number[] };
    decode(tokens: number[], options: { clean_up_tokenization_spaces: boolean }): string;
    get_vocab(withAddedTokens: boolean): ReadonlyMap<string, number>;
  };
}

/** The tokenizer of a Hugging Face model; the package that knows them is loaded on the first call. */
async function huggingFaceTokenizer(file: object, path: string): Promise<Tokenizer> {
  const { Tokenizer: Package } = (await import('@huggingface/tokenizers')) as unknown as HuggingFace;
  let inner: InstanceType<HuggingFace['Tokenizer']>;
  let size = 0;
  try {
    inner = new Package(file, {});
    for (const id of inner.get_vocab(true).values()) size = Math.max(size, id + 1);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FileFormatError(`loadTokenizer: expected ${path} to be a Hugging Face tokenizer: ${reason}`, path);
  }
  return {
    size,
    encode: (text) => Int32Array.from(inner.encode(checkText('encode', text), { add_special_tokens: false }).ids),
    decode: (tokens) => {
      const list = Array.from(tokens, (token) => checkToken('decode', token, size));
      // Spaces before punctuation belong to the text.
      return list.length === 0 ? '' : inner.decode(list, { clean_up_tokenization_spaces: false });
    },
  };
}

async function readJson(fn: string, path: string): Promise<unknown> {
  checkPath(fn, 'path', path);
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES)
      throw new FileFormatError(`${fn}: expected ${path} to have at most ${MAX_BYTES} bytes, got ${size}`, path);
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw ioError(fn, 'read', path, error);
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new FileFormatError(`${fn}: expected ${path} to be JSON`, path);
  }
}
