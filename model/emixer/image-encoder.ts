/**
 * The DenseNet family (Huang et al. 2017): F's image encoder, and the independent network that FID is measured with. With
 * growth 32 and blocks 6, 12, 24, 16 it is DenseNet-121, whose published weights fit it.
 *
 * The stem divides the sides by 4, so 32 pixels leave 8x8 for the first block and 1x1 for the last: little, but every
 * part still works, and a smaller stem would be another network than the one whose sizes are published.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '#model/config.ts';
import { Dense } from '#model/layers/dense.ts';
import { orthogonal } from '#model/layers/initialisers.ts';
import { ParameterSet } from '#model/layers/parameters.ts';
import { PlainConv, padded } from '#model/layers/plain-conv.ts';
import { averagePool } from '#model/layers/resampling.ts';
import { type NormMode, RunningNorm } from '#model/layers/running-norm.ts';
import type { Random } from '#model/random.ts';
import { DenseBlock } from './dense-block.ts';
import { FEATURES } from './sentence-decoder.ts';

const STEM_KERNEL = 7;

/** "F/encoder" is the report generator's; "E" is the FID extractor, which no gradient of G passes and no site sends. */
export type EncoderPrefix = 'F/encoder' | 'E';

interface Transition {
  readonly norm: RunningNorm;
  readonly conv: PlainConv;
}

export class ImageEncoder {
  readonly parameters: ParameterSet;
  /** Width of pooledFeatures. */
  readonly pooledWidth: number;
  readonly #stem: PlainConv;
  readonly #stemNorm: RunningNorm;
  readonly #blocks: readonly DenseBlock[];
  readonly #transitions: readonly Transition[];
  readonly #lastNorm: RunningNorm;
  readonly #classifier: Dense;
  readonly #projection: tf.Variable<tf.Rank.R2> | undefined;

  /** @param random draws every starting value: the same stream gives the same network */
  constructor(config: ModelConfig, prefix: EncoderPrefix, random: Random) {
    const parameters = new ParameterSet(prefix);
    const { growth, blocks } = config.encoder;
    let width = 2 * growth;
    const stem = { inputs: config.imageChannels, outputs: width, size: STEM_KERNEL, stride: 2 } as const;
    this.parameters = parameters;
    this.#stem = new PlainConv(parameters, 'stem', stem, random);
    this.#stemNorm = new RunningNorm(parameters, 'stemNorm', width);
    const transitions: Transition[] = [];
    let featureWidth = width;
    this.#blocks = blocks.map((layers, i) => {
      const block = new DenseBlock(parameters, `block${i + 1}`, { inputs: width, growth, layers }, random);
      width = block.outputs;
      if (i === blocks.length - 1) return block;
      const name = `transition${i + 1}`;
      featureWidth = Math.floor(width / 2);
      const conv = { inputs: width, outputs: featureWidth, size: 1, stride: 1 } as const;
      transitions.push({
        norm: new RunningNorm(parameters, `${name}/norm`, width),
        conv: new PlainConv(parameters, `${name}/conv`, conv, random),
      });
      width = featureWidth;
      return block;
    });
    this.#transitions = transitions;
    this.#lastNorm = new RunningNorm(parameters, 'norm', width);
    this.pooledWidth = width;
    this.#classifier = new Dense(
      parameters,
      'classifier',
      { inputs: width, outputs: config.labels, bias: true },
      random,
    );
    this.#projection = featureWidth === FEATURES ? undefined : projection(parameters, featureWidth, random);
  }

  /**
   * v [B, 512] of images [B, H, W, C] in [-1, 1], with running statistics; gradient reaches the images only through
   * normalisations that are fixed.
   */
  features(images: tf.Tensor4D): tf.Tensor2D {
    const pooled = globalAverage(this.#trunk(images, 'frozen'));
    return this.#projection === undefined ? pooled : tf.matMul(pooled, this.#projection);
  }

  /** The last features [B, pooledWidth], with running statistics: what FID compares. */
  pooledFeatures(images: tf.Tensor4D): tf.Tensor2D {
    return this.#last(images, 'frozen');
  }

  /** Logits of the findings [B, K], with running statistics. */
  logits(images: tf.Tensor4D): tf.Tensor2D {
    return this.#classifier.apply(this.#last(images, 'frozen'));
  }

  /** Logits of the findings [B, K] for pre-training: statistics of the batch, which move the running ones. */
  trainingLogits(images: tf.Tensor4D): tf.Tensor2D {
    return this.#classifier.apply(this.#last(images, 'train'));
  }

  dispose(): void {
    this.parameters.dispose();
  }

  /** Stem, three blocks and three transitions: [B, H, W, C] -> [B, H/32, W/32, features] */
  #trunk(images: tf.Tensor4D, mode: NormMode): tf.Tensor4D {
    const stem = this.#stemNorm.apply(this.#stem.apply(images), mode);
    // After the ReLU zeros are as good as no padding to a maximum.
    let h = tf.maxPool(padded(stem, 1), 3, 2, 'valid') as tf.Tensor4D;
    for (const [i, { norm, conv }] of this.#transitions.entries()) {
      const block = this.#blocks[i] as DenseBlock;
      h = averagePool(conv.apply(norm.apply(block.apply(h, mode), mode)));
    }
    return h;
  }

  #last(images: tf.Tensor4D, mode: NormMode): tf.Tensor2D {
    const block = this.#blocks.at(-1) as DenseBlock;
    return globalAverage(this.#lastNorm.apply(block.apply(this.#trunk(images, mode), mode), mode));
  }
}

/** [B, H, W, C] -> [B, C] */
const globalAverage = (x: tf.Tensor4D): tf.Tensor2D => tf.mean(x, [1, 2]);

/**
 * Spreads w features over 512 without losing any: orthonormal rows, scaled so that features keep their size. A buffer,
 * because the pre-training that shapes the encoder does not pass it.
 */
function projection(parameters: ParameterSet, width: number, random: Random): tf.Variable<tf.Rank.R2> {
  const initial = tf.tidy(() => tf.mul(orthogonal([width, FEATURES], random), Math.sqrt(FEATURES / width)));
  return parameters.buffer('projection', initial) as tf.Variable<tf.Rank.R2>;
}
