import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { Lstm, type LstmState, type LstmWeights, lastValid } from '#model/layers/lstm.ts';
import { composedLstm } from '#model/layers/lstm-composed.ts';
import { nativeLstm, nativeLstmRun } from '#model/layers/lstm-native.ts';
import { ParameterSet } from '#model/layers/parameters.ts';
import { Random } from '#model/random.ts';
import { useNativeBackend } from '../../support/native-backend.ts';

const native = await useNativeBackend();

/** x, wx, wh, b, h0, c0 as plain arrays, so that they can go to any backend. */
function sample(steps: number, batch: number, inputs: number, hidden: number) {
  const random = new Random('lstm', steps, batch);
  const shapes = [
    [steps, batch, inputs],
    [inputs, 4 * hidden],
    [hidden, 4 * hidden],
    [4 * hidden],
    [batch, hidden],
    [batch, hidden],
  ];
  const values = shapes.map(shape => random.normals(shape.reduce((a, b) => a * b, 1)).map(v => v / 2));
  const probe = random.normals(steps * batch * hidden);
  return { shapes, values, probe, outputShape: [steps, batch, hidden] };
}

type Args = [tf.Tensor3D, LstmWeights, LstmState];
const arranged = (tensors: tf.Tensor[]): Args => {
  const [x, wx, wh, b, h, c] = tensors as [
    tf.Tensor3D,
    tf.Tensor2D,
    tf.Tensor2D,
    tf.Tensor1D,
    tf.Tensor2D,
    tf.Tensor2D,
  ];
  return [x, { wx, wh, b }, { h, c }];
};

/** The sum of probe * h, and its gradients with respect to all six inputs. */
function evaluated(given: ReturnType<typeof sample>, layer: (...args: Args) => tf.Tensor3D) {
  return tf.tidy(() => {
    const inputs = given.values.map((values, i) => tf.tensor(values, given.shapes[i]));
    const loss = (...tensors: tf.Tensor[]) =>
      tf.sum(tf.mul(layer(...arranged(tensors)), tf.tensor(given.probe, given.outputShape))) as tf.Tensor;
    const { value, grads } = tf.valueAndGrads(loss)(inputs);
    return [value, ...grads].map(t => Array.from(t.dataSync()));
  });
}

const composed = (...args: Args) => composedLstm(...args).hidden;

function expectClose(actual: number[][], expected: number[][], tolerance: number) {
  for (const [i, values] of expected.entries()) {
    for (const [k, value] of values.entries()) {
      expect(Math.abs((actual[i]?.[k] ?? Number.NaN) - value), `tensor ${i} entry ${k}`).toBeLessThan(
        tolerance * Math.max(1, Math.abs(value)),
      );
    }
  }
}

