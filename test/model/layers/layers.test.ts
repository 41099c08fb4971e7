import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { hasNativeOps } from '#model/backend/execute-op.ts';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { addBias, relu, residual } from '#model/layers/activation.ts';
import { attention } from '#model/layers/attention.ts';
import { BATCH_NORM_EPSILON, composedBatchNorm, fusedBatchNorm } from '#model/layers/batch-norm.ts';
import { Conv } from '#model/layers/conv.ts';
import { orthogonal } from '#model/layers/initialisers.ts';
import { modulate } from '#model/layers/modulate.ts';
import { ParameterSet } from '#model/layers/parameters.ts';
import { averagePool, upsample } from '#model/layers/resampling.ts';
import { SelfAttention } from '#model/layers/self-attention.ts';
import { SpectralNorm } from '#model/layers/spectral-norm.ts';
import { Random } from '#model/random.ts';
import { expectClose, expectSameFunction, normals } from '../../support/compare-tensors.ts';

let random: Random;
const normal = (...shape: number[]) => normals(shape, random);

beforeAll(async () => {
  await loadBackend(backendOptionsFromEnvironment(process.env));
  random = new Random('layers');
});

describe('operations with gradients of their own', () => {
  it('relu', () => {
    const x = normal(2, 3, 3, 5);
    expectSameFunction(relu, x => tf.relu(x), [x], normal(2, 3, 3, 5), 1e-6);
  });

  it('residual, also where one input is used twice', () => {
    const twice = (add: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor) => (a: tf.Tensor, b: tf.Tensor) =>
      tf.mul(add(tf.square(a), a), add(b, tf.square(a)));
    expectSameFunction(twice(residual), twice(tf.add), [normal(3, 4), normal(3, 4)], normal(3, 4), 1e-6);
  });

  it('addBias', () => {
    expectSameFunction(addBias, (x, b) => tf.add(x, b), [normal(2, 3, 3, 5), normal(5)], normal(2, 3, 3, 5), 1e-5);
  });

  it.each([2, 1])('modulate with %i rows of gain and bias for 2 images', rows => {
    const composed = (x: tf.Tensor, gain: tf.Tensor, bias: tf.Tensor) => {
      const spread = (t: tf.Tensor) => tf.reshape(t, [rows, 1, 1, 5]);
      return tf.relu(tf.add(tf.mul(x, spread(gain)), spread(bias)));
    };
    const inputs = [normal(2, 3, 3, 5), normal(rows, 5), normal(rows, 5)];
    expectSameFunction(modulate as typeof composed, composed, inputs, normal(2, 3, 3, 5), 1e-5);
  });

  it('upsample', () => {
    const composed = (x: tf.Tensor) => tf.image.resizeNearestNeighbor(x as tf.Tensor4D, [6, 8]);
    expectSameFunction(upsample as typeof composed, composed, [normal(2, 3, 4, 5)], normal(2, 6, 8, 5), 1e-5);
  });

  // The second needs three tiles of queries, the last one smaller.
  it.each([
    [2, 16, 4],
    [2, 3001, 1400],
  ])('attention of %i x %i queries to %i keys', (batch, queries, keys) => {
    const composed = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) =>
      tf.matMul(tf.softmax(tf.matMul(q, k, false, true)), v);
    const inputs = [normal(batch, queries, 3), normal(batch, keys, 3), normal(batch, keys, 6)];
    expectSameFunction(attention as typeof composed, composed, inputs, normal(batch, queries, 6));
  });
});

