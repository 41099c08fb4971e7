/** The joint discriminator D_joint(I, S) (paper, section 3.2.3): do this image and this report belong together? */
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '#model/config.ts';
import { relu } from '#model/layers/activation.ts';
import { Linear } from '#model/layers/linear.ts';
import { ParameterSet } from '#model/layers/parameters.ts';
import { ResBlockDown } from '#model/layers/res-block-down.ts';
import { SpectralNorm } from '#model/layers/spectral-norm.ts';
import type { Random } from '#model/random.ts';
import { discriminatorPlan } from './architecture.ts';
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

  /** @param vocabulary number of ids (Vocabulary.size) */
  constructor(config: ModelConfig, vocabulary: number, random: Random) {
    const { embedding, hidden } = config.jointDiscriminator;
    const { blocks } = discriminatorPlan({ ...config, channels: Math.max(NARROWEST, config.channels / 4) });
    this.#spectral = new SpectralNorm(this.parameters, random);
    this.#blocks = blocks.map(({ inputs, outputs, from, to }, i) => {
      const shape = { inputs, outputs, first: i === 0, pool: to < from };
      return new ResBlockDown(this.#spectral, `block${i + 1}`, shape, random);
    });
    this.#encoder = new ReportEncoder(this.parameters, { vocabulary, embedding, hidden }, random);
    const linear = (name: string, inputs: number, outputs: number) =>
      new Linear(this.#spectral, name, { inputs, outputs, bias: true }, random);
    this.#report = linear('report', hidden, hidden);
    this.#hidden = linear('hidden', (blocks.at(-1)?.outputs ?? 0) + hidden, hidden);
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
    const weights = this.#spectral.forward(false);
    const trunk = this.#blocks.reduce((h, block) => block.apply(h, weights), images);
    const image = tf.sum<tf.Tensor2D>(relu(trunk), [1, 2]); // [B, H', W', F] -> [B, F]
    const report = this.#report.apply(this.#encoder.apply(reports), weights);
    const hidden = relu(this.#hidden.apply(tf.concat([image, report], 1), weights));
    return tf.squeeze(this.#output.apply(hidden, weights), [1]);
  }

  dispose(): void {
    this.#spectral.dispose();
    this.parameters.dispose();
  }
}
