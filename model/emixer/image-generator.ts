/** The image generator G(z, y) -> I (paper, section 6.2.2; BigGAN's residual generator). */
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '#model/config.ts';
import { Conv } from '#model/layers/conv.ts';
import { orthogonal } from '#model/layers/initialisers.ts';
import { Linear } from '#model/layers/linear.ts';
import { OutputNorm } from '#model/layers/output-norm.ts';
import { ParameterSet } from '#model/layers/parameters.ts';
import { ResBlockUp } from '#model/layers/res-block-up.ts';
import { SelfAttention } from '#model/layers/self-attention.ts';
import { SpectralNorm } from '#model/layers/spectral-norm.ts';
import type { Statistics } from '#model/layers/standing-statistics.ts';
import type { Random } from '#model/random.ts';
import { CLASS_EMBEDDING, FIRST_SIDE, generatorPlan, type ImagePlan, Z_CHUNK, zLengthOf } from './architecture.ts';

export class ImageGenerator {
  readonly parameters = new ParameterSet('G');
  /** Length of z. */
  readonly zLength: number;
  readonly #plan: ImagePlan;
  readonly #spectral: SpectralNorm;
  readonly #embedding: tf.Variable<tf.Rank.R2>;
  readonly #linear: Linear;
  readonly #blocks: readonly ResBlockUp[];
  readonly #attention: SelfAttention | undefined;
  readonly #norm: OutputNorm;
  readonly #output: Conv;
  /** How many batches are in the standing statistics: a buffer, so that it travels with them. */
  readonly #standingBatches: tf.Variable;

  /** @param random draws every starting value: the same stream gives the same network */
  constructor(config: ModelConfig, random: Random) {
    const { parameters } = this;
    this.zLength = zLengthOf(config);
    this.#plan = generatorPlan(config);
    const { blocks, attentionAfter } = this.#plan;
    const first = blocks[0]?.inputs ?? 0;
    const last = blocks.at(-1)?.outputs ?? 0;
    this.#spectral = new SpectralNorm(parameters, random);
    const embedding = orthogonal([config.labels, CLASS_EMBEDDING], random);
    this.#embedding = parameters.trainable('embedding', embedding) as tf.Variable<tf.Rank.R2>;
    const linear = { inputs: Z_CHUNK, outputs: FIRST_SIDE ** 2 * first, bias: true };
    this.#linear = new Linear(this.#spectral, 'linear', linear, random);
    this.#blocks = blocks.map(({ inputs, outputs }, i) => {
      const shape = { inputs, outputs, condition: CLASS_EMBEDDING + Z_CHUNK };
      return new ResBlockUp(this.#spectral, `block${i + 1}`, shape, random);
    });
    const attended = blocks[attentionAfter];
    this.#attention = attended && new SelfAttention(this.#spectral, 'attention', attended.outputs, random);
    this.#norm = new OutputNorm(parameters, 'outputNorm', last);
    const output = { inputs: last, outputs: config.imageChannels, size: 3, bias: true } as const;
    this.#output = new Conv(this.#spectral, 'output', output, random);
    this.#standingBatches = parameters.buffer('standingBatches', tf.scalar(0));
  }

  /** One power iteration of the spectral norms: call it at the start of every training step that evaluates G. */
  beginStep(): void {
    this.#spectral.powerIteration();
  }

  /**
   * z [B, zLength], y [B, K] (multi-hot or one-hot) -> images [B, H, W, C] in [-1, 1].
   * Training normalises by the batch's statistics; sampling by the standing ones, so an image depends on its own z and
   * y only.
   * @throws Error when sampling before any standing statistics were accumulated
   */
  forward(z: tf.Tensor2D, y: tf.Tensor2D, mode: { readonly training: boolean }): tf.Tensor4D {
    if (!mode.training && (this.#standingBatches.dataSync()[0] ?? 0) < 1) {
      throw new Error('sampling needs standing statistics: call resetStanding() and accumulateStanding(z, y)');
    }
    return this.#forward(z, y, mode.training ? 'batch' : 'standing');
  }

  /** Forgets the standing statistics: call it before the accumulation that follows a change of weights. */
  resetStanding(): void {
    tf.tidy(() => this.#standingBatches.assign(tf.scalar(0)));
  }

  /** Adds one batch, z [B, zLength] and y [B, K], to the mean that the standing statistics are. */
  accumulateStanding(z: tf.Tensor2D, y: tf.Tensor2D): void {
    tf.tidy(() => {
      const n = (this.#standingBatches.dataSync()[0] ?? 0) + 1;
      this.#forward(z, y, { accumulate: n });
      this.#standingBatches.assign(tf.scalar(n));
    });
  }

  dispose(): void {
    this.parameters.dispose();
  }

  #forward(z: tf.Tensor2D, y: tf.Tensor2D, statistics: Statistics): tf.Tensor4D {
    return tf.tidy(() => {
      const weights = this.#spectral.forward();
      const [first, ...chunks] = tf.split(z, this.#blocks.length + 1, 1) as [tf.Tensor2D, ...tf.Tensor2D[]];
      const classes = tf.matMul<tf.Tensor2D>(y, this.#embedding); // [B, 128]
      // [B, 20] -> [B, 4 * 4 * 16ch] -> [B, 4, 4, 16ch]
      let h = tf.reshape<tf.Rank.R4>(this.#linear.apply(first, weights), [z.shape[0], FIRST_SIDE, FIRST_SIDE, -1]);
      for (const [i, block] of this.#blocks.entries()) {
        const condition = tf.concat2d([classes, chunks[i] as tf.Tensor2D], 1); // [B, 148]
        h = block.apply(h, condition, weights, statistics);
        if (i === this.#plan.attentionAfter && this.#attention) h = this.#attention.apply(h, weights);
      }
      return tf.tanh(this.#output.apply(this.#norm.apply(h, statistics), weights));
    });
  }
}
