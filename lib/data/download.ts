import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename, stat, unlink } from 'node:fs/promises';
import type http from 'node:http';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { checkInteger, checkNumber, show } from '../check.js';
import { DownloadError, ValueError } from '../errors.js';
import { checkPath, ioError } from '../io/atomic.js';

/** How {@link download} works. */
export interface DownloadOptions {
  /** SHA-256 that the file must have, 64 hexadecimal digits. */
  readonly sha256: string;
  /** Where the file goes; directories are made as needed. */
  readonly to: string;
  /** Length of the file, if it is known: a longer answer is cut off, a shorter one continued. */
  readonly bytes?: number;
  /** Told about progress: bytes that are there and bytes in all (undefined while unknown). */
  readonly onProgress?: (done: number, total: number | undefined) => void;
  /** Stops the download; what came so far is kept for the next call. */
  readonly signal?: AbortSignal;
  /** Longest wait for the next byte, in milliseconds; default 30,000. */
  readonly timeoutMs?: number;
  /** Attempts after the first, for each address; default 3. */
  readonly retries?: number;
  /** Wait before the second attempt, in milliseconds, doubled each time; default 500. */
  readonly retryDelayMs?: number;
}

/**
 * Where downloaded data sets are kept: `MYELIN_CACHE`, else `myelin` in `XDG_CACHE_HOME`, else `~/.cache/myelin`
 * (`%LOCALAPPDATA%\myelin\cache` on Windows).
 */
export function cacheDir(): string {
  const { MYELIN_CACHE: own, XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = process.env;
  if (own !== undefined && own !== '') return resolve(own);
  if (xdg !== undefined && isAbsolute(xdg)) return join(xdg, 'myelin');
  if (process.platform === 'win32' && local !== undefined && local !== '') return join(local, 'myelin', 'cache');
  return join(homedir(), '.cache', 'myelin');
}

/** What one attempt ended in; `again` says whether the same address may be tried once more. */
class AttemptError extends Error {
  readonly again: boolean;

  constructor(message: string, again: boolean, options?: ErrorOptions) {
    super(message, options);
    this.again = again;
  }
}

interface Job {
  readonly to: string;
  readonly part: string;
  readonly sha256: string;
  readonly bytes: number | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((done: number, total: number | undefined) => void) | undefined;
}

/** Downloads of this process that are under way, by target. */
const running = new Map<string, Promise<string>>();

/**
 * Downloads a file whose SHA-256 is known. The bytes go to `<to>.part`, which a later attempt, call or process continues
 * (HTTP ranges), and only a file with the right hash is renamed to `to`. A file that is there already and has the right
 * hash is not fetched again; calls for the same `to` share one download.
 *
 * @param urls one address or several mirrors, tried in order; http and https.
 * @returns the full path of the file.
 * @throws {DownloadError} when no address gave the file, with the reason for each; a wrong hash names both hashes and
 * removes what came. {@link IoError} when the file cannot be written. {@link ValueError} for bad arguments.
 */
export function download(urls: string | readonly string[], options: DownloadOptions): Promise<string> {
  const list = (typeof urls === 'string' ? [urls] : [...urls]).map(checkUrl);
  if (list.length === 0) throw new ValueError('download: expected at least one address, got none');
  const { sha256, bytes, signal, onProgress, timeoutMs = 30_000, retries = 3, retryDelayMs = 500 } = options;
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/i.test(sha256)) {
    throw new ValueError(`download: expected sha256 to be 64 hexadecimal digits, got ${show(sha256)}`);
  }
  if (bytes !== undefined) checkInteger('download', 'bytes', bytes, { min: 0 });
  checkNumber('download', 'timeoutMs', timeoutMs, { min: 1, max: 2 ** 31 - 1 });
  checkInteger('download', 'retries', retries, { min: 0 });
  checkNumber('download', 'retryDelayMs', retryDelayMs, { min: 0, max: 2 ** 31 - 1 });
  const to = resolve(checkPath('download', 'to', options.to));
  const before = running.get(to);
  if (before !== undefined) return before;
  const job = { to, part: `${to}.part`, sha256: sha256.toLowerCase(), bytes, timeoutMs, signal, onProgress };
  const promise = run(list, job, retries, retryDelayMs).finally(() => running.delete(to));
  running.set(to, promise);
  return promise;
}

/** What data sets have in common that are downloaded when they are missing. */
export interface FetchOptions {
  /** Whether missing files may be downloaded into the cache directory; default true. */
  readonly download?: boolean;
  /** Told about the progress of downloads. */
  readonly onProgress?: (file: string, done: number, total: number | undefined) => void;
  /** Stops a download. */
  readonly signal?: AbortSignal;
}

