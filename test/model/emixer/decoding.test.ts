import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { resolveModelConfig } from '#model/config.ts';
import { nucleus } from '#model/emixer/nucleus.ts';
import { ReportGenerator } from '#model/emixer/report-generator.ts';
import { type Drawing, drawingOf, sampleSentences } from '#model/emixer/report-sampling.ts';
import type { Decoding, StepwiseDecoder } from '#model/emixer/word-decoder.ts';
import { Random } from '#model/random.ts';
import { END, PAD, START, UNKNOWN } from '#model/text/vocabulary.ts';
import { useNativeBackend } from '../../support/native-backend.ts';

beforeAll(async () => {
  await loadBackend({ demand: 'cpu' });
});

const native = await useNativeBackend();

const [A, B, C, D] = [4, 5, 6, 7] as const;
const VOCABULARY = 8;

/** What follows the words so far, by probability; what is not named is impossible. */
type Table = (words: readonly number[]) => Readonly<Record<number, number>>;

/**
 * A decoder whose probabilities are written down. Its state is the sentence so far, as a number in base 10, so that a row
 * that is followed up with another row's state shows.
 */
function toyDecoder(table: Table): StepwiseDecoder {
  const decodingOf = (sentences: readonly number[]): Decoding => {
    const rows = sentences.map(sentence => {
      const words = sentence === 0 ? [] : [...String(sentence)].map(Number);
      const following = table(words);
      return Array.from({ length: VOCABULARY }, (_, id) => Math.log(following[id] ?? 1e-30));
    });
    const h = tf.tensor2d(sentences.map(sentence => [sentence]));
    return { states: [{ h, c: tf.zerosLike(h) }], logits: tf.tensor2d(rows) };
  };
  return {
    vocabulary: VOCABULARY,
    begin: topics => decodingOf(new Array<number>(topics.shape[0]).fill(0)),
    next: ({ states }, words) => {
      const before = states[0]?.h.dataSync() ?? [];
      return decodingOf([...(words as Int32Array)].map((word, n) => (before[n] ?? 0) * 10 + word));
    },
  };
}

/** The sentences of two equal topics and one row of filling. */
function decoded(table: Table, drawing: Drawing, maxWords = 4): number[][] {
  const topics = tf.zeros([3, 1]) as tf.Tensor2D;
  const before = tf.memory().numTensors;
  const { ids, steps } = sampleSentences(toyDecoder(table), topics, 2, maxWords, drawing);
  expect(tf.memory().numTensors).toBe(before);
  topics.dispose();
  return [0, 1, 2].map(n => Array.from({ length: steps }, (_, t) => ids[t * 3 + n] as number));
}

const withoutPadding = (words: readonly number[] | undefined): number[] => (words ?? []).filter(id => id !== PAD);

/** The likeliest first word leads to sentences that are all unlikely. */
const trap: Table = words =>
  ({
    '': { [A]: 0.5, [B]: 0.4, [C]: 0.1 },
    [`${B}`]: { [END]: 0.9, [C]: 0.1 },
  })[words.join()] ?? { [END]: 0.4, [C]: 0.3, [D]: 0.3 };

describe('beam search', () => {
  test('finds the sentence that greedy decoding passes by: .4 x .9 against .5 x .4', () => {
    expect(decoded(trap, 'greedy').map(withoutPadding)).toEqual([[A, END], [A, END], []]);
    expect(decoded(trap, { beams: 2 }).map(withoutPadding)).toEqual([[B, END], [B, END], []]);
  });

  test('with one beam it is greedy decoding', () => {
    expect(decoded(trap, { beams: 1 })).toEqual(decoded(trap, 'greedy'));
  });

  test('scores are means over the words: ln(.3)/4 = -.301 beats ln(.36)/2 = -.511', () => {
    const table: Table = words =>
      ({
        '': { [A]: 0.6, [B]: 0.4 },
        [`${A}`]: { [END]: 0.6, [C]: 0.4 },
        [`${B}`]: { [C]: 0.75, [END]: 0.25 },
        [`${B},${C}`]: { [D]: 1 },
        [`${B},${C},${D}`]: { [END]: 1 },
      })[words.join()] ?? { [END]: 0.5, [D]: 0.5 };
    // By the sum, "a" (.6 x .6 = .36) would beat "b c d" (.4 x .75 = .3).
    expect(withoutPadding(decoded(table, { beams: 3 })[0])).toEqual([B, C, D, END]);
  });

  test('a sentence that never ends is cut at the limit; the best of those counts', () => {
    const table: Table = words => (words.at(-1) === B ? { [B]: 1 } : { [A]: 0.6, [B]: 0.4 });
    // "a a a" has .6^3 = .216, "b b b" has .4.
    expect(decoded(table, { beams: 3 }, 3)[0]).toEqual([B, B, B]);
    expect(decoded(table, 'greedy', 3)[0]).toEqual([A, A, A]);
  });

  test('more beams than words, and words that may not be written, are no trouble', () => {
    const table: Table = words =>
      words.length === 0 ? { [END]: 0.9, [UNKNOWN]: 0.09, [A]: 0.01 } : { [START]: 0.9, [END]: 0.1 };
    for (const beams of [1, 2, 16]) expect(withoutPadding(decoded(table, { beams })[0])).toEqual([A, END]);
  });
});

