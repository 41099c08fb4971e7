/**
 * The exponential moving average of the weights of G and of F's decoder, from which samples are drawn and which a
 * training ends with (paper's recipe, BigGAN). In a federation the coordinator keeps it; a training at one site keeps it here.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Emixer } from '../emixer/emixer.ts';
import { ParameterSet } from '../layers/parameters.ts';
import { type Bucket, bucketsOf, pack, unpack } from '../optimiser/packing.ts';
import { emaDecayAt } from './ema-decay.ts';

export class WeightAverage {
  /** The average as flat buffers: part of a checkpoint like any network. */
  readonly parameters = new ParameterSet('average');
  readonly #model: Emixer;
  readonly #decay: number;
  readonly #variables: readonly tf.Variable[];
  readonly #buckets: readonly { readonly bucket: Bucket; readonly average: tf.Variable<tf.Rank.R1> }[];

  /** Starts as the weights are now. */
  constructor(model: Emixer, decay: number) {
    this.#model = model;
    this.#decay = decay;
    // The encoder is frozen while the average runs: its average is itself.
    this.#variables = [model.generator, model.reportGenerator].flatMap(network => network.parameters.trainables);
    this.#buckets = bucketsOf(this.#variables.map(variable => variable.shape)).map((bucket, i) => {
      const values = tf.tidy(() => tf.clone(pack(bucket, this.#variables)));
      return { bucket, average: this.parameters.buffer(`bucket${i}`, values) as tf.Variable<tf.Rank.R1> };
    });
  }

  /** Begins again from the weights as they are now. */
  reset(): void {
    for (const { bucket, average } of this.#buckets) tf.tidy(() => average.assign(pack(bucket, this.#variables)));
  }

  /** Takes in the weights after generator step `step` = 1, 2, ... */
  update(step: number): void {
    const kept = emaDecayAt(this.#decay, step);
    for (const { bucket, average } of this.#buckets) {
      tf.tidy(() => {
        const now = pack(bucket, this.#variables);
        average.assign(tf.add(now, tf.mul(tf.sub(average, now), kept)));
      });
    }
  }

  /**
   * Runs `work` with the average in the networks' place. Afterwards everything is as it was, to the bit: weights, spectral
   * vectors and standing statistics, so that a training from which samples are drawn is the one from which none are.
   */
  async during<T>(work: () => Promise<T> | T): Promise<T> {
    const { generator, reportGenerator } = this.#model;
    const kept = [generator, reportGenerator].flatMap(({ parameters }) =>
      [...parameters.entries().values()].map(({ variable }) => ({ variable, value: tf.clone(variable) })),
    );
    try {
      tf.tidy(() => {
        for (const { bucket, average } of this.#buckets) {
          for (const [position, value] of unpack(bucket, average)) this.#variables[position]?.assign(value);
        }
      });
      return await work();
    } finally {
      for (const { variable, value } of kept) {
        variable.assign(value);
        value.dispose();
      }
    }
  }

  dispose(): void {
    this.parameters.dispose();
  }
}
