#!/usr/bin/env node
// The command `myelin`. In a clone that was not built yet it builds first; an installed package has all it needs.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const at = (/** @type {string} */ path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

const isClone = existsSync(at('CMakeLists.txt')) && existsSync(at('scripts/setup.mjs'));
const choosesAddon = Boolean(process.env.MYELIN_NATIVE || process.env.MYELIN_BUILD);
const isBuilt =
  existsSync(at('dist/cli/main.js')) &&
  existsSync(at('node_modules')) &&
  (choosesAddon || existsSync(at('build/Release/myelin.node')) || existsSync(at('prebuilds')));

if (isClone && !isBuilt) {
  const { status } = spawnSync(process.execPath, [at('scripts/setup.mjs')], { stdio: ['ignore', 2, 2] });
  if (status !== 0) process.exit(status ?? 1);
}

const { main } = await import(new URL('../dist/cli/main.js', import.meta.url).href);
process.exitCode = await main(process.argv.slice(2));
