import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { Emixer } from '#model/emixer/emixer.ts';
import type { ParameterSet } from '#model/layers/parameters.ts';
import { Adam } from '#model/optimiser/adam.ts';
import { Random } from '#model/random.ts';
import { AdversarialTrainer } from '#model/training/adversarial-trainer.ts';
import type { TrainingData } from '#model/training/dataset.ts';
import { EncoderTrainer } from '#model/training/encoder-trainer.ts';
import { ImageGame } from '#model/training/image-game.ts';
import { loadLocalState, saveLocalState } from '#model/training/local-state.ts';
import { type Descent, descend, gradientOf, type Losses } from '#model/training/minimise.ts';
import { ReportTrainer } from '#model/training/report-trainer.ts';
import { labelTensor } from '#model/training/tensors.ts';
import type { Trainer } from '#model/training/trainer.ts';
import { tinyConfig, tinyData, tinyEmixer } from '../../support/tiny-training.ts';

const keys = { seed: 7, site: 0 };
const valuesOf = (set: ParameterSet): Map<string, number[]> =>
  new Map([...set.entries()].map(([name, { variable }]) => [name, [...variable.dataSync()]]));
const changed = (set: ParameterSet, before: Map<string, number[]>): string[] =>
  [...valuesOf(set)]
    .filter(([name, values]) => values.some((v, i) => v !== before.get(name)?.[i]))
    .map(([name]) => name);

let model: Emixer;
let trainer: Trainer | undefined;
beforeAll(async () => {
  await loadBackend(backendOptionsFromEnvironment(process.env));
});
beforeEach(() => {
  model = tinyEmixer();
});
afterEach(() => {
  trainer?.dispose();
  trainer = undefined;
  model.dispose();
});

