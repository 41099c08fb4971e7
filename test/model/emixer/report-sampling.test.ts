import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { softWords, straightThrough } from '#model/emixer/gumbel.ts';
import { drawSentences } from '#model/emixer/report-sampling.ts';
import { WordDecoder } from '#model/emixer/word-decoder.ts';
import { gatherRows } from '#model/layers/gather-rows.ts';
import { ParameterSet } from '#model/layers/parameters.ts';
import { Random } from '#model/random.ts';

const shape = { vocabulary: 9, embedding: 5, hidden: 6, layers: 2 };
const sentences = 4;
const beta = 2;

beforeAll(async () => {
  // Here LSTM steps are differentiable one by one, so that the loop below can stay on the tape.
  await loadBackend({ demand: 'cpu' });
});

test('one pass after drawing has the gradient of the loop in which F reads its own hard words', () => {
  const parameters = new ParameterSet('T');
  const decoder = new WordDecoder(parameters, shape, new Random('decoder'));
  const topics = tf.tensor2d(new Random('topics').normals(sentences * shape.embedding), [sentences, shape.embedding]);
  const probe = tf.tensor1d(new Random('probe').normals(shape.vocabulary));
  const draw = () => drawSentences(decoder, topics, sentences, 6, new Random('noise'));
  const { ids, steps, noise, noiseRowOf } = draw();
  const words = [...ids.keys()].filter(row => ids[row] !== 0);
  expect(words.length).toBeGreaterThan(sentences);
  const noiseOf = (rows: number[]) =>
    gatherRows(
      noise,
      Int32Array.from(rows, row => noiseRowOf[row] ?? 0),
    );

  const onePass = (t: tf.Tensor): tf.Scalar => {
    const hidden = decoder.states(t as tf.Tensor2D, ids.subarray(0, (steps - 1) * sentences), steps);
    const logits = decoder.logits(gatherRows(hidden, Int32Array.from(words)));
    const chosen = Int32Array.from(words, row => ids[row] ?? 0);
    return tf.sum(tf.mul(straightThrough(logits, noiseOf(words), chosen, beta), probe));
  };
  const loop = (t: tf.Tensor): tf.Scalar => {
    let decoding = decoder.begin(t as tf.Tensor2D);
    const parts: tf.Tensor[] = [];
    for (let step = 0; step < steps; step++) {
      const alive = words.filter(row => Math.floor(row / sentences) === step);
      const columns = Int32Array.from(alive, row => row % sentences);
      const soft = softWords(gatherRows(decoding.logits, columns), noiseOf(alive), beta);
      parts.push(tf.sum(tf.mul(soft, probe)));
      const hard = tf.argMax(tf.add(gatherRows(decoding.logits, columns), noiseOf(alive)), 1).dataSync();
      expect([...hard]).toEqual(alive.map(row => ids[row]));
      if (step < steps - 1) decoding = decoder.next(decoding, ids.subarray(step * sentences, (step + 1) * sentences));
    }
    return tf.sum(tf.stack(parts)) as tf.Scalar;
  };

  const gradients = (loss: (t: tf.Tensor) => tf.Scalar) =>
    tf.tidy(() => {
      const toTopics = tf.grad(loss)(topics);
      const { grads } = tf.variableGrads(() => loss(topics), parameters.trainables);
      return [toTopics, ...parameters.trainables.map(v => grads[v.name] as tf.Tensor)].flatMap(g => [...g.dataSync()]);
    });
  const expected = gradients(loop);
  const actual = gradients(onePass);
  expect(actual.length).toBe(expected.length);
  expect(expected.filter(value => Math.abs(value) > 1e-4).length).toBeGreaterThan(expected.length / 4);
  expect(Math.max(...actual.map((value, i) => Math.abs(value - (expected[i] ?? Number.NaN))))).toBeLessThan(1e-5);
  tf.dispose([topics, probe, noise]);
  parameters.dispose();
});
