import { createReadStream } from 'node:fs';
import { checkBoolean, checkInteger, checkOneOf, checkString, show } from '../check.js';
import { FileFormatError, ValueError } from '../errors.js';
import { checkPath, ioError } from '../io/atomic.js';
import { type Column, DEFAULT_MAX_ROWS, type MissingValues, Table } from './table.js';

/** How {@link readCsv} reads. */
export interface CsvOptions {
  /** Whether the first line names the columns; default true. Otherwise they are `0`, `1`, …. */
  readonly header?: boolean;
  /** Between cells; default `,`. */
  readonly delimiter?: string;
  /** Columns to keep; default all. */
  readonly columns?: readonly string[];
  /** Columns that stay text although they look like numbers. */
  readonly text?: readonly string[];
  /** What an empty cell in a column of numbers is; default `error`. */
  readonly missing?: MissingValues;
  /** Most rows that are accepted; default 10,000,000. */
  readonly maxRows?: number;
  /** Most characters of one line that are accepted; default 1,000,000. */
  readonly maxLine?: number;
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const SPECIAL: Readonly<Record<string, number>> = { nan: NaN, inf: Infinity, '-inf': -Infinity };

/** The number in a cell, or undefined. */
function number(cell: string): number | undefined {
  const text = cell.trim();
  return NUMBER.test(text) ? Number(text) : SPECIAL[text.toLowerCase()];
}

/** Cells of a column so far: numbers until the first that is none, all of them as text in case that comes. */
class Cells {
  numbers: number[] | null = [];
  readonly text: string[] = [];
}

/**
 * Reads a CSV file (RFC 4180: quotes, doubled quotes, line ends of any kind; UTF-8). A column whose cells are all numbers
 * becomes numbers, any other one text.
 *
 * @throws {FileFormatError} naming the line when rows have different lengths, quotes do not match, or a value is missing;
 * {@link ValueError} for columns that are not there; {@link IoError}.
 * @example const train = (await readCsv('iris.csv')).dataset({ target: 'species' });
 */
export async function readCsv(path: string, options: CsvOptions = {}): Promise<Table> {
  const fn = 'readCsv';
  const { header = true, delimiter = ',', columns, text = [], missing = 'error' } = options;
  const { maxRows = DEFAULT_MAX_ROWS, maxLine = 1_000_000 } = options;
  checkPath(fn, 'path', path);
  checkBoolean(fn, 'header', header);
  checkString(fn, 'delimiter', delimiter);
  checkOneOf(fn, 'missing', missing, ['error', 'nan']);
  checkInteger(fn, 'maxRows', maxRows, { min: 1 });
  checkInteger(fn, 'maxLine', maxLine, { min: 1 });
  const { CsvError, parse } = await import('csv-parse');
  const parser = parse({
    bom: true,
    delimiter,
    info: true,
    max_record_size: maxLine,
    skip_empty_lines: true,
  });
  const source = createReadStream(path);
  source.on('error', (error) => parser.destroy(error));
  source.pipe(parser);
  let names: string[] | null = null;
  let kept: [cells: Cells, name: string, at: number][] = [];
  let rows = 0;
  const fail = (what: string, line: number): FileFormatError =>
    new FileFormatError(`${fn}: ${path}, line ${line}: ${what}`, path);
  try {
    for await (const item of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>) {
      const { record, info } = item;
      if (names === null) {
        names = header ? record : record.map((_, i) => String(i));
        const twice = names.find((name, i) => names!.indexOf(name) !== i);
        if (twice !== undefined) throw fail(`expected columns with different names, got ${show(twice)} twice`, 1);
        kept = choose(fn, names, columns, text);
        if (header) continue;
      }
      if (++rows > maxRows) throw fail(`expected at most ${maxRows} rows, got more`, info.lines);
      for (const [cells, name, at] of kept) {
        const cell = record[at]!;
        const value = cell.trim() === '' && missing === 'nan' ? NaN : number(cell);
        if (cells.numbers !== null && value !== undefined) cells.numbers.push(value);
        else {
          if (cell.trim() === '' && cells.numbers !== null && cells.numbers.length > 0) {
            throw fail(`expected a number in ${show(name)}, got an empty cell (missing: 'nan' accepts it)`, info.lines);
          }
          cells.numbers = null;
        }
        cells.text.push(cell);
      }
    }
  } catch (error) {
    if (error instanceof CsvError) {
      throw new FileFormatError(`${fn}: ${path}: ${error.message}`, path);
    }
    throw ioError(fn, 'read', path, error);
  } finally {
    source.destroy();
  }
  if (names === null) throw new FileFormatError(`${fn}: expected ${path} to have at least one line, got none`, path);
  return new Table(
    new Map(
      kept.map(([cells, name]): [string, Column] => [
        name,
        cells.numbers === null ? cells.text : Float64Array.from(cells.numbers),
      ]),
    ),
  );
}

function choose(
  fn: string,
  names: readonly string[],
  columns: readonly string[] | undefined,
  text: readonly string[],
): [Cells, string, number][] {
  for (const name of [...(columns ?? []), ...text]) {
    if (!names.includes(name)) {
      throw new ValueError(`${fn}: expected columns among ${names.join(', ')}, got ${show(name)}`);
    }
  }
  return (columns ?? names).map((name) => {
    const cells = new Cells();
    if (text.includes(name)) cells.numbers = null;
    return [cells, name, names.indexOf(name)];
  });
}
