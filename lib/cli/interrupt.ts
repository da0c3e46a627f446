/** Signals turned into an {@link AbortSignal}. */
export interface Interrupts {
  readonly signal: AbortSignal;
  /** Exit code of the signal that came: 130 for SIGINT, 143 for SIGTERM. */
  code(): number;
  /** Gives the signals back to the process. */
  dispose(): void;
}

/** The first SIGINT or SIGTERM aborts `signal`, so that work can end in order; a second one ends the process at once. */
export function watchInterrupts(err: NodeJS.WritableStream, doing = 'finishing this step and saving'): Interrupts {
  const controller = new AbortController();
  let code = 130;
  const on = (name: NodeJS.Signals): void => {
    code = name === 'SIGTERM' ? 143 : 130;
    if (controller.signal.aborted) process.exit(code);
    err.write(`\nmyelin: ${doing}; once more to exit at once\n`);
    controller.abort();
  };
  process.on('SIGINT', on);
  process.on('SIGTERM', on);
  return {
    signal: controller.signal,
    code: () => code,
    dispose() {
      process.off('SIGINT', on);
      process.off('SIGTERM', on);
    },
  };
}
