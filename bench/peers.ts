import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { compiled } from './compile.js';
import type { Command } from './party.js';

/** What starting a peer depends on. */
export interface PeerOptions {
  readonly threads: number;
  /** The Python interpreter that has PyTorch. */
  readonly python: string;
}

/** A library to be compared with. */
export interface Peer {
  /** One line of help. */
  readonly about: string;
  /** What to install where it is missing. */
  readonly install: string;
  /** Whether it may have an entry of this name; what it lacks beyond that it says itself. */
  readonly has: (name: string) => boolean;
  readonly command: (options: PeerOptions) => Promise<Command>;
}

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** Debian's OpenBLAS on OpenMP, so that BLAS and PyTorch share one thread pool instead of fighting for the cores. */
const OPENBLAS = '/usr/lib/x86_64-linux-gnu/openblas-openmp';

/** What some shells set for other reasons would keep OpenBLAS from choosing its kernels for this processor. */
function environment(threads: number): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    OMP_NUM_THREADS: String(threads),
    OPENBLAS_NUM_THREADS: String(threads),
  };
  delete env['OPENBLAS_CORETYPE'];
  delete env['OPENBLAS_L2_SIZE'];
  return env;
}

/** The environment in which PyTorch is at its best: one thread pool, and memory that is reused instead of mapped anew. */
function torchEnvironment(threads: number): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {
    ...environment(threads),
    MALLOC_MMAP_MAX_: '0',
    MALLOC_MMAP_THRESHOLD_: '4294967296',
    MALLOC_TRIM_THRESHOLD_: '17179869184',
    MALLOC_TOP_PAD_: '67108864',
  };
  if (existsSync(join(OPENBLAS, 'libblas.so.3')))
    env['LD_LIBRARY_PATH'] = [OPENBLAS, process.env['LD_LIBRARY_PATH']].filter(Boolean).join(':');
  return env;
}

/** Installs the packages of bench/peers/package.json into that folder, once; nothing of the package itself depends on them. */
async function installPackages(): Promise<void> {
  const folder = path('../peers');
  if (existsSync(join(folder, 'node_modules', '.package-lock.json'))) return;
  process.stderr.write('bench: installing the JavaScript peers into bench/peers/node_modules\n');
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'];
  await promisify(execFile)('npm', args, { cwd: folder });
}

function packaged(script: string, has: (name: string) => boolean): Omit<Peer, 'about'> {
  return {
    install: 'npm and its registry: it is installed into bench/peers/node_modules on first use',
    has,
    async command({ threads }) {
      await installPackages();
      return { program: process.execPath, args: [path(`./peers/${script}.js`), String(threads)] };
    },
  };
}

function native(library: 'onednn' | 'openblas', has: (name: string) => boolean): Omit<Peer, 'about' | 'install'> {
  return {
    has,
    async command({ threads }) {
      const flags = library === 'onednn' ? ['-DPEER_ONEDNN', '-ldnnl'] : ['-DPEER_OPENBLAS', '-lopenblas'];
      const program = await compiled('peers/native.cc', `peer-${library}`, ['-fopenmp', ...flags]);
      return { program, args: [String(threads)], env: environment(threads) };
    },
  };
}

/** Kernels that only native libraries are measured with. */
const NOT_IN_TFJS =
  /^((conv|conv1d|(log)?softmax|xent|layernorm|rmsnorm|groupnorm|bn|pool|emb|ew|red|copy|fill|randn?|attn)-|(lstm|gru)-(fwd|bwd))/;

/** Every peer by the word that `--against` takes. */
export const peers: Readonly<Record<string, Peer>> = {
  torch: {
    about: 'PyTorch at its best: channels-last convolutions, fused or foreach optimizers, reused memory',
    install: 'apt-get install python3-torch libopenblas0-openmp, or --python for an interpreter that has it',
    has: () => true,
    command: ({ threads, python }) =>
      Promise.resolve({
        program: python,
        args: [path('../peers/torch/suite.py'), '--threads', String(threads), '--serve'],
        env: torchEnvironment(threads),
      }),
  },
  onednn: {
    about: 'oneDNN alone, for matrix products and convolutions in the layout that it prefers',
    install: 'apt-get install g++ libdnnl-dev',
    ...native('onednn', (name) => /^(gemm|conv(1d)?)-/.test(name)),
  },
  openblas: {
    about: 'OpenBLAS alone, for matrix products',
    install: 'apt-get install g++ libopenblas-pthread-dev',
    ...native('openblas', (name) => name.startsWith('gemm-')),
  },
  tfjs: {
    about: 'TensorFlow.js on WebAssembly (one thread), for small networks and matrix products',
    ...packaged('tfjs', (name) => !NOT_IN_TFJS.test(name)),
  },
  ort: {
    about: 'onnxruntime-node, for inference',
    ...packaged('ort', (name) => name.startsWith('infer-')),
  },
};
