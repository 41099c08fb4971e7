/**
 * Every module can learn 16 phantom pairs by heart. What cannot do that has a gradient that is wrong somewhere, which no
 * test of shapes or of single layers sees. (D's and G are moved by TensorFlow.js's own Adam: their losses and gradients
 * are the subject here, and the product's optimiser has tests of its own.)
 */
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { resolveModelConfig } from '#model/config.ts';
import { Emixer } from '#model/emixer/emixer.ts';
import type { FlatReports } from '#model/emixer/report-rows.ts';
import { flattenReports } from '#model/emixer/report-rows.ts';
import { perplexity } from '#model/evaluate/perplexity.ts';
import type { ParameterSet } from '#model/layers/parameters.ts';
import { hinge, nonSaturating } from '#model/losses.ts';
import { Random } from '#model/random.ts';
import { joinReport } from '#model/text/report-cleaner.ts';
import { EncoderTrainer } from '#model/training/encoder-trainer.ts';
import { reorderedReports } from '#model/training/flat-reports.ts';
import { ReportTrainer } from '#model/training/report-trainer.ts';
import { drawNoise, imageTensor, labelTensor, reportGrid } from '#model/training/tensors.ts';
import { phantomData, vocabularyOf } from '../../support/phantom-training.ts';

const PAIRS = 16;
const config = resolveModelConfig('phantom32', {
  pretrainingBatchSize: PAIRS,
  report: { maxWords: 12, hidden: 64, embedding: 64, wordLayers: 2 },
  reportDiscriminator: { embedding: 32, hidden: 32, maxTokens: 60 },
  jointDiscriminator: { embedding: 32, hidden: 32 },
  encoder: { growth: 8, blocks: [1, 2, 2, 1] },
  optimiser: { pretrainingRate: 5e-3 },
});
const data = phantomData(PAIRS, config.resolution);
const { records } = data;
const keys = { seed: 16, site: 0 };

let model: Emixer;
let images: tf.Tensor4D;
let fakes: tf.Tensor4D;
let y: tf.Tensor2D;
let z: tf.Tensor2D;
beforeAll(async () => {
  await loadBackend(backendOptionsFromEnvironment(process.env));
  model = new Emixer(config, vocabularyOf(data), { run: 16, site: 0 });
  images = imageTensor(await data.readImages(records.map(record => record.index)), data);
  y = labelTensor(records, config.labelMode, new Random('y'));
  z = drawNoise(PAIRS, model.generator.zLength, new Random('z'));
  fakes = model.generator.forward(z, y, { training: true });
});
afterAll(() => {
  tf.dispose([images, fakes, y, z]);
  model.dispose();
});

const bytesOf = (set: ParameterSet): Buffer =>
  Buffer.concat(set.trainables.map(variable => Buffer.from(variable.dataSync().slice().buffer)));

/** Minimises a loss over one network, until it is below `enough` or `steps` are over. */
function minimised(
  network: { readonly parameters: ParameterSet; beginStep(): void },
  options: { readonly steps: number; readonly rate: number; readonly enough: number },
  loss: () => tf.Scalar,
): number {
  const adam = tf.train.adam(options.rate, 0.9, 0.999, 1e-6);
  let value = Number.POSITIVE_INFINITY;
  for (let step = 0; step < options.steps && value > options.enough; step++) {
    network.beginStep();
    const cost = adam.minimize(loss, true, network.parameters.trainables) as tf.Scalar;
    value = cost.dataSync()[0] ?? Number.NaN;
    cost.dispose();
  }
  adam.dispose();
  return value;
}

/** How many of the two halves' logits have the right sign. */
const separated = (real: tf.Tensor1D, fake: tf.Tensor1D): number =>
  [...real.dataSync()].filter(logit => logit > 0).length + [...fake.dataSync()].filter(logit => logit < 0).length;

const grid = () => reportGrid(records, model.vocabulary, config.report);
const realReports = (): FlatReports => flattenReports(grid(), config.reportDiscriminator.maxTokens);

/** The same words in another order. */
function scrambled(reports: FlatReports): FlatReports {
  const random = new Random('scrambled');
  const ids = reports.ids.slice();
  for (const [b, length] of reports.lengths.entries()) {
    const at = b * reports.tokens;
    ids.set(random.shuffled([...ids.subarray(at, at + length)]), at);
  }
  return { ...reports, ids };
}

