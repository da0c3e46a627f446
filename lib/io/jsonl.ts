import { type FileHandle, open, readFile } from 'node:fs/promises';
import { show } from '../check.js';
import { FileFormatError, ValueError } from '../errors.js';
import { checkPath, ioError } from './atomic.js';

/**
 * A file of JSON lines that only grows: each record is one line, written by one system call at the end of the file, so
 * that a reader (or a crash) sees whole lines. Records are written in the order of the calls, awaited or not.
 */
export class JsonlWriter {
  readonly path: string;
  readonly #handle: FileHandle;
  #last: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  /**
   * Opens `path` for appending and makes it if needed. A last line that a crash cut short is removed (a whole one is ended).
   *
   * @param options.truncate start empty instead (default false).
   * @throws {IoError} when the file cannot be opened.
   */
  static async open(path: string, { truncate = false }: { truncate?: boolean } = {}): Promise<JsonlWriter> {
    checkPath('JsonlWriter.open', 'path', path);
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, truncate ? 'w+' : 'a+');
      if (!truncate) await dropPartialLine(handle);
      return new JsonlWriter(path, handle);
    } catch (error) {
      await handle?.close().catch(() => undefined);
      throw ioError('JsonlWriter.open', 'open', path, error);
    }
  }

  /** Appends a record as JSON. NaN and infinities become null, as JSON has neither. */
  append(record: object): Promise<void> {
    if (typeof record !== 'object' || record === null) {
      throw new ValueError(`JsonlWriter.append: expected an object, got ${show(record)}`);
    }
    return this.appendLine(JSON.stringify(record));
  }

  /** Appends one line of finished JSON. */
  appendLine(line: string): Promise<void> {
    if (typeof line !== 'string' || /[\n\r]/.test(line)) {
      throw new ValueError(`JsonlWriter.appendLine: expected one line of text, got ${show(line)}`);
    }
    if (this.#closed) throw new ValueError(`JsonlWriter.appendLine: ${this.path} is closed`);
    const bytes = Buffer.from(`${line}\n`, 'utf8');
    const written = this.#last.then(async () => {
      try {
        await this.#handle.appendFile(bytes);
      } catch (error) {
        throw ioError('JsonlWriter.append', 'write', this.path, error);
      }
    });
    // A failed line is its own caller's business; the next one is tried again.
    this.#last = written.catch(() => undefined);
    return written;
  }

  /** Waits for the lines given so far, flushes them to the disk and closes the file. Closing twice is allowed. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#last;
    try {
      await this.#handle.sync();
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      // A pipe or a terminal cannot be flushed.
      if (code !== 'EINVAL' && code !== 'ENOTSUP') throw ioError('JsonlWriter.close', 'write', this.path, error);
    } finally {
      await this.#handle.close();
    }
  }
}

/**
 * All records of a file of JSON lines. A last line without its newline, as a crash leaves it, is ignored unless it is
 * whole; empty lines are skipped.
 *
 * @throws {IoError} when the file cannot be read; {@link FileFormatError} naming the line that is not JSON.
 */
export async function readJsonl(path: string): Promise<unknown[]> {
  checkPath('readJsonl', 'path', path);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw ioError('readJsonl', 'read', path, error);
  }
  const lines = text.split('\n');
  const records: unknown[] = [];
  lines.forEach((line, i) => {
    if (line.trim() === '') return;
    if (isJson(line)) records.push(JSON.parse(line));
    else if (i < lines.length - 1) {
      throw new FileFormatError(`readJsonl: expected line ${i + 1} of ${path} to be JSON, got ${show(line)}`, path);
    }
  });
  return records;
}

/** Makes the file end with a newline: the text after the last one is removed unless it is whole JSON. */
async function dropPartialLine(handle: FileHandle): Promise<void> {
  const stat = await handle.stat();
  if (!stat.isFile() || stat.size === 0) return;
  const block = Buffer.alloc(4096);
  let end = stat.size;
  let tail = '';
  while (end > 0) {
    const start = Math.max(0, end - block.length);
    const { bytesRead } = await handle.read(block, 0, end - start, start);
    const newline = block.subarray(0, bytesRead).lastIndexOf(0x0a);
    tail = block.toString('latin1', newline + 1, bytesRead) + tail;
    end = newline >= 0 ? start + newline + 1 : start;
    if (newline >= 0) break;
  }
  if (end === stat.size) return;
  if (isJson(Buffer.from(tail, 'latin1').toString('utf8'))) await handle.appendFile('\n');
  else await handle.truncate(end);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