describe('batch norm', () => {
  it('standardises by the batch and tells its mean and biased variance', () => {
    // One channel: 1, 2, 3, 6 has mean 3 and biased variance 3.5.
    const x = tf.tensor4d([1, 2, 3, 6], [2, 2, 1, 1]);
    const seen: number[] = [];
    const observe = (mean: tf.Tensor, variance: tf.Tensor) =>
      seen.push(mean.dataSync()[0] as number, variance.dataSync()[0] as number);
    const y = composedBatchNorm({ x, scale: tf.tensor1d([2]), offset: tf.tensor1d([1]), observe });
    expect(seen[0]).toBeCloseTo(3, 6);
    expect(seen[1]).toBeCloseTo(3.5, 6);
    const expected = [1, 2, 3, 6].map(value => ((value - 3) / Math.sqrt(3.5 + BATCH_NORM_EPSILON)) * 2 + 1);
    for (const [i, value] of y.dataSync().entries()) expect(value).toBeCloseTo(expected[i] as number, 5);
  });

  it('is the same fused and composed, gradients and statistics too', context => {
    context.skip(!hasNativeOps(), 'the fused kernel exists on the native backend only');
    const inputs = [tf.add(tf.mul(normal(4, 5, 5, 6), 3), 2), normal(6), normal(6)];
    const statistics: tf.Tensor[][] = [[], []];
    const run =
      (which: number, norm: typeof composedBatchNorm) => (x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) =>
        norm({
          x: x as tf.Tensor4D,
          scale: scale as tf.Tensor1D,
          offset: offset as tf.Tensor1D,
          observe: (mean, variance) => statistics[which]?.push(tf.keep(tf.clone(mean)), tf.keep(tf.clone(variance))),
        });
    expectSameFunction(run(0, fusedBatchNorm), run(1, composedBatchNorm), inputs, normal(4, 5, 5, 6));
    for (const i of [0, 1]) expectClose(statistics[0]?.[i] as tf.Tensor, statistics[1]?.[i] as tf.Tensor, 1e-5);
  });
});

describe('convolutions that resample', () => {
  function build() {
    const parameters = new ParameterSet('T');
    const spectral = new SpectralNorm(parameters, random);
    const conv = new Conv(spectral, 'conv', { inputs: 3, outputs: 5, size: 3, bias: true }, random);
    const [kernel, bias] = parameters.trainables as [tf.Variable, tf.Variable];
    bias.assign(normal(5));
    const weights = { get: () => kernel };
    return { conv, kernel, weights };
  }

  it('convolve and pool in one kernel: the same function and gradients', () => {
    const { conv, kernel, weights } = build();
    const fused = (x: tf.Tensor, w: tf.Tensor) => conv.applyThenPool(x as tf.Tensor4D, { get: () => w });
    const plain = (x: tf.Tensor, w: tf.Tensor) => averagePool(conv.apply(x as tf.Tensor4D, { get: () => w }));
    expectSameFunction(fused, plain, [normal(2, 8, 6, 3), kernel], normal(2, 4, 3, 5));
    expect(conv.apply(normal(1, 4, 4, 3) as tf.Tensor4D, weights).shape).toEqual([1, 4, 4, 5]);
  });

  it('upsample and convolve in one kernel: the same function and gradients', () => {
    const { conv, kernel } = build();
    const fused = (x: tf.Tensor, w: tf.Tensor) => conv.upsampleThenApply(x as tf.Tensor4D, { get: () => w });
    const plain = (x: tf.Tensor, w: tf.Tensor) => conv.apply(upsample(x as tf.Tensor4D), { get: () => w });
    expectSameFunction(fused, plain, [normal(2, 4, 3, 3), kernel], normal(2, 8, 6, 5));
  });
});

describe('self-attention', () => {
  it('starts as the identity and is none once gamma has moved', () => {
    const parameters = new ParameterSet('T');
    const spectral = new SpectralNorm(parameters, random);
    const block = new SelfAttention(spectral, 'attention', 8, random);
    const x = normal(2, 4, 4, 8) as tf.Tensor4D;
    expect(block.apply(x, spectral.forward()).dataSync()).toEqual(x.dataSync());
    parameters.entries().get('T/attention/gamma')?.variable.assign(tf.scalar(0.5));
    expect(block.apply(x, spectral.forward()).dataSync()).not.toEqual(x.dataSync());
  });
});

describe('orthogonal initialisation', () => {
  const gram = (w: tf.Tensor, transpose: boolean) => {
    const matrix = tf.reshape(w, [-1, w.shape.at(-1) as number]);
    return tf.matMul(matrix, matrix, transpose, !transpose);
  };

  it('has orthonormal columns where the matrix is tall, rows where it is wide', () => {
    expectClose(gram(orthogonal([3, 3, 4, 8], random), true), tf.eye(8), 1e-5);
    expectClose(gram(orthogonal([5, 40], random), false), tf.eye(5), 1e-5);
  });

  it('has them too where the matrix is large enough for the native factorisation', () => {
    expectClose(gram(orthogonal([720, 680], random), true), tf.eye(680), 1e-4);
  });

  it('depends on the seed and on nothing else', () => {
    const draw = (seed: string) => Array.from(orthogonal([3, 3, 2, 4], new Random(seed)).dataSync());
    expect(draw('a')).toEqual(draw('a'));
    expect(draw('a')).not.toEqual(draw('b'));
  });
});
