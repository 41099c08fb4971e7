import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { resolveModelConfig } from '#model/config.ts';
import { ReportGenerator } from '#model/emixer/report-generator.ts';
import { decoderLikelihood, perplexity, UnigramModel } from '#model/evaluate/perplexity.ts';
import { Random } from '#model/random.ts';
import { Vocabulary } from '#model/text/vocabulary.ts';

const vocabulary = new Vocabulary(['a', 'b']);
const grid = (...texts: string[][][]) => vocabulary.encode(texts, 3, 4);

beforeAll(async () => {
  await loadBackend({ demand: 'cpu' });
});

test('the unigram model adds one to every id that can be predicted, and counts END and UNKNOWN', () => {
  const model = new UnigramModel(vocabulary, [grid([['a', 'a', 'b']]), grid([['a', 'unheard'], ['b']])]);
  // a 3 + 1, b 2 + 1, END 3 + 1, UNKNOWN 1 + 1: 13
  const { nllSum, tokens } = model.logLikelihood(grid([['b', 'other']], [['a']]));
  expect(tokens).toBe(5);
  const expected = -Math.log((3 / 13) * (2 / 13) * (4 / 13) * (4 / 13) * (4 / 13));
  expect(nllSum).toBeCloseTo(expected, 10);
  expect(perplexity({ nllSum, tokens })).toBeCloseTo(Math.exp(expected / 5), 10);
});

test('its probabilities sum to one', () => {
  const model = new UnigramModel(vocabulary, [grid([['a', 'b', 'unheard']])]);
  const p = (word: string, tokens: number) => Math.exp(-model.logLikelihood(grid([[word]])).nllSum) / tokens;
  const end = 2 / 8;
  expect(p('a', end) + p('b', end) + p('unheard', end) + end).toBeCloseTo(1, 10);
});

test('F counts the same tokens as the unigram model, batch by batch as at once, and frees the features', async () => {
  const config = resolveModelConfig('phantom32', {
    report: { maxSentences: 3, maxWords: 4, hidden: 8, embedding: 8, wordLayers: 1 },
  });
  const decoder = new ReportGenerator(config, vocabulary.size, new Random('F'));
  const texts = [[['a', 'b', 'c', 'd'], ['a']], [['b', 'b']], [], [['unheard']]];
  const v = new Random('v').normals(4 * 512);
  const features = (from: number, to: number) => tf.tensor2d(v.slice(from * 512, to * 512), [to - from, 512]);
  const before = tf.memory().numTensors;
  const whole = await decoderLikelihood(decoder, [{ features: features(0, 4), grid: grid(...texts) }]);
  const parts = await decoderLikelihood(decoder, [
    { features: features(0, 1), grid: grid(...texts.slice(0, 1)) },
    { features: features(1, 4), grid: grid(...texts.slice(1)) },
  ]);
  expect(tf.memory().numTensors).toBe(before);
  expect(parts.tokens).toBe(whole.tokens);
  expect(whole.tokens).toBe(new UnigramModel(vocabulary, []).logLikelihood(grid(...texts)).tokens);
  expect(parts.nllSum).toBeCloseTo(whole.nllSum, 3);
  decoder.dispose();
});
