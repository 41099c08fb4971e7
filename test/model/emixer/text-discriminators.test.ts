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
