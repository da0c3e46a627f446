import { Command } from 'commander';
import { UsageError } from '../errors.js';
import { examples, integer, nonNegative, positive, type Io } from './common.js';
import { readWeights, weightsFile } from './eval.js';
import { watchInterrupts } from './interrupt.js';

interface GenerateCommandOptions {
  prompt?: string;
  tokens?: number;
  temperature: number;
  topK?: number;
  topP?: number;
  count: number;
  beams: number;
  seed?: number;
  best?: true;
  threads?: number;
  json?: true;
}

/** `myelin generate RUN`. `finish` is given the exit code. */
export function generateCommand(io: Io, finish: (code: number) => void): Command {
  return new Command('generate')
    .description('Write text with a trained model: continue a prompt, make up lines, or translate.')
    .argument('<run>', 'directory of a run of a text or sequence model')
    .option('--prompt <text>', 'text to continue, or source to translate (default: a new line)')
    .option('--tokens <n>', 'most tokens to write (default: 500; for lines and translations 60)', integer(1))
    .option('--temperature <t>', 'below 1 safer, above 1 wilder, 0 the likeliest token always', nonNegative, 0.8)
    .option('--top-k <n>', 'draw among the n likeliest tokens', integer(1))
    .option('--top-p <p>', 'draw among the likeliest tokens that together reach probability p', positive)
    .option('--count <n>', 'how many texts', integer(1), 1)
    .option('--beams <n>', 'translations: beginnings followed at once; 1 is greedy', integer(1), 4)
    .option('--seed <n>', 'the same seed writes the same text (default: another one each time)', integer(0))
    .option('--best', 'the best epoch of the run instead of the last')
    .option('--threads <n>', 'compute threads (default: all that this process may use)', integer(1))
    .option('--json', 'one JSON line a text')
    .addHelpText(
      'after',
      examples(
        'myelin generate runs/char-gpt --prompt "ROMEO:" --temperature 0.8',
        'myelin generate runs/char-gru --count 20                 names, after a run with --dataset names',
        'myelin generate runs/seq2seq-attention --prompt "I am tired." --beams 4',
      ),
    )
    .action(async (run: string, options: GenerateCommandOptions) => finish(await generate(run, options, io)));
}

async function generate(run: string, options: GenerateCommandOptions, io: Io): Promise<number> {
  const [{ loadSequenceModel }, { isLines }, { startOf }, { TokenStream }, { Generator }, runtime] = await Promise.all([
    import('./sequence_eval.js'),
    import('./sequence_data.js'),
    import('./sequence_show.js'),
    import('../text/tokenizer.js'),
    import('../random.js'),
    import('../runtime.js'),
  ]);
  const path = await weightsFile('generate', run, options.best === true);
  const { config, parameters } = await readWeights(path);
  if (config === undefined) throw new UsageError(`${path} does not say how its model was trained`);
  if (options.threads !== undefined) runtime.setNumThreads(options.threads);
  const { generate: write, translate, tokenizers } = await loadSequenceModel('generate', path, parameters, config);
  const interrupts = watchInterrupts(io.err, 'stopping');
  const { signal } = interrupts;
  const json = options.json === true;
  const line = (value: object): void => void io.out.write(`${JSON.stringify(value)}\n`);
  try {
    if (translate !== null) {
      if (options.prompt === undefined) throw new UsageError('expected a source to write a target for: --prompt TEXT');
      const { beams, tokens: maxTokens = 60 } = options;
      const { text } = await translate(options.prompt, { beams, maxTokens, signal });
      if (json) line({ event: 'text', prompt: options.prompt, text });
      else io.out.write(`${text}\n`);
      return 0;
    }
    const tokenizer = tokenizers.text!;
    const lines = isLines(config.dataset as Parameters<typeof isLines>[0]);
    const start = startOf(tokenizer);
    const given = tokenizer.encode(options.prompt ?? '');
    const prompt = [...(lines || given.length === 0 ? start : []), ...given];
    const { tokens: maxTokens = lines ? 60 : 500, temperature, topK, topP } = options;
    const sampling = {
      maxTokens,
      temperature,
      ...(topK === undefined ? {} : { topK }),
      ...(topP === undefined ? {} : { topP }),
      stop: lines ? [...start] : [],
      generator: new Generator(options.seed),
      signal,
    };
    for (let i = 0; i < options.count; i++) {
      const stream = new TokenStream(tokenizer);
      let text = '';
      if (!json) io.out.write(options.prompt ?? '');
      for await (const token of write!(prompt, sampling)) {
        const piece = stream.push(token);
        text += piece;
        if (!json) io.out.write(piece);
      }
      if (json) line({ event: 'text', prompt: options.prompt ?? '', text });
      else io.out.write('\n');
    }
    return 0;
  } catch (error) {
    if (!signal.aborted) throw error;
    if (!json) io.out.write('\n');
    return interrupts.code();
  } finally {
    interrupts.dispose();
  }
}
