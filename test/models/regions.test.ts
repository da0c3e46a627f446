import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import { numbers } from '../nn/values.js';

const at = (pieces: m.LinearPiece[], x: number): number => {
  const piece = pieces.find(({ from, to }) => from <= x && x <= to)!;
  return piece.slopes[0]! * x + piece.offsets[0]!;
};

describe('linear regions', () => {
  it('have the maxima of the lecture', () => {
    expect(m.maximumRegions(1, 10, 5)).toBe(161_051n);
    expect(Number(m.maximumRegions(10, 50, 5))).toBeCloseTo(1.796e41, -38);
    expect(m.maximumRegions(2, 3, 1)).toBe(7n);
    expect(() => m.maximumRegions(3, 2, 1)).toThrow(m.ValueError);
  });

  it('are counted where a network of one input bends', async () => {
    const net = new m.MLP([1, 3, 1]);
    m.noGrad(() => {
      net.fc[0]!.weight.copy_(m.tensor([[-1], [2], [0.65]]));
      net.fc[0]!.bias!.copy_(m.tensor([0.3, -1, -0.5]));
      net.fc[1]!.weight.copy_(m.tensor([[2, -1, 7]]));
      net.fc[1]!.bias!.copy_(m.tensor([-0.3]));
    });
    const pieces = await m.linearPieces(net);
    expect(pieces).toHaveLength(4);
    [0.3, 0.5, 0.5 / 0.65].forEach((joint, i) => expect(pieces[i]!.to).toBeCloseTo(joint, 6));
    expect((await m.linearPieces(net, [0.4, 0.6])).map(({ from, to }) => [from, to])).toEqual([
      [0.4, 0.5],
      [0.5, 0.6],
    ]);
  });

  it('are the network itself, piece by piece', async () => {
    for (const sizes of [
      [1, 7, 1],
      [1, 5, 6, 4, 1],
    ]) {
      const net = new m.MLP(sizes, { generator: new m.Generator(3) });
      const pieces = await m.linearPieces(net);
      expect(pieces.length).toBeGreaterThan(3);
      const xs = Array.from({ length: 101 }, (_, i) => -5 + i / 10);
      const y = numbers(net.forward(m.tensor(xs.map((x) => [x]))));
      xs.forEach((x, i) => expect(at(pieces, x)).toBeCloseTo(y[i]!, 4));
      // Every bend is one: the patterns on its sides differ.
      const inside = pieces.slice(1, -1).filter(({ from, to }) => to - from > 1e-3);
      const middles = inside.map(({ from, to }) => [(from + to) / 2]);
      const { count } = await m.sampledRegions(net, m.tensor(middles));
      expect(count).toBeGreaterThan(inside.length * 0.7);
    }
  });

  it('are as many as can be in a zigzag network', async () => {
    for (const [width, layers] of [
      [4, 3],
      [10, 3],
      [7, 2],
    ] as const) {
      const pieces = await m.linearPieces(m.zigzagNetwork(width, layers));
      expect(pieces).toHaveLength(Number(m.maximumRegions(1, width, layers)));
    }
    const net = m.zigzagNetwork(10, 5);
    expect(net.parameters().reduce((sum, p) => sum + p.numel, 0)).toBe(471);
    expect(numbers(net.forward(m.tensor([[0], [2], [3], [5]])))).toEqual([0, 21, 0, 21]);
  });

  it('are found in the plane by sampling', async () => {
    const net = new m.MLP([2, 2, 1]);
    m.noGrad(() => {
      net.fc[0]!.weight.copy_(m.eye(2));
      net.fc[0]!.bias!.zero_();
    });
    const grid = m.planeGrid([-1, 1], [-1, 1], 8);
    expect(numbers(grid).slice(0, 4)).toEqual([-1, 1, expect.closeTo(-1 + 2 / 7, 6) as number, 1]);
    const { count, labels } = await m.sampledRegions(net, grid);
    expect(count).toBe(4);
    expect(Array.from(labels.slice(0, 8))).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
    expect(m.activationPatterns(net, m.tensor([[2, -1]])).dataSync()).toEqual(new Uint8Array([1, 0]));
  });

  it('refuse other networks', async () => {
    await expect(m.linearPieces(new m.MLP([2, 3, 1]))).rejects.toThrow('expected a network of one input, got 2');
    await expect(m.linearPieces(new m.MLP([1, 3, 1], { activation: 'tanh' }))).rejects.toThrow('got tanh');
    await expect(m.linearPieces(new m.MLP([1, 3, 1]), [1, 1])).rejects.toThrow(m.ValueError);
    await expect(m.sampledRegions(new m.MLP([2, 3, 1]), m.ones([4, 3]))).rejects.toThrow(m.ShapeError);
    expect(() => m.activationPatterns(new m.MLP([2, 1]), m.ones([4, 2]))).toThrow('hidden layer');
    expect(() => m.zigzagNetwork(3, 2)).toThrow(m.ValueError);
  });
});
