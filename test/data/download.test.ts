import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { cacheDir, download } from '../../lib/data/download.js';
import { DownloadError, IoError, ValueError } from '../../lib/errors.js';
import { temporaryDirectory } from '../io/tmp.js';

const directory = temporaryDirectory();
const body = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >> 5));
const sha256 = createHash('sha256').update(body).digest('hex');

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
let server: Server;
let base: string;
let answers: Answer[];
/** The Range header of each request that came. */
let ranges: (string | undefined)[];

/** The whole file or, when asked, its end. */
const whole: Answer = (request, response) => {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  if (start >= body.length) return void response.writeHead(416).end();
  const headers = { 'content-length': body.length - start };
  if (start === 0) response.writeHead(200, headers);
  else response.writeHead(206, { ...headers, 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` });
  response.end(body.subarray(start));
};
/** Sends `bytes` of the file, from where it was asked to, and breaks the connection. */
const cutAfter =
  (bytes: number, ranged = true): Answer =>
  (request, response) => {
    const start = ranged ? Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0) : 0;
    const headers = { 'content-length': body.length - start };
    if (start === 0) response.writeHead(200, headers);
    else response.writeHead(206, { ...headers, 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` });
    response.write(body.subarray(start, start + bytes), () => response.destroy());
  };
const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (_, response) =>
    void response.writeHead(code, headers).end('nothing here');
/** Sends the beginning and then nothing. */
const stalled: Answer = (_, response) => {
  response.writeHead(200, { 'content-length': body.length });
  response.write(body.subarray(0, 1000));
};
const silent: Answer = () => undefined;
const bytesOf =
  (bytes: Buffer, headers: Record<string, string | number> = { 'content-length': bytes.length }): Answer =>
  (_, response) =>
    void response.writeHead(200, headers).end(bytes);

