import { readdirSync } from 'node:fs';
import * as m from '../../lib/index.js';

const directory = new URL('../../lib/ops/', import.meta.url);
const exported = m as unknown as Record<string, unknown>;

/** The public functions of lib/ops by their files, in order. */
export const publicFunctions: ReadonlyMap<string, readonly string[]> = new Map(
  await Promise.all(
    readdirSync(directory)
      .filter((name) => name.endsWith('.ts'))
      .sort()
      .map(async (name): Promise<[string, string[]]> => {
        const module = (await import(new URL(name, directory).href)) as Record<string, unknown>;
        const own = Object.keys(exported).filter(
          (key) => typeof exported[key] === 'function' && Object.values(module).includes(exported[key]),
        );
        return [name.slice(0, -3), own.sort()];
      }),
  ),
);
