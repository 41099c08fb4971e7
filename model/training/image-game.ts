/**
 * The image half of the minimax game (paper, section 3.2.3): G against D_image, with SS-GAN's rotations. It has the same
 * shapes in every step, so each of its parts is one compiled call.
 */
import * as tf from '@tensorflow/tfjs-core';
import { Compiled, type Tensors } from '../backend/graph/compiled.ts';
import type { Emixer } from '../emixer/emixer.ts';
import { rotatedBatch, rotatedCount, rotatedLabels, rotationLogits } from '../emixer/rotation.ts';
import { type ParameterSet, variablesOf } from '../layers/parameters.ts';
import { hinge, maskedBinaryLoss, nonSaturating, rotationLoss } from '../losses.ts';
import type { Adam } from '../optimiser/adam.ts';
import { CompiledObjective, type Gradient, type Losses, type Objective } from './minimise.ts';

/** Real images with their labels, and the images that G made for other labels. */
export type Duel = {
  /** [B, H, W, C] */
  readonly real: tf.Tensor4D;
  /** [B, K], 0 where a label is negative, uncertain or missing. */
  readonly y: tf.Tensor2D;
  /** [B, K], every finding of the record, of which y may be one alone: what the label head learns. */
  readonly targets: tf.Tensor2D;
  /** [B, K], 1 where `targets` is a label of the record: the label head learns from these entries alone. */
  readonly certain: tf.Tensor2D;
  /** [B, K], rows of 1 where the record has labels and of 0 where it has none. */
  readonly known: tf.Tensor2D;
  /** [B, H, W, C] */
  readonly fake: tf.Tensor4D;
  /** [B, K] */
  readonly fakeY: tf.Tensor2D;
};

export class ImageGame {
  readonly #model: Emixer;
  readonly #beginGenerator: Compiled;
  readonly #beginDiscriminator: Compiled;
  readonly #generate: Compiled;
  readonly #discriminator: CompiledObjective;
  readonly #generator: CompiledObjective;

  constructor(model: Emixer, optimisers: { readonly G: Adam; readonly D_image: Adam }) {
    const { generator, imageDiscriminator } = model;
    const ofG = variablesOf(generator.parameters);
    const ofD = variablesOf(imageDiscriminator.parameters);
    this.#model = model;
    this.#beginGenerator = beginning(generator);
    this.#beginDiscriminator = beginning(imageDiscriminator);
    this.#generate = new Compiled(ofG, inputs => ({ fake: this.#fake(inputs) }));
    this.#discriminator = new CompiledObjective([optimisers.D_image], ofD, inputs => this.#discriminates(inputs));
    this.#generator = new CompiledObjective([optimisers.G], [...ofG, ...ofD], inputs => this.#generates(inputs));
  }

  /** The power iteration of G's spectral norms, once a step. */
  beginGenerator(): void {
    this.#beginGenerator.run({});
  }

  /** The same of D_image's. */
  beginDiscriminator(): void {
    this.#beginDiscriminator.run({});
  }

  /** G(z, y), [B, H, W, C]. */
  generate(z: tf.Tensor2D, y: tf.Tensor2D): tf.Tensor4D {
    return this.#generate.run({ z, y })['fake'] as tf.Tensor4D;
  }

  /** D_image's losses on real, fake and rotated real images. */
  discriminatorGradient(duel: Duel): Gradient {
    return this.#discriminator.gradient(duel);
  }

  /**
   * G's losses on what it makes of z and y.
   * @param fromText the gradient of the text half's losses with respect to G(z, y), [B, H, W, C]
   */
  generatorGradient(z: tf.Tensor2D, y: tf.Tensor2D, fromText?: tf.Tensor4D): Gradient {
    return this.#generator.gradient({ z, y, ...(fromText && { fromText }) });
  }

  dispose(): void {
    for (const part of [this.#beginGenerator, this.#beginDiscriminator, this.#generate]) part.dispose();
    for (const part of [this.#discriminator, this.#generator]) part.dispose();
  }

  #fake({ z, y }: Tensors): tf.Tensor4D {
    return this.#model.generator.forward(z as tf.Tensor2D, y as tf.Tensor2D, { training: true });
  }

  #discriminates(inputs: Tensors): Objective {
    const { real, y, targets, certain, known, fake, fakeY } = inputs as Duel;
    const { rotation, unlabelled } = this.#model.config;
    const [batch] = real.shape;
    const turned = rotatedCount(batch, rotation.fraction);
    const predicts = unlabelled === 'predicted';
    // One pass over [real, fake, turned real]: rotated images never enter the real/fake loss.
    const rows = <T extends tf.Tensor>(ofReal: T, ofFake: T, ofTurned: () => T): T =>
      tf.concat(turned > 0 ? [ofReal, ofFake, ofTurned()] : [ofReal, ofFake], 0);
    const judged = this.#model.imageDiscriminator.forward(
      rows(real, fake, () => rotatedBatch(real, turned)),
      rows(y, fakeY, () => rotatedLabels(y, turned)),
      predicts ? rows(known, tf.onesLike(fakeY), () => rotatedLabels(known, turned)) : undefined,
    );
    const { logits, rotation: angles, labels } = judged;
    const losses: Losses = {
      'D_image/adversarial': this.#loss.discriminator(tf.slice(logits, 0, batch), tf.slice(logits, batch, batch)),
      ...(turned > 0 && {
        'D_image/rotation': weighted(
          rotationLoss(rotationLogits(rowsOf(angles, 0, batch), rowsOf(angles, 2 * batch, 3 * turned))),
          rotation.discriminatorWeight,
        ),
      }),
      // On real images only (S3GAN, Lucic et al. 2019, section 3.2).
      ...(labels && { 'D_image/labels': maskedBinaryLoss(rowsOf(labels, 0, batch), targets, certain) }),
    };
    return { losses };
  }

  #generates(inputs: Tensors): Objective {
    const { rotation } = this.#model.config;
    const fake = this.#fake(inputs);
    const { y, fromText } = inputs as { y: tf.Tensor2D; fromText?: tf.Tensor4D };
    const [batch] = fake.shape;
    const turned = rotatedCount(batch, rotation.fraction);
    const { logits, rotation: angles } = this.#model.imageDiscriminator.forward(
      turned > 0 ? tf.concat4d([fake, rotatedBatch(fake, turned)], 0) : fake,
      turned > 0 ? tf.concat2d([y, rotatedLabels(y, turned)], 0) : y,
    );
    const losses: Losses = {
      'G/adversarial': this.#loss.generator(tf.slice(logits, 0, batch)),
      ...(turned > 0 && {
        'G/rotation': weighted(
          rotationLoss(rotationLogits(rowsOf(angles, 0, batch), rowsOf(angles, batch, 3 * turned))),
          rotation.generatorWeight,
        ),
      }),
    };
    // Its gradient with respect to the image is fromText.
    return fromText ? { losses, surrogate: tf.sum(tf.mul(fake, fromText)) } : { losses };
  }

  get #loss() {
    return this.#model.config.loss === 'hinge' ? hinge : nonSaturating;
  }
}

/** A network's `beginStep` as one compiled call. */
export const beginning = (network: { readonly parameters: ParameterSet; beginStep(): void }): Compiled =>
  new Compiled(variablesOf(network.parameters), () => {
    network.beginStep();
    return {};
  });

const weighted = (loss: tf.Scalar, weight: number): tf.Scalar => tf.mul(loss, weight);

const rowsOf = (x: tf.Tensor2D, start: number, count: number): tf.Tensor2D => tf.slice(x, [start, 0], [count, -1]);
