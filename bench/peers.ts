import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Result } from './result.js';

const run = promisify(execFile);

/** Debian's OpenBLAS on OpenMP, so that BLAS and PyTorch share one thread pool instead of fighting for the cores. */
const OPENBLAS = '/usr/lib/x86_64-linux-gnu/openblas-openmp';

/** The environment in which PyTorch is at its best: one thread pool, and memory that is reused instead of mapped anew. */
function torchEnvironment(threads: number): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    OMP_NUM_THREADS: String(threads),
    OPENBLAS_NUM_THREADS: String(threads),
    MALLOC_MMAP_MAX_: '0',
    MALLOC_MMAP_THRESHOLD_: '4294967296',
    MALLOC_TRIM_THRESHOLD_: '17179869184',
    MALLOC_TOP_PAD_: '67108864',
  };
  // Set for other reasons on some machines; both would keep OpenBLAS from choosing for this processor.
  delete env['OPENBLAS_CORETYPE'];
  delete env['OPENBLAS_L2_SIZE'];
  if (existsSync(join(OPENBLAS, 'libblas.so.3'))) {
    env['LD_LIBRARY_PATH'] = [OPENBLAS, process.env['LD_LIBRARY_PATH']].filter(Boolean).join(':');
  }
  return env;
}

/** Runs one workload in PyTorch, in a process of its own. `MYELIN_BENCH_PYTHON` names the interpreter. */
export async function torch(name: string, threads: number, budget: number): Promise<Result> {
  const script = fileURLToPath(new URL('../peers/torch_suite.py', import.meta.url));
  const python = process.env['MYELIN_BENCH_PYTHON'] ?? '/usr/bin/python3';
  const args = [script, '--only', name, '--threads', String(threads), '--budget', String(budget)];
  const { stdout } = await run(python, args, { env: torchEnvironment(threads) });
  return JSON.parse(stdout) as Result;
}
