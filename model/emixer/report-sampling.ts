/** Words of many sentences drawn side by side, off the gradient tape. */
import * as tf from '@tensorflow/tfjs-core';
import { gatherRows } from '#model/layers/gather-rows.ts';
import { offTape } from '#model/layers/off-tape.ts';
import type { Random } from '#model/random.ts';
import { END, PAD, START, UNKNOWN } from '#model/text/vocabulary.ts';
import { gumbelNoise } from './gumbel.ts';
import type { WordDecoder } from './word-decoder.ts';

/** Greedy, or drawn from softmax(logits / temperature) with this stream's noise. */
export type Drawing = 'greedy' | { readonly temperature: number; readonly random: Random };

export interface SampledSentences {
  /** [steps, N]; END ends a sentence, PAD follows it. */
  readonly ids: Int32Array;
  /** Steps that were taken: fewer than T when all sentences ended before. */
  readonly steps: number;
}

/** What a word decoder must never say; on the first step not END either, for no sentence is empty. */
const FORBIDDEN = [PAD, START, UNKNOWN];
const NEVER = -1e9;

/** What is added to the logits of a step, [N, V] or [1, V], before the largest is chosen; `alive` are the rows that count. */
type Observer = (noise: tf.Tensor2D, alive: Int32Array) => void;

/**
 * Draws up to `maxWords` words for each of the first `count` topics [N, E]; the rows after them stay PAD.
 * @param observe sees every step's noise, what is forbidden included, before the step's tensors are freed
 */
export function sampleSentences(
  decoder: WordDecoder,
  topics: tf.Tensor2D,
  count: number,
  maxWords: number,
  drawing: Drawing,
  observe?: Observer,
): SampledSentences {
  const columns = topics.shape[0];
  const ids = new Int32Array(maxWords * columns);
  let alive = Int32Array.from({ length: count }, (_, n) => n);
  let decoding = tf.tidy(() => decoder.begin(topics));
  let steps = 0;
  while (steps < maxWords && alive.length > 0) {
    const { logits } = decoding;
    const chosen = readInt32(() => {
      const noise = noiseOf(columns, decoder.vocabulary, steps, drawing);
      observe?.(noise, alive);
      const scaled = drawing === 'greedy' ? logits : tf.mul<tf.Tensor2D>(logits, 1 / drawing.temperature);
      return tf.argMax(tf.add(scaled, noise), 1);
    });
    const words = ids.subarray(steps * columns, (steps + 1) * columns);
    for (const n of alive) words[n] = chosen[n] ?? END;
    alive = alive.filter(n => words[n] !== END);
    steps++;
    const before = decoding;
    decoding = tf.tidy(() => decoder.next(before, words));
    tf.dispose(before);
  }
  tf.dispose(decoding);
  return { ids: ids.subarray(0, steps * columns), steps };
}

export interface DrawnSentences extends SampledSentences {
  /** [M, V], one row a word that was drawn. */
  readonly noise: tf.Tensor2D;
  /** [steps * N] the row of `noise` that word t of sentence n was drawn with. */
  readonly noiseRowOf: Int32Array;
}

/** The same at temperature 1, with the noise: argmax(logits + noise) again gives these words. */
export function drawSentences(
  decoder: WordDecoder,
  topics: tf.Tensor2D,
  count: number,
  maxWords: number,
  random: Random,
): DrawnSentences {
  const columns = topics.shape[0];
  const noiseRowOf = new Int32Array(maxWords * columns);
  let sampled: SampledSentences = { ids: new Int32Array(0), steps: 0 };
  const noise = offTape(() => {
    const kept: tf.Tensor2D[] = [];
    let words = 0;
    sampled = sampleSentences(decoder, topics, count, maxWords, { temperature: 1, random }, (stepNoise, alive) => {
      for (const n of alive) noiseRowOf[kept.length * columns + n] = words++;
      kept.push(tf.keep(gatherRows(stepNoise, alive)));
    });
    const value = tf.concat(kept, 0);
    tf.dispose(kept);
    return value;
  });
  return { ...sampled, noise, noiseRowOf };
}

function readInt32(compute: () => tf.Tensor): Int32Array {
  const result = tf.tidy(compute);
  const values = result.dataSync() as Int32Array;
  result.dispose();
  return values;
}

function noiseOf(rows: number, vocabulary: number, step: number, drawing: Drawing): tf.Tensor2D {
  const forbidden = new Float32Array(vocabulary);
  for (const id of step === 0 ? [...FORBIDDEN, END] : FORBIDDEN) forbidden[id] = NEVER;
  const never = tf.tensor2d(forbidden, [1, vocabulary]);
  return drawing === 'greedy' ? never : tf.add(gumbelNoise(rows, vocabulary, drawing.random), never);
}
