// Builds the native core through cmake-js: node scripts/build-native.mjs [release|debug|sanitize|thread] [--force]
// The addon is build/<Configuration>/myelin.node; beside it lies a stamp of the sources that it was made from.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  StageError,
  canRun,
  configurations,
  exclusively,
  filesBelow,
  hashFiles,
  jobs,
  readIfThere,
  root,
  runQuietly,
} from './project.mjs';
import { runMain, stage } from './stage.mjs';

/** @typedef {keyof typeof configurations} Configuration */

const isSource = (/** @type {string} */ name) => /\.(cc|h|def)$/.test(name);

/** What the addon depends on, hashed. */
export function nativeHash() {
  const { version } = JSON.parse(readIfThere(join(root, 'package.json')));
  const { platform, arch, versions } = process;
  const isas = process.env['MYELIN_BUILD_ISAS'] ?? '';
  const files = ['CMakeLists.txt', ...filesBelow('native', isSource)];
  return hashFiles(files, version, platform, arch, versions.modules, isas);
}

/** @param {Configuration} configuration */
export function buildDirectory(configuration) {
  return join(root, 'build', configurations[configuration]);
}

/** Whether the addon is there and made from the present sources. @param {Configuration} configuration */
export function isCurrent(configuration, hash = nativeHash()) {
  const directory = buildDirectory(configuration);
  return existsSync(join(directory, 'myelin.node')) && readIfThere(join(directory, 'myelin.stamp')) === hash;
}

/**
 * Runs cmake-js for one configuration in `directory`; on a stale or broken cache once more from an empty directory.
 * @param {string} directory @param {string} configuration CMake's name @param {readonly string[]} [more] of cmake-js
 */
export async function cmakeJs(directory, configuration, more = []) {
  await checkTools();
  const cli = join(root, 'node_modules', 'cmake-js', 'bin', 'cmake-js');
  const args = ['-d', root, '-O', directory, '-B', configuration, '-p', String(jobs()), ...more];
  const step = (/** @type {string} */ command) =>
    runQuietly(`cmake-${command}-${configuration}`, process.execPath, [cli, command, ...args]);

  const cache = readIfThere(join(directory, 'CMakeCache.txt'));
  if (cache !== '' && !cache.includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${root}\n`))
    rmSync(directory, { recursive: true });
  try {
    await step('configure');
  } catch (error) {
    if (cache === '') throw error;
    rmSync(directory, { recursive: true, force: true });
    await step('configure');
  }
  await step('build');
}

/** @throws {StageError} that says what to install */
async function checkTools() {
  const compilers = process.env['CXX'] ? [process.env['CXX']] : ['c++', 'g++', 'clang++'];
  const found = await Promise.all(compilers.map((name) => canRun(name)));
  const missing = [];
  if (!(await canRun('cmake'))) missing.push('cmake (3.18 or newer)');
  if (!found.includes(true)) missing.push(`a C++ compiler (looked for ${compilers.join(', ')})`);
  if (missing.length === 0) return;
  const install = {
    linux:
      'Debian and Ubuntu: sudo apt-get install g++ cmake ninja-build; Fedora: sudo dnf install gcc-c++ cmake ninja-build',
    darwin: 'xcode-select --install; brew install cmake ninja',
  }[process.platform === 'darwin' ? 'darwin' : 'linux'];
  throw new StageError(`the native core cannot be built without ${missing.join(' and ')}`, '', install);
}

/** Builds one configuration, whatever the stamp says. @param {Configuration} configuration */
export async function buildNative(configuration) {
  const hash = nativeHash();
  const directory = buildDirectory(configuration);
  await cmakeJs(directory, configurations[configuration]);
  writeFileSync(join(directory, 'myelin.stamp'), hash);
}

async function main() {
  const [name = 'release', ...flags] = process.argv.slice(2);
  if (!Object.hasOwn(configurations, name) || flags.some((flag) => flag !== '--force')) {
    console.error(`usage: node scripts/build-native.mjs [${Object.keys(configurations).join('|')}] [--force]`);
    process.exitCode = 2;
    return;
  }
  const configuration = /** @type {Configuration} */ (name);
  await exclusively(async () => {
    if (flags.includes('--force') || !isCurrent(configuration)) {
      await stage(`compiling the native core (${configurations[configuration]}, ${jobs()} at a time)`, () =>
        buildNative(configuration),
      );
    }
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await runMain(main);
