import { Command } from 'commander';
import type { ModelEntry } from '../models/registry.js';
import type { Summary } from '../nn/summary.js';
import { examples, oneOf, type Io } from './common.js';

/** `myelin params MODEL`. */
export function paramsCommand(io: Io): Command {
  return new Command('params')
    .description('Print the layers of a model with their output shapes and numbers of parameters.')
    .argument('<model>', 'name of the model, or all for a table of every one')
    .option('--json', 'one JSON line instead of the table')
    .addHelpText('after', examples('myelin params mlp', 'myelin params vgg16 --json', 'myelin params all'))
    .action(async (name: string, { json }: { json?: true }) => {
      const [registry, sequences, { summary }, { meta }] = await Promise.all([
        import('../models/registry.js'),
        import('../models/sequences.js'),
        import('../nn/summary.js'),
        import('../meta.js'),
      ]);
      const names: readonly string[] = [...registry.modelNames, ...sequences.sequenceModelNames];
      const count = (model: string): Summary =>
        meta(() => {
          if (sequences.isSequenceModel(model)) {
            const entry = sequences.sequenceEntry(model);
            return summary(entry.create(entry.sizes), entry.inputs, {
              dtype: entry.inputs.map(() => 'int32' as const),
            });
          }
          const { inputShape, inputDtype: dtype = 'float32' } = registry.modelEntry(model);
          return summary(registry.createModel(model), [1, ...inputShape], { dtype });
        });
      if (name === 'all') {
        const rows = names.map((model): Row => {
          if (!sequences.isSequenceModel(model)) return [registry.modelEntry(model), model, count(model)];
          const { description, context } = sequences.sequenceEntry(model);
          return [{ description, inputShape: [context] }, model, count(model)];
        });
        io.out.write(json === true ? listJson(rows) : listMarkdown(rows));
        return;
      }
      const model = oneOf('model', name, names);
      const table = count(model);
      if (json !== true) {
        io.out.write(`${table.toString()}\n`);
        return;
      }
      const line = {
        model,
        parameters: table.totalParameters,
        trainable: table.trainableParameters,
        bytes: table.bytes,
        layers: table.layers.map(({ name: path, type, outputShapes, parameters }) => ({
          name: path,
          type,
          output_shapes: outputShapes,
          parameters,
        })),
      };
      io.out.write(`${JSON.stringify(line)}\n`);
    });
}

type Row = readonly [entry: Pick<ModelEntry, 'description' | 'inputShape'>, model: string, table: Summary];

const listJson = (rows: readonly Row[]): string =>
  rows
    .map(([, model, { totalParameters, trainableParameters, bytes }]) => ({
      model,
      parameters: totalParameters,
      trainable: trainableParameters,
      bytes,
    }))
    .map((line) => `${JSON.stringify(line)}\n`)
    .join('');

/** The table of docs/models.md. */
const listMarkdown = (rows: readonly Row[]): string =>
  [
    '| model | what it is | an example | trainable parameters |',
    '| --- | --- | --- | ---: |',
    ...rows.map(([{ description, inputShape }, model, { trainableParameters }]) => {
      const parameters = trainableParameters.toLocaleString('en-US');
      return `| \`${model}\` | ${description} | ${inputShape.join(' × ')} | ${parameters} |`;
    }),
    '',
  ].join('\n');
