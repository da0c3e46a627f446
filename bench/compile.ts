import { execFile } from 'node:child_process';
import { mkdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Compiles a C++ program of the bench when it is newer than what was made of it, and returns the executable's path.
 * @param source - path below bench/
 * @param name - of the executable
 * @throws Error with the compiler's words, or that there is none
 */
export async function compiled(source: string, name: string, flags: readonly string[]): Promise<string> {
  const from = fileURLToPath(new URL(`../${source}`, import.meta.url));
  const directory = join(tmpdir(), `myelin-bench-${process.getuid?.() ?? 0}`);
  const binary = join(directory, name);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const [made, text] = await Promise.all([stat(binary).catch(() => undefined), stat(from)]);
  if (made === undefined || made.mtimeMs < text.mtimeMs) {
    const common = ['-std=c++17', '-O2', '-march=native', '-ffp-contract=fast', '-pthread'];
    await run(process.env['CXX'] ?? 'c++', [...common, from, '-o', binary, ...flags]);
  }
  return binary;
}