beforeAll(async () => {
  server = createServer((request, response) => {
    ranges.push(request.headers.range);
    // The last answer is given to all further requests.
    const answer = answers.length > 1 ? answers.shift()! : answers[0]!;
    answer(request, response);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

let serial = 0;
let to: string;
beforeEach(() => {
  to = join(directory, String(serial++), 'deep', 'file.bin');
  answers = [whole];
  ranges = [];
});
const options = { sha256, retryDelayMs: 1, timeoutMs: 5_000 };
const get = (extra: object = {}): Promise<string> => download(`${base}file`, { ...options, to, ...extra });
const failure = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => expect.fail('expected a rejection'),
    (error: unknown) => error as Error,
  );
const expectWhole = (): void => {
  expect(readFileSync(to).equals(body)).toBe(true);
  expect(readdirSync(dirname(to))).toEqual([basename(to)]);
};

describe('download', () => {
  it('fetches a file once and tells its progress', async () => {
    const progress: [number, number | undefined][] = [];
    expect(await get({ onProgress: (done: number, total: number) => progress.push([done, total]) })).toBe(to);
    expectWhole();
    expect(progress.at(-1)).toEqual([body.length, body.length]);
    expect(await get()).toBe(to);
    expect(ranges).toEqual([undefined]);
  });

  it('replaces a file with other contents', async () => {
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, 'other');
    await get();
    expectWhole();
  });

  it('works without a length from the server', async () => {
    answers = [bytesOf(body, {})];
    await get();
    expectWhole();
  });

  it('shares one transfer between calls at the same time', async () => {
    await Promise.all([get(), get(), get()]);
    expect(ranges).toHaveLength(1);
  });

  it('follows redirects, relative ones too', async () => {
    answers = [status(302, { location: '/elsewhere' }), status(307, { location: `${base}there` }), whole];
    await get();
    expectWhole();
    expect(ranges).toHaveLength(3);
  });

  it('gives up a redirect loop and a redirect to another protocol', async () => {
    answers = [status(301, { location: '/again' })];
    expect((await failure(get())).message).toMatch(/more than 10 redirects/);
    expect(ranges).toHaveLength(11);
    answers = [status(302, { location: 'file:///etc/passwd' })];
    expect((await failure(get())).message).toMatch(/neither http nor https/);
    expect(existsSync(to)).toBe(false);
  });

  it('continues a connection that breaks', async () => {
    answers = [cutAfter(100_000), cutAfter(50_000), whole];
    await get();
    expectWhole();
    expect(ranges[0]).toBeUndefined();
    expect(ranges.slice(1).every((range) => /^bytes=[1-9]\d*-$/.test(range ?? ''))).toBe(true);
  });

  it('starts again when the server does not know ranges', async () => {
    answers = [cutAfter(100_000, false), bytesOf(body)];
    await get();
    expectWhole();
  });

  it('gives up after its retries when the answer is always cut short', async () => {
    answers = [cutAfter(1000, false)];
    const error = await failure(get({ retries: 2 }));
    expect(error).toBeInstanceOf(DownloadError);
    expect(error.message).toMatch(/connection (broke|ended)/);
    expect(ranges).toHaveLength(3);
    expect(existsSync(to)).toBe(false);
  });

  it('notices an answer without a length that is too short or too long', async () => {
    answers = [bytesOf(body.subarray(0, 1000), {})];
    const short = await failure(get({ bytes: body.length, retries: 1 }));
    expect(short.message).toMatch(/expected 300000 bytes, got 1000/);
    answers = [bytesOf(Buffer.concat([body, body]), {})];
    const long = await failure(get({ bytes: body.length, retries: 1 }));
    expect(long.message).toMatch(/more than the expected 300000 bytes/);
  });

  it('continues in a later call where an earlier one stopped', async () => {
    answers = [cutAfter(120_000)];
    await failure(get({ retries: 0 }));
    expect(readdirSync(dirname(to))).toEqual(['file.bin.part']);
    answers = [whole];
    ranges = [];
    await get({ bytes: body.length });
    expect(ranges).toHaveLength(1);
    expect(ranges[0]).toMatch(/^bytes=[1-9]/);
    expectWhole();
  });

  it.each([
    ['is of another file', Buffer.alloc(1000, 9)],
    ['is whole but wrong', Buffer.alloc(body.length, 9)],
    ['is longer than the file', Buffer.alloc(2 * body.length)],
  ])('starts again when what is there %s', async (_, part) => {
    for (const bytes of [body.length, undefined]) {
      mkdirSync(dirname(to), { recursive: true });
      writeFileSync(`${to}.part`, part);
      await download(`${base}file`, { ...options, to, ...(bytes === undefined ? {} : { bytes }) });
      expectWhole();
      writeFileSync(to, '');
    }
  });

  it('takes a part that is whole without asking for more', async () => {
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(`${to}.part`, body);
    await get({ bytes: body.length });
    expectWhole();
    expect(ranges).toEqual([]);
  });

  it('does not trust a part answer that begins elsewhere', async () => {
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(`${to}.part`, body.subarray(0, 5000));
    const shifted: Answer = (_, response) =>
      void response.writeHead(206, { 'content-range': `bytes 0-${body.length - 1}/${body.length}` }).end(body);
    answers = [shifted, whole];
    await get();
    expectWhole();
    expect(ranges).toEqual(['bytes=5000-', undefined]);
  });

  it('names both hashes when the file is another one, and leaves nothing', async () => {
    const other = Buffer.from('other contents');
    answers = [bytesOf(other)];
    const error = await failure(get());
    expect(error).toBeInstanceOf(DownloadError);
    expect(error).toHaveProperty('code', 'ERR_DOWNLOAD');
    expect(error.message).toContain(sha256);
    expect(error.message).toContain(createHash('sha256').update(other).digest('hex'));
    expect(readdirSync(dirname(to))).toEqual([]);
    // A file that will not become another one is not asked for twice.
    expect(ranges).toHaveLength(1);
  });

  it('tries the next mirror', async () => {
    answers = [status(404), bytesOf(Buffer.from('other')), whole];
    await download([`${base}a`, `${base}b`, `${base}c`], { ...options, to });
    expectWhole();
    expect(ranges).toHaveLength(3);
  });

  it('names the reason of each mirror', async () => {
    answers = [status(404), status(403)];
    const error = await failure(download([`${base}a`, `${base}b`], { ...options, to, retries: 5 }));
    expect(error.message).toMatch(/\/a: the server answered 404 Not Found; .*\/b: the server answered 403 Forbidden/);
    expect(ranges).toHaveLength(2);
  });

  it('tries again after an error of the server', async () => {
    answers = [status(503), status(429), whole];
    await get();
    expectWhole();
  });

  it('gives up a server that stalls, at the beginning or in the middle', async () => {
    answers = [silent];
    expect((await failure(get({ timeoutMs: 60, retries: 0 }))).message).toMatch(/sent nothing for 60 ms/);
    answers = [stalled];
    expect((await failure(get({ timeoutMs: 60, retries: 0 }))).message).toMatch(/sent nothing for 60 ms/);
    answers = [whole];
    await get();
    expectWhole();
  });

  it('reports a server that is not there', async () => {
    const error = await failure(download('http://127.0.0.1:1/x', { ...options, to, retries: 0 }));
    expect(error).toBeInstanceOf(DownloadError);
    expect(error.message).toMatch(/ECONNREFUSED/);
  });

  it('stops when told to and keeps what came', async () => {
    answers = [stalled];
    const stop = new AbortController();
    const reason = new Error('enough');
    const onProgress = (): void => stop.abort(reason);
    const error = await failure(get({ signal: stop.signal, onProgress }));
    expect(error).toBeInstanceOf(DownloadError);
    expect(error.cause).toBe(reason);
    expect(readFileSync(`${to}.part`).length).toBe(1000);
    expect((await failure(get({ signal: stop.signal }))).message).toMatch(/was stopped/);
    answers = [status(503)];
    const timeout = AbortSignal.timeout(50);
    expect((await failure(get({ signal: timeout, retryDelayMs: 60_000 }))).message).toMatch(/was stopped/);
  });

  it('says when the file cannot be written', async () => {
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, 'a file');
    const error = await failure(get({ to: join(to, 'below', 'file') }));
    expect(error).toBeInstanceOf(IoError);
    expect(error.message).toMatch(/ENOTDIR/);
    mkdirSync(join(dirname(to), 'taken.part'));
    expect(await failure(get({ to: join(dirname(to), 'taken') }))).toBeInstanceOf(IoError);
  });

  it.skipIf(!existsSync('/dev/full'))('says when the disk is full', async () => {
    mkdirSync(dirname(to), { recursive: true });
    const { symlinkSync } = await import('node:fs');
    symlinkSync('/dev/full', `${to}.part`);
    const error = await failure(get());
    expect(error).toBeInstanceOf(IoError);
    expect(error.message).toMatch(/no space is left/);
    expect(existsSync(to)).toBe(false);
  });

  it.each([
    [() => download([], { sha256, to })],
    [() => download('not an address', { sha256, to })],
    [() => download('file:///etc/passwd', { sha256, to })],
    [() => get({ sha256: 'abc' })],
    [() => get({ bytes: -1 })],
    [() => get({ timeoutMs: NaN })],
    [() => get({ retries: 1.5 })],
    [() => get({ to: '' })],
  ])('refuses bad arguments where the call stands (%#)', (call) => {
    expect(call).toThrow(ValueError);
  });
});

describe('cacheDir', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('follows the environment', () => {
    vi.stubEnv('MYELIN_CACHE', '/data/cache');
    expect(cacheDir()).toBe('/data/cache');
    vi.stubEnv('MYELIN_CACHE', '');
    vi.stubEnv('XDG_CACHE_HOME', '/xdg');
    expect(cacheDir()).toBe(join('/xdg', 'myelin'));
    vi.stubEnv('XDG_CACHE_HOME', 'relative');
    vi.stubEnv('LOCALAPPDATA', '');
    expect(cacheDir()).toBe(join(homedir(), '.cache', 'myelin'));
  });
});
