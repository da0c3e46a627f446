import { describe, expect, it } from 'vitest';
import { BestTracker } from '../../lib/train/early_stopping.js';

describe('BestTracker', () => {
  it('remembers the best epoch and runs out of patience', () => {
    const tracker = new BestTracker({ mode: 'min', patience: 2, minDelta: 0.125 });
    const seen = [1, 0.95, 0.875, NaN, 0.5, 0.75, 0.45].map((value, i) => [
      tracker.update(value, i + 1),
      tracker.exhausted,
    ]);
    expect(seen).toEqual([
      [true, false],
      [false, false],
      [true, false],
      [false, false],
      [true, false],
      [false, false],
      [false, true],
    ]);
    expect([tracker.value, tracker.epoch]).toEqual([0.5, 5]);
  });

  it('takes larger as better when told so, ties not counting, and its state survives JSON', () => {
    const tracker = new BestTracker({ mode: 'max', patience: 1 });
    expect(tracker.update(0.5, 1)).toBe(true);
    const other = new BestTracker({ mode: 'max', patience: 1 });
    other.loadState(JSON.parse(JSON.stringify(tracker.state())) as ReturnType<BestTracker['state']>);
    expect(other.update(0.5, 2)).toBe(false);
    expect(other.exhausted).toBe(true);
  });

  it('never stops without a patience, and refuses senseless ones', () => {
    const tracker = new BestTracker();
    for (let i = 0; i < 1000; i++) tracker.update(i, i);
    expect(tracker.exhausted).toBe(false);
    expect(() => new BestTracker({ patience: 0 })).toThrow('patience');
    expect(() => new BestTracker({ minDelta: NaN })).toThrow('minDelta');
    expect(() => new BestTracker({ mode: 'up' as never })).toThrow('mode');
  });
});
