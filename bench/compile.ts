import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Compiles a C++ program of the bench unless this text of it has been before, and returns the executable's path.
 * @param source - path below bench/
 * @param name - of the executable
 * @throws Error with the compiler's words, or that there is none
 */
export async function compiled(source: string, name: string, flags: readonly string[]): Promise<string> {
  const from = fileURLToPath(new URL(`../${source}`, import.meta.url));
  const directory = join(tmpdir(), `myelin-bench-${process.getuid?.() ?? 0}`);
  const common = ['-std=c++17', '-O2', '-march=native', '-ffp-contract=fast', '-pthread'];
  const hash = createHash('sha256').update([await readFile(from, 'utf8'), ...common, ...flags].join('\n'));
  const binary = join(directory, `${name}-${hash.digest('hex').slice(0, 16)}`);
  if (!existsSync(binary)) {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const made = `${binary}.${process.pid}`;
    await run(process.env['CXX'] ?? 'c++', [...common, from, '-o', made, ...flags]);
    await rename(made, binary);
  }
  return binary;
}
