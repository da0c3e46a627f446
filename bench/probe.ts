import { execFile } from 'node:child_process';
import { mkdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Compiles `probe.cc` once and measures the peak of fused multiply-adds in GFLOP/s; undefined without a C++ compiler. */
export async function fmaPeak(threads: number): Promise<number | undefined> {
  try {
    const { stdout } = await run(await probe(), [String(threads)]);
    return (JSON.parse(stdout) as { gflops: number }).gflops;
  } catch {
    return undefined;
  }
}

async function probe(): Promise<string> {
  const source = fileURLToPath(new URL('../probe.cc', import.meta.url));
  const directory = join(tmpdir(), `myelin-bench-${process.getuid?.() ?? 0}`);
  const binary = join(directory, 'probe');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const [made, from] = await Promise.all([stat(binary).catch(() => undefined), stat(source)]);
  if (made === undefined || made.mtimeMs < from.mtimeMs) {
    const flags = ['-std=c++17', '-O2', '-march=native', '-ffp-contract=fast', '-pthread'];
    await run(process.env['CXX'] ?? 'c++', [...flags, source, '-o', binary]);
  }
  return binary;
}
