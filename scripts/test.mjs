// Runs all tests: node scripts/test.mjs [vitest arguments…]; with arguments only vitest. The last line is the total.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { readIfThere, root, runLoudly } from './project.mjs';

const given = process.argv.slice(2);
const results = join(root, 'build', 'logs', 'vitest.json');
mkdirSync(join(root, 'build', 'logs'), { recursive: true });
rmSync(results, { force: true });
const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${results}`];
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const code = await runLoudly(process.execPath, [vitest, 'run', ...reporters, ...given]);

const report = JSON.parse(readIfThere(results) || '{}');
const total = { passed: report.numPassedTests ?? 0, failed: report.numFailedTests ?? 0 };
// A suite that fails to load, or an error outside tests, counts as one failure.
const broken = (report.testResults ?? []).filter(
  (/** @type {any} */ suite) =>
    suite.status === 'failed' && !suite.assertionResults.some((/** @type {any} */ test) => test.status === 'failed'),
).length;
total.failed += broken;
if (code !== 0 && total.failed === 0) total.failed = 1;

if (given.length === 0) {
  const native = spawnSync(process.execPath, [join(root, 'scripts', 'native-tests.mjs')], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 28,
  });
  process.stdout.write(native.stdout);
  const [, passed, failed] = /(\d+) passed, (\d+) failed\n*$/.exec(native.stdout) ?? [];
  total.passed += Number(passed ?? 0);
  total.failed += Number(failed ?? 0) || (native.status === 0 ? 0 : 1);
}
console.log(`${total.passed} passed, ${total.failed} failed`);
if (total.failed > 0) process.exitCode = 1;
