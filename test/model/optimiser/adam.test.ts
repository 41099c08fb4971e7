import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { Adam } from '#model/optimiser/adam.ts';
import { clipByGlobalNorm } from '#model/optimiser/clip.ts';
import { bucketsOf, pack, unpack } from '#model/optimiser/packing.ts';

beforeAll(async () => {
  await loadBackend(backendOptionsFromEnvironment(process.env));
});

/** Adam as PyTorch's documentation writes it, in float64. */
function reference(start: number[], gradients: number[][], beta1: number, rate: number): number[] {
  const [beta2, epsilon] = [0.999, 1e-6];
  const p = [...start];
  const m = p.map(() => 0);
  const v = p.map(() => 0);
  for (const [t, gradient] of gradients.entries()) {
    for (const [i, g] of gradient.entries()) {
      m[i] = beta1 * (m[i] as number) + (1 - beta1) * g;
      v[i] = beta2 * (v[i] as number) + (1 - beta2) * g * g;
      const first = (m[i] as number) / (1 - beta1 ** (t + 1));
      const second = (v[i] as number) / (1 - beta2 ** (t + 1));
      p[i] = (p[i] as number) - (rate * first) / (Math.sqrt(second) + epsilon);
    }
  }
  return p;
}

const gradients = [
  [0.5, -1, 2, 1e-4],
  [-0.25, -1.5, 0, 3e-4],
  [1, 0.5, -0.5, 2e-4],
];

describe('Adam', () => {
  it.each([0, 0.9])('with beta1 = %d moves as PyTorch does, in whatever pieces the numbers come', beta1 => {
    const variables = [tf.variable(tf.tensor1d([1, 2])), tf.variable(tf.scalar(3)), tf.variable(tf.tensor2d([[4]]))];
    const adam = new Adam(variables, { rate: 0.01, beta1 });
    for (const [a = 0, b = 0, c = 0, d = 0] of gradients) {
      const list = [tf.tensor1d([a, b]), tf.scalar(c), tf.tensor2d([[d]])];
      adam.step(adam.pack(Object.fromEntries(variables.map((variable, i) => [variable.name, list[i] as tf.Tensor]))));
    }
    const moved = variables.flatMap(variable => Array.from(variable.dataSync()));
    const expected = reference([1, 2, 3, 4], gradients, beta1, 0.01);
    for (const [i, value] of moved.entries()) expect(value).toBeCloseTo(expected[i] as number, 6);
  });

  it('goes on from its state as if it had never stopped', () => {
    const make = () => {
      const variable = tf.variable(tf.tensor1d([1, 2, 3, 4]));
      return { variable, adam: new Adam([variable], { rate: 0.01, beta1: 0.9, clipNorm: 1 }) };
    };
    const step = ({ variable, adam }: ReturnType<typeof make>, i: number) =>
      adam.step(adam.pack({ [variable.name]: tf.tensor1d(gradients[i] as number[]) }));
    const whole = make();
    const first = make();
    for (const i of [0, 1]) for (const run of [whole, first]) step(run, i);
    const second = make();
    second.variable.assign(first.variable);
    second.adam.restore(first.adam.state());
    step(whole, 2);
    step(second, 2);
    expect(Array.from(second.variable.dataSync())).toEqual(Array.from(whole.variable.dataSync()));
    const other = new Adam([tf.variable(tf.zeros([3]))], { rate: 0.01, beta1: 0.9 });
    expect(() => other.restore(first.adam.state())).toThrow(/expected a tensor \[3\], found \[4\]/);
  });

  it('holds no tensor back and frees all of its own', () => {
    const before = tf.memory().numTensors;
    const variable = tf.tidy(() => tf.variable(tf.zeros([3, 2])));
    const adam = new Adam([variable], { rate: 0.1, beta1: 0.9, clipNorm: 5 });
    const gradient = tf.ones([3, 2]);
    const step = () => tf.tidy(() => adam.step(adam.pack({ [variable.name]: gradient })));
    step();
    const after = tf.memory().numTensors;
    for (let i = 0; i < 3; i++) step();
    expect(tf.memory().numTensors).toBe(after);
    adam.dispose();
    tf.dispose([variable, gradient]);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('clipByGlobalNorm', () => {
  it('scales all tensors by one factor, and only down', () => {
    const [a, b] = clipByGlobalNorm([tf.tensor1d([3, 0]), tf.scalar(4)], 1) as [tf.Tensor, tf.Tensor];
    expect(a.dataSync()[0]).toBeCloseTo(0.6, 6);
    expect(b.dataSync()[0]).toBeCloseTo(0.8, 6);
    expect(clipByGlobalNorm([tf.scalar(4)], 5)[0]?.dataSync()[0]).toBe(4);
    expect(clipByGlobalNorm([tf.scalar(0)], 5)[0]?.dataSync()[0]).toBe(0);
  });
});

describe('packing', () => {
  it('gives every tensor back, whatever the shapes', () => {
    const shape = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 });
    fc.assert(
      fc.property(fc.array(shape, { minLength: 1, maxLength: 8 }), shapes => {
        tf.tidy(() => {
          const tensors = shapes.map((s, i) => tf.fill(s, i + 1));
          const back = bucketsOf(shapes).flatMap(bucket => {
            const flat = pack(bucket, tensors);
            expect(flat.shape).toEqual([bucket.size]);
            return unpack(bucket, flat);
          });
          expect(back.map(([position]) => position).sort((x, y) => x - y)).toEqual(shapes.map((_, i) => i));
          for (const [position, tensor] of back) {
            expect(tensor.shape).toEqual(shapes[position]);
            expect(Array.from(tensor.dataSync()).every(value => value === position + 1)).toBe(true);
          }
        });
      }),
      { numRuns: 30 },
    );
  });

  it('splits what is large over several buckets', () => {
    const buckets = bucketsOf([[2048, 2048], [5], [2048, 1024], [1024, 2048]]);
    expect(buckets.map(bucket => bucket.size)).toEqual([2 ** 22, 5 + 2 ** 21, 2 ** 21]);
  });
});
