import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { denseNetTensors } from '#model/checkpoint/densenet-names.ts';
import { loadEncoder, requireEncoderFile } from '#model/checkpoint/encoder-file.ts';
import { importDenseNet } from '#model/checkpoint/import-densenet.ts';
import { openSafetensors } from '#model/checkpoint/safetensors.ts';
import { type ModelConfig, resolveModelConfig } from '#model/config.ts';
import { ImageEncoder } from '#model/emixer/image-encoder.ts';
import { Random } from '#model/random.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import {
  type StateDict,
  stateDictBytes,
  type TorchTensor,
  torchDenseNet,
  torchFeatures,
} from '../../support/torch-densenet.ts';

const GROWTH = 4;
const BLOCKS = [2, 4, 2, 2] as const;
const configOf = (overrides: object = {}): ModelConfig =>
  resolveModelConfig('phantom32', { encoder: { growth: GROWTH, blocks: BLOCKS }, ...overrides });

async function imported(state: StateDict, config = configOf()) {
  const folder = await temporaryFolder();
  const weights = join(folder, 'weights.safetensors');
  const out = join(folder, 'encoder.safetensors');
  await writeFile(weights, stateDictBytes(state));
  return { out, result: await importDenseNet(weights, config, out) };
}

beforeAll(async () => {
  await loadBackend({ demand: 'cpu' });
});

test("features equal those that PyTorch's layers give, in one channel and in three equal ones", async () => {
  const state = torchDenseNet(GROWTH, BLOCKS, 18);
  const pixels = new Random('film').normals(32 * 32).map(value => Math.tanh(value));
  const expected = torchFeatures(
    state,
    pixels.map(value => value * 1024),
    32,
  );
  expect(Math.max(...expected)).toBeGreaterThan(0.1);
  for (const imageChannels of [1, 3] as const) {
    const config = configOf({ imageChannels });
    const { out, result } = await imported(state, config);
    const encoder = new ImageEncoder(config, 'F/encoder', new Random('F'));
    await loadEncoder(out, encoder);
    const actual = tf.tidy(() => {
      const image = tf.tile(tf.tensor4d(pixels, [1, 32, 32, 1]), [1, 1, 1, imageChannels]) as tf.Tensor4D;
      return [...encoder.pooledFeatures(image).dataSync()];
    });
    expect(actual.length).toBe(expected.length);
    const largest = Math.max(...expected);
    for (const [i, value] of expected.entries()) {
      expect(Math.abs((actual[i] ?? Number.NaN) - value) / largest).toBeLessThan(1e-5);
    }
    expect(result.parameters).toBe(encoder.parameters.count - config.labels * (encoder.pooledWidth + 1));
    encoder.dispose();
  }
});

test('the factor 1024 lies in the first convolution, exactly', async () => {
  const state = torchDenseNet(GROWTH, BLOCKS, 18);
  const { out, result } = await imported(state);
  const file = await openSafetensors(out);
  const kernel = new Float32Array((await file.read('F/encoder/stem/kernel')).slice().buffer);
  const source = state.get('features.conv0.weight')?.values as Float32Array;
  // OIHW [o, 0, y, x] against HWIO [y, x, 0, o].
  for (const [o, y, x] of [
    [0, 0, 0],
    [3, 2, 5],
    [7, 6, 6],
  ] as const) {
    expect(kernel[(y * 7 + x) * 8 + o]).toBe((source[(o * 7 + y) * 7 + x] as number) * 1024);
  }
  await file.close();
  expect(result.leftOut).toContain('classifier.weight');
  expect(result.leftOut).toContain('features.norm0.num_batches_tracked');
});

test("DenseNet-121: names and shapes are the encoder's and torchvision's, 6,947,584 parameters", () => {
  const config = resolveModelConfig('biggan128');
  const table = denseNetTensors(config);
  const encoder = new ImageEncoder(config, 'F/encoder', new Random('F'));
  const ours = [...encoder.parameters.entries()].filter(([name]) => !name.includes('classifier'));
  const listed = table.map(({ name, shape }) => `F/encoder/${name} ${shape}`).sort();
  expect(listed).toEqual(ours.map(([name, { variable }]) => `${name} ${variable.shape}`).sort());
  encoder.dispose();
  const state = torchDenseNet(32, [6, 12, 24, 16], 18);
  for (const { source, sourceShape } of table) expect(state.get(source)?.shape, source).toEqual(sourceShape);
  // 121 layers: 120 convolutions and the classifier.
  expect(table.filter(({ shape }) => shape.length === 4).length).toBe(120);
  const trainable = table.filter(({ name }) => !/mean|variance/.test(name));
  expect(trainable.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0)).toBe(6_947_584);
  const spelt = {
    'block3/layer24/conv2/kernel': 'features.denseblock3.denselayer24.conv2.weight',
    'transition2/norm/variance': 'features.transition2.norm.running_var',
    'norm/gain': 'features.norm5.weight',
  };
  for (const [name, source] of Object.entries(spelt)) expect(table.find(t => t.name === name)?.source).toBe(source);
});