/** The report of the next patient who has another. */
const mismatched = (reports: FlatReports): FlatReports =>
  reorderedReports(
    reports,
    records.map((_, i) => (i + 1) % PAIRS),
  );

describe('16 phantom pairs are learnt by heart', () => {
  it('by the encoder: every label that is known', async () => {
    const trainer = new EncoderTrainer(model.encoder, config, data, keys, 'overfitting');
    for (let step = 0; step < 150; step++) await trainer.step(step);
    trainer.dispose();
    const logits = tf.tidy(() => model.encoder.logits(images).arraySync());
    const wrong = records.flatMap(({ labels }, i) =>
      labels.filter((label, k) => (label === 1 || label === 0) && (logits[i]?.[k] ?? 0) > 0 !== (label === 1)),
    );
    expect(wrong).toEqual([]);
  });

  it('by F: every word of every report, with a perplexity below 1.2', async () => {
    const trainer = new ReportTrainer(model, data, keys);
    for (let step = 0; step < 400; step++) await trainer.step(step);
    trainer.dispose();
    const features = model.encoder.features(images);
    expect(perplexity(model.reportGenerator.logLikelihood(features, grid()))).toBeLessThan(1.2);
    const written = model.vocabulary.decode(model.reportGenerator.decode(features, 'greedy')).map(joinReport);
    expect(written.filter((report, i) => report === records[i]?.report).length).toBeGreaterThan(PAIRS - 3);
    features.dispose();
  });

  it('by D_image: which images are real', () => {
    const network = model.imageDiscriminator;
    const judge = (x: tf.Tensor4D) => network.forward(x, y).logits;
    const loss = minimised(network, { steps: 100, rate: 1e-3, enough: 0.05 }, () =>
      hinge.discriminator(judge(images), judge(fakes)),
    );
    expect(loss).toBeLessThan(0.2);
    expect(tf.tidy(() => separated(judge(images), judge(fakes)))).toBe(2 * PAIRS);
  });

  it('by D_report: which reports have their words in order', () => {
    const network = model.reportDiscriminator;
    const real = realReports();
    const fake = scrambled(real);
    const loss = minimised(network, { steps: 150, rate: 2e-3, enough: 0.05 }, () =>
      nonSaturating.discriminator(network.forward(real), network.forward(fake)),
    );
    expect(loss).toBeLessThan(0.2);
    expect(tf.tidy(() => separated(network.forward(real), network.forward(fake)))).toBe(2 * PAIRS);
  });

  it('by D_joint: which image and report belong together', () => {
    const network = model.jointDiscriminator;
    const real = realReports();
    const fake = mismatched(real);
    const loss = minimised(network, { steps: 1000, rate: 3e-3, enough: 0.5 }, () =>
      nonSaturating.discriminator(network.forward(images, real), network.forward(images, fake)),
    );
    // Knowing nothing it would be 1.39; spectral norm keeps the logits of pairs that differ little close together.
    expect(loss).toBeLessThan(0.6);
    expect(tf.tidy(() => separated(network.forward(images, real), network.forward(images, fake)))).toBe(2 * PAIRS);
  });

  it('by G: what D_image takes for real; its loss moves the images, and D stays', () => {
    const { generator, imageDiscriminator } = model;
    const before = bytesOf(imageDiscriminator.parameters);
    const draw = () => generator.forward(z, y, { training: true });
    const score = (): number => tf.tidy(() => tf.mean(imageDiscriminator.forward(draw(), y).logits).dataSync()[0] ?? 0);
    expect(score()).toBeLessThan(0);
    minimised(generator, { steps: 150, rate: 1e-3, enough: -1 }, () =>
      hinge.generator(imageDiscriminator.forward(draw(), y).logits),
    );
    expect(score()).toBeGreaterThan(0);
    const moved = tf.tidy(() => tf.mean(tf.abs(tf.sub(draw(), fakes))).dataSync()[0] ?? 0);
    expect(moved).toBeGreaterThan(0.05);
    expect(bytesOf(imageDiscriminator.parameters).equals(before)).toBe(true);
  });
});
