import { meta } from '../meta.js';
import { createModel, modelEntry, type ModelName } from '../models/registry.js';
import { summary } from '../nn/summary.js';
import { plot, sheet } from './chart.js';
import type { Finding } from './experiment.js';

/** Networks with the years in which they were published. */
const years: readonly (readonly [name: ModelName, year: number])[] = [
  ['lenet5-original', 1998],
  ['alexnet-grouped', 2012],
  ['vgg16', 2014],
  ['googlenet', 2014],
  ['resnet50', 2015],
  ['resnet152', 2015],
  ['densenet121', 2016],
  ['densenet264', 2016],
  ['gpt2', 2019],
  ['gpt2-xl', 2019],
  ['gpt3', 2020],
];

/** Parameters of networks over the years, counted on the shape-only device: nothing is allocated. */
export function run(): Promise<Finding> {
  const counts = years.map(([name, year]) => {
    const { inputShape, inputDtype: dtype = 'float32' } = modelEntry(name);
    const { trainableParameters } = meta(() => summary(createModel(name), [1, ...inputShape], { dtype }));
    return { name, year, parameters: trainableParameters };
  });
  const images = counts.filter(({ name }) => !name.startsWith('gpt'));
  const text = counts.filter(({ name }) => name.startsWith('gpt'));
  const points = (name: string, rows: typeof counts) => ({
    name,
    x: rows.map(({ year }) => year),
    y: rows.map(({ parameters }) => parameters),
    as: 'points' as const,
  });
  const panel = plot([points('images', images), points('text', text)], {
    title: 'Parameters',
    x: 'year of publication',
    logY: true,
    width: 460,
    height: 320,
    domainX: [1995, 2022],
  });
  return Promise.resolve({
    figures: Object.fromEntries(counts.map(({ name, year, parameters }) => [name, { year, parameters }])),
    picture: sheet('Growth', 'trainable parameters, counted from the library’s own models', [panel]),
  });
}
