import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { type ModelConfig, resolveModelConfig } from '#model/config.ts';
import { ReportGenerator } from '#model/emixer/report-generator.ts';
import { FINE, flattenReports } from '#model/emixer/report-rows.ts';
import { Adam } from '#model/optimiser/adam.ts';
import { Random } from '#model/random.ts';
import { END, FIRST_WORD, PAD, type ReportGrid, Vocabulary } from '#model/text/vocabulary.ts';
import { useNativeBackend } from '../../support/native-backend.ts';

const native = await useNativeBackend();

const tiny = (overrides: object = {}): ModelConfig =>
  resolveModelConfig('phantom32', {
    report: { maxSentences: 4, maxWords: 6, hidden: 12, embedding: 8, wordLayers: 2, ...overrides },
    reportDiscriminator: { embedding: 8, hidden: 8, maxTokens: 16 },
  });

const vocabulary = new Vocabulary(['the', 'heart', 'lungs', 'are', 'is', 'normal', 'clear', 'no', 'effusion']);
const reports = [
  ['the heart is normal', 'the lungs are clear'],
  ['no effusion'],
  ['the lungs are clear', 'no effusion', 'heart normal'],
].map(report => report.map(sentence => sentence.split(' ')));

const features = (batch: number, seed = 'v') =>
  tf.tensor2d(new Random(seed).normals(batch * 512), [batch, 512]) as tf.Tensor2D;

const build = (overrides: object = {}) => new ReportGenerator(tiny(overrides), vocabulary.size, new Random('F'));

const biasStop = (generator: ReportGenerator, stop: number) =>
  generator.parameters
    .entries()
    .get('F/decoder/sentence/stop/bias')
    ?.variable.assign(tf.tensor1d([0, stop]));

/** Loss and the sum of the squares of all gradients. */
function lossAndGradient(generator: ReportGenerator, v: tf.Tensor2D, grid: ReportGrid) {
  return tf.tidy(() => {
    const { value, grads } = tf.variableGrads(() => generator.mleLoss(v, grid).loss, generator.parameters.trainables);
    const squares = Object.values(grads).map(g => tf.sum(tf.square(g)).dataSync()[0] ?? Number.NaN);
    return { loss: value.dataSync()[0] ?? Number.NaN, squares };
  });
}

beforeAll(async () => {
  await loadBackend({ demand: 'cpu' });
});

describe('MLE', () => {
  test('the loss is 5 stop + word, and every variable of F has a gradient', () => {
    const generator = build();
    const v = features(3);
    const grid = vocabulary.encode(reports, 4, 6);
    const [loss, stop, word] = tf.tidy(() => {
      const parts = generator.mleLoss(v, grid);
      return [parts.loss, parts.stop, parts.word].map(t => t.dataSync()[0] ?? Number.NaN);
    });
    expect(loss).toBeCloseTo(5 * (stop ?? 0) + (word ?? 0), 5);
    const { squares } = lossAndGradient(generator, v, grid);
    expect(squares.length).toBe(generator.parameters.trainables.length);
    expect(squares.every(square => square > 0)).toBe(true);
  });

  test('the loss is the mean over words and sentences that exist, computed here one by one', () => {
    const generator = build();
    const v = features(3);
    const grids = reports.map(report => vocabulary.encode([report], 4, 6));
    const parts = grids.map((grid, b) =>
      tf.tidy(() => {
        const { stop, word } = generator.mleLoss(tf.slice(v, [b, 0], [1, 512]), grid);
        return { stop: stop.dataSync()[0] ?? 0, word: word.dataSync()[0] ?? 0 };
      }),
    );
    const words = [10, 3, 11]; // END of each sentence counted
    const sentences = [2, 1, 3];
    const mean = (values: number[], counts: number[]) =>
      values.reduce((sum, x, i) => sum + x * (counts[i] ?? 0), 0) / counts.reduce((a, b) => a + b);
    const together = lossAndGradient(generator, v, vocabulary.encode(reports, 4, 6)).loss;
    const expected =
      5 *
        mean(
          parts.map(p => p.stop),
          sentences,
        ) +
      mean(
        parts.map(p => p.word),
        words,
      );
    expect(together).toBeCloseTo(expected, 4);
  });

  test('padding changes neither the loss nor the gradient; reports without a sentence count for nothing', () => {
    const v = features(3);
    const small = lossAndGradient(build(), v, vocabulary.encode(reports, 3, 5));
    const large = lossAndGradient(build(), v, vocabulary.encode(reports, 30, 60));
    const withEmpty = lossAndGradient(
      build(),
      tf.concat([v, features(2, 'w')]),
      vocabulary.encode([...reports, [], []], 4, 6),
    );
    for (const other of [large, withEmpty]) {
      expect(other.loss).toBeCloseTo(small.loss, 5);
      for (const [i, square] of small.squares.entries()) expect(other.squares[i]).toBeCloseTo(square, 4);
    }
  });

  test('logLikelihood sums what the loss averages, END counted', () => {
    const generator = build();
    const grid = vocabulary.encode(reports, 4, 6);
    const { nllSum, tokens } = generator.logLikelihood(features(3), grid);
    expect(tokens).toBe(24);
    const word = tf.tidy(() => generator.mleLoss(features(3), grid).word.dataSync()[0] ?? 0);
    expect(nllSum / tokens).toBeCloseTo(word, 5);
  });
});

