import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { Compiled, type Tensors } from '#model/backend/graph/compiled.ts';
import { useNativeBackend } from '../../../support/native-backend.ts';

const prepared = await useNativeBackend();

const values = (tensor: tf.Tensor | undefined): number[] => Array.from(tensor?.dataSync() ?? []);

/** A step with everything that ours have: gradients, an assignment, several outputs, a constant, int32 inputs. */
function makeStep() {
  const w = tf.variable(tf.tensor2d([1, 2, 3, 4], [2, 2]));
  const seen = tf.variable(tf.scalar(0));
  const compute = ({ x, ids }: Tensors): Tensors => {
    const { value, grads } = tf.variableGrads(() => {
      const shift = tf.sum(tf.cast(ids as tf.Tensor, 'float32'));
      const product = tf.matMul<tf.Tensor2D>(tf.add(x as tf.Tensor2D, shift), w as tf.Tensor2D);
      return tf.sum(tf.square(tf.add(product, tf.tensor1d([0.5, -0.5])))) as tf.Scalar;
    }, [w]);
    w.assign(tf.sub(w, tf.mul(grads[w.name] as tf.Tensor, 0.01)));
    seen.assign(tf.add(seen, tf.scalar((x as tf.Tensor).shape[0] as number)));
    const [first, second] = tf.split(w as tf.Tensor2D, 2, 1) as [tf.Tensor, tf.Tensor];
    return { loss: value, again: value, first, second, untouched: x as tf.Tensor };
  };
  return { w, seen, compute };
}

const inputs = (rows: number, scale: number): Tensors => ({
  x: tf.tensor2d(
    Float32Array.from({ length: rows * 2 }, (_, i) => Math.sin(scale * (i + 1))),
    [rows, 2],
  ),
  ids: tf.tensor1d([rows - 1, 0], 'int32'),
});

describe.skipIf(!prepared)('a compiled step (where npm run setup prepared TensorFlow)', () => {
  beforeAll(async () => {
    await useNativeBackend();
  });

  it('gives what the step itself gives, for new values and new shapes, and moves the same variables', () => {
    const plain = makeStep();
    const other = makeStep();
    const compiled = new Compiled([other.w, other.seen], other.compute);
    for (const [rows, scale] of [
      [3, 0.1],
      [3, 0.7],
      [5, 0.3],
      [3, 1.1],
    ] as const) {
      const expected = plain.compute(inputs(rows, scale));
      const came = compiled.run(inputs(rows, scale));
      expect(Object.keys(came)).toEqual(Object.keys(expected));
      for (const [name, tensor] of Object.entries(expected)) {
        expect(came[name]?.shape, name).toEqual(tensor.shape);
        for (const [i, value] of values(came[name]).entries())
          expect(value).toBeCloseTo(values(tensor)[i] as number, 5);
      }
      for (const [i, value] of values(other.w).entries()) expect(value).toBeCloseTo(values(plain.w)[i] as number, 5);
    }
    // The recording runs are undone: each step counts once.
    expect(values(other.seen)).toEqual([14]);
    compiled.dispose();
  });

  it('is bit-identical from one process-wide compilation to the next', () => {
    const run = () => {
      const { w, seen, compute } = makeStep();
      const compiled = new Compiled([w, seen], compute);
      for (let i = 0; i < 5; i++) compiled.run(inputs(4, i));
      compiled.dispose();
      return values(w);
    };
    expect(run()).toEqual(run());
  });

  it('holds no tensor from run to run, and frees its graphs', () => {
    const { w, seen, compute } = makeStep();
    const compiled = new Compiled([w, seen], compute);
    const run = () =>
      tf.tidy(() => {
        compiled.run(inputs(3, 0.2));
      });
    run();
    const backend = tf.backend() as unknown as {
      binding: { getNumOfTensors(): number; getNumOfSavedModels(): number };
    };
    const [tensors, held] = [tf.memory().numTensors, backend.binding.getNumOfTensors()];
    for (let i = 0; i < 4; i++) run();
    expect(tf.memory().numTensors).toBe(tensors);
    expect(backend.binding.getNumOfTensors()).toBe(held);
    const graphs = backend.binding.getNumOfSavedModels();
    compiled.dispose();
    expect(backend.binding.getNumOfSavedModels()).toBe(graphs - 1);
  });

  it('refuses to read values and to use what it was not given, and leaves the variables as they were', () => {
    const w = tf.variable(tf.scalar(2));
    const stranger = tf.scalar(3);
    values(tf.add(stranger, 0));
    const reads = new Compiled([w], ({ x }) => {
      w.assign(tf.scalar(9));
      values(tf.add(x as tf.Tensor, w));
      return {};
    });
    expect(() => reads.run({ x: tf.scalar(1) })).toThrow(/must not read the values/);
    const captures = new Compiled([w], ({ x }) => {
      w.assign(tf.scalar(9));
      return { y: tf.mul(x as tf.Tensor, stranger) };
    });
    expect(() => captures.run({ x: tf.scalar(1) })).toThrow(/not among its inputs/);
    expect(values(w)).toEqual([2]);
    // The backend is as it was: kernels run singly again.
    expect(values(tf.mul(w, stranger))).toEqual([6]);
  });

  it('keeps inputs apart that were one tensor when it was recorded', () => {
    const compiled = new Compiled([], ({ a, b }) => ({ difference: tf.sub(a as tf.Tensor, b as tf.Tensor) }));
    const same = tf.tensor1d([1, 2]);
    const difference = (a: tf.Tensor, b: tf.Tensor) => values(compiled.run({ a, b })['difference']);
    expect(difference(same, tf.clone(same))).toEqual([0, 0]);
    expect(difference(tf.tensor1d([5, 6]), tf.tensor1d([1, 1]))).toEqual([4, 5]);
    expect(difference(same, same)).toEqual([0, 0]);
    compiled.dispose();
  });
});