describe('adversarial training', () => {
  it('moves G, the decoder and the discriminators, and leaves the encoder frozen', async () => {
    trainer = new AdversarialTrainer(model, tinyData(), keys, 10);
    const sets = [...model.shared, ...model.local];
    const before = sets.map(valuesOf);
    await trainer.step(0);
    for (const [i, set] of sets.entries()) {
      const moved = changed(set, before[i] as Map<string, number[]>);
      if (set.prefix === 'F/encoder') expect(moved).toEqual([]);
      else expect(moved.length, set.prefix).toBeGreaterThan(set.trainables.length / 2);
    }
  });

  it('reports every loss of the paper, all finite', async () => {
    trainer = new AdversarialTrainer(model, tinyData(), keys, 10);
    const losses = await trainer.step(0);
    expect(Object.keys(losses).sort()).toEqual([
      'D_image/adversarial',
      'D_image/rotation',
      'D_joint/adversarial',
      'D_report/adversarial',
      'F/joint',
      'F/mle',
      'F/report',
      'G/adversarial',
      'G/rotation',
    ]);
    expect(Object.values(losses).every(Number.isFinite)).toBe(true);
  });

  it('holds no tensor from step to step', async () => {
    trainer = new AdversarialTrainer(model, tinyData(), keys, 10);
    await trainer.step(0);
    const { numTensors } = tf.memory();
    for (let step = 1; step < 5; step++) await trainer.step(step);
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  it('trains G and D_image alone where no record has a report, with no weight in F', async () => {
    const data = tinyData();
    const silent: TrainingData = { ...data, records: data.records.map(record => ({ ...record, report: null })) };
    trainer = new AdversarialTrainer(model, silent, keys, 10);
    const before = valuesOf(model.reportGenerator.parameters);
    const losses = await trainer.step(0);
    expect(Object.keys(losses).filter(name => /report|joint|mle/.test(name))).toEqual([]);
    expect(changed(model.reportGenerator.parameters, before)).toEqual([]);
    expect(trainer.records).toEqual({ G: 18, 'F/decoder': 0 });
  });
});

describe('a site that is smaller than a batch', () => {
  const onlyRecord = (): TrainingData => {
    const data = tinyData();
    return { ...data, records: data.records.slice(0, 1) };
  };

  it('trains on its only record, which is no mismatch of itself, and holds no tensor', async () => {
    trainer = new AdversarialTrainer(model, onlyRecord(), keys, 10);
    const losses = await trainer.step(0);
    expect(Object.values(losses).every(Number.isFinite)).toBe(true);
    const { numTensors } = tf.memory();
    await trainer.step(1);
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});

describe('y of real images', () => {
  const records = [{ index: 0, split: 'train' as const, report: null, labels: [1, 0, -1, 1, null] as const }];
  const drawn = (mode: 'multihot' | 'onehot') => {
    const seen = Array.from({ length: 40 }, (_, seed) => {
      const y = labelTensor(records, mode, new Random(seed));
      const row = y.dataSync().join();
      y.dispose();
      return row;
    });
    return [...new Set(seen)].sort();
  };

  it('has the form that generated images have theirs in', () => {
    expect(drawn('multihot')).toEqual(['1,0,0,1,0']);
    expect(drawn('onehot')).toEqual(['0,0,0,1,0', '1,0,0,0,0']);
  });

  it('is what D_image is given: a run with one label at a time trains', async () => {
    const seen: number[] = [];
    const data = tinyData();
    const several = { ...data, records: data.records.map(r => ({ ...r, labels: r.labels.map(() => 1 as const) })) };
    const one = new Emixer({ ...tinyConfig, labelMode: 'onehot' }, model.vocabulary, { run: 7, site: 0 });
    const judges = vi.spyOn(ImageGame.prototype, 'discriminatorGradient').mockImplementation(function (
      this: ImageGame,
      duel,
    ) {
      for (const y of [duel.y, duel.fakeY]) seen.push(...tf.tidy(() => tf.sum(y, 1).dataSync()));
      judges.mockRestore();
      return this.discriminatorGradient(duel);
    });
    const onehot = new AdversarialTrainer(one, several, keys, 10);
    await onehot.step(0);
    expect(new Set(seen)).toEqual(new Set([1]));
    onehot.dispose();
    one.dispose();
  });
});

describe('pre-training', () => {
  it('teaches the encoder the labels of the training records', async () => {
    const encoder = new EncoderTrainer(model.encoder, tinyConfig, tinyData(), keys, 'test');
    trainer = encoder;
    const first = (await encoder.step(0))['encoder/bce'] ?? 0;
    let last = first;
    for (let step = 1; step < 40; step++) last = (await encoder.step(step))['encoder/bce'] ?? 0;
    expect(last).toBeLessThan(first / 2);
  });

  it('teaches the decoder the training reports, and moves nothing else', async () => {
    trainer = new ReportTrainer(model, tinyData(), keys);
    const encoder = valuesOf(model.encoder.parameters);
    const first = (await trainer.step(0))['report/mle'] ?? 0;
    let last = first;
    for (let step = 1; step < 40; step++) last = (await trainer.step(step))['report/mle'] ?? 0;
    expect(last).toBeLessThan(first / 2);
    expect(changed(model.encoder.parameters, encoder)).toEqual([]);
  });

  it('leaves a site without any label out of the encoder', async () => {
    const data = tinyData();
    const blank = { ...data, records: data.records.map(r => ({ ...r, labels: r.labels.map(() => null) })) };
    trainer = new EncoderTrainer(model.encoder, tinyConfig, blank, keys, 'test');
    const before = valuesOf(model.encoder.parameters);
    expect(await trainer.step(0)).toEqual({});
    expect(changed(model.encoder.parameters, before)).toEqual([]);
    expect(trainer.records).toEqual({ 'F/encoder': 0 });
  });
});

describe('local state', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'local-state-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('resumes to the bit: 2 + 2 steps through a file equal 4 without a stop', async () => {
    const path = join(folder, 'local.safetensors');
    const whole = new AdversarialTrainer(model, tinyData(), keys, 10);
    trainer = whole;
    for (let step = 0; step < 2; step++) await whole.step(step);
    await saveLocalState(path, whole.networks, whole.optimisers, { taskId: 't', step: 2, lossSums: { a: 0.1 } });
    for (let step = 2; step < 4; step++) await whole.step(step);

    const restarted = tinyEmixer();
    const resumed = new AdversarialTrainer(restarted, tinyData(), keys, 10);
    const progress = await loadLocalState(path, resumed.networks, resumed.optimisers);
    expect(progress).toEqual({ taskId: 't', step: 2, lossSums: { a: 0.1 } });
    for (let step = 2; step < 4; step++) await resumed.step(step);
    for (const [i, set] of whole.networks.entries()) {
      expect(changed(resumed.networks[i] as ParameterSet, valuesOf(set)), set.prefix).toEqual([]);
    }
    resumed.dispose();
    restarted.dispose();
  });

  it('is none where there is no file', async () => {
    expect(await loadLocalState(join(folder, 'absent.safetensors'), [], {})).toBeNull();
  });
});

describe('a step on losses that are a sum of parts', () => {
  const minimised = (x: Adam, losses: () => Losses): Descent =>
    tf.tidy(() => descend({ x }, [gradientOf([x], () => ({ losses: losses() }))]));

  it('rejects a loss that is not finite by name, and moves nothing', () => {
    const x = tf.variable(tf.scalar(2));
    const optimiser = new Adam([x], { rate: 0.1, beta1: 0 });
    const step = () =>
      minimised(optimiser, () => ({ 'G/rotation': tf.square(x), 'G/adversarial': tf.log(tf.sub(x, 3)) }));
    expect(step).toThrow(
      expect.objectContaining({ code: 'NON_FINITE', message: expect.stringContaining('G/adversarial') }),
    );
    expect(x.dataSync()[0]).toBe(2);
    optimiser.dispose();
    x.dispose();
  });

  it('minimises the sum of the parts', () => {
    const x = tf.variable(tf.scalar(2));
    const optimiser = new Adam([x], { rate: 0.1, beta1: 0 });
    // d/dx (x^2 - 8x) = -4 at 2: downhill is up, although the first part alone would go down.
    const parts = minimised(optimiser, () => ({ 'G/rotation': tf.square(x), 'F/mle': tf.mul<tf.Scalar>(x, -8) }));
    expect(parts.losses).toEqual({ 'G/rotation': 4, 'F/mle': -16 });
    expect(parts.norms['x']).toBe(4);
    expect(x.dataSync()[0]).toBeCloseTo(2.1, 4);
    optimiser.dispose();
    x.dispose();
  });
});
