import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { CompiledDrawing } from '#model/emixer/compiled-drawing.ts';
import { WordDecoder } from '#model/emixer/word-decoder.ts';
import { ParameterSet } from '#model/layers/parameters.ts';
import { Random } from '#model/random.ts';
import { useNativeBackend } from '../../support/native-backend.ts';

const prepared = await useNativeBackend();
const shape = { vocabulary: 12, embedding: 6, hidden: 7, layers: 2 };
const WORDS = 8;

describe.skipIf(!prepared)('words drawn in one call (where npm run setup prepared TensorFlow)', () => {
  beforeAll(async () => {
    await useNativeBackend();
  });

  it('holds a word and its noise for every step of the recording, and nothing of the steps before', () => {
    const parameters = new ParameterSet('T');
    const decoder = new WordDecoder(parameters, shape, new Random('decoder'));
    const held: number[] = [];
    const watched: typeof decoder = Object.assign(Object.create(decoder) as typeof decoder, {
      vocabulary: shape.vocabulary,
      begin: (topics: tf.Tensor2D) => decoder.begin(topics),
      next: (...given: Parameters<typeof decoder.next>) => {
        held.push(tf.memory().numTensors);
        return decoder.next(...given);
      },
    });
    const drawing = new CompiledDrawing(watched, parameters.trainables, WORDS);
    tf.tidy(() => {
      drawing.draw(tf.zeros([4, shape.embedding]), 4, 1, new Random('noise'));
    });
    expect(held.slice(1).map((count, i) => count - (held[i] as number))).toEqual(Array(WORDS - 2).fill(2));
    drawing.dispose();
    parameters.dispose();
  });
});
