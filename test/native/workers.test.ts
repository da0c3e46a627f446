import { existsSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';

// Workers load the built library: TypeScript sources need a loader.
const entry = new URL('../../dist/index.js', import.meta.url);
const built = existsSync(fileURLToPath(entry));

const training = `
  const { parentPort } = require('node:worker_threads');
  (async () => {
    const m = await import(${JSON.stringify(entry.href)});
    m.manualSeed(1);
    const x = m.randn([256, 256]);
    const w = m.randn([256, 256], { requiresGrad: true });
    parentPort?.postMessage('ready');
    for (let i = 0; ; i++) {
      const y = x.matmul(w).tanh().sum();
      y.backward();
      w.grad = null;
      if (i % 8 === 7) await y.item();
    }
  })();
`;

const once = `
  const { parentPort } = require('node:worker_threads');
  (async () => {
    const m = await import(${JSON.stringify(entry.href)});
    m.manualSeed(5);
    const x = m.randn([300, 200]);
    parentPort.postMessage(await x.matmul(x.t()).tanh().sum().item());
  })();
`;

const message = (worker: Worker): Promise<unknown> =>
  new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });

describe.skipIf(!built)('worker threads', () => {
  it('compute side by side and agree', async () => {
    const workers = Array.from({ length: 6 }, () => new Worker(once, { eval: true }));
    const sums = await Promise.all(workers.map(message));
    expect(new Set(sums).size).toBe(1);
    await Promise.all(workers.map((w) => w.terminate()));
  });

  it('can be terminated at any moment with work in flight', async () => {
    for (let round = 0; round < 12; round++) {
      const workers = Array.from({ length: 3 }, () => new Worker(training, { eval: true }));
      await Promise.all(workers.map(message));
      await new Promise((resolve) => setTimeout(resolve, (round * 7) % 25));
      await Promise.all(workers.map((w) => w.terminate()));
    }
    // Some die while they load.
    for (let round = 0; round < 12; round++) {
      const worker = new Worker(training, { eval: true });
      await new Promise((resolve) => setTimeout(resolve, round * 6));
      await worker.terminate();
    }
  });
});

describe.skipIf(!built)('a process', () => {
  const run = (code: string): { status: number | null; stdout: string; stderr: string } => {
    const script = `import * as m from ${JSON.stringify(entry.href)};\n${code}`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      timeout: 280_000,
    });
    return { status, stdout, stderr };
  };
  const heavy = 'const a = m.randn([600, 600]); let y = a; for (let i = 0; i < 20; i++) y = y.matmul(a);';

  it('ends by itself with work in flight', () => {
    expect(run(heavy)).toMatchObject({ status: 0, stderr: '' });
    expect(run(`${heavy} process.exit(3);`)).toMatchObject({ status: 3, stderr: '' });
    expect(run(`${heavy} throw new Error('mine');`).status).toBe(1);
  });

  it('stays until what it awaits is there', () => {
    const { status, stdout } = run(
      `${heavy} y.mul(0).add(1).mean().item().then((v) => console.log(Number.isNaN(v) || v === 1));`,
    );
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'true\n' });
  });
});
