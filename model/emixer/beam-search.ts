/**
 * Beam search for the words of many sentences side by side. What is looked for is the sentence with the greatest mean
 * log likelihood of its words, END counted: (1 / L) sum_t log p(w_t | w_<t). The plain sum would prefer short sentences,
 * since every word makes it smaller.
 */
import * as tf from '@tensorflow/tfjs-core';
import { gatherRows } from '#model/layers/gather-rows.ts';
import { END } from '#model/text/vocabulary.ts';
import { forbiddenAt, isAllowed } from './allowed-words.ts';
import type { SampledSentences } from './report-sampling.ts';
import type { Decoding, StepwiseDecoder } from './word-decoder.ts';

/** A sentence so far. */
interface Hypothesis {
  readonly words: readonly number[];
  /** Sum of the words' log likelihoods. */
  readonly sum: number;
  /** Of the decoder's states and logits. */
  readonly row: number;
}

interface Search {
  /** At most `beams`, the likeliest first. */
  alive: readonly Hypothesis[];
  /** The best sentence that has ended. */
  best: { readonly words: readonly number[]; readonly score: number } | undefined;
}

/**
 * The best sentence found for each of the first `count` topics [N, E]; the rows after them stay PAD. With one beam this
 * is greedy decoding.
 */
export function searchSentences(
  decoder: StepwiseDecoder,
  topics: tf.Tensor2D,
  count: number,
  maxWords: number,
  beams: number,
): SampledSentences {
  const searches = Array.from(
    { length: count },
    (_, row): Search => ({
      alive: [{ words: [], sum: 0, row }],
      best: undefined,
    }),
  );
  let decoding = tf.tidy(() => decoder.begin(topics));
  for (let step = 0; step < maxWords && searches.some(isOpen); step++) {
    const likely = likeliest(decoding.logits, step, beams + 1);
    for (const search of searches) advance(search, likely, beams, maxWords);
    if (step === maxWords - 1 || !searches.some(isOpen)) break;
    const before = decoding;
    decoding = continued(decoder, before, searches, beams);
    tf.dispose(before);
  }
  tf.dispose(decoding);
  return arranged(searches, topics.shape[0], maxWords);
}

const isOpen = ({ alive }: Search): boolean => alive.length > 0;

interface Likely {
  /** [R, k] row-major, the likeliest first. */
  readonly words: ArrayLike<number>;
  readonly logLikelihoods: ArrayLike<number>;
  readonly k: number;
}

/** The k likeliest words of each row; log likelihoods are those among the words that are allowed at this step. */
function likeliest(logits: tf.Tensor2D, step: number, wanted: number): Likely {
  const vocabulary = logits.shape[1];
  const k = Math.min(wanted, vocabulary);
  const [values, indices] = tf.tidy(() => {
    const found = tf.topk(tf.logSoftmax(tf.add(logits, forbiddenAt(step, vocabulary))), k, true);
    return [found.values, found.indices];
  });
  const result = { words: indices.dataSync(), logLikelihoods: values.dataSync(), k };
  tf.dispose([values, indices]);
  return result;
}

/** One word further: of all continuations, those that end are scored, and the likeliest others stay. */
function advance(search: Search, { words, logLikelihoods, k }: Likely, beams: number, maxWords: number): void {
  const continuations = search.alive.flatMap(({ words: before, sum, row }) =>
    Array.from({ length: k }, (_, i) => {
      const logLikelihood = logLikelihoods[row * k + i] as number;
      const word = words[row * k + i] as number;
      return { words: [...before, word], word, sum: sum + logLikelihood, row, allowed: isAllowed(logLikelihood) };
    }).filter(({ allowed }) => allowed),
  );
  // Sorting is stable: of equal ones the likelier beginning, then the smaller id, is first.
  continuations.sort((a, b) => b.sum - a.sum);
  const going: Hypothesis[] = [];
  for (const [rank, { words: sentence, word, sum, row }] of continuations.entries()) {
    const ended = word === END || sentence.length === maxWords;
    // An end that is less likely than `beams` others is no better than the beginnings that are dropped.
    if (ended && rank < beams) finish(search, sentence, sum / sentence.length);
    if (!ended && going.length < beams) going.push({ words: sentence, sum, row });
  }
  // Words only lower a sum, so no sentence that begins like this can have a greater mean than this.
  const bound = (going[0]?.sum ?? 0) / maxWords;
  search.alive = search.best !== undefined && search.best.score >= bound ? [] : going;
}

function finish(search: Search, words: readonly number[], score: number): void {
  if (search.best === undefined || score > search.best.score) search.best = { words, score };
}

/** The decoder's state after the last word of every hypothesis, whose rows are numbered anew. */
function continued(decoder: StepwiseDecoder, before: Decoding, searches: readonly Search[], beams: number): Decoding {
  // As many rows at every step, so that TensorFlow meets few shapes; those that are left over repeat row 0.
  const rows = new Int32Array(searches.length * beams);
  const words = new Int32Array(rows.length).fill(END);
  for (const [n, search] of searches.entries()) {
    search.alive = search.alive.map((hypothesis, i) => {
      const row = n * beams + i;
      rows[row] = hypothesis.row;
      words[row] = hypothesis.words.at(-1) as number;
      return { ...hypothesis, row };
    });
  }
  return tf.tidy(() => {
    const states = before.states.map(({ h, c }) => ({ h: gatherRows(h, rows), c: gatherRows(c, rows) }));
    return decoder.next({ states, logits: before.logits }, words);
  });
}

function arranged(searches: readonly Search[], columns: number, maxWords: number): SampledSentences {
  const sentences = searches.map(({ best }) => best?.words ?? []);
  const steps = Math.min(maxWords, Math.max(0, ...sentences.map(words => words.length)));
  const ids = new Int32Array(steps * columns);
  for (const [n, words] of sentences.entries()) for (const [t, word] of words.entries()) ids[t * columns + n] = word;
  return { ids, steps };
}
