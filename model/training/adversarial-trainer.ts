/**
 * The minimax game of EMIXER (paper, section 3.2.3 "Learning" and 6.3.2): some steps of the discriminators, then one of
 * the generators. One object a site; every step depends on its number alone.
 */
import type * as tf from '@tensorflow/tfjs-core';
import type { Compiled } from '../backend/graph/compiled.ts';
import type { Emixer } from '../emixer/emixer.ts';
import { gumbelBeta } from '../emixer/gumbel.ts';
import { empiricalLabels, type LabelDistribution } from '../generation/label-distribution.ts';
import { Adam } from '../optimiser/adam.ts';
import { Random } from '../random.ts';
import { type Batch, BatchStream } from './batches.ts';
import type { TrainingData } from './dataset.ts';
import type { GradientExchange } from './gradient-exchange.ts';
import { beginning, type Duel, ImageGame } from './image-game.ts';
import { trainingRecords } from './labelled-subset.ts';
import { descend, type Gradient, tidied } from './minimise.ts';
import { explainedMemory } from './out-of-memory.ts';
import { drawLabels, drawNoise, imageTensor, labelTargets, labelTensor, maskTensors } from './tensors.ts';
import { TextGame } from './text-game.ts';
import type { StreamKeys, Trainer } from './trainer.ts';

/** Steps after which replicas compare their weights again: nothing else would tell that a GPU computes otherwise. */
const AGREE_EVERY = 100;

export class AdversarialTrainer implements Trainer {
  readonly records: Readonly<Record<string, number>>;
  readonly optimisers;
  readonly networks;
  gradientNorms: Readonly<Record<string, number>> = {};
  readonly #model: Emixer;
  readonly #data: TrainingData;
  readonly #keys: StreamKeys;
  readonly #totalSteps: number;
  readonly #images: BatchStream;
  /** Undefined at a site without reports: it takes part with G and D_image alone. */
  readonly #pairs: BatchStream | undefined;
  readonly #labels: LabelDistribution;
  readonly #imageGame: ImageGame;
  readonly #textGame: TextGame;
  readonly #beginText: readonly Compiled[];
  readonly #exchange: GradientExchange | undefined;
  #agreed = false;

  /**
   * @param totalSteps of all rounds, for the annealing of the Gumbel-softmax
   * @param exchange with the other processes that train this model with this one
   */
  constructor(model: Emixer, data: TrainingData, keys: StreamKeys, totalSteps: number, exchange?: GradientExchange) {
    const { batchSize, labelMode, labelledFraction, optimiser } = model.config;
    const train = trainingRecords(data, labelledFraction, keys);
    const reported = train.filter(record => record.report !== null);
    const adam = (networks: readonly { parameters: { trainables: tf.Variable[] } }[], rate: number): Adam =>
      new Adam(
        networks.flatMap(network => network.parameters.trainables),
        { rate, beta1: 0 },
      );
    this.#model = model;
    this.#data = data;
    this.#keys = keys;
    this.#totalSteps = totalSteps;
    this.#exchange = exchange;
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
    this.#imageGame = new ImageGame(model, this.optimisers);
    this.#textGame = new TextGame(model, data, this.optimisers);
    this.#beginText = [beginning(model.reportDiscriminator), beginning(model.jointDiscriminator)];
  }

