/**
 * The tensors of a DenseNet trunk by their names here and in PyTorch's files (torchvision's and torchxrayvision's
 * `densenet121`), computed from the configuration.
 */
import type { ModelConfig } from '../config.ts';

export interface DenseNetTensor {
  /** Below "F/encoder/". */
  readonly name: string;
  readonly shape: readonly number[];
  /** In PyTorch's state dictionary. */
  readonly source: string;
  /** Convolutions are OIHW there. */
  readonly sourceShape: readonly number[];
}

const BOTTLENECK = 4;
const STEM_KERNEL = 7;

/** Every tensor of the encoder but its classifier and its projection. */
export function denseNetTensors({
  encoder,
  imageChannels,
}: Pick<ModelConfig, 'encoder' | 'imageChannels'>): DenseNetTensor[] {
  const { growth, blocks } = encoder;
  let width = 2 * growth;
  const tensors = [
    conv('stem', 'features.conv0', STEM_KERNEL, imageChannels, width),
    ...norm('stemNorm', 'features.norm0', width),
  ];
  for (const [i, layers] of blocks.entries()) {
    const narrow = BOTTLENECK * growth;
    for (let layer = 1; layer <= layers; layer++, width += growth) {
      const name = `block${i + 1}/layer${layer}`;
      const source = `features.denseblock${i + 1}.denselayer${layer}`;
      tensors.push(...norm(`${name}/norm1`, `${source}.norm1`, width));
      tensors.push(conv(`${name}/conv1`, `${source}.conv1`, 1, width, narrow));
      tensors.push(...norm(`${name}/norm2`, `${source}.norm2`, narrow));
      tensors.push(conv(`${name}/conv2`, `${source}.conv2`, 3, narrow, growth));
    }
    if (i === blocks.length - 1) break;
    const [name, source, halved] = [`transition${i + 1}`, `features.transition${i + 1}`, Math.floor(width / 2)];
    tensors.push(
      ...norm(`${name}/norm`, `${source}.norm`, width),
      conv(`${name}/conv`, `${source}.conv`, 1, width, halved),
    );
    width = halved;
  }
  return [...tensors, ...norm('norm', 'features.norm5', width)];
}

const conv = (name: string, source: string, size: number, inputs: number, outputs: number): DenseNetTensor => ({
  name: `${name}/kernel`,
  shape: [size, size, inputs, outputs],
  source: `${source}.weight`,
  sourceShape: [outputs, inputs, size, size],
});

const norm = (name: string, source: string, channels: number): DenseNetTensor[] =>
  Object.entries({ gain: 'weight', bias: 'bias', mean: 'running_mean', variance: 'running_var' }).map(
    ([ours, theirs]) => ({
      name: `${name}/${ours}`,
      shape: [channels],
      source: `${source}.${theirs}`,
      sourceShape: [channels],
    }),
  );

const LAYER = /^features\.denseblock(\d{1,2})\.denselayer(\d{1,3})\.conv2\.weight$/;

/** "growth 32, blocks 6, 12, 24, 16" as a file's tensors tell it, or undefined where they are no DenseNet's. */
export function describeDenseNet(shapes: ReadonlyMap<string, readonly number[]>): string | undefined {
  const layers: number[] = [];
  let growth: number | undefined;
  for (const [name, shape] of shapes) {
    const [, block, layer] = LAYER.exec(name) ?? [];
    if (block === undefined) continue;
    layers[Number(block) - 1] = Math.max(layers[Number(block) - 1] ?? 0, Number(layer));
    growth = shape[0];
  }
  return growth === undefined ? undefined : denseNetText({ growth, blocks: Array.from(layers, count => count ?? 0) });
}

export const denseNetText = ({
  growth,
  blocks,
}: {
  readonly growth: number;
  readonly blocks: readonly number[];
}): string => `growth ${growth}, blocks ${blocks.join(', ')}`;
