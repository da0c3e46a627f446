import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FileFormatError, IoError, ValueError } from '../../lib/errors.js';
import { JsonlWriter, readJsonl } from '../../lib/io/jsonl.js';
import { temporaryDirectory } from './tmp.js';

const directory = temporaryDirectory();
let serial = 0;
const fresh = (): string => join(directory, `${serial++}.jsonl`);

describe('JsonlWriter', () => {
  it('appends lines in the order of the calls', async () => {
    const path = fresh();
    const first = await JsonlWriter.open(path);
    await Promise.all(Array.from({ length: 50 }, (_, i) => first.append({ i, text: 'a\nb' })));
    await first.close();
    await first.close();
    const second = await JsonlWriter.open(path);
    void second.appendLine('{"i":50}');
    await second.close();
    const records = (await readJsonl(path)) as { i: number }[];
    expect(records.map(({ i }) => i)).toEqual(Array.from({ length: 51 }, (_, i) => i));
    expect(readFileSync(path, 'utf8').endsWith('{"i":50}\n')).toBe(true);
    await (await JsonlWriter.open(path, { truncate: true })).close();
    expect(await readJsonl(path)).toEqual([]);
  });

  it.each([
    ['{"a":1}\n{"a":', '{"a":1}\n'],
    ['{"a":1}\n{"a":2}', '{"a":1}\n{"a":2}\n'],
    ['{"a', ''],
    [`{"a":1}\n"${'x'.repeat(10_000)}`, '{"a":1}\n'],
    [`{"a":"${'ä'.repeat(5_000)}"}`, `{"a":"${'ä'.repeat(5_000)}"}\n`],
    ['{"a":1}\n', '{"a":1}\n'],
    ['', ''],
  ])('continues a file that ends in the middle (%#)', async (before, after) => {
    const path = fresh();
    writeFileSync(path, before);
    const whole = await readJsonl(path);
    const writer = await JsonlWriter.open(path);
    await writer.append({ b: 2 });
    await writer.close();
    expect(readFileSync(path, 'utf8')).toBe(`${after}{"b":2}\n`);
    expect(await readJsonl(path)).toEqual([...whole, { b: 2 }]);
  });

  it('has typed errors', async () => {
    const path = fresh();
    const writer = await JsonlWriter.open(path);
    expect(() => writer.append(1 as unknown as object)).toThrow(ValueError);
    expect(() => writer.appendLine('a\nb')).toThrow(ValueError);
    await writer.close();
    expect(() => writer.append({})).toThrow(/is closed/);
    mkdirSync(join(directory, 'sub'));
    await expect(JsonlWriter.open(join(directory, 'sub'))).rejects.toThrow(IoError);
    await expect(JsonlWriter.open(join(path, 'below'))).rejects.toThrow(IoError);
    await expect(readJsonl(join(directory, 'none'))).rejects.toThrow(IoError);
    writeFileSync(path, '{"a":1}\nnot json\n{"a":2}\n');
    await expect(readJsonl(path)).rejects.toThrow(FileFormatError);
    await expect(readJsonl(path)).rejects.toThrow(/line 2/);
  });

  it.skipIf(!existsSync('/dev/full'))('reports a full disk and stays usable', async () => {
    const writer = await JsonlWriter.open('/dev/full');
    await expect(writer.append({ a: 1 })).rejects.toThrow(/no space is left.*ENOSPC/);
    await expect(writer.append({ a: 1 })).rejects.toThrow(IoError);
    await writer.close();
  });
});
