/**
 * The lower level of the report generator: the words of a sentence from its topic. Topics do not depend on words, so the
 * sentences of all reports of a batch are decoded side by side, and time is the only loop.
 */
import * as tf from '@tensorflow/tfjs-core';
import { gatherRows, type Ids, idTensor } from '#model/layers/gather-rows.ts';
import { Lstm, type LstmState } from '#model/layers/lstm.ts';
import type { ParameterSet } from '#model/layers/parameters.ts';
import { LSTM_GAIN, scaledNormal } from '#model/layers/scaled-normal.ts';
import type { Random } from '#model/random.ts';
import { START } from '#model/text/vocabulary.ts';

export interface WordDecoderShape {
  readonly vocabulary: number;
  readonly embedding: number;
  readonly hidden: number;
  readonly layers: number;
}

/** What drawing and searching words needs of a decoder. */
export interface StepwiseDecoder {
  /** V */
  readonly vocabulary: number;
  /** Where decoding of topics [N, E] begins. */
  begin(topics: tf.Tensor2D): Decoding;
  /** One word [N] further. */
  next(before: Decoding, words: Ids): Decoding;
}

/** Inputs are the topic, START, then words; from START on, every step predicts the next word. */
export class WordDecoder implements StepwiseDecoder {
  readonly vocabulary: number;
  readonly #embedding: tf.Variable<tf.Rank.R2>;
  readonly #layers: readonly Lstm[];
  readonly #output: tf.Variable<tf.Rank.R2>;

  constructor(parameters: ParameterSet, shape: WordDecoderShape, random: Random) {
    const { vocabulary, embedding, hidden, layers } = shape;
    this.vocabulary = vocabulary;
    const table = scaledNormal([vocabulary, embedding], 1, random);
    this.#embedding = parameters.trainable('word/embedding', table) as tf.Variable<tf.Rank.R2>;
    this.#layers = Array.from(
      { length: layers },
      (_, i) => new Lstm(parameters, `word/lstm${i + 1}`, i === 0 ? embedding : hidden, hidden, random),
    );
    const output = scaledNormal([hidden, vocabulary], LSTM_GAIN / hidden, random);
    this.#output = parameters.trainable('word/output/kernel', output) as tf.Variable<tf.Rank.R2>;
  }

  /**
   * Teacher forcing over whole sentences at once.
   * @param topics [N, E]
   * @param previous [steps - 1, N] row-major: the word before each prediction but the first
   * @returns h [steps * N, H]; row t * N + n predicts word t of sentence n
   */
  states(topics: tf.Tensor2D, previous: Ids, steps: number): tf.Tensor2D {
    const [sentences, embedding] = topics.shape;
    const start = idTensor(new Int32Array(sentences).fill(START));
    const words = gatherRows(this.#embedding, tf.concat1d([start, idTensor(previous)])); // [steps * N, E]
    const inputs = tf.concat([topics, words], 0);
    let sequence = tf.reshape(inputs, [steps + 1, sentences, embedding]) as tf.Tensor3D;
    for (const layer of this.#layers) sequence = layer.sequence(sequence);
    const hidden = sequence.shape[2];
    // Nothing is predicted from the topic alone.
    return tf.reshape(tf.slice(sequence, [1, 0, 0]), [steps * sentences, hidden]) as tf.Tensor2D;
  }

  /** Logits [N, V] of h [N, H]. */
  logits(hidden: tf.Tensor2D): tf.Tensor2D {
    return tf.matMul<tf.Tensor2D>(hidden, this.#output);
  }

  /** Where decoding begins: topic and START have been read. No gradient passes. */
  begin(topics: tf.Tensor2D): Decoding {
    const [sentences, embedding] = topics.shape;
    const start = gatherRows(this.#embedding, new Int32Array(sentences).fill(START));
    const inputs = tf.reshape(tf.concat([topics, start], 0), [2, sentences, embedding]) as tf.Tensor3D;
    return this.#advance(
      inputs,
      this.#layers.map(layer => layer.zeroState(sentences)),
    );
  }

  /** One word [N] further. No gradient passes. */
  next({ states }: Decoding, words: Ids): Decoding {
    const inputs = gatherRows(this.#embedding, words);
    return this.#advance(tf.expandDims(inputs, 0), states);
  }

  #advance(inputs: tf.Tensor3D, before: readonly LstmState[]): Decoding {
    let sequence = inputs;
    const states = this.#layers.map((layer, i) => {
      const run = layer.advance(sequence, before[i] as LstmState);
      sequence = run.hidden;
      return run.state;
    });
    return { states, logits: this.logits((states.at(-1) as LstmState).h) };
  }
}

/** Between two words. (Types, not interfaces, here and in LstmState: tf.tidy takes nothing else with tensors in it.) */
export type Decoding = {
  readonly states: LstmState[];
  /** [N, V] */
  readonly logits: tf.Tensor2D;
};
