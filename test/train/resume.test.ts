import { copyFile, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readJsonl } from '../../lib/io/jsonl.js';
import { saveFile } from '../../lib/io/safetensors.js';
import { loadCheckpoint, readCheckpoint, saveCheckpoint } from '../../lib/train/checkpoint.js';
import type { EpochRecord } from '../../lib/train/record.js';
import { defaultGenerator } from '../../lib/random.js';
import { makeRun, numbersOf, temporaryDirectory } from './task.js';

const withoutTime = (records: readonly EpochRecord[]): unknown =>
  records.map(({ seconds: _seconds, samples_per_s: _rate, ...rest }) => rest);

/** The uninterrupted run: its numbers and its records. */
async function reference(epochs: number) {
  const run = makeRun();
  await run.trainer.fit(run.loader, { epochs, validation: run.validation });
  return {
    numbers: await numbersOf(run),
    records: withoutTime(run.trainer.history),
    generator: defaultGenerator.getState(),
  };
}

describe('resume', () => {
  // 7 steps an epoch: amid the first, at the end of the first, amid the third, and one before the end of it.
  it.each([1, 3, 7, 17, 20])('goes on bit for bit after an interrupt at step %i', async (at) => {
    const whole = await reference(4);
    const out = await temporaryDirectory();
    const controller = new AbortController();
    const first = makeRun({ out });
    const { trainer } = first;
    const originalStep = first.optimizer.step.bind(first.optimizer);
    let steps = 0;
    first.optimizer.step = () => {
      originalStep();
      if (++steps === at) controller.abort();
    };
    const cut = await trainer.fit(first.loader, { epochs: 4, validation: first.validation, signal: controller.signal });
    expect(cut.status).toBe('interrupted');
    expect(cut.step).toBe(at);

    const second = makeRun({ out });
    // What a new process would not have: a generator that stands elsewhere.
    defaultGenerator.manualSeed(99);
    const result = await second.trainer.fit(second.loader, { epochs: 4, validation: second.validation, resume: true });
    expect(result.status).toBe('completed');
    expect(await numbersOf(second)).toEqual(whole.numbers);
    expect(withoutTime(result.history)).toEqual(whole.records);
    expect(defaultGenerator.getState()).toEqual(whole.generator);
    expect(await readJsonl(join(out, 'metrics.jsonl'))).toHaveLength(4);
  });

  it('goes on bit for bit from the end of an epoch, with the best epoch so far', async () => {
    const whole = await reference(5);
    const out = await temporaryDirectory();
    const first = makeRun({ out });
    await first.trainer.fit(first.loader, { epochs: 2, validation: first.validation });
    const second = makeRun({ out });
    const result = await second.trainer.fit(second.loader, { epochs: 5, validation: second.validation, resume: true });
    expect(await numbersOf(second)).toEqual(whole.numbers);
    expect(withoutTime(result.history)).toEqual(whole.records);
    const { extra } = await readCheckpoint(join(out, 'checkpoint.safetensors'));
    expect((extra as { trainer: { bestModel: object } }).trainer.bestModel).toHaveProperty('hidden.weight');
  });

  it('goes on in the same process after an interrupt', async () => {
    const whole = await reference(2);
    const run = makeRun();
    const controller = new AbortController();
    const originalStep = run.optimizer.step.bind(run.optimizer);
    let steps = 0;
    run.optimizer.step = () => {
      originalStep();
      if (++steps === 4) controller.abort();
    };
    await run.trainer.fit(run.loader, { epochs: 2, validation: run.validation, signal: controller.signal });
    await run.trainer.fit(run.loader, { epochs: 2, validation: run.validation });
    expect(await numbersOf(run)).toEqual(whole.numbers);
  });

  it('counts patience across the interruption', async () => {
    const out = await temporaryDirectory();
    const options = { monitor: 'test_loss', patience: 5 } as const;
    const run = (): ReturnType<typeof makeRun> => {
      const made = makeRun({ out });
      for (const group of made.optimizer.paramGroups) group.lr = 0;
      return made;
    };
    const first = run();
    await first.trainer.fit(first.loader, { epochs: 3, validation: first.validation, earlyStopping: options });
    const second = run();
    const result = await second.trainer.fit(second.loader, {
      epochs: 30,
      validation: second.validation,
      earlyStopping: options,
      resume: true,
    });
    expect([result.status, result.epoch]).toEqual(['stopped-early', 6]);
  });
});

describe('checkpoint', () => {
  it('keeps what a loop by hand gives it', async () => {
    const path = join(await temporaryDirectory(), 'c.safetensors');
    const a = makeRun();
    await a.trainer.fit(a.loader, { epochs: 1 });
    const extra = { epoch: 1, odd: [NaN, -0, Infinity, null], name: 'x', ['__proto__x']: true };
    await saveCheckpoint(path, a, extra);
    const b = makeRun();
    const back = await loadCheckpoint(path, b);
    expect(back).toEqual(extra);
    expect(Object.is((back as typeof extra).odd[1], -0)).toBe(true);
    expect(await numbersOf(b)).toEqual(await numbersOf(a));
    expect(b.loader.state()).toEqual(a.loader.state());
  });

  it('refuses damaged and foreign files with typed errors and changes nothing', async () => {
    const directory = await temporaryDirectory();
    const path = join(directory, 'c.safetensors');
    const run = makeRun();
    await run.trainer.fit(run.loader, { epochs: 1 });
    await run.trainer.save(path, run.loader);
    const before = await numbersOf(run);
    const bytes = await readFile(path);

    const cut = join(directory, 'cut.safetensors');
    for (const length of [0, 7, 100, bytes.length - 1]) {
      await copyFile(path, cut);
      await truncate(cut, length);
      await expect(run.trainer.load(cut)).rejects.toMatchObject({ code: 'ERR_FILE_FORMAT' });
    }
    const text = bytes.toString('latin1');
    const bad = async (from: string, to: string): Promise<string> => {
      expect(text).toContain(from);
      await writeFile(cut, Buffer.from(text.replace(from, to), 'latin1'));
      return cut;
    };
    await expect(run.trainer.load(await bad('"version":"1"', '"version":"9"'))).rejects.toThrow('version');
    await expect(run.trainer.load(await bad('myelin-checkpoint', 'myelin-checkpoinx'))).rejects.toThrow(
      'Myelin checkpoint',
    );
    await expect(run.trainer.load(await bad('\\"stepInEpoch\\":0', '\\"stepInEpoch\\":x'))).rejects.toThrow('not JSON');
    await expect(run.trainer.load(await bad('\\"stepInEpoch\\":0', '\\"stepInEpocx\\":0'))).rejects.toThrow('counters');

    const foreign = join(directory, 'foreign.safetensors');
    await saveFile(run.model.stateDict(), foreign);
    await expect(run.trainer.load(foreign)).rejects.toMatchObject({ code: 'ERR_FILE_FORMAT' });
    await expect(run.trainer.load(join(directory, 'none'))).rejects.toMatchObject({ code: 'ERR_IO' });
    await expect(loadCheckpoint(path, { model: run.model.out })).rejects.toMatchObject({ code: 'ERR_STATE_DICT' });
    await saveCheckpoint(cut, { model: run.model });
    await expect(loadCheckpoint(cut, run)).rejects.toThrow('expected');
    await expect(run.trainer.load(cut)).rejects.toThrow('state of a Trainer');
    expect(await numbersOf(run)).toEqual(before);
    await run.trainer.load(path, run.loader);
    expect(await numbersOf(run)).toEqual(before);
  });
});
