import { Command, CommanderError } from 'commander';
import { MyelinError, UsageError } from '../errors.js';
import { packageVersion, examples, type Io } from './common.js';
import { courseCommand } from './course.js';
import { evalCommand } from './eval.js';
import { generateCommand } from './generate.js';
import { infoCommand } from './info.js';
import { paramsCommand } from './params.js';
import { trainCommand } from './train.js';

/** Exit codes of the command line. */
export const EXIT = { ok: 0, failure: 1, usage: 2, interrupted: 130 } as const;

/**
 * Runs the command line and resolves with the exit code: 0 for success, 1 for a failure, 2 for wrong use, 130 when interrupted.
 * Errors are one readable line; the environment variable MYELIN_DEBUG=1 adds the stack.
 *
 * @param argv - the arguments after the program's name.
 */
export async function main(
  argv: readonly string[],
  io: Io = { out: process.stdout, err: process.stderr },
): Promise<number> {
  let code: number = EXIT.ok;
  const program = new Command('myelin')
    .description('Train neural networks on this machine’s processor.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      examples(
        'myelin train                                  an MLP on MNIST-1D, no download',
        'myelin train --model mlp --dataset mnist      784-200-200-10 on MNIST',
        'myelin eval runs/mnist1d-mlp                  its accuracy again',
        'myelin generate runs/char-gpt --prompt ROMEO: text of a trained character model',
        'myelin params mlp                             layers and parameters',
        'myelin course                                 experiments of a course on neural networks',
        'myelin info                                   processor, instruction set, threads',
      ),
    );
  const finish = (result: number): void => void (code = result);
  const commands = [
    trainCommand(io, finish),
    evalCommand(io),
    generateCommand(io, finish),
    infoCommand(io),
    paramsCommand(io),
    courseCommand(io, finish),
  ];
  for (const command of commands) program.addCommand(command);
  for (const command of [program, ...commands]) {
    command
      .exitOverride()
      .showSuggestionAfterError()
      .configureOutput({
        writeOut: (text) => void io.out.write(text),
        writeErr: (text) => void io.err.write(text),
        outputError: (text, write) => write(`myelin: ${text.replace(/^error: /, '').replace(/\n\(Did/, ' (did')}`),
      });
  }
  try {
    if (argv.length === 0) {
      program.outputHelp();
      return EXIT.ok;
    }
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.ok;
      io.err.write(`Try 'myelin ${commandName(argv, commands)}--help'.\n`);
      return EXIT.usage;
    }
    io.err.write(`myelin: ${describe(error)}\n`);
    if (error instanceof UsageError) io.err.write(`Try 'myelin ${commandName(argv, commands)}--help'.\n`);
    return error instanceof UsageError ? EXIT.usage : EXIT.failure;
  }
}

function commandName(argv: readonly string[], commands: readonly Command[]): string {
  const command = commands.find((c) => c.name() === argv[0]);
  return command === undefined ? '' : `${command.name()} `;
}

/** An error for a person: the message of what Myelin or the system said, and the stack where it is wanted or unforeseen. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (process.env.MYELIN_DEBUG === '1') return error.stack ?? error.message;
  if (error instanceof MyelinError || 'code' in error) return error.message;
  return `${error.name}: ${error.message}\n(set MYELIN_DEBUG=1 for the place where it happened)`;
}