const floatsOf = (state: StateDict, name: string) => state.get(name) as TorchTensor & { values: Float32Array };

describe('refused, with the name, what was expected and what came', () => {
  const changed = (change: (state: StateDict) => void): StateDict => {
    const state = torchDenseNet(GROWTH, BLOCKS, 18);
    change(state);
    return state;
  };
  const conv1 = 'features.denseblock2.denselayer2.conv1.weight';
  const cases: Record<string, [StateDict, string]> = {
    float64: [
      changed(state => {
        const { shape, values } = floatsOf(state, conv1);
        state.set(conv1, { dtype: 'F64', shape, values: Float64Array.from(values) });
      }),
      `expected tensor ${conv1} as F32; it is F64`,
    ],
    'another shape': [
      changed(state => {
        const { values } = floatsOf(state, conv1);
        state.set(conv1, { dtype: 'F32', shape: [values.length, 1, 1, 1], values });
      }),
      `expected tensor ${conv1} of shape [16,`,
    ],
    'a missing tensor': [
      changed(state => state.delete('features.norm5.bias')),
      'expected a tensor features.norm5.bias [18]',
    ],
    'a surplus tensor': [
      changed(state => state.set('features.extra', { dtype: 'F32', shape: [1], values: Float32Array.of(1) })),
      'expected no tensor features.extra',
    ],
    'a number that is not finite': [
      changed(state => floatsOf(state, conv1).values.fill(Number.NaN, 3, 4)),
      `expected finite numbers in tensor ${conv1}`,
    ],
    'colour weights': [
      torchDenseNet(GROWTH, BLOCKS, 18, 3),
      'expected tensor features.conv0.weight of shape [8,1,7,7]; it has [8,3,7,7]',
    ],
    'a larger relative': [
      torchDenseNet(GROWTH, [2, 4, 3, 2], 18),
      "growth 4, blocks 2, 4, 2, 2; the file's has growth 4, blocks 2, 4, 3, 2",
    ],
    'another network': [
      new Map([['layer1.weight', { dtype: 'F32', shape: [1], values: Float32Array.of(1) }]]),
      "expected a DenseNet's tensors",
    ],
  };
  test.each(Object.entries(cases))('%s', async (_name, [state, message]) => {
    const failure = imported(state);
    await expect(failure).rejects.toMatchObject({ code: 'DATA_INVALID' });
    await expect(failure).rejects.toThrow(message);
  });
});

describe('loadEncoder', () => {
  test('refuses a changed file, one of another network, and one that is no encoder', async () => {
    const { out } = await imported(torchDenseNet(GROWTH, BLOCKS, 18));
    const other = new ImageEncoder(
      configOf({ encoder: { growth: 4, blocks: [1, 1, 1, 1] } }),
      'F/encoder',
      new Random(1),
    );
    await expect(loadEncoder(out, other)).rejects.toThrow('growth 4, blocks 2, 4, 2, 2');
    await requireEncoderFile(out, configOf());
    const beforehand: [ModelConfig, string][] = [
      [configOf({ encoder: { growth: 4, blocks: [1, 1, 1, 1] } }), 'growth 4, blocks 2, 4, 2, 2'],
      [configOf({ encoder: { growth: 4, blocks: [2, 4, 2, 3] } }), 'block4/layer3/norm1/gain [18] in'],
      [configOf({ imageChannels: 3 }), 'stem/kernel [7,7,3,8] in'],
    ];
    for (const [config, message] of beforehand) {
      const refusal = requireEncoderFile(out, config);
      await expect(refusal).rejects.toMatchObject({
        code: 'FILE_CORRUPT',
        remedy: 'choose the preset that it was made for',
      });
      await expect(refusal).rejects.toThrow(message);
    }
    const encoder = new ImageEncoder(configOf(), 'F/encoder', new Random(1));
    const bytes = await readFile(out);
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    await writeFile(out, bytes);
    await expect(loadEncoder(out, encoder)).rejects.toMatchObject({ code: 'FILE_CORRUPT' });
    await expect(requireEncoderFile(out, configOf())).rejects.toMatchObject({ code: 'FILE_CORRUPT' });
    await writeFile(out, stateDictBytes(new Map([['a', { dtype: 'F32', shape: [1], values: Float32Array.of(1) }]])));
    await expect(loadEncoder(out, encoder)).rejects.toThrow('its format is not said');
    other.dispose();
    encoder.dispose();
  });
});
