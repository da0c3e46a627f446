// Writes mnist1d.json: a few rows of the published MNIST-1D arrays (github.com/greydanus/mnist1d, Apache-2.0), given as
// mnist1d_x.f64le (5000 x 40 float64, little-endian) and mnist1d_y.u8 in a directory: node make-mnist1d.mjs DIRECTORY
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const directory = process.argv[2];
const bytes = readFileSync(join(directory, 'mnist1d_x.f64le'));
const y = readFileSync(join(directory, 'mnist1d_y.u8'));
const rows = [0, 1, 2, 1234, 3999, 4000, 4999].map((row) => ({
  row,
  y: y[row],
  x: Array.from({ length: 40 }, (_, j) => bytes.readDoubleLE(8 * (40 * row + j))),
}));
const labels = [...y.subarray(0, 100)].join('');
const testLabels = [...y.subarray(4000, 4100)].join('');
writeFileSync(new URL('mnist1d.json', import.meta.url), `${JSON.stringify({ labels, testLabels, rows })}\n`);
