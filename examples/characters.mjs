// A character model of a text file: node examples/characters.mjs input.txt
import { AdamW, CharTokenizer, crossEntropy, DataLoader, GPT, readText, TextDataset, TokenStream } from 'myelin';

const text = await readText(process.argv[2] ?? 'input.txt');
const steps = Number(process.argv[3] ?? 2000);
const tokenizer = CharTokenizer.from(text);
const model = new GPT({ vocabulary: tokenizer.size, context: 64, layers: 4, heads: 4, width: 128 });
const optimizer = new AdamW(model.parameters(), { lr: 2e-3 });
const data = new TextDataset(tokenizer.encode(text), { context: 64 });

let step = 0;
for (const [x, y] of new DataLoader(data, { batchSize: 12, shuffle: true, draws: 12 * steps })) {
  const loss = crossEntropy(model.forward(x).flatten(0, 1), y.flatten());
  optimizer.zeroGrad();
  loss.backward();
  optimizer.step();
  if (++step % 100 === 0) console.error(`step ${step}: loss ${(await loss.item()).toFixed(4)}`);
}

const stream = new TokenStream(tokenizer);
const options = { temperature: 0.8, maxTokens: 300, slide: true };
for await (const token of model.generate([...tokenizer.encode('\n')], options)) {
  process.stdout.write(stream.push(token));
}
