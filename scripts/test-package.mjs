// Packs the package as it would be published, installs it in an empty project elsewhere and uses it there: the command, the
// import, the types. The last line is the total.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './project.mjs';

const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
const npx = process.platform === 'win32' ? 'npx.cmd' : 'npx';
// A preset of the outer npm run must not reach the inner ones, nor a chosen build.
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(npm_(package|lifecycle|execpath)|MYELIN_|INIT_CWD)/.test(name)),
);
const total = { passed: 0, failed: 0 };

/**
 * @param {string} what @param {string} directory @param {string} program @param {readonly string[]} args
 * @param {(output: string) => boolean} [accept] of its standard output
 */
function check(what, directory, program, args, accept = () => true) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: directory,
    env,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  const ok = status === 0 && accept(stdout);
  console.log(`${ok ? 'ok' : 'FAILED'}: ${what}`);
  if (!ok) console.log(`${error?.message ?? `exit ${status}`}\n${stdout}\n${stderr}`);
  total[ok ? 'passed' : 'failed'] += 1;
  return ok;
}

/** @param {string} text */
function isJson(text) {
  try {
    return typeof JSON.parse(text) === 'object';
  } catch {
    return false;
  }
}

const directory = mkdtempSync(join(tmpdir(), 'myelin-package-'));
try {
  if (check('npm pack', root, npm, ['pack', '--pack-destination', directory])) {
    const tarball = readdirSync(directory).find((name) => name.endsWith('.tgz')) ?? '';
    const project = { name: 'uses-myelin', version: '1.0.0', private: true, type: 'module' };
    writeFileSync(join(directory, 'package.json'), JSON.stringify(project));
    writeFileSync(
      join(directory, 'use.ts'),
      `import { tensor, type Tensor } from 'myelin';
const x: Tensor = tensor([1, 2, 3], { requiresGrad: true });
const loss = x.square().sum();
loss.backward();
const value: number = await loss.item();
console.log(value, Array.from((await x.grad?.data()) ?? []).join(' '));
`,
    );
    check('npm install', directory, npm, ['install', '--no-audit', '--no-fund', join(directory, tarball)]);
    check('npx myelin info --json', directory, npx, ['--no', 'myelin', 'info', '--json'], isJson);
    const compilerOptions = {
      strict: true,
      target: 'ES2022',
      module: 'NodeNext',
      lib: ['ES2023', 'ESNext.Disposable'],
      types: ['node'],
      typeRoots: [join(root, 'node_modules', '@types')],
    };
    writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }));
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    check('types', directory, process.execPath, [tsc, '-p', '.']);
    check('a program', directory, process.execPath, ['use.js'], (output) => output.trim() === '14 2 4 6');
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
console.log(`${total.passed} passed, ${total.failed} failed`);
if (total.failed > 0) process.exitCode = 1;