describe('composed LSTM', () => {
  beforeAll(async () => {
    await loadBackend({ demand: 'cpu' });
  });

  test('one step by hand: gates in the order input, forget, candidate, output', () => {
    const [hidden, cell] = tf.tidy(() => {
      const weights = {
        wx: tf.tensor2d([[1, 2, 3, 4]]),
        wh: tf.tensor2d([[0.5, 0, 0, 0]]),
        b: tf.tensor1d([0, 1, 0, 0]),
      };
      const state = { h: tf.tensor2d([[2]]), c: tf.tensor2d([[0.7]]) };
      const run = composedLstm(tf.tensor3d([[[0.1]]]), weights, state);
      return [run.hidden.dataSync()[0] ?? 0, run.state.c.dataSync()[0] ?? 0];
    });
    const s = (v: number) => 1 / (1 + Math.exp(-v));
    const c = s(0.2 + 1) * 0.7 + s(0.1 + 1) * Math.tanh(0.3);
    expect(cell).toBeCloseTo(c, 6);
    expect(hidden).toBeCloseTo(s(0.4) * Math.tanh(c), 6);
  });

  test('gradients agree with finite differences in every input', () => {
    const given = sample(3, 2, 2, 2);
    const [, ...gradients] = evaluated(given, composed);
    const step = 1e-2;
    for (const [i, values] of given.values.entries()) {
      for (const k of values.keys()) {
        const at = (delta: number) => {
          const moved = given.values.map((v, j) => (j === i ? v.map((x, m) => (m === k ? x + delta : x)) : v));
          return evaluated({ ...given, values: moved }, composed)[0]?.[0] ?? Number.NaN;
        };
        const numeric = (at(step) - at(-step)) / (2 * step);
        expect(Math.abs(numeric - (gradients[i]?.[k] ?? Number.NaN)), `input ${i} entry ${k}`).toBeLessThan(2e-3);
      }
    }
  });

  test('the last valid h is untouched by what follows it, and passes no gradient to it', () => {
    const parameters = new ParameterSet('T');
    const lstm = new Lstm(parameters, 'lstm', 2, 3, new Random('seed'));
    const random = new Random('x');
    const x = random.normals(4 * 3 * 2);
    const y = x.map((value, i) => ((Math.floor(i / 2) % 3) + 1 <= Math.floor(i / 6) ? value + 9 : value));
    const lengths = Int32Array.of(1, 2, 3);
    const last = (values: Float32Array) =>
      tf.tidy(() => Array.from(lastValid(lstm.sequence(tf.tensor3d(values, [4, 3, 2])), lengths).dataSync()));
    expect(last(y)).toEqual(last(x));
    const gradient = tf.tidy(() =>
      tf
        .grad(t => tf.sum(lastValid(lstm.sequence(t as tf.Tensor3D), lengths)))(tf.tensor3d(x, [4, 3, 2]))
        .dataSync(),
    );
    for (const [i, value] of gradient.entries()) {
      const [step, b] = [Math.floor(i / 6), Math.floor(i / 2) % 3];
      expect(value !== 0, `step ${step} of ${b}`).toBe(step < b + 1);
    }
    expect(tf.tidy(() => lastValid(tf.ones([2, 1, 2]), Int32Array.of(0)).dataSync())).toEqual(Float32Array.of(0, 0));
    parameters.dispose();
  });

  test('advancing in pieces equals the whole sequence, and nothing is leaked', () => {
    const parameters = new ParameterSet('T');
    const lstm = new Lstm(parameters, 'lstm', 2, 3, new Random('seed'));
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const x = tf.tensor3d(new Random('x').normals(4 * 2 * 2), [4, 2, 2]);
      const first = lstm.advance(tf.slice(x, 0, 3), lstm.zeroState(2));
      const second = lstm.advance(tf.slice(x, 3, 1), first.state);
      const whole = lstm.sequence(x);
      expectClose(
        [Array.from(tf.concat([first.hidden, second.hidden]).dataSync())],
        [Array.from(whole.dataSync())],
        1e-6,
      );
    });
    expect(tf.memory().numTensors).toBe(before);
    parameters.dispose();
  });
});

describe.skipIf(!native)('native LSTM (where npm run setup prepared TensorFlow)', () => {
  beforeAll(async () => {
    expect(await useNativeBackend()).toBe(true);
  });

  test.each([
    [1, 1, 1, 1],
    [5, 3, 4, 6],
    [12, 8, 16, 24],
  ])('values and gradients equal the composed ones: T %i, B %i, I %i, H %i', (...shape) => {
    const given = sample(...shape);
    const actual = evaluated(given, nativeLstm);
    expectClose(actual, evaluated(given, composed), 1e-4);
  });

  test('the state after the last step equals the composed one; handles and tensors do not grow', () => {
    const given = sample(4, 3, 2, 5);
    const before = tf.memory().numTensors;
    const run = () =>
      tf.tidy(() => {
        const args = arranged(given.values.map((values, i) => tf.tensor(values, given.shapes[i])));
        const states = [nativeLstmRun(...args).state, composedLstm(...args).state];
        return states.map(({ h, c }) => [...h.dataSync(), ...c.dataSync()]);
      });
    const [actual = [], expected = []] = run();
    expectClose([actual], [expected], 1e-5);
    const handles = tf.backend().numDataIds();
    for (let i = 0; i < 5; i++) run();
    expect(tf.backend().numDataIds()).toBe(handles);
    expect(tf.memory().numTensors).toBe(before);
  });
});
