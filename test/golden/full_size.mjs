// Networks of full size beside torchvision's: one set of random weights through safetensors into both, then logits, loss, every
// gradient, ten losses of SGD, and the trained weights back. Needs python3-torch and python3-torchvision, a built library, about 6 GB.
//   node test/golden/full_size.mjs [NAME …]     PYTHON=/usr/bin/python3
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as m from '../../dist/index.js';

const PYTHON = process.env.PYTHON ?? '/usr/bin/python3';
const NAMES = ['alexnet', 'vgg11', 'vgg16', 'googlenet-aux', 'resnet18', 'resnet50', 'densenet121'];
const STEPS = 10;
/** Batches of two are normalised to ±1: that magnifies rounding, and training would magnify it further. */
const rateOf = (name) => (/^(alexnet|vgg\d+)$/.test(name) ? 1e-3 : 1e-5);

const names = process.argv.length > 2 ? process.argv.slice(2) : NAMES;
const script = fileURLToPath(new URL('full_size.py', import.meta.url));

/** ‖a − b‖ / ‖b‖. */
async function distance(a, b) {
  const [difference, norm] = m.noGrad(() => [a.sub(b), b].map((t) => t.to('float64').square().sum().sqrt()));
  return (await difference.item()) / (await norm.item());
}

console.log('| network | parameters | logits | loss | gradients: all, worst | PyTorch’s own rounding in them | ten losses | evaluated after | read back |');
console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
for (const name of names) {
  const directory = mkdtempSync(join(tmpdir(), 'myelin-full-'));
  try {
    const python = (command, ...rest) => execFileSync(PYTHON, [script, command, name, directory, ...rest], { stdio: ['ignore', 'inherit', 'inherit'] });
    python('make', String(rateOf(name)));
    const want = Object.fromEntries(await m.loadFile(join(directory, 'torch.safetensors')));
    const model = m.createModel(name);
    for (const module of model.modules()) if (module instanceof m.Dropout) module.p = 0;
    model.loadStateDict(Object.fromEntries(await m.loadFile(join(directory, 'weights.safetensors'))));
    const { x } = want;
    const y = want.y.to('int32');
    const optimizer = new m.SGD(model.parameters(), { lr: rateOf(name) });
    const found = { losses: [] };
    for (let step = 0; step < STEPS; step++) {
      const logits = model.forward(x);
      const loss = model instanceof m.GoogLeNet ? m.googlenetLoss(model, logits, y) : m.crossEntropy(logits, y);
      optimizer.zeroGrad();
      loss.backward();
      if (step === 0) {
        found.logits = await distance(logits, want.logits);
        let [off, all] = [0, 0];
        found.worst = 0;
        for (const [parameter, { grad }] of model.namedParameters()) {
          const target = want[`grad ${parameter}`];
          const norm = await target.to('float64').square().sum().sqrt().item();
          const relative = await distance(grad, target);
          off += (relative * norm) ** 2;
          all += norm ** 2;
          // What is 0 but for rounding, as the bias before a normalisation, has no relative error.
          if (norm > 1e-6) found.worst = Math.max(found.worst, relative);
        }
        found.gradients = Math.sqrt(off / all);
      }
      optimizer.step();
      found.losses.push(await loss.item());
    }
    const losses = Array.from(await want.losses.data());
    const off = found.losses.map((v, i) => Math.abs(v / losses[i] - 1));
    model.eval();
    const evaluated = m.noGrad(() => model.forward(x));
    await m.saveFile(model.stateDict(), join(directory, 'trained.safetensors'));
    python('read');
    const back = Object.fromEntries(await m.loadFile(join(directory, 'read.safetensors')));
    const cells = [
      model.parameters().reduce((sum, p) => sum + p.numel, 0).toLocaleString('en-US'),
      found.logits.toExponential(1),
      off[0].toExponential(1),
      `${found.gradients.toExponential(1)}, ${found.worst.toExponential(1)}`,
      (await want.rounding.item()).toExponential(1),
      Math.max(...off).toExponential(1),
      (await distance(evaluated, want.evaluated)).toExponential(1),
      (await distance(evaluated, back.evaluated)).toExponential(1),
    ];
    console.log(`| \`${name}\` | ${cells.join(' | ')} |`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
