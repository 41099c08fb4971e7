/** How far apart G's images lie, as a share of how far apart real ones do: what falls when a GAN collapses. */
import * as tf from '@tensorflow/tfjs-core';
import type { Emixer } from '../emixer/emixer.ts';
import { empiricalLabels } from '../generation/label-distribution.ts';
import { Random } from '../random.ts';
import { inSplit, type TrainingData } from '../training/dataset.ts';
import { drawLabels, drawNoise } from '../training/tensors.ts';
import { meanPairwiseDistance } from './collapse.ts';

/** Enough for a mean over 496 pairs. */
const IMAGES = 32;

export class DiversityProbe {
  readonly #model: Emixer;
  readonly #random: () => Random;
  readonly #labels: ReturnType<typeof empiricalLabels>;
  readonly #realDistance: number;

  private constructor(model: Emixer, data: TrainingData, random: () => Random, realDistance: number) {
    this.#model = model;
    this.#random = random;
    this.#labels = empiricalLabels(inSplit(data, 'train'), model.config.labelMode);
    this.#realDistance = realDistance;
  }

  /** Reads the real images that all later ones are compared with. */
  static async create(model: Emixer, data: TrainingData, seed: number): Promise<DiversityProbe> {
    const random = () => new Random(seed, 'diversity');
    const records = random().shuffled(inSplit(data, 'train')).slice(0, IMAGES);
    const pixels = await data.readImages(records.map(record => record.index));
    const distance = meanPairwiseDistance(pixels, records.length) / 127.5;
    return new DiversityProbe(model, data, random, distance);
  }

  /**
   * Of the same z and y each time, from G as it is trained now. Moves nothing. 1 where the real images are all the same:
   * there is nothing to fall short of.
   */
  share(): number {
    const { generator } = this.#model;
    if (this.#realDistance === 0) return 1;
    const random = this.#random();
    const values = tf.tidy(() => {
      const y = drawLabels(IMAGES, this.#labels, random);
      return generator.forward(drawNoise(IMAGES, generator.zLength, random), y, { training: true }).dataSync();
    });
    return meanPairwiseDistance(values, IMAGES) / this.#realDistance;
  }
}
