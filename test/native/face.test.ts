import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addon, type NativeFailure } from '../../lib/native/stream.js';
import { loadAddon } from '../../lib/native/load.js';
import * as m from '../../lib/index.js';

// The native face is driven by hand here, below all checks of the front end. Handles are taken far from those in use.

const { segments, segmentWords } = addon;
let segment = 0;

function submit(words: readonly number[]): void {
  segments[segment]!.set(words.slice(0, segmentWords));
  segment = addon.submit(segment, Math.min(words.length, segmentWords), false);
}

const op = (name: string): number => addon.ops.indexOf(name);
const F32 = 0;
const vector = (id: number, n: number, code = F32, offset = 0): number[] => [id, code | (1 << 4) | (1 << 8), offset, n];
const failed = (value: unknown): value is NativeFailure =>
  typeof value === 'object' && value !== null && 'status' in value;

/** The library still works: what every hostile case ends with. */
function alive(): void {
  addon.sync(); // takes whatever error is kept
  expect(m.ones([3]).add(1).sum().itemSync()).toBe(6);
}

describe('native face', () => {
  it('is one per thread and lists the ops', () => {
    expect(loadAddon()).toBe(addon);
    expect(addon.ops).toContain('matmul');
    expect(segments).toHaveLength(8);
  });

  it('runs a command written by hand', () => {
    submit([op('fill'), 0, 1, 1, ...vector(900_001, 4), 2.5]);
    expect(addon.item(900_001, F32, 3)).toBe(2.5);
    submit([-1, 900_001]);
    expect(failed(addon.item(900_001, F32, 0))).toBe(true);
    alive();
  });

  it('answers commands that are none with errors', () => {
    const broken: number[][] = [
      [1e9, 0, 0, 0],
      [-7],
      [NaN, NaN, NaN, NaN],
      [op('fill')],
      [op('fill'), 0, 1, 1],
      [op('fill'), 0, 1, 1, ...vector(900_002, -4), 1],
      [op('fill'), 0, 1, 1, ...vector(900_002, 1e15), 1],
      [op('fill'), 0, 1, 1, ...vector(900_002, 4, F32, -1), 1],
      [op('fill'), 0, 1, 1, ...vector(2 ** 40, 4), 1],
      [op('fill'), 0, 1, 1, 900_002, 0 | (15 << 4) | (1 << 8), 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
      [op('fill'), 0, 1, 1, ...vector(900_002, 4, 7), 1],
      [op('add'), 2, 1, 0, ...vector(900_003, 4), ...vector(900_004, 4), ...vector(900_005, 4)],
      [op('matmul'), 2, 1, 2, ...vector(900_003, 4), ...vector(900_004, 4), ...vector(900_005, 4), 0, 0],
      [-2, 900_009],
      [-1, 900_010],
    ];
    for (const words of broken) {
      submit(words);
      expect(() => alive()).not.toThrow();
    }
  });

  it('refuses views that leave their storage', () => {
    submit([op('fill'), 0, 1, 1, ...vector(900_020, 4), 1]);
    submit([op('neg'), 1, 1, 0, ...vector(900_020, 5), ...vector(900_021, 5)]);
    expect(failed(addon.item(900_021, F32, 0))).toBe(true);
    submit([op('neg'), 1, 1, 0, ...vector(900_020, 2, F32, 3), ...vector(900_022, 2)]);
    expect(failed(addon.item(900_022, F32, 0))).toBe(true);
    expect(failed(addon.item(900_020, F32, 4))).toBe(true);
    expect(failed(addon.read(900_020, 12, 8))).toBe(true);
    expect(addon.item(900_020, F32, 3)).toBe(1);
    submit([-1, 900_020, -1, 900_021, -1, 900_022]);
    alive();
  });

  it('survives arbitrary words', () => {
    const word = fc.oneof(
      fc.double(),
      fc.integer({ min: -3, max: 12 }),
      fc.integer({ min: 0, max: addon.ops.length }),
      fc.integer({ min: 910_000, max: 910_004 }),
      fc.constantFrom(272, 273, 274, 275, 276, 256, 16, 32, 528, 1e300, -0, 2 ** 31, 2 ** 53),
    );
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 60 }), (words) => {
        submit(words);
        addon.sync();
      }),
      { numRuns: 3000 },
    );
    alive();
  });

  it('survives well-formed commands with arbitrary operands', () => {
    const operand = fc.oneof(
      fc
        .record({
          id: fc.integer({ min: 920_000, max: 920_005 }),
          code: fc.integer({ min: 0, max: 4 }),
          offset: fc.constantFrom(0, 0, 0, 1, 3),
          shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
          strides: fc.option(fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 4, maxLength: 4 })),
        })
        .map(({ id, code, offset, shape, strides }) =>
          strides === null
            ? [id, code | (shape.length << 4) | 256, offset, ...shape]
            : [id, code | (shape.length << 4), offset, ...shape, ...strides.slice(0, shape.length)],
        ),
      fc.tuple(fc.constant(-1), fc.integer({ min: 0, max: 4 }), fc.double()).map((x) => x as number[]),
      fc.constant([-2]),
    );
    const command = fc
      .record({
        code: fc.integer({ min: 0, max: addon.ops.length - 1 }),
        inputs: fc.array(operand, { maxLength: 4 }),
        outputs: fc.array(operand, { minLength: 1, maxLength: 3 }),
        params: fc.array(fc.oneof(fc.integer({ min: -2, max: 5 }), fc.double()), { maxLength: 8 }),
      })
      .map(({ code, inputs, outputs, params }) => [
        code,
        inputs.length,
        outputs.length,
        params.length,
        ...inputs.flat(),
        ...outputs.flat(),
        ...params,
      ]);
    fc.assert(
      fc.property(fc.array(command, { minLength: 1, maxLength: 6 }), (commands) => {
        submit(commands.flat());
        addon.sync();
        submit([0, 1, 2, 3, 4, 5].flatMap((i) => [-1, 920_000 + i]));
        addon.sync();
      }),
      { numRuns: 4000 },
    );
    alive();
  });

  it('checks the arguments of its functions', () => {
    const face = addon as unknown as Record<string, (...args: unknown[]) => unknown>;
    for (const [name, ...args] of [
      ['submit'],
      ['submit', 99, 1, true],
      ['submit', 0, -1, true],
      ['submit', 0, segmentWords + 1, true],
      ['item'],
      ['item', 'x', 0, 0],
      ['read', 1, -1, 4],
      ['read', 1, 0, NaN],
      ['read', 1, 0, 2 ** 60],
      ['upload', 1, 'text'],
      ['upload', -5, new Float32Array(1)],
      ['upload'],
      ['track'],
      ['track', 1, 2],
      ['untrack', {}],
      ['untrack', 123_456],
      ['setNumThreads', 0],
      ['setNumThreads', 'x'],
      ['setMemoryLimit', -1],
      ['setMemoryLimit', NaN],
    ] as [string, ...unknown[]][]) {
      let value: unknown;
      try {
        value = face[name]!(...args);
      } catch (error) {
        expect(error, name).toBeInstanceOf(Error);
        continue;
      }
      expect(
        value === undefined || failed(value),
        `${name}(${args.map(String).join(', ')}) gave ${String(value)}`,
      ).toBe(true);
    }
    alive();
  });

  it('does not read a detached array', () => {
    const data = new Float32Array(8);
    structuredClone(data.buffer, { transfer: [data.buffer] });
    expect(() => m.fromTypedArray(data, [8])).toThrow(/expected an array with its memory/);
    alive();
  });
});
