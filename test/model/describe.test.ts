import { describe, expect, it } from 'vitest';
import { type ModelConfig, resolveModelConfig } from '#model/config.ts';
import { describeImageNetworks } from '#model/describe.ts';

const config = (overrides: Partial<ModelConfig>): ModelConfig => resolveModelConfig('biggan128', overrides);

// The published counts; ch 96 with 1000 classes and 3 channels is BigGAN's plus this project's rotation head.
const counts: [Partial<ModelConfig>, number, number][] = [
  [{ channels: 96 }, 70_306_050, 86_472_102],
  [{ channels: 64 }, 31_851_266, 38_441_414],
  [{ channels: 32 }, 8_416_514, 9_617_382],
  [{ channels: 16 }, 2_331_650, 2_407_862],
  [{ channels: 8 }, 697_346, 603_726],
  [{ channels: 96, imageChannels: 3 }, 70_307_780, 86_474_022],
  [{ resolution: 64, channels: 8 }, 689_410, 308_558],
  [{ resolution: 32, channels: 16 }, 371_713, 264_645],
];

const gmacs: [number, number, number][] = [
  [96, 20.07, 10.81],
  [64, 9.037, 4.863],
  [32, 2.346, 1.26],
  [16, 0.63, 0.337],
  [8, 0.1791, 0.0954],
];

describe('describeImageNetworks', () => {
  it.each(counts)('%o has the published parameter counts', (overrides, generator, discriminator) => {
    const described = describeImageNetworks(config(overrides));
    expect(described.generator.parameters).toBe(generator);
    expect(described.imageDiscriminator.parameters).toBe(discriminator);
  });

  it('has the counts of the public re-implementations of BigGAN at 1000 classes, but for the rotation head', () => {
    const { generator, imageDiscriminator } = describeImageNetworks({
      ...config({ channels: 96, imageChannels: 3 }),
      labels: 1000,
    });
    const rotationHead = 1536 * 4 + 4;
    expect(generator.parameters).toBe(70_433_988);
    expect(imageDiscriminator.parameters - rotationHead).toBe(87_982_370);
  });

  it.each(gmacs)('costs the known multiply-adds at ch %i', (channels, generator, discriminator) => {
    const described = describeImageNetworks(config({ channels }));
    expect(Math.abs(described.generator.gmacs / generator - 1)).toBeLessThan(0.01);
    expect(Math.abs(described.imageDiscriminator.gmacs / discriminator - 1)).toBeLessThan(0.01);
  });
});
