import { unlinkSync } from 'node:fs';
import { type FileHandle, open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { show } from '../check.js';
import { IoError, ValueError } from '../errors.js';

/** What can be written to a file: text (as UTF-8), bytes, or chunks of bytes that are made one after the other. */
export type FileContents = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** What to do about an error code of the operating system. */
const advice: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left on the device; free some or choose another directory',
  EDQUOT: 'the disk quota is used up; free some space or choose another directory',
  EFBIG: 'the file is larger than the file system or the process limit allows; choose another directory',
  EACCES: 'permission denied; choose a place that this user may use or change its permissions',
  EPERM: 'the operation is not permitted; choose a place that this user may use or change its permissions',
  EROFS: 'the file system is read-only; choose another directory',
  ENOENT: 'no such file or directory; check the path, or create the directory first',
  ENOTDIR: 'a part of the path is a file, not a directory; check the path',
  EISDIR: 'it is a directory; give the path of a file',
  EEXIST: 'it exists already; remove it or choose another name',
  ENOTEMPTY: 'a directory of that name is in the way; choose another name',
  ENAMETOOLONG: 'the name is too long; choose a shorter one',
  ELOOP: 'the path has a loop of symbolic links; check the path',
  EMFILE: 'too many files are open in this process; close some or raise the limit (ulimit -n)',
  ENFILE: 'too many files are open on this machine; try again later',
  EIO: 'the device reported an input/output error; check the disk and the system log',
};

/**
 * Wraps an error of `node:fs` in an {@link IoError}: `saveFile: cannot write /full/x: no space is left on the device; …
 * (ENOSPC)`. An error that is not the operating system's is returned as it is.
 */
export function ioError(fn: string, action: string, path: string, error: unknown): Error {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (error instanceof Error && typeof code === 'string' && 'syscall' in error) {
    const what = advice[code] ?? error.message;
    return new IoError(`${fn}: cannot ${action} ${path}: ${what} (${code})`, path, { cause: error });
  }
  return error instanceof Error ? error : new IoError(`${fn}: cannot ${action} ${path}: ${String(error)}`, path);
}

/** Checks that a path argument is a non-empty string without NUL characters. */
export function checkPath(fn: string, name: string, path: unknown): string {
  if (typeof path === 'string' && path.length > 0 && !path.includes('\0')) return path;
  throw new ValueError(`${fn}: expected ${name} to be a file path, got ${show(path)}`);
}

/** Temporary files that are being written; removed when the process ends before they are finished. */
const unfinished = new Set<string>();
let sweeping = false;
let counter = 0;

function sweepAtExit(): void {
  if (sweeping) return;
  sweeping = true;
  process.on('exit', () => {
    for (const path of unfinished) {
      try {
        unlinkSync(path);
      } catch {
        // Nothing can be done about it at this point, and the finished file is untouched.
      }
    }
  });
}

/**
 * Writes a file so that its path at every moment, whatever fails, holds either the old contents or all of the new ones:
 * a temporary file beside it is written, flushed to the disk and renamed, then the directory is flushed. The temporary
 * file is removed on an error. A symbolic link is followed; an existing file keeps its permissions.
 *
 * @param fn name for messages.
 * @throws {IoError} with `path` and the operating system's error as `cause`; whatever the chunks' iterator throws.
 */
export async function writeAtomic(path: string, contents: FileContents, fn = 'writeAtomic'): Promise<void> {
  checkPath(fn, 'path', path);
  const absolute = resolve(path);
  const target = await realpath(absolute).catch(() => absolute);
  const directory = dirname(target);
  // Short, so that every name that is possible for the file is possible for the temporary one.
  const temporary = join(directory, `.${basename(target).slice(0, 32)}.${process.pid}-${Date.now()}-${counter++}.tmp`);
  try {
    const mode = await replacedMode(target, fn);
    sweepAtExit();
    unfinished.add(temporary);
    let handle: FileHandle;
    try {
      handle = await open(temporary, 'wx', 0o666);
    } catch (error) {
      // Not made by this call: nothing to remove.
      unfinished.delete(temporary);
      throw error;
    }
    try {
      if (mode !== undefined) await handle.chmod(mode);
      await writeAll(handle, contents, fn);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
    unfinished.delete(temporary);
    await syncDirectory(directory);
  } catch (error) {
    if (unfinished.delete(temporary)) await unlink(temporary).catch(() => undefined);
    throw ioError(fn, 'write', path, error);
  }
}

/** Permissions of the file that is about to be replaced, if there is one. Devices and pipes are never replaced. */
async function replacedMode(target: string, fn: string): Promise<number | undefined> {
  const old = await stat(target).catch(() => undefined);
  if (old === undefined) return undefined;
  if (!old.isFile()) {
    const kind = old.isDirectory() ? 'a directory' : 'a device, pipe or socket';
    throw new IoError(`${fn}: cannot write ${target}: it is ${kind}; give the path of a file`, target);
  }
  return old.mode & 0o777;
}

async function writeAll(handle: FileHandle, contents: FileContents, fn: string): Promise<void> {
  if (typeof contents === 'string') return writeChunk(handle, Buffer.from(contents, 'utf8'));
  if (contents instanceof Uint8Array) return writeChunk(handle, contents);
  for await (const chunk of contents) {
    if (!(chunk instanceof Uint8Array)) {
      throw new ValueError(`${fn}: expected chunks of bytes (Uint8Array), got ${show(chunk)}`);
    }
    await writeChunk(handle, chunk);
  }
}

/** Longest single write: the system call takes less than 2 GiB, and other work gets its turn between the pieces. */
const PIECE = 64 * 1024 * 1024;

async function writeChunk(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < chunk.byteLength) {
    const { bytesWritten } = await handle.write(chunk, offset, Math.min(PIECE, chunk.byteLength - offset));
    offset += bytesWritten;
  }
}

/** Makes a rename last through a power cut. Systems that cannot open or flush a directory (Windows) are left alone. */
async function syncDirectory(directory: string): Promise<void> {
  let handle: FileHandle;
  try {
    handle = await open(directory, 'r');
  } catch {
    return;
  }
  try {
    await handle.sync();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'EINVAL' && code !== 'EPERM' && code !== 'EISDIR' && code !== 'ENOTSUP') throw error;
  } finally {
    await handle.close();
  }
}
