import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';
import { Emixer } from '#model/emixer/emixer.ts';
import { AdversarialTrainer } from '#model/training/adversarial-trainer.ts';
import { EncoderTrainer } from '#model/training/encoder-trainer.ts';
import { ReportTrainer } from '#model/training/report-trainer.ts';
import type { Trainer } from '#model/training/trainer.ts';
import { useNativeBackend } from '../../support/native-backend.ts';
import { tinyConfig, tinyData, tinyEmixer } from '../../support/tiny-training.ts';

const prepared = await useNativeBackend();
const keys = { seed: 7, site: 0 };
const config = { ...tinyConfig, optimiser: { ...tinyConfig.optimiser, discriminatorSteps: 1 } };

/** On a GPU steps are not compiled: the backend says it is one, and the same kernels run one by one. */
async function kernelByKernel<T>(run: () => Promise<T>): Promise<T> {
  const backend = tf.backend() as unknown as { isUsingGpuDevice: boolean };
  backend.isUsingGpuDevice = true;
  try {
    return await run();
  } finally {
    backend.isUsingGpuDevice = false;
  }
}

async function firstStep(make: (model: Emixer) => Trainer) {
  const model = new Emixer(config, tinyEmixer().vocabulary, { run: 7, site: 0 });
  const trainer = make(model);
  const losses = await trainer.step(0);
  const { gradientNorms } = trainer;
  trainer.dispose();
  model.dispose();
  return { losses, gradientNorms };
}

describe.skipIf(!prepared)('a compiled training step (where npm run setup prepared TensorFlow)', () => {
  afterEach(() => useNativeBackend());

  it.each([
    ['of the encoder', (model: Emixer) => new EncoderTrainer(model.encoder, config, tinyData(), keys, 'test')],
    ['of F by maximum likelihood', (model: Emixer) => new ReportTrainer(model, tinyData(), keys)],
  ])('%s has the loss and the gradient of the step kernel by kernel', async (_, make) => {
    const plain = await kernelByKernel(() => firstStep(make));
    const compiled = await firstStep(make);
    for (const [name, loss] of Object.entries(plain.losses)) {
      expect(Math.abs((compiled.losses[name] ?? 0) / loss - 1), name).toBeLessThan(1e-4);
    }
    for (const [name, norm] of Object.entries(plain.gradientNorms)) {
      expect(Math.abs((compiled.gradientNorms[name] ?? 0) / norm - 1), name).toBeLessThan(1e-3);
    }
  });

  it('of the whole game has the losses and the gradients of the step kernel by kernel', async () => {
    const make = (model: Emixer) => new AdversarialTrainer(model, tinyData(), keys, 10);
    const plain = await kernelByKernel(() => firstStep(make));
    const compiled = await firstStep(make);
    expect(Object.keys(compiled.losses).sort()).toEqual(Object.keys(plain.losses).sort());
    // Before any update, and what does not depend on one.
    for (const name of [
      'D_image/adversarial',
      'D_image/rotation',
      'D_report/adversarial',
      'D_joint/adversarial',
      'F/mle',
    ]) {
      expect(Math.abs((compiled.losses[name] ?? 0) / (plain.losses[name] ?? 1) - 1), name).toBeLessThan(1e-4);
    }
    for (const name of ['D_image', 'D_text']) {
      const [came, expected] = [compiled.gradientNorms[name] ?? 0, plain.gradientNorms[name] ?? 1];
      expect(Math.abs(came / expected - 1), name).toBeLessThan(1e-3);
    }
    // The discriminators' first Adam step is the rate times the gradient's sign, rounding errors' included.
    for (const name of ['G/adversarial', 'G/rotation', 'F/report', 'F/joint']) {
      expect(Math.abs((compiled.losses[name] ?? 0) - (plain.losses[name] ?? 1)), name).toBeLessThan(0.05);
    }
    for (const name of ['G', 'F']) {
      const [came, expected] = [compiled.gradientNorms[name] ?? 0, plain.gradientNorms[name] ?? 1];
      expect(Math.abs(came / expected - 1), name).toBeLessThan(0.05);
    }
  });
});
