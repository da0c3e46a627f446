// The same with the Trainer: evaluation, early stopping, checkpoints, a picture of the curves in runs/example.
import { accuracy, Adam, crossEntropy, DataLoader, Linear, mnist1d, progress, ReLU, Sequential, Trainer } from 'myelin';

const model = new Sequential(new Linear(40, 100), new ReLU(), new Linear(100, 100), new ReLU(), new Linear(100, 10));
const optimizer = new Adam(model.parameters(), { lr: 0.005 });
const trainer = new Trainer({ model, optimizer, loss: crossEntropy, metrics: { accuracy }, callbacks: [progress()], out: 'runs/example' });

const { status, best } = await trainer.fit(new DataLoader(mnist1d({ split: 'train' }), { batchSize: 100, shuffle: true }), {
  epochs: 60,
  validation: new DataLoader(mnist1d({ split: 'test' }), { batchSize: 1000 }),
  earlyStopping: { monitor: 'test_accuracy', patience: 15 },
});
console.log(`${status}: ${best?.monitor} ${best?.value.toFixed(4)} at epoch ${best?.epoch}; runs/example/report.svg`);
