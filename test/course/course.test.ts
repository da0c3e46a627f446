import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { Digits } from '../../lib/course/digits.js';
import type { Setting } from '../../lib/course/experiment.js';
import { experiments } from '../../lib/course/index.js';
import { compare as autoencoders } from '../../lib/course/autoencoders.js';
import { compare as hiddenWeights } from '../../lib/course/hidden_weights.js';
import { compare } from '../../lib/course/rbm.js';
import { fromTypedArray } from '../../lib/ops/create.js';
import { Generator } from '../../lib/random.js';
import { inProcess, jsonLines, workspace } from '../cli/run.js';

type Figures = Record<string, any>;

const setting: Setting = {
  full: false,
  generator: (stream = 0) => new Generator(1 + stream),
  say: () => undefined,
  check: () => undefined,
};

/** Runs an experiment as it is by default; its figures. */
async function figuresOf(name: string): Promise<Figures> {
  const { run } = await experiments[name]!.load();
  const { figures, picture } = await run(setting);
  expect(picture).toMatchObject({ concat: expect.any(Array) as unknown });
  return JSON.parse(JSON.stringify(figures)) as Figures;
}

const bytes = gunzipSync(readFileSync(new URL('../golden/digits.bin.gz', import.meta.url)));

/** Some of 1000 digits of 14 × 14, each pixel `zoom` times as wide and high. */
function digits(from: number, to: number, zoom = 1): Digits {
  const small = Float32Array.from(bytes.subarray(196 * from, 196 * to), (v) => v / 255);
  return {
    x: fromTypedArray(small, [to - from, 14, 1, 14, 1])
      .expand([to - from, 14, zoom, 14, zoom])
      .reshape([to - from, 196 * zoom ** 2]),
    y: fromTypedArray(Int32Array.from(bytes.subarray(196_000 + from, 196_000 + to)), [to - from]),
  };
}

describe('myelin course', () => {
  it('lists its experiments', async () => {
    const { out, code } = await inProcess(['course']);
    expect(code).toBe(0);
    for (const name of Object.keys(experiments)) expect(out).toContain(`  ${name} `);
    const lines = jsonLines((await inProcess(['course', '--json'])).out);
    expect(lines.map((line) => line['experiment'])).toEqual(Object.keys(experiments));
    const docs = readFileSync(new URL('../../docs/models.md', import.meta.url), 'utf8');
    for (const [name, { title }] of Object.entries(experiments)) expect(docs).toContain(`| \`${name}\` | ${title} |`);
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

  it('regions: as many as there can be', async () => {
    const figures = await figuresOf('regions');
    expect(figures['one_input_5_layers_of_10']).toMatchObject({
      parameters: 471,
      maximum: 161_051,
      counted_in_the_zigzag_network: 161_051,
    });
    expect(figures['ten_inputs_5_layers_of_50']).toEqual({ parameters: 10_801, maximum: '1.796e+41' });
  });

  it('universal: more units, less error', async () => {
    const { solved } = (await figuresOf('universal'))['root_mean_square_error'];
    const errors = Object.values<number>(solved as Record<string, number>);
    expect(errors).toEqual([...errors].sort((a, b) => b - a));
    expect(errors.at(-1)).toBeLessThan(0.01);
  });

  it('michaelis-menten: two layers make the feature', async () => {
    const { one_layer, two_layers } = await figuresOf('michaelis-menten');
    expect(one_layer.explained_variance).toBeLessThan(0.9);
    expect(two_layers.explained_variance).toBeGreaterThan(0.99);
  });

  it('representation: U S Vᵀ is Θ, and classes part', async () => {
    const figures = await figuresOf('representation');
    expect(figures['largest_difference_of_usv_to_theta']).toBeLessThan(1e-14);
    expect(figures['accuracy_of_2_2_1']['after_1000_steps']).toBeGreaterThan(0.95);
  });

  it('toeplitz: a matrix product is the convolution', async () => {
    const figures = await figuresOf('toeplitz');
    for (const v of Object.values(figures['largest_difference_of_toeplitz_product'])) expect(v).toBeLessThan(1e-12);
    expect(figures['largest_difference_of_convolution_to_minus_correlation']).toBeLessThan(1e-12);
  });

  it('gradients: skips with norms keep their size', async () => {
    const deep = (await figuresOf('gradients'))['200_layers'];
    expect(deep['plain'].first_layer).toBeLessThan(1e-6);
    expect(deep['batch norm'].ratio).toBeGreaterThan(1e6);
    for (const name of ['skip, batch norm', 'skip, layer norm']) expect(deep[name].ratio).toBeLessThan(100);
  });

  it('growth: counts of the library’s models', async () => {
    expect((await figuresOf('growth'))['gpt3']).toEqual({ year: 2020, parameters: 174_604_259_328 });
  });

  it('playground: learns what two units can tell apart', async () => {
    const figures = await figuresOf('playground');
    for (const name of ['circle', 'xor', 'gauss']) expect(figures[name].test.accuracy).toBeGreaterThan(0.97);
    expect(figures['spiral'].test.accuracy).toBeLessThan(0.9);
  });

  it('depth: more layers fit random labels in fewer epochs', async () => {
    const figures = await figuresOf('depth');
    const nets = [1, 2, 3, 4].map((layers) => figures[`${layers}_layers`] as Figures);
    expect(nets.map((net) => net['parameters'] as number)).toEqual([15_208, 15_210, 15_235, 15_319]);
    const epochs = nets.map((net) => net['epochs_to_1_percent_error'] as number);
    expect(epochs).toEqual([...epochs].sort((a, b) => b - a));
    for (const net of nets) expect(net['final_error_percent']).toBe(0);
  });

  it('double-descent: wide networks fit wrong labels and yet err less than those that just can', async () => {
    const { h_9, h_120, h_300 } = await figuresOf('double-descent');
    expect(h_9.train_error).toBeGreaterThan(50);
    expect(h_300.train_error).toBeLessThan(5);
    expect(h_300.test_error).toBeLessThan(h_120.test_error);
  });

  it('hidden-weights: hidden units beat pixels', async () => {
    const { figures, picture } = await hiddenWeights(setting, digits(0, 800, 2), digits(800, 1000, 2), 4);
    expect(picture).toMatchObject({ concat: [expect.anything(), expect.anything()] });
    const { logistic, mlp } = figures['test_accuracy'] as Figures;
    expect(logistic).toBeGreaterThan(0.6);
    expect(mlp).toBeGreaterThan(logistic as number);
  });

  it('autoencoders: more components leave less, the linear one no less than they do', async () => {
    const { figures } = await autoencoders(setting, digits(0, 800, 2), digits(800, 1000, 2), 10);
    const { principal_components: pca, squared_error: errors } = figures as Figures;
    const left = Object.values<Figures>(pca).map(({ error }) => error as number);
    expect(left).toEqual([...left].sort((a, b) => b - a));
    expect(errors['linear 784-30-784']).toBeGreaterThan(pca.k_30.error);
    // The mean image leaves this.
    for (const error of Object.values<number>(errors)) expect(error).toBeLessThan(60);
  });

  it('rbm: hidden units beat pixels on nudged digits', async () => {
    const { pixels, hidden } = await compare(setting, digits(0, 600), digits(600, 1000), { by: 2, epochs: 12 });
    expect(100 * (hidden.accuracy - pixels.accuracy)).toBeGreaterThan(10);
  });
});
