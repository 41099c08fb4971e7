/** In a step, only what the step is for moves: bytes compared. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import type { Emixer } from '#model/emixer/emixer.ts';
import type { ParameterSet } from '#model/layers/parameters.ts';
import { AdversarialTrainer } from '#model/training/adversarial-trainer.ts';
import { EncoderTrainer } from '#model/training/encoder-trainer.ts';
import { ReportTrainer } from '#model/training/report-trainer.ts';
import type { Trainer } from '#model/training/trainer.ts';
import { tinyConfig, tinyData, tinyEmixer } from '../../support/tiny-training.ts';

const keys = { seed: 7, site: 0 };
let model: Emixer;
let trainer: Trainer | undefined;
beforeAll(async () => {
  await loadBackend(backendOptionsFromEnvironment(process.env));
});
beforeEach(() => {
  model = tinyEmixer();
});
afterEach(() => {
  vi.restoreAllMocks();
  trainer?.dispose();
  trainer = undefined;
  model.dispose();
});

type Snapshot = ReadonlyMap<string, Buffer>;

/** Network -> the bytes of what optimisers may move; buffers (running statistics, u and v) too where `whole`. */
const snapshot = (whole: boolean): Snapshot =>
  new Map([...model.shared, ...model.local].map(set => [set.prefix, bytesOf(set, whole)]));
const bytesOf = (set: ParameterSet, whole: boolean): Buffer =>
  Buffer.concat(
    [...set.entries().values()]
      .filter(({ trainable }) => whole || trainable)
      .map(({ variable }) => Buffer.from(variable.dataSync().slice().buffer)),
  );
const moved = (before: Snapshot, after: Snapshot): string[] =>
  [...after].filter(([name, bytes]) => before.get(name)?.equals(bytes) !== true).map(([name]) => name);

describe('a step', () => {
  it("of the encoder's pre-training moves the encoder alone", async () => {
    trainer = new EncoderTrainer(model.encoder, tinyConfig, tinyData(), keys, 'test');
    const before = snapshot(true);
    await trainer.step(0);
    expect(moved(before, snapshot(true))).toEqual(['F/encoder']);
  });

  it("of F's pre-training moves the decoder alone: the encoder is frozen, its running statistics too", async () => {
    trainer = new ReportTrainer(model, tinyData(), keys);
    const before = snapshot(true);
    await trainer.step(0);
    expect(moved(before, snapshot(true))).toEqual(['F/decoder']);
  });

  it('of adversarial training never moves the encoder', async () => {
    trainer = new AdversarialTrainer(model, tinyData(), keys, 10);
    const before = snapshot(true);
    await trainer.step(0);
    expect(moved(before, snapshot(true))).not.toContain('F/encoder');
  });

  it("moves G and F in the generators' update and the discriminators in theirs, and nothing between", async () => {
    const adversarial = new AdversarialTrainer(model, tinyData(), keys, 10);
    trainer = adversarial;
    const updates: { readonly by: string; readonly moves: string[] }[] = [];
    let last = snapshot(false);
    const note = (by: string): void => {
      const now = snapshot(false);
      updates.push({ by, moves: moved(last, now) });
      last = now;
    };
    for (const [name, optimiser] of Object.entries(adversarial.optimisers)) {
      const step = optimiser.step.bind(optimiser);
      vi.spyOn(optimiser, 'step').mockImplementation(gradients => {
        note('nobody');
        step(gradients);
        note(name);
      });
    }
    await adversarial.step(0);
    note('nobody');
    expect(updates.filter(({ by }) => by === 'nobody').flatMap(({ moves }) => moves)).toEqual([]);
    const discriminators = [
      { by: 'D_image', moves: ['D_image'] },
      { by: 'D_text', moves: ['D_report', 'D_joint'] },
    ];
    expect(updates.filter(({ by }) => by !== 'nobody')).toEqual([
      ...discriminators,
      ...discriminators,
      { by: 'G', moves: ['G'] },
      { by: 'F', moves: ['F/decoder'] },
    ]);
  });
});

describe('pre-training of the encoder with a share of the labels', () => {
  it('counts and sees only the records that keep theirs', async () => {
    const seen = new Set<number>();
    const data = tinyData();
    const watched = {
      ...data,
      readImages: (indices: readonly number[]) => {
        for (const index of indices) seen.add(index);
        return data.readImages(indices);
      },
    };
    trainer = new EncoderTrainer(model.encoder, { ...tinyConfig, labelledFraction: 0.5 }, watched, keys, 'test');
    for (let step = 0; step < 6; step++) await trainer.step(step);
    expect(trainer.records).toEqual({ 'F/encoder': 9 });
    expect(seen.size).toBe(9);
  });
});
