// A network, its data and the loop, without the Trainer: npx tsx examples/quickstart.ts
import { Adam, crossEntropy, DataLoader, Linear, mnist1d, ReLU, saveFile, Sequential } from 'myelin';

const model = new Sequential(new Linear(40, 100), new ReLU(), new Linear(100, 10));
const optimizer = new Adam(model.parameters(), { lr: 0.01 });
const loader = new DataLoader(mnist1d({ split: 'train' }), { batchSize: 100, shuffle: true });

for (let epoch = 1; epoch <= 20; epoch++) {
  let loss;
  for (const [x, y] of loader) {
    loss = crossEntropy(model.forward(x), y);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
  }
  console.log(`epoch ${epoch}: loss ${(await loss?.item())?.toFixed(4)}`);
}
await saveFile(model.stateDict(), 'model.safetensors');
