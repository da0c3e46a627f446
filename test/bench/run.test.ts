import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'myelin-bench-test-'));
  await run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'bench'], { cwd: root });
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const bench = (...args: string[]): ReturnType<typeof run> =>
  run(process.execPath, [join(root, 'bench', 'dist', 'main.js'), ...args], { cwd: root });

it('times kernels and a workload in processes of their own', async () => {
  const [json, chart] = [join(directory, 'run.jsonl'), join(directory, 'run.svg')];
  const only = 'gemm-nt-64x64x64,op-add-1,shallow-1d';
  const { stdout } = await bench(
    '--only',
    only,
    '--threads',
    '1',
    '--budget',
    '0.01',
    '--json',
    json,
    '--chart',
    chart,
  );
  expect(stdout).toMatch(/^gemm-nt-64x64x64 +1 .* GFLOP\/s/m);
  expect(stdout).toMatch(/^op-add-1 +1 .* µs/m);
  expect(stdout).toMatch(/^shallow-1d +1 .* ok$/m);
  const lines = (await readFile(json, 'utf8')).trimEnd().split('\n');
  const results = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(results.map((result) => result['name'])).toEqual(only.split(','));
  expect(results[0]).toMatchObject({ threads: 1, lib: 'myelin', gflops_best: expect.any(Number) });
  expect(results[2]).toMatchObject({ step_ms_median: expect.any(Number), params: 10 });
  for (const result of results) expect(result['reps']).toBeGreaterThanOrEqual(7);
  expect(await readFile(chart, 'utf8')).toContain('shallow-1d');
});

it('leaves what it has when it is stopped', async () => {
  const [json, chart] = [join(directory, 'stopped.jsonl'), join(directory, 'stopped.svg')];
  const args = ['--only', 'op-add-1,gemm-', '--threads', '1', '--budget', '0.01', '--json', json, '--chart', chart];
  const child = spawn(process.execPath, [join(root, 'bench', 'dist', 'main.js'), ...args], { cwd: root });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    if (!child.killed && text.includes('\ngemm-nn-64x64x64')) child.kill('SIGINT');
  });
  const [code] = (await once(child, 'close')) as [number];
  expect(code).toBe(1);
  const rows = text.split('\n').filter((line) => line.startsWith('gemm-') || line.startsWith('op-'));
  const lines = (await readFile(json, 'utf8')).trimEnd().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { name: string }).name)).toEqual(
    rows.map((row) => row.split(' ')[0]),
  );
  expect(rows.length).toBeLessThan(10);
  expect(text).toMatch(/\nlimits +1 /);
  expect(await readFile(chart, 'utf8')).toContain('gemm-nn-64x64x64');
});

it('says what a missing peer needs', async () => {
  const args = [
    '--only',
    'shallow-1d',
    '--threads',
    '1',
    '--budget',
    '0.01',
    '--against',
    'torch',
    '--python',
    '/no/python',
  ];
  await expect(bench(...args)).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('apt-get install') });
});

it('explains itself', async () => {
  expect((await bench('--help')).stdout).toContain('--against');
  expect((await bench('--list')).stdout).toMatch(/^training +mlp-mnist$/m);
  await expect(bench('--only', 'nothing')).rejects.toMatchObject({ code: 2 });
});
