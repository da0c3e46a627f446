import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inProcess, interrupted, jsonLines, myelin, workspace } from './run.js';

const untimed = (text: string): unknown => jsonLines(text).map(({ seconds: _s, samples_per_s: _r, ...rest }) => rest);
const one = ['--threads', '1'];
const sentence = 'The quick brown fox jumps over the lazy dog, and the dog does not mind it at all.\n';

describe('myelin train, eval and generate for text', () => {
  it('trains a character model of a file, goes on bit for bit, and writes text with it', async () => {
    const cwd = await workspace();
    await writeFile(join(cwd, 'notes.txt'), sentence.repeat(40));
    const args = ['train', '--dataset', 'text', '--data-dir', 'notes.txt', '--model', 'char-gru', '--json'];
    args.push('--length', '16', '--batch-size', '8', ...one);
    const whole = await myelin([...args, '--steps', '750', '--out', 'whole'], { cwd });
    expect([whole.code, whole.err]).toEqual([0, '']);
    expect(jsonLines(whole.out).at(-1)).toMatchObject({ event: 'done', status: 'completed', steps: 750 });
    const loss = jsonLines(whole.out).at(-1)!['test_loss'] as number;
    expect(loss).toBeLessThan(1.5);
    expect(jsonLines(whole.out).at(-1)!['test_perplexity']).toBeCloseTo(Math.exp(loss), 4);
    const files = ['best.safetensors', 'checkpoint.safetensors', 'config.json', 'metrics.jsonl', 'report.svg'];
    expect((await readdir(join(cwd, 'whole'))).sort()).toEqual([...files, 'sample.txt', 'tokenizer.json']);
    expect(await readFile(join(cwd, 'whole', 'sample.txt'), 'utf8')).toContain('the');

    const cut = await interrupted([...args, '--steps', '750'], { cwd, out: 'cut' });
    expect(cut.code).toBe(130);
    const rest = await myelin(['train', '--resume', 'cut', ...one, '--json'], { cwd });
    expect(rest.code).toBe(0);
    const metrics = async (run: string): Promise<unknown> =>
      untimed(await readFile(join(cwd, run, 'metrics.jsonl'), 'utf8'));
    expect(await metrics('cut')).toEqual(await metrics('whole'));

    const score = await myelin(['eval', 'whole', '--json'], { cwd });
    expect(jsonLines(score.out)[0]).toMatchObject({ dataset: 'text', perplexity: expect.closeTo(Math.exp(loss), 3) });
    const write = ['generate', 'whole', '--prompt', 'The quick', '--tokens', '30', '--seed', '3'];
    const [first, second] = [await myelin(write, { cwd }), await myelin(write, { cwd })];
    expect(first.out).toMatch(/^The quick[^]{30}\n$/);
    expect(second.out).toBe(first.out);
    const cold = await myelin([...write, '--temperature', '0', '--json', '--count', '2'], { cwd });
    const [a, b] = jsonLines(cold.out);
    expect(a).toMatchObject({ event: 'text', prompt: 'The quick' });
    expect(b).toEqual(a);

    expect(await myelin(['generate', 'whole', '--prompt', 'Ω'], { cwd })).toMatchObject({
      code: 1,
      err: expect.stringContaining(`expected text of the vocabulary's`),
    });
    expect(await myelin(['eval', 'whole', '--dataset', 'shakespeare'], { cwd })).toMatchObject({ code: 2 });
    const path = join(cwd, 'whole', 'tokenizer.json');
    const tokenizer = await readFile(path, 'utf8');
    await writeFile(path, tokenizer.replace('abc', 'ab'));
    expect(await myelin(['generate', 'whole'], { cwd })).toMatchObject({
      code: 1,
      err: expect.stringMatching(
        /^myelin: generate: expected a tokenizer of the model's \d+ tokens, got one of \d+\n$/,
      ),
    });
    await writeFile(path, 'no tokenizer');
    expect(await myelin(['generate', 'whole'], { cwd })).toMatchObject({
      code: 1,
      err: expect.stringContaining('tokenizer.json to be JSON'),
    });
  });

  it('makes up names', async () => {
    const cwd = await workspace();
    const names = ['anna', 'hanna', 'nina', 'ina', 'tina', 'lina', 'mina', 'emma', 'gemma', 'anja', 'tanja'];
    await mkdir(join(cwd, 'data'));
    await writeFile(
      join(cwd, 'data', 'names.txt'),
      `${Array.from({ length: 60 }, () => names)
        .flat()
        .join('\n')}\n`,
    );
    const args = ['--dataset', 'names', '--data-dir', 'data', '--epochs', '4', '--out', 'run', ...one];
    const { code, out } = await myelin(['train', ...args], { cwd });
    expect(code).toBe(0);
    expect(out).toMatch(/test loss \d\.\d+ · perplexity \d\.\d+\n/);
    const made = await myelin(['generate', 'run', '--count', '8', '--seed', '1'], { cwd });
    const lines = made.out.trimEnd().split('\n');
    expect(lines).toHaveLength(8);
    expect(lines.filter((line) => names.includes(line)).length).toBeGreaterThan(2);
  });

  it('translates pairs with words, and refuses a file whose line has no tab', async () => {
    const cwd = await workspace();
    const subjects = [
      ['I', 'Ich'],
      ['You', 'Du'],
      ['Tom', 'Tom'],
      ['Mary', 'Maria'],
    ];
    const rest = [
      ['sing.', 'singe.'],
      ['run home.', 'laufe heim.'],
      ['see the red house.', 'sehe das rote Haus.'],
    ];
    const pairs = subjects.flatMap(([s, t]) => rest.map(([a, b]) => `${s} ${a}\t${t} ${b}\tCC-BY`));
    const more = Array.from({ length: 40 }, (_, i) => `No ${i} sing.\tNein ${i} singe.`);
    await writeFile(join(cwd, 'pairs.txt'), [...pairs, ...pairs, ...more, ''].join('\r\n'));
    const args = ['--dataset', 'translation', '--data-dir', 'pairs.txt', '--out', 'run', ...one];
    const { code, out, err } = await myelin(['train', ...args, '--epochs', '60', '--batch-size', '16'], { cwd });
    expect([code, err.includes('test_token_accuracy')]).toEqual([0, true]);
    expect(out).toContain('  →  ');
    expect((await readdir(join(cwd, 'run'))).sort()).toEqual(
      expect.arrayContaining(['attention.svg', 'examples.txt', 'tokenizer.json']),
    );
    for (const beams of ['1', '4']) {
      const made = await myelin(['generate', 'run', '--prompt', 'Tom run home.', '--beams', beams], { cwd });
      expect(made.out).toBe('Tom laufe heim.\n');
    }
    expect(await myelin(['generate', 'run'], { cwd })).toMatchObject({
      code: 2,
      err: expect.stringContaining('--prompt'),
    });

    await writeFile(join(cwd, 'bad.txt'), 'Go.\tGeh.\nNo tab here\n');
    const bad = await myelin(['train', '--dataset', 'translation', '--data-dir', 'bad.txt', '--out', 'bad'], { cwd });
    expect(bad).toMatchObject({ code: 1, err: expect.stringContaining('in line 2 of bad.txt') });
  });
});

