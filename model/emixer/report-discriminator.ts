/** The report discriminator D_report(S) (paper, section 3.2.3); a softmax over two classes is the same one logit. */
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '#model/config.ts';
import { relu } from '#model/layers/activation.ts';
import { Linear } from '#model/layers/linear.ts';
import { ParameterSet } from '#model/layers/parameters.ts';
import { SpectralNorm } from '#model/layers/spectral-norm.ts';
import type { Random } from '#model/random.ts';
import { type JudgedReports, ReportEncoder } from './report-encoder.ts';

export class ReportDiscriminator {
  readonly parameters = new ParameterSet('D_report');
  readonly #spectral: SpectralNorm;
  readonly #encoder: ReportEncoder;
  readonly #hidden: Linear;
  readonly #output: Linear;

  /** @param vocabulary number of ids (Vocabulary.size) */
  constructor(config: ModelConfig, vocabulary: number, random: Random) {
    const { embedding, hidden } = config.reportDiscriminator;
    this.#spectral = new SpectralNorm(this.parameters, random);
    const reportShape = { vocabulary, embedding, hidden, normaliseLstm: config.spectralNormOnLstm };
    this.#encoder = new ReportEncoder(this.#spectral, reportShape, random);
    this.#hidden = new Linear(this.#spectral, 'hidden', { inputs: hidden, outputs: hidden, bias: true }, random);
    this.#output = new Linear(this.#spectral, 'output', { inputs: hidden, outputs: 1, bias: true }, random);
  }

  /** One power iteration of the spectral norms: call it at the start of every training step that evaluates D. */
  beginStep(): void {
    this.#spectral.powerIteration();
  }

  /** Real (high) or fake (low), logits [B]. */
  forward(reports: JudgedReports): tf.Tensor1D {
    const weights = this.#spectral.forward();
    const hidden = relu(this.#hidden.apply(this.#encoder.apply(reports, weights), weights));
    return tf.squeeze(this.#output.apply(hidden, weights), [1]);
  }

  dispose(): void {
    this.parameters.dispose();
  }
}
