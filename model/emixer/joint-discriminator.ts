/** The joint discriminator D_joint(I, S) (paper, section 3.2.3): do this image and this report belong together? */
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '#model/config.ts';
import { relu } from '#model/layers/activation.ts';
import { Linear } from '#model/layers/linear.ts';
import { ParameterSet } from '#model/layers/parameters.ts';
import { ResBlockDown } from '#model/layers/res-block-down.ts';
import { SpectralNorm } from '#model/layers/spectral-norm.ts';
import type { Random } from '#model/random.ts';
import { type BlockPlan, discriminatorPlan } from './architecture.ts';
import { type JudgedReports, ReportEncoder } from './report-encoder.ts';

/** Its image trunk is D_image's at a quarter of the width, but no narrower than this. */
const NARROWEST = 4;

export class JointDiscriminator {
  readonly parameters = new ParameterSet('D_joint');
  readonly #spectral: SpectralNorm;
  readonly #blocks: readonly ResBlockDown[];
  readonly #encoder: ReportEncoder;
  readonly #report: Linear;
  readonly #hidden: Linear;
  readonly #output: Linear;
  readonly #pooled: boolean;

  /** @param vocabulary number of ids (Vocabulary.size) */
  constructor(config: ModelConfig, vocabulary: number, random: Random) {
    const { embedding, hidden, imageFeatures } = config.jointDiscriminator;
    const { blocks } = discriminatorPlan({ ...config, channels: Math.max(NARROWEST, config.channels / 4) });
    this.#spectral = new SpectralNorm(this.parameters, random);
    this.#blocks = blocks.map(({ inputs, outputs, from, to }, i) => {
      const shape = { inputs, outputs, first: i === 0, pool: to < from };
      return new ResBlockDown(this.#spectral, `block${i + 1}`, shape, random);
    });
    const reportShape = { vocabulary, embedding, hidden, normaliseLstm: config.spectralNormOnLstm };
    this.#encoder = new ReportEncoder(this.#spectral, reportShape, random);
    const linear = (name: string, inputs: number, outputs: number) =>
      new Linear(this.#spectral, name, { inputs, outputs, bias: true }, random);
    this.#report = linear('report', hidden, hidden);
    const { outputs: features, to: side } = blocks.at(-1) as BlockPlan;
    this.#pooled = imageFeatures === 'pooled';
    this.#hidden = linear('hidden', (this.#pooled ? features : side ** 2 * features) + hidden, hidden);
    this.#output = linear('output', hidden, 1);
  }

  /** One power iteration of the spectral norms: call it at the start of every training step that evaluates D. */
  beginStep(): void {
    this.#spectral.powerIteration();
  }

  /**
   * Real (high) or fake (low), logits [B].
   * @param images [B, H, W, C] in [-1, 1], image b with report b
   */
  forward(images: tf.Tensor4D, reports: JudgedReports): tf.Tensor1D {
    const weights = this.#spectral.forward();
    const trunk = this.#blocks.reduce((h, block) => block.apply(h, weights), images);
    const image = this.#imageEmbedding(relu(trunk));
    const report = this.#report.apply(this.#encoder.apply(reports, weights), weights);
    const hidden = relu(this.#hidden.apply(tf.concat([image, report], 1), weights));
    return tf.squeeze(this.#output.apply(hidden, weights), [1]);
  }

  /**
   * [B, H', W', F] -> [B, F], summed over the places as D_image does, or [B, H' * W' * F], every place: the paper's "before
   * the pooling layer" (section 3.2.3).
   */
  #imageEmbedding(features: tf.Tensor4D): tf.Tensor2D {
    return this.#pooled ? tf.sum<tf.Tensor2D>(features, [1, 2]) : tf.reshape(features, [features.shape[0], -1]);
  }

  dispose(): void {
    this.parameters.dispose();
  }
}
