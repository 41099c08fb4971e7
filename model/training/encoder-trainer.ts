/**
 * Pre-training of an image encoder on the findings (paper, section 3.2.2: "a pretrained DenseNet-121 ... trained on a
 * different chest X-ray dataset"; here on the federation's own labels): masked multi-label binary cross-entropy.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '../config.ts';
import type { ImageEncoder } from '../emixer/image-encoder.ts';
import { maskedBinaryLoss } from '../losses.ts';
import { Adam } from '../optimiser/adam.ts';
import { BatchStream } from './batches.ts';
import { isLabelled, type TrainingData, type TrainingRecord } from './dataset.ts';
import { trainingRecords } from './labelled-subset.ts';
import { minimise } from './minimise.ts';
import { imageTensor } from './tensors.ts';
import type { StreamKeys, Trainer } from './trainer.ts';

export class EncoderTrainer implements Trainer {
  readonly records: Readonly<Record<string, number>>;
  readonly optimisers: { readonly encoder: Adam };
  readonly networks;
  readonly #encoder: ImageEncoder;
  readonly #data: TrainingData;
  readonly #batches: BatchStream | undefined;

  /** @param stream distinguishes the encoders of one site: F's, and the independent one that FID is measured with */
  constructor(encoder: ImageEncoder, config: ModelConfig, data: TrainingData, keys: StreamKeys, stream: string) {
    const labelled = trainingRecords(data, config.labelledFraction, keys).filter(isLabelled);
    const { pretrainingRate: rate, clipNorm } = config.optimiser;
    this.#encoder = encoder;
    this.#data = data;
    this.#batches =
      labelled.length === 0
        ? undefined
        : new BatchStream(data, labelled, config.pretrainingBatchSize, keys.seed, keys.site, stream);
    this.records = { 'F/encoder': labelled.length };
    this.optimisers = { encoder: new Adam(encoder.parameters.trainables, { rate, beta1: 0.9, clipNorm }) };
    this.networks = [encoder.parameters];
  }

  async step(step: number): Promise<Record<string, number>> {
    if (this.#batches === undefined) return {};
    const { records, pixels } = await this.#batches.batch(step);
    const { trainables } = this.#encoder.parameters;
    return tf.tidy(() => {
      const images = imageTensor(pixels, this.#data);
      const { targets, known } = maskedLabels(records);
      return minimise(trainables, [this.optimisers.encoder], () => ({
        'encoder/bce': maskedBinaryLoss(this.#encoder.trainingLogits(images), targets, known),
      }));
    });
  }

  dispose(): void {
    this.optimisers.encoder.dispose();
  }
}

/** Targets and which of them count, both [B, K]: uncertain and missing entries do not. */
function maskedLabels(records: readonly TrainingRecord[]): { targets: tf.Tensor2D; known: tf.Tensor2D } {
  const rows = (value: (label: 1 | 0 | -1 | null) => boolean) =>
    tf.tensor2d(records.map(record => record.labels.map(label => Number(value(label)))));
  return { targets: rows(label => label === 1), known: rows(label => label === 1 || label === 0) };
}
