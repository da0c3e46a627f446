// Tests under sanitizers: node scripts/sanitize.mjs sanitize|thread [--addon-only | --programs-only] [vitest filters…]
// First the programs of test/native, then the tests of the addon in a Node.js that has the sanitizer's runtime preloaded.
// Node.js itself is not instrumented: only reports that name the addon or our sources count. Leaks are looked for in the
// programs, not in Node.js.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { canRun, filesBelow, readIfThere, root, runLoudly } from './project.mjs';

const libraries = { sanitize: ['libasan.so', 'libstdc++.so'], thread: ['libtsan.so'] };
const logs = join(root, 'build', 'logs', 'sanitizer');

/** Reports in the sanitizer's logs that name our code. */
function ourReports() {
  const texts = filesBelow('build/logs/sanitizer', () => true).map((path) => readIfThere(join(root, path)));
  const reports = texts.flatMap((text) =>
    text.split(/^(?:={18,}\n)?(?==*\d*=*\s*(?:ERROR|WARNING): |.*runtime error: )/m),
  );
  return reports.filter((report) => /ERROR: |WARNING: |runtime error: /.test(report) && /myelin/.test(report));
}

/** The preloadable runtime of the compiler that built the addon. @param {string} name */
function runtime(name) {
  const { stdout } = spawnSync(process.env['CXX'] ?? 'c++', [`-print-file-name=${name}`], { encoding: 'utf8' });
  return stdout.trim();
}

const [kind, ...rest] = process.argv.slice(2);
if (kind !== 'sanitize' && kind !== 'thread') {
  console.error('usage: node scripts/sanitize.mjs sanitize|thread [--addon-only | --programs-only] [vitest filters…]');
  process.exit(2);
}

let failed = false;
if (!rest.includes('--addon-only')) {
  failed = (await runLoudly(process.execPath, [join(root, 'scripts', 'native-tests.mjs'), `--${kind}`])) !== 0;
}

const preload = libraries[kind].map(runtime);
const absent = preload.filter((path) => !existsSync(path));
if (rest.includes('--programs-only')) {
  // nothing more to do
} else if (process.platform !== 'linux' || absent.length > 0) {
  console.log(`SKIPPED: the addon under ${kind}: needs Linux and ${absent.join(', ') || libraries[kind].join(', ')}`);
} else {
  const built = await runLoudly(process.execPath, [join(root, 'scripts', 'build-native.mjs'), kind]);
  if (built !== 0) process.exit(built);
  rmSync(logs, { recursive: true, force: true });
  mkdirSync(logs, { recursive: true });
  const options = `log_path=${join(logs, 'report')}:allocator_may_return_null=1`;
  const env = {
    ...process.env,
    MYELIN_BUILD: kind,
    MYELIN_SANITIZER: kind,
    LD_PRELOAD: preload.join(' '),
    ASAN_OPTIONS: `${options}:detect_leaks=0`,
    UBSAN_OPTIONS: `${options}:print_stacktrace=1`,
    TSAN_OPTIONS: `${options}:exitcode=0:report_signal_unsafe=0:history_size=4`,
  };
  const given = rest.filter((arg) => !arg.startsWith('--'));
  // Tests of resident memory mean nothing here: sanitizers hold on to what is freed. Name test/native/workers to run that.
  const chosen = given.length > 0 ? given : ['test/native/face', 'test/native/stream', 'test/ops', 'test/autograd'];
  const vitest = [
    join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--passWithNoTests',
    '--testTimeout=300000',
  ];
  // ThreadSanitizer needs the address space as it expects it.
  const fixed = kind === 'thread' && (await canRun('setarch', ['-R', 'true'])) ? ['setarch', '-R'] : [];
  const [program = '', ...args] = [...fixed, process.execPath, ...vitest, ...chosen];
  const code = await runLoudly(program, args, env);
  const reports = ourReports();
  for (const report of reports) console.error(report.slice(0, 4000));
  console.log(
    `${kind}: ${reports.length} reports that name our code${code === 0 ? '' : `; vitest ended with ${code}`}`,
  );
  failed ||= code !== 0 || reports.length > 0;
}
if (failed) process.exitCode = 1;
