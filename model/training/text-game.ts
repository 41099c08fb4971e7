/**
 * The text half of the minimax game (paper, section 3.2.3): F, and G through it, against D_report and D_joint. Reports
 * differ in length from step to step: the index arithmetic is JavaScript's, and what it finds goes into compiled calls of
 * a few shapes.
 */
import * as tf from '@tensorflow/tfjs-core';
import { Compiled, compiles, type Tensors } from '../backend/graph/compiled.ts';
import type { Emixer } from '../emixer/emixer.ts';
import type { DrawnTensors } from '../emixer/report-generator.ts';
import { type Buckets, coarseBuckets, FINE, type FlatReports, flattenReports } from '../emixer/report-rows.ts';
import { teacherTensors } from '../emixer/teacher-tensors.ts';
import { lastSteps } from '../layers/lstm.ts';
import { variablesOf } from '../layers/parameters.ts';
import { nonSaturating } from '../losses.ts';
import type { Adam } from '../optimiser/adam.ts';
import type { Random } from '../random.ts';
import type { Batch } from './batches.ts';
import type { TrainingData } from './dataset.ts';
import { joinedReports, reorderedReports } from './flat-reports.ts';
import { compiledFeatures, imitationObjective } from './imitation.ts';
import { CompiledObjective, type Gradient, type Objective } from './minimise.ts';
import { mismatchedPairs } from './mismatched-pairs.ts';
import { scaleGradient } from './scale-gradient.ts';
import { imageTensor, reportGrid, rowsAt } from './tensors.ts';

type Judged = {
  /** [B] real, then [B] generated, then real images for which the report is another's, [<= B]; H, W, C. */
  readonly images: tf.Tensor4D;
  /** Of the reports that belong to `images`, [rows * L]. */
  readonly ids: tf.Tensor1D;
  /** [L, rows, 1] */
  readonly last: tf.Tensor3D;
  /** [B], any values: how many pairs are real. */
  readonly pairs: tf.Tensor1D;
};

type Written = DrawnTensors & {
  /** [B, H, W, C] that the reports were written for, and their features [B, 512]. */
  readonly image: tf.Tensor4D;
  readonly features: tf.Tensor2D;
  /** [L, B, 1] */
  readonly last: tf.Tensor3D;
  /** [] */
  readonly beta: tf.Scalar;
};

export class TextGame {
  readonly #model: Emixer;
  readonly #data: Pick<TrainingData, 'resolution' | 'imageChannels'>;
  readonly #features: Compiled;
  readonly #featuresGradient: Compiled;
  readonly #discriminators: CompiledObjective;
  readonly #imitation: CompiledObjective;
  readonly #writing: CompiledObjective;

