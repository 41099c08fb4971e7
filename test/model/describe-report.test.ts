import { execFileSync } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { type ModelConfig, presets, resolveModelConfig } from '#model/config.ts';
import { describeEmixer } from '#model/describe-report.ts';
import { Emixer } from '#model/emixer/emixer.ts';
import { Vocabulary } from '#model/text/vocabulary.ts';

const WORDS = ['heart', 'is', 'large', 'no', 'effusion'];

const tiny = {
  channels: 8,
  report: { hidden: 12, embedding: 10, wordLayers: 3 },
  reportDiscriminator: { embedding: 9, hidden: 14 },
  jointDiscriminator: { embedding: 11, hidden: 13 },
  encoder: { growth: 4, blocks: [1, 2, 3, 1] },
};

describe('describeEmixer', () => {
  beforeAll(() => loadBackend({ demand: 'cpu' }));

  it.each([
    ['phantom32', tiny],
    ['phantom32', { ...tiny, labels: 5, imageChannels: 3, report: { ...tiny.report, wordLayers: 1 } }],
    ['openi64', tiny],
    ['phantom32', { ...tiny, jointDiscriminator: { ...tiny.jointDiscriminator, imageFeatures: 'unpooled' } }],
    ['phantom32', { ...tiny, spectralNormOnLstm: true }],
  ])('counts the networks as they are built: %s with %o', (preset, overrides) => {
    const config = resolveModelConfig(preset, overrides);
    const model = new Emixer(config, new Vocabulary(WORDS), { run: 1, site: 0 });
    const described = describeEmixer(config, model.vocabulary.size);
    expect(described.generator.parameters).toBe(model.generator.parameters.count);
    expect(described.imageDiscriminator.parameters).toBe(model.imageDiscriminator.parameters.count);
    expect(described.encoder.parameters).toBe(model.encoder.parameters.count);
    expect(described.reportGenerator.parameters).toBe(model.reportGenerator.parameters.count);
    expect(described.reportDiscriminator.parameters).toBe(model.reportDiscriminator.parameters.count);
    expect(described.jointDiscriminator.parameters).toBe(model.jointDiscriminator.parameters.count);
    model.dispose();
  });

  it("has DenseNet-121's published counts with torchxrayvision's classifier of 18, and without", () => {
    const { labels: _, ...biggan128 } = presets.biggan128;
    const withClassifier = describeEmixer({ ...biggan128, labels: 18 }, 1004).encoder.parameters;
    expect(withClassifier).toBe(6_966_034);
    expect(withClassifier - (1024 * 18 + 18)).toBe(6_947_584);
    // The paper's three channels: ImageNet's DenseNet-121 with its 1000 classes.
    const imagenet: ModelConfig = { ...biggan128, imageChannels: 3, labels: 1000 };
    expect(describeEmixer(imagenet, 1004).encoder.parameters).toBe(7_978_856);
  });

  it("costs DenseNet-121's published 2.8 GMAC of a colour image of 224 pixels, scaled to 128", () => {
    const config: ModelConfig = { ...presets.biggan128, imageChannels: 3, labels: 1000 };
    const at224 = describeEmixer(config, 4).encoder.gmacs * (224 / 128) ** 2;
    expect(at224).toBeGreaterThan(2.8);
    expect(at224).toBeLessThan(2.9);
  });

  it('counts a report of S sentences of T words', () => {
    const config = resolveModelConfig('phantom32', {
      report: { hidden: 8, embedding: 8, wordLayers: 1, maxSentences: 2, maxWords: 3 },
    });
    const sentence = 4 * 8 * (512 + 8) + 2 * 8 + 3 * 8 * 8;
    const words = 4 * (4 * 8 * 16) + 3 * (8 * 9);
    expect(describeEmixer(config, 9).reportGenerator.gmacs * 1e9).toBeCloseTo(2 * (sentence + words), 3);
  });

  it('loads no TensorFlow, which the probe would see', () => {
    expect(tensorFlowAfter('#model/describe-report.ts')).toBe(false);
    expect(tensorFlowAfter('#model/emixer/emixer.ts')).toBe(true);
  });
});

/** Whether tfjs is in a process that imports `module`: its registry is a global. */
function tensorFlowAfter(module: string): boolean {
  const script = `await import('${module}'); console.log('_tfGlobals' in globalThis)`;
  const flags = ['--conditions=source', '--import', 'tsx', '--input-type=module', '-e', script];
  return execFileSync(process.execPath, flags, { encoding: 'utf8' }).trim() === 'true';
}
