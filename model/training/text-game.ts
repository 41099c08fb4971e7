/**
 * The text half of the minimax game (paper, section 3.2.3): F, and G through it, against D_report and D_joint. What has
 * the same shapes in every step is compiled; what F wrote differs in length from step to step and runs kernel by kernel.
 */
import * as tf from '@tensorflow/tfjs-core';
import { Compiled, type Tensors } from '../backend/graph/compiled.ts';
import type { Emixer } from '../emixer/emixer.ts';
import { type FlatReports, flattenReports } from '../emixer/report-rows.ts';
import { lastSteps } from '../layers/lstm.ts';
import { variablesOf } from '../layers/parameters.ts';
import { nonSaturating } from '../losses.ts';
import type { Adam } from '../optimiser/adam.ts';
import type { Random } from '../random.ts';
import type { Batch } from './batches.ts';
import type { TrainingData } from './dataset.ts';
import { joinedReports, longest, reorderedReports } from './flat-reports.ts';
import { CompiledObjective, type Gradient, gradientOf, type Objective } from './minimise.ts';
import { mismatchedPairs } from './mismatched-pairs.ts';
import { scaleGradient } from './scale-gradient.ts';
import { imageTensor, reportGrid, rowsAt } from './tensors.ts';

/** Lengths of reports are rounded up to this share of the longest allowed, since every length is a graph of its own. */
const LENGTHS = 4;

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

export class TextGame {
  readonly #model: Emixer;
  readonly #data: Pick<TrainingData, 'resolution' | 'imageChannels'>;
  readonly #optimisers: { readonly F: Adam; readonly D_text: Adam };
  readonly #features: Compiled;
  readonly #featuresGradient: Compiled;
  readonly #discriminators: CompiledObjective;

  constructor(
    model: Emixer,
    data: Pick<TrainingData, 'resolution' | 'imageChannels'>,
    optimisers: { readonly F: Adam; readonly D_text: Adam },
  ) {
    const { encoder, reportDiscriminator, jointDiscriminator, config } = model;
    this.#model = model;
    this.#data = data;
    this.#optimisers = optimisers;
    const ofEncoder = variablesOf(encoder.parameters);
    this.#features = new Compiled(ofEncoder, ({ images }) => ({ features: encoder.features(images as tf.Tensor4D) }));
    this.#featuresGradient = new Compiled(ofEncoder, ({ images, dy }) => {
      const through = (x: tf.Tensor) => encoder.features(scaleGradient(x as tf.Tensor4D, config.textGradToG));
      return { gradient: tf.grad(through)(images as tf.Tensor, dy) };
    });
    this.#discriminators = new CompiledObjective(
      [optimisers.D_text],
      [...variablesOf(reportDiscriminator.parameters), ...variablesOf(jointDiscriminator.parameters)],
      inputs => this.#discriminates(inputs),
    );
  }

  /** The losses of D_report and D_joint on real pairs, on generated images with F's reports, and on mismatched pairs. */
  discriminatorGradient(pairs: Batch, fake: tf.Tensor4D, random: Random): Gradient {
    const { config, vocabulary, reportGenerator } = this.#model;
    const { maxTokens } = config.reportDiscriminator;
    const images = imageTensor(pairs.pixels, this.#data);
    const real = flattenReports(reportGrid(pairs.records, vocabulary, config.report), maxTokens);
    const written = reportGenerator.decode(this.#featuresOf(fake), { temperature: 1, random });
    const generated: FlatReports = flattenReports(written, maxTokens);
    const judged = [images, fake];
    const reports = [real, generated];
    if (config.jointDiscriminator.mismatched) {
      const mismatched = mismatchedPairs(pairs.records, random);
      judged.push(rowsAt(images, mismatched.images));
      reports.push(reorderedReports(real, mismatched.reports));
    }
    const unit = Math.ceil(maxTokens / LENGTHS);
    const tokens = Math.min(maxTokens, Math.ceil(longest(reports) / unit) * unit);
    const { ids, lengths } = joinedReports(reports, tokens);
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
    const { config, reportGenerator, reportDiscriminator, jointDiscriminator, vocabulary } = this.#model;
    const imitated = this.#featuresOf(imageTensor(pairs.pixels, this.#data));
    const grid = reportGrid(pairs.records, vocabulary, config.report);
    const image = tf.variable(fake);
    const features = tf.variable(this.#featuresOf(fake));
    try {
      const gradient = gradientOf([this.#optimisers.F], () => {
        const written = reportGenerator.sampleStraightThrough(features as tf.Tensor2D, beta, random);
        const losses = {
          'F/report': nonSaturating.generator(reportDiscriminator.forward(written)),
          'F/joint': nonSaturating.generator(jointDiscriminator.forward(image, written)),
          'F/mle': tf.mul<tf.Scalar>(reportGenerator.mleLoss(imitated, grid).loss, config.mleWeight),
        };
        return { losses };
      }, [image, features]);
      const [direct, dy] = gradient.others as [tf.Tensor4D, tf.Tensor2D];
      const throughEncoder = this.#featuresGradient.run({ images: fake, dy })['gradient'] as tf.Tensor4D;
      return { ...gradient, others: [tf.add(direct, throughEncoder)] };
    } finally {
      tf.dispose([image, features]);
    }
  }

  dispose(): void {
    for (const part of [this.#features, this.#featuresGradient, this.#discriminators]) part.dispose();
  }

  #featuresOf(images: tf.Tensor4D): tf.Tensor2D {
    return this.#features.run({ images })['features'] as tf.Tensor2D;
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
