// The same with the Trainer: evaluation, early stopping, checkpoints, a picture of the curves: node examples/trainer.mjs
import { accuracy, Adam, crossEntropy, DataLoader, Linear, mnist1d, progress, ReLU, Sequential, Trainer } from 'myelin';

const model = new Sequential(new Linear(40, 100), new ReLU(), new Linear(100, 100), new ReLU(), new Linear(100, 10));
const trainer = new Trainer({
  model,
  optimizer: new Adam(model.parameters(), { lr: 0.005 }),
  loss: crossEntropy,
  metrics: { accuracy },
  callbacks: [progress()],
  out: 'runs/example',
});

const train = new DataLoader(mnist1d({ split: 'train' }), { batchSize: 100, shuffle: true });
const validation = new DataLoader(mnist1d({ split: 'test' }), { batchSize: 1000 });
const { status, best } = await trainer.fit(train, {
  epochs: 60,
  validation,
  earlyStopping: { monitor: 'test_accuracy', patience: 15 },
});
console.log(`${status}: test accuracy ${best?.value.toFixed(4)} at epoch ${best?.epoch}; see runs/example/report.svg`);
