/** The hash by which sites name the set they audited (privacy/audit/site-audit.ts), over the set that is stored here. */
import { createHash } from 'node:crypto';
import { reportsIn, requireLabels } from '#model/generation/synthetic-content.ts';
import { FedError } from '#proto/errors.ts';
import type { Manifest, TensorEntry } from '#proto/gen/fed/v1/tensors.ts';

/**
 * Streams the pixels and the reports, so that memory does not grow with the number of pairs. What the sites cannot have
 * seen, because their audit reads pixels and texts only, must not be in the set.
 * @param synthetic tensors images U8 [N, H, W, C], labels U8 [N, K] of 0 and 1, reports U8: JSON lines {"report": string}
 * @returns SHA-256 in hex
 * @throws FedError MESSAGE_INVALID when the labels are others, or the reports are no such lines, one a pair
 */
export async function generatedSha256(
  synthetic: Manifest,
  chunksOf: (tensor: TensorEntry) => AsyncIterable<Uint8Array>,
): Promise<string> {
  const images = tensorOf(synthetic, 'images');
  const [pairs = 0, height, width, channels] = images.shape;
  const hash = createHash('sha256').update(`${pairs}x${height}x${width}x${channels}\n`);
  for await (const pixels of chunksOf(images)) hash.update(pixels);
  let reports = 0;
  for await (const report of reportsIn(chunksOf(tensorOf(synthetic, 'reports')))) {
    hash.update(`${JSON.stringify(report)}\n`);
    reports++;
  }
  if (reports !== pairs) throw invalid(`${pairs} reports; ${reports} came`);
  await requireLabels(chunksOf(tensorOf(synthetic, 'labels')));
  return hash.digest('hex');
}

function tensorOf({ tensors }: Manifest, name: string): TensorEntry {
  const tensor = tensors.find(entry => entry.name === name);
  if (tensor === undefined) throw invalid(`a tensor "${name}"`);
  return tensor;
}

const invalid = (expected: string): FedError =>
  new FedError('MESSAGE_INVALID', `the generated set: expected ${expected}`, 'install the same version at both ends');