describe('decoding', () => {
  /** Sets the bias of the stop head, so that every sentence is (or never is) the last. */
  const isWellFormed = (grid: ReportGrid) => {
    for (let cell = 0; cell < grid.reports * grid.sentences; cell++) {
      const ids = [...grid.ids.subarray(cell * grid.words, (cell + 1) * grid.words)];
      const end = ids.findIndex(id => id === END || id === PAD);
      const words = end < 0 ? ids : ids.slice(0, end);
      expect(words.every(id => id >= FIRST_WORD && id < vocabulary.size)).toBe(true);
      if (ids[0] !== PAD) expect(words.length).toBeGreaterThan(0);
      expect(ids.slice(words.length + 1).every(id => id === PAD)).toBe(true);
    }
  };
  const sentenceCounts = (grid: ReportGrid) =>
    Array.from(
      { length: grid.reports },
      (_, b) =>
        Array.from({ length: grid.sentences }, (_, s) => grid.ids[(b * grid.sentences + s) * grid.words]).filter(
          id => id !== PAD,
        ).length,
    );

  test.each([
    ['greedy', 'greedy' as const],
    ['sampled', { temperature: 3, random: new Random('words') }],
  ])('%s: only words and END, no empty sentence, PAD after the end', (_name, drawing) => {
    for (const stop of [-50, 0, 50]) {
      const generator = build();
      biasStop(generator, stop);
      const grid = generator.decode(features(5), drawing);
      isWellFormed(grid);
      if (stop < 0) expect(sentenceCounts(grid)).toEqual([4, 4, 4, 4, 4]);
      if (stop > 0) expect(sentenceCounts(grid)).toEqual([1, 1, 1, 1, 1]);
      generator.dispose();
    }
  });

  test('the same stream draws the same reports, another draws others; no tensor is leaked', () => {
    const generator = build();
    biasStop(generator, -50);
    const v = features(4);
    const draw = (seed: string) => [...generator.decode(v, { temperature: 1, random: new Random(seed) }).ids];
    draw('warm');
    const before = tf.memory().numTensors;
    expect(draw('a')).toEqual(draw('a'));
    expect(draw('a')).not.toEqual(draw('b'));
    generator.decode(v, 'greedy');
    generator.logLikelihood(v, vocabulary.encode([...reports, []], 4, 6));
    expect(tf.memory().numTensors).toBe(before);
  });
});

test('what was drawn comes in few shapes, however long the longest sentence is, and means the same', () => {
  const generator = build();
  biasStop(generator, 50);
  const [v, beta] = [features(1), 2];
  const weights = tf.linspace(0, 1, vocabulary.size);
  const coarse = { ...FINE, wordSteps: 3 };
  const shapes = new Set<number>();
  tf.tidy(() => {
    for (let seed = 0; seed < 12; seed++) {
      const { tensors, ids } = generator.drawReports(v, new Random(seed), coarse);
      shapes.add(tensors.previous.shape[0]);
      const fine = generator.drawReports(v, new Random(seed), { ...FINE, wordSteps: 1 });
      expect(ids).toEqual(fine.ids);
      const gradient = (drawn: typeof tensors) =>
        tf
          .grad(t => tf.sum(tf.mul(generator.softReports(t as tf.Tensor2D, drawn, beta), weights)))(v)
          .dataSync();
      expect(gradient(tensors)).toEqual(gradient(fine.tensors));
    }
  });
  expect([...shapes].sort()).toEqual([2, 5]);
  generator.dispose();
});

