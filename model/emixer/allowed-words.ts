/** What F may write: words and END, and no END before the first word of a sentence. */
import * as tf from '@tensorflow/tfjs-core';
import { END, PAD, START, UNKNOWN } from '#model/text/vocabulary.ts';

const FORBIDDEN = [PAD, START, UNKNOWN];
const NEVER = -1e9;

/** [1, V] to add to the logits of a step: 0 for what may be chosen there, else so low that it never is. */
export function forbiddenAt(step: number, vocabulary: number): tf.Tensor2D {
  const offsets = new Float32Array(vocabulary);
  for (const id of step === 0 ? [...FORBIDDEN, END] : FORBIDDEN) offsets[id] = NEVER;
  return tf.tensor2d(offsets, [1, vocabulary]);
}

/** Whether a log probability is that of a choice that `forbiddenAt` left. */
export const isAllowed = (logProbability: number): boolean => logProbability > NEVER / 2;
