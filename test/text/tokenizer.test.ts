import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  ByteTokenizer,
  CharTokenizer,
  checkVocabulary,
  FileFormatError,
  IndexOutOfRangeError,
  IoError,
  loadTokenizer,
  loadTokenizers,
  saveTokenizer,
  saveTokenizers,
  TokenStream,
  ValueError,
  WordTokenizer,
  type OwnTokenizer,
  type Tokenizer,
} from '../../lib/index.js';

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'myelin-text-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

describe('CharTokenizer', () => {
  it('numbers the characters of a text by their code points', () => {
    const tokenizer = CharTokenizer.from('hello 🙂 öl');
    expect(tokenizer.vocabulary.pieces).toEqual([' ', 'e', 'h', 'l', 'o', 'ö', '🙂']);
    expect([...tokenizer.encode('ho🙂')]).toEqual([2, 4, 6]);
    expect(tokenizer.decode([6, 5, 3])).toBe('🙂öl');
    expect(tokenizer.encode('')).toHaveLength(0);
  });

  it('refuses or replaces characters that are not there', () => {
    const strict = CharTokenizer.from('abc');
    expect(() => strict.encode('abd')).toThrow(
      new ValueError(`CharTokenizer.encode: expected text of the vocabulary's 3 tokens, got "d" at 2`),
    );
    const lenient = CharTokenizer.from('abc?', { unknown: '?' });
    expect(lenient.decode(lenient.encode('axby'))).toBe('a?b?');
    const special = CharTokenizer.from('ab', { special: ['<s>', '<unk>'], unknown: '<unk>' });
    expect([...special.encode('abz')]).toEqual([2, 3, 1]);
    expect(special.decode([0, 2, 3, 1])).toBe('ab');
    expect(() => CharTokenizer.from('ab', { unknown: '?' })).toThrow(/expected a token of the vocabulary, got "\?"/);
    expect(() => CharTokenizer.from('')).toThrow(/expected a text with characters, got an empty one/);
    expect(() => new CharTokenizer('aba')).toThrow(/"a" twice/);
    expect(() => CharTokenizer.from(7 as unknown as string)).toThrow(ValueError);
    for (const bad of [[3], [-1], [0.5], [NaN]]) expect(() => strict.decode(bad)).toThrow(IndexOutOfRangeError);
  });
});

describe('ByteTokenizer', () => {
  it('gives every text back', () => {
    const tokenizer = new ByteTokenizer();
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
      { numRuns: 200 },
    );
    expect(tokenizer.decode([0xe2, 0x82])).toBe('\uFFFD');
    expect(() => tokenizer.decode([256])).toThrow(IndexOutOfRangeError);
  });

  it('streams characters when they are whole', () => {
    const stream = new TokenStream(new ByteTokenizer());
    const parts = [...new TextEncoder().encode('a€🙂b')].map((byte) => stream.push(byte));
    expect(parts).toEqual(['a', '', '', '€', '', '', '', '🙂', 'b']);
    const broken = new TokenStream(new ByteTokenizer());
    expect([0xff, 0xff, 0xff, 0xff, 0x61].map((byte) => broken.push(byte)).join('')).toContain('a');
  });

  it('streams what decoding all tokens at once gives', () => {
    const tokenizer = new ByteTokenizer();
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), (text) => {
        const stream = new TokenStream(tokenizer);
        expect([...tokenizer.encode(text)].map((byte) => stream.push(byte)).join('')).toBe(text);
      }),
      { numRuns: 100 },
    );
  });
});

describe('WordTokenizer', () => {
  const texts = ["I don't know.", 'I know Tom!', 'Ich weiß es nicht.'];

  it('cuts words and punctuation, and joins them again', () => {
    const tokenizer = WordTokenizer.from(texts);
    for (const text of texts) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    expect(tokenizer.vocabulary.pieces.slice(0, 7)).toEqual(['<pad>', '<s>', '</s>', '<unk>', '.', 'I', 'know']);
    expect([...tokenizer.encode('I know Mary.')]).toEqual([5, 6, 3, 4]);
    expect(tokenizer.decode([1, 5, 6, 3, 4, 2, 0])).toBe('I know <unk>.');
    expect(WordTokenizer.from(texts, { minCount: 2 }).size).toBe(4 + 3);
    expect(WordTokenizer.from(texts, { maxSize: 1 }).size).toBe(5);
    const lower = WordTokenizer.from(['Go, go GO'], { lowercase: true });
    expect(lower.decode(lower.encode('GO, Go'))).toBe('go, go');
  });

  it('streams words with their spaces', () => {
    const tokenizer = WordTokenizer.from(texts);
    const stream = new TokenStream(tokenizer);
    expect([...tokenizer.encode("I don't know.")].map((token) => stream.push(token))).toEqual([
      'I',
      " don't",
      ' know',
      '.',
    ]);
    const many = new TokenStream(tokenizer);
    const long = Array.from({ length: 30 }, () => 'I know').join(' ');
    expect([...tokenizer.encode(long)].map((token) => many.push(token)).join('')).toBe(long);
  });
});

