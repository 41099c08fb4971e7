/** The model that `model describe` and `model bench` are asked about: a preset, and what of it is changed. */
import { type ModelConfig, resolveModelConfig } from '#model/config.ts';
import { FedError } from '#proto/errors.ts';

export interface ModelSize {
  readonly preset: string;
  readonly resolution: number | undefined;
  readonly channels: number | undefined;
  /** May be more than a run can have: the published counts of BigGAN are those of 1,000 classes. */
  readonly labels: number | undefined;
  readonly imageChannels: number | undefined;
}

const RESOLUTIONS = [32, 64, 128];

/** @throws FedError CONFIG_INVALID naming what is impossible */
export function configOf({ preset, resolution, channels, labels, imageChannels }: ModelSize): ModelConfig {
  if (resolution !== undefined && !RESOLUTIONS.includes(resolution)) {
    throw new FedError(
      'CONFIG_INVALID',
      `--resolution is ${resolution}; expected ${RESOLUTIONS.join(', ')}: the networks double the side block by block`,
      'choose one of them',
    );
  }
  if (imageChannels !== undefined && imageChannels !== 1 && imageChannels !== 3) {
    throw new FedError(
      'CONFIG_INVALID',
      `--image-channels is ${imageChannels}; expected 1 (grey) or 3 (colour)`,
      'choose one of them',
    );
  }
  const given = Object.entries({ resolution, channels, imageChannels }).filter(([, value]) => value !== undefined);
  const config = resolveModelConfig(preset, Object.fromEntries(given));
  return labels === undefined ? config : { ...config, labels };
}

/** With `batch` records a step, all in memory at once unless the preset's parts still divide them. */
export function withBatch(config: ModelConfig, batch: number | undefined): ModelConfig {
  if (batch === undefined) return config;
  const { microBatchSize } = config;
  const parts = microBatchSize > 0 && microBatchSize < batch && batch % microBatchSize === 0;
  return { ...config, batchSize: batch, microBatchSize: parts ? microBatchSize : 0 };
}
