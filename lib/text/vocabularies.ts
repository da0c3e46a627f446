import { checkBoolean } from '../check.js';
import { ValueError } from '../errors.js';
import { checkText, checkToken, frequentPieces, Vocabulary, type Tokenizer, type UnknownPieces } from './tokenizer.js';

/** Options of {@link CharTokenizer}. */
export interface CharTokenizerOptions {
  /** Tokens before the characters that stand for no text, such as `<s>`. Default: none. */
  readonly special?: readonly string[];
  /** `error`, the default, or the character or special token that replaces unknown characters. */
  readonly unknown?: UnknownPieces;
}

/** One token a character (Unicode code point). */
export class CharTokenizer implements Tokenizer {
  readonly vocabulary: Vocabulary;
  readonly unknown: UnknownPieces;

  /** @param characters - one string of them, in the order of their numbers, each once. */
  constructor(characters: string, { special = [], unknown = 'error' }: CharTokenizerOptions = {}) {
    this.vocabulary = new Vocabulary('CharTokenizer', Array.from(checkText('CharTokenizer', characters)), special);
    this.unknown = unknown;
    if (unknown !== 'error') this.vocabulary.token('CharTokenizer', unknown);
  }

  /** For the characters of a text, in the order of their code points. */
  static from(text: string, options: CharTokenizerOptions = {}): CharTokenizer {
    const found = new Set(checkText('CharTokenizer.from', text));
    if (found.size === 0) throw new ValueError('CharTokenizer.from: expected a text with characters, got an empty one');
    const sorted = [...found].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
    return new CharTokenizer(sorted.join(''), options);
  }

  get size(): number {
    return this.vocabulary.size;
  }

  /** The number of a character or special token. */
  token(piece: string): number {
    return this.vocabulary.token('CharTokenizer.token', piece);
  }

  /** @throws {ValueError} for a character that is not there, unless unknown ones are replaced. */
  encode(text: string): Int32Array {
    return this.vocabulary.encode('CharTokenizer.encode', checkText('CharTokenizer.encode', text), this.unknown);
  }

  decode(tokens: ArrayLike<number>): string {
    return this.vocabulary.decode('CharTokenizer.decode', tokens).join('');
  }
}

/** One token a byte of the text in UTF-8: 256 tokens, for every text. */
export class ByteTokenizer implements Tokenizer {
  readonly size = 256;

  encode(text: string): Int32Array {
    return Int32Array.from(new TextEncoder().encode(checkText('ByteTokenizer.encode', text)));
  }

  /** Bytes that are no UTF-8 become U+FFFD. */
  decode(tokens: ArrayLike<number>): string {
    const bytes = Uint8Array.from(tokens, (token) => checkToken('ByteTokenizer.decode', token, 256));
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  }
}

/** Options of {@link WordTokenizer}. */
export interface WordTokenizerOptions {
  /** Whether capitals are made small; default false. */
  readonly lowercase?: boolean;
}

/** Options of {@link WordTokenizer.from}. */
export interface WordVocabularyOptions extends WordTokenizerOptions {
  /** How often a word must come to have a token of its own; default 1. */
  readonly minCount?: number;
  /** Most words, the frequent ones first. */
  readonly maxSize?: number;
}

/** Special tokens of {@link WordTokenizer}, in the order of their numbers: padding, begin, end, unknown word. */
export const wordTokens = ['<pad>', '<s>', '</s>', '<unk>'] as const;

/** Words with their inner apostrophes and hyphens, and every other sign by itself. */
const WORDS = /[\p{L}\p{M}\p{N}]+(?:['’-][\p{L}\p{M}\p{N}]+)*|[^\s\p{L}\p{M}\p{N}]/gu;

/** One token a word or punctuation mark, after the four of {@link wordTokens}. Words that are not there are `<unk>`. */
export class WordTokenizer implements Tokenizer {
  readonly vocabulary: Vocabulary;
  readonly lowercase: boolean;
  readonly padding = 0;
  readonly begin = 1;
  readonly end = 2;
  readonly unknown = 3;

  constructor(words: readonly string[], { lowercase = false }: WordTokenizerOptions = {}) {
    this.vocabulary = new Vocabulary('WordTokenizer', words, wordTokens);
    this.lowercase = checkBoolean('WordTokenizer', 'lowercase', lowercase);
  }

  /** For the words of texts. */
  static from(texts: Iterable<string>, { lowercase = false, ...limits }: WordVocabularyOptions = {}): WordTokenizer {
    const fn = 'WordTokenizer.from';
    function* words(): Generator<string> {
      for (const text of texts) yield* wordsOf(checkText(fn, text), lowercase);
    }
    return new WordTokenizer(frequentPieces(fn, words(), limits), { lowercase });
  }

  get size(): number {
    return this.vocabulary.size;
  }

  encode(text: string): Int32Array {
    const words = wordsOf(checkText('WordTokenizer.encode', text), this.lowercase);
    return this.vocabulary.encode('WordTokenizer.encode', words, '<unk>');
  }

  /** Words with spaces between, none before marks that close; `<unk>` is shown. */
  decode(tokens: ArrayLike<number>): string {
    let text = '';
    for (let i = 0; i < tokens.length; i++) {
      const token = checkToken('WordTokenizer.decode', tokens[i], this.size);
      if (token < this.unknown) continue;
      const word = this.vocabulary.pieces[token]!;
      text += text === '' || /^[.,!?;:%)\]}»“”’]$/u.test(word) || /[([{«„]$/u.test(text) ? word : ` ${word}`;
    }
    return text;
  }
}

const wordsOf = (text: string, lowercase: boolean): readonly string[] =>
  (lowercase ? text.toLowerCase() : text).normalize('NFC').match(WORDS) ?? [];
