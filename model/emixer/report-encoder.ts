/** The report half of D_report and D_joint: words of any kind -> the LSTM's last valid h. */
import * as tf from '@tensorflow/tfjs-core';
import { gatherRows, type Ids } from '#model/layers/gather-rows.ts';
import { Lstm, lastValid } from '#model/layers/lstm.ts';
import { scaledNormal } from '#model/layers/scaled-normal.ts';
import type { SpectralNorm, SpectralWeights } from '#model/layers/spectral-norm.ts';
import type { Random } from '#model/random.ts';

/** Flat reports (report-rows.ts), whose index arrays may be tensors where a step is compiled. */
export interface JudgedReports {
  /** B */
  readonly reports: number;
  /** L */
  readonly tokens: number;
  /** [B * L], PAD after each report. */
  readonly ids: Ids;
  /** [B], or [L, B, 1] from `lastSteps`. */
  readonly lengths: Int32Array | tf.Tensor3D;
  /** [B, L, V]: generated reports come as the one-hot words that carry their gradient, real ones as ids. */
  readonly oneHot?: tf.Tensor3D;
}

export interface ReportEncoderShape {
  readonly vocabulary: number;
  readonly embedding: number;
  readonly hidden: number;
  /** config.spectralNormOnLstm */
  readonly normaliseLstm: boolean;
}

export class ReportEncoder {
  readonly #embedding: tf.Variable<tf.Rank.R2>;
  readonly #lstm: Lstm;

  /** The embedding is never normalised, as y's is not in D_image; the LSTM's matrices are where the shape says so. */
  constructor(spectral: SpectralNorm, shape: ReportEncoderShape, random: Random) {
    const { vocabulary, embedding, hidden, normaliseLstm } = shape;
    const table = scaledNormal([vocabulary, embedding], 1, random);
    this.#embedding = spectral.parameters.trainable('embedding', table) as tf.Variable<tf.Rank.R2>;
    this.#lstm = new Lstm(normaliseLstm ? spectral : spectral.parameters, 'lstm', embedding, hidden, random);
  }

  /** [B, H]; zeros for a report without a word. */
  apply(reports: JudgedReports, weights: SpectralWeights): tf.Tensor2D {
    const { reports: batch, tokens, lengths, ids, oneHot } = reports;
    const [vocabulary, embedding] = this.#embedding.shape;
    // A row of the table is what its one-hot vector picks in a product: both kinds of report meet the same weights.
    const words =
      oneHot === undefined
        ? gatherRows(this.#embedding, ids)
        : tf.matMul<tf.Tensor2D>(tf.reshape(oneHot, [batch * tokens, vocabulary]), this.#embedding);
    const inTime = tf.transpose(tf.reshape(words, [batch, tokens, embedding]) as tf.Tensor3D, [1, 0, 2]); // [L, B, E]
    return lastValid(this.#lstm.sequence(inTime, weights), lengths);
  }
}
