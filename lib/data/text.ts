import { readFile, stat } from 'node:fs/promises';
import { checkInteger, show } from '../check.js';
import { FileFormatError, ShapeError, ValueError } from '../errors.js';
import { checkPath, ioError } from '../io/atomic.js';
import { fromTypedArray } from '../ops/create.js';
import type { Tensor } from '../tensor.js';
import type { Tokenizer } from '../text/tokenizer.js';
import { Dataset } from './dataset.js';
import { IGNORED, padTokens } from './pad.js';
import type { Rows } from './rows.js';

/** Largest text file that is read, in bytes: V8's strings end a little above. */
const MAX_BYTES = 500e6;

/** The text of a UTF-8 file. @throws IoError if it cannot be read, FileFormatError if it is empty, too large or no UTF-8. */
export async function readText(path: string): Promise<string> {
  const fn = 'readText';
  checkPath(fn, 'path', path);
  let bytes: Buffer;
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES)
      throw new FileFormatError(`${fn}: expected ${path} to have at most ${MAX_BYTES} bytes, got ${size}`, path);
    bytes = await readFile(path);
  } catch (error) {
    throw ioError(fn, 'read', path, error);
  }
  if (bytes.length === 0) throw new FileFormatError(`${fn}: expected ${path} to hold a text, got an empty file`, path);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new FileFormatError(`${fn}: expected ${path} to be text in UTF-8, got other bytes`, path);
  }
}

/** Options of {@link TextDataset}. */
export interface TextDatasetOptions {
  /** Tokens in a window, T. */
  readonly context: number;
  /**
   * Tokens between the beginnings of two windows: 1, the default, has one begin at every token (for random windows); `context` cuts the
   * text into windows that do not overlap.
   */
  readonly stride?: number;
}

/**
 * Windows of one long text for a language model: batches are inputs (N, T) and targets (N, T), the targets one token further on. With
 * `new DataLoader(data, { shuffle: true, draws })` windows are drawn at random; without shuffle they come in order.
 *
 * @example
 * const tokenizer = CharTokenizer.from(text);
 * const train = new TextDataset(tokenizer.encode(text), { context: 64 });
 */
export class TextDataset extends Dataset<[input: Tensor, target: Tensor]> {
  readonly tokens: Int32Array;
  readonly context: number;
  readonly stride: number;
  readonly length: number;

  /** @throws {ValueError} when the tokens are no int32 array; {@link ShapeError} when there are not enough for one window. */
  constructor(tokens: Int32Array, { context, stride = 1 }: TextDatasetOptions) {
    super();
    if (!(tokens instanceof Int32Array))
      throw new ValueError(`TextDataset: expected tokens to be an Int32Array, got ${show(tokens)}`);
    this.context = checkInteger('TextDataset', 'context', context, { min: 1 });
    this.stride = checkInteger('TextDataset', 'stride', stride, { min: 1 });
    if (tokens.length <= context) {
      throw new ShapeError(`TextDataset: expected more than ${context} tokens for one window, got ${tokens.length}`);
    }
    this.tokens = tokens;
    this.length = Math.floor((tokens.length - context - 1) / stride) + 1;
  }

  getBatch(rows: Rows): [input: Tensor, target: Tensor] {
    const { context, stride, tokens } = this;
    const shape = [rows.length, context];
    const input = new Int32Array(rows.length * context);
    const target = new Int32Array(rows.length * context);
    rows.array().forEach((row, i) => {
      const start = row * stride;
      input.set(tokens.subarray(start, start + context), i * context);
      target.set(tokens.subarray(start + 1, start + context + 1), i * context);
    });
    return [fromTypedArray(input, shape), fromTypedArray(target, shape)];
  }
}

/** Options of {@link LineDataset}. */
export interface LineDatasetOptions {
  readonly tokenizer: Tokenizer;
  /** What stands before a line and after it, as text; default a line break. */
  readonly mark?: string;
}

/**
 * Short texts by themselves, such as names, for a language model. Batches are inputs (N, T) that begin with the mark, targets (N, T) that
 * end with it, filled up to the longest (targets with −100, which losses ignore), and the number of tokens that count.
 */
export class LineDataset extends Dataset<[input: Tensor, target: Tensor, count: number]> {
  readonly lines: readonly string[];
  readonly length: number;
  /** Tokens of each line, for `lengths` of a {@link DataLoader}. */
  readonly lengths: readonly number[];
  readonly #rows: readonly Int32Array[];

  /** @throws {ValueError} when there is no line, or one has unknown characters. */
  constructor(lines: readonly string[], { tokenizer, mark = '\n' }: LineDatasetOptions) {
    super();
    if (!Array.isArray(lines) || lines.length === 0)
      throw new ValueError(`LineDataset: expected at least one line, got ${show(lines)}`);
    this.lines = lines as readonly string[];
    this.#rows = this.lines.map((line) => tokenizer.encode(`${mark}${line}${mark}`));
    this.length = lines.length;
    this.lengths = this.#rows.map((row) => row.length);
  }

  getBatch(rows: Rows): [input: Tensor, target: Tensor, count: number] {
    const list = Array.from(rows.array(), (row) => this.#rows[row]!);
    return [
      padTokens(
        list.map((row) => row.subarray(0, -1)),
        0,
      ),
      padTokens(
        list.map((row) => row.subarray(1)),
        IGNORED,
      ),
      list.reduce((sum, row) => sum + row.length - 1, 0),
    ];
  }
}
