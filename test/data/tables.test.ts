import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readCsv, type CsvOptions } from '../../lib/data/csv.js';
import { readParquet } from '../../lib/data/parquet.js';
import { Table } from '../../lib/data/table.js';
import { FileFormatError, IoError, ValueError } from '../../lib/errors.js';
import { temporaryDirectory } from '../io/tmp.js';

const directory = temporaryDirectory();
let serial = 0;
const file = (contents: string | Uint8Array): string => {
  const path = join(directory, `${serial++}`);
  writeFileSync(path, contents);
  return path;
};
const golden = (name: string): string => fileURLToPath(new URL(`../golden/${name}`, import.meta.url));

describe('CSV', () => {
  it('reads numbers and text', async () => {
    const table = await readCsv(
      file('\ufeffwidth, height,kind\r\n1.5,-2e3,"a ""b"", c"\r\n\r\n.5,+7,d\r\nnan,-inf,"two\nlines"\r\n'),
    );
    expect(table.names).toEqual(['width', ' height', 'kind']);
    expect([...table.numbers('width')]).toEqual([1.5, 0.5, NaN]);
    expect([...table.numbers(' height')]).toEqual([-2000, 7, -Infinity]);
    expect(table.column('kind')).toEqual(['a "b", c', 'd', 'two\nlines']);
  });

  it('takes options', async () => {
    const path = file('1;x;007\n2;;8\n;z;9\n');
    const options: CsvOptions = { header: false, delimiter: ';', missing: 'nan', text: ['2'] };
    const table = await readCsv(path, options);
    expect([[...table.numbers('0')], table.column('1'), table.column('2')]).toEqual([
      [1, 2, NaN],
      ['x', '', 'z'],
      ['007', '8', '9'],
    ]);
    expect((await readCsv(path, { ...options, columns: ['2', '0'], text: [] })).names).toEqual(['2', '0']);
  });

  it('makes data sets of rows and classes', async () => {
    const table = await readCsv(file('a,kind,b,class\n1,x,2,1\n3,y,4,0\n5,x,6,2\n'));
    const [x, y] = table.dataset({ target: 'kind', features: ['b', 'a'] }).tensors;
    expect([x.dtype, x.shape, [...x.dataSync()]]).toEqual(['float32', [3, 2], [2, 1, 4, 3, 6, 5]]);
    expect([y.dtype, [...y.dataSync()], table.classes('kind')]).toEqual(['int32', [0, 1, 0], ['x', 'y']]);
    const regression = table.dataset({ target: 'b' }).tensors;
    expect([regression[0].shape, regression[1].dtype]).toEqual([[3, 2], 'float32']);
    expect([...table.dataset({ target: 'class', classes: true }).tensors[1].dataSync()]).toEqual([1, 0, 2]);
    expect(() => table.dataset({ target: 'c' })).toThrow('expected one of a, kind, b, class, got "c"');
    expect(() => table.dataset({ target: 'a', features: ['kind'] })).toThrow('to hold numbers, got text such as "x"');
    expect(() => table.classes('a')).toThrow(ValueError);
    const negative = new Table(new Map([['y', Float64Array.of(0, -1)]]));
    expect(() => negative.dataset({ target: 'y', classes: true })).toThrow('expected classes 0, 1, … in "y", got -1');
    expect(
      () =>
        new Table(
          new Map([
            ['a', ['1']],
            ['b', []],
          ]),
        ),
    ).toThrow('expected 1 rows in "b", got 0');
  });

  it.each<[string, string, CsvOptions, RegExp]>([
    ['rows of different lengths', 'a,b\n1,2\n3\n', {}, /line 3/],
    ['a quote without end', 'a\n"1\n2\n', {}, /[Qq]uot/],
    ['a quote amid a cell', 'a,b\n1"2,3\n', {}, /[Qq]uot/],
    ['an empty cell', 'a,b\n1,2\n,4\n', {}, /line 3: expected a number in "a", got an empty cell/],
    ['a name that comes twice', 'a,a\n1,2\n', {}, /got "a" twice/],
    ['too many rows', 'a\n1\n2\n3\n', { maxRows: 2 }, /at most 2 rows/],
    ['a line without end', `a\n${'1'.repeat(5000)}\n`, { maxLine: 1000 }, /1000/],
    ['an empty file', '', {}, /at least one line/],
  ])('refuses %s', async (_, contents, options, message) => {
    const error: unknown = await readCsv(file(contents), options).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FileFormatError);
    expect((error as Error).message).toMatch(message);
  });

  it('refuses columns and files that are not there', async () => {
    await expect(readCsv(file('a\n1\n'), { columns: ['b'] })).rejects.toThrow('expected columns among a, got "b"');
    await expect(readCsv(join(directory, 'no.csv'))).rejects.toThrow(IoError);
    await expect(readCsv(directory)).rejects.toThrow(IoError);
  });
});

