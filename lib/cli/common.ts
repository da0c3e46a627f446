import { readFileSync } from 'node:fs';
import { InvalidArgumentError } from 'commander';
import { closest, distance } from 'fastest-levenshtein';
import { UsageError } from '../errors.js';

/** Where a command writes: results to `out`, progress and complaints to `err`. */
export interface Io {
  readonly out: NodeJS.WriteStream;
  readonly err: NodeJS.WriteStream;
}

/** The package's version. */
export function packageVersion(): string {
  const url = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(url, 'utf8')) as { version: string }).version;
}

/** An option parser for integers of at least `min`. */
export function integer(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^[+-]?\d+$/.test(text.trim()) && Number.isSafeInteger(value) && value >= min) return value;
    throw new InvalidArgumentError(`Expected an integer of at least ${min}.`);
  };
}

/** An option parser for finite numbers above zero. */
export function positive(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('Expected a number above 0.');
}

/** An option parser for finite numbers from zero. */
export function nonNegative(text: string): number {
  return text.trim() === '0' ? 0 : positive(text);
}

/** `name` if it is one of `choices`, else a {@link UsageError} that lists them and names the closest. */
export function oneOf<T extends string>(what: string, name: string, choices: readonly T[]): T {
  if (choices.includes(name as T)) return name as T;
  throw new UsageError(`unknown ${what} '${name}'${suggestion(name, choices)}; there are ${choices.join(', ')}`);
}

/** ` (did you mean 'x'?)` when one of `choices` is near, else nothing. */
export function suggestion(name: string, choices: readonly string[]): string {
  if (choices.length === 0) return '';
  const lower = name.toLowerCase();
  const near = closest(lower, [...choices]);
  const limit = Math.max(2, Math.floor(Math.max(name.length, near.length) * 0.4));
  return distance(lower, near) <= limit ? ` (did you mean '${near}'?)` : '';
}

/** Two columns, the first padded to one width. */
export function columns(rows: readonly (readonly [string, string])[], indent = ''): string {
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `${indent}${left.padEnd(width)}  ${right}`.trimEnd()).join('\n');
}

/** The lines of a help text's examples. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`;
}

/** `12.3 MB`. */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return 'none';
  let value = bytes;
  for (const unit of ['B', 'kB', 'MB', 'GB']) {
    if (value < 1000) return `${unit === 'B' ? value : value.toPrecision(3)} ${unit}`;
    value /= 1000;
  }
  return `${value.toPrecision(3)} TB`;
}
