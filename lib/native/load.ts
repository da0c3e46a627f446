import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NativeError } from '../errors.js';
import type { Addon } from './stream.js';

const require = createRequire(import.meta.url);

/** The package's directory: the nearest one above this file that has a package.json. */
const packageRoot = ((): string => {
  const from = dirname(fileURLToPath(import.meta.url));
  for (let at = from; ; at = dirname(at)) {
    if (existsSync(join(at, 'package.json'))) return at;
    if (at === dirname(at)) return dirname(from);
  }
})();

/** CMake configurations by the names that `MYELIN_BUILD` takes. */
const configurations = { release: 'Release', debug: 'Debug', sanitize: 'Sanitize', thread: 'Thread' } as const;

/** A place where the native core was looked for, and why it was not taken. */
interface Miss {
  readonly place: string;
  readonly reason: string;
}

/**
 * The native core's binary for this process. Looked for, in order: the file that the environment variable `MYELIN_NATIVE`
 * names; the local build that `MYELIN_BUILD` names (`release`, `debug`, `sanitize` or `thread`); `build/Release`; the
 * prebuilt binaries in `prebuilds/<platform>-<arch>`. One of the two variables excludes all later places.
 *
 * @throws NativeError when there is none; the message lists every place and says what to run.
 */
export function findAddon(root: string = packageRoot, env: NodeJS.ProcessEnv = process.env): string {
  const misses: Miss[] = [];
  const take = (place: string): boolean => {
    if (existsSync(place)) return true;
    misses.push({ place, reason: 'not there' });
    return false;
  };

  const override = env['MYELIN_NATIVE'];
  if (override) {
    if (take(override)) return override;
    throw new NativeError(notFound(root, misses, 'MYELIN_NATIVE names a file that is not there: correct or unset it'));
  }

  const wanted = env['MYELIN_BUILD'];
  if (wanted && !Object.hasOwn(configurations, wanted)) {
    const names = Object.keys(configurations).join(', ');
    throw new NativeError(`MYELIN_BUILD: expected one of ${names}, got '${wanted}'`);
  }
  const configuration = (wanted || 'release') as keyof typeof configurations;
  const local = join(root, 'build', configurations[configuration], 'myelin.node');
  if (take(local)) return local;
  if (wanted) throw new NativeError(notFound(root, misses, `run \`${buildCommand(configuration)}\` in ${root}`));

  const prebuilt = findPrebuilt(root);
  if (prebuilt !== undefined) return prebuilt;
  const folder = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  misses.push({ place: folder, reason: existsSync(folder) ? 'holds none for this runtime' : 'not there' });
  throw new NativeError(notFound(root, misses));
}

let loaded: Addon | undefined;

/**
 * Loads the native core, once a thread.
 *
 * @throws NativeError when no binary is found or it cannot be loaded; the message holds the system's reason.
 */
export function loadAddon(): Addon {
  if (loaded !== undefined) return loaded;
  const path = findAddon();
  let addon: Addon;
  try {
    addon = require(path) as Addon;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new NativeError(`the native core ${path} could not be loaded: ${reason}`, { cause });
  }
  loaded = addon;
  return addon;
}

/** node-gyp-build's choice among the files of prebuilds/<platform>-<arch>: by runtime, ABI, libc and ARM version. */
function findPrebuilt(root: string): string | undefined {
  if (!existsSync(join(root, 'prebuilds'))) return undefined;
  const nodeGypBuild = require('node-gyp-build') as { path(directory: string): string };
  try {
    return nodeGypBuild.path(root);
  } catch {
    return undefined;
  }
}

function buildCommand(configuration: keyof typeof configurations): string {
  return {
    release: 'npm run build:native',
    debug: 'npm run build:debug',
    sanitize: 'npm run build:sanitize',
    thread: 'npm run build:tsan',
  }[configuration];
}

function remedy(root: string): string {
  return existsSync(join(root, 'CMakeLists.txt'))
    ? `run \`npm run build:native\` in ${root}`
    : 'this package holds no binary for this platform: build one in a clone of the repository with `npm run prebuild` and ' +
        'set MYELIN_NATIVE to its path';
}

function notFound(root: string, misses: readonly Miss[], advice = remedy(root)): string {
  const { platform, arch, versions } = process;
  const places = misses.map(({ place, reason }) => `  ${place} (${reason})`).join('\n');
  return `no native core found for ${platform}-${arch}, Node.js ${versions.node}; looked for\n${places}\n${advice}`;
}
