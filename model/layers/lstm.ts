/** Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate of Gers et al. 2000) over whole sequences. */
import * as tf from '@tensorflow/tfjs-core';
import { hasNativeOps } from '#model/backend/execute-op.ts';
import type { Random } from '#model/random.ts';
import { composedLstm } from './lstm-composed.ts';
import { nativeLstm, nativeLstmRun } from './lstm-native.ts';
import type { ParameterSet } from './parameters.ts';
import { LSTM_GAIN, scaledNormal } from './scaled-normal.ts';
import type { SpectralNorm, SpectralWeights } from './spectral-norm.ts';

/** The gates lie side by side in the order input, forget, candidate, output, each H wide (that of Keras and PyTorch). */
export interface LstmWeights {
  /** [I, 4H] */
  readonly wx: tf.Tensor2D;
  /** [H, 4H] */
  readonly wh: tf.Tensor2D;
  /** [4H] */
  readonly b: tf.Tensor1D;
}

export type LstmState = {
  /** [B, H] */
  readonly h: tf.Tensor2D;
  /** [B, H] */
  readonly c: tf.Tensor2D;
};

export interface LstmRun {
  /** [T, B, H] */
  readonly hidden: tf.Tensor3D;
  /** After the last step. */
  readonly state: LstmState;
}

/** Who registers a layer's matrices: the network's parameters, or its spectral norms, for W_x and W_h each. */
export type LstmOwner = ParameterSet | SpectralNorm;

/** One layer. Time comes first, so that every step's rows lie together. */
export class Lstm {
  readonly hidden: number;
  readonly #name: string;
  readonly #bias: tf.Variable<tf.Rank.R1>;
  /** Where no spectral norm owns the matrices. */
  readonly #plain: LstmWeights | undefined;

  /** Registers "<name>/wx" [I, 4H], "<name>/wh" [H, 4H] and "<name>/b" [4H]. */
  constructor(owner: LstmOwner, name: string, inputs: number, hidden: number, random: Random) {
    this.hidden = hidden;
    this.#name = name;
    const initial = initialWeights(inputs, hidden, random);
    if ('parameters' in owner) {
      owner.add(`${name}/wx`, initial.wx);
      owner.add(`${name}/wh`, initial.wh);
      this.#bias = owner.parameters.trainable(`${name}/b`, initial.b) as tf.Variable<tf.Rank.R1>;
    } else {
      const wx = owner.trainable(`${name}/wx`, initial.wx) as tf.Variable<tf.Rank.R2>;
      const wh = owner.trainable(`${name}/wh`, initial.wh) as tf.Variable<tf.Rank.R2>;
      this.#bias = owner.trainable(`${name}/b`, initial.b) as tf.Variable<tf.Rank.R1>;
      this.#plain = { wx, wh, b: this.#bias };
    }
  }

  /**
   * h [T, B, H] of x [T, B, I] from a state of zeros; differentiable.
   * @param normalised the step's weights, where a spectral norm owns the matrices
   */
  sequence(x: tf.Tensor3D, normalised?: SpectralWeights): tf.Tensor3D {
    const state = this.zeroState(x.shape[1]);
    const weights = this.#weights(normalised);
    return hasNativeOps() ? nativeLstm(x, weights, state) : composedLstm(x, weights, state).hidden;
  }

  /** Continues a sequence by x [T, B, I], for decoding: no gradient passes. */
  advance(x: tf.Tensor3D, state: LstmState, normalised?: SpectralWeights): LstmRun {
    const run = hasNativeOps() ? nativeLstmRun : composedLstm;
    return run(x, this.#weights(normalised), state);
  }

  zeroState(batch: number): LstmState {
    return { h: tf.zeros([batch, this.hidden]), c: tf.zeros([batch, this.hidden]) };
  }

  #weights(normalised: SpectralWeights | undefined): LstmWeights {
    if (this.#plain !== undefined) return this.#plain;
    if (normalised === undefined) throw new Error(`the LSTM ${this.#name} needs its spectrally normalised weights`);
    const matrix = (part: string) => normalised.get(`${this.#name}/${part}`) as tf.Tensor2D;
    return { wx: matrix('wx'), wh: matrix('wh'), b: this.#bias };
  }
}

/**
 * The last valid h [B, H] of h [T, B, H]: that of step lengths[b] - 1 (or what `lastSteps` makes of the lengths), or zeros where the length is 0. Steps after it
 * can neither reach the value nor receive gradient, so sequences need no masking inside the recurrence.
 */
export const lastValid = (hidden: tf.Tensor3D, lengths: Int32Array | tf.Tensor3D): tf.Tensor2D =>
  tf.sum(tf.mul(hidden, lengths instanceof tf.Tensor ? lengths : lastSteps(lengths, hidden.shape[0])), 0);

/** 1 at the step lengths[b] - 1 of each sequence b, else 0: [T, B, 1]. */
export function lastSteps(lengths: Int32Array, steps: number): tf.Tensor3D {
  const batch = lengths.length;
  const chosen = new Float32Array(steps * batch);
  for (const [b, length] of lengths.entries()) if (length > 0) chosen[(length - 1) * batch + b] = 1;
  return tf.tensor3d(chosen, [steps, batch, 1]);
}

/**
 * Normal; of variance 3 / I for the input and 1 / H for h. Biases are 0 but the forget gate's, which is 1, so that a fresh
 * cell remembers (Jozefowicz et al. 2015).
 */
function initialWeights(inputs: number, hidden: number, random: Random): LstmWeights {
  const bias = new Float32Array(4 * hidden).fill(1, hidden, 2 * hidden);
  return {
    wx: scaledNormal([inputs, 4 * hidden], LSTM_GAIN / inputs, random) as tf.Tensor2D,
    wh: scaledNormal([hidden, 4 * hidden], 1 / hidden, random) as tf.Tensor2D,
    b: tf.tensor1d(bias),
  };
}
