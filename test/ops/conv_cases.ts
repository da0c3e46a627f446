import * as m from '../../lib/index.js';
import { spread, type Case } from './case.js';

/** Convolutions. */
export const convCases: Case[] = [
  {
    name: 'conv1d',
    inputs: () => [spread([2, 2, 6]), spread([3, 2, 3], 1), spread([3], 2)],
    fn: (x, w, b) => m.conv1d(x, w, b, { padding: 1, stride: 2 }),
  },
  {
    name: 'conv2d',
    inputs: () => [spread([2, 2, 4, 5]), spread([3, 2, 3, 2], 1), spread([3], 2)],
    fn: (x, w, b) => m.conv2d(x, w, b, { padding: [1, 0] }),
  },
  {
    name: 'conv2d in groups, strided and dilated',
    inputs: () => [spread([4, 6, 5]), spread([2, 2, 2, 3], 1)],
    fn: (x, w) => m.conv2d(x, w, null, { groups: 2, stride: [2, 1], dilation: [1, 2], padding: 'valid' }),
  },
  {
    name: 'conv2d depthwise of a view, with an activation',
    inputs: () => [spread([4, 4, 3]), spread([3, 1, 2, 2], 1), spread([3], 2)],
    fn: (x, w, b) => m.conv2d(x.transpose(0, 2), w, b, { groups: 3, padding: 'same', activation: 'tanh' }),
  },
  {
    // Rows of three vectors and more are read in place.
    name: 'conv2d depthwise of wide planes',
    inputs: () => [spread([2, 3, 13]), spread([2, 1, 3, 3], 1), spread([2], 2)],
    fn: (x, w, b) => m.conv2d(x, w, b, { groups: 2, padding: 1 }),
  },
  {
    name: 'conv2d depthwise of wide planes, strided',
    inputs: () => [spread([1, 2, 4, 15]), spread([2, 1, 3, 3], 1)],
    fn: (x, w) => m.conv2d(x, w, null, { groups: 2, padding: 1, stride: 2 }),
  },
  {
    name: 'conv2d of single positions',
    inputs: () => [spread([2, 3, 2, 5]), spread([4, 3, 1, 1], 1), spread([4], 2)],
    fn: (x, w, b) => m.conv2d(x, w, b),
  },
  {
    name: 'conv2d of single positions, strided',
    inputs: () => [spread([2, 3, 3, 5]), spread([2, 3, 1, 1], 1)],
    fn: (x, w) => m.conv2d(x, w, null, { stride: 2 }),
  },
  {
    name: 'convTranspose1d',
    inputs: () => [spread([2, 2, 3]), spread([2, 3, 3], 1), spread([3], 2)],
    fn: (x, w, b) => m.convTranspose1d(x, w, b, { stride: 2, padding: 1, outputPadding: 1 }),
  },
  {
    name: 'convTranspose2d in groups',
    inputs: () => [spread([1, 2, 3, 2]), spread([2, 2, 2, 2], 1)],
    fn: (x, w) => m.convTranspose2d(x, w, null, { groups: 2, stride: [1, 2] }),
  },
  {
    name: 'convolve1d',
    inputs: () => [spread([5]), spread([3], 1)],
    fn: (x, k) => m.convolve1d(x, k, { mode: 'same' }),
  },
  { name: 'convolve2d', inputs: () => [spread([3, 4]), spread([2, 2], 1)], fn: (x, k) => m.convolve2d(x, k) },
  {
    name: 'convolutionMatrix',
    inputs: () => [spread([2, 2], 1)],
    fn: (k) => m.convolutionMatrix(k, [3, 3], { mode: 'valid' }).square(),
  },
];
