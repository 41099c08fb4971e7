/**
 * The decoder half of the report generator F (paper, section 3.2.2): image features v [B, 512] -> report. The other half
 * is the frozen image encoder (image-encoder.ts).
 */
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '#model/config.ts';
import { gatherRows } from '#model/layers/gather-rows.ts';
import { offTape, offTapeAll } from '#model/layers/off-tape.ts';
import { ParameterSet } from '#model/layers/parameters.ts';
import type { Random } from '#model/random.ts';
import { PAD, type ReportGrid } from '#model/text/vocabulary.ts';
import { CompiledDrawing } from './compiled-drawing.ts';
import { straightThrough } from './gumbel.ts';
import { crossEntropySum } from './masked-cross-entropy.ts';
import {
  type Buckets,
  FINE,
  type FlatReports,
  flattenReports,
  roundUp,
  type SentenceRows,
  sentenceRows,
  teacherRows,
} from './report-rows.ts';
import {
  type Drawing,
  type DrawnSentences,
  drawSentences,
  type SampledSentences,
  sampleSentences,
} from './report-sampling.ts';
import { SentenceDecoder, type SentenceStates } from './sentence-decoder.ts';
import { type TeacherTensors, teacherTensors } from './teacher-tensors.ts';
import { WordDecoder } from './word-decoder.ts';

const STOP_WEIGHT = 5;
const WORD_WEIGHT = 1;

export interface MleLoss {
  /** 5 stop + 1 word (Krause et al. 2017). */
  readonly loss: tf.Scalar;
  /** Mean cross-entropy of CONTINUE / STOP over the sentences. */
  readonly stop: tf.Scalar;
  /** Mean cross-entropy over the words, END counted. */
  readonly word: tf.Scalar;
}

/** Sums, so that totals over batches and sites are exact. */
export interface LogLikelihood {
  /** Sum of -log p of every word and END, in nats. */
  readonly nllSum: number;
  readonly tokens: number;
}

/** What the differentiable half of drawing needs: the inputs of a compiled step. */
export type DrawnTensors = {
  /** [N] */
  readonly rows: tf.Tensor1D;
  /** [T - 1, N] */
  readonly previous: tf.Tensor2D;
  /** [B * L] the row of the word decoder's states that predicts each token. */
  readonly predicted: tf.Tensor1D;
  /** [B * L, V], what the word was drawn with. */
  readonly noise: tf.Tensor2D;
  /** [B * L] the tokens. */
  readonly chosen: tf.Tensor1D;
};

export interface DrawnReports extends FlatReports {
  readonly grid: ReportGrid;
  readonly tensors: DrawnTensors;
}

/** Reports that F wrote, with a gradient. */
export interface SoftReports extends FlatReports {
  /** [B, L, V]: one-hot forward, softmax backward. */
  readonly oneHot: tf.Tensor3D;
  /** The whole reports, not cut at the discriminators' length. */
  readonly grid: ReportGrid;
}

export class ReportGenerator {
  readonly parameters = new ParameterSet('F/decoder');
  readonly #limits: { readonly sentences: number; readonly words: number; readonly discriminated: number };
  readonly #sentences: SentenceDecoder;
  readonly #words: WordDecoder;
  readonly #drawing: CompiledDrawing;

  /**
   * @param vocabulary number of ids (Vocabulary.size)
   * @param random draws every starting value: the same stream gives the same network
   */
  constructor(config: ModelConfig, vocabulary: number, random: Random) {
    const { hidden, embedding, wordLayers, maxSentences, maxWords } = config.report;
    this.#limits = { sentences: maxSentences, words: maxWords, discriminated: config.reportDiscriminator.maxTokens };
    this.#sentences = new SentenceDecoder(this.parameters, hidden, embedding, random);
    this.#words = new WordDecoder(this.parameters, { vocabulary, embedding, hidden, layers: wordLayers }, random);
    this.#drawing = new CompiledDrawing(this.#words, this.parameters.trainables, maxWords);
  }

