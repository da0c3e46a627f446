import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';

interface Flat {
  shape: number[];
  data: (number | string)[];
}
interface Golden {
  name: string;
  inputs: Flat[];
  output: Flat;
  grads?: Flat[];
}

const golden = JSON.parse(readFileSync(new URL('../golden/ops.json', import.meta.url), 'utf8')) as { cases: Golden[] };

const decode = (v: number | string): number =>
  typeof v === 'number' ? v : v === 'nan' ? NaN : v === 'inf' ? Infinity : -Infinity;

const target = m.tensor([0, 3, 1, -100, 2], { dtype: 'int32' });
const weight = (dtype: m.DType): Tensor => m.tensor([0.5, 2, 1, 1.5], { dtype });

/** The call that a case of test/golden/ops.py stands for. */
function call(name: string, x: Tensor[]): Tensor {
  const [op, argument = ''] = name.split(':') as [string, string?];
  const [a, b, c] = x as [Tensor, Tensor, Tensor];
  switch (op) {
    case 'geluTanh':
      return m.gelu(a, { approximate: 'tanh' });
    case 'clamp':
      return m.clamp(a, -0.75, 1.25);
    case 'sum':
    case 'mean':
    case 'amax':
    case 'amin':
    case 'prod':
      return m[op](a, argument === '' ? undefined : argument.split(',').map(Number));
    case 'argmax':
    case 'argmin':
    case 'softmax':
    case 'logSoftmax':
      return m[op](a, Number(argument));
    case 'linear':
      return m.linear(a, b, c);
    case 'crossEntropy':
      return m.crossEntropy(a, target, { reduction: argument as m.Reduction });
    case 'crossEntropySmooth':
      return m.crossEntropy(a, target, {
        reduction: argument as m.Reduction,
        weight: weight(a.dtype),
        labelSmoothing: 0.2,
      });
    case 'mseLoss':
      return m.mseLoss(a, b, { reduction: argument as m.Reduction });
    default:
      return (m as unknown as Record<string, (...t: Tensor[]) => Tensor>)[op]!(...x);
  }
}

const tolerance = { float32: [1e-6, 3e-6], float64: [1e-13, 1e-12] } as const;

function expectClose(actual: Tensor, wanted: Flat, dtype: 'float32' | 'float64', what: string): void {
  expect(actual.shape, what).toEqual(wanted.shape);
  const data = actual.dataSync();
  const [atol, rtol] = tolerance[dtype];
  wanted.data.forEach((w, i) => {
    const value = decode(w);
    const got = data[i]!;
    const rounded = dtype === 'float32' ? Math.fround(value) : value;
    const same = Object.is(got, rounded) || got === rounded || (Number.isNaN(got) && Number.isNaN(rounded));
    if (!same && !(Math.abs(got - value) <= atol + rtol * Math.abs(value))) {
      expect.fail(`${what}: element ${i} is ${got}, PyTorch gives ${value}`);
    }
  });
}

for (const dtype of ['float64', 'float32'] as const) {
  describe(`values and gradients of PyTorch, ${dtype}`, () => {
    golden.cases.forEach(({ name, inputs, output, grads }, n) => {
      it(`${name} #${n}`, () => {
        const leaves = inputs.map(({ shape, data }) =>
          m.fromTypedArray(Float64Array.from(data, decode), shape, { dtype, requiresGrad: grads !== undefined }),
        );
        const out = call(name, leaves);
        expectClose(out, output, dtype, 'output');
        if (grads === undefined) return;
        const w = Float64Array.from({ length: out.numel }, (_, i) => Math.cos(i));
        out.backward(m.fromTypedArray(w, out.shape, { dtype }));
        grads.forEach((g, i) => expectClose(leaves[i]!.grad!, g, dtype, `gradient ${i}`));
      });
    });
  });
}
