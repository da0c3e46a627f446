import { grad, MyelinError, scope, type Tensor } from 'myelin';
import { Arguments, tensorOf, Unsupported, type Float } from './arguments.js';
import type { ArrayRef, Case, Dump } from './dump.js';
import { elementwise } from './elementwise.js';
import { compare, type Gate } from './gates.js';
import { layers } from './layers.js';
import { asMethods, type Operation } from './operation.js';
import { shaping } from './shaping.js';

/** PyTorch's operations and what they are called here. */
export const operations: Readonly<Record<string, Operation>> = { ...elementwise, ...shaping, ...layers };

export type Status = 'passed' | 'failed' | 'unsupported';

/** What became of one case. */
export interface Verdict {
  name: string;
  op: string;
  status: Status;
  /** Why it did not pass. */
  reason?: string;
}

export interface RunOptions {
  /** The dtype that floating inputs take; default float32. Results of float64 are held to a millionth of the gates. */
  dtype?: Float;
  /** Call methods instead of functions where there are both. */
  methods?: boolean;
}

class Mismatch extends Error {}

function check(dump: Dump, what: string, actual: Tensor, wanted: ArrayRef, gate: Gate): void {
  const got = actual.shape.join(', ');
  if (got !== wanted.shape.join(', ')) {
    throw new Mismatch(`${what}: shape [${got}], expected [${wanted.shape.join(', ')}]`);
  }
  const kind = { float32: 'float', float64: 'float', int32: 'int', int64: 'int', uint8: 'int', bool: 'bool' } as const;
  if (kind[actual.dtype] !== kind[wanted.dtype]) {
    throw new Mismatch(`${what}: dtype ${actual.dtype}, expected ${wanted.dtype}`);
  }
  const said = compare(actual.dataSync(), dump.values(wanted), gate, actual.dtype === 'float32');
  if (said !== null) throw new Mismatch(`${what}: ${said}`);
}

function runChecked(
  dump: Dump,
  one: Case,
  operation: Operation,
  { dtype = 'float32', methods = false }: RunOptions,
): void {
  const a = new Arguments(dump, one, operation.parameters, dtype);
  const result = methods ? asMethods(() => operation.call(a)) : operation.call(a);
  const outputs = Array.isArray(result) ? (result as Tensor[]) : [result as Tensor];
  if (a.unread.length > 0) throw new Unsupported(`argument ${a.unread.join(', ')}`);
  if (outputs.length !== one.outputs.length) {
    throw new Mismatch(`${outputs.length} outputs, expected ${one.outputs.length}`);
  }
  const gate = typeof operation.outputs === 'function' ? operation.outputs(a) : operation.outputs;
  outputs.forEach((y, i) => check(dump, `output ${i}`, y, one.outputs[i]!, gate));

  const { grads } = one;
  if (grads === null) return;
  const inputs = a.differentiated;
  if (inputs.length !== grads.length)
    throw new Mismatch(`${inputs.length} inputs to differentiate, ${grads.length} gradients`);
  const floats = outputs.filter((y) => y.dtype === 'float32' || y.dtype === 'float64');
  const upstream = one.upstream.map((ref, i) => tensorOf(dump, ref, dtype).to(floats[i]?.dtype ?? dtype));
  if (floats.length !== upstream.length) {
    throw new Mismatch(`${floats.length} floating outputs, ${upstream.length} gradients of them`);
  }
  const recorded = floats.flatMap((y, i) => (y.requiresGrad ? [i] : []));
  const found =
    recorded.length === 0
      ? inputs.map(() => null)
      : grad(
          recorded.map((i) => floats[i]!),
          inputs,
          { gradOutputs: recorded.map((i) => upstream[i]!), allowUnused: true },
        );
  grads.forEach((wanted, i) => {
    const actual = found[i] ?? null;
    // PyTorch has none where the derivative is zero by rule or not modelled; a gradient of zeros says the same.
    if (wanted === null) {
      return;
    }
    if (actual === null) {
      if (dump.values(wanted).some((x) => x !== 0)) throw new Mismatch(`gradient ${i}: none, expected one`);
      return;
    }
    check(dump, `gradient ${i}`, actual, wanted, operation.grads);
  });
}

/** Runs one case; never throws. */
export function runCase(dump: Dump, one: Case, options: RunOptions = {}): Verdict {
  const { name, op } = one;
  const operation = Object.hasOwn(operations, op) ? operations[op] : undefined;
  if (operation === undefined) return { name, op, status: 'unsupported', reason: `no operation ${op}` };
  try {
    scope(() => runChecked(dump, one, operation, options));
    return { name, op, status: 'passed' };
  } catch (error) {
    if (error instanceof Unsupported) return { name, op, status: 'unsupported', reason: error.message };
    const reason = error instanceof Mismatch ? error.message : String(error);
    return { name, op, status: 'failed', reason: error instanceof MyelinError ? `threw ${reason}` : reason };
  }
}

/** Runs the cases of a dump, all or those of the named operations. */
export function runDump(dump: Dump, only: readonly string[] | null = null, options: RunOptions = {}): Verdict[] {
  const wanted = (op: string): boolean =>
    only === null || only.some((name) => op === name || op === `nn.functional.${name}`);
  return dump.cases.filter(({ op }) => wanted(op)).map((one) => runCase(dump, one, options));
}

/** `N passed, N failed, N unsupported`. */
export function totals(verdicts: readonly Verdict[]): string {
  const count = (status: Status): number => verdicts.filter((v) => v.status === status).length;
  return `${count('passed')} passed, ${count('failed')} failed, ${count('unsupported')} unsupported`;
}

/** An aligned table: a row for each operation, with what became of its cases. */
export function table(verdicts: readonly Verdict[]): string {
  const rows = new Map<string, Record<Status, number>>();
  for (const { op, status } of verdicts) {
    const row = rows.get(op) ?? { passed: 0, failed: 0, unsupported: 0 };
    row[status]++;
    rows.set(op, row);
  }
  const width = Math.max(9, ...[...rows.keys()].map((op) => op.length));
  const line = (op: string, ...cells: (string | number)[]): string =>
    `${op.padEnd(width)}${cells.map((cell) => String(cell === 0 ? '' : cell).padStart(13)).join('')}`.trimEnd();
  return [
    line('operation', 'passed', 'failed', 'unsupported'),
    ...[...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([op, n]) => line(op, n.passed, n.failed, n.unsupported)),
  ].join('\n');
}

/** One line for each case that failed or is unsupported. */
export function complaints(verdicts: readonly Verdict[]): string[] {
  return verdicts.flatMap(({ name, status, reason }) =>
    status === 'passed' ? [] : [`${status} ${name}: ${reason ?? ''}`],
  );
}
