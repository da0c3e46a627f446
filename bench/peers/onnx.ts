/**
 * Writes ONNX models (protocol buffers, by hand: tag = field·8 + wire type, lengths and integers as varints). As much as the bench
 * needs: graphs of float32 and int64.
 */

type AttributeValue = number | string | readonly number[];

/** A node's attributes: integers, lists of integers, numbers, text. */
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** An input or output: its name, its shape (a name is a size that differs between calls), its elements. */
export interface Value {
  readonly name: string;
  readonly shape: readonly (number | string)[];
  readonly type?: 'float32' | 'int64';
}

const TYPES = { float32: 1, int64: 7 } as const;
const VARINT = 0;
const BYTES = 2;
const FIXED32 = 5;

function varint(value: number): number[] {
  const bytes: number[] = [];
  if (value < 0) return negative(value);
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return [...bytes, value];
}

/** In 64 bits, two's complement. */
function negative(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) + 128);
  return [...bytes, Number(rest)];
}

const integer = (field: number, value: number): Buffer =>
  Buffer.from([...varint(field * 8 + VARINT), ...varint(value)]);
function bytes(field: number, value: Uint8Array | string | readonly Uint8Array[]): Buffer {
  const content = typeof value === 'string' ? Buffer.from(value) : Array.isArray(value) ? Buffer.concat(value) : value;
  return Buffer.concat([
    Buffer.from([...varint(field * 8 + BYTES), ...varint((content as Uint8Array).length)]),
    content as Uint8Array,
  ]);
}
function float(field: number, value: number): Buffer {
  const content = Buffer.alloc(4);
  content.writeFloatLE(value);
  return Buffer.concat([Buffer.from(varint(field * 8 + FIXED32)), content]);
}

function attribute(name: string, value: AttributeValue): Buffer {
  const [FLOAT_KIND, INT_KIND, STRING_KIND, INTS_KIND] = [1, 2, 3, 7];
  if (typeof value === 'string') return bytes(5, [bytes(1, name), bytes(4, value), integer(20, STRING_KIND)]);
  if (typeof value !== 'number')
    return bytes(5, [bytes(1, name), ...value.map((each) => integer(8, each)), integer(20, INTS_KIND)]);
  return Number.isInteger(value)
    ? bytes(5, [bytes(1, name), integer(3, value), integer(20, INT_KIND)])
    : bytes(5, [bytes(1, name), float(2, value), integer(20, FLOAT_KIND)]);
}

function valueInfo(field: number, { name, shape, type = 'float32' }: Value): Buffer {
  const sizes = shape.map((size) => bytes(1, typeof size === 'string' ? bytes(2, size) : integer(1, size)));
  return bytes(field, [bytes(1, name), bytes(2, bytes(1, [integer(1, TYPES[type]), bytes(2, sizes)]))]);
}

/** A graph under construction: nodes and weights in the order in which they are added. */
export class Graph {
  readonly #parts: Buffer[] = [];
  #count = 0;

  /** Adds a node and returns the name of its result. */
  node(op: string, inputs: readonly string[], attributes: Attributes = {}, output?: string): string {
    return this.nodes(op, inputs, [output ?? this.#name()], attributes)[0]!;
  }

  /** Adds a node of several results, named or as many as `outputs` says; their names. */
  nodes(
    op: string,
    inputs: readonly string[],
    outputs: number | readonly string[],
    attributes: Attributes = {},
  ): readonly string[] {
    const names = typeof outputs === 'number' ? Array.from({ length: outputs }, () => this.#name()) : outputs;
    const named = Object.entries(attributes).map(([name, value]) => attribute(name, value));
    const ends = [...inputs.map((each) => bytes(1, each)), ...names.map((each) => bytes(2, each))];
    this.#parts.push(bytes(1, [...ends, bytes(4, op), ...named]));
    return names;
  }

  /** Adds weights and returns their name. */
  weight(name: string, values: Float32Array | BigInt64Array, shape: readonly number[]): string {
    const raw = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    const sizes = shape.map((size) => integer(1, size));
    const type = values instanceof Float32Array ? TYPES.float32 : TYPES.int64;
    this.#parts.push(bytes(5, [...sizes, integer(2, type), bytes(8, name), bytes(9, raw)]));
    return name;
  }

  /** Adds constants, as sizes and scales are, and returns their name. */
  constant(values: Float32Array | BigInt64Array, shape: readonly number[] = [values.length]): string {
    return this.weight(this.#name(), values, shape);
  }

  /** The model between these ends, of operator set 20. */
  model(inputs: readonly Value[], outputs: readonly Value[]): Uint8Array {
    const ends = [...inputs.map((each) => valueInfo(11, each)), ...outputs.map((each) => valueInfo(12, each))];
    const graph = [...this.#parts, bytes(2, 'bench'), ...ends];
    return Buffer.concat([integer(1, 9), bytes(7, graph), bytes(8, [bytes(1, ''), integer(2, 20)])]);
  }

  #name(): string {
    return `t${this.#count++}`;
  }
}
