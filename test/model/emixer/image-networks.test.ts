import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { type ModelConfig, resolveModelConfig } from '#model/config.ts';
import { describeImageNetworks } from '#model/describe.ts';
import { ImageDiscriminator } from '#model/emixer/image-discriminator.ts';
import { ImageGenerator } from '#model/emixer/image-generator.ts';
import { rotatedBatch, rotatedLabels, rotationLogits } from '#model/emixer/rotation.ts';
import type { ParameterSet } from '#model/layers/parameters.ts';
import { hinge, rotationLoss } from '#model/losses.ts';
import { Adam } from '#model/optimiser/adam.ts';
import { Random } from '#model/random.ts';
import { expectClose, normals } from '../../support/compare-tensors.ts';

const config = (overrides: Partial<ModelConfig> = {}) => resolveModelConfig('phantom32', { channels: 8, ...overrides });
const random = new Random('inputs');
const normal = (...shape: number[]) => normals(shape, random);
const someLabels = (batch: number) =>
  tf.tensor2d(
    Float32Array.from({ length: batch * 14 }, () => (random.uniform() > 0.7 ? 1 : 0)),
    [batch, 14],
  );

/** Attention is switched on, so that gradients reach what stands behind its gamma. */
function openAttention(parameters: ParameterSet): void {
  for (const [name, { variable }] of parameters.entries()) {
    if (name.endsWith('/gamma')) tf.tidy(() => variable.assign(tf.scalar(0.7)));
  }
}

/** Names of the trainables that a loss does not move. */
function unmoved(parameters: ParameterSet, loss: () => tf.Scalar): string[] {
  const { grads } = tf.variableGrads(loss, parameters.trainables);
  return [...parameters.entries()]
    .filter(([, { trainable }]) => trainable)
    .filter(([, { variable }]) => {
      const values = grads[variable.name]?.dataSync() ?? [];
      return !(values.every(Number.isFinite) && values.some(value => value !== 0));
    })
    .map(([name]) => name);
}

beforeAll(async () => {
  await loadBackend(backendOptionsFromEnvironment(process.env));
});

describe.each([32, 64, 128] as const)('at %i pixels', resolution => {
  const model = config({ resolution });

  it('has the described number of parameters, G makes images in [-1, 1], D judges them', () => {
    const generator = new ImageGenerator(model, new Random('G'));
    const discriminator = new ImageDiscriminator(model, new Random('D'), { labelHead: true });
    const described = describeImageNetworks(model);
    expect(generator.parameters.count).toBe(described.generator.parameters);
    const features = discriminator.parameters.entries().get('D_image/linear/kernel')?.variable.shape[0] as number;
    const labelHead = features * 14 + 14;
    expect(discriminator.parameters.count - labelHead).toBe(described.imageDiscriminator.parameters);
    expect(generator.zLength).toBe({ 32: 80, 64: 100, 128: 120 }[resolution]);
    const y = someLabels(2);
    const images = generator.forward(normal(2, generator.zLength) as tf.Tensor2D, y, { training: true });
    expect(images.shape).toEqual([2, resolution, resolution, 1]);
    expect(images.dataSync().every(value => Math.abs(value) <= 1)).toBe(true);
    const judged = discriminator.forward(images, y);
    expect(judged.logits.shape).toEqual([2]);
    expect(judged.rotation.shape).toEqual([2, 4]);
    expect(judged.features.shape).toEqual([2, features]);
    expect(judged.labels?.shape).toEqual([2, 14]);
  });

  it('moves every trainable, and D tells G which way to go', () => {
    const generator = new ImageGenerator(model, new Random('G'));
    const discriminator = new ImageDiscriminator(model, new Random('D'));
    for (const network of [generator, discriminator]) {
      network.beginStep();
      openAttention(network.parameters);
    }
    const y = someLabels(4);
    const z = normal(4, generator.zLength) as tf.Tensor2D;
    const lossOf = (images: tf.Tensor4D) => {
      const { logits, rotation } = discriminator.forward(images, y);
      return tf.add(hinge.generator(logits), rotationLoss(rotation)) as tf.Scalar;
    };
    const images = generator.forward(z, y, { training: true });
    expect(unmoved(discriminator.parameters, () => lossOf(images))).toEqual([]);
    expect(unmoved(generator.parameters, () => lossOf(generator.forward(z, y, { training: true })))).toEqual([]);
    const direction = tf
      .grad(lossOf as (x: tf.Tensor) => tf.Tensor)(images)
      .dataSync();
    expect(direction.every(Number.isFinite)).toBe(true);
    expect(direction.some(value => value !== 0)).toBe(true);
  });
});

