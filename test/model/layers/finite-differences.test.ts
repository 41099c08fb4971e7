/** Every gradient that is written by hand, against central differences, on the backend that EMIXER_BACKEND names. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { hasNativeOps } from '#model/backend/execute-op.ts';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { crossEntropySum } from '#model/emixer/masked-cross-entropy.ts';
import { addBias, relu, residual } from '#model/layers/activation.ts';
import { attention } from '#model/layers/attention.ts';
import { batchNorm } from '#model/layers/batch-norm.ts';
import { withGradient } from '#model/layers/custom-gradient.ts';
import { gatherRows } from '#model/layers/gather-rows.ts';
import { composedLstm } from '#model/layers/lstm-composed.ts';
import { nativeLstm } from '#model/layers/lstm-native.ts';
import { modulate } from '#model/layers/modulate.ts';
import { ParameterSet } from '#model/layers/parameters.ts';
import { upsample } from '#model/layers/resampling.ts';
import { RunningNorm } from '#model/layers/running-norm.ts';
import { SpectralNorm } from '#model/layers/spectral-norm.ts';
import { Random } from '#model/random.ts';
import { expectFiniteDifferences, slopes } from '../../support/finite-difference.ts';

type Compute = (...inputs: tf.Tensor[]) => tf.Tensor;

let random: Random;

beforeAll(async () => {
  await loadBackend(backendOptionsFromEnvironment(process.env));
});

beforeEach(() => {
  random = new Random('finite differences');
});

const normal = (...shape: number[]) => ({ shape, values: random.normals(shape.reduce((a, b) => a * b, 1)) });
/** Away from zero, where ReLU has no derivative, by more than a step. */
const awayFromZero = (...shape: number[]) => {
  const { values } = normal(...shape);
  return { shape, values: values.map(v => v + (v < 0 ? -0.2 : 0.2)) };
};
const check = (compute: unknown, inputs: readonly ReturnType<typeof normal>[], tolerance = 1e-2) =>
  expectFiniteDifferences({ compute: compute as Compute, inputs, random, tolerance });

describe('the check itself', () => {
  const squared =
    (factor: number): Compute =>
    x =>
      withGradient([x as tf.Tensor], save => {
        save([x as tf.Tensor]);
        const gradient = (dy: tf.Tensor, [saved]: tf.Tensor[]) => [tf.mul(dy, tf.mul(saved as tf.Tensor, 2 * factor))];
        return { value: tf.square(x as tf.Tensor), gradient };
      });

  test('sees a gradient that is wrong by a twentieth, and not one that is right', () => {
    check(squared(1), [normal(40)]);
    const off = slopes({ compute: squared(1.05), inputs: [normal(40)], random }).map(
      ({ measured, expected, length }) => Math.abs(measured - expected) / length,
    );
    expect(Math.max(...off)).toBeGreaterThan(0.01);
  });
});

describe('pointwise', () => {
  test('relu', () => check(relu, [awayFromZero(2, 3, 3, 4)]));

  test('addBias', () => check(addBias, [normal(2, 3, 3, 4), normal(4)]));

  test('residual', () => check(residual, [normal(3, 5), normal(3, 5)]));

  test.each([2, 1])('modulate with %i rows of gain and bias for 2 images', rows => {
    const gain = normal(rows, 4);
    const bias = normal(rows, 4);
    gain.values.set(gain.values.map(v => 0.6 + Math.abs(v)));
    // x such that what enters the ReLU is away from zero.
    const before = normal(2, 3, 3, 4);
    const x = before.values.map((v, k) => {
      const place = (rows === 1 ? 0 : Math.floor(k / 36) * 4) + (k % 4);
      return (v + (v < 0 ? -0.5 : 0.5) - (bias.values[place] as number)) / (gain.values[place] as number);
    });
    check(modulate, [{ shape: before.shape, values: x }, gain, bias]);
  });
});

