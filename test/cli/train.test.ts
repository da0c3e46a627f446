import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { interrupted, jsonLines, myelin, workspace } from './run.js';

const quick = ['--epochs', '3', '--threads', '1'];
const untimed = (text: string): unknown => jsonLines(text).map(({ seconds: _s, samples_per_s: _r, ...rest }) => rest);

describe('myelin train and eval', () => {
  it('prints the table, the accuracy and the paths, and makes the run', async () => {
    const cwd = await workspace();
    const { code, out, err } = await myelin(['train', ...quick], { cwd });
    expect(code).toBe(0);
    expect(out).toMatch(/^Layer +Output shape +Parameters/);
    expect(out).toMatch(/test accuracy \d\d\.\d\d %/);
    expect(out).toContain('runs/mnist1d-mlp/report.svg');
    expect(err.trimEnd().split('\n').at(-1)).toMatch(/^epoch 3 {2}step 120 {2}loss /);
    const files = ['best.safetensors', 'checkpoint.safetensors', 'config.json', 'metrics.jsonl', 'report.svg'];
    expect((await readdir(join(cwd, 'runs/mnist1d-mlp'))).sort()).toEqual(files);
    expect(jsonLines(await readFile(join(cwd, 'runs/mnist1d-mlp/metrics.jsonl'), 'utf8'))).toHaveLength(3);

    const second = await myelin(['train', ...quick], { cwd });
    expect(second.out).toContain('runs/mnist1d-mlp-2/report.svg');
    const again = await myelin(['train', ...quick, '--out', 'runs/mnist1d-mlp'], { cwd });
    expect([again.code, again.out]).toEqual([2, '']);
    expect(again.err).toContain('--resume runs/mnist1d-mlp');
  });

  it('writes nothing but JSON lines on standard output with --json; eval finds the same accuracy', async () => {
    const cwd = await workspace();
    const { code, out, err } = await myelin(['train', ...quick, '--json', '--out', 'here'], { cwd });
    expect([code, err]).toEqual([0, '']);
    const lines = jsonLines(out);
    expect(lines.map((line) => line['event'])).toEqual(['epoch', 'epoch', 'epoch', 'done']);
    const done = lines[3];
    expect(done).toMatchObject({
      status: 'completed',
      run: 'here',
      steps: 120,
      model: 'mnist1d-mlp',
      dataset: 'mnist1d',
    });
    expect(done?.['test_accuracy']).toBe(lines[2]?.['test_accuracy']);
    const score = await myelin(['eval', 'here', '--json'], { cwd });
    expect(jsonLines(score.out)[0]).toMatchObject({
      accuracy: done?.['test_accuracy'],
      rows: 1000,
      dataset: 'mnist1d',
    });
    const best = await myelin(['eval', 'here/best.safetensors', '--split', 'train'], { cwd });
    expect(best.out).toMatch(/^accuracy +\d\d\.\d\d %$/m);
  });

  it('saves on Ctrl-C, exits with 130, and goes on to the numbers of a run that was left alone', async () => {
    const cwd = await workspace();
    const args = ['--epochs', '25', '--threads', '1', '--shuffle'];
    const whole = await myelin(['train', ...args, '--json', '--out', 'whole'], { cwd });
    const cut = await interrupted(['train', ...args, '--json'], { cwd, out: 'cut' });
    expect(cut.code).toBe(130);
    expect(cut.err).toContain('go on with: myelin train --resume cut');
    const last = jsonLines(cut.out).at(-1);
    expect(last).toMatchObject({ event: 'done', status: 'interrupted' });
    expect(last?.['epochs']).toBeLessThan(25);
    const rest = await myelin(['train', '--resume', 'cut', '--json', '--threads', '1'], { cwd });
    expect(rest.code).toBe(0);
    const metrics = async (run: string): Promise<unknown> =>
      untimed(await readFile(join(cwd, run, 'metrics.jsonl'), 'utf8'));
    expect(await metrics('cut')).toEqual(await metrics('whole'));
    const accuracy = (text: string): unknown => jsonLines(text).at(-1)?.['test_accuracy'];
    expect(accuracy(rest.out)).toBe(accuracy(whole.out));
    const changed = await myelin(['train', '--resume', 'cut', '--lr', '1'], { cwd });
    expect([changed.code, changed.err]).toEqual([2, expect.stringContaining('--lr cannot change')]);
  });

  it('fails in one readable line, with the stack when asked', async () => {
    const cwd = await workspace();
    const { code, err } = await myelin(['train', '--dataset', 'mnist', '--data-dir', 'nowhere'], { cwd });
    expect(code).toBe(1);
    expect(err).toMatch(/^myelin: mnist: expected train-images.*\n$/);
    expect(await readdir(cwd)).toEqual([]);
    const debug = await myelin(['train', '--dataset', 'mnist', '--data-dir', 'nowhere'], {
      cwd,
      env: { MYELIN_DEBUG: '1' },
    });
    expect(debug.err).toMatch(/\n\s+at /);

    await mkdir(join(cwd, 'bad'));
    await writeFile(join(cwd, 'bad', 'config.json'), '{"model":"mlp"}');
    await writeFile(join(cwd, 'bad', 'checkpoint.safetensors'), 'no checkpoint');
    expect(await myelin(['train', '--resume', 'bad'], { cwd })).toMatchObject({
      code: 1,
      err: expect.stringContaining('a dataset of'),
    });
    expect(await myelin(['eval', 'bad'], { cwd })).toMatchObject({
      code: 1,
      err: expect.stringContaining('checkpoint.safetensors'),
    });
    expect(await myelin(['eval', 'missing'], { cwd })).toMatchObject({
      code: 1,
      err: expect.stringContaining('ENOENT'),
    });
    const blocked = await myelin(['train', '--out', 'bad/config.json/run', ...quick], { cwd });
    expect(blocked).toMatchObject({ code: 1, err: expect.stringContaining('a part of the path is a file') });
    const hot = await myelin(['train', '--optimizer', 'sgd', '--lr', '1e30', ...quick, '--out', 'hot'], { cwd });
    expect(hot).toMatchObject({ code: 1, err: expect.stringContaining('expected a finite loss') });
  });

  it('trains on a folder of images', async () => {
    const cwd = await workspace();
    for (const [split, count] of [
      ['train', 24],
      ['val', 8],
    ] as const) {
      for (const [name, colour] of [
        ['fire', [200, 60, 20]],
        ['water', [20, 60, 200]],
      ] as const) {
        await mkdir(join(cwd, 'pictures', split, name), { recursive: true });
        for (let i = 0; i < count; i++) {
          const [r, g, b] = colour.map((v) => v + i);
          const background = { r: r!, g: g!, b: b! };
          const image = sharp({ create: { width: 40 + i, height: 36, channels: 3, background } }).png();
          await image.toFile(join(cwd, 'pictures', split, name, `${i}.png`));
        }
      }
    }
    await writeFile(join(cwd, 'pictures/train/fire/torn.png'), 'no image');
    const args = ['train', '--model', 'cifar-resnet20', '--dataset', 'folder', '--json', '--threads', '1'];
    const lacking = await myelin(args, { cwd });
    expect([lacking.code, lacking.err]).toEqual([2, expect.stringContaining('--data-dir DIR; a folder of images')]);
    const options = ['--data-dir', 'pictures', '--epochs', '4', '--batch-size', '8', '--lr', '0.02', '--out', 'run'];
    const { code, out, err } = await myelin([...args, ...options], { cwd });
    expect([code, err]).toEqual([0, expect.stringMatching(/^left out: .*torn\.png to be a whole image.*\n$/)]);
    expect(jsonLines(out).at(-1)).toMatchObject({ dataset: 'folder', steps: 24, test_accuracy: 1 });
    const config = JSON.parse(await readFile(join(cwd, 'run/config.json'), 'utf8')) as Record<string, unknown>;
    expect(config['classes']).toEqual(['fire', 'water']);
    const score = await myelin(['eval', 'run', '--json'], { cwd });
    expect(jsonLines(score.out)[0]).toMatchObject({ accuracy: 1, rows: 16 });
    await mkdir(join(cwd, 'pictures/val/smoke'));
    const more = await myelin(['eval', 'run'], { cwd });
    expect([more.code, more.err]).toEqual([2, expect.stringContaining('expected the classes fire, water in')]);
    const grey = await myelin(['train', '--model', 'lenet5', '--dataset', 'folder'], { cwd });
    expect([grey.code, grey.err]).toEqual([2, expect.stringContaining('lenet5 does not take colour images')]);
  });
});
