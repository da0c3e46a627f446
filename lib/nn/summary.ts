import { checkShape, show } from '../check.js';
import { noGrad } from '../autograd/graph.js';
import { scope } from '../autograd/scope.js';
import type { DType } from '../dtype.js';
import { ValueError } from '../errors.js';
import { zeros } from '../ops/create.js';
import { formatShape } from '../shape.js';
import { Tensor } from '../tensor.js';
import { Module } from './module.js';
import type { Parameter } from './parameter.js';

/** One line of a {@link Summary}. */
export interface LayerSummary {
  /** Dotted name; empty for the model itself. */
  readonly name: string;
  /** The part of the name that the module above gives it. */
  readonly label: string;
  /** Name of the class. */
  readonly type: string;
  /** Depth below the model, 0 for the model itself. */
  readonly depth: number;
  /** Shapes of the output tensors of the last call, or null when the module was not called. */
  readonly outputShapes: readonly (readonly number[])[] | null;
  /** Number of elements of the parameters that this module holds itself, without those of its children. */
  readonly parameters: number;
}

/** What {@link summary} returns; `toString()` is the table. */
export interface Summary {
  readonly layers: readonly LayerSummary[];
  /** Number of elements of all parameters, shared ones once. */
  readonly totalParameters: number;
  /** Of those, the ones that require a gradient. */
  readonly trainableParameters: number;
  /** Size of parameters and buffers in bytes. */
  readonly bytes: number;
  toString(): string;
}

/** Options of {@link summary}. */
export interface SummaryOptions {
  /** Dtype of the inputs, or of each of them; `float32`. */
  readonly dtype?: DType | readonly DType[];
}

/**
 * Runs `model` once on zeros of `inputShape` (one shape, or one for each argument of `forward`) and returns a table of
 * its modules in the order of their definition, with output shapes and numbers of parameters. The model runs in
 * evaluation mode and without recording; its modes and buffers are afterwards what they were.
 * @example console.log(String(summary(model, [1, 784])));
 */
export function summary(
  model: Module,
  inputShape: readonly number[] | readonly (readonly number[])[],
  { dtype = 'float32' }: SummaryOptions = {},
): Summary {
  if (!(model instanceof Module)) throw new ValueError(`summary: expected a Module, got ${show(model)}`);
  if (!Array.isArray(inputShape)) {
    throw new ValueError(`summary: expected inputShape to be a shape or a list of shapes, got ${show(inputShape)}`);
  }
  const many = inputShape.length > 0 && inputShape.every((size: unknown) => Array.isArray(size));
  const shapes = (many ? inputShape : [inputShape]).map((shape) => checkShape('summary', shape));
  const dtypes = typeof dtype === 'string' ? shapes.map(() => dtype) : dtype;
  if (dtypes.length !== shapes.length) {
    throw new ValueError(`summary: expected ${shapes.length} dtypes, one for each input, got ${show(dtype)}`);
  }
  const named = model.namedModules();
  const outputs = observe(model, named, () => shapes.map((shape, i) => zeros([...shape], { dtype: dtypes[i]! })));

  const counted = new Set<Tensor>();
  const layers = named.map(([name, module]): LayerSummary => {
    const nested = new Set(module.children().flatMap((child) => child.parameters()));
    const own = module.parameters().filter((parameter) => !nested.has(parameter) && !counted.has(parameter));
    for (const parameter of own) counted.add(parameter);
    const type = module.constructor.name;
    const above = named.map(([other]) => other).filter((other) => isBelow(name, other));
    const label = name.slice(above.length < 2 ? 0 : Math.max(...above.map((other) => other.length)) + 1);
    return {
      name,
      label,
      type,
      depth: above.length,
      outputShapes: outputs.get(module) ?? null,
      parameters: count(own),
    };
  });
  const parameters = model.parameters();
  const bytes = [...parameters, ...model.buffers()].reduce((sum, t) => sum + t.numel * itemSize(t.dtype), 0);
  const totalParameters = count(parameters);
  const trainableParameters = count(parameters.filter((parameter) => parameter.requiresGrad));
  const result = { layers, totalParameters, trainableParameters, bytes };
  return { ...result, toString: () => table(result) };
}

/** Shapes of what each module gave in one forward pass that leaves the model as it was. */
function observe(
  model: Module,
  named: readonly (readonly [string, Module])[],
  makeInputs: () => Tensor[],
): Map<Module, number[][]> {
  const modes = named.map(([, module]) => module.training);
  const shapes = new Map<Module, number[][]>();
  const hooks: { remove(): void }[] = [];
  try {
    model.eval();
    for (const [, module] of named) {
      hooks.push(module.registerForwardHook((called, _, output) => void shapes.set(called, shapesOf(output))));
    }
    const forward = model as unknown as { forward(...inputs: Tensor[]): unknown };
    scope(() => noGrad(() => void forward.forward(...makeInputs())));
  } finally {
    for (const hook of hooks) hook.remove();
    named.forEach(([, module], i) => (module.training = modes[i]!));
  }
  return shapes;
}

function shapesOf(output: unknown): number[][] {
  if (output instanceof Tensor) return [[...output.shape]];
  if (Array.isArray(output)) return output.flatMap(shapesOf);
  return typeof output === 'object' && output !== null ? Object.values(output).flatMap(shapesOf) : [];
}

const count = (parameters: readonly (Parameter | Tensor)[]): number => parameters.reduce((sum, p) => sum + p.numel, 0);

const itemSize = (dtype: DType): number => ({ float64: 8, float32: 4, int32: 4, uint8: 1, bool: 1 })[dtype];

const isBelow = (name: string, other: string): boolean =>
  name !== other && (other === '' || name.startsWith(`${other}.`));

const grouped = (n: number): string => n.toLocaleString('en-US');

function table(summary: Omit<Summary, 'toString'>): string {
  const rows = summary.layers.map(({ label, type, depth, outputShapes, parameters }): [string, string, string] => [
    '  '.repeat(depth) + (depth === 0 ? type : `${label} (${type})`),
    outputShapes === null ? '–' : outputShapes.map(formatShape).join(' '),
    parameters === 0 ? '–' : grouped(parameters),
  ]);
  const header: [string, string, string] = ['Layer', 'Output shape', 'Parameters'];
  const width = (column: 0 | 1 | 2): number => Math.max(...[header, ...rows].map((row) => row[column].length));
  const [first, second, third] = [width(0), width(1), width(2)];
  const line = ([layer, shape, n]: [string, string, string]): string =>
    `${layer.padEnd(first)}  ${shape.padEnd(second)}  ${n.padStart(third)}`;
  const rule = '─'.repeat(first + second + third + 4);
  const { totalParameters, trainableParameters, bytes } = summary;
  return [
    line(header),
    rule,
    ...rows.map(line),
    rule,
    `Parameters: ${grouped(totalParameters)}, trainable: ${grouped(trainableParameters)}`,
    `Size: ${(bytes / 1e6).toFixed(2)} MB`,
  ].join('\n');
}