describe('files', () => {
  it('gives every tokenizer back', async () => {
    const path = join(await folder(), 'tokenizer.json');
    const tokenizers: Record<string, OwnTokenizer> = {
      characters: CharTokenizer.from('aé🙂\n?', { special: ['<s>'], unknown: '?' }),
      bytes: new ByteTokenizer(),
      words: WordTokenizer.from(['Go on, Tom.'], { lowercase: true }),
    };
    await saveTokenizers(path, tokenizers);
    const loaded = await loadTokenizers(path);
    for (const [name, tokenizer] of Object.entries(tokenizers)) {
      expect(loaded[name]).toEqual(tokenizer);
      expect([...loaded[name]!.encode('go on, x')]).toEqual([...tokenizer.encode('go on, x')]);
    }
    await expect(loadTokenizer(path)).rejects.toThrow(/expected .* to hold one tokenizer, got several/);
    await saveTokenizer(path, new ByteTokenizer());
    expect((await loadTokenizer(path)).size).toBe(256);
  });

  it('refuses other files', async () => {
    const path = join(await folder(), 'tokenizer.json');
    const file = (tokenizer: unknown): string =>
      JSON.stringify({ format: 'myelin-tokenizer', version: 1, tokenizers: { tokenizer } });
    const bad = [
      '',
      'null',
      '[]',
      '{"format":"myelin-tokenizer","version":2,"tokenizers":{}}',
      '{"format":"myelin-tokenizer","version":1}',
      file(null),
      file({ kind: 'runes' }),
      file({ kind: 'characters', characters: 5, special: [], unknown: 'error' }),
      file({ kind: 'characters', characters: 'aa', special: [], unknown: 'error' }),
      file({ kind: 'characters', characters: 'ab', special: 'x', unknown: 'error' }),
      file({ kind: 'characters', characters: 'ab', special: [], unknown: 'z' }),
      file({ kind: 'words', words: ['a', ''], lowercase: false }),
      file({ kind: 'words', words: { length: 1e9 }, lowercase: false }),
      file({ kind: 'words', words: ['a'], lowercase: 'no' }),
    ];
    for (const text of bad) {
      await writeFile(path, text);
      await expect(loadTokenizer(path), text).rejects.toThrow(FileFormatError);
    }
    await expect(loadTokenizer(`${path}.missing`)).rejects.toThrow(IoError);
  });

  it('reads the tokenizer of a Hugging Face model', async () => {
    const path = join(await folder(), 'tokenizer.json');
    const vocab = { l: 0, o: 1, w: 2, e: 3, r: 4, Ġ: 5, lo: 6, low: 7, er: 8, Ġlow: 9, '!': 10 };
    const model = { type: 'BPE', vocab, merges: ['l o', 'lo w', 'e r', 'Ġ low'], unk_token: null };
    const file = {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: [{ id: 11, content: '<|end|>', special: true }],
      normalizer: null,
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      post_processor: null,
      decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
      model,
    };
    await writeFile(path, JSON.stringify(file));
    const tokenizer: Tokenizer = await loadTokenizer(path);
    expect(tokenizer.size).toBe(12);
    expect([...tokenizer.encode('lower low!<|end|>')]).toEqual([7, 8, 9, 10, 11]);
    expect(tokenizer.decode([7, 8, 9, 10])).toBe('lower low!');
    expect(tokenizer.decode([])).toBe('');
    expect(() => tokenizer.decode([12])).toThrow(IndexOutOfRangeError);
    const stream = new TokenStream(tokenizer);
    expect([7, 8, 9].map((token) => stream.push(token))).toEqual(['low', 'er', ' low']);
    await writeFile(path, JSON.stringify({ ...file, model: { type: 'Abacus' } }));
    await expect(loadTokenizer(path)).rejects.toThrow(/to be a Hugging Face tokenizer/);
  });

  it('must fit the model', () => {
    const tokenizer = CharTokenizer.from('abc');
    checkVocabulary('generate', tokenizer, 3);
    expect(() => checkVocabulary('generate', tokenizer, 65)).toThrow(
      new ValueError(`generate: expected a tokenizer of the model's 65 tokens, got one of 3`),
    );
  });
});
