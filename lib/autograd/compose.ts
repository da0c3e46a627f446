import { record } from '../ops/apply.js';
import type { Tensor } from '../tensor.js';
import { grad } from './backward.js';
import { enableGrad, isGradEnabled, type Node, type Rule } from './graph.js';

const aliasRule: Rule = { name: 'alias', backward: (dy) => [dy] };

/** x under a node of its own. */
const alias = (x: Tensor): Tensor => record(aliasRule, x.asView(x.shape, x.stridesOrNull, x.offset), [x]);

/**
 * The gradients of a fused op's inputs, as far as `node` needs them, out of differentiable parts: `compose` computes the op's
 * outputs once more from them. `outputGradients` belong to these; null counts as zeros. For derivatives of higher order, and for
 * inputs that the fused backward pass leaves out.
 */
export function composedGradients<T extends readonly (Tensor | null)[]>(
  node: Node,
  inputs: T,
  compose: (inputs: T) => readonly Tensor[],
  outputGradients: readonly (Tensor | null)[],
): (Tensor | null)[] {
  // Nodes of their own end the pass below at these inputs, whatever they were computed from.
  const createGraph = isGradEnabled();
  const { starts, outputs } = enableGrad(() => {
    const aliases = inputs.map((x, i) => (x !== null && node.needs(i) ? alias(x) : x));
    return { starts: aliases, outputs: compose(aliases as unknown as T) };
  });
  const used = outputs.flatMap((y, i) => {
    const dy = outputGradients[i] ?? null;
    return dy === null || !y.requiresGrad ? [] : [{ y, dy }];
  });
  const wanted = starts.flatMap((x, i) => (x !== null && node.needs(i) ? [x] : []));
  const found =
    used.length === 0
      ? wanted.map(() => null)
      : grad(
          used.map(({ y }) => y),
          wanted,
          { gradOutputs: used.map(({ dy }) => dy), createGraph, allowUnused: true },
        );
  let next = 0;
  return starts.map((x, i) => (x !== null && node.needs(i) ? found[next++]! : null));
}
