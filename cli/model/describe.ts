/** `emixer model describe`: sizes and costs, without TensorFlow. */
import type { ModelConfig } from '#model/config.ts';
import { describeEmixer, type EmixerCosts } from '#model/describe-report.ts';
import { FIRST_WORD } from '#model/text/vocabulary.ts';
import { textTable } from '../table.ts';

export interface ModelDescription extends EmixerCosts {
  readonly preset: string;
  readonly resolution: number;
  readonly channels: number;
  readonly labels: number;
  readonly imageChannels: number;
  /** Words, without the four ids that are none. */
  readonly vocabulary: number;
}

export function describeModel(preset: string, config: ModelConfig, vocabulary: number): ModelDescription {
  const { resolution, channels, labels, imageChannels } = config;
  const costs = describeEmixer(config, vocabulary + FIRST_WORD);
  return { ...costs, preset, resolution, channels, labels, imageChannels, vocabulary };
}

export function descriptionText(description: ModelDescription): string {
  const { preset, resolution, channels, labels, imageChannels, vocabulary } = description;
  const parts: [string, keyof EmixerCosts][] = [
    ['G', 'generator'],
    ['D_image', 'imageDiscriminator'],
    ['F, encoder', 'encoder'],
    ['F, decoder', 'reportGenerator'],
    ['D_report', 'reportDiscriminator'],
    ['D_joint', 'jointDiscriminator'],
  ];
  const rows = parts.map(([name, key]) => {
    const { parameters, gmacs } = description[key];
    return [name, parameters, Number(gmacs.toPrecision(4))];
  });
  return [
    `${preset}: ${resolution} x ${resolution} x ${imageChannels}, channels ${channels}, ${labels} labels, ${vocabulary} words`,
    textTable(['network', 'parameters', 'GMAC a record'], rows),
  ].join('\n');
}
