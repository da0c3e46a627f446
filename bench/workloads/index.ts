import { convWorkloads } from './conv.js';
import { mlpWorkloads } from './mlp.js';
import { sequenceWorkloads } from './sequence.js';
import type { Workload } from './workload.js';

/** Every training and inference workload, in the order of tables: a family a line. */
export const workloads: readonly Workload[] = [...mlpWorkloads, ...convWorkloads, ...sequenceWorkloads];