describe('top-p', () => {
  const distribution = [0.05, 0.4, 0.3, 0.15, 0.1];
  const kept = (probabilities: readonly number[], topP: number): number[] =>
    tf.tidy(() => {
      const found = nucleus(tf.tensor2d([probabilities.map(Math.log)]), topP);
      const words = found.words.dataSync();
      return [...found.logits.dataSync()].flatMap((logit, i) => (logit > -1e6 ? [words[i] as number] : []));
    });

  test.each([
    [0.01, [1]],
    [0.4, [1]],
    [0.41, [1, 2]],
    [0.69, [1, 2]],
    [0.71, [1, 2, 3]],
    [0.94, [1, 2, 3, 4]],
    [0.99, [1, 2, 3, 4, 0]],
  ])('keeps the smallest set with a mass of at least %f', (topP, expected) => {
    expect(kept(distribution, topP)).toEqual(expected);
  });

  test('of equally likely words no more than are needed', () => {
    expect(kept([0.25, 0.25, 0.25, 0.25], 0.5)).toEqual([0, 1]);
  });

  test('draws only from the set, in the proportions of what is kept', () => {
    const table: Table = words => (words.length === 0 ? { [A]: 0.5, [B]: 0.25, [C]: 0.15, [D]: 0.1 } : { [END]: 1 });
    const counts = new Map<number, number>();
    const random = new Random('top-p');
    for (let i = 0; i < 300; i++) {
      for (const sentence of decoded(table, { temperature: 1, topP: 0.7, random }).slice(0, 2)) {
        counts.set(sentence[0] as number, (counts.get(sentence[0] as number) ?? 0) + 1);
      }
    }
    expect([...counts.keys()].sort()).toEqual([A, B]);
    // 600 draws at 2/3: four standard deviations are 46.
    expect(Math.abs((counts.get(A) ?? 0) - 400)).toBeLessThan(46);
  });

  test('a low temperature sharpens before the set is taken', () => {
    const table: Table = words => (words.length === 0 ? { [A]: 0.5, [B]: 0.4, [C]: 0.1 } : { [END]: 1 });
    // At temperature 0.1 a has .5^10 / (.5^10 + .4^10) = .903 of the mass.
    const random = new Random('cold');
    const firsts = Array.from({ length: 50 }, () => decoded(table, { temperature: 0.1, topP: 0.9, random })[0]?.[0]);
    expect(new Set(firsts)).toEqual(new Set([A]));
  });
});

describe('a report generator as configured', () => {
  const report = { maxSentences: 3, maxWords: 5, hidden: 12, embedding: 8, wordLayers: 2 };
  const build = (decoding: object) => resolveModelConfig('phantom32', { report, decoding });

  test.each([{ method: 'greedy' }, { method: 'sample', temperature: 1.5, topP: 0.9 }, { method: 'beam', beams: 3 }])(
    '%o: same seed, same reports; limits kept; only words and END',
    decoding => {
      const config = build(decoding);
      const generator = new ReportGenerator(config, 12, new Random('F'));
      const v = tf.tensor2d(new Random('v').normals(6 * 512), [6, 512]);
      const before = tf.memory().numTensors;
      const write = (seed: string) => generator.decode(v, drawingOf(config.decoding, new Random(seed)));
      const grid = write('a');
      expect(write('a').ids).toEqual(grid.ids);
      expect(tf.memory().numTensors).toBe(before);
      expect([grid.reports, grid.sentences, grid.words]).toEqual([6, 3, 5]);
      expect([...grid.ids].some(id => id === START || id === UNKNOWN)).toBe(false);
      for (let sentence = 0; sentence < 18; sentence++) {
        const ids = [...grid.ids.subarray(sentence * 5, (sentence + 1) * 5)];
        expect(ids[0]).not.toBe(END);
        const end = ids.indexOf(END);
        if (end >= 0) expect(ids.slice(end + 1).every(id => id === PAD)).toBe(true);
      }
      const same = [...write('b').ids].every((id, i) => id === grid.ids[i]);
      expect(same).toBe(decoding.method !== 'sample');
      v.dispose();
      generator.dispose();
    },
  );
});

describe.each(['native', 'wasm'] as const)('on %s', demand => {
  test.skipIf(demand === 'native' && !native)('beams and top-p choose as plain JavaScript does', async () => {
    const table: Table = words => (words.length === 0 ? { [A]: 0.5, [B]: 0.25, [C]: 0.15, [D]: 0.1 } : { [END]: 1 });
    const chosen = () => {
      const random = new Random('top-p');
      const drawn = Array.from({ length: 40 }, () => decoded(table, { temperature: 1, topP: 0.7, random })[0]?.[0]);
      return { beam: decoded(trap, { beams: 2 }), drawn: [...new Set(drawn)].sort() };
    };
    await loadBackend({ demand: 'cpu' });
    const expected = chosen();
    if (demand === 'native') expect(await useNativeBackend()).toBe(true);
    else await loadBackend({ demand });
    expect(chosen()).toEqual(expected);
  });
});
