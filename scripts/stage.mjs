// Progress on standard error: one line a stage, and what went wrong when one fails.
import { StageError } from './project.mjs';

/**
 * Runs one stage and says how long it took.
 * @param {string} title @param {() => Promise<void>} work
 */
export async function stage(title, work) {
  const { stderr } = process;
  const start = performance.now();
  const seconds = () => `${((performance.now() - start) / 1000).toFixed(0)} s`;
  const line = () => `myelin: ${title} … ${seconds()}`;
  stderr.write(stderr.isTTY ? line() : `myelin: ${title} …`);
  const timer = stderr.isTTY ? setInterval(() => stderr.write(`\r\x1b[K${line()}`), 1000) : undefined;
  try {
    await work();
  } finally {
    clearInterval(timer);
    stderr.write(stderr.isTTY ? `\r\x1b[K${line()}\n` : ` ${seconds()}\n`);
  }
}

/**
 * Runs a script's main function. A failed stage prints the end of its log and a hint, and sets the exit code 1.
 * @param {() => Promise<void>} main
 */
export async function runMain(main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    const { log, message, hint } = error;
    for (const text of [log, `myelin: ${message}`, hint && `myelin: ${hint}`]) if (text) console.error(text);
    process.exitCode = 1;
  }
}
