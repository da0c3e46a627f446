import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  CharTokenizer,
  DataLoader,
  FileFormatError,
  Generator,
  IGNORED,
  IoError,
  LineDataset,
  PairDataset,
  readPairs,
  readText,
  ShapeError,
  SyntheticPairs,
  TextDataset,
  ValueError,
  WordTokenizer,
  type Tensor,
} from '../../lib/index.js';

const rows = (t: Tensor): number[][] => {
  const [n, width] = t.shape as [number, number];
  const flat = [...t.dataSync()];
  return Array.from({ length: n }, (_, i) => flat.slice(i * width, (i + 1) * width));
};

async function file(contents: string | Uint8Array): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'myelin-text-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  await writeFile(join(path, 'file.txt'), contents);
  return join(path, 'file.txt');
}

describe('TextDataset', () => {
  const tokens = Int32Array.from({ length: 10 }, (_, i) => i);

  it('cuts a text into windows, the targets one further on', () => {
    const data = new TextDataset(tokens, { context: 3, stride: 3 });
    const batches = [...new DataLoader(data, { batchSize: 2 })].map(([x, y]) => [rows(x), rows(y)]);
    expect(batches).toEqual([
      [
        [
          [0, 1, 2],
          [3, 4, 5],
        ],
        [
          [1, 2, 3],
          [4, 5, 6],
        ],
      ],
      [[[6, 7, 8]], [[7, 8, 9]]],
    ]);
    expect(new TextDataset(tokens, { context: 3 }).length).toBe(7);
    expect(new TextDataset(tokens, { context: 9 }).length).toBe(1);
    expect(new TextDataset(tokens, { context: 2, stride: 4 }).length).toBe(2);
  });

  it('draws windows at random, and the same after a resume', () => {
    const make = (seed: number) =>
      new DataLoader(new TextDataset(tokens, { context: 4 }), {
        batchSize: 3,
        shuffle: true,
        draws: 30,
        generator: new Generator(seed),
      });
    const loader = make(1);
    const whole = [...loader].map(([x]) => rows(x));
    expect(whole.flat().every(([first], _, all) => first! >= 0 && first! <= 5 && all.length === 30)).toBe(true);
    const second = [...loader].map(([x]) => rows(x));
    const cut = make(1);
    for (const _ of cut) if (cut.state().epoch!.position === 4) break;
    const later = make(2);
    later.loadState(cut.state());
    expect([...later].map(([x]) => rows(x))).toEqual(whole.slice(4));
    expect([...later].map(([x]) => rows(x))).toEqual(second);
  });

  it('refuses what gives no window', () => {
    expect(() => new TextDataset(tokens, { context: 10 })).toThrow(
      new ShapeError('TextDataset: expected more than 10 tokens for one window, got 10'),
    );
    expect(() => new TextDataset(new Int32Array(0), { context: 1 })).toThrow(ShapeError);
    expect(() => new TextDataset([1, 2] as never, { context: 1 })).toThrow(ValueError);
    for (const options of [{ context: 0 }, { context: 1.5 }, { context: 2, stride: 0 }])
      expect(() => new TextDataset(tokens, options)).toThrow(ValueError);
  });
});

describe('LineDataset', () => {
  it('gives lines between marks, padded, with the number of tokens', () => {
    const tokenizer = CharTokenizer.from('\nabc');
    const data = new LineDataset(['ab', 'c'], { tokenizer });
    const [[x, y, count]] = [...new DataLoader(data, { batchSize: 2 })] as [[Tensor, Tensor, number]];
    expect(rows(x)).toEqual([
      [0, 1, 2],
      [0, 3, 0],
    ]);
    expect(rows(y)).toEqual([
      [1, 2, 0],
      [3, 0, IGNORED],
    ]);
    expect(count).toBe(5);
    expect(() => new LineDataset([], { tokenizer })).toThrow(/expected at least one line, got \[\]/);
    expect(() => new LineDataset(['ax'], { tokenizer })).toThrow(/got "x" at 2/);
  });
});

