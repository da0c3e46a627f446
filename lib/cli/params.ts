import { Command } from 'commander';
import { examples, oneOf, type Io } from './common.js';

/** `myelin params MODEL`. */
export function paramsCommand(io: Io): Command {
  return new Command('params')
    .description('Print the layers of a model with their output shapes and numbers of parameters.')
    .argument('<model>', 'name of the model')
    .option('--json', 'one JSON line instead of the table')
    .addHelpText('after', examples('myelin params mlp', 'myelin params mnist1d-mlp --json'))
    .action(async (name: string, { json }: { json?: true }) => {
      const [{ createModel, modelEntry, modelNames }, { summary }, { meta }] = await Promise.all([
        import('../models/registry.js'),
        import('../nn/summary.js'),
        import('../meta.js'),
      ]);
      const model = oneOf('model', name, modelNames);
      const table = meta(() => summary(createModel(model), [1, ...modelEntry(model).inputShape]));
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