it('has three channels where the configuration says so', () => {
  const model = config({ imageChannels: 3 });
  const generator = new ImageGenerator(model, new Random('G'));
  expect(generator.parameters.count).toBe(describeImageNetworks(model).generator.parameters);
  const images = generator.forward(normal(1, 80) as tf.Tensor2D, someLabels(1), { training: true });
  expect(images.shape).toEqual([1, 32, 32, 3]);
});

describe('the generator', () => {
  it('is the same from the same seed, and names its tensors stably', () => {
    const values = (seed: string) =>
      [...new ImageGenerator(config(), new Random(seed)).parameters.entries()].map(([name, { variable }]) => [
        name,
        Array.from(variable.dataSync()),
      ]);
    const first = values('a');
    expect(values('a')).toEqual(first);
    expect(values('b')).not.toEqual(first);
    const names = first.map(([name]) => name);
    expect(names).toContain('G/block1/conv1/kernel');
    expect(names).toContain('G/block3/norm2/gain/kernel');
    expect(names).toContain('G/block3/norm2/mean');
    expect(names).toContain('G/output/kernel/u');
  });

  it('samples each image by itself, from standing statistics', () => {
    const generator = new ImageGenerator(config(), new Random('G'));
    const y = someLabels(6);
    const z = normal(6, 80) as tf.Tensor2D;
    expect(() => generator.forward(z, y, { training: false })).toThrow(/standing statistics/);
    for (let i = 0; i < 4; i++) generator.accumulateStanding(normal(6, 80) as tf.Tensor2D, y);
    const together = generator.forward(z, y, { training: false });
    const alone = generator.forward(tf.slice(z, 2, 1), tf.slice(y, 2, 1), { training: false });
    expectClose(alone, tf.slice(together, 2, 1), 1e-5);
  });

  it('with the statistics of one batch samples that batch as training makes it', () => {
    const generator = new ImageGenerator(config(), new Random('G'));
    const y = someLabels(6);
    const z = normal(6, 80) as tf.Tensor2D;
    generator.accumulateStanding(normal(6, 80) as tf.Tensor2D, y);
    generator.resetStanding();
    generator.accumulateStanding(z, y);
    expectClose(generator.forward(z, y, { training: false }), generator.forward(z, y, { training: true }), 1e-4);
  });

  it('averages the statistics of its batches', () => {
    const generator = new ImageGenerator(config(), new Random('G'));
    const mean = generator.parameters.entries().get('G/block1/norm1/mean')?.variable as tf.Variable;
    const y = someLabels(4);
    const means = [1, 2, 3].map(() => {
      generator.resetStanding();
      const z = normal(4, 80) as tf.Tensor2D;
      generator.accumulateStanding(z, y);
      return { z, mean: tf.clone(mean) };
    });
    generator.resetStanding();
    for (const { z } of means) generator.accumulateStanding(z, y);
    expectClose(mean, tf.div(tf.addN(means.map(each => each.mean)), 3), 1e-5);
  });
});

