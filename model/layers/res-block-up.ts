/** The residual block of the generator (paper, table 7). */
import type * as tf from '@tensorflow/tfjs-core';
import type { Random } from '#model/random.ts';
import { residual } from './activation.ts';
import { ConditionalBatchNorm } from './conditional-batch-norm.ts';
import { Conv } from './conv.ts';
import { upsample } from './resampling.ts';
import type { SpectralNorm, SpectralWeights } from './spectral-norm.ts';
import type { Statistics } from './standing-statistics.ts';

export interface ResBlockUpShape {
  readonly inputs: number;
  readonly outputs: number;
  /** Length of the condition vector. */
  readonly condition: number;
}

/** condBN -> ReLU -> up -> conv3 -> condBN -> ReLU -> conv3, plus the shortcut conv1x1 -> up. */
export class ResBlockUp {
  readonly #norm1: ConditionalBatchNorm;
  readonly #norm2: ConditionalBatchNorm;
  readonly #conv1: Conv;
  readonly #conv2: Conv;
  readonly #shortcut: Conv;

  /** Registers "<name>/norm1", "norm2", "conv1", "conv2" and "shortcut". */
  constructor(spectral: SpectralNorm, name: string, shape: ResBlockUpShape, random: Random) {
    const { inputs, outputs, condition } = shape;
    this.#norm1 = new ConditionalBatchNorm(spectral, `${name}/norm1`, { features: inputs, condition }, random);
    this.#norm2 = new ConditionalBatchNorm(spectral, `${name}/norm2`, { features: outputs, condition }, random);
    this.#conv1 = new Conv(spectral, `${name}/conv1`, { inputs, outputs, size: 3, bias: true }, random);
    this.#conv2 = new Conv(spectral, `${name}/conv2`, { inputs: outputs, outputs, size: 3, bias: true }, random);
    this.#shortcut = new Conv(spectral, `${name}/shortcut`, { inputs, outputs, size: 1, bias: true }, random);
  }

  /** x [B, H, W, in], condition [B, condition] -> [B, 2H, 2W, out] */
  apply(x: tf.Tensor4D, condition: tf.Tensor2D, weights: SpectralWeights, statistics: Statistics): tf.Tensor4D {
    const hidden = this.#conv1.upsampleThenApply(this.#norm1.apply(x, condition, weights, statistics), weights);
    const main = this.#conv2.apply(this.#norm2.apply(hidden, condition, weights, statistics), weights);
    // A 1x1 convolution and upsampling commute; before it, the convolution costs a quarter.
    return residual(main, upsample(this.#shortcut.apply(x, weights)));
  }
}
