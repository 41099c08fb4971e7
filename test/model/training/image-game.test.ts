import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { Emixer } from '#model/emixer/emixer.ts';
import { Adam } from '#model/optimiser/adam.ts';
import { Random } from '#model/random.ts';
import { AdversarialTrainer } from '#model/training/adversarial-trainer.ts';
import { type Duel, ImageGame } from '#model/training/image-game.ts';
import { descend, type Gradient } from '#model/training/minimise.ts';
import { tinyConfig, tinyData, tinyEmixer } from '../../support/tiny-training.ts';

beforeAll(async () => {
  await loadBackend(backendOptionsFromEnvironment(process.env));
});

const ROWS = 8;
const config = { ...tinyConfig, rotation: { ...tinyConfig.rotation, fraction: 0 } };
const adam = (variables: readonly tf.Variable[]) => new Adam(variables, { rate: 1e-3, beta1: 0 });

function newGame(unlabelled: 'masked' | 'predicted' = 'masked', fraction = 0) {
  const model = new Emixer(
    { ...config, unlabelled, rotation: { ...config.rotation, fraction } },
    tinyEmixer().vocabulary,
    { run: 7, site: 0 },
  );
  const optimisers = {
    G: adam(model.generator.parameters.trainables),
    D_image: adam(model.imageDiscriminator.parameters.trainables),
  };
  return { model, optimisers, game: new ImageGame(model, optimisers) };
}

function duel(from = 0, rows = ROWS, known = 1): Duel {
  const part = (name: string, shape: number[]) => {
    const values = tf.tensor(new Random(name).normals(ROWS * shape.slice(1).reduce((a, b) => a * b, 1)), [
      ROWS,
      ...shape.slice(1),
    ]);
    return tf.slice(tf.tanh(values), [from], [rows]);
  };
  const y = tf.cast(tf.greater(part('y', [ROWS, 14]), 0.5), 'float32') as tf.Tensor2D;
  return {
    real: part('real', [ROWS, 32, 32, 1]) as tf.Tensor4D,
    fake: part('fake', [ROWS, 32, 32, 1]) as tf.Tensor4D,
    y,
    targets: y,
    fakeY: tf.cast(tf.greater(part('fakeY', [ROWS, 14]), 0.5), 'float32') as tf.Tensor2D,
    certain: tf.fill([rows, 14], known),
    known: tf.fill([rows, 14], known),
  };
}

const flat = ({ packed }: Gradient): Float32Array => tf.tidy(() => tf.concat(packed.flat()).dataSync() as Float32Array);

/** Largest difference over the largest value. */
const relativeDifference = (a: Float32Array, b: Float32Array): number => {
  const largestOf = (values: Float32Array): number =>
    values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return largestOf(a.map((value, i) => value - (b[i] as number))) / largestOf(a);
};

