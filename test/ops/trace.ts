import { vi } from 'vitest';
import type { Addon } from '../../lib/native/stream.js';

const seen = vi.hoisted(() => new Set<number>());

// Commands are read as they go to the native core: [op, nin, nout, nparams, operands…, params…], see lib/native/stream.ts.
vi.mock('../../lib/native/load.js', async (original) => {
  const real = await original<{ loadAddon: () => Addon }>();
  const addon = real.loadAddon();
  const note = (words: Float64Array, end: number): void => {
    let p = 0;
    while (p < end) {
      const op = words[p]!;
      if (op < 0) {
        // A handle given back, or bound to bytes.
        p += 2;
        continue;
      }
      seen.add(op);
      const [nin, nout, nparams] = [words[p + 1]!, words[p + 2]!, words[p + 3]!];
      p += 4;
      for (let i = 0; i < nin + nout; i++) {
        const id = words[p]!;
        if (id === -2) p += 1;
        else if (id === -1) p += 3;
        else {
          const flags = words[p + 1]!;
          p += 3 + ((flags >> 4) & 15) * ((flags & 256) === 0 ? 2 : 1);
        }
      }
      p += nparams;
    }
  };
  const traced: Addon = {
    ...addon,
    submit(segment, words, wake) {
      note(addon.segments[segment]!, words);
      return addon.submit(segment, words, wake);
    },
  };
  return { ...real, loadAddon: () => traced };
});

/** The opcodes of all commands sent while `fn` ran; what it leaves in the stream is sent first by reading. */
export function opcodesOf(fn: () => void): Set<number> {
  seen.clear();
  fn();
  return new Set(seen);
}
