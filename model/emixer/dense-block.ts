/** A block of DenseNet: every layer sees the channels of all layers before it. */
import * as tf from '@tensorflow/tfjs-core';
import type { ParameterSet } from '#model/layers/parameters.ts';
import { PlainConv } from '#model/layers/plain-conv.ts';
import { type NormMode, RunningNorm } from '#model/layers/running-norm.ts';
import type { Random } from '#model/random.ts';

/** The 1x1 convolution of a layer leaves this many times the growth. */
const BOTTLENECK = 4;

export interface DenseBlockShape {
  readonly inputs: number;
  readonly growth: number;
  readonly layers: number;
}

interface Layer {
  readonly norm1: RunningNorm;
  readonly conv1: PlainConv;
  readonly norm2: RunningNorm;
  readonly conv2: PlainConv;
}

export class DenseBlock {
  /** Channels that come out. */
  readonly outputs: number;
  readonly #layers: readonly Layer[];

  constructor(parameters: ParameterSet, name: string, { inputs, growth, layers }: DenseBlockShape, random: Random) {
    this.outputs = inputs + layers * growth;
    this.#layers = Array.from({ length: layers }, (_, i) => {
      const layer = `${name}/layer${i + 1}`;
      const width = inputs + i * growth;
      const narrow = BOTTLENECK * growth;
      const conv1 = { inputs: width, outputs: narrow, size: 1, stride: 1 } as const;
      const conv2 = { inputs: narrow, outputs: growth, size: 3, stride: 1 } as const;
      return {
        norm1: new RunningNorm(parameters, `${layer}/norm1`, width),
        conv1: new PlainConv(parameters, `${layer}/conv1`, conv1, random),
        norm2: new RunningNorm(parameters, `${layer}/norm2`, narrow),
        conv2: new PlainConv(parameters, `${layer}/conv2`, conv2, random),
      };
    });
  }

  /** [B, H, W, in] -> [B, H, W, in + layers * growth] */
  apply(x: tf.Tensor4D, mode: NormMode): tf.Tensor4D {
    return this.#layers.reduce((h, { norm1, conv1, norm2, conv2 }) => {
      const added = conv2.apply(norm2.apply(conv1.apply(norm1.apply(h, mode)), mode));
      return tf.concat([h, added], 3);
    }, x);
  }
}
