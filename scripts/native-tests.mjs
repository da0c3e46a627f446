// Builds and runs the programs of test/native: node scripts/native-tests.mjs [--neon | --sanitize | --thread] [NAME…]
// --neon crosses to aarch64 and runs under qemu; NAME runs only programs whose names contain it. The last line is the total.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildDirectory, buildNative, isCurrent } from './build-native.mjs';
import { StageError, canRun, exclusively, filesBelow, jobs, root, runQuietly } from './project.mjs';
import { runMain } from './stage.mjs';

/** @typedef {import('./build-native.mjs').Configuration} Configuration */

/** Where each kind is built, what programs are started with, and how much of their cases (their argument).  The addon's own build directories hold the kernels already. */
/** @type {Record<'host' | 'sanitize' | 'thread' | 'neon', { configuration?: Configuration, launcher: string[], percent: number }>} */
const targets = {
  host: { configuration: 'release', launcher: [], percent: 100 },
  sanitize: { configuration: 'sanitize', launcher: [], percent: 20 },
  thread: { configuration: 'thread', launcher: ['setarch', '-R'], percent: 20 },
  neon: { launcher: ['qemu-aarch64'], percent: 5 },
};

/** Makes a build directory ready for the test programs. @param {keyof typeof targets} kind */
async function prepare(kind) {
  const { configuration } = targets[kind];
  const directory = configuration === undefined ? join(root, 'build', 'Neon') : buildDirectory(configuration);
  if (configuration === undefined) await configureNeon(directory);
  else if (!isCurrent(configuration)) await exclusively(() => buildNative(configuration));
  return directory;
}

/** Builds programs; the directory that holds them. @param {string} directory @param {readonly string[]} programs */
async function build(directory, programs) {
  const args = ['--build', directory, '--parallel', String(jobs()), '--target', ...programs];
  await runQuietly('native-tests', 'cmake', args);
  return join(directory, 'test', 'native');
}

/** @param {string} directory */
async function configureNeon(directory) {
  const options = {
    CMAKE_BUILD_TYPE: 'Release',
    CMAKE_SYSTEM_NAME: 'Linux',
    CMAKE_SYSTEM_PROCESSOR: 'aarch64',
    CMAKE_CXX_COMPILER: 'aarch64-linux-gnu-g++',
    CMAKE_EXE_LINKER_FLAGS: '-static',
  };
  const generator = !existsSync(join(directory, 'CMakeCache.txt')) && (await canRun('ninja')) ? ['-G', 'Ninja'] : [];
  const definitions = Object.entries(options).map(([name, value]) => `-D${name}=${value}`);
  await runQuietly('configure-neon', 'cmake', [...generator, '-S', root, '-B', directory, ...definitions]);
}

/** Runs one program and counts. @param {readonly string[]} command */
function runProgram(command) {
  const [program = '', ...args] = command;
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
  const kind = /** @type {keyof typeof targets} */ (flag);
  const { launcher, percent } = targets[kind];
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

  const tree = await prepare(kind);
  const [probe, ...probeArgs] = [...launcher, join(await build(tree, ['probe']), 'probe')];
  const supported = (spawnSync(probe ?? '', probeArgs, { encoding: 'utf8' }).stdout ?? '').trim().split('\n');
  if (supported[0] === '') throw new StageError('native tests: test/native/probe cannot run here');
  // The builds with sanitizers hold the widest instruction set only.
  const built = process.env['MYELIN_BUILD_ISAS']?.split(';') ?? supported;
  const runnable = supported.filter((isa) => built.includes(isa));
  const isas = kind === 'sanitize' || kind === 'thread' ? runnable.slice(-1) : runnable;
  const programs = filesBelow('test/native', (name) => name.endsWith('_test.cc'))
    .flatMap((source) => {
      const name = basename(source, '.cc');
      return (name.endsWith('_core_test') ? ['core'] : isas).map((isa) => `${name}.${isa}`);
    })
    .filter((program) => filters.length === 0 || filters.some((filter) => program.includes(filter)));
  if (kind === 'host' && process.arch === 'x64') {
    for (const isa of ['avx2', 'avx512'])
      if (!isas.includes(isa)) console.log(`${isa}: SKIPPED, not on this processor`);
  }

  const total = { passed: 0, failed: 0 };
  const directory = programs.length > 0 ? await build(tree, programs) : '';
  for (const program of programs) {
    const { passed, failed, output, reason } = runProgram([...launcher, join(directory, program), String(percent)]);
    if (output !== '') console.log(output);
    console.log(`${program}: ${passed} passed, ${failed} failed${reason}`);
    total.passed += passed;
    total.failed += failed;
  }
  console.log(`${total.passed} passed, ${total.failed} failed`);
  if (total.failed > 0) process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await runMain(main);
