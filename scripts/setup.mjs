// Brings a clone to where it runs: dependencies, the native core, dist. What is current is left alone, so that a second run
// takes a fraction of a second. Needs nothing but Node.js; what it says goes to standard error.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNative, isCurrent } from './build-native.mjs';
import { currentOps } from './generate-ops.mjs';
import { StageError, exclusively, filesBelow, hashFiles, jobs, readIfThere, root, runQuietly } from './project.mjs';
import { runMain, stage } from './stage.mjs';

/** @typedef {{ version?: string, optional?: boolean, link?: boolean }} LockedPackage */

/** Whether node_modules holds what package-lock.json says; packages for other platforms may be missing. */
function dependenciesAreCurrent() {
  const packages = (/** @type {string} */ path) => {
    const text = readIfThere(join(root, path));
    return /** @type {Record<string, LockedPackage>} */ (text === '' ? {} : JSON.parse(text).packages);
  };
  const installed = packages('node_modules/.package-lock.json');
  return Object.entries(packages('package-lock.json')).every(
    ([path, { version, optional }]) =>
      path === '' || installed[path]?.version === version || (optional === true && installed[path] === undefined),
  );
}

async function installDependencies() {
  const cli = process.env['npm_execpath'];
  const [program, first] = cli?.endsWith('.js') ? [process.execPath, [cli]] : ['npm', []];
  try {
    await runQuietly('npm-ci', program, [...first, 'ci', '--no-audit', '--no-fund']);
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    // npm says what is wrong first and then how it is used.
    const log = readIfThere(join(root, 'build', 'logs', 'npm-ci.log'))
      .split('\n')
      .slice(0, 20)
      .join('\n');
    const hint = 'npm needs its registry (see `npm config get registry`) or a filled cache';
    throw new StageError(error.message, log, hint);
  }
}

/** What dist depends on, hashed. */
function libHash() {
  const sources = filesBelow('lib', (name) => name.endsWith('.ts'));
  return hashFiles([
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'scripts/build-lib.mjs',
    ...sources,
  ]);
}

const stampOfDist = join(root, 'dist', '.stamp');

function distIsCurrent() {
  return existsSync(stampOfDist) && readIfThere(stampOfDist) === libHash();
}

async function buildDist() {
  const hash = libHash();
  if (readIfThere(join(root, 'lib', 'native', 'ops.generated.ts')) !== currentOps()) {
    throw new StageError('lib/native/ops.generated.ts is not what native/ops.def says', '', 'run `npm run generate`');
  }
  // Its own dependencies may have come just now.
  const { buildLib } = await import('./build-lib.mjs');
  await buildLib();
  writeFileSync(stampOfDist, hash);
}

async function main() {
  const dist = distIsCurrent();
  const native = isCurrent('release');
  const dependencies = dependenciesAreCurrent();
  if (dependencies && native && dist) return;
  await exclusively(async () => {
    if (!dependenciesAreCurrent()) await stage('installing dependencies', installDependencies);
    if (!isCurrent('release')) {
      await stage(`compiling the native core, ${jobs()} at a time`, () => buildNative('release'));
    }
    if (!distIsCurrent()) await stage('compiling the TypeScript', buildDist);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await runMain(main);
