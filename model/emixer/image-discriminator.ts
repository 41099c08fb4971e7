/** The image discriminator D_image(I, y) (paper, section 6.2.2): projection, rotation head, optional label head. */
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '#model/config.ts';
import { relu } from '#model/layers/activation.ts';
import { withGradient } from '#model/layers/custom-gradient.ts';
import { Linear } from '#model/layers/linear.ts';
import { ParameterSet } from '#model/layers/parameters.ts';
import { ResBlockDown } from '#model/layers/res-block-down.ts';
import { SelfAttention } from '#model/layers/self-attention.ts';
import { SpectralNorm } from '#model/layers/spectral-norm.ts';
import type { Random } from '#model/random.ts';
import { discriminatorPlan, type ImagePlan } from './architecture.ts';

export interface ImageJudgement {
  /** Real (high) or fake (low), [B]. */
  readonly logits: tf.Tensor1D;
  /** Which of 0, 90, 180, 270 degrees the image was turned by, logits [B, 4]. */
  readonly rotation: tf.Tensor2D;
  /** The pooled features h, [B, F]. */
  readonly features: tf.Tensor2D;
  /** Logits of the findings, [B, K]; only with the label head. */
  readonly labels?: tf.Tensor2D;
}

export class ImageDiscriminator {
  readonly parameters = new ParameterSet('D_image');
  readonly #plan: ImagePlan;
  readonly #spectral: SpectralNorm;
  readonly #blocks: readonly ResBlockDown[];
  readonly #attention: SelfAttention | undefined;
  readonly #linear: Linear;
  readonly #projection: Linear;
  readonly #rotation: Linear;
  readonly #labels: Linear | undefined;

  /** @param options.labelHead adds the head that predicts missing labels (S3GAN) */
  constructor(config: ModelConfig, random: Random, options: { readonly labelHead?: boolean } = {}) {
    this.#plan = discriminatorPlan(config);
    const { blocks, attentionAfter } = this.#plan;
    this.#spectral = new SpectralNorm(this.parameters, random);
    this.#blocks = blocks.map(({ inputs, outputs, from, to }, i) => {
      const shape = { inputs, outputs, first: i === 0, pool: to < from };
      return new ResBlockDown(this.#spectral, `block${i + 1}`, shape, random);
    });
    const attended = blocks[attentionAfter];
    this.#attention = attended && new SelfAttention(this.#spectral, 'attention', attended.outputs, random);
    const features = blocks.at(-1)?.outputs ?? 0;
    const head = (name: string, inputs: number, outputs: number, bias: boolean) =>
      new Linear(this.#spectral, name, { inputs, outputs, bias }, random);
    this.#linear = head('linear', features, 1, true);
    this.#projection = head('projection', config.labels, features, false);
    this.#rotation = head('rotation', features, 4, true);
    this.#labels = options.labelHead ? head('labels', features, config.labels, true) : undefined;
  }

  /** One power iteration of the spectral norms: call it at the start of every training step that evaluates D. */
  beginStep(): void {
    this.#spectral.powerIteration();
  }

  /**
   * images [B, H, W, C] in [-1, 1], y [B, K].
   * @param known [B, K], 1 where y holds a label and 0 where it is missing: there the label head's probability takes
   *   its place in the projection, without gradient. Without a label head or `known`, y is taken as it is.
   */
  forward(images: tf.Tensor4D, y: tf.Tensor2D, known?: tf.Tensor2D): ImageJudgement {
    const weights = this.#spectral.forward();
    let h = images;
    for (const [i, block] of this.#blocks.entries()) {
      h = block.apply(h, weights);
      if (i === this.#plan.attentionAfter && this.#attention) h = this.#attention.apply(h, weights);
    }
    const features = tf.sum<tf.Tensor2D>(relu(h), [1, 2]); // [B, H', W', F] -> [B, F]
    const labels = this.#labels?.apply(features, weights);
    const condition = labels && known ? completed(y, known, labels) : y;
    const projected = tf.sum(tf.mul(this.#projection.apply(condition, weights), features), 1, true); // [B, 1]
    return {
      logits: tf.squeeze(tf.add(this.#linear.apply(features, weights), projected), [1]),
      rotation: this.#rotation.apply(features, weights),
      features,
      ...(labels && { labels }),
    };
  }

  dispose(): void {
    this.parameters.dispose();
  }
}

/** y where it is known, the predicted probabilities elsewhere; nothing flows back into the predictions. */
const completed = (y: tf.Tensor2D, known: tf.Tensor2D, logits: tf.Tensor2D): tf.Tensor2D =>
  withGradient([y, logits], () => ({
    value: tf.where(tf.greater(known, 0), y, tf.sigmoid(logits)),
    gradient: () => [tf.zeros(y.shape), tf.zeros(logits.shape)],
  }));
