import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: {
    alias: [{ find: /^myelin$/, replacement: fileURLToPath(new URL('lib/index.ts', import.meta.url)) }],
  },
  test: {
    setupFiles: ['test/setup.ts'],
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // Only for what hangs: whole programs that take a second take half a minute on a loaded machine.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // Garbage collection on demand, for the tests that count live handles.
    execArgv: ['--expose-gc'],
    coverage: { include: ['lib/**/*.ts'] },
  },
});
