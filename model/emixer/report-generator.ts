/**
 * The decoder half of the report generator F (paper, section 3.2.2): image features v [B, 512] -> report. The other half
 * is the frozen image encoder (image-encoder.ts).
 */
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '#model/config.ts';
import { gatherRows } from '#model/layers/gather-rows.ts';
import { offTape } from '#model/layers/off-tape.ts';
import { ParameterSet } from '#model/layers/parameters.ts';
import type { Random } from '#model/random.ts';
import { PAD, type ReportGrid } from '#model/text/vocabulary.ts';
import { CompiledDrawing } from './compiled-drawing.ts';
import { straightThrough } from './gumbel.ts';
import { crossEntropySum } from './masked-cross-entropy.ts';
import { type FlatReports, flattenReports, type SentenceRows, sentenceRows, teacherRows } from './report-rows.ts';
import {
  type Drawing,
  type DrawnSentences,
  drawSentences,
  type SampledSentences,
  sampleSentences,
} from './report-sampling.ts';
import { SentenceDecoder, type SentenceStates } from './sentence-decoder.ts';
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
  mleLoss(features: tf.Tensor2D, grid: ReportGrid): MleLoss {
    const rows = teacherRows(grid);
    const states = this.#sentences.run(features, rows.steps);
    const stopSum = crossEntropySum(states.stop, rows.stopTargets, rows.stopWeights);
    const stop = tf.div<tf.Scalar>(stopSum, Math.max(1, rows.count));
    const topics = this.#sentences.topics(states.hidden, rows.rows);
    const hidden = this.#words.states(topics, rows.previous, rows.words);
    const logits = this.#words.logits(gatherRows(hidden, rows.wordRows));
    const wordSum = crossEntropySum(logits, rows.wordTargets, rows.wordWeights);
    const word = tf.div<tf.Scalar>(wordSum, Math.max(1, rows.wordCount));
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
  decode(features: tf.Tensor2D, drawing: Drawing): ReportGrid {
    const batch = features.shape[0];
    const states = tf.tidy(() => ({ ...this.#sentences.run(features, this.#limits.sentences) }));
    const rows = this.#wantedSentences(states, batch);
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
    const batch = features.shape[0];
    const states = this.#sentences.run(features, this.#limits.sentences);
    const rows = this.#wantedSentences(states, batch);
    const topics = this.#sentences.topics(states.hidden, rows.rows);
    const drawn = this.#drawn(topics, rows.count, random);
    const grid = this.#grid(rows, drawn, batch);
    const flat = flattenReports(grid, this.#limits.discriminated);
    const columns = rows.rows.length;
    // Where each token was predicted: row t * N + n. Padding repeats row 0, which no gradient reaches.
    const predicted = flat.cells.map(cell => {
      if (cell < 0) return 0;
      const n = rows.sentenceAt[Math.floor(cell / grid.words)] ?? 0;
      return (cell % grid.words) * columns + n;
    });
    const previous = drawn.ids.subarray(0, (drawn.steps - 1) * columns);
    const hidden = this.#words.states(topics, previous, drawn.steps);
    const logits = this.#words.logits(gatherRows(hidden, predicted));
    const noise = gatherRows(
      drawn.noise,
      predicted.map(row => drawn.noiseRowOf[row] ?? 0),
    );
    const oneHot = straightThrough(logits, noise, flat.ids, beta);
    return { ...flat, oneHot: tf.reshape(oneHot, [batch, flat.tokens, this.#words.vocabulary]), grid };
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
  #wantedSentences({ stop }: SentenceStates, batch: number): SentenceRows {
    const logits = stop.dataSync();
    const { sentences } = this.#limits;
    const lengths = Array.from({ length: batch }, (_, b) => {
      let s = 0;
      while (s < sentences - 1 && !stopsAt(logits, s * batch + b)) s++;
      return s + 1;
    });
    return sentenceRows(lengths, sentences);
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
