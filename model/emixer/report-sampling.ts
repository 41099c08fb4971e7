/** Words of many sentences drawn side by side, off the gradient tape. */
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '#model/config.ts';
import { gatherRows } from '#model/layers/gather-rows.ts';
import { offTape } from '#model/layers/off-tape.ts';
import type { Random } from '#model/random.ts';
import { END } from '#model/text/vocabulary.ts';
import { forbiddenAt } from './allowed-words.ts';
import { searchSentences } from './beam-search.ts';
import { gumbelNoise } from './gumbel.ts';
import { nucleus, wordsAt } from './nucleus.ts';
import type { StepwiseDecoder } from './word-decoder.ts';

/** How words are chosen. */
export type Drawing =
  | 'greedy'
  | {
      /** Words are drawn from softmax(logits / temperature) with this stream's noise. */
      readonly temperature: number;
      readonly random: Random;
      /** Only from the likeliest words that have this much probability together (nucleus.ts); all of them by default. */
      readonly topP?: number;
    }
  /** Beam search (beam-search.ts). */
  | { readonly beams: number };

/** The drawing that a configuration asks for. @param random of `sample` */
export function drawingOf({ method, temperature, topP, beams }: ModelConfig['decoding'], random: Random): Drawing {
  if (method === 'greedy') return 'greedy';
  return method === 'beam' ? { beams } : { temperature, topP, random };
}

export interface SampledSentences {
  /** [steps, N]; END ends a sentence, PAD follows it. */
  readonly ids: Int32Array;
  /** Steps that were taken: fewer than T when all sentences ended before. */
  readonly steps: number;
}

/** What is added to the logits of a step, [N, V] or [1, V], before the largest is chosen; `alive` are the rows that count. */
type Observer = (noise: tf.Tensor2D, alive: Int32Array) => void;

/** Up to `maxWords` words for each of the first `count` topics [N, E]; the rows after them stay PAD. */
export const sampleSentences = (
  decoder: StepwiseDecoder,
  topics: tf.Tensor2D,
  count: number,
  maxWords: number,
  drawing: Drawing,
): SampledSentences =>
  typeof drawing === 'object' && 'beams' in drawing
    ? searchSentences(decoder, topics, count, maxWords, drawing.beams)
    : chooseSentences(decoder, topics, count, maxWords, drawing);

type Choosing = Exclude<Drawing, { readonly beams: number }>;

/** @param observe sees every step's noise, what is forbidden included, before the step's tensors are freed */
function chooseSentences(
  decoder: StepwiseDecoder,
  topics: tf.Tensor2D,
  count: number,
  maxWords: number,
  drawing: Choosing,
  observe?: Observer,
): SampledSentences {
  const columns = topics.shape[0];
  const ids = new Int32Array(maxWords * columns);
  let alive = Int32Array.from({ length: count }, (_, n) => n);
  let decoding = tf.tidy(() => decoder.begin(topics));
  let steps = 0;
  while (steps < maxWords && alive.length > 0) {
    const { logits } = decoding;
    const chosen = readInt32(() => choose(logits, steps, drawing, noise => observe?.(noise, alive)));
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
  decoder: StepwiseDecoder,
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
    sampled = chooseSentences(decoder, topics, count, maxWords, { temperature: 1, random }, (stepNoise, alive) => {
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

/** The word [N] that each row of logits [N, V] gives at this step. */
function choose(
  logits: tf.Tensor2D,
  step: number,
  drawing: Choosing,
  observe: (noise: tf.Tensor2D) => void,
): tf.Tensor1D {
  const [rows, vocabulary] = logits.shape;
  const forbidden = forbiddenAt(step, vocabulary);
  if (drawing === 'greedy') return tf.argMax(tf.add(logits, forbidden), 1);
  const { temperature, random, topP = 1 } = drawing;
  const scaled = tf.mul<tf.Tensor2D>(logits, 1 / temperature);
  const noise = gumbelNoise(rows, vocabulary, random);
  if (topP < 1) {
    const inside = nucleus(tf.add(scaled, forbidden), topP);
    return wordsAt(inside, tf.argMax(tf.add(inside.logits, noise), 1));
  }
  const offsets = tf.add<tf.Tensor2D>(noise, forbidden);
  observe(offsets);
  return tf.argMax(tf.add(scaled, offsets), 1);
}
