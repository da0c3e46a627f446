import { checkInteger, show } from '../check.js';
import { IndexOutOfRangeError, ValueError } from '../errors.js';

/** Turns text into tokens, the integers from 0 to `size` − 1, and back. */
export interface Tokenizer {
  /** Number of tokens, the vocabulary of a model that reads them. */
  readonly size: number;
  /** The tokens of a text. */
  encode(text: string): Int32Array;
  /** The text of tokens. */
  decode(tokens: ArrayLike<number>): string;
}

/** Throws {@link ValueError} unless a tokenizer has exactly the tokens of a model. */
export function checkVocabulary(fn: string, tokenizer: Tokenizer, vocabulary: number): void {
  if (tokenizer.size === vocabulary) return;
  throw new ValueError(`${fn}: expected a tokenizer of the model's ${vocabulary} tokens, got one of ${tokenizer.size}`);
}

/** Throws unless `text` is a string; returns it. */
export function checkText(fn: string, text: unknown): string {
  if (typeof text === 'string') return text;
  throw new ValueError(`${fn}: expected a text, got ${show(text)}`);
}

/** Throws {@link IndexOutOfRangeError} unless `token` is one of `size`. */
export function checkToken(fn: string, token: unknown, size: number): number {
  if (typeof token === 'number' && Number.isInteger(token) && token >= 0 && token < size) return token;
  throw new IndexOutOfRangeError(`${fn}: expected tokens in [0, ${size - 1}], got ${show(token)}`);
}

/**
 * Gives the text of tokens that come one by one. A character whose bytes are spread over several tokens appears with the last of them.
 *
 * @example
 * const text = new TokenStream(tokenizer);
 * for await (const token of model.generate(prompt)) process.stdout.write(text.push(token));
 */
export class TokenStream {
  readonly #tokenizer: Tokenizer;
  /** The last tokens, as far as they can change the text of the next. */
  #tokens: number[] = [];
  #shown = '';
  /** Tokens whose text was held back. */
  #held = 0;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /** The text that this token adds; empty while a character is incomplete. */
  push(token: number): string {
    this.#tokens.push(token);
    const text = this.#tokenizer.decode(this.#tokens);
    // A character has at most four bytes; what makes no sense after that is shown as it is.
    if (text.endsWith('\uFFFD') && ++this.#held < 4) return '';
    const added = text.slice(this.#shown.length);
    this.#held = 0;
    this.#tokens = this.#tokens.slice(-CONTEXT);
    this.#shown = this.#tokenizer.decode(this.#tokens);
    return added;
  }
}

/** Tokens that are decoded together with the next: words are joined according to their neighbours. */
const CONTEXT = 8;

/** What becomes of pieces of text that are not in a vocabulary: an error, or the token of that name in their place. */
export type UnknownPieces = 'error' | (string & {});

/**
 * Pieces of text by number. The base of the tokenizers here: pieces are characters or words, the first of them may be special ones, such as
 * a mark of the beginning, which no text is cut into and which are left out of decoded text.
 */
export class Vocabulary {
  readonly pieces: readonly string[];
  readonly special: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;

  /** @throws {ValueError} when there is no piece, one is not a non-empty string, or one comes twice. */
  constructor(fn: string, pieces: readonly string[], special: readonly string[] = []) {
    if (!Array.isArray(pieces) || !Array.isArray(special)) {
      throw new ValueError(`${fn}: expected the vocabulary to be an array of strings, got ${show(pieces)}`);
    }
    const all = [...(special as readonly string[]), ...(pieces as readonly string[])];
    if (all.length === 0) throw new ValueError(`${fn}: expected at least one token in the vocabulary, got none`);
    const ids = new Map<string, number>();
    all.forEach((piece: unknown, i) => {
      if (typeof piece !== 'string' || piece === '') {
        throw new ValueError(`${fn}: expected the vocabulary to hold non-empty strings, got ${show(piece)} at ${i}`);
      }
      if (ids.has(piece))
        throw new ValueError(`${fn}: expected every token once in the vocabulary, got ${show(piece)} twice`);
      ids.set(piece, i);
    });
    this.pieces = all;
    this.special = [...(special as readonly string[])];
    this.#ids = ids;
  }

  get size(): number {
    return this.pieces.length;
  }

  /** The token of a piece, or undefined. */
  find(piece: string): number | undefined {
    return this.#ids.get(piece);
  }

  /** The token of a piece that must be there. */
  token(fn: string, piece: string): number {
    const id = this.#ids.get(piece);
    if (id !== undefined) return id;
    throw new ValueError(`${fn}: expected a token of the vocabulary, got ${show(piece)}`);
  }

  /** Tokens of pieces; what is not there becomes `unknown` or a {@link ValueError} that says where it stands. */
  encode(fn: string, pieces: Iterable<string>, unknown: UnknownPieces): Int32Array {
    const list: number[] = [];
    const other = unknown === 'error' ? undefined : this.token(fn, unknown);
    for (const piece of pieces) {
      const id = this.#ids.get(piece) ?? other;
      if (id === undefined) {
        throw new ValueError(
          `${fn}: expected text of the vocabulary's ${this.size} tokens, got ${show(piece)} at ${list.length}`,
        );
      }
      list.push(id);
    }
    return Int32Array.from(list);
  }

  /** The pieces of tokens, special ones left out. */
  decode(fn: string, tokens: ArrayLike<number>): string[] {
    const out: string[] = [];
    for (let i = 0; i < tokens.length; i++) {
      const token = checkToken(fn, tokens[i], this.size);
      if (token >= this.special.length) out.push(this.pieces[token]!);
    }
    return out;
  }
}

/** The pieces that come at least `minCount` times, the frequent ones first, at most `maxSize` of them. */
export function frequentPieces(
  fn: string,
  pieces: Iterable<string>,
  { minCount = 1, maxSize = MAX_VOCABULARY }: { readonly minCount?: number; readonly maxSize?: number } = {},
): string[] {
  checkInteger(fn, 'minCount', minCount, { min: 1 });
  checkInteger(fn, 'maxSize', maxSize, { min: 1, max: MAX_VOCABULARY });
  const counts = new Map<string, number>();
  for (const piece of pieces) counts.set(piece, (counts.get(piece) ?? 0) + 1);
  return [...counts]
    .filter(([, count]) => count >= minCount)
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .slice(0, maxSize)
    .map(([piece]) => piece);
}

/** Most tokens that a vocabulary may have. */
export const MAX_VOCABULARY = 2 ** 22;
