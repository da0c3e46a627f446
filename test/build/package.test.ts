import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly bin: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Record<string, string>>;
}

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const manifest = JSON.parse(read('package.json')) as Manifest;

/** Runs a module's text at the root in a fresh process, against dist (`npm test` has made it). */
function run(script: string): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: root, encoding: 'utf8' });
}

describe('the package', () => {
  it('exports files that exist, with types', () => {
    for (const entry of Object.values(manifest.exports)) {
      const files = typeof entry === 'string' ? [entry] : [entry.types, entry.default];
      for (const file of files) expect(existsSync(join(root, file)), file).toBe(true);
    }
    for (const file of Object.values(manifest.bin)) expect(existsSync(join(root, file)), file).toBe(true);
  });

  it('has no install script and nothing that would make npm run node-gyp', () => {
    for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) expect(manifest.scripts).not.toHaveProperty(name);
    expect(existsSync(join(root, 'binding.gyp'))).toBe(false);
  });

  it('has a lockfile that names no registry', () => {
    expect(read('package-lock.json')).not.toMatch(/"resolved": "https?:/);
  });

  it('resolves by its own name with types under strict options', () => {
    const directory = mkdtempSync(join(root, 'build', 'types-'));
    try {
      writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
      writeFileSync(
        join(directory, 'use.ts'),
        `import { Tensor, tensor } from 'myelin';
const x: Tensor = tensor([1, 2]);
const shape: readonly number[] = x.shape;
// @ts-expect-error a tensor is not a number
const wrong: number = x;
export { shape, wrong };
`,
      );
      const config = {
        compilerOptions: {
          strict: true,
          noEmit: true,
          target: 'ES2022',
          module: 'NodeNext',
          lib: ['ES2023', 'ESNext.Disposable'],
          types: ['node'],
          paths: { myelin: ['../../dist/index.d.ts'] },
        },
        files: ['use.ts'],
      };
      writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(config));
      const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
      const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', directory], { encoding: 'utf8' });
      expect(stdout).toBe('');
      expect(status).toBe(0);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('loads at its root no library that only some programs need', () => {
    const { stdout, stderr } = run(`
      import Module from 'node:module';
      const seen = [];
      const loader = 'export async function initialize(data) { globalThis.port = data.port; }' +
        'export async function resolve(name, context, next) {' +
        '  const found = await next(name, context); globalThis.port.postMessage(found.url); return found; }';
      const { port1, port2 } = new MessageChannel();
      // Urls come in the order in which they were asked for.
      const last = 'data:text/javascript,export{}';
      const done = new Promise((resolve) => port1.on('message', (url) => (url === last ? resolve() : seen.push(url))));
      Module.register('data:text/javascript,' + encodeURIComponent(loader), { data: { port: port2 }, transferList: [port2] });
      await import('myelin');
      await import(last);
      await done;
      port1.close();
      const packages = new Set(seen.map((url) => /node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1]).filter(Boolean));
      const entry = seen.some((url) => url.endsWith('/dist/index.js'));
      console.log(JSON.stringify({ entry, files: seen.length, packages: [...packages] }));
    `);
    expect(stderr).toBe('');
    const { entry, files, packages } = JSON.parse(stdout) as { entry: boolean; files: number; packages: string[] };
    expect(entry).toBe(true);
    // Every further module costs about half a millisecond: the library is bundled.
    expect(files).toBeLessThan(20);
    expect(packages).toEqual([]);
  });
});

describe('the command in a clone', () => {
  it('runs as npx myelin', () => {
    const npx = process.platform === 'win32' ? 'npx.cmd' : 'npx';
    const { status, stdout } = spawnSync(npx, ['--no', 'myelin', 'info', '--json'], {
      cwd: root,
      encoding: 'utf8',
      shell: process.platform === 'win32',
    });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toBeTypeOf('object');
  });
});

describe('a second set-up', () => {
  it('finds all current and makes nothing anew', () => {
    const setUp = () => spawnSync(process.execPath, [join(root, 'scripts', 'setup.mjs')], { encoding: 'utf8' });
    const made = ['dist/index.js', 'build/Release/myelin.node', 'node_modules/.package-lock.json'];
    const times = () => made.map((file) => statSync(join(root, file)).mtimeMs);
    expect(setUp().status).toBe(0);
    const before = times();
    const { status, stderr } = setUp();
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(times()).toEqual(before);
  });
});
