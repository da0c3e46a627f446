import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NativeError } from '../../lib/errors.js';
import { findAddon } from '../../lib/native/load.js';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'myelin-load-'));
  writeFileSync(join(root, 'package.json'), '{ "name": "myelin" }');
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Makes an empty file below the root; its path. */
function touch(...parts: string[]): string {
  const path = join(root, ...parts);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, '');
  return path;
}

function failure(env: NodeJS.ProcessEnv): NativeError {
  try {
    findAddon(root, env);
  } catch (error) {
    if (error instanceof NativeError) return error;
    throw error;
  }
  throw new Error('expected findAddon to throw');
}

const target = `${process.platform}-${process.arch}`;

describe('findAddon', () => {
  it('takes the local build, then the prebuilt one', () => {
    const prebuilt = touch('prebuilds', target, 'myelin.node');
    expect(findAddon(root, {})).toBe(prebuilt);
    const local = touch('build', 'Release', 'myelin.node');
    expect(findAddon(root, {})).toBe(local);
  });

  it('takes a prebuilt binary for this C library only', () => {
    if (process.platform !== 'linux') return;
    touch('prebuilds', target, 'myelin.musl.node');
    const glibc = touch('prebuilds', target, 'myelin.glibc.node');
    expect(findAddon(root, {})).toBe(glibc);
    rmSync(glibc);
    expect(failure({}).message).toContain('holds none for this runtime');
  });

  it('takes what MYELIN_BUILD and MYELIN_NATIVE name and nothing else', () => {
    touch('build', 'Release', 'myelin.node');
    expect(failure({ MYELIN_BUILD: 'debug' }).message).toContain('npm run build:debug');
    const debug = touch('build', 'Debug', 'myelin.node');
    expect(findAddon(root, { MYELIN_BUILD: 'debug' })).toBe(debug);

    const own = join(root, 'own.node');
    expect(failure({ MYELIN_NATIVE: own, MYELIN_BUILD: 'debug' }).message).toContain(own);
    touch('own.node');
    expect(findAddon(root, { MYELIN_NATIVE: own, MYELIN_BUILD: 'debug' })).toBe(own);
  });

  it('refuses an unknown configuration', () => {
    for (const name of ['fast', 'toString', '__proto__']) {
      const { message } = failure({ MYELIN_BUILD: name });
      expect(message).toBe(`MYELIN_BUILD: expected one of release, debug, sanitize, thread, got '${name}'`);
    }
  });

  it('says in a package where it looked and what to do', () => {
    const error = failure({});
    expect(error.code).toBe('ERR_NATIVE');
    expect(error.message).toContain(target);
    expect(error.message).toContain(`${join(root, 'build', 'Release', 'myelin.node')} (not there)`);
    expect(error.message).toContain(`${join(root, 'prebuilds', target)} (not there)`);
    expect(error.message).toContain('npm run prebuild');
  });

  it('says in a clone how to build', () => {
    touch('CMakeLists.txt');
    expect(failure({}).message).toContain(`npm run build:native\` in ${root}`);
  });
});

describe('loadAddon', () => {
  /** Loads the addon through dist (`npm test` has made it) in a fresh process; what it printed. */
  function load(env: NodeJS.ProcessEnv): string {
    const module = new URL('../../dist/native/load.js', import.meta.url).href;
    const script = `
      try { console.log(typeof (await import('${module}')).loadAddon().submit); }
      catch (error) { console.log(error.code, error.message); }`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
    return stdout + stderr;
  }

  it('gives the native core', () => {
    expect(load({})).toBe('function\n');
  });

  it('reports a file that is no addon with the reason of the system', () => {
    const own = touch('own.node');
    expect(load({ MYELIN_NATIVE: own })).toMatch(/ERR_NATIVE the native core .*own\.node could not be loaded: .*own\.node/);
  });

  it('passes on why the native core refuses an instruction set', () => {
    expect(load({ MYELIN_ISA: 'mmx' })).toMatch(/ERR_NATIVE .*MYELIN_ISA: expected one of .*(baseline|neon).*, got 'mmx'/);
  });
});