describe('Parquet', () => {
  it('reads what the reference implementation wrote', async () => {
    const table = await readParquet(golden('table.parquet'), { missing: 'nan' });
    expect(table.names).toEqual(['width', 'count', 'small', 'flag', 'half', 'species', 'day']);
    expect([...table.numbers('width')]).toEqual([1.5, -2.25, 3e38, 0]);
    expect([...table.numbers('count')]).toEqual([1, 2, 2 ** 40, -7]);
    expect([...table.numbers('flag')]).toEqual([1, 0, 1, 1]);
    expect([...table.numbers('half')]).toEqual([0.5, NaN, 2.5, NaN]);
    expect(table.column('species')).toEqual(['b', 'a', 'ü', 'a']);
    expect(table.numbers('day')[0]).toBe(86_400_000);
    const [x, y] = table.dataset({ target: 'species', features: ['small', 'flag'] }).tensors;
    expect([[...x.dataSync()], [...y.dataSync()]]).toEqual([
      [1, 1, 2, 0, 3, 1, 4, 1],
      [1, 0, 2, 0],
    ]);
  });

  it('refuses nulls, nested columns and what is too large', async () => {
    const path = golden('table.parquet');
    await expect(readParquet(path)).rejects.toThrow('expected a number in "half", got null in row 1');
    await expect(readParquet(path, { columns: ['widht'] })).rejects.toThrow(/expected columns among .*, got "widht"/);
    await expect(readParquet(path, { maxRows: 3 })).rejects.toThrow('expected at most 3 rows, got 4');
    await expect(readParquet(path, { maxBytes: 10 })).rejects.toThrow('at most 10 bytes of uncompressed data');
    await expect(readParquet(golden('table-nested.parquet'))).rejects.toThrow('nested values in "list"');
    expect((await readParquet(golden('table-nested.parquet'), { columns: ['x'] })).length).toBe(2);
    await expect(readParquet(join(directory, 'no'))).rejects.toThrow(IoError);
  });

  it('refuses broken files with a typed error', async () => {
    const whole = readFileSync(golden('table.parquet'));
    const broken = [whole.subarray(0, 0), whole.subarray(0, 100), whole.subarray(100), Buffer.from('PAR1PAR1')];
    for (let i = 0; i < 60; i++) {
      const bytes = Buffer.from(whole);
      const at = (i * 7919) % bytes.length;
      bytes[at] = bytes[at]! ^ (1 << (i % 8));
      broken.push(bytes);
    }
    let refused = 0;
    for (const bytes of broken) {
      const result: unknown = await readParquet(file(bytes), { missing: 'nan' }).catch((e: unknown) => e);
      if (result instanceof Table) continue;
      expect(result).toSatisfy((e) => e instanceof FileFormatError || e instanceof ValueError);
      refused++;
    }
    expect(refused).toBeGreaterThan(4);
  });
});
