import os from 'node:os';
import { Command } from 'commander';
import { columns, examples, formatBytes, packageVersion, type Io } from './common.js';

/** `myelin info`. */
export function infoCommand(io: Io): Command {
  return new Command('info')
    .description('Print what Myelin found on this machine: processor, instruction set, threads, memory, versions.')
    .option('--json', 'one JSON line instead of the table')
    .addHelpText('after', examples('myelin info', 'MYELIN_ISA=baseline myelin info --json'))
    .action(async ({ json }: { json?: true }) => {
      const { memory, nativeInfo, getNumThreads } = await import('../runtime.js');
      const native = nativeInfo();
      const used = memory();
      const limit = Number.isFinite(used.limit) ? used.limit : null;
      const line = {
        ...native,
        threads: getNumThreads(),
        memory: { ...used, limit, system_total: os.totalmem(), system_free: os.freemem() },
        versions: {
          myelin: packageVersion(),
          node: process.versions.node,
          napi: process.versions.napi,
          v8: process.versions.v8,
        },
        platform: `${process.platform}-${process.arch}`,
      };
      if (json === true) {
        io.out.write(`${JSON.stringify(line)}\n`);
        return;
      }
      const cache = (bytes: number): string => (bytes > 0 ? `${bytes / 1024} KiB` : '?');
      const { l1d, l2, l3 } = native.caches;
      io.out.write(
        `${columns([
          ['myelin', line.versions.myelin],
          ['node', `${line.versions.node} (Node-API ${line.versions.napi ?? '?'}), ${line.platform}`],
          ['processor', `${native.cpu}, ${native.cores} cores`],
          ['features', native.features.join(' ')],
          [
            'instruction set',
            `${native.isa} (built: ${native.compiledIsas.join(' ')}; runs here: ${native.supportedIsas.join(' ')})`,
          ],
          ['caches', `L1d ${cache(l1d)}, L2 ${cache(l2)}, L3 ${cache(l3)}`],
          ['threads', String(line.threads)],
          [
            'tensor memory',
            `${formatBytes(used.allocated)} in use, limit ${limit === null ? 'none' : formatBytes(limit)}`,
          ],
          ['system memory', `${formatBytes(os.freemem())} free of ${formatBytes(os.totalmem())}`],
        ])}\n`,
      );
    });
}
