import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { hinge, maskedBinaryLoss, nonSaturating, rotationLoss } from '#model/losses.ts';

beforeAll(async () => {
  await loadBackend(backendOptionsFromEnvironment(process.env));
});

const real = () => tf.tensor1d([1.5, -0.3, 0.2, 0.9]);
const fake = () => tf.tensor1d([-1.2, 0.4, -0.1, 0.7]);
const scalar = (x: tf.Tensor) => x.dataSync()[0] as number;

describe('adversarial losses', () => {
  it('have the published values', () => {
    expect(scalar(hinge.discriminator(real(), fake()))).toBeCloseTo(1.55, 6);
    expect(scalar(hinge.generator(fake()))).toBeCloseTo(0.05, 6);
    expect(scalar(nonSaturating.discriminator(real(), fake()))).toBeCloseTo(1.2297354, 6);
    expect(scalar(nonSaturating.generator(fake()))).toBeCloseTo(0.7809701, 6);
  });

  it.each([
    ['hinge', hinge],
    ['non-saturating', nonSaturating],
  ])('%s: descent makes D call real real and fake fake, and G make fakes look real', (_name, loss) => {
    const [dReal, dFake] = tf.grads((r: tf.Tensor, f: tf.Tensor) => loss.discriminator(r, f))([real(), fake()]);
    expect((dReal as tf.Tensor).dataSync().every(value => value <= 0)).toBe(true);
    expect((dFake as tf.Tensor).dataSync().every(value => value >= 0)).toBe(true);
    const direction = tf.grad((f: tf.Tensor) => loss.generator(f))(fake());
    expect(direction.dataSync().every(value => value < 0)).toBe(true);
  });

  it('stay finite for extreme logits', () => {
    const extreme = tf.tensor1d([-1e4, 1e4]);
    for (const loss of [hinge, nonSaturating]) {
      expect(Number.isFinite(scalar(loss.discriminator(extreme, extreme)))).toBe(true);
      expect(Number.isFinite(scalar(loss.generator(extreme)))).toBe(true);
    }
  });
});

describe('rotation loss', () => {
  it('is log 4 for a head that knows nothing and small for one that knows', () => {
    expect(scalar(rotationLoss(tf.zeros([8, 4])))).toBeCloseTo(Math.log(4), 6);
    // Two images: rows 0-1 upright, 2-3 at 90 degrees, ...
    const sure = tf.mul(tf.oneHot(tf.tensor1d([0, 0, 1, 1, 2, 2, 3, 3], 'int32'), 4), 20) as tf.Tensor2D;
    expect(scalar(rotationLoss(sure))).toBeLessThan(1e-6);
    expect(scalar(rotationLoss(tf.reverse(sure, 0)))).toBeGreaterThan(10);
  });
});

describe('masked binary cross-entropy', () => {
  it('counts only the entries that have a label', () => {
    const logits = tf.tensor2d([0.5, -2, 3, 1], [2, 2]);
    const targets = tf.tensor2d([1, 0, 0, 1], [2, 2]);
    const known = tf.tensor2d([1, 1, 0, 1], [2, 2]);
    const expected = (Math.log1p(Math.exp(-0.5)) + Math.log1p(Math.exp(-2)) + Math.log1p(Math.exp(-1))) / 3;
    expect(scalar(maskedBinaryLoss(logits, targets, known))).toBeCloseTo(expected, 6);
    expect(scalar(maskedBinaryLoss(logits, targets, tf.zeros([2, 2])))).toBe(0);
  });
});
