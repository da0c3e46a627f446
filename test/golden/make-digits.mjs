// Writes digits.bin.gz: the first 600 training and 400 test digits of MNIST at 14 × 14 and 16 grey levels, 1000 pictures of 196
// bytes, then 1000 labels. Needs a built library: node test/golden/make-digits.mjs DIRECTORY, with MNIST's files in DIRECTORY
import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { avgPool2d, DataLoader, mnist } from '../../dist/index.js';

const pictures = [];
const labels = [];
for (const [split, count] of [
  ['train', 600],
  ['test', 400],
]) {
  const [images, y] = [...new DataLoader(await mnist({ split, dataDir: process.argv[2] }), { batchSize: count })][0];
  const half = avgPool2d(images.to('float32').reshape([-1, 1, 28, 28]), 2);
  pictures.push(Uint8Array.from(await half.data(), (v) => 17 * Math.round(v / 17)));
  labels.push(Uint8Array.from(await y.data()));
}
writeFileSync(new URL('digits.bin.gz', import.meta.url), gzipSync(Buffer.concat([...pictures, ...labels]), { level: 9 }));
