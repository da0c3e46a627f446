import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { main } from '../../lib/cli/main.js';

const bin = fileURLToPath(new URL('../../bin/myelin.js', import.meta.url));

/** What a process of the command line left behind. */
export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `myelin ...args`; `onStart` is given the process. */
export function myelin(
  args: readonly string[],
  { cwd, env, onStart }: { cwd?: string; env?: NodeJS.ProcessEnv; onStart?: (child: ChildProcess) => void } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [bin, ...args], {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, err }));
    onStart?.(child);
  });
}

/**
 * Runs `myelin ...args --out OUT` and stops it with Ctrl-C after its first line: from the beginning again where this process
 * got to send the signal only after the run had ended.
 */
export async function interrupted(
  args: readonly string[],
  { cwd, out }: { cwd: string; out: string },
): Promise<Outcome> {
  for (let attempt = 0; ; attempt++) {
    const outcome = await myelin([...args, '--out', out], {
      cwd,
      onStart: (child) => child.stdout?.once('data', () => child.kill('SIGINT')),
    });
    if (outcome.code !== 0 || attempt === 9) return outcome;
    await rm(join(cwd, out), { recursive: true });
  }
}

/** Like {@link myelin}, in this process: for what needs neither signals nor a directory of its own. */
export async function inProcess(args: readonly string[]): Promise<Outcome> {
  const text = { out: '', err: '' };
  const stream = (name: 'out' | 'err'): NodeJS.WriteStream => {
    const through = new PassThrough({ encoding: 'utf8' });
    through.on('data', (chunk: string) => (text[name] += chunk));
    return through as unknown as NodeJS.WriteStream;
  };
  const code = await main(args, { out: stream('out'), err: stream('err') });
  await new Promise(setImmediate);
  return { code, ...text };
}

/** The JSON lines of a text. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** A directory that goes when the test ends. */
export async function workspace(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'myelin-cli-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}
