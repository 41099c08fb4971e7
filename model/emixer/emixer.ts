/** EMIXER as a whole (paper, figure 1): G, F (encoder and decoder), D_image, D_report, D_joint. */
import type * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '#model/config.ts';
import type { ParameterSet } from '#model/layers/parameters.ts';
import { Random } from '#model/random.ts';
import type { Vocabulary } from '#model/text/vocabulary.ts';
import { ImageDiscriminator } from './image-discriminator.ts';
import { ImageEncoder } from './image-encoder.ts';
import { ImageGenerator } from './image-generator.ts';
import { JointDiscriminator } from './joint-discriminator.ts';
import { ReportDiscriminator } from './report-discriminator.ts';
import { ReportGenerator } from './report-generator.ts';

export interface EmixerSeeds {
  /** Of the run: what is shared starts the same at every site. */
  readonly run: number;
  /** Of the site: its discriminators are its own. */
  readonly site: number;
}

export class Emixer {
  readonly config: ModelConfig;
  readonly vocabulary: Vocabulary;
  readonly generator: ImageGenerator;
  readonly encoder: ImageEncoder;
  readonly reportGenerator: ReportGenerator;
  readonly imageDiscriminator: ImageDiscriminator;
  readonly reportDiscriminator: ReportDiscriminator;
  readonly jointDiscriminator: JointDiscriminator;

  constructor(config: ModelConfig, vocabulary: Vocabulary, seeds: EmixerSeeds) {
    const shared = (part: string): Random => new Random(seeds.run, 'initial', part);
    const local = (part: string): Random => new Random(seeds.run, 'initial', part, seeds.site);
    this.config = config;
    this.vocabulary = vocabulary;
    this.generator = new ImageGenerator(config, shared('G'));
    this.encoder = new ImageEncoder(config, 'F/encoder', shared('F/encoder'));
    this.reportGenerator = new ReportGenerator(config, vocabulary.size, shared('F/decoder'));
    this.imageDiscriminator = new ImageDiscriminator(config, local('D_image'), {
      labelHead: config.unlabelled === 'predicted',
    });
    this.reportDiscriminator = new ReportDiscriminator(config, vocabulary.size, local('D_report'));
    this.jointDiscriminator = new JointDiscriminator(config, vocabulary.size, local('D_joint'));
  }

  /** G and F: what is averaged over the sites. */
  get shared(): ParameterSet[] {
    return [this.generator.parameters, this.encoder.parameters, this.reportGenerator.parameters];
  }

  /** The discriminators: under `local-d` they never leave the site. */
  get local(): ParameterSet[] {
    return [this.imageDiscriminator, this.reportDiscriminator, this.jointDiscriminator].map(d => d.parameters);
  }

  dispose(): void {
    for (const part of [
      this.generator,
      this.encoder,
      this.reportGenerator,
      this.imageDiscriminator,
      this.reportDiscriminator,
      this.jointDiscriminator,
    ]) {
      part.dispose();
    }
  }
}

/**
 * What a site contributes, and takes over from the average. Not among it: G's buffers (its spectral-norm vectors and its
 * standing statistics, which are computed again from the averaged weights). The encoder's batch-norm statistics are:
 * it is used frozen, with them.
 */
export function* travelling(model: Emixer): Generator<readonly [string, tf.Variable]> {
  for (const set of model.shared) {
    for (const [name, { variable, trainable }] of set.entries()) {
      if (trainable || set === model.encoder.parameters) yield [name, variable];
    }
  }
}