  /**
   * Teacher forcing of whole reports at once; differentiable in the features and in F. Reports without a sentence count
   * for nothing.
   * @param features [B, 512]
   */
  mleLoss(features: tf.Tensor2D, grid: ReportGrid, buckets: Buckets = FINE): MleLoss {
    return this.teacherForcing(features, teacherTensors(grid, buckets));
  }

  /** The same of a batch that is tensors already: it may be compiled. */
  teacherForcing(features: tf.Tensor2D, teacher: TeacherTensors): MleLoss {
    const [sentenceSteps] = teacher.stopTargets.shape;
    const flat = (tensor: tf.Tensor2D): tf.Tensor1D => tf.reshape(tensor, [-1]);
    const states = this.#sentences.run(features, sentenceSteps);
    const stopSum = crossEntropySum(states.stop, flat(teacher.stopTargets), flat(teacher.stopWeights));
    const stop = tf.div<tf.Scalar>(stopSum, teacher.sentenceCount);
    const topics = this.#sentences.topics(states.hidden, teacher.rows);
    const hidden = this.#words.states(topics, flat(teacher.previous), teacher.previous.shape[0] + 1);
    const logits = this.#words.logits(gatherRows(hidden, teacher.wordRows));
    const wordSum = crossEntropySum(logits, teacher.wordTargets, teacher.wordWeights);
    const word = tf.div<tf.Scalar>(wordSum, teacher.wordCount);
    return { loss: tf.add(tf.mul(stop, STOP_WEIGHT), tf.mul(word, WORD_WEIGHT)), stop, word };
  }

  /** How likely F finds the words of these reports, for perplexity. */
  logLikelihood(features: tf.Tensor2D, grid: ReportGrid): LogLikelihood {
    const tokens = teacherRows(grid).wordCount;
    const word = tf.tidy(() => this.mleLoss(features, grid).word);
    const mean = word.dataSync()[0] ?? 0;
    word.dispose();
    return { nllSum: mean * tokens, tokens };
  }

