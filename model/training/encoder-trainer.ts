/**
 * Pre-training of an image encoder on the findings (paper, section 3.2.2: "a pretrained DenseNet-121 ... trained on a
 * different chest X-ray dataset"; here on the federation's own labels): masked multi-label binary cross-entropy.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '../config.ts';
import type { ImageEncoder } from '../emixer/image-encoder.ts';
import { variablesOf } from '../layers/parameters.ts';
import { maskedBinaryLoss } from '../losses.ts';
import { Adam } from '../optimiser/adam.ts';
import { BatchStream } from './batches.ts';
import { isLabelled, type TrainingData } from './dataset.ts';
import { trainingRecords } from './labelled-subset.ts';
import { CompiledObjective, descend } from './minimise.ts';
import { imageTensor, labelTargets, maskTensors } from './tensors.ts';
import type { StreamKeys, Trainer } from './trainer.ts';

export class EncoderTrainer implements Trainer {
  readonly records: Readonly<Record<string, number>>;
  readonly optimisers: { readonly encoder: Adam };
  readonly networks;
  gradientNorms: Readonly<Record<string, number>> = {};
  readonly #data: TrainingData;
  readonly #batches: BatchStream | undefined;
  readonly #objective: CompiledObjective;

  /** @param stream distinguishes the encoders of one site: F's, and the independent one that FID is measured with */
  constructor(encoder: ImageEncoder, config: ModelConfig, data: TrainingData, keys: StreamKeys, stream: string) {
    const labelled = trainingRecords(data, config.labelledFraction, keys).filter(isLabelled);
    const { pretrainingRate: rate, clipNorm } = config.optimiser;
    this.#data = data;
    this.#batches =
      labelled.length === 0
        ? undefined
        : new BatchStream(data, labelled, config.pretrainingBatchSize, keys.seed, keys.site, stream);
    this.records = { 'F/encoder': labelled.length };
    this.optimisers = { encoder: new Adam(encoder.parameters.trainables, { rate, beta1: 0.9, clipNorm }) };
    this.networks = [encoder.parameters];
    this.#objective = new CompiledObjective([this.optimisers.encoder], variablesOf(encoder.parameters), inputs => {
      const { images, targets, certain } = inputs as {
        images: tf.Tensor4D;
        targets: tf.Tensor2D;
        certain: tf.Tensor2D;
      };
      return { losses: { 'encoder/bce': maskedBinaryLoss(encoder.trainingLogits(images), targets, certain) } };
    });
  }

  async step(step: number): Promise<Record<string, number>> {
    if (this.#batches === undefined) return {};
    const { records, pixels } = await this.#batches.batch(step);
    return tf.tidy(() => {
      const images = imageTensor(pixels, this.#data);
      const { certain } = maskTensors(records);
      const gradient = this.#objective.gradient({ images, targets: labelTargets(records), certain });
      const { losses, norms } = descend(this.optimisers, [gradient]);
      this.gradientNorms = norms;
      return losses;
    });
  }

  dispose(): void {
    this.#objective.dispose();
    this.optimisers.encoder.dispose();
  }
}