describe('PairDataset', () => {
  it('pads both sides and counts target tokens', () => {
    const source = WordTokenizer.from(['a b c']);
    const target = WordTokenizer.from(['x y']);
    const pairs = [
      ['a b', 'x'],
      ['c', 'y x y'],
    ] as const;
    const data = new PairDataset(pairs, { source, target });
    const [[input, y, count]] = [...new DataLoader(data, { batchSize: 2 })] as never as [
      [{ source: Tensor; target: Tensor; lengths: number[] }, Tensor, number],
    ];
    expect(rows(input.source)).toEqual([
      [4, 5, 2],
      [6, 2, 0],
    ]);
    expect(input.lengths).toEqual([3, 2]);
    const [xx, yy] = [target.vocabulary.find('x')!, target.vocabulary.find('y')!];
    expect(rows(input.target)).toEqual([
      [1, xx, 0, 0],
      [1, yy, xx, yy],
    ]);
    expect(rows(y)).toEqual([
      [xx, 2, IGNORED, IGNORED],
      [yy, xx, yy, 2],
    ]);
    expect(count).toBe(6);
    expect(() => new PairDataset([], { source, target })).toThrow(ValueError);
  });
});

describe('SyntheticPairs', () => {
  it('makes sequences to copy and to reverse, of their seed and number only', () => {
    const reverse = new SyntheticPairs({ task: 'reverse', length: 4, symbols: 5, seed: 3 });
    const [[input, y]] = [...new DataLoader(reverse, { batchSize: 50, shuffle: true, draws: 50 })] as never as [
      [{ source: Tensor; target: Tensor; lengths: null }, Tensor],
    ];
    const [source, begun, target] = [rows(input.source), rows(input.target), rows(y)];
    expect(new Set(source.flat())).toEqual(new Set([1, 2, 3, 4, 5]));
    expect(target).toEqual(source.map((row) => row.toReversed()));
    expect(begun).toEqual(target.map((row) => [0, ...row.slice(0, -1)]));
    expect(new Set(source.map(String)).size).toBeGreaterThan(40);

    const first = (options: object): number[][] => {
      const data = new SyntheticPairs({ task: 'copy', ...options, size: 3 });
      const [x, same] = [...new DataLoader(data, { batchSize: 3 })][0]!;
      expect(rows(same)).toEqual(rows(x.source));
      return rows(x.source);
    };
    expect(first({ seed: 1 })).toEqual(first({ seed: 1 }));
    expect(first({ seed: 1 })).not.toEqual(first({ seed: 2 }));
    expect(() => new SyntheticPairs({ task: 'sort' as never })).toThrow(/one of reverse, copy, got "sort"/);
    for (const bad of [{ length: 0 }, { symbols: 0 }, { length: 1e9 }, { seed: -1 }, { size: 0 }])
      expect(() => new SyntheticPairs({ task: 'copy', ...bad })).toThrow(ValueError);
  });
});

describe('files of text', () => {
  it('reads text and pairs', async () => {
    expect(await readText(await file('grüß\n'))).toBe('grüß\n');
    const path = await file('Go.\tGeh.\tCC-BY\r\n\r\nHi.\tHallo!\r\n');
    expect(await readPairs(path)).toEqual([
      ['Go.', 'Geh.'],
      ['Hi.', 'Hallo!'],
    ]);
  });

  it('refuses other files, naming the line', async () => {
    await expect(readText(await file(''))).rejects.toThrow(/to hold a text, got an empty file/);
    await expect(readText(await file(Uint8Array.of(0xff, 0xfe)))).rejects.toThrow(/text in UTF-8, got other bytes/);
    await expect(readText('/nowhere/at/all')).rejects.toThrow(IoError);
    await expect(readText(' \0')).rejects.toThrow(ValueError);
    for (const text of ['a\tb\nno tab\n', 'a\tb\n\tc\n', 'a\tb\nc\t \n']) {
      await expect(readPairs(await file(text))).rejects.toThrow(/with a tab between in line 2 of /);
      await expect(readPairs(await file(text))).rejects.toThrow(FileFormatError);
    }
    await expect(readPairs(await file('\n\n'))).rejects.toThrow(/to hold pairs, got none/);
  });
});
