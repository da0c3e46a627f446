// Builds and runs the programs of test/native: node scripts/native-tests.mjs [--neon | --sanitize | --thread] [NAME…]
// --neon crosses to aarch64 and runs under qemu; NAME runs only programs whose names contain it. The last line is the total.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canRun, filesBelow, jobs, root, runQuietly, StageError } from './project.mjs';
import { runMain } from './stage.mjs';

/** @typedef {{ directory: string, configuration: string, options: string[], launcher: string[] }} Target */

const targets = {
  host: { directory: 'Tests', configuration: 'Release', options: [], launcher: [] },
  sanitize: { directory: 'TestsSanitize', configuration: 'Sanitize', options: [], launcher: [] },
  thread: { directory: 'TestsThread', configuration: 'Thread', options: [], launcher: ['setarch', '-R'] },
  neon: {
    directory: 'TestsNeon',
    configuration: 'Release',
    options: [
      '-DCMAKE_SYSTEM_NAME=Linux',
      '-DCMAKE_SYSTEM_PROCESSOR=aarch64',
      '-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++',
      '-DCMAKE_EXE_LINKER_FLAGS=-static',
    ],
    launcher: ['qemu-aarch64'],
  },
};

/** Builds all programs of a target; the directory that holds them. @param {Target} target */
async function build({ directory, configuration, options }) {
  const out = join(root, 'build', directory);
  const generator = (await canRun('ninja')) ? ['-G', 'Ninja'] : [];
  const configure = ['-S', root, '-B', out, `-DCMAKE_BUILD_TYPE=${configuration}`, '-DMYELIN_TESTS=ON', ...options];
  await runQuietly(`configure-${directory}`, 'cmake', [
    ...(existsSync(join(out, 'CMakeCache.txt')) ? [] : generator),
    ...configure,
  ]);
  const make = ['--build', out, '--target', 'native_tests', '--parallel', String(jobs())];
  await runQuietly(`build-${directory}`, 'cmake', make);
  return join(out, 'test', 'native');
}

/** Runs one program and counts. @param {string} path @param {readonly string[]} launcher */
function runProgram(path, launcher) {
  const [program = path, ...args] = [...launcher, path];
  const { status, signal, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    timeout: 600_000,
    env: { ...process.env, UBSAN_OPTIONS: 'print_stacktrace=1' },
  });
  const output = `${stdout ?? ''}${stderr ?? ''}`.trimEnd();
  const [, passed, failed] = /(\d+) passed, (\d+) failed/.exec(output.split('\n').at(-1) ?? '') ?? [];
  const ok = status === 0;
  const counts = { passed: Number(passed ?? (ok ? 1 : 0)), failed: Number(failed ?? 0) };
  if (!ok && counts.failed === 0) counts.failed = 1;
  const reason = ok ? '' : ` (${error?.message ?? (signal ? `signal ${signal}` : `exit ${status}`)})`;
  return { ...counts, output: ok ? '' : output, reason };
}

async function main() {
  const args = process.argv.slice(2);
  const flag = args.find((arg) => arg.startsWith('--'))?.slice(2) ?? 'host';
  if (!Object.hasOwn(targets, flag)) {
    throw new StageError(`native tests: expected --neon, --sanitize or --thread, got --${flag}`);
  }
  const target = targets[/** @type {keyof typeof targets} */ (flag)];
  const filters = args.filter((arg) => !arg.startsWith('--'));

  if (flag === 'neon') {
    const missing = [];
    for (const tool of ['aarch64-linux-gnu-g++', 'qemu-aarch64']) if (!(await canRun(tool))) missing.push(tool);
    if (missing.length > 0) {
      console.log(`SKIPPED: no ${missing.join(', no ')} (Debian: apt-get install g++-aarch64-linux-gnu qemu-user)`);
      console.log('0 passed, 0 failed');
      return;
    }
  }

  const directory = await build(target);
  const [launch, ...launchArgs] = [...target.launcher, join(directory, 'probe')];
  const supported = spawnSync(launch ?? '', launchArgs, { encoding: 'utf8' }).stdout.split('\n');
  const isas = /^(x64|ia32)$/.test(process.arch) && flag !== 'neon' ? ['baseline', 'avx2', 'avx512'] : ['neon'];
  if (flag === 'thread') isas.length = 1;
  const total = { passed: 0, failed: 0 };
  for (const source of filesBelow('test/native', (name) => name.endsWith('_test.cc'))) {
    const name = source.replace(/^.*[\\/]/, '').replace(/\.cc$/, '');
    for (const isa of name.endsWith('_core_test') ? ['core'] : isas) {
      const program = `${name}.${isa}`;
      if (filters.length > 0 && !filters.some((filter) => program.includes(filter))) continue;
      if (!supported.includes(isa)) {
        console.log(`${program}: SKIPPED, this machine has no ${isa}`);
        continue;
      }
      const { passed, failed, output, reason } = runProgram(join(directory, program), target.launcher);
      if (output !== '') console.log(output);
      console.log(`${program}: ${passed} passed, ${failed} failed${reason}`);
      total.passed += passed;
      total.failed += failed;
    }
  }
  console.log(`${total.passed} passed, ${total.failed} failed`);
  if (total.failed > 0) process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await runMain(main);
