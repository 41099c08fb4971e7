/** Size and cost of the image networks, computed from their plans: nothing is allocated, so every width is instant. */
import type { ModelConfig } from './config.ts';
import {
  type BlockPlan,
  CLASS_EMBEDDING,
  discriminatorPlan,
  FIRST_SIDE,
  generatorPlan,
  type ImagePlan,
  Z_CHUNK,
} from './emixer/architecture.ts';

export interface NetworkCost {
  /** Trainable scalars. */
  readonly parameters: number;
  /** 10^9 multiply-adds of one image's forward pass, each layer as the paper writes it. */
  readonly gmacs: number;
}

export interface ImageNetworkCosts {
  readonly generator: NetworkCost;
  readonly imageDiscriminator: NetworkCost;
}

/** Scalars and multiply-adds of a part. */
interface Cost {
  readonly parameters: number;
  readonly macs: number;
}

/** Parameters and multiply-adds of G and of D_image (with rotation head, without label head). */
export function describeImageNetworks(config: ModelConfig): ImageNetworkCosts {
  return { generator: generatorCost(config), imageDiscriminator: discriminatorCost(config) };
}

function generatorCost(config: ModelConfig): NetworkCost {
  const plan = generatorPlan(config);
  const last = plan.blocks.at(-1)?.outputs ?? 0;
  const condition = CLASS_EMBEDDING + Z_CHUNK;
  const norm = (features: number) => linear(condition, 2 * features, false);
  const blocks = plan.blocks.map(({ inputs, outputs, from, to }) =>
    total([
      norm(inputs),
      norm(outputs),
      conv(3, inputs, outputs, to),
      conv(3, outputs, outputs, to),
      // Before the upsampling.
      conv(1, inputs, outputs, from),
    ]),
  );
  return network([
    linear(config.labels, CLASS_EMBEDDING, false),
    linear(Z_CHUNK, FIRST_SIDE ** 2 * (plan.blocks[0]?.inputs ?? 0), true),
    ...blocks,
    attention(plan),
    { parameters: 2 * last, macs: 0 },
    conv(3, last, config.imageChannels, config.resolution),
  ]);
}

function discriminatorCost(config: ModelConfig): NetworkCost {
  const plan = discriminatorPlan(config);
  const features = plan.blocks.at(-1)?.outputs ?? 0;
  const blocks = plan.blocks.map((block, i) => {
    const { inputs, outputs, from } = block;
    return total([conv(3, inputs, outputs, from), conv(3, outputs, outputs, from), shortcut(block, i === 0)]);
  });
  return network([
    ...blocks,
    attention(plan),
    linear(features, 1, true),
    linear(config.labels, features, false),
    linear(features, 4, true),
  ]);
}

/** The first block pools before its 1x1 convolution, the others after it; where nothing changes there is none. */
function shortcut({ inputs, outputs, from, to }: BlockPlan, first: boolean): Cost {
  if (inputs === outputs && from === to) return { parameters: 0, macs: 0 };
  return conv(1, inputs, outputs, first ? to : from);
}

function attention({ blocks, attentionAfter }: ImagePlan): Cost {
  const block = blocks[attentionAfter];
  if (block === undefined) return { parameters: 0, macs: 0 };
  const { outputs: channels, to: side } = block;
  const places = side ** 2;
  const weights = 2 * channels * (channels / 8) + 2 * channels * (channels / 2);
  const scores = places * (places / 4) * (channels / 8 + channels / 2);
  return { parameters: weights + 1, macs: places * weights + scores };
}

const conv = (size: number, inputs: number, outputs: number, side: number): Cost => ({
  parameters: size ** 2 * inputs * outputs + outputs,
  macs: size ** 2 * inputs * outputs * side ** 2,
});

const linear = (inputs: number, outputs: number, bias: boolean): Cost => ({
  parameters: inputs * outputs + (bias ? outputs : 0),
  macs: inputs * outputs,
});

const total = (parts: readonly Cost[]): Cost => ({
  parameters: parts.reduce((sum, part) => sum + part.parameters, 0),
  macs: parts.reduce((sum, part) => sum + part.macs, 0),
});

function network(parts: readonly Cost[]): NetworkCost {
  const { parameters, macs } = total(parts);
  return { parameters, gmacs: macs / 1e9 };
}
