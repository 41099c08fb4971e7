import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { resolveModelConfig } from '#model/config.ts';
import { JointDiscriminator } from '#model/emixer/joint-discriminator.ts';
import { ReportDiscriminator } from '#model/emixer/report-discriminator.ts';
import type { JudgedReports } from '#model/emixer/report-encoder.ts';
import { flattenReports } from '#model/emixer/report-rows.ts';
import { oneHotRows } from '#model/layers/one-hot.ts';
import { nonSaturating } from '#model/losses.ts';
import { Random } from '#model/random.ts';
import { Vocabulary } from '#model/text/vocabulary.ts';

const config = resolveModelConfig('phantom32', {
  channels: 8,
  reportDiscriminator: { embedding: 8, hidden: 8, maxTokens: 20 },
  jointDiscriminator: { embedding: 8, hidden: 8 },
});
const vocabulary = new Vocabulary(['heart', 'normal', 'lungs', 'clear']);
const texts = [
  [
    ['heart', 'normal'],
    ['lungs', 'clear'],
  ],
  [['clear']],
  [],
];
const flat = flattenReports(vocabulary.encode(texts, 4, 6), 20);
const images = () => tf.tensor4d(new Random('images').normals(3 * 32 * 32), [3, 32, 32, 1]);

/** The same reports as one-hot words. */
const soft = (): JudgedReports & { oneHot: tf.Tensor3D } => ({
  ...flat,
  oneHot: tf.reshape(oneHotRows(flat.ids, vocabulary.size), [3, flat.tokens, vocabulary.size]),
});

beforeAll(async () => {
  // The convolutions of D_joint's trunk take plain JavaScript a quarter of a minute.
  await loadBackend({ demand: 'wasm' });
});

const builds = {
  D_report: () => {
    const network = new ReportDiscriminator(config, vocabulary.size, new Random('D'));
    return { network, judge: (reports: JudgedReports) => network.forward(reports) };
  },
  D_joint: () => {
    const network = new JointDiscriminator(config, vocabulary.size, new Random('D'));
    return { network, judge: (reports: JudgedReports) => network.forward(images(), reports) };
  },
};

describe.each(Object.entries(builds))('%s', (name, build) => {
  test('ids and one-hot words are judged alike; one logit a report; every variable is reached', () => {
    const { network, judge } = build();
    network.beginStep();
    const start = tf.memory().numTensors;
    tf.tidy(() => {
      const fromIds = judge(flat);
      expect(fromIds.shape).toEqual([3]);
      expect(tf.max(tf.abs(tf.sub(fromIds, judge(soft())))).dataSync()[0]).toBeLessThan(1e-6);
      const { grads } = tf.variableGrads(
        () => nonSaturating.discriminator(judge(flat), judge(soft())),
        network.parameters.trainables,
      );
      for (const [
        variable,
        {
          variable: { name: key },
          trainable,
        },
      ] of network.parameters.entries()) {
        expect(variable.startsWith(`${name}/`)).toBe(true);
        if (trainable) expect(grads[key]?.shape).toBeDefined();
      }
    });
    expect(tf.memory().numTensors).toBe(start);
    network.dispose();
  });

  test('gradient reaches the words of a report and nothing after its end', () => {
    const { network, judge } = build();
    network.beginStep();
    tf.tidy(() => {
      const reports = soft();
      const gradient = tf.grad(oneHot => tf.sum(judge({ ...reports, oneHot: oneHot as tf.Tensor3D })))(reports.oneHot);
      const perToken = tf.sum(tf.abs(gradient), 2).dataSync();
      for (const [i, size] of perToken.entries()) {
        const [b, t] = [Math.floor(i / flat.tokens), i % flat.tokens];
        expect(size > 0, `report ${b} token ${t}`).toBe(t < (flat.lengths[b] ?? 0));
      }
    });
    network.dispose();
  });

  test('linears and convolutions are spectrally normalised: scaling one changes nothing', () => {
    const { network, judge } = build();
    network.beginStep();
    const kernels = [...network.parameters.entries()].filter(([key]) => key.endsWith('/kernel'));
    expect(kernels.length).toBeGreaterThan(1);
    const logits = () => tf.tidy(() => [...judge(flat).dataSync()]);
    const before = logits();
    for (const [, { variable }] of kernels) tf.tidy(() => variable.assign(tf.mul(variable, 3)));
    network.beginStep();
    network.beginStep();
    const after = logits();
    // One more power iteration moves sigma a little; a factor of three would move the logits far more.
    expect(Math.max(...after.map((value, i) => Math.abs(value - (before[i] ?? Number.NaN))))).toBeLessThan(0.5);
    network.dispose();
  });
});

