// Makes dist: types by tsc, a file each as lib has them; code bundled by Rollup, because finding and opening a hundred small modules
// takes longer than all else that an import does. `index.js` is one file; the command and what tests and the bench load by itself share chunks,
// so that a command loads only its own parts.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { isAbsolute, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rollup } from 'rollup';
import { StageError, filesBelow, root, runQuietly } from './project.mjs';
import { runMain } from './stage.mjs';

/** Where tsc puts a module each. */
const modules = join(root, 'build', 'lib');

/** Bundles, by where their shared parts go; the modules of one never see those of another. */
const bundles = {
  library: ['index'],
  internal: ['cli/main', 'native/load', 'io/atomic', 'train/plot'],
};

/** tsc's source maps go on into Rollup's. @type {import('rollup').Plugin} */
const sourceMaps = {
  name: 'source-maps',
  load(id) {
    const map = `${id}.map`;
    return existsSync(map) ? { code: readFileSync(id, 'utf8'), map: readFileSync(map, 'utf8') } : null;
  },
};

/** Bundles some entries into dist; the files it made. @param {string} shared @param {readonly string[]} entries */
async function bundle(shared, entries) {
  const built = await rollup({
    input: Object.fromEntries(entries.map((entry) => [entry, join(modules, `${entry}.js`)])),
    external: (id) => !id.startsWith('.') && !isAbsolute(id),
    plugins: [sourceMaps],
    onwarn: (warning) => {
      // Modules that use each other only once all are loaded.
      if (warning.code === 'CIRCULAR_DEPENDENCY') return;
      throw new StageError(`rollup: ${warning.message}`);
    },
  });
  const { output } = await built.write({
    dir: join(root, 'dist'),
    format: 'es',
    sourcemap: true,
    entryFileNames: '[name].js',
    chunkFileNames: `${shared}/[name]-[hash].js`,
    inlineDynamicImports: entries.length === 1,
    // Sources by where they lie in a clone.
    sourcemapPathTransform: (path, from) => {
      const at = relative(root, join(from, '..', path))
        .split(sep)
        .join('/');
      return at.startsWith('lib/')
        ? `${'../'.repeat(relative(join(root, 'dist'), from).split(sep).length)}${at}`
        : path;
    },
  });
  await built.close();
  for (const file of output) {
    // A class whose name another module has too would tell users a name that is not its own.
    const renamed = file.type === 'chunk' ? /^class (\w+)\$\d+ /m.exec(file.code)?.[1] : undefined;
    if (renamed !== undefined) throw new StageError(`rollup: two classes of the name ${renamed}`);
  }
  return output.flatMap(({ fileName }) => [fileName, `${fileName}.map`]);
}

/** Makes dist as lib is now. */
export async function buildLib() {
  rmSync(modules, { recursive: true, force: true });
  mkdirSync(modules, { recursive: true });
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  await runQuietly('tsc', process.execPath, [tsc, '-p', 'tsconfig.build.json']);
  const made = new Set(filesBelow('lib', (name) => name.endsWith('.ts')).map((path) => `${path.slice(4, -3)}.d.ts`));
  for (const [shared, entries] of Object.entries(bundles)) {
    for (const file of await bundle(shared, entries)) made.add(file);
  }
  for (const path of filesBelow('dist', () => true)) {
    if (!made.has(relative('dist', path).split(sep).join('/'))) rmSync(join(root, path));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await runMain(buildLib);
