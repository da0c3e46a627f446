import { kernelFamilies } from './kernels/index.js';
import type { KernelCase } from './kernels/kernel.js';
import { workloads } from './workloads/index.js';
import type { Workload } from './workloads/workload.js';

/** What the bench can run, by kind. */
export type Entry =
  | { readonly kind: 'kernel'; readonly name: string; readonly kernel: KernelCase }
  | { readonly kind: 'training' | 'inference'; readonly name: string; readonly workload: Workload };

const kernelEntry = (kernel: KernelCase): Entry => ({ kind: 'kernel', name: kernel.name, kernel });

/** The whole suite: kernels, then training, then inference. */
export const catalogue: readonly Entry[] = [
  ...kernelFamilies.flatMap((family) => family.rows).map(kernelEntry),
  ...(['training', 'inference'] as const).flatMap((kind) =>
    workloads
      .filter((workload) => workload.kind === kind)
      .map((workload): Entry => ({ kind, name: workload.name, workload })),
  ),
];

/** The entry of that name, rows of the suite or a size of one's own; undefined if there is none. */
export function find(name: string): Entry | undefined {
  const row = catalogue.find((entry) => entry.name === name);
  if (row !== undefined) return row;
  for (const { parse } of kernelFamilies) {
    const kernel = parse?.(name);
    if (kernel !== undefined) return kernelEntry(kernel);
  }
  return undefined;
}

/**
 * What `--only` selects, in the order of the suite: names, prefixes such as `gemm-`, and `kernels`, `training` and `inference`.
 * @throws Error naming what matches nothing
 */
export function select(words: readonly string[]): Entry[] {
  const chosen = new Map<string, Entry>();
  for (const word of words) {
    const exact = find(word);
    const entries =
      exact !== undefined
        ? [exact]
        : catalogue.filter(
            ({ kind, name }) => name.startsWith(word) || word === (kind === 'kernel' ? 'kernels' : kind),
          );
    if (word === '' || entries.length === 0) throw new Error(`no workload or kernel is called ${word || 'nothing'}`);
    for (const entry of entries) chosen.set(entry.name, entry);
  }
  const order = new Map(catalogue.map((entry, i) => [entry.name, i]));
  const place = (entry: Entry): number => order.get(entry.name) ?? catalogue.length;
  return [...chosen.values()].sort((a, b) => place(a) - place(b));
}