  async step(step: number): Promise<Record<string, number>> {
    try {
      return await this.#step(step);
    } catch (thrown) {
      throw explainedMemory(thrown, this.#model.config);
    }
  }

  async #step(step: number): Promise<Record<string, number>> {
    const { discriminatorSteps } = this.#model.config.optimiser;
    const losses: Record<string, number> = {};
    let pairs: Batch | undefined;
    if (!this.#agreed || step % AGREE_EVERY === 0) await this.#exchange?.agree(this.networks, `step ${step}`);
    this.#agreed = true;
    this.#imageGame.beginGenerator();
    for (let d = 0; d < discriminatorSteps; d++) {
      const batchIndex = step * discriminatorSteps + d;
      const images = await this.#images.batch(batchIndex);
      pairs = await this.#pairs?.batch(batchIndex);
      Object.assign(losses, await this.#updateDiscriminators(images, pairs, step, `D${d}`));
    }
    // The pairs that F imitates are the last ones its discriminators saw; G and F draw everything else anew.
    return Object.assign(losses, await this.#updateGenerators(step, pairs));
  }

  dispose(): void {
    this.#imageGame.dispose();
    this.#textGame.dispose();
    for (const part of this.#beginText) part.dispose();
    for (const optimiser of Object.values(this.optimisers)) optimiser.dispose();
  }

  /** A stream of its own for each micro-batch, which so draws the same whoever computes it. */
  #random(step: number, update: string, part: number): Random {
    return new Random(this.#keys.seed, this.#keys.site, 'adversarial', step, update, part);
  }

  /** D_image on real, fake and rotated real images; D_report and D_joint on real, generated and mismatched pairs. */
  #updateDiscriminators(
    images: Batch,
    pairs: Batch | undefined,
    step: number,
    update: string,
  ): Promise<Record<string, number>> {
    this.#imageGame.beginDiscriminator();
    if (pairs) for (const begin of this.#beginText) begin.run({});
    const { D_image, D_text } = this.optimisers;
    return this.#descend(pairs ? { D_image, D_text } : { D_image }, `${step} ${update}`, part => {
      const random = this.#random(step, update, part);
      const duel = this.#duel(this.#part(images, part), random);
      const text = pairs && this.#textGame.discriminatorGradient(this.#part(pairs, part), duel.fake, random);
      return [this.#imageGame.discriminatorGradient(duel), ...(text ? [text] : [])];
    });
  }

  /** Real images with their labels, and G's for labels that are drawn as often as the site has them. */
  #duel({ records, pixels }: Batch, random: Random): Duel {
    const real = imageTensor(pixels, this.#data);
    const y = labelTensor(records, this.#model.config.labelMode, random);
    const fakeY = drawLabels(records.length, this.#labels, random);
    const z = drawNoise(records.length, this.#model.generator.zLength, random);
    const targets = labelTargets(records);
    return { real, y, targets, ...maskTensors(records), fake: this.#imageGame.generate(z, fakeY), fakeY };
  }

  /** G against D_image, and G with F against D_report and D_joint; F also keeps imitating real reports. */
  #updateGenerators(step: number, pairs: Batch | undefined): Promise<Record<string, number>> {
    const { config, generator } = this.#model;
    const beta = gumbelBeta(step, this.#totalSteps, config.gumbelBetaMax);
    const { G, F } = this.optimisers;
    return this.#descend(pairs ? { G, F } : { G }, `${step} G`, part => {
      const random = this.#random(step, 'G', part);
      const rows = config.batchSize / this.#parts;
      const y = drawLabels(rows, this.#labels, random);
      const z = drawNoise(rows, generator.zLength, random);
      if (!pairs) return [this.#imageGame.generatorGradient(z, y)];
      const fake = this.#imageGame.generate(z, y);
      const text = this.#textGame.generatorGradient(this.#part(pairs, part), fake, beta, random);
      return [this.#imageGame.generatorGradient(z, y, text.others[0] as tf.Tensor4D), text];
    });
  }

  /**
   * One step on the mean over the micro-batches of all replicas.
   * @param update names it among all updates
   * @param gradients gives those of part number `part`, in the optimisers' order
   */
  async #descend(
    optimisers: Readonly<Record<string, Adam>>,
    update: string,
    gradients: (part: number) => readonly Gradient[],
  ): Promise<Record<string, number>> {
    const parts = this.#parts;
    const { rank, replicas } = this.#exchange ?? { rank: 0, replicas: 1 };
    const share = parts / replicas;
    const own = function* (): Generator<Gradient> {
      for (let part = rank * share; part < (rank + 1) * share; part++) yield tidied(() => joined(gradients(part)));
    };
    const { losses, norms } = this.#exchange
      ? descend(optimisers, await this.#exchange.gathered(own(), update), parts)
      : descend(optimisers, own());
    this.gradientNorms = { ...this.gradientNorms, ...norms };
    return losses;
  }

  get #parts(): number {
    const { batchSize, microBatchSize } = this.#model.config;
    return microBatchSize === 0 ? 1 : batchSize / microBatchSize;
  }

  /** Records and pixels of one micro-batch. */
  #part({ records, pixels }: Batch, part: number): Batch {
    const rows = records.length / this.#parts;
    const bytes = pixels.length / this.#parts;
    return {
      records: records.slice(part * rows, (part + 1) * rows),
      pixels: pixels.subarray(part * bytes, (part + 1) * bytes),
    };
  }
}

/** The gradients of networks that have nothing in common, side by side. */
const joined = (gradients: readonly Gradient[]): Gradient => ({
  losses: Object.assign({}, ...gradients.map(({ losses }) => losses)),
  packed: gradients.flatMap(({ packed }) => packed),
  others: [],
});
