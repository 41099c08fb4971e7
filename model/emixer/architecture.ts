/**
 * The block plans of the image networks by resolution. 128 is BigGAN's; 64 and 32 leave out blocks, as BigGAN's own
 * code does. The paper's text gives three blocks, which its split of z (120 into chunks of 20) contradicts.
 */
import type { ModelConfig } from '#model/config.ts';

/** One chunk of z feeds the first linear layer, one each block. */
export const Z_CHUNK = 20;
/** Length of the class embedding that all of G's blocks share (paper, section 6.2.2). */
export const CLASS_EMBEDDING = 128;
/** Side of G's first feature map. */
export const FIRST_SIDE = 4;

export interface BlockPlan {
  readonly inputs: number;
  readonly outputs: number;
  /** Side of what comes in and of what goes out, in pixels. */
  readonly from: number;
  readonly to: number;
}

export interface ImagePlan {
  readonly blocks: readonly BlockPlan[];
  /** Index of the block that self-attention follows, or -1. */
  readonly attentionAfter: number;
}

const plans = {
  128: { up: [16, 16, 8, 4, 2, 1], down: [1, 2, 4, 8, 16, 16], pooled: 5, attentionSide: 64 },
  64: { up: [16, 16, 8, 4, 2], down: [1, 2, 4, 8, 16], pooled: 4, attentionSide: 32 },
  32: { up: [4, 4, 4, 4], down: [4, 4, 4, 4], pooled: 2, attentionSide: undefined },
} as const;

export function generatorPlan({ resolution, channels }: ModelConfig): ImagePlan {
  const { up, attentionSide } = plans[resolution];
  const blocks = up.slice(1).map((multiple, i) => ({
    inputs: (up[i] as number) * channels,
    outputs: multiple * channels,
    from: FIRST_SIDE << i,
    to: FIRST_SIDE << (i + 1),
  }));
  return { blocks, attentionAfter: blocks.findIndex(block => block.to === attentionSide) };
}

export function discriminatorPlan({ resolution, channels, imageChannels }: ModelConfig): ImagePlan {
  const { down, pooled, attentionSide } = plans[resolution];
  const blocks = down.map((multiple, i) => ({
    inputs: i === 0 ? imageChannels : (down[i - 1] as number) * channels,
    outputs: multiple * channels,
    from: resolution >> Math.min(i, pooled),
    to: resolution >> Math.min(i + 1, pooled),
  }));
  return { blocks, attentionAfter: blocks.findIndex(block => block.to === attentionSide) };
}

/** Length of z: 120 at 128 pixels, 100 at 64, 80 at 32. */
export const zLengthOf = (config: ModelConfig): number => Z_CHUNK * (generatorPlan(config).blocks.length + 1);
