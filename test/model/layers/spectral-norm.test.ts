import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { ParameterSet } from '#model/layers/parameters.ts';
import { SpectralNorm } from '#model/layers/spectral-norm.ts';
import { Random } from '#model/random.ts';

// PyTorch's [out, in] matrix of the specification; here weights are [in, out].
const OUT_IN = [
  [2, 0, 1],
  [0, 1, -1],
  [1, 1, 0],
  [0.5, -2, 1],
];

beforeAll(async () => {
  await loadBackend(backendOptionsFromEnvironment(process.env));
});

function published() {
  const parameters = new ParameterSet('T');
  const spectral = new SpectralNorm(parameters, new Random('u'));
  spectral.add(
    'w',
    tf.tidy(() => tf.transpose(tf.tensor2d(OUT_IN))),
  );
  const weight = parameters.entries().get('T/w')?.variable as tf.Variable;
  const u = parameters.entries().get('T/w/u')?.variable as tf.Variable;
  u.assign(tf.tensor1d([1, -1, 0.5, 2]));
  return { parameters, spectral, weight, u };
}

/** Entry [0, 0] of W / sigma; W's own is 2. */
const firstEntry = (spectral: SpectralNorm): number =>
  tf.tidy(() => spectral.forward().get('w').dataSync()[0] as number);

const sigmaOf = (spectral: SpectralNorm): number => 2 / firstEntry(spectral);

const iteratedSigmaOf = (spectral: SpectralNorm): number => {
  spectral.powerIteration();
  return sigmaOf(spectral);
};

describe('spectral norm', () => {
  it('follows the known sequence of estimates and converges to the largest singular value', () => {
    const { spectral } = published();
    const expected = [2.913928513, 2.915606704, 2.916284785];
    for (const sigma of expected) expect(Math.abs(iteratedSigmaOf(spectral) / sigma - 1)).toBeLessThan(2e-7);
    for (let i = 0; i < 40; i++) spectral.powerIteration();
    expect(Math.abs(sigmaOf(spectral) / 2.91678356 - 1)).toBeLessThan(2e-7);
  });

  it('evaluates any number of times a step with the estimate of that step', () => {
    const { spectral, u } = published();
    const sigma = iteratedSigmaOf(spectral);
    const after = Array.from(u.dataSync());
    expect(sigmaOf(spectral)).toBe(sigma);
    expect(sigmaOf(spectral)).toBe(sigma);
    expect(Array.from(u.dataSync())).toEqual(after);
  });

  it('does not go on with the sigma of weights that have moved', () => {
    const { spectral, weight, u } = published();
    const sigma = iteratedSigmaOf(spectral);
    const before = Array.from(u.dataSync());
    tf.tidy(() => weight.assign(tf.mul(weight, 2)));
    const w = firstEntry(spectral);
    // W doubled and divided by a doubled sigma.
    expect(w).toBeCloseTo(2 / sigma, 6);
    expect(Array.from(u.dataSync())).toEqual(before);
  });

  it("has the gradient of W / (v'Wu) with u and v held constant", () => {
    const { spectral, weight } = published();
    spectral.powerIteration();
    const seed = tf.tensor2d([1, -2, 0.5, 3, 0.25, -1, 2, 0.1, -0.3, 1, 1, -2], [3, 4]);
    const { grads } = tf.variableGrads(() => tf.sum(tf.mul(spectral.forward().get('w'), seed)) as tf.Scalar, [weight]);
    const actual = grads[weight.name]?.arraySync() as number[][];
    // In float64: v and u of one iteration, then the quotient rule entry by entry.
    const m = weight.arraySync() as number[][];
    const normalise = (x: number[]) => x.map(value => value / Math.hypot(...x));
    const v = normalise(m.map(row => row.reduce((sum, w, o) => sum + w * ([1, -1, 0.5, 2][o] as number), 0)));
    const right = [0, 1, 2, 3].map(o => m.reduce((sum, row, k) => sum + (row[o] as number) * (v[k] as number), 0));
    const u = normalise(right);
    const sigma = Math.hypot(...right);
    const g = seed.arraySync();
    const inner = m.reduce((sum, row, k) => sum + row.reduce((s, w, o) => s + w * (g[k]?.[o] as number), 0), 0);
    for (const [k, row] of actual.entries()) {
      for (const [o, value] of row.entries()) {
        const expected = (g[k]?.[o] as number) / sigma - (inner / sigma ** 2) * (v[k] as number) * (u[o] as number);
        expect(value).toBeCloseTo(expected, 5);
      }
    }
  });

  it('treats stacked weights as it treats each alone, and leaks nothing', () => {
    const values = [new Random('a').normals(24), new Random('b').normals(24)];
    const build = (which: number[]) => {
      const spectral = new SpectralNorm(new ParameterSet('T'), new Random('u'));
      for (const i of which) spectral.add(`w${i}`, tf.tensor4d(values[i] as Float32Array, [2, 2, 2, 3]));
      for (const [name, { variable }] of spectral.parameters.entries()) {
        if (name.endsWith('/u')) variable.assign(tf.tensor1d([1, 2, -1]));
      }
      return spectral;
    };
    const together = build([0, 1]);
    const alone = build([1]);
    const step = (spectral: SpectralNorm) => {
      spectral.powerIteration();
      return tf.tidy(() => Array.from(spectral.forward().get('w1').dataSync()));
    };
    for (let i = 0; i < 3; i++) {
      const a = step(together);
      for (const [j, value] of step(alone).entries()) expect(a[j]).toBeCloseTo(value, 6);
    }
    const before = tf.memory().numTensors;
    step(together);
    expect(tf.memory().numTensors).toBe(before);
  });
});
