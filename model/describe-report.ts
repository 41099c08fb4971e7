/**
 * Size and cost of F, D_report and D_joint, computed as describe.ts computes those of the image networks. The layers are
 * those of emixer/{image-encoder,report-generator,report-discriminator,joint-discriminator}.ts, which load TensorFlow;
 * the tests hold the two together.
 */
import type { ModelConfig } from './config.ts';
import { describeImageNetworks, discriminatorBlocks, type ImageNetworkCosts } from './describe.ts';
import { type BlockPlan, discriminatorPlan } from './emixer/architecture.ts';
import { type Cost, linear, lstm, type NetworkCost, network, repeated, table, total } from './network-cost.ts';

export interface EmixerCosts extends ImageNetworkCosts {
  /** F's decoder; gmacs of the longest report, S sentences of T words. */
  readonly reportGenerator: NetworkCost;
  /** F's image encoder, its classifier included; a fixed projection to 512 features is no parameter. */
  readonly encoder: NetworkCost;
  /** gmacs of the longest report that it reads, words looked up. */
  readonly reportDiscriminator: NetworkCost;
  readonly jointDiscriminator: NetworkCost;
}

/** Width of the image features that F's decoder reads (paper, section 3.2.2). */
const FEATURES = 512;

/**
 * All of EMIXER's networks.
 * @param vocabulary number of ids (Vocabulary.size)
 */
export function describeEmixer(config: ModelConfig, vocabulary: number): EmixerCosts {
  return {
    ...describeImageNetworks(config),
    reportGenerator: reportGeneratorCost(config, vocabulary),
    encoder: encoderCost(config),
    reportDiscriminator: reportDiscriminatorCost(config, vocabulary),
    jointDiscriminator: jointDiscriminatorCost(config, vocabulary),
  };
}

/** DenseNet (Huang et al. 2017): a stem, four blocks, transitions between them, a classifier. */
function encoderCost({ encoder, imageChannels, labels, resolution }: ModelConfig): NetworkCost {
  const { growth, blocks } = encoder;
  const narrow = 4 * growth;
  let width = 2 * growth;
  // The stem's stride and its pooling halve the side twice.
  const parts: Cost[] = [plainConv(7, imageChannels, width, resolution / 2), norm(width)];
  for (const [i, layers] of blocks.entries()) {
    const side = resolution / (4 << i);
    for (let layer = 0; layer < layers; layer++) {
      parts.push(norm(width), plainConv(1, width, narrow, side), norm(narrow), plainConv(3, narrow, growth, side));
      width += growth;
    }
    if (i === blocks.length - 1) break;
    const halved = Math.floor(width / 2);
    parts.push(norm(width), plainConv(1, width, halved, side));
    width = halved;
  }
  return network([...parts, norm(width), linear(width, labels, true)]);
}

/** Sentence LSTM, stop head and topics at every sentence; word LSTMs at the topic, <start> and every word but the last. */
function reportGeneratorCost({ report }: ModelConfig, vocabulary: number): NetworkCost {
  const { hidden, embedding, wordLayers, maxSentences: sentences, maxWords: words } = report;
  const sentence = total([
    lstm(FEATURES, hidden, 1),
    linear(hidden, 2, true),
    linear(hidden, hidden, true),
    linear(hidden, hidden, true),
    linear(hidden, embedding, true),
  ]);
  const inputs = Array.from({ length: wordLayers }, (_, i) => (i === 0 ? embedding : hidden));
  return network([
    repeated(sentence, sentences),
    table(vocabulary, embedding),
    ...inputs.map(width => lstm(width, hidden, sentences * (words + 1))),
    repeated(linear(hidden, vocabulary, false), sentences * words),
  ]);
}

function reportDiscriminatorCost({ reportDiscriminator }: ModelConfig, vocabulary: number): NetworkCost {
  const { embedding, hidden, maxTokens } = reportDiscriminator;
  return network([
    table(vocabulary, embedding),
    lstm(embedding, hidden, maxTokens),
    linear(hidden, hidden, true),
    linear(hidden, 1, true),
  ]);
}

/** D_image's blocks at a quarter of the width, no narrower than 4, beside a report encoder of its own. */
function jointDiscriminatorCost(config: ModelConfig, vocabulary: number): NetworkCost {
  const { embedding, hidden, imageFeatures } = config.jointDiscriminator;
  const plan = discriminatorPlan({ ...config, channels: Math.max(4, config.channels / 4) });
  const { outputs, to: side } = plan.blocks.at(-1) as BlockPlan;
  const features = imageFeatures === 'pooled' ? outputs : outputs * side ** 2;
  return network([
    discriminatorBlocks(plan),
    table(vocabulary, embedding),
    lstm(embedding, hidden, config.reportDiscriminator.maxTokens),
    linear(hidden, hidden, true),
    linear(features + hidden, hidden, true),
    linear(hidden, 1, true),
  ]);
}

const norm = (channels: number): Cost => ({ parameters: 2 * channels, macs: 0 });

const plainConv = (size: number, inputs: number, outputs: number, side: number): Cost => ({
  parameters: size ** 2 * inputs * outputs,
  macs: size ** 2 * inputs * outputs * side ** 2,
});
