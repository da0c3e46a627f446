import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { formatCount, formatDuration, formatFigure, formatShare, progress } from '../../lib/train/progress.js';
import type { EpochRecord } from '../../lib/train/record.js';
import type { Progress } from '../../lib/train/types.js';

const record = (epoch: number): EpochRecord => ({
  epoch,
  step: epoch * 40,
  lr: 0.01,
  seconds: epoch,
  samples_per_s: 412_345,
  train_loss: 1 / epoch,
  test_loss: 0.812345,
  test_accuracy: 0.651,
});

const moment = (step: number): Progress => ({
  epoch: 1,
  epochs: 6,
  step,
  steps: 240,
  loss: 0.71234,
  samplesPerSecond: 1234,
  secondsLeft: 75,
});

function capture() {
  const stream = new PassThrough();
  const chunks: string[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => chunks.join('') };
}

describe('progress', () => {
  it('writes plain lines now and then, the first and the last epoch among them', async () => {
    const { stream, text } = capture();
    let clock = 0;
    const shown = progress({ stream, terminal: false, now: () => clock });
    await shown.onStart?.(moment(0));
    shown.onProgress?.(moment(1));
    clock += 6000;
    shown.onProgress?.(moment(10));
    for (let epoch = 1; epoch <= 20; epoch++) {
      clock += 250;
      await shown.onEpochEnd?.(record(epoch));
    }
    const result = {
      status: 'completed',
      epoch: 20,
      step: 800,
      history: [],
      last: record(20),
      best: undefined,
      seconds: 11,
    } as const;
    await shown.onEnd?.(result);
    const lines = text().trimEnd().split('\n');
    expect(lines[0]).toBe('epoch 1/6  step 10/240  loss 0.7123  1.23k rows/s  1 min 15 s left');
    expect(lines[1]).toBe('epoch 1  step 40  loss 1.000  test_loss 0.8123  test_accuracy 65.10 %  412k rows/s');
    expect(lines.slice(1).map((line) => line.split('  ')[0])).toEqual([
      'epoch 1',
      'epoch 5',
      'epoch 9',
      'epoch 13',
      'epoch 17',
      'epoch 20',
    ]);
  });

  it('draws a bar on a terminal and lets the process end', async () => {
    const { stream, text } = capture();
    const terminal = Object.assign(stream, {
      isTTY: true,
      columns: 120,
      cursorTo: () => true,
      moveCursor: () => true,
      clearLine: () => true,
    });
    const shown = progress({ stream: terminal, terminal: true });
    await shown.onStart?.(moment(0));
    shown.onProgress?.(moment(120));
    await shown.onEpochEnd?.(record(1));
    await shown.onEnd?.({
      status: 'completed',
      epoch: 6,
      step: 240,
      history: [],
      last: record(6),
      best: undefined,
      seconds: 9,
    });
    expect(text()).toContain('100%');
    expect(text()).toContain('epoch 1/6');
    expect(text()).toContain('test 65.10 %');
  });

  it('formats figures', () => {
    expect([0, 999, 1000, 412_345, 999_600, 1.25e6, 3e9, NaN].map(formatCount)).toEqual([
      '0',
      '999',
      '1k',
      '412k',
      '1M',
      '1.25M',
      '3G',
      '–',
    ]);
    expect([0.04, 9.94, 9.96, 42.4, 59.7, 185, 3599.8, 7800, Infinity, -1].map(formatDuration)).toEqual([
      '0.0 s',
      '9.9 s',
      '10 s',
      '42 s',
      '1 min 00 s',
      '3 min 05 s',
      '1 h 00 min',
      '2 h 10 min',
      '–',
      '–',
    ]);
    expect(formatFigure(0.000123456)).toBe('0.0001235');
    expect(formatFigure(NaN)).toBe('NaN');
    expect(formatShare(0.65104)).toBe('65.10 %');
  });
});