describe('the discriminator', () => {
  it('judges by the labels: the projection term is (y W) . h', () => {
    const discriminator = new ImageDiscriminator(config(), new Random('D'));
    const images = normal(3, 32, 32, 1) as tf.Tensor4D;
    const logitsFor = (y: tf.Tensor2D) => discriminator.forward(images, y).logits;
    const [none, a, b] = [tf.zeros([3, 14]), someLabels(3), someLabels(3)] as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
    // Linear in y.
    const sum = tf.sub(tf.add(logitsFor(a), logitsFor(b)), logitsFor(none));
    expectClose(logitsFor(tf.add(a, b)), sum, 1e-4);
    expect(logitsFor(a).dataSync()).not.toEqual(logitsFor(none).dataSync());
  });

  it('puts its own probabilities where labels are missing, without gradient into the label head', () => {
    const discriminator = new ImageDiscriminator(config(), new Random('D'), { labelHead: true });
    const images = normal(3, 32, 32, 1) as tf.Tensor4D;
    const y = someLabels(3);
    const known = tf.zeros<tf.Rank.R2>([3, 14]);
    const { labels } = discriminator.forward(images, y);
    const completed = discriminator.forward(images, y, known).logits;
    expectClose(completed, discriminator.forward(images, tf.sigmoid(labels as tf.Tensor2D)).logits, 1e-5);
    expect(discriminator.forward(images, y, tf.onesLike(known)).logits.dataSync()).toEqual(
      discriminator.forward(images, y).logits.dataSync(),
    );
    const still = unmoved(discriminator.parameters, () => tf.mean(discriminator.forward(images, y, known).logits));
    expect(still).toEqual([
      'D_image/rotation/kernel',
      'D_image/rotation/bias',
      'D_image/labels/kernel',
      'D_image/labels/bias',
    ]);
  });
});

it("steps of D and G hold no tensor back, lower D's loss and move nothing of the other network", () => {
  const model = config();
  const generator = new ImageGenerator(model, new Random('G'));
  const discriminator = new ImageDiscriminator(model, new Random('D'));
  const adam = (parameters: ParameterSet, rate: number) => new Adam(parameters.trainables, { rate, beta1: 0 });
  const optimisers = {
    generator: adam(generator.parameters, 2e-4),
    discriminator: adam(discriminator.parameters, 8e-4),
  };
  const y = someLabels(8);
  const real = tf.clipByValue(normal(8, 32, 32, 1), -1, 1) as tf.Tensor4D;
  const z = normal(8, 80) as tf.Tensor2D;
  const stepOfD = () =>
    tf.tidy(() => {
      generator.beginStep();
      discriminator.beginStep();
      const fake = generator.forward(z, y, { training: true });
      const images = tf.concat4d([real, fake, rotatedBatch(real, 2)], 0);
      const { value, grads } = tf.variableGrads(() => {
        const judged = discriminator.forward(images, tf.concat2d([y, y, rotatedLabels(y, 2)], 0));
        const [realLogits, fakeLogits] = tf.split(judged.logits, [8, 8, 6]) as [tf.Tensor, tf.Tensor];
        const [upright, , turned] = tf.split(judged.rotation, [8, 8, 6]) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
        const rotation = rotationLoss(rotationLogits(upright, turned));
        return tf.add(hinge.discriminator(realLogits, fakeLogits), rotation) as tf.Scalar;
      }, discriminator.parameters.trainables);
      optimisers.discriminator.step(optimisers.discriminator.pack(grads));
      return value.dataSync()[0] as number;
    });
  const stepOfG = () =>
    tf.tidy(() => {
      generator.beginStep();
      discriminator.beginStep();
      const { grads } = tf.variableGrads(() => {
        const images = generator.forward(z, y, { training: true });
        return hinge.generator(discriminator.forward(images, y).logits);
      }, generator.parameters.trainables);
      optimisers.generator.step(optimisers.generator.pack(grads));
    });
  const snapshot = (parameters: ParameterSet) => parameters.trainables.map(variable => Array.from(variable.dataSync()));

  const before = snapshot(generator.parameters);
  const losses = [stepOfD()];
  expect(snapshot(generator.parameters)).toEqual(before);
  const judge = snapshot(discriminator.parameters);
  stepOfG();
  expect(snapshot(discriminator.parameters)).toEqual(judge);
  expect(snapshot(generator.parameters)).not.toEqual(before);
  const tensors = tf.memory().numTensors;
  for (let i = 0; i < 12; i++) losses.push(stepOfD());
  stepOfG();
  expect(tf.memory().numTensors).toBe(tensors);
  expect(losses.at(-1)).toBeLessThan((losses[0] as number) / 2);
});
