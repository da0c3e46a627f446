import { describe, expect, it } from 'vitest';
import { recordLine, type EpochRecord } from '../../lib/train/record.js';
import { renderReport } from '../../lib/train/report.js';

const record = (epoch: number): EpochRecord => ({
  epoch,
  step: epoch * 40,
  lr: 0.01,
  seconds: epoch,
  samples_per_s: 1000,
  train_loss: 2 / epoch,
  test_loss: 2.1 / epoch,
  train_accuracy: 1 - 0.8 / epoch,
  test_accuracy: 1 - 0.9 / epoch,
});

/** Tags of an XML text, checked to be nested properly. */
function checkNesting(xml: string): number {
  const open: string[] = [];
  let count = 0;
  for (const [, close, name = '', self] of xml.matchAll(/<(\/?)([a-zA-Z:]+)(?:\s+[\w:-]+="[^"<]*")*\s*(\/?)>/g)) {
    count++;
    if (close === '/') expect(open.pop()).toBe(name);
    else if (self !== '/') open.push(name);
  }
  expect(open).toEqual([]);
  expect(xml.match(/</g)).toHaveLength(count);
  return count;
}

describe('renderReport', () => {
  it('draws both panels with titles, lines and final figures', async () => {
    const records = Array.from({ length: 30 }, (_, i) => record(i + 1));
    const svg = await renderReport(records, { title: 'a <run> & more', subtitle: 'second line' });
    expect(svg).toMatch(/^<svg /);
    checkNesting(svg);
    for (const text of [
      'a &lt;run&gt; &amp; more',
      'second line',
      'Loss',
      'Accuracy',
      'test 97.00 %',
      'train 97.33 %',
      'train 0.06667',
    ]) {
      expect(svg).toContain(text);
    }
    expect(svg).toContain('lowest test loss 0.07000 at epoch 30');
    expect(svg).not.toMatch(/NaN|undefined/);
  });

  it('draws one epoch, and one without a test set, and one with values that are not finite', async () => {
    checkNesting(await renderReport([record(1)], { title: 'one' }));
    const bare: EpochRecord = { epoch: 1, step: 1, lr: 1, seconds: 1, samples_per_s: 1, train_loss: 5 };
    const svg = await renderReport(
      [bare, { ...bare, epoch: 2, train_loss: NaN }, { ...bare, epoch: 3, train_loss: Infinity }],
      { title: 'bare' },
    );
    checkNesting(svg);
    expect(svg).toContain('lowest train loss 5.000 at epoch 1');
    expect(svg).not.toContain('Accuracy');
  });

  it('refuses an empty history', async () => {
    await expect(renderReport([], { title: 'none' })).rejects.toMatchObject({ code: 'ERR_VALUE' });
  });
});

describe('recordLine', () => {
  it('keeps JSON short and valid', () => {
    const line = recordLine({ ...record(3), seconds: 1.23456789012, train_loss: NaN });
    expect(JSON.parse(line)).toMatchObject({ seconds: 1.234568, train_loss: null, epoch: 3 });
  });
});
