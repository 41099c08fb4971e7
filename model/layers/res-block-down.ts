/** The residual block of the discriminators (paper, table 8). */
import type * as tf from '@tensorflow/tfjs-core';
import type { Random } from '#model/random.ts';
import { relu, residual } from './activation.ts';
import { Conv } from './conv.ts';
import { averagePool } from './resampling.ts';
import type { SpectralNorm, SpectralWeights } from './spectral-norm.ts';

export interface ResBlockDownShape {
  readonly inputs: number;
  readonly outputs: number;
  /** The first block sees an image, so it has no leading ReLU. */
  readonly first: boolean;
  /** Halves the sides. */
  readonly pool: boolean;
}

/** (ReLU) -> conv3 -> ReLU -> conv3 -> (pool), plus a shortcut: conv1x1 where the shape changes, else identity. */
export class ResBlockDown {
  readonly #shape: ResBlockDownShape;
  readonly #conv1: Conv;
  readonly #conv2: Conv;
  readonly #shortcut: Conv | undefined;

  /** Registers "<name>/conv1", "<name>/conv2" and, unless it is the identity, "<name>/shortcut". */
  constructor(spectral: SpectralNorm, name: string, shape: ResBlockDownShape, random: Random) {
    const { inputs, outputs, pool } = shape;
    this.#shape = shape;
    this.#conv1 = new Conv(spectral, `${name}/conv1`, { inputs, outputs, size: 3, bias: true }, random);
    this.#conv2 = new Conv(spectral, `${name}/conv2`, { inputs: outputs, outputs, size: 3, bias: true }, random);
    this.#shortcut =
      pool || inputs !== outputs
        ? new Conv(spectral, `${name}/shortcut`, { inputs, outputs, size: 1, bias: true }, random)
        : undefined;
  }

  /** [B, H, W, in] -> [B, H/2, W/2, out], or [B, H, W, out] without pooling */
  apply(x: tf.Tensor4D, weights: SpectralWeights): tf.Tensor4D {
    const { first, pool } = this.#shape;
    const hidden = relu(this.#conv1.apply(first ? x : relu(x), weights));
    const main = pool ? this.#conv2.applyThenPool(hidden, weights) : this.#conv2.apply(hidden, weights);
    // Pooling and a 1x1 convolution commute; pooled first, the convolution costs a quarter.
    const skipped = pool ? averagePool(x) : x;
    return residual(main, this.#shortcut?.apply(skipped, weights) ?? skipped);
  }
}