test('D_joint sees the image', () => {
  const network = new JointDiscriminator(config, vocabulary.size, new Random('D'));
  network.beginStep();
  tf.tidy(() => {
    const gradient = tf.grad(x => tf.sum(network.forward(x as tf.Tensor4D, flat)))(images());
    const perImage = tf.sum(tf.abs(gradient), [1, 2, 3]).dataSync();
    expect([...perImage].every(size => size > 0)).toBe(true);
  });
  network.dispose();
});

describe('options', () => {
  const built = (overrides: object) => {
    const chosen = { ...config, ...overrides };
    return {
      D_report: new ReportDiscriminator(chosen, vocabulary.size, new Random('D')),
      D_joint: new JointDiscriminator(chosen, vocabulary.size, new Random('D')),
    };
  };
  const variableOf = (network: ReportDiscriminator | JointDiscriminator, name: string) =>
    network.parameters.entries().get(`${network.parameters.prefix}/${name}`)?.variable;

  test('spectralNormOnLstm divides W_x and W_h, each by its own norm', () => {
    const plain = built({});
    const normed = built({ spectralNormOnLstm: true });
    for (const name of ['D_report', 'D_joint'] as const) {
      const network = normed[name];
      const judge = () =>
        network instanceof JointDiscriminator ? network.forward(images(), flat) : network.forward(flat);
      expect(variableOf(plain[name], 'lstm/wx/u')).toBeUndefined();
      expect(network.parameters.count).toBe(plain[name].parameters.count);
      for (let n = 0; n < 40; n++) network.beginStep();
      const logits = () => tf.tidy(() => [...judge().dataSync()]);
      const before = logits();
      for (const [part, factor] of Object.entries({ wx: 5, wh: 0.2 })) {
        const weight = variableOf(network, `lstm/${part}`) as tf.Variable;
        expect(variableOf(network, `lstm/${part}/u`)?.shape).toEqual([4 * 8]);
        tf.tidy(() => weight.assign(tf.mul(weight, factor)));
      }
      for (let n = 0; n < 2; n++) network.beginStep();
      const after = logits();
      // One norm over both would not undo two different factors.
      expect(Math.max(...after.map((value, i) => Math.abs(value - (before[i] ?? Number.NaN))))).toBeLessThan(1e-4);
      tf.tidy(() => {
        const { grads } = tf.variableGrads(() => tf.sum(judge()), network.parameters.trainables);
        for (const part of ['wx', 'wh']) {
          const key = variableOf(network, `lstm/${part}`)?.name ?? '';
          expect(tf.sum(tf.abs(grads[key] as tf.Tensor)).dataSync()[0]).toBeGreaterThan(0);
        }
      });
    }
    for (const network of [...Object.values(plain), ...Object.values(normed)]) network.dispose();
  });

  test('unpooled: every place of the image trunk enters the first linear layer', () => {
    const joint = { ...config.jointDiscriminator, imageFeatures: 'unpooled' as const };
    const { D_joint: network, ...rest } = built({ jointDiscriminator: joint });
    // At 32 pixels the trunk ends with 8 x 8 places of 4 * 4 features; the report has 8.
    const kernel = variableOf(network, 'hidden/kernel') as tf.Variable;
    expect(kernel.shape).toEqual([8 * 8 * 16 + 8, 8]);
    network.beginStep();
    tf.tidy(() => {
      const { grads } = tf.variableGrads(() => tf.sum(network.forward(images(), flat)), network.parameters.trainables);
      const reached = tf.sum(tf.abs(grads[kernel.name] as tf.Tensor), 1).dataSync();
      // ReLU leaves some features of some places at zero, but no place as a whole.
      for (let place = 0; place < 64; place++) {
        const features = reached.subarray(place * 16, (place + 1) * 16);
        expect(
          features.some(size => size > 0),
          `place ${place}`,
        ).toBe(true);
      }
    });
    network.dispose();
    for (const other of Object.values(rest)) other.dispose();
  });
});
