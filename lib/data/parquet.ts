import { open, stat } from 'node:fs/promises';
import { checkInteger, checkOneOf, show } from '../check.js';
import { FileFormatError, ValueError } from '../errors.js';
import { checkPath, ioError } from '../io/atomic.js';
import { type Column, DEFAULT_MAX_ROWS, type MissingValues, Table } from './table.js';

/** How {@link readParquet} reads. */
export interface ParquetOptions {
  /** Columns to keep; default all. */
  readonly columns?: readonly string[];
  /** What a null in a column of numbers is; default `error`. */
  readonly missing?: MissingValues;
  /** Most rows that are accepted; default 10,000,000. */
  readonly maxRows?: number;
  /** Most bytes of uncompressed data that are accepted; default 2 GiB. */
  readonly maxBytes?: number;
}

/**
 * Reads flat columns of an Apache Parquet file, uncompressed or compressed with Snappy. Numbers, booleans and dates
 * (milliseconds since 1970) become columns of numbers, strings columns of text.
 *
 * @throws {FileFormatError} when the file is broken, larger than the limits, or has nested columns or nulls among those asked
 * for; {@link ValueError} for columns that are not there; {@link IoError}.
 */
export async function readParquet(path: string, options: ParquetOptions = {}): Promise<Table> {
  const fn = 'readParquet';
  const { columns, missing = 'error', maxRows = DEFAULT_MAX_ROWS, maxBytes = 2 ** 31 } = options;
  checkPath(fn, 'path', path);
  checkOneOf(fn, 'missing', missing, ['error', 'nan']);
  checkInteger(fn, 'maxRows', maxRows, { min: 1 });
  checkInteger(fn, 'maxBytes', maxBytes, { min: 1 });
  const fail = (what: string): FileFormatError => new FileFormatError(`${fn}: ${path}: ${what}`, path);
  const { parquetMetadataAsync, parquetReadObjects, parquetSchema } = await import('hyparquet');
  let size: number;
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw ioError(fn, 'read', path, error);
  });
  try {
    ({ size } = await stat(path));
    const file = {
      byteLength: size,
      slice: async (start: number, end: number = size): Promise<ArrayBuffer> => {
        const length = Math.min(end, size) - start;
        if (!(start >= 0 && length >= 0)) throw fail(`expected data within its ${size} bytes, got a range beyond`);
        const bytes = new ArrayBuffer(length);
        const { bytesRead } = await handle.read(new Uint8Array(bytes), 0, length, start);
        if (bytesRead !== length) throw fail(`expected ${length} bytes at ${start}, got ${bytesRead}`);
        return bytes;
      },
    };
    const metadata = await parquetMetadataAsync(file);
    if (!(metadata.num_rows >= 0n && metadata.num_rows <= BigInt(maxRows))) {
      throw fail(`expected at most ${maxRows} rows, got ${metadata.num_rows}`);
    }
    const tree = parquetSchema(metadata);
    const names = tree.children.map((child) => child.element.name);
    for (const name of columns ?? []) {
      if (!names.includes(name))
        throw new ValueError(`${fn}: expected columns among ${names.join(', ')}, got ${show(name)}`);
    }
    const wanted = [...(columns ?? names)];
    for (const { element, children } of tree.children) {
      if (wanted.includes(element.name) && (children.length > 0 || element.repetition_type === 'REPEATED')) {
        throw fail(`expected plain columns, got nested values in ${show(element.name)}`);
      }
    }
    let bytes = 0n;
    for (const group of metadata.row_groups) {
      for (const { meta_data: data } of group.columns) bytes += data?.total_uncompressed_size ?? 0n;
    }
    if (!(bytes >= 0n && bytes <= BigInt(maxBytes))) {
      throw fail(`expected at most ${maxBytes} bytes of uncompressed data, got ${bytes}`);
    }
    const rows = await parquetReadObjects({ file, metadata, columns: wanted });
    if (rows.length !== Number(metadata.num_rows)) {
      throw fail(`expected ${metadata.num_rows} rows, got ${rows.length}`);
    }
    return new Table(new Map(wanted.map((name) => [name, column(name, rows, missing, fail)])));
  } catch (error) {
    if (error instanceof FileFormatError || error instanceof ValueError) throw error;
    const wrapped = ioError(fn, 'read', path, error);
    throw wrapped === error ? fail((error as Error).message) : wrapped;
  } finally {
    await handle.close();
  }
}

function column(
  name: string,
  rows: readonly Record<string, unknown>[],
  missing: MissingValues,
  fail: (what: string) => FileFormatError,
): Column {
  const first = rows.find((row) => row[name] !== null && row[name] !== undefined)?.[name];
  if (typeof first === 'string') {
    return rows.map((row, i) => {
      const value = row[name];
      if (typeof value !== 'string') throw fail(`expected text in ${show(name)}, got ${show(value)} in row ${i}`);
      return value;
    });
  }
  return Float64Array.from(rows, (row, i) => {
    const value = row[name];
    if (typeof value === 'number') return value;
    if (typeof value === 'bigint' || typeof value === 'boolean' || value instanceof Date) return Number(value);
    if ((value === null || value === undefined) && missing === 'nan') return NaN;
    throw fail(`expected a number in ${show(name)}, got ${value === undefined ? 'null' : show(value)} in row ${i}`);
  });
}