  constructor(
    model: Emixer,
    data: Pick<TrainingData, 'resolution' | 'imageChannels'>,
    optimisers: { readonly F: Adam; readonly D_text: Adam },
  ) {
    const { encoder, reportDiscriminator, jointDiscriminator, config } = model;
    this.#model = model;
    this.#data = data;
    const ofEncoder = variablesOf(encoder.parameters);
    this.#features = compiledFeatures(encoder);
    this.#featuresGradient = new Compiled(ofEncoder, ({ images, dy }) => {
      const through = (x: tf.Tensor) => encoder.features(scaleGradient(x as tf.Tensor4D, config.textGradToG));
      return { gradient: tf.grad(through)(images as tf.Tensor, dy) };
    });
    this.#discriminators = new CompiledObjective(
      [optimisers.D_text],
      [...variablesOf(reportDiscriminator.parameters), ...variablesOf(jointDiscriminator.parameters)],
      inputs => this.#discriminates(inputs),
    );
    this.#imitation = imitationObjective(model, optimisers.F, 'F/mle', config.mleWeight);
    this.#writing = new CompiledObjective(
      [optimisers.F],
      [...variablesOf(reportDiscriminator.parameters), ...variablesOf(jointDiscriminator.parameters)],
      inputs => this.#writes(inputs),
      ['image', 'features'],
    );
  }

  /** The losses of D_report and D_joint on real pairs, on generated images with F's reports, and on mismatched pairs. */
  discriminatorGradient(pairs: Batch, fake: tf.Tensor4D, random: Random): Gradient {
    const { config, vocabulary, reportGenerator } = this.#model;
    const { maxTokens } = config.reportDiscriminator;
    const images = imageTensor(pairs.pixels, this.#data);
    const buckets = this.#buckets(pairs);
    const real = flattenReports(reportGrid(pairs.records, vocabulary, config.report), maxTokens, buckets);
    const written = reportGenerator.decode(this.#featuresOf(fake), { temperature: 1, random }, buckets);
    const generated: FlatReports = flattenReports(written, maxTokens, buckets);
    const judged = [images, fake];
    const reports = [real, generated];
    if (config.jointDiscriminator.mismatched) {
      const mismatched = mismatchedPairs(pairs.records, random);
      judged.push(rowsAt(images, mismatched.images));
      reports.push(reorderedReports(real, mismatched.reports));
    }
    const { ids, lengths, tokens } = joinedReports(reports);
    return this.#discriminators.gradient({
      images: tf.concat4d(judged, 0),
      ids: tf.tensor1d(ids, 'int32'),
      last: lastSteps(lengths, tokens),
      pairs: tf.zeros([images.shape[0]]),
    });
  }

  /**
   * F's losses: against D_report and D_joint on the reports it writes for `fake`, and imitating the real reports.
   * @param beta inverse temperature of the Gumbel-softmax
   * @returns with the losses' gradient with respect to `fake`, [B, H, W, C], as the only other one
   */
  generatorGradient(pairs: Batch, fake: tf.Tensor4D, beta: number, random: Random): Gradient {
    const { config, reportGenerator, vocabulary } = this.#model;
    const buckets = this.#buckets(pairs);
    const grid = reportGrid(pairs.records, vocabulary, config.report);
    const imitated = this.#featuresOf(imageTensor(pairs.pixels, this.#data));
    const imitation = this.#imitation.gradient({ features: imitated, ...teacherTensors(grid, buckets) });
    const features = this.#featuresOf(fake);
    const { tensors, lengths, tokens } = reportGenerator.drawReports(features, random, buckets);
    const last = lastSteps(lengths, tokens);
    const writing = this.#writing.gradient({ image: fake, features, ...tensors, last, beta: tf.scalar(beta) });
    const [direct, dy] = writing.others as [tf.Tensor4D, tf.Tensor2D];
    const throughEncoder = this.#featuresGradient.run({ images: fake, dy })['gradient'] as tf.Tensor4D;
    return {
      losses: { ...writing.losses, ...imitation.losses },
      packed: [added(writing.packed[0] ?? [], imitation.packed[0] ?? [])],
      others: [tf.add(direct, throughEncoder)],
    };
  }

  dispose(): void {
    for (const part of [this.#features, this.#featuresGradient]) part.dispose();
    for (const part of [this.#discriminators, this.#imitation, this.#writing]) part.dispose();
  }

  #featuresOf(images: tf.Tensor4D): tf.Tensor2D {
    return this.#features.run({ images })['features'] as tf.Tensor2D;
  }

  /** Every shape is a graph of its own, so where steps are compiled there are few. */
  #buckets({ records }: Batch): Buckets {
    return compiles() ? coarseBuckets(this.#model.config, records.length) : FINE;
  }

  #writes(inputs: Tensors): Objective {
    const { image, features, last, beta, ...drawn } = inputs as Written;
    const { reportGenerator, reportDiscriminator, jointDiscriminator } = this.#model;
    const [tokens, reports] = last.shape;
    const oneHot = reportGenerator.softReports(features, drawn, beta);
    const written = { reports, tokens, ids: drawn.chosen, lengths: last, oneHot };
    return {
      losses: {
        'F/report': nonSaturating.generator(reportDiscriminator.forward(written)),
        'F/joint': nonSaturating.generator(jointDiscriminator.forward(image, written)),
      },
    };
  }

  #discriminates(inputs: Tensors): Objective {
    const { images, ids, last, pairs } = inputs as Judged;
    const { reportDiscriminator, jointDiscriminator } = this.#model;
    const [batch] = pairs.shape;
    const [tokens, rows] = last.shape;
    const first = 2 * batch;
    // One pass each: an LSTM over three times the rows costs little more than over one. D_report sees no pairs, so the
    // mismatched ones are nothing new to it.
    const reports = reportDiscriminator.forward({
      reports: first,
      tokens,
      ids: tf.slice(ids, 0, first * tokens),
      lengths: tf.slice(last, [0, 0, 0], [tokens, first, 1]),
    }); // [2 B]
    const joint = jointDiscriminator.forward(images, { reports: rows, tokens, ids, lengths: last }); // [<= 3 B]
    return {
      losses: {
        'D_report/adversarial': nonSaturating.discriminator(
          tf.slice(reports, 0, batch),
          tf.slice(reports, batch, batch),
        ),
        // Its fakes are half generated pairs and half real images with another record's report.
        'D_joint/adversarial': nonSaturating.discriminator(tf.slice(joint, 0, batch), tf.slice(joint, batch)),
      },
    };
  }
}

const added = (a: readonly tf.Tensor1D[], b: readonly tf.Tensor1D[]): tf.Tensor1D[] =>
  a.map((bucket, i) => tf.add(bucket, b[i] as tf.Tensor1D));
