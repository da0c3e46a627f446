import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { IoError, ValueError } from '../../lib/errors.js';
import { ioError, writeAtomic } from '../../lib/io/atomic.js';
import { temporaryDirectory } from './tmp.js';

const built = new URL('../../dist/io/atomic.js', import.meta.url);
const directory = temporaryDirectory();
let serial = 0;
const fresh = (): string => {
  const path = join(directory, String(serial++));
  mkdirSync(path);
  return path;
};
const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => expect.fail('expected a rejection'),
    (error: unknown) => error,
  );

describe('writeAtomic', () => {
  it('writes text, bytes, chunks and chunks that take time', async () => {
    const dir = fresh();
    const path = join(dir, 'file');
    await writeAtomic(path, 'Ångström');
    expect(readFileSync(path, 'utf8')).toBe('Ångström');
    await writeAtomic(path, new Uint8Array([1, 2, 3]));
    expect([...readFileSync(path)]).toEqual([1, 2, 3]);
    await writeAtomic(path, [new Uint8Array([4]), new Uint8Array(0), new Uint8Array([5, 6])]);
    expect([...readFileSync(path)]).toEqual([4, 5, 6]);
    async function* slowly(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array([7]);
      await new Promise((done) => setTimeout(done, 5));
      yield new Uint8Array([8]);
    }
    await writeAtomic(path, slowly());
    expect([...readFileSync(path)]).toEqual([7, 8]);
    await writeAtomic(path, '');
    expect(statSync(path).size).toBe(0);
    expect(readdirSync(dir)).toEqual(['file']);
  });

  it('keeps the old contents and no temporary file when the contents fail', async () => {
    const dir = fresh();
    const path = join(dir, 'file');
    writeFileSync(path, 'old');
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(100_000);
      await Promise.resolve();
      throw new ValueError('no more');
    }
    await expect(writeAtomic(path, broken())).rejects.toThrow(new ValueError('no more'));
    await expect(writeAtomic(path, ['text'] as unknown as Uint8Array[])).rejects.toThrow(ValueError);
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(dir)).toEqual(['file']);
  });

  it('shows only whole contents while it writes', async () => {
    const path = join(fresh(), 'file');
    writeFileSync(path, 'old');
    const seen: string[] = [];
    async function* watched(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('new ');
      await Promise.resolve();
      seen.push(readFileSync(path, 'utf8'));
      yield Buffer.from('contents');
    }
    await writeAtomic(path, watched());
    expect(seen).toEqual(['old']);
    expect(readFileSync(path, 'utf8')).toBe('new contents');
  });

  it('lets one of many writers at once win with whole contents', async () => {
    const dir = fresh();
    const path = join(dir, 'file');
    const texts = Array.from({ length: 10 }, (_, i) => String(i).repeat(50_000));
    await Promise.all(texts.map((text) => writeAtomic(path, text)));
    expect(texts).toContain(readFileSync(path, 'utf8'));
    expect(readdirSync(dir)).toEqual(['file']);
  });

  it('follows symbolic links and keeps permissions', async () => {
    const dir = fresh();
    const path = join(dir, 'file');
    writeFileSync(path, 'old');
    chmodSync(path, 0o640);
    symlinkSync('file', join(dir, 'link'));
    await writeAtomic(join(dir, 'link'), 'new');
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(readdirSync(dir)).toEqual(['file', 'link']);
  });

  it('says what to do when the place cannot be written', async () => {
    const dir = fresh();
    writeFileSync(join(dir, 'file'), '');
    const cases: [string, string, RegExp][] = [
      [join(dir, 'file', 'below'), 'ENOTDIR', /a part of the path is a file/],
      [join(dir, 'missing', 'file'), 'ENOENT', /create the directory/],
      [join(dir, 'x'.repeat(300)), 'ENAMETOOLONG', /shorter/],
    ];
    for (const [path, code, text] of cases) {
      const error = (await rejection(writeAtomic(path, 'text', 'saveFile'))) as IoError;
      expect(error).toBeInstanceOf(IoError);
      expect(error.message).toMatch(text);
      expect(error.message).toMatch(/^saveFile: cannot write \//);
      expect(error.path).toBe(path);
      expect((error.cause as NodeJS.ErrnoException).code).toBe(code);
    }
    expect(readdirSync(dir)).toEqual(['file']);
  });

  it('never replaces a directory or a device', async () => {
    const dir = fresh();
    await expect(writeAtomic(dir, 'text')).rejects.toThrow(/it is a directory/);
    if (existsSync('/dev/null')) {
      await expect(writeAtomic('/dev/null', 'text')).rejects.toThrow(/it is a device/);
      expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
    }
  });

  it.skipIf(!existsSync(built) || process.platform === 'win32')('reports a disk that takes no more', () => {
    // A limit on file sizes makes the kernel refuse writes as a full disk does.
    const path = join(fresh(), 'file');
    writeFileSync(path, 'old');
    const script = `
      const { writeAtomic } = await import(${JSON.stringify(built.href)});
      await writeAtomic(process.argv[1], new Uint8Array(1 << 20)).catch((e) => console.log(e.code, e.message));`;
    const command = 'ulimit -f 16; trap "" XFSZ; exec "$0" --input-type=module -e "$1" "$2"';
    const out = execFileSync('sh', ['-c', command, process.execPath, script, path], { encoding: 'utf8' });
    expect(out).toMatch(/^ERR_IO writeAtomic: cannot write .*larger than.*EFBIG/);
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(join(path, '..'))).toEqual(['file']);
  });

  it.each(['', 'a\0b', 7, undefined])('refuses the path %j', async (path) => {
    await expect(writeAtomic(path as string, 'text')).rejects.toThrow(ValueError);
  });
});

describe('ioError', () => {
  const system = (code: string): Error => Object.assign(new Error(`${code}: text`), { code, syscall: 'write' });

  it.each([
    ['ENOSPC', /no space is left on the device; free some/],
    ['EACCES', /permission denied/],
    ['EROFS', /read-only/],
    ['EWHATEVER', /EWHATEVER: text/],
  ])('explains %s', (code, text) => {
    const cause = system(code);
    const error = ioError('saveFile', 'write', '/x', cause);
    expect(error).toBeInstanceOf(IoError);
    expect(error).toHaveProperty('code', 'ERR_IO');
    expect(error.message).toMatch(text);
    expect(error.cause).toBe(cause);
  });

  it('leaves other errors alone', () => {
    const error = new RangeError('other');
    expect(ioError('f', 'read', '/x', error)).toBe(error);
  });
});
