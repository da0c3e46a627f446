// Makes prebuilds/<platform>-<arch>/myelin.node with prebuildify. It expects node-gyp's command line: this file is also the
// shim that it calls instead, which takes the addon of build/Release, or hands another architecture over to cmake-js. With --if-stale
// it does nothing where they are current.
import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildDirectory, buildNative, cmakeJs, isCurrent, nativeHash } from './build-native.mjs';
import { exclusively, readIfThere, root } from './project.mjs';
import { runMain, stage } from './stage.mjs';

/** Where prebuildify works: it moves build/Release/*.node below it away. */
const workshop = join(root, 'build', 'prebuild');

/** prebuildify runs this as node-gyp: `rebuild --target=… --arch=… --release`. @param {readonly string[]} args */
async function shim(args) {
  const arch = args.find((arg) => arg.startsWith('--arch='))?.slice('--arch='.length) ?? process.arch;
  const directory = join(workshop, 'build', 'Release');
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  if (arch !== process.arch) return cmakeJs(directory, 'Release', ['-a', arch]);
  // The same sources, flags and architecture as build/Release: compiling them again would give the same file.
  if (!isCurrent('release')) await buildNative('release');
  copyFileSync(join(buildDirectory('release'), 'myelin.node'), join(directory, 'myelin.node'));
}

async function prebuild() {
  const target = `${process.platform}-${process.arch}`;
  const stamp = join(workshop, 'stamp');
  const hash = nativeHash();
  const isCurrent = existsSync(join(root, 'prebuilds', target)) && readIfThere(stamp) === hash;
  if (process.argv.includes('--if-stale') && isCurrent) return;
  mkdirSync(workshop, { recursive: true });
  const program = join(workshop, process.platform === 'win32' ? 'node-gyp.cmd' : 'node-gyp');
  const self = fileURLToPath(import.meta.url);
  writeFileSync(
    program,
    process.platform === 'win32'
      ? `@"${process.execPath}" "${self}" %*\r\n`
      : `#!/bin/sh\nexec '${process.execPath}' '${self}' "$@"\n`,
  );
  chmodSync(program, 0o755);
  const prebuildify = createRequire(import.meta.url)('prebuildify');
  await exclusively(() =>
    stage(
      `prebuilding prebuilds/${target}`,
      () =>
        new Promise((resolve, reject) => {
          const options = {
            cwd: workshop,
            out: root,
            name: 'myelin',
            napi: true,
            targets: [`node@${process.versions.node}`],
            strip: process.platform !== 'win32',
            tagLibc: process.platform === 'linux',
            nodeGyp: program,
          };
          prebuildify(options, (/** @type {Error | undefined} */ error) =>
            error ? reject(error) : resolve(undefined),
          );
        }),
    ),
  );
  writeFileSync(stamp, hash);
}

await runMain(() => (process.argv[2] === 'rebuild' ? shim(process.argv.slice(3)) : prebuild()));
