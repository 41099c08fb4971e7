/**
 * The minimax game of EMIXER (paper, section 3.2.3 "Learning" and 6.3.2): some steps of the discriminators, then one of
 * the generators. One object a site; every step depends on its number alone.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Emixer } from '../emixer/emixer.ts';
import { gumbelBeta } from '../emixer/gumbel.ts';
import { type FlatReports, flattenReports } from '../emixer/report-rows.ts';
import { rotatedBatch, rotatedCount, rotatedLabels, rotationLogits } from '../emixer/rotation.ts';
import { empiricalLabels, type LabelDistribution } from '../generation/label-distribution.ts';
import { hinge, nonSaturating, rotationLoss } from '../losses.ts';
import { Adam } from '../optimiser/adam.ts';
import { Random } from '../random.ts';
import { type Batch, BatchStream } from './batches.ts';
import { inSplit, type TrainingData } from './dataset.ts';
import { joinedReports, reorderedReports } from './flat-reports.ts';
import { type Losses, minimise } from './minimise.ts';
import { mismatchedPairs } from './mismatched-pairs.ts';
import { scaleGradient } from './scale-gradient.ts';
import { drawLabels, drawNoise, imageTensor, labelTensor, reportGrid, rowsAt } from './tensors.ts';
import type { StreamKeys, Trainer } from './trainer.ts';

export class AdversarialTrainer implements Trainer {
  readonly records: Readonly<Record<string, number>>;
  readonly optimisers;
  readonly networks;
  readonly #model: Emixer;
  readonly #data: TrainingData;
  readonly #keys: StreamKeys;
  readonly #totalSteps: number;
  readonly #images: BatchStream;
  /** Undefined at a site without reports: it takes part with G and D_image alone. */
  readonly #pairs: BatchStream | undefined;
  readonly #labels: LabelDistribution;

  /** @param totalSteps of all rounds, for the annealing of the Gumbel-softmax */
  constructor(model: Emixer, data: TrainingData, keys: StreamKeys, totalSteps: number) {
    const train = inSplit(data, 'train');
    const reported = train.filter(record => record.report !== null);
    const { batchSize, labelMode, optimiser } = model.config;
    const adam = (networks: readonly { parameters: { trainables: tf.Variable[] } }[], rate: number): Adam =>
      new Adam(
        networks.flatMap(network => network.parameters.trainables),
        { rate, beta1: 0 },
      );
    this.#model = model;
    this.#data = data;
    this.#keys = keys;
    this.#totalSteps = totalSteps;
    this.#images = new BatchStream(data, train, batchSize, keys.seed, keys.site, 'images');
    this.#pairs =
      reported.length === 0 ? undefined : new BatchStream(data, reported, batchSize, keys.seed, keys.site, 'pairs');
    this.#labels = empiricalLabels(train, labelMode);
    this.records = { G: train.length, 'F/decoder': reported.length };
    this.networks = [...model.shared, ...model.local];
    this.optimisers = {
      G: adam([model.generator], optimiser.generatorRate),
      F: adam([model.reportGenerator], optimiser.textRate),
      D_image: adam([model.imageDiscriminator], optimiser.discriminatorRate),
      D_text: adam([model.reportDiscriminator, model.jointDiscriminator], optimiser.textRate),
    };
  }

  async step(step: number): Promise<Record<string, number>> {
    const { discriminatorSteps } = this.#model.config.optimiser;
    const losses: Record<string, number> = {};
    let pairs: Batch | undefined;
    this.#model.generator.beginStep();
    for (let d = 0; d < discriminatorSteps; d++) {
      const batchIndex = step * discriminatorSteps + d;
      const images = await this.#images.batch(batchIndex);
      pairs = await this.#pairs?.batch(batchIndex);
      Object.assign(losses, this.#updateDiscriminators(images, pairs, this.#random(step, `D${d}`)));
    }
    // The pairs that F imitates are the last ones its discriminators saw; G and F draw everything else anew.
    return Object.assign(losses, this.#updateGenerators(step, pairs, this.#random(step, 'G')));
  }

  dispose(): void {
    for (const optimiser of Object.values(this.optimisers)) optimiser.dispose();
  }

  #random(step: number, part: string): Random {
    return new Random(this.#keys.seed, this.#keys.site, 'adversarial', step, part);
  }

  /** D_image on real, fake and rotated real images; D_report and D_joint on real, generated and mismatched pairs. */
  #updateDiscriminators(images: Batch, pairs: Batch | undefined, random: Random): Record<string, number> {
    const { config, imageDiscriminator, reportDiscriminator, jointDiscriminator } = this.#model;
    const discriminators = pairs ? [imageDiscriminator, reportDiscriminator, jointDiscriminator] : [imageDiscriminator];
    for (const discriminator of discriminators) discriminator.beginStep();
    return tf.tidy(() => {
      const real = imageTensor(images.pixels, this.#data); // [B, H, W, C]
      const y = labelTensor(images.records, config.labelMode, random); // [B, K]
      const fakeY = drawLabels(real.shape[0], this.#labels, random);
      const fake = this.#generate(fakeY, random);
      const text = pairs && this.#textLosses(pairs, fake, random);
      const { D_image, D_text } = this.optimisers;
      return minimise(
        discriminators.flatMap(discriminator => discriminator.parameters.trainables),
        text ? [D_image, D_text] : [D_image],
        () => ({ ...this.#imageLosses(real, y, fake, fakeY, config.rotation), ...text?.() }),
      );
    });
  }

  #imageLosses(
    real: tf.Tensor4D,
    y: tf.Tensor2D,
    fake: tf.Tensor4D,
    fakeY: tf.Tensor2D,
    rotation: { readonly discriminatorWeight: number; readonly fraction: number },
  ): Losses {
    const [batch] = real.shape;
    const turned = rotatedCount(batch, rotation.fraction);
    // One pass over [real, fake, turned real]: rotated images never enter the real/fake loss.
    const { logits, rotation: angles } = this.#model.imageDiscriminator.forward(
      tf.concat4d(turned > 0 ? [real, fake, rotatedBatch(real, turned)] : [real, fake], 0),
      tf.concat2d(turned > 0 ? [y, fakeY, rotatedLabels(y, turned)] : [y, fakeY], 0),
    );
    const adversarial = this.#imageLoss.discriminator(tf.slice(logits, 0, batch), tf.slice(logits, batch, batch));
    if (turned === 0) return { 'D_image/adversarial': adversarial };
    const ofTurned = rotationLogits(rowsOf(angles, 0, batch), rowsOf(angles, 2 * batch, 3 * turned));
    return {
      'D_image/adversarial': adversarial,
      'D_image/rotation': tf.mul(rotationLoss(ofTurned), rotation.discriminatorWeight),
    };
  }

  /** What D_report and D_joint see, drawn now, and their losses when the tape runs. */
  #textLosses(pairs: Batch, fake: tf.Tensor4D, random: Random): () => Losses {
    const { config, vocabulary, encoder, reportGenerator, reportDiscriminator, jointDiscriminator } = this.#model;
    const { maxTokens } = config.reportDiscriminator;
    const images = imageTensor(pairs.pixels, this.#data);
    const real = flattenReports(reportGrid(pairs.records, vocabulary, config.report), maxTokens);
    const written = reportGenerator.decode(encoder.features(fake), { temperature: 1, random });
    const generated: FlatReports = flattenReports(written, maxTokens);
    const mismatched = mismatchedPairs(pairs.records, random);
    const [batch] = images.shape;
    const judged = tf.concat4d([images, fake, rowsAt(images, mismatched.images)], 0);
    const judgedReports = joinedReports(real, generated, reorderedReports(real, mismatched.reports));
    return () => {
      // One pass each: an LSTM over three times the rows costs little more than over one.
      const reports = reportDiscriminator.forward(joinedReports(real, generated)); // [2 B]
      const joint = jointDiscriminator.forward(judged, judgedReports); // [3 B], or less without enough mismatches
      // D_joint's fakes are half generated pairs and half real images with another record's report.
      return {
        'D_report/adversarial': nonSaturating.discriminator(
          tf.slice(reports, 0, batch),
          tf.slice(reports, batch, batch),
        ),
        'D_joint/adversarial': nonSaturating.discriminator(tf.slice(joint, 0, batch), tf.slice(joint, batch)),
      };
    };
  }

  /** G against D_image, and G with F against D_report and D_joint; F also keeps imitating real reports. */
  #updateGenerators(step: number, pairs: Batch | undefined, random: Random): Record<string, number> {
    const { config, generator, encoder, reportGenerator, vocabulary } = this.#model;
    const networks = pairs ? [generator, reportGenerator] : [generator];
    const { G, F } = this.optimisers;
    return tf.tidy(() => {
      const y = drawLabels(config.batchSize, this.#labels, random);
      const z = drawNoise(config.batchSize, generator.zLength, random);
      const imitated = pairs && {
        features: encoder.features(imageTensor(pairs.pixels, this.#data)),
        grid: reportGrid(pairs.records, vocabulary, config.report),
      };
      return minimise(
        networks.flatMap(network => network.parameters.trainables),
        pairs ? [G, F] : [G],
        () => {
          const fake = generator.forward(z, y, { training: true });
          const losses = this.#generatorImageLosses(fake, y);
          if (!imitated) return losses;
          const mle = reportGenerator.mleLoss(imitated.features, imitated.grid).loss;
          return {
            ...losses,
            ...this.#generatorTextLosses(step, fake, random),
            'F/mle': tf.mul(mle, config.mleWeight),
          };
        },
      );
    });
  }

  #generatorImageLosses(fake: tf.Tensor4D, y: tf.Tensor2D): Losses {
    const { rotation } = this.#model.config;
    const [batch] = fake.shape;
    const turned = rotatedCount(batch, rotation.fraction);
    const { logits, rotation: angles } = this.#model.imageDiscriminator.forward(
      turned > 0 ? tf.concat4d([fake, rotatedBatch(fake, turned)], 0) : fake,
      turned > 0 ? tf.concat2d([y, rotatedLabels(y, turned)], 0) : y,
    );
    const adversarial = this.#imageLoss.generator(tf.slice(logits, 0, batch));
    if (turned === 0) return { 'G/adversarial': adversarial };
    const ofTurned = rotationLogits(rowsOf(angles, 0, batch), rowsOf(angles, batch, 3 * turned));
    return {
      'G/adversarial': adversarial,
      'G/rotation': tf.mul(rotationLoss(ofTurned), rotation.generatorWeight),
    };
  }

  #generatorTextLosses(step: number, fake: tf.Tensor4D, random: Random): Losses {
    const { config, encoder, reportGenerator, reportDiscriminator, jointDiscriminator } = this.#model;
    const beta = gumbelBeta(step, this.#totalSteps, config.gumbelBetaMax);
    const seen = scaleGradient(fake, config.textGradToG);
    const written = reportGenerator.sampleStraightThrough(encoder.features(seen), beta, random);
    return {
      'F/report': nonSaturating.generator(reportDiscriminator.forward(written)),
      'F/joint': nonSaturating.generator(jointDiscriminator.forward(fake, written)),
    };
  }

  #generate(y: tf.Tensor2D, random: Random): tf.Tensor4D {
    const { generator } = this.#model;
    return generator.forward(drawNoise(y.shape[0], generator.zLength, random), y, { training: true });
  }

  get #imageLoss() {
    return this.#model.config.loss === 'hinge' ? hinge : nonSaturating;
  }
}

const rowsOf = (x: tf.Tensor2D, start: number, count: number): tf.Tensor2D => tf.slice(x, [start, 0], [count, -1]);