/** A file as its home publishes it. */
export interface PublishedFile {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Downloads a published file into a directory. */
export const fetchPublished = (
  urls: string | readonly string[],
  { file, bytes, sha256 }: PublishedFile,
  directory: string,
  { onProgress, signal }: FetchOptions,
): Promise<string> =>
  download(urls, {
    to: join(directory, file),
    sha256,
    bytes,
    ...(onProgress === undefined ? {} : { onProgress: (done, total) => onProgress(file, done, total) }),
    ...(signal === undefined ? {} : { signal }),
  });

function checkUrl(url: unknown): URL {
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : undefined;
  if (parsed !== undefined && (parsed.protocol === 'http:' || parsed.protocol === 'https:')) return parsed;
  throw new ValueError(`download: expected an http or https address, got ${show(url)}`);
}

async function run(urls: readonly URL[], job: Job, retries: number, delayMs: number): Promise<string> {
  if ((await hashIfFile(job.to)) === job.sha256) return job.to;
  try {
    await mkdir(dirname(job.to), { recursive: true });
  } catch (error) {
    throw ioError('download', 'make the directory of', job.to, error);
  }
  const reasons: string[] = [];
  let cause: unknown;
  for (const url of urls) {
    for (let attempt = 0; ; attempt++) {
      checkAborted(job);
      try {
        await fetchOnce(url, job);
        return await finish(job);
      } catch (error) {
        checkAborted(job);
        if (!(error instanceof AttemptError)) throw ioError('download', 'write', job.part, error);
        cause = error.cause ?? error;
        if (!error.again || attempt >= retries) {
          reasons.push(`${url.href}: ${error.message}`);
          break;
        }
      }
      await pause(delayMs * 2 ** attempt, job.signal);
    }
  }
  throw new DownloadError(`download: could not get ${job.to}: ${reasons.join('; ')}`, { cause });
}

function checkAborted({ signal, to }: Job): void {
  if (signal?.aborted) throw new DownloadError(`download: ${to} was stopped`, { cause: signal.reason });
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((done) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      done();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end);
    if (signal?.aborted) end();
  });
}

