import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { inProcess, jsonLines, myelin } from './run.js';

describe('myelin', () => {
  it('helps, everywhere with examples', async () => {
    const bare = await myelin([]);
    expect(bare).toMatchObject({ code: 0, err: '' });
    for (const args of [
      ['--help'],
      ['train', '--help'],
      ['eval', '-h'],
      ['info', '--help'],
      ['params', '--help'],
      ['help', 'train'],
    ]) {
      const { code, out, err } = await inProcess(args);
      expect([code, err]).toEqual([0, '']);
      expect(out).toContain('Usage: myelin');
      if (args[0] !== 'help') expect(out).toContain('Examples:');
    }
    expect((await inProcess(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each([
    [['trian'], "unknown command 'trian' (did you mean train?)"],
    [['train', '--epohcs', '3'], "unknown option '--epohcs' (did you mean --epochs?)"],
    [['train', '--epochs', '0'], 'Expected an integer of at least 1.'],
    [['train', '--epochs', '1e400'], 'Expected an integer'],
    [['train', '--lr', 'NaN'], 'Expected a number above 0.'],
    [['train', '--seed', '-1'], 'Expected an integer of at least 0.'],
    [['train', '--model', 'mnist1d-mpl'], "unknown model 'mnist1d-mpl' (did you mean 'mnist1d-mlp'?)"],
    [['train', '--dataset', 'imagenette'], "unknown dataset 'imagenette'; there are mnist1d"],
    [['train', '--optimizer', 'adma'], "did you mean 'adam'"],
    [['train', '--model', 'mlp', '--dataset', 'mnist1d'], 'mnist1d-mlp is a model for it'],
    [['train', '--resume'], '--resume needs a run'],
    [['train', 'surplus'], 'too many arguments'],
    [['params'], "missing required argument 'model'"],
    [['params', 'mpl'], "(did you mean 'mlp'?)"],
    [['eval', '.', '--split', 'tset'], "(did you mean 'test'?)"],
  ])('takes %j for wrong use', async (args, message) => {
    const { code, out, err } = await inProcess(args);
    expect(err).toContain(message);
    expect(err).toMatch(/Try 'myelin [a-z ]*--help'\.\n$/);
    expect(err).not.toMatch(/\n\s+at /);
    expect([code, out]).toEqual([2, '']);
  });

  it('exits with the code of the outcome', async () => {
    expect(await myelin(['trian'])).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringContaining('did you mean train?'),
    });
    expect((await myelin(['eval', '/nowhere'])).code).toBe(1);
  });

  it('prints what it found on the machine', async () => {
    const [line] = jsonLines((await myelin(['info', '--json'])).out);
    expect(line).toMatchObject({
      isa: expect.any(String),
      threads: expect.any(Number),
      versions: { node: process.versions.node },
    });
    expect(line?.['supportedIsas']).toContain(line?.['isa']);
    const forced = await myelin(['info', '--json'], { env: { MYELIN_ISA: 'baseline' } });
    expect(jsonLines(forced.out)[0]).toMatchObject({ isa: 'baseline' });
    expect((await inProcess(['info'])).out).toMatch(/^instruction set +\w+/m);
    const unknown = await myelin(['info'], { env: { MYELIN_ISA: 'mmx' } });
    expect([unknown.code, unknown.out]).toEqual([1, '']);
    expect(unknown.err).toContain('mmx');
  });

  it('counts parameters', async () => {
    const [line] = jsonLines((await inProcess(['params', 'mlp', '--json'])).out);
    expect(line).toMatchObject({ model: 'mlp', parameters: 199_210, trainable: 199_210 });
    const table = await inProcess(['params', 'mnist1d-mlp']);
    expect(table.out).toContain('15,210');
  });

  it('makes the table of the documentation', async () => {
    const { out } = await inProcess(['params', 'all']);
    expect(out).toContain('| `vgg16` | VGG of 16 layers | 3 × 224 × 224 | 138,357,544 |');
    expect(readFileSync(new URL('../../docs/models.md', import.meta.url), 'utf8')).toContain(out);
    expect(jsonLines((await inProcess(['params', 'all', '--json'])).out)).toHaveLength(
      out.trimEnd().split('\n').length - 2,
    );
  });
});
