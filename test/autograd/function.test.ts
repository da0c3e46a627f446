import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import {
  AutogradError,
  defineFunction,
  DTypeError,
  type FunctionContext,
  grad,
  gradcheck,
  gradgradcheck,
  ShapeError,
  type Tensor,
  ValueError,
} from '../../lib/index.js';

const leaf = (values: m.NestedArray): Tensor => m.tensor(values, { dtype: 'float64', requiresGrad: true });

const cube = defineFunction({
  name: 'cube',
  forward(ctx, x: Tensor) {
    ctx.saveForBackward(x);
    return x.pow(3);
  },
  backward(ctx, dy) {
    const [x] = ctx.savedTensors;
    return dy.mul(x!.square()).mul(3);
  },
});

/** Saves its result, and remembers a number. */
const scaledExp = defineFunction({
  name: 'scaledExp',
  forward(ctx: FunctionContext<{ scale: number }>, x: Tensor, scale: number) {
    const y = x.mul(scale).exp();
    ctx.saveForBackward(y);
    ctx.state = { scale };
    return y;
  },
  backward(ctx, dy) {
    return [dy.mul(ctx.savedTensors[0]!).mul(ctx.state.scale), null];
  },
});

/** Two results, of which either may go unused, and one without a gradient. */
const polar = defineFunction({
  name: 'polar',
  forward(ctx, x: Tensor, y: Tensor) {
    const r = x.square().add(y.square()).sqrt();
    const ratio = y.div(x);
    const right = x.gt(0);
    ctx.saveForBackward(x, y, r);
    return [r, right, ratio] as const;
  },
  backward(ctx, dr, dratio) {
    const [x, y, r] = ctx.savedTensors as [Tensor, Tensor, Tensor];
    const g = dratio.div(x);
    return [dr.mul(x).div(r).sub(g.mul(y).div(x)), dr.mul(y).div(r).add(g)];
  },
});

