// Checks or rewrites the layout of all C++ files: node scripts/clang-format.mjs --check | --write
// The formatter comes with the npm package clang-format (Linux and macOS on x64, Windows); elsewhere the one on PATH serves,
// and without one the check is skipped, visibly.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { canRun, filesBelow, root, runLoudly } from './project.mjs';

const isCpp = (/** @type {string} */ name) => /\.(cc|h)$/.test(name);
const files = ['native', 'test/native', 'bench'].flatMap((directory) => filesBelow(directory, isCpp));

/** @returns {Promise<string | undefined>} */
async function findFormatter() {
  const folder = process.platform === 'win32' ? 'win32' : `${process.platform}_${process.arch}`;
  const packaged = join(root, 'node_modules', 'clang-format', 'bin', folder, 'clang-format');
  if (existsSync(packaged) && spawnSync(packaged, ['--version']).status === 0) return packaged;
  return (await canRun('clang-format')) ? 'clang-format' : undefined;
}

const formatter = await findFormatter();
if (formatter === undefined) {
  console.log('clang-format: SKIPPED, there is none for this platform in node_modules and none on PATH');
} else if (files.length > 0) {
  const mode = process.argv.includes('--write') ? ['-i'] : ['--dry-run', '-Werror'];
  process.exitCode = await runLoudly(formatter, [...mode, '-style=file', ...files]);
}