/** Checks the part file's hash and gives it its name. */
async function finish({ to, part, sha256, bytes }: Job): Promise<string> {
  const found = await hashIfFile(part);
  if (found !== sha256) {
    // Another process that fetched the same file may have been faster.
    if (found === undefined && (await hashIfFile(to)) === sha256) return to;
    await unlink(part).catch(() => undefined);
    const length = bytes === undefined ? '' : ` (${bytes} bytes)`;
    throw new AttemptError(`expected SHA-256 ${sha256}${length}, got ${found ?? 'no file'}`, false);
  }
  try {
    const handle = await open(part, 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(part, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && (await hashIfFile(to)) === sha256) return to;
    throw error;
  }
  return to;
}

async function hashIfFile(path: string): Promise<string | undefined> {
  try {
    if (!(await stat(path)).isFile()) return undefined;
    const { createHash } = await import('node:crypto');
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
    return hash.digest('hex');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw ioError('download', 'read', path, error);
  }
}

/** Brings the part file to its full length, continuing what is there. */
async function fetchOnce(url: URL, job: Job): Promise<void> {
  const { part, bytes } = job;
  const handle = await openPart(part);
  try {
    let have = (await handle.stat()).size;
    if (bytes !== undefined && have > bytes) have = 0;
    if (bytes !== undefined && have === bytes && have > 0) {
      if ((await hashIfFile(part)) === job.sha256) return;
      have = 0;
    }
    const answer = await request(url, have, job);
    try {
      const start = answer.statusCode === 206 ? have : 0;
      const total = start + length(answer);
      const size = await receive(answer, handle, start, Number.isNaN(total) ? bytes : (bytes ?? total), job);
      if (!Number.isNaN(total) && size < total) throw truncated(size, total);
      if (bytes !== undefined && size < bytes) throw truncated(size, bytes);
      await handle.truncate(size);
      if (start > 0 && (await hashIfFile(part)) !== job.sha256) {
        // The bytes that were continued may have been another file's: once more from the beginning.
        await handle.truncate(0);
        throw new AttemptError(`expected SHA-256 ${job.sha256} of the continued file, got another`, true);
      }
    } finally {
      answer.destroy();
    }
  } finally {
    await handle.close();
  }
}

const truncated = (size: number, total: number): AttemptError =>
  new AttemptError(`the connection ended early: expected ${total} bytes, got ${size}`, true);

async function openPart(part: string): Promise<FileHandle> {
  try {
    return await open(part, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return open(part, 'a+').then(async (handle) => {
      // Writing at a position needs a file that was not opened for appending.
      await handle.close();
      return open(part, 'r+');
    });
  }
}

const length = (answer: http.IncomingMessage): number => Number(answer.headers['content-length'] ?? NaN);

const MAX_REDIRECTS = 10;

/** Sends the request, follows redirects and checks the answer's head. */
async function request(url: URL, have: number, job: Job): Promise<http.IncomingMessage> {
  let current = url;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const answer = await ask(current, have, job);
    const status = answer.statusCode ?? 0;
    if (status === 200) return answer;
    if (status === 206) {
      const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(answer.headers['content-range'] ?? '');
      const fits = range !== null && Number(range[1]) === have;
      if (fits && (job.bytes === undefined || range[3] === '*' || Number(range[3]) === job.bytes)) return answer;
      answer.destroy();
      if (have === 0)
        throw new AttemptError('the server answered with a part of the file that was not asked for', false);
      return request(url, 0, job);
    }
    answer.destroy();
    const { location } = answer.headers;
    if ([301, 302, 303, 307, 308].includes(status) && location !== undefined) {
      if (!URL.canParse(location, current.href)) throw new AttemptError(`bad redirect to ${show(location)}`, false);
      const next = new URL(location, current.href);
      if (next.protocol !== 'http:' && next.protocol !== 'https:') {
        throw new AttemptError(`redirect to ${show(next.href)}, which is neither http nor https`, false);
      }
      current = next;
      continue;
    }
    // The part is as long as the file or longer: it cannot be continued.
    if (status === 416 && have > 0) return request(url, 0, job);
    const again = status >= 500 || status === 408 || status === 429;
    throw new AttemptError(`the server answered ${status} ${answer.statusMessage ?? ''}`.trimEnd(), again);
  }
  throw new AttemptError(`more than ${MAX_REDIRECTS} redirects`, false);
}

/** One request; resolves with the head of the answer. */
async function ask(url: URL, have: number, { timeoutMs, signal }: Job): Promise<http.IncomingMessage> {
  // Loaded by the first download: most programs make none, and it takes as long as a tenth of importing the library.
  const { default: client } = url.protocol === 'https:' ? await import('node:https') : await import('node:http');
  return await new Promise((resolveAnswer, reject) => {
    const headers: http.OutgoingHttpHeaders = { 'user-agent': 'myelin', 'accept-encoding': 'identity' };
    if (have > 0) headers.range = `bytes=${have}-`;
    const asked = client.get(url, { headers, agent: false, ...(signal === undefined ? {} : { signal }) });
    // Not the socket's own timeout: that one also counts while a name is looked up, but never fires while connecting.
    const timer = setTimeout(() => asked.destroy(stall(timeoutMs)), timeoutMs);
    asked.on('response', (answer) => {
      clearTimeout(timer);
      resolveAnswer(answer);
    });
    asked.on('error', (error) => {
      clearTimeout(timer);
      reject(error instanceof AttemptError ? error : new AttemptError(describe(error), true, { cause: error }));
    });
  });
}

const stall = (ms: number): AttemptError => new AttemptError(`the server sent nothing for ${ms} ms`, true);

/** Messages of `node:net` name the problem in `message` or, when several addresses failed, only in `errors`. */
function describe(error: Error): string {
  const parts = error instanceof AggregateError ? error.errors.map((e) => (e as Error).message) : [error.message];
  return parts.join(', ') || (error as NodeJS.ErrnoException).code || error.name;
}

/** Writes the body at `start` of the file; returns the file's size afterwards. */
async function receive(
  answer: http.IncomingMessage,
  handle: FileHandle,
  start: number,
  total: number | undefined,
  { timeoutMs, onProgress }: Job,
): Promise<number> {
  let size = start;
  let timer: NodeJS.Timeout | undefined;
  const wait = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => answer.destroy(stall(timeoutMs)), timeoutMs);
  };
  const chunks = answer[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  try {
    for (;;) {
      wait();
      let next: IteratorResult<Buffer>;
      try {
        next = await chunks.next();
      } catch (error) {
        if (error instanceof AttemptError) throw error;
        throw new AttemptError(`the connection broke after ${size} bytes: ${describe(error as Error)}`, true, {
          cause: error,
        });
      }
      clearTimeout(timer);
      if (next.done === true) return size;
      const chunk = next.value;
      if (total !== undefined && size + chunk.length > total) {
        throw new AttemptError(`the server sent more than the expected ${total} bytes`, false);
      }
      let offset = 0;
      while (offset < chunk.length) {
        const { bytesWritten } = await handle.write(chunk, offset, chunk.length - offset, size + offset);
        offset += bytesWritten;
      }
      size += chunk.length;
      onProgress?.(size, total);
    }
  } finally {
    clearTimeout(timer);
  }
}