describe('defineFunction', () => {
  it('differentiates as its backward says, once and twice', () => {
    const x = leaf([0.5, -1.5, 2]);
    const y = cube(x);
    expect(Array.from(y.dataSync())).toEqual([0.125, -3.375, 8]);
    y.sum().backward();
    expect(Array.from(x.grad!.dataSync())).toEqual([0.75, 6.75, 12]);
    expect(gradcheck(cube, [leaf([0.5, -1.5, 2])])).toBe(true);
    expect(gradgradcheck(cube, [leaf([0.5, -1.5, 2])])).toBe(true);
  });

  it('saves results and remembers what is no tensor', () => {
    expect(
      gradcheck(
        (x) => scaledExp(x, 0.7),
        [
          leaf([
            [0.5, -1],
            [1, 2],
          ]),
        ],
      ),
    ).toBe(true);
    expect(gradgradcheck((x) => scaledExp(x, 0.7), [leaf([0.5, -1])])).toBe(true);
  });

  it('gives several results, used together or apart', () => {
    const inputs = (): Tensor[] => [leaf([0.5, -1.5]), leaf([2, 1])];
    const floats = (x: Tensor, y: Tensor): Tensor[] => [polar(x, y)[0], polar(x, y)[2]];
    expect(gradcheck((x, y) => floats(x, y), inputs())).toBe(true);
    expect(gradgradcheck((x, y) => floats(x, y), inputs())).toBe(true);
    for (const i of [0, 2] as const) expect(gradcheck((x, y) => polar(x, y)[i], inputs())).toBe(true);
    const [x, y] = inputs() as [Tensor, Tensor];
    const [r, right, ratio] = polar(x, y);
    expect(right.requiresGrad).toBe(false);
    r.mul(ratio).sum().backward();
    expect(x.grad).not.toBeNull();
  });

  it('records nothing where nothing is asked for, and tells backward what is', () => {
    const seen: boolean[][] = [];
    const product = defineFunction({
      name: 'product',
      forward(ctx, a: Tensor, b: Tensor) {
        ctx.saveForBackward(a, b);
        return a.mul(b);
      },
      backward(ctx, dy) {
        seen.push([...ctx.needsInputGrad]);
        const [a, b] = ctx.savedTensors as [Tensor, Tensor];
        return [ctx.needsInputGrad[0] ? dy.mul(b) : null, ctx.needsInputGrad[1] ? dy.mul(a) : null];
      },
    });
    const [a, b] = [leaf([1, 2]), m.tensor([3, 4], { dtype: 'float64' })];
    expect(product(b, b).requiresGrad).toBe(false);
    expect(m.noGrad(() => product(a, b)).requiresGrad).toBe(false);
    product(a, b).sum().backward();
    expect(seen).toEqual([[true, false]]);
    expect(b.grad).toBeNull();
  });

  it('may return an argument, or the same result twice', () => {
    const straight = defineFunction({
      name: 'straight',
      forward: (_, x: Tensor) => x,
      backward: (_, dy) => dy.mul(2),
    });
    const x = leaf([1, 2]);
    const y = straight(x);
    expect(y).not.toBe(x);
    y.sum().backward();
    expect(Array.from(x.grad!.dataSync())).toEqual([2, 2]);
    const twice = defineFunction({
      forward: (_, t: Tensor) => {
        const z = t.mul(3);
        return [z, z];
      },
      backward: (_, a, b) => a.add(b).mul(3),
    });
    const z = leaf([1]);
    const [p, q] = twice(z) as [Tensor, Tensor];
    p.add(q.mul(2)).sum().backward();
    expect(z.grad!.itemSync()).toBe(9);
  });

  it('can mark results and gradients as not differentiable', () => {
    const marked = defineFunction({
      name: 'marked',
      forward(ctx, x: Tensor) {
        const [a, b] = [x.mul(2), x.mul(3)];
        ctx.markNonDifferentiable(b);
        return [a, b] as const;
      },
      backward: (_, da) => da.mul(2),
      onceDifferentiable: true,
    });
    const x = leaf([1, 2]);
    const [a, b] = marked(x);
    expect([a.requiresGrad, b.requiresGrad]).toEqual([true, false]);
    expect(() => grad(a.sum(), x, { createGraph: true })).toThrow(/^marked: its backward is marked onceDifferentiable/);
    expect(() => grad(marked(x)[0].sum(), x, { createGraph: true })).toThrow(AutogradError);
    expect(Array.from(grad(marked(x)[0].sum(), x)[0].dataSync())).toEqual([2, 2]);
  });

  it('refuses what does not fit', () => {
    const returning = (value: unknown, message: RegExp, type: new (...args: never[]) => Error): void => {
      const f = defineFunction({ name: 'f', forward: (_, x: Tensor) => x.mul(2), backward: () => value as never });
      const run = (): void =>
        f(leaf([1, 2]))
          .sum()
          .backward();
      expect(run).toThrow(type);
      expect(run).toThrow(message);
    };
    returning(
      m.ones([3], { dtype: 'float64' }),
      /^f: expected the gradient of argument 0 of shape \[2\], got \[3\]/,
      ShapeError,
    );
    returning(m.ones([2]), /^f: expected the gradient of argument 0 of the argument's dtype, got float32/, DTypeError);
    returning([null, null], /^f: expected at most 1 gradients from backward, got 2/, ValueError);
    returning('x', /^f: expected backward to return a gradient or an array of them, got "x"/, ValueError);
    returning([3], /^f: expected the gradient of argument 0 to be a Tensor, got 3/, ValueError);
    expect(() => defineFunction({ forward: 3, backward: 4 } as never)).toThrow(
      /^defineFunction: expected forward to be a function, got 3/,
    );
    const none = defineFunction({ name: 'none', forward: () => 3 as never, backward: () => null });
    expect(() => none()).toThrow(/^none: expected the result of forward to be a Tensor, got 3/);
    const promised = defineFunction({
      name: 'late',
      forward: () => Promise.resolve(m.ones([1])) as never,
      backward: () => null,
    });
    expect(() => promised()).toThrow(ValueError);
    const tooLate = defineFunction({
      name: 'tooLate',
      forward: (_, x: Tensor) => x.mul(2),
      backward(ctx, dy) {
        ctx.saveForBackward(dy);
        return dy;
      },
    });
    expect(() => tooLate(leaf([1])).backward()).toThrow(/^tooLate: saveForBackward belongs in forward/);
  });

  it('notices that a saved tensor was changed in place', () => {
    const x = leaf([1, 2]);
    const y = cube(x);
    m.noGrad(() => x.add_(1));
    expect(() => y.sum().backward()).toThrow(/^backward: cube needs a tensor of shape \[2\] that was changed in place/);
  });
});
