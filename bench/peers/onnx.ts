/**
 * Writes ONNX models (protocol buffers, by hand: tag = field·8 + wire type, lengths and integers as varints). As much as the bench
 * needs: graphs of float32 with one input `x` and one output `y`.
 */

/** A node's attributes: integers, lists of integers, numbers. */
export type Attributes = Readonly<Record<string, number | readonly number[]>>;

const FLOAT = 1;
const VARINT = 0;
const BYTES = 2;
const FIXED32 = 5;

function varint(value: number): number[] {
  const bytes: number[] = [];
  // Negative 64-bit integers do not occur: every one written here is a size or an enumeration.
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return [...bytes, value];
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

function attribute(name: string, value: number | readonly number[]): Buffer {
  const [FLOAT_KIND, INT_KIND, INTS_KIND] = [1, 2, 7];
  if (typeof value !== 'number')
    return bytes(5, [bytes(1, name), ...value.map((each) => integer(8, each)), integer(20, INTS_KIND)]);
  return Number.isInteger(value)
    ? bytes(5, [bytes(1, name), integer(3, value), integer(20, INT_KIND)])
    : bytes(5, [bytes(1, name), float(2, value), integer(20, FLOAT_KIND)]);
}

/** name, type float32 and shape. */
const valueInfo = (field: number, name: string, shape: readonly number[]): Buffer =>
  bytes(field, [
    bytes(1, name),
    bytes(
      2,
      bytes(1, [
        integer(1, FLOAT),
        bytes(
          2,
          shape.map((size) => bytes(1, integer(1, size))),
        ),
      ]),
    ),
  ]);

/** A graph under construction: nodes and weights in the order in which they are added. */
export class Graph {
  readonly #parts: Buffer[] = [];
  #count = 0;

  /** Adds a node and returns the name of its result. */
  node(op: string, inputs: readonly string[], attributes: Attributes = {}, output = `t${this.#count++}`): string {
    const named = Object.entries(attributes).map(([name, value]) => attribute(name, value));
    this.#parts.push(bytes(1, [...inputs.map((each) => bytes(1, each)), bytes(2, output), bytes(4, op), ...named]));
    return output;
  }

  /** Adds weights and returns their name. */
  weight(name: string, values: Float32Array, shape: readonly number[]): string {
    const raw = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    const sizes = shape.map((size) => integer(1, size));
    this.#parts.push(bytes(5, [...sizes, integer(2, FLOAT), bytes(8, name), bytes(9, raw)]));
    return name;
  }

  /** The model from `x` to `y`, of operator set 13. */
  model(input: readonly number[], output: readonly number[]): Uint8Array {
    const graph = [...this.#parts, bytes(2, 'bench'), valueInfo(11, 'x', input), valueInfo(12, 'y', output)];
    return Buffer.concat([integer(1, 8), bytes(7, graph), bytes(8, [bytes(1, ''), integer(2, 13)])]);
  }
}
