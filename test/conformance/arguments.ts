import { fromTypedArray, tensor, Tensor, type DType } from 'myelin';
import type { Argument, ArrayRef, Case, Dump } from './dump.js';

/** What this library (or this runner) has no counterpart for; never a wrong result. */
export class Unsupported extends Error {}

/** The dtype that floating inputs take. */
export type Float = 'float32' | 'float64';

const dtypes: Readonly<Record<string, DType>> = {
  float32: 'float32',
  float64: 'float64',
  int32: 'int32',
  int64: 'int32',
  uint8: 'uint8',
  bool: 'bool',
};

/** An array of a dump as a tensor: floating values in the given dtype, int64 as int32. */
export function tensorOf(dump: Dump, ref: ArrayRef, float: Float): Tensor {
  const values = dump.values(ref);
  if (ref.dtype === 'bool' || ref.dtype === 'uint8') return tensor(values, { dtype: ref.dtype }).reshape(ref.shape);
  if (ref.dtype === 'float32' || ref.dtype === 'float64') return fromTypedArray(values, ref.shape, { dtype: float });
  const integers = Int32Array.from(values);
  if (integers.some((value, i) => value !== values[i])) throw new Unsupported('integers beyond int32');
  return fromTypedArray(integers, ref.shape);
}

type Value = Tensor | number | string | boolean | null | Value[];

/** The arguments of a case by PyTorch's names; remembers which were asked for. */
export class Arguments {
  /** Every tensor argument that requires a gradient, in the order of the case's `grads`. */
  readonly differentiated: Tensor[];
  private readonly values = new Map<string, Value>();
  private readonly left = new Set<string>();

  constructor(
    dump: Dump,
    { input, args, kwargs }: Case,
    names: readonly string[],
    private readonly float: Float,
  ) {
    const wanted: [index: number, tensor: Tensor][] = [];
    const decode = (argument: Argument): Value => {
      if ('tensor' in argument) {
        const t = tensorOf(dump, argument.tensor, float);
        if (argument.requiresGrad) wanted.push([argument.index, t.requiresGrad_()]);
        return t;
      }
      if ('list' in argument) return argument.list.map(decode);
      if ('dtype' in argument) {
        const name = dtypes[argument.dtype];
        if (name === undefined) throw new Unsupported(`dtype ${argument.dtype}`);
        return name;
      }
      return argument.value;
    };
    const bind = (name: string, argument: Argument): void => {
      if (this.values.has(name)) throw new Unsupported(`argument ${name} given twice`);
      this.values.set(name, decode(argument));
      this.left.add(name);
    };
    [input, ...args].forEach((argument, i) => {
      const name = names[i];
      if (name === undefined) throw new Unsupported(`${args.length + 1} positional arguments`);
      bind(name, argument);
    });
    for (const [name, argument] of Object.entries(kwargs)) bind(name, argument);
    this.differentiated = wanted.sort(([a], [b]) => a - b).map(([, t]) => t);
  }

  /** Arguments of the case that the call did not look at. */
  get unread(): string[] {
    return [...this.left];
  }

  /** Whether the case gives this argument, null included. */
  given(name: string): boolean {
    return this.values.has(name);
  }

  private get<T>(name: string, what: string, is: (value: Value) => value is Value & T): T | undefined {
    this.left.delete(name);
    const value = this.values.get(name);
    if (value === undefined || value === null) return undefined;
    if (!is(value)) throw new Unsupported(`argument ${name} that is not ${what}`);
    return value;
  }

  /** The required tensor of this name. */
  tensor(name: string): Tensor {
    const value = this.optionalTensor(name);
    if (value === undefined) throw new Unsupported(`no argument ${name}`);
    return value;
  }

  optionalTensor(name: string): Tensor | undefined {
    return this.get(name, 'a tensor', (value): value is Tensor => value instanceof Tensor);
  }

  tensors(name: string): Tensor[] {
    const all = this.get(name, 'a list of tensors', (value): value is Tensor[] =>
      Array.isArray(value) ? value.every((x) => x instanceof Tensor) : false,
    );
    return all ?? [];
  }

  /** A number, also one that the dump writes as a string because JSON has no infinities. */
  number(name: string): number | undefined {
    if (this.values.get(name) === 'inf' || this.values.get(name) === '-inf' || this.values.get(name) === 'nan') {
      this.left.delete(name);
      return { inf: Infinity, '-inf': -Infinity, nan: NaN }[this.values.get(name) as 'inf' | '-inf' | 'nan'];
    }
    return this.get(name, 'a number', (value): value is number => typeof value === 'number');
  }

  /** The required number of this name; one element of an integer tensor will do. */
  integer(name: string): number {
    const value = this.values.get(name);
    if (value instanceof Tensor && value.numel === 1) {
      this.left.delete(name);
      return value.itemSync();
    }
    const number = this.number(name);
    if (number === undefined) throw new Unsupported(`no argument ${name}`);
    return number;
  }

  boolean(name: string): boolean | undefined {
    return this.get(name, 'true or false', (value): value is boolean => typeof value === 'boolean');
  }

  string(name: string): string | undefined {
    return this.get(name, 'a string', (value): value is string => typeof value === 'string');
  }

  /** A tensor or a number. */
  operand(name: string): Tensor | number {
    return this.values.get(name) instanceof Tensor ? this.tensor(name) : this.integer(name);
  }

  /** An integer, or a list of integers (null allowed among them). An empty list counts as not given. */
  integers(name: string): number | (number | null)[] | undefined {
    const value = this.get(name, 'integers', (v): v is number | (number | null)[] => {
      const integral = (x: Value): boolean => x === null || (typeof x === 'number' && Number.isInteger(x));
      return Array.isArray(v) ? v.every(integral) : integral(v);
    });
    return value;
  }

  /** Likewise as a list without null. */
  list(name: string): number[] | undefined {
    const value = this.integers(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) return [value];
    if (!value.every((x) => x !== null)) throw new Unsupported(`argument ${name} with null`);
    return value;
  }

  dtype(name: string): DType | undefined {
    const value = this.string(name);
    // The arrays of a dump were widened to float64 together with every dtype named in a call.
    return value === 'float32' ? this.float : (value as DType | undefined);
  }
}
