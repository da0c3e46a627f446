// A network, its data and the loop, written out: node examples/quickstart.mjs
import { Adam, crossEntropy, DataLoader, Linear, mnist1d, ReLU, saveFile, Sequential } from 'myelin';

const model = new Sequential(new Linear(40, 100), new ReLU(), new Linear(100, 10));
const optimizer = new Adam(model.parameters(), { lr: 0.01 });
const train = new DataLoader(mnist1d({ split: 'train' }), { batchSize: 100, shuffle: true });

for (let epoch = 1; epoch <= 20; epoch++) {
  let sum = 0;
  for (const [x, y] of train) {
    const loss = crossEntropy(model.forward(x), y);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    sum += await loss.item();
  }
  console.log(`epoch ${epoch}: loss ${(sum / train.length).toFixed(4)}`);
}
await saveFile(model.stateDict(), 'model.safetensors');
