/** The upper level of the report generator: how many sentences, and what each is about (Krause et al. 2017). */
import * as tf from '@tensorflow/tfjs-core';
import { relu } from '#model/layers/activation.ts';
import { Dense } from '#model/layers/dense.ts';
import { gatherRows, type Ids } from '#model/layers/gather-rows.ts';
import { Lstm } from '#model/layers/lstm.ts';
import type { ParameterSet } from '#model/layers/parameters.ts';
import type { Random } from '#model/random.ts';

/** Width of the image features v. */
export const FEATURES = 512;

export interface SentenceStates {
  /** [S * B, H]; sentence s of report b is row s * B + b. */
  readonly hidden: tf.Tensor2D;
  /** [S * B, 2]: the logits of CONTINUE and STOP. */
  readonly stop: tf.Tensor2D;
}

/** One LSTM that sees v at every step; STOP (1) says that the sentence of this step is the last. */
export class SentenceDecoder {
  readonly #lstm: Lstm;
  readonly #stop: Dense;
  readonly #topic: readonly [Dense, Dense, Dense];

  constructor(parameters: ParameterSet, hidden: number, topic: number, random: Random) {
    this.#lstm = new Lstm(parameters, 'sentence/lstm', FEATURES, hidden, random);
    this.#stop = new Dense(parameters, 'sentence/stop', { inputs: hidden, outputs: 2, bias: true }, random);
    const layer = (name: string, outputs: number) =>
      new Dense(parameters, `sentence/${name}`, { inputs: hidden, outputs, bias: true }, random);
    this.#topic = [layer('topic1', hidden), layer('topic2', hidden), layer('topic3', topic)];
  }

  /** S steps for features v [B, 512]. */
  run(features: tf.Tensor2D, sentences: number): SentenceStates {
    const [batch] = features.shape;
    const everyStep = tf.tile(tf.reshape(features, [1, batch, FEATURES]), [sentences, 1, 1]) as tf.Tensor3D;
    const sequence = this.#lstm.sequence(everyStep); // [S, B, H]
    const hidden = tf.reshape(sequence, [sentences * batch, this.#lstm.hidden]) as tf.Tensor2D;
    return { hidden, stop: this.#stop.apply(hidden) };
  }

  /** Topics [N, E] of the sentences that are wanted, by row of `hidden`. */
  topics(hidden: tf.Tensor2D, rows: Ids): tf.Tensor2D {
    const [first, second, third] = this.#topic;
    return third.apply(relu(second.apply(relu(first.apply(gatherRows(hidden, rows))))));
  }
}
