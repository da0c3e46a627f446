// What the scripts share: where things are, running a program quietly, hashing sources, one set-up at a time.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '');

/** CMake's name of each configuration; it is built in build/<name>. */
export const configurations = { release: 'Release', debug: 'Debug', sanitize: 'Sanitize', thread: 'Thread' };

/** A failed stage: what failed, the end of its log and what may help. */
export class StageError extends Error {
  /** @param {string} message @param {string} [log] @param {string} [hint] */
  constructor(message, log = '', hint = '') {
    super(message);
    this.log = log;
    this.hint = hint;
  }
}

/** Compilers to run at once: the processors that the cgroup grants, a gigabyte of memory for each. */
export function jobs() {
  let processors = availableParallelism();
  try {
    const [quota = 'max', period = '100000'] = readFileSync('/sys/fs/cgroup/cpu.max', 'utf8').trim().split(' ');
    if (quota !== 'max') processors = Math.min(processors, Math.ceil(Number(quota) / Number(period)));
  } catch {
    // not a Linux with cgroup v2: no quota to see
  }
  return Math.max(1, Math.min(processors, Math.floor(totalmem() / 2 ** 30)));
}

/** The files below `directory` (relative to the root, sorted) whose names `accept` takes. @param {string} directory @param {(name: string) => boolean} accept */
export function filesBelow(directory, accept) {
  const base = join(root, directory);
  if (!existsSync(base)) return [];
  return readdirSync(base, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && accept(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}

/** A hash of the names and contents of files, and of more text. @param {readonly string[]} files @param {...string} more */
export function hashFiles(files, ...more) {
  const hash = createHash('sha256');
  for (const file of files)
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update('\0');
  for (const text of more) hash.update(text).update('\0');
  return hash.digest('hex');
}

/** A file's text, or '' when it is not there. @param {string} path */
export function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/**
 * Runs a program at the root with its output in build/logs/<name>.log.
 * @param {string} name @param {string} program @param {readonly string[]} args
 * @throws {StageError} with the log's end, when it cannot be started or does not exit with 0
 */
export async function runQuietly(name, program, args) {
  const directory = join(root, 'build', 'logs');
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `${name}.log`);
  const out = openSync(path, 'w');
  try {
    const outcome = await new Promise((resolve) => {
      const child = spawn(program, args, { cwd: root, stdio: ['ignore', out, out] });
      child.on('error', (error) => resolve(error.message));
      child.on('close', (code, signal) => resolve(code === 0 ? '' : `exit ${code ?? signal}`));
    });
    if (outcome !== '') throw new StageError(`${name} failed (${outcome}); whole log: ${path}`, tail(path));
  } finally {
    closeSync(out);
  }
}

/** Runs a program at the root on this terminal; its exit code. @param {string} program @param {readonly string[]} args @param {NodeJS.ProcessEnv} [env] @returns {Promise<number>} */
export function runLoudly(program, args, env = process.env) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, stdio: 'inherit', env });
    child.on('error', (error) => {
      console.error(`${program}: ${error.message}`);
      resolve(1);
    });
    child.on('close', (code) => resolve(code ?? 1));
  });
}

/** Whether a program can be started. @param {string} program @param {readonly string[]} args */
export function canRun(program, args = ['--version']) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: 'ignore' });
    child.on('error', () => resolve(false));
    child.on('close', (code) => resolve(code === 0));
  });
}

/** @param {string} path */
function tail(path, lines = 40) {
  return readIfThere(path).trimEnd().split('\n').slice(-lines).join('\n');
}

/**
 * Runs `work` while no other process of this clone does; waits for one that does.
 * @template T @param {() => Promise<T>} work @returns {Promise<T>}
 */
export async function exclusively(work) {
  const lock = join(root, 'build', 'setup.lock');
  mkdirSync(join(root, 'build'), { recursive: true });
  for (let waited = false; ; waited = true) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
      const owner = Number(readIfThere(lock));
      if (owner > 0 && !isAlive(owner)) rmSync(lock, { force: true });
      else {
        if (!waited) console.error(`myelin: waiting for the set-up of process ${owner || '?'} (${lock})`);
        await sleep(200);
      }
    }
  }
  try {
    return await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}