  /** Writes one report for each image; nothing but words and END is ever chosen. */
  decode(features: tf.Tensor2D, drawing: Drawing, buckets: Buckets = FINE): ReportGrid {
    const batch = features.shape[0];
    const states = tf.tidy(() => ({ ...this.#sentences.run(features, this.#limits.sentences) }));
    const rows = this.#wantedSentences(states, batch, buckets);
    const topics = tf.tidy(() => this.#sentences.topics(states.hidden, rows.rows));
    const sampled = this.#sampled(topics, rows.count, drawing);
    tf.dispose([topics, states.hidden, states.stop]);
    return this.#grid(rows, sampled, batch);
  }

  /**
   * Draws reports and makes them differentiable: the discriminators see one-hot words, whose gradient is that of
   * softmax((logits + noise) * beta) at each word, with the words before it held fixed. Since F reads back its own hard
   * words without gradient, they are drawn first, off the tape, and the gradient then takes one pass over all of them.
   * @param features [B, 512]; the gradient flows through them
   */
  sampleStraightThrough(features: tf.Tensor2D, beta: number, random: Random): SoftReports {
    const { tensors, ...drawn } = this.drawReports(features, random);
    return { ...drawn, oneHot: this.softReports(features, tensors, beta) };
  }

  /** The first half of it: the reports, and what their second half needs. */
  drawReports(features: tf.Tensor2D, random: Random, buckets: Buckets = FINE): DrawnReports {
    const [batch] = features.shape;
    let drawn: Omit<DrawnReports, 'tensors'> | undefined;
    const tensors = offTapeAll(() => {
      const states = this.#sentences.run(features, this.#limits.sentences);
      const rows = this.#wantedSentences(states, batch, buckets);
      const topics = this.#sentences.topics(states.hidden, rows.rows);
      const { noise, noiseRowOf, ...sampled } = this.#drawn(topics, rows.count, random);
      const grid = this.#grid(rows, sampled, batch);
      const flat = flattenReports(grid, this.#limits.discriminated, buckets);
      const columns = rows.rows.length;
      // Where each token was predicted: row t * N + n. Padding repeats row 0, which no gradient reaches.
      const predicted = flat.cells.map(cell => {
        if (cell < 0) return 0;
        const n = rows.sentenceAt[Math.floor(cell / grid.words)] ?? 0;
        return (cell % grid.words) * columns + n;
      });
      const steps = Math.min(this.#limits.words, roundUp(sampled.steps, buckets.wordSteps));
      const previous = new Int32Array((steps - 1) * columns);
      previous.set(sampled.ids.subarray(0, previous.length));
      drawn = { ...flat, grid };
      return {
        rows: tf.tensor1d(rows.rows, 'int32'),
        previous: tf.tensor2d(previous, [steps - 1, columns], 'int32'),
        predicted: tf.tensor1d(predicted, 'int32'),
        noise: gatherRows(
          noise,
          predicted.map(row => noiseRowOf[row] ?? 0),
        ),
        chosen: tf.tensor1d(flat.ids, 'int32'),
      };
    });
    return { ...(drawn as Omit<DrawnReports, 'tensors'>), tensors };
  }

  /** The second half: [B, L, V], differentiable in the features and in F. It may be compiled. */
  softReports(features: tf.Tensor2D, drawn: DrawnTensors, beta: number | tf.Scalar): tf.Tensor3D {
    const { rows, previous, predicted, noise, chosen } = drawn;
    const [batch] = features.shape;
    const states = this.#sentences.run(features, this.#limits.sentences);
    const topics = this.#sentences.topics(states.hidden, rows);
    const hidden = this.#words.states(topics, tf.reshape(previous, [-1]), previous.shape[0] + 1);
    const logits = this.#words.logits(gatherRows(hidden, predicted));
    return tf.reshape(straightThrough(logits, noise, chosen, beta), [batch, -1, this.#words.vocabulary]);
  }

  dispose(): void {
    this.#drawing.dispose();
    this.parameters.dispose();
  }

  #sampled(topics: tf.Tensor2D, count: number, drawing: Drawing): SampledSentences {
    const draws = typeof drawing === 'object' && 'random' in drawing && (drawing.topP ?? 1) === 1;
    if (!draws || !this.#drawing.fits(topics.shape[0])) {
      return sampleSentences(this.#words, topics, count, this.#limits.words, drawing);
    }
    const { ids, noise } = this.#drawing.draw(topics, count, drawing.temperature, drawing.random);
    noise.dispose();
    return { ids, steps: this.#limits.words };
  }

  /** The same at temperature 1 with the noise of each word, off the tape. */
  #drawn(topics: tf.Tensor2D, count: number, random: Random): DrawnSentences {
    const { words } = this.#limits;
    if (!this.#drawing.fits(topics.shape[0])) return drawSentences(this.#words, topics, count, words, random);
    let ids: Int32Array = new Int32Array(0);
    const noise = offTape(() => {
      const drawn = this.#drawing.draw(topics, count, 1, random);
      ids = drawn.ids;
      return drawn.noise;
    });
    return { ids, steps: words, noise, noiseRowOf: Int32Array.from(ids, (_, row) => row) };
  }

  /** The sentences up to each report's first STOP (p > 0.5), or all S. */
  #wantedSentences({ stop }: SentenceStates, batch: number, buckets: Buckets): SentenceRows {
    const logits = stop.dataSync();
    const { sentences } = this.#limits;
    const lengths = Array.from({ length: batch }, (_, b) => {
      let s = 0;
      while (s < sentences - 1 && !stopsAt(logits, s * batch + b)) s++;
      return s + 1;
    });
    return sentenceRows(lengths, sentences, buckets);
  }

  #grid({ sentenceAt, rows }: SentenceRows, { ids, steps }: SampledSentences, reports: number): ReportGrid {
    const { sentences, words } = this.#limits;
    const result = new Int32Array(reports * sentences * words);
    for (const [cell, n] of sentenceAt.entries()) {
      if (n < 0) continue;
      for (let t = 0; t < steps; t++) result[cell * words + t] = ids[t * rows.length + n] ?? PAD;
    }
    return { ids: result, reports, sentences, words };
  }
}

const stopsAt = (logits: ArrayLike<number>, row: number): boolean =>
  (logits[2 * row + 1] ?? 0) > (logits[2 * row] ?? 0);