/** What both backends must do with straight-through samples. */
function straightThroughTests() {
  test('is exactly one-hot, of the words of the reports', () => {
    const generator = build();
    tf.tidy(() => {
      const soft = generator.sampleStraightThrough(features(5), 3, new Random('g'));
      const flat = flattenReports(soft.grid, 16);
      expect([...soft.ids]).toEqual([...flat.ids]);
      expect([...soft.lengths]).toEqual([...flat.lengths]);
      const values = soft.oneHot.dataSync();
      for (const [i, id] of soft.ids.entries()) {
        const row = values.subarray(i * vocabulary.size, (i + 1) * vocabulary.size);
        expect([...row]).toEqual(Array.from(row, (_, k) => (k === id ? 1 : 0)));
      }
      for (const [b, length] of soft.lengths.entries()) {
        const words = [...soft.ids.subarray(b * soft.tokens, b * soft.tokens + length)];
        expect(words.every(id => id === END || id >= FIRST_WORD)).toBe(true);
      }
    });
    generator.dispose();
  });

  test('the gradient reaches the features and F’s words, and nothing is leaked', () => {
    const generator = build();
    const v = features(5);
    const probe = tf.tensor1d(new Random('probe').normals(vocabulary.size));
    const step = () =>
      tf.tidy(() => {
        const loss = (t: tf.Tensor) => {
          const { oneHot, lengths, tokens } = generator.sampleStraightThrough(t as tf.Tensor2D, 2, new Random('g'));
          const valid = Float32Array.from({ length: 5 * tokens }, (_, i) =>
            i % tokens < (lengths[Math.floor(i / tokens)] ?? 0) ? 1 : 0,
          );
          return tf.sum(tf.mul(tf.sum(tf.mul(oneHot, probe), 2), tf.tensor2d(valid, [5, tokens]))) as tf.Scalar;
        };
        const toFeatures = tf.grad(loss)(v);
        const { grads } = tf.variableGrads(() => loss(v), generator.parameters.trainables);
        const named = [...generator.parameters.entries()].filter(([, { variable }]) => grads[variable.name]);
        const moved = named.filter(([, { variable }]) => {
          const square = tf.sum(tf.square(grads[variable.name] as tf.Tensor));
          return (square.dataSync()[0] ?? 0) > 0;
        });
        const perImage = tf.sum(tf.square(toFeatures), 1).dataSync();
        return { perImage: [...perImage], moved: moved.map(([name]) => name) };
      });
    step();
    const before = tf.memory().numTensors;
    const { perImage, moved } = step();
    expect(tf.memory().numTensors).toBe(before);
    expect(perImage.every(square => square > 0)).toBe(true);
    const all = [...generator.parameters.entries().keys()];
    // Where a report stops is decided, not differentiated.
    expect(moved).toEqual(all.filter(name => !name.includes('sentence/stop')));
    tf.dispose([v, probe]);
    generator.dispose();
  });
}

describe('straight-through, plain operations', straightThroughTests);

describe('straight-through, wasm', () => {
  beforeAll(async () => {
    await loadBackend({ demand: 'wasm' });
  });
  straightThroughTests();
});

describe.skipIf(!native)('native (where npm run setup prepared TensorFlow)', () => {
  beforeAll(async () => {
    expect(await useNativeBackend()).toBe(true);
  });

  straightThroughTests();

  test('F memorises eight reports: perplexity below 1.5, and the greedy reports are the very ones', () => {
    const words = vocabulary.tokens;
    const random = new Random('eight');
    const eight = Array.from({ length: 8 }, (_, i) =>
      Array.from({ length: 1 + (i % 4) }, () =>
        Array.from({ length: 2 + random.integer(4) }, () => words[random.integer(words.length)] ?? 'the'),
      ),
    );
    const generator = new ReportGenerator(tiny({ hidden: 64, embedding: 32 }), vocabulary.size, new Random('F'));
    const v = features(8);
    const grid = vocabulary.encode(eight, 4, 6);
    const { trainables } = generator.parameters;
    const optimiser = new Adam(trainables, { rate: 5e-3, beta1: 0.9, clipNorm: 5 });
    const train = () =>
      tf.tidy(() =>
        optimiser.step(optimiser.pack(tf.variableGrads(() => generator.mleLoss(v, grid).loss, trainables).grads)),
      );
    train();
    const tensors = tf.memory().numTensors;
    for (let step = 1; step < 120; step++) train();
    expect(tf.memory().numTensors).toBe(tensors);
    const { nllSum, tokens } = generator.logLikelihood(v, grid);
    expect(Math.exp(nllSum / tokens)).toBeLessThan(1.5);
    expect(vocabulary.decode(generator.decode(v, 'greedy'))).toEqual(eight);
  });
});