describe('wrong use', () => {
  it.each([
    [['train', '--dataset', 'text'], 2, '--data-dir FILE.txt'],
    [['train', '--dataset', 'text', '--data-dir', '/nowhere/x.txt'], 1, 'cannot read /nowhere/x.txt'],
    [['train', '--dataset', 'shakespeare', '--data-dir', '/nowhere'], 1, 'tinyShakespeare: cannot read /nowhere'],
    [['train', '--dataset', 'reverse', '--model', 'char-gpt'], 2, 'takes one text and reverse has pairs'],
    [['train', '--dataset', 'names', '--model', 'seq2seq'], 2, 'takes pairs and names has one text'],
    [['train', '--dataset', 'copy', '--model', 'mlp'], 2, "unknown model for copy 'mlp'"],
    [['train', '--dataset', 'mnist', '--model', 'char-gpt'], 2, "unknown model for mnist 'char-gpt'"],
    [['train', '--schedule', 'noam'], 2, 'for models with a width'],
    [['generate', '/nowhere'], 1, 'myelin generate: cannot read /nowhere'],
  ])('%j', async (args, code, message) => {
    expect(await inProcess(args)).toMatchObject({ code, err: expect.stringContaining(message) });
  });
});

describe('recipes learn in reduced form', () => {
  it('reverses four symbols with attention, all of them, and shows where it looks', async () => {
    const cwd = await workspace();
    const { code, out } = await myelin(
      ['train', '--dataset', 'reverse', '--length', '4', '--epochs', '4', '--out', 'run', ...one],
      { cwd },
    );
    expect(code).toBe(0);
    expect(out).toMatch(/sequence accuracy (100\.00|99\.\d\d) %/);
    const made = await myelin(['generate', 'run', '--prompt', '0123'], { cwd });
    expect(made.out).toBe('3210\n');
    expect(await readFile(join(cwd, 'run', 'attention.svg'), 'utf8')).toMatch(/^<svg/);
  });

  it('shows where a Transformer looks', async () => {
    const cwd = await workspace();
    const { code } = await myelin(
      ['train', '--dataset', 'copy', '--length', '3', '--steps', '2', '--out', 'run', ...one],
      { cwd },
    );
    expect(code).toBe(0);
    expect(await readFile(join(cwd, 'run', 'attention.svg'), 'utf8')).toMatch(/^<svg/);
  });
});
