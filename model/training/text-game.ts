/**
 * The text half of the minimax game (paper, section 3.2.3): F, and G through it, against D_report and D_joint. Reports
 * differ in length from step to step, so it runs kernel by kernel.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Emixer } from '../emixer/emixer.ts';
import { type FlatReports, flattenReports } from '../emixer/report-rows.ts';
import { nonSaturating } from '../losses.ts';
import type { Adam } from '../optimiser/adam.ts';
import type { Random } from '../random.ts';
import type { Batch } from './batches.ts';
import type { TrainingData } from './dataset.ts';
import { joinedReports, reorderedReports } from './flat-reports.ts';
import { type Gradient, gradientOf } from './minimise.ts';
import { mismatchedPairs } from './mismatched-pairs.ts';
import { scaleGradient } from './scale-gradient.ts';
import { imageTensor, reportGrid, rowsAt } from './tensors.ts';

export class TextGame {
  readonly #model: Emixer;
  readonly #data: Pick<TrainingData, 'resolution' | 'imageChannels'>;
  readonly #optimisers: { readonly F: Adam; readonly D_text: Adam };

  constructor(
    model: Emixer,
    data: Pick<TrainingData, 'resolution' | 'imageChannels'>,
    optimisers: { readonly F: Adam; readonly D_text: Adam },
  ) {
    this.#model = model;
    this.#data = data;
    this.#optimisers = optimisers;
  }

  /** The losses of D_report and D_joint on real pairs, on generated images with F's reports, and on mismatched pairs. */
  discriminatorGradient(pairs: Batch, fake: tf.Tensor4D, random: Random): Gradient {
    const { config, vocabulary, encoder, reportGenerator, reportDiscriminator, jointDiscriminator } = this.#model;
    const { maxTokens } = config.reportDiscriminator;
    const images = imageTensor(pairs.pixels, this.#data);
    const real = flattenReports(reportGrid(pairs.records, vocabulary, config.report), maxTokens);
    const written = reportGenerator.decode(encoder.features(fake), { temperature: 1, random });
    const generated: FlatReports = flattenReports(written, maxTokens);
    const [batch] = images.shape;
    const judged = [images, fake];
    const judgedReports = [real, generated];
    if (config.jointDiscriminator.mismatched) {
      const mismatched = mismatchedPairs(pairs.records, random);
      judged.push(rowsAt(images, mismatched.images));
      judgedReports.push(reorderedReports(real, mismatched.reports));
    }
    return gradientOf([this.#optimisers.D_text], () => {
      // One pass each: an LSTM over three times the rows costs little more than over one.
      const reports = reportDiscriminator.forward(joinedReports(real, generated)); // [2 B]
      const joint = jointDiscriminator.forward(tf.concat4d(judged, 0), joinedReports(...judgedReports)); // [<= 3 B]
      const losses = {
        'D_report/adversarial': nonSaturating.discriminator(
          tf.slice(reports, 0, batch),
          tf.slice(reports, batch, batch),
        ),
        'D_joint/adversarial': nonSaturating.discriminator(tf.slice(joint, 0, batch), tf.slice(joint, batch)),
      };
      return { losses };
    });
  }

  /**
   * F's losses: against D_report and D_joint on the reports it writes for `fake`, and imitating the real reports.
   * @param beta inverse temperature of the Gumbel-softmax
   * @returns with the losses' gradient with respect to `fake`, [B, H, W, C], as the only other one
   */
  generatorGradient(pairs: Batch, fake: tf.Tensor4D, beta: number, random: Random): Gradient {
    const { config, encoder, reportGenerator, reportDiscriminator, jointDiscriminator, vocabulary } = this.#model;
    const imitated = encoder.features(imageTensor(pairs.pixels, this.#data));
    const grid = reportGrid(pairs.records, vocabulary, config.report);
    const image = tf.variable(fake);
    try {
      return gradientOf([this.#optimisers.F], () => {
        const seen = encoder.features(scaleGradient(image, config.textGradToG));
        const written = reportGenerator.sampleStraightThrough(seen, beta, random);
        const losses = {
          'F/report': nonSaturating.generator(reportDiscriminator.forward(written)),
          'F/joint': nonSaturating.generator(jointDiscriminator.forward(image, written)),
          'F/mle': tf.mul<tf.Scalar>(reportGenerator.mleLoss(imitated, grid).loss, config.mleWeight),
        };
        return { losses };
      }, [image]);
    } finally {
      image.dispose();
    }
  }
}
