/** Pre-training of F's decoder: maximum likelihood of real reports given their images, encoder frozen. */
import * as tf from '@tensorflow/tfjs-core';
import { type Compiled, compiles } from '../backend/graph/compiled.ts';
import type { Emixer } from '../emixer/emixer.ts';
import { coarseBuckets, FINE } from '../emixer/report-rows.ts';
import { teacherTensors } from '../emixer/teacher-tensors.ts';
import { Adam } from '../optimiser/adam.ts';
import { BatchStream } from './batches.ts';
import { inSplit, type TrainingData } from './dataset.ts';
import { compiledFeatures, imitationObjective } from './imitation.ts';
import { type CompiledObjective, descend } from './minimise.ts';
import { imageTensor, reportGrid } from './tensors.ts';
import type { StreamKeys, Trainer } from './trainer.ts';

export class ReportTrainer implements Trainer {
  readonly records: Readonly<Record<string, number>>;
  readonly optimisers: { readonly mle: Adam };
  readonly networks;
  gradientNorms: Readonly<Record<string, number>> = {};
  readonly #model: Emixer;
  readonly #data: TrainingData;
  readonly #batches: BatchStream | undefined;
  readonly #features: Compiled;
  readonly #objective: CompiledObjective;

  constructor(model: Emixer, data: TrainingData, keys: StreamKeys) {
    const reported = inSplit(data, 'train').filter(record => record.report !== null);
    const { pretrainingBatchSize: batchSize, optimiser } = model.config;
    const { pretrainingRate: rate, clipNorm } = optimiser;
    this.#model = model;
    this.#data = data;
    this.#batches =
      reported.length === 0
        ? undefined
        : new BatchStream(data, reported, batchSize, keys.seed, keys.site, 'report-pretraining');
    this.records = { 'F/decoder': reported.length };
    this.optimisers = { mle: new Adam(model.reportGenerator.parameters.trainables, { rate, beta1: 0.9, clipNorm }) };
    this.networks = [model.reportGenerator.parameters];
    this.#features = compiledFeatures(model.encoder);
    this.#objective = imitationObjective(model, this.optimisers.mle, 'report/mle');
  }

  async step(step: number): Promise<Record<string, number>> {
    if (this.#batches === undefined) return {};
    const { records, pixels } = await this.#batches.batch(step);
    const { vocabulary, config } = this.#model;
    const grid = reportGrid(records, vocabulary, config.report);
    return tf.tidy(() => {
      const { features } = this.#features.run({ images: imageTensor(pixels, this.#data) }) as { features: tf.Tensor };
      const buckets = compiles() ? coarseBuckets(config, records.length) : FINE;
      const gradient = this.#objective.gradient({ features, ...teacherTensors(grid, buckets) });
      const { losses, norms } = descend(this.optimisers, [gradient]);
      this.gradientNorms = norms;
      return losses;
    });
  }

  dispose(): void {
    this.#features.dispose();
    this.#objective.dispose();
    this.optimisers.mle.dispose();
  }
}
