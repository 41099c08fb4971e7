/** Batch-norm statistics for sampling, averaged over several batches (BigGAN's "standing statistics"). */
import * as tf from '@tensorflow/tfjs-core';
import type { ParameterSet } from './parameters.ts';

/**
 * Where a batch norm takes its statistics from: its batch (training), its batch while the n-th of several is averaged
 * into the standing statistics, or these.
 */
export type Statistics = 'batch' | 'standing' | { readonly accumulate: number };

/** The buffers "<name>/mean" and "<name>/variance" [C] of one batch norm. */
export class StandingStatistics {
  readonly mean: tf.Variable<tf.Rank.R1>;
  readonly variance: tf.Variable<tf.Rank.R1>;

  constructor(parameters: ParameterSet, name: string, features: number) {
    this.mean = parameters.buffer(`${name}/mean`, tf.zeros([features])) as tf.Variable<tf.Rank.R1>;
    this.variance = parameters.buffer(`${name}/variance`, tf.ones([features])) as tf.Variable<tf.Rank.R1>;
  }

  /** What a batch norm must do with its batch's statistics. */
  observer(statistics: Statistics): ((mean: tf.Tensor1D, variance: tf.Tensor1D) => void) | undefined {
    if (typeof statistics === 'string') return undefined;
    const n = statistics.accumulate;
    return (mean, variance) => {
      this.mean.assign(runningMean(this.mean, mean, n));
      this.variance.assign(runningMean(this.variance, variance, n));
    };
  }
}

/** The mean of n values from the mean of the first n - 1 and the n-th; the first replaces whatever was there. */
const runningMean = (mean: tf.Tensor1D, value: tf.Tensor1D, n: number): tf.Tensor1D =>
  n === 1 ? tf.clone(value) : tf.add(mean, tf.mul(tf.sub(value, mean), 1 / n));
