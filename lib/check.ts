import { ShapeError, ValueError } from './errors.js';

/** How a value is shown in an error message: short, with its type where the value alone would mislead. */
export function show(value: unknown, depth = 0): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`;
  if (typeof value === 'bigint') return `${value}n`;
  if (Array.isArray(value)) {
    if (value.length > 16 || depth > 3) return `an array of ${value.length} elements`;
    return `[${value.map((element) => show(element, depth + 1)).join(', ')}]`;
  }
  if (value !== null && typeof value === 'object') {
    const name = (value as { constructor?: { name?: string } }).constructor?.name ?? 'Object';
    return name === 'Object' ? 'an object' : `a ${name}`;
  }
  return Object.is(value, -0) ? '-0' : String(value);
}

/** Throws `fn: expected name to be an integer in [min, max], got …` unless it is one. */
export function checkInteger(
  fn: string,
  name: string,
  value: unknown,
  { min = -Number.MAX_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER }: { min?: number; max?: number } = {},
): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw new ValueError(`${fn}: expected ${name} to be an integer${range(min, max)}, got ${show(value)}`);
}

/** Throws unless `value` is a number in [min, max]; NaN is refused always, infinities when `finite` (the default). */
export function checkNumber(
  fn: string,
  name: string,
  value: unknown,
  { min = -Infinity, max = Infinity, finite = true }: { min?: number; max?: number; finite?: boolean } = {},
): number {
  const ok = typeof value === 'number' && value >= min && value <= max && (!finite || Number.isFinite(value));
  if (ok) return value;
  throw new ValueError(`${fn}: expected ${name} to be a number${range(min, max)}, got ${show(value)}`);
}

/** Throws unless a tensor may have that many dimensions. */
export function checkRank(fn: string, ndim: number): void {
  if (ndim > 8) throw new ShapeError(`${fn}: expected at most 8 dimensions, got ${ndim}`);
}

/** One number or an array of them as an array; throws when `value` is neither. The elements are not checked. */
export function oneOrMore(fn: string, name: string, value: unknown): number[] {
  if (typeof value === 'number') return [value];
  if (Array.isArray(value)) return [...(value as number[])];
  throw new ValueError(`${fn}: expected ${name} to be an integer or an array of them, got ${show(value)}`);
}

/** Throws unless `shape` is an array of at most 8 non-negative integers whose product is a safe integer. */
export function checkShape(fn: string, shape: unknown): readonly number[] {
  if (!Array.isArray(shape)) throw new ValueError(`${fn}: expected shape to be an array of sizes, got ${show(shape)}`);
  checkRank(fn, shape.length);
  let numel = 1;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || (size as number) < 0) {
      throw new ShapeError(`${fn}: expected shape to hold non-negative integers, got ${show(shape)}`);
    }
    numel *= size as number;
  }
  // 8 bytes an element is the widest type; the product must stay exact.
  if (numel > Number.MAX_SAFE_INTEGER / 8) throw new ShapeError(`${fn}: shape ${show(shape)} has too many elements`);
  return shape as readonly number[];
}

/** Throws unless `value` is one of `choices`. */
export function checkOneOf<T extends string>(fn: string, name: string, value: unknown, choices: readonly T[]): T {
  if (choices.includes(value as T)) return value as T;
  throw new ValueError(`${fn}: expected ${name} to be one of ${choices.join(', ')}, got ${show(value)}`);
}

/** Throws unless `value` is a boolean. */
export function checkBoolean(fn: string, name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw new ValueError(`${fn}: expected ${name} to be true or false, got ${show(value)}`);
}

/** Throws unless `value` is a string with at least one character. */
export function checkString(fn: string, name: string, value: unknown): string {
  if (typeof value === 'string' && value.length > 0) return value;
  throw new ValueError(`${fn}: expected ${name} to be a non-empty string, got ${show(value)}`);
}

function range(min: number, max: number): string {
  const lower = min > -Number.MAX_SAFE_INTEGER && min > -Infinity;
  const upper = max < Number.MAX_SAFE_INTEGER && max < Infinity;
  if (lower && upper) return ` in [${min}, ${max}]`;
  if (lower) return ` of at least ${min}`;
  if (upper) return ` of at most ${max}`;
  return '';
}