describe('images', () => {
  test('upsample', () => check(upsample, [normal(2, 3, 4, 3)]));

  test('attention', () => check(attention, [normal(2, 9, 3), normal(2, 4, 3), normal(2, 4, 5)], 2e-2));

  test('batch norm over the batch', () => {
    const norm = (x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) =>
      batchNorm({ x: x as tf.Tensor4D, scale: scale as tf.Tensor1D, offset: offset as tf.Tensor1D });
    check(norm, [normal(3, 4, 4, 3), normal(3), normal(3)]);
  });

  test('batch norm by running statistics, with its ReLU', () => {
    const parameters = new ParameterSet('T');
    const norm = new RunningNorm(parameters, 'norm', 3);
    const gain = parameters.entries().get('T/norm/gain')?.variable as tf.Variable;
    tf.tidy(() => gain.assign(tf.tensor1d([0.5, 1, 2])));
    // Mean and bias are 0 at the start, so the ReLU's kink is at 0.
    check((x: tf.Tensor) => norm.apply(x as tf.Tensor4D, 'frozen'), [awayFromZero(2, 3, 3, 3)]);
    parameters.dispose();
  });
});

describe('spectral norm', () => {
  test.each([
    ['a matrix', [6, 5], 1],
    ['convolutions of one shape', [3, 3, 2, 4], 2],
  ] as const)('W / sigma of %s', (_, shape, count) => {
    const parameters = new ParameterSet('T');
    const spectral = new SpectralNorm(parameters, random);
    const size = shape.reduce((product, side) => product * side, 1);
    const names = Array.from({ length: count }, (_unused, i) => `w${i}`);
    for (const name of names) spectral.add(name, tf.tensor(random.normals(size), [...shape]));
    const variables = parameters.trainables;
    const start = variables.map(variable => variable.dataSync().slice() as Float32Array);
    // u and v stay as this leaves them, whatever the weights: sigma is v'Wu.
    for (let n = 0; n < 3; n++) spectral.powerIteration();
    const probes = names.map(() => random.normals(size));
    const loss = () => {
      const weights = spectral.forward();
      const parts = names.map((name, i) => tf.sum(tf.mul(weights.get(name), tf.tensor(probes[i] ?? [], [...shape]))));
      return tf.addN(parts) as tf.Scalar;
    };
    const gradients = tf.tidy(() => {
      const { grads } = tf.variableGrads(loss, variables);
      return variables.map(({ name }) => grads[name]?.dataSync() as Float32Array);
    });
    for (const [i, variable] of variables.entries()) {
      const direction = random.normals(size);
      const at = (by: number) => {
        const moved = (start[i] as Float32Array).map((w, k) => w + by * (direction[k] as number));
        tf.tidy(() => variable.assign(tf.tensor(moved, [...shape])));
        return tf.tidy(() => loss().dataSync()[0] as number);
      };
      const measured = (at(1e-2) - at(-1e-2)) / 2e-2;
      at(0);
      const gradient = gradients[i] as Float32Array;
      const expected = gradient.reduce((sum, g, k) => sum + g * (direction[k] as number), 0);
      const length = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
      expect(Math.abs(measured - expected) / length, `${measured} for ${expected}`).toBeLessThan(2e-2);
    }
    parameters.dispose();
  });
});

describe('text', () => {
  test('gatherRows, also where a row is taken twice or never', () =>
    check((table: tf.Tensor) => gatherRows(table as tf.Tensor2D, Int32Array.of(2, 0, 2, 2, 4)), [normal(5, 3)]));

  test('crossEntropySum', () => {
    const targets = Int32Array.of(1, 0, 3, 2);
    const weights = Float32Array.of(1, 0, 2, 0.5);
    check((logits: tf.Tensor) => crossEntropySum(logits as tf.Tensor2D, targets, weights), [normal(4, 5)]);
  });

  test.each([
    [1, 2, 3, 4],
    [6, 3, 4, 5],
  ])('LSTM in every input: T %i, B %i, I %i, H %i', (steps, batch, inputs, hidden) => {
    const layer = (...given: tf.Tensor[]) => {
      const [x, wx, wh, b, h, c] = given as [
        tf.Tensor3D,
        tf.Tensor2D,
        tf.Tensor2D,
        tf.Tensor1D,
        tf.Tensor2D,
        tf.Tensor2D,
      ];
      return hasNativeOps() ? nativeLstm(x, { wx, wh, b }, { h, c }) : composedLstm(x, { wx, wh, b }, { h, c }).hidden;
    };
    const shapes = [
      [steps, batch, inputs],
      [inputs, 4 * hidden],
      [hidden, 4 * hidden],
      [4 * hidden],
      [batch, hidden],
      [batch, hidden],
    ];
    const given = shapes.map(shape => normal(...shape));
    for (const { values } of given) values.set(values.map(v => v / 2));
    check(layer, given);
  });
});
