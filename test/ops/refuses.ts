import { expect, it } from 'vitest';
import type { MyelinError } from '../../lib/index.js';

type ErrorType = new (...args: never[]) => MyelinError;

/** A call, the class that it throws and (part of) the message. */
export type Row = [what: string, call: () => unknown, type: ErrorType, message: RegExp | string];

/** For arguments that the types forbid. */
export const wrong = (value: unknown): never => value as never;

/** A test a row: the call throws that error, where it stands. */
export function refuses(rows: readonly Row[]): void {
  it.each(rows)('%s', (_, call, type, message) => {
    let thrown: unknown;
    try {
      call();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(type);
    expect((thrown as MyelinError).message).toMatch(message);
    expect((thrown as MyelinError).code).toMatch(/^ERR_/);
  });
}