describe('the image game', () => {
  const made: { dispose(): void }[] = [];
  afterAll(() => {
    for (const part of made) part.dispose();
  });

  it('takes the same step on micro-batches as on the whole batch', () => {
    const whole = newGame();
    const parted = newGame();
    const [one, two] = tf.tidy(() => {
      const large = whole.game.discriminatorGradient(duel());
      const parts = [0, 4].map(from => parted.game.discriminatorGradient(duel(from, 4)));
      const losses = [
        descend({ D_image: whole.optimisers.D_image }, [large]).losses,
        descend({ D_image: parted.optimisers.D_image }, parts).losses,
      ];
      return losses as unknown as tf.TensorContainer[];
    }) as unknown as Record<string, number>[];
    expect(two?.['D_image/adversarial']).toBeCloseTo(one?.['D_image/adversarial'] as number, 4);
    const moved = [whole, parted].map(({ model }) =>
      model.imageDiscriminator.parameters.trainables.map(variable => variable.dataSync()),
    );
    // Adam's first step is the rate times the sign: where a gradient is rounding error the signs may differ.
    const differing = (moved[0] ?? []).flatMap((values, v) =>
      [...values].filter((value, i) => Math.abs(value - (moved[1]?.[v]?.[i] as number)) > 1e-4),
    );
    const all = (moved[0] ?? []).reduce((sum, values) => sum + values.length, 0);
    expect(differing.length / all).toBeLessThan(0.01);
    made.push(whole.game, parted.game);
  });

  it('has the mean of the micro-batches as its gradient, bit for bit the same when asked twice', () => {
    const { game } = newGame();
    const gradients = tf.tidy(() => {
      const large = flat(game.discriminatorGradient(duel()));
      const again = flat(game.discriminatorGradient(duel()));
      const [a, b] = [0, 4].map(from => flat(game.discriminatorGradient(duel(from, 4)))) as [
        Float32Array,
        Float32Array,
      ];
      return { large, again, mean: a.map((value, i) => (value + (b[i] as number)) / 2) } as never;
    }) as unknown as Record<'large' | 'again' | 'mean', Float32Array>;
    expect(relativeDifference(gradients.large, gradients.mean)).toBeLessThan(1e-4);
    expect(gradients.again).toEqual(gradients.large);
    made.push(game);
  });

  it("passes the text half's gradient on to G exactly as it came", () => {
    const { game, model } = newGame();
    const z = tf.randomNormal<tf.Rank.R2>([4, model.generator.zLength], 0, 1, 'float32', 1);
    const y = tf.zeros<tf.Rank.R2>([4, 14]);
    const fromText = tf.randomNormal<tf.Rank.R4>([4, 32, 32, 1], 0, 1, 'float32', 2);
    const [without, withText, alone] = tf.tidy(() => {
      const { generator } = model;
      const { grads } = tf.variableGrads(
        () => tf.sum(tf.mul(generator.forward(z, y, { training: true }), fromText)) as tf.Scalar,
        generator.parameters.trainables,
      );
      const textOnly = adam(generator.parameters.trainables);
      made.push(textOnly);
      return [
        flat(game.generatorGradient(z, y)),
        flat(game.generatorGradient(z, y, fromText)),
        flat({ losses: {}, others: [], packed: [textOnly.pack(grads)] }),
      ] as never;
    }) as unknown as [Float32Array, Float32Array, Float32Array];
    expect(
      relativeDifference(
        withText,
        without.map((value, i) => value + (alone[i] as number)),
      ),
    ).toBeLessThan(1e-4);
    made.push(game);
  });

  it('learns labels from real images whose labels are certain, and from nothing else', () => {
    const { game } = newGame('predicted');
    const lossOf = (input: Duel): number =>
      (game.discriminatorGradient(input).losses['D_image/labels'] as tf.Tensor).dataSync()[0] ?? Number.NaN;
    tf.tidy(() => {
      expect(lossOf(duel())).toBeGreaterThan(0);
      // Without a label there is nothing to learn, whatever y says.
      expect(lossOf(duel(0, ROWS, 0))).toBe(0);
      // y may be one of a record's findings alone (config.labelMode): the others are no less true for that.
      const oneOfThem = { ...duel(), y: tf.zeros<tf.Rank.R2>([ROWS, 14]) };
      expect(lossOf(oneOfThem)).toBeCloseTo(lossOf(duel()), 5);
      // Fakes do not count.
      const other = { ...duel(), fake: tf.zeros<tf.Rank.R4>([ROWS, 32, 32, 1]) };
      expect(lossOf(other)).toBeCloseTo(lossOf(duel()), 5);
    });
    made.push(game);
  });

  it('judges an image without labels by what D_image predicts, not by the zeros that stand for them', () => {
    const { game } = newGame('predicted');
    const { game: masked } = newGame('masked');
    tf.tidy(() => {
      const loss = (of: ImageGame, input: Duel): number =>
        (of.discriminatorGradient(input).losses['D_image/adversarial'] as tf.Tensor).dataSync()[0] ?? Number.NaN;
      const unlabelled = { ...duel(0, ROWS, 0), y: tf.zeros<tf.Rank.R2>([ROWS, 14]) };
      const labelledZeros = { ...duel(), y: tf.zeros<tf.Rank.R2>([ROWS, 14]) };
      expect(loss(game, unlabelled)).not.toBeCloseTo(loss(game, labelledZeros), 3);
      // Without the label head a missing label is no projection at all, which is what zeros give.
      expect(loss(masked, unlabelled)).toBeCloseTo(loss(masked, labelledZeros), 5);
    });
    made.push(game, masked);
  });
});

describe('gradient accumulation', () => {
  it('trains in parts and reports the same losses, with the gradient of every network', async () => {
    const model = new Emixer({ ...tinyConfig, microBatchSize: 2 }, tinyEmixer().vocabulary, { run: 7, site: 0 });
    const trainer = new AdversarialTrainer(model, tinyData(), { seed: 7, site: 0 }, 10);
    const losses = await trainer.step(0);
    expect(Object.values(losses).every(Number.isFinite)).toBe(true);
    expect(Object.keys(losses)).toContain('F/joint');
    expect(Object.keys(trainer.gradientNorms).sort()).toEqual(['D_image', 'D_text', 'F', 'G']);
    for (const norm of Object.values(trainer.gradientNorms)) expect(norm).toBeGreaterThan(0);
    const { numTensors } = tf.memory();
    await trainer.step(1);
    expect(tf.memory().numTensors).toBe(numTensors);
    trainer.dispose();
    model.dispose();
  });
});
