import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { checkOneOf } from '../check.js';
import { FileFormatError, IoError } from '../errors.js';
import { checkPath, ioError } from '../io/atomic.js';
import { cacheDir, fetchPublished, type FetchOptions, type PublishedFile } from './download.js';
import { readPairs, type SentencePair } from './pairs.js';
import { readText } from './text.js';

/** How {@link tinyShakespeare}, {@link names} and {@link sentencePairs} find and give their data. */
export interface CorpusOptions extends FetchOptions {
  /** `train` (the default) or `test`. */
  readonly split?: 'train' | 'test';
  /** A text file of the same form, or the directory that holds the file under its usual name; nothing is downloaded then. */
  readonly dataDir?: string;
}

interface Corpus extends PublishedFile {
  readonly title: string;
  readonly directory: string;
  readonly url: string;
}

const corpora = {
  shakespeare: {
    title: 'tiny Shakespeare',
    directory: 'tinyshakespeare',
    file: 'input.txt',
    url: 'https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt',
    bytes: 1_115_394,
    sha256: '86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed',
  },
  names: {
    title: 'names',
    directory: 'names',
    file: 'names.txt',
    url: 'https://raw.githubusercontent.com/karpathy/makemore/master/names.txt',
    bytes: 228_145,
    sha256: '0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d',
  },
  pairs: {
    title: 'English–German sentence pairs',
    directory: 'tatoeba-en-de',
    file: 'deu.txt',
    url: 'https://raw.githubusercontent.com/DarrenCarvalho/Language-Translation/a30fc3ec31687d0ed561047a9c7d7fdb5915f89c/data/deu.txt',
    bytes: 2_188_364,
    sha256: 'ad109252de3e35f8ec8030669ccddf6ee2f5cc1656c1928468e175233c01eb1d',
  },
} as const satisfies Record<string, Corpus>;

/** The path of a corpus's file: what `dataDir` names, or the downloaded one. */
async function locate(fn: string, corpus: Corpus, options: CorpusOptions): Promise<string> {
  const { dataDir } = options;
  const { file, title, url } = corpus;
  if (dataDir !== undefined) {
    const path = checkPath(fn, 'dataDir', dataDir);
    let isDirectory: boolean;
    try {
      isDirectory = (await stat(path)).isDirectory();
    } catch (error) {
      throw ioError(fn, 'read', path, error);
    }
    return isDirectory ? join(path, file) : path;
  }
  const directory = join(cacheDir(), corpus.directory);
  if (options.download === false) {
    const to = join(directory, file);
    const there = await stat(to).catch(() => null);
    if (there === null) throw new IoError(`${fn}: expected ${title} as ${to}, got none; it is at ${url}`, to);
  }
  return fetchPublished(url, corpus, directory, options);
}

const splitOf = (fn: string, { split = 'train' }: CorpusOptions): 'train' | 'test' =>
  checkOneOf(fn, 'split', split, ['train', 'test']);

/** The first 90 % of a text's characters for training, the rest for testing. */
export function splitText(text: string, split: 'train' | 'test'): string {
  const end = Math.floor(text.length * 0.9);
  return split === 'train' ? text.slice(0, end) : text.slice(end);
}

/** The whole of a text, its parts by {@link splitText}: 40,000 lines of Shakespeare's plays (Karpathy, 2015), 65 different characters. */
export async function tinyShakespeare(options: Omit<CorpusOptions, 'split'> = {}): Promise<string> {
  return readText(await locate('tinyShakespeare', corpora.shakespeare, options));
}

/**
 * 32,033 first names (Karpathy, "makemore", 2022), lower-case; every tenth is for testing. Lines without a letter are left out.
 */
export async function names(options: CorpusOptions = {}): Promise<string[]> {
  const split = splitOf('names', options);
  const path = await locate('names', corpora.names, options);
  const lines = (await readText(path)).split(/\r?\n/).filter((line) => line.trim() !== '');
  const chosen = lines.filter((_, i) => (i % 10 === 9) === (split === 'test'));
  if (chosen.length === 0)
    throw new FileFormatError(`names: expected ${path} to hold 10 lines or more, got ${lines.length}`, path);
  return chosen;
}

/**
 * 50,002 short English sentences with a German translation (Tatoeba, CC BY 2.0 FR, by way of manythings.org), from short to long. About a
 * twentieth is for testing: a sentence with all its translations, chosen by a hash of the English side.
 */
export async function sentencePairs(options: CorpusOptions = {}): Promise<SentencePair[]> {
  const split = splitOf('sentencePairs', options);
  const path = await locate('sentencePairs', corpora.pairs, options);
  const chosen = (await readPairs(path)).filter(([source]) => (hash(source) % 20 === 0) === (split === 'test'));
  if (chosen.length === 0)
    throw new FileFormatError(`sentencePairs: expected ${path} to hold more pairs, none is for ${split}`, path);
  return chosen;
}

/** FNV-1a of a text's UTF-16 units (Fowler, Noll & Vo), its halves mixed. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return (h ^ (h >>> 16)) >>> 0;
}
