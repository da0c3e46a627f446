import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { experiments } from '../../lib/course/index.js';
import { Generator } from '../../lib/random.js';
import { inProcess, jsonLines, workspace } from '../cli/run.js';

type Figures = Record<string, any>;

/** Runs an experiment as it is by default; its figures. */
async function figuresOf(name: string): Promise<Figures> {
  const { run } = await experiments[name]!.load();
  const { figures, picture } = await run({
    full: false,
    generator: (stream = 0) => new Generator(1 + stream),
    say: () => undefined,
    check: () => undefined,
  });
  expect(JSON.stringify(picture)).toContain('vconcat' in picture ? '' : '"concat"');
  return JSON.parse(JSON.stringify(figures)) as Figures;
}

describe('myelin course', () => {
  it('lists its experiments', async () => {
    const { out, code } = await inProcess(['course']);
    expect(code).toBe(0);
    for (const name of Object.keys(experiments)) expect(out).toContain(`  ${name} `);
    const lines = jsonLines((await inProcess(['course', '--json'])).out);
    expect(lines.map((line) => line['experiment'])).toEqual(Object.keys(experiments));
  });

  it('leaves figures and a picture', async () => {
    const out = await workspace();
    const result = await inProcess(['course', 'collapse', '--out', out, '--json']);
    expect([result.code, result.err]).toEqual([0, '']);
    const [line] = jsonLines(result.out);
    const file = JSON.parse(readFileSync(join(out, 'collapse/figures.json'), 'utf8')) as Figures;
    expect(line).toMatchObject({ ...file, experiment: 'collapse', seed: 1, full: false });
    expect(readFileSync(join(out, 'collapse/figure.svg'), 'utf8')).toMatch(/^<svg .*Linear collapse.*<\/svg>$/s);
    const again = jsonLines((await inProcess(['course', 'collapse', '--out', out, '--json'])).out);
    expect(again[0]!['figures']).toEqual(line!['figures']);
    const wrong = await inProcess(['course', 'colapse']);
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining("(did you mean 'collapse'?)")]);
  });
});

describe('experiments', () => {
  it('perceptron: stays below its bound', async () => {
    const { converged, mistakes, bound } = await figuresOf('perceptron');
    expect([converged, mistakes <= bound]).toEqual([true, true]);
  });

  it('loss-surface: ends where the closed form is', async () => {
    const { descended, closed_form } = await figuresOf('loss-surface');
    [0, 1].forEach((i) => expect(descended[i]).toBeCloseTo(closed_form[i], 6));
  });

  it('glm: both methods agree', async () => {
    for (const fit of Object.values(await figuresOf('glm'))) expect(fit.difference).toBeLessThan(1e-6);
  });

  it('softmax, chain-rule: autograd gives the formulas', async () => {
    const softmax = await figuresOf('softmax');
    expect(softmax['largest_difference_to_formula']).toBeLessThan(1e-15);
    expect(softmax['largest_difference_with_last_logit_0']).toBeLessThan(1e-15);
    for (const error of Object.values(await figuresOf('chain-rule'))) expect(error).toBeLessThan(1e-12);
  });

  it('activations: values and derivatives', async () => {
    const gallery = await figuresOf('activations');
    expect(Object.keys(gallery).length).toBeGreaterThan(20);
    expect(gallery['sigmoid']['1']).toEqual([0.731059, 0.196612]);
    expect(gallery['PReLU 0.25']['-1']).toEqual([-0.25, 0.25]);
  });

  it('joints: those of the lecture', async () => {
    const { joints, parameters } = await figuresOf('joints');
    expect(joints).toEqual([0.3, 0.5, 0.769231]);
    expect(Object.values(parameters)).toEqual([10, 13, 18, 22]);
  });

  it('collapse: only without nonlinearity', async () => {
    for (const { linear, relu } of Object.values(await figuresOf('collapse'))) {
      expect(linear).toBeLessThan(1e-5);
      expect(relu).toBeGreaterThan(0.1);
    }
  });
});
