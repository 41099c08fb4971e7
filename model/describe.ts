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
import { type Cost, conv, linear, type NetworkCost, network, total } from './network-cost.ts';

export interface ImageNetworkCosts {
  readonly generator: NetworkCost;
  readonly imageDiscriminator: NetworkCost;
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
  return network([
    discriminatorBlocks(plan),
    attention(plan),
    linear(features, 1, true),
    linear(config.labels, features, false),
    linear(features, 4, true),
  ]);
}

/** The residual blocks of D_image, or of the image trunk of D_joint. */
export const discriminatorBlocks = ({ blocks }: ImagePlan): Cost =>
  total(
    blocks.map((block, i) => {
      const { inputs, outputs, from } = block;
      return total([conv(3, inputs, outputs, from), conv(3, outputs, outputs, from), shortcut(block, i === 0)]);
    }),
  );

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
