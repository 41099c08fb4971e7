/** The hash by which sites name the set they audited (privacy/audit/site-audit.ts), over the set that is stored here. */
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { FedError } from '#proto/errors.ts';
import type { Manifest, TensorEntry } from '#proto/gen/fed/v1/tensors.ts';

/**
 * Streams the pixels and the reports, so that memory does not grow with the number of pairs.
 * @param synthetic tensors images U8 [N, H, W, C] and reports U8, JSON lines {"report": string}
 * @returns SHA-256 in hex
 * @throws FedError MESSAGE_INVALID when the reports are no such lines, one a pair
 */
export async function generatedSha256(
  synthetic: Manifest,
  chunksOf: (tensor: TensorEntry) => AsyncIterable<Uint8Array>,
): Promise<string> {
  const images = tensorOf(synthetic, 'images');
  const [pairs = 0, height, width, channels] = images.shape;
  const hash = createHash('sha256').update(`${pairs}x${height}x${width}x${channels}\n`);
  for await (const pixels of chunksOf(images)) hash.update(pixels);
  const lines = createInterface({
    input: Readable.from(chunksOf(tensorOf(synthetic, 'reports')), { objectMode: false }),
  });
  let reports = 0;
  for await (const line of lines) {
    hash.update(`${JSON.stringify(reportOf(line))}\n`);
    reports++;
  }
  if (reports !== pairs) throw invalid(`${pairs} reports; ${reports} came`);
  return hash.digest('hex');
}

function tensorOf({ tensors }: Manifest, name: string): TensorEntry {
  const tensor = tensors.find(entry => entry.name === name);
  if (tensor === undefined) throw invalid(`a tensor "${name}"`);
  return tensor;
}

function reportOf(line: string): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    value = undefined;
  }
  const report = (value as { report?: unknown } | null | undefined)?.report;
  if (typeof report !== 'string') throw invalid('lines {"report": string}');
  return report;
}

const invalid = (expected: string): FedError =>
  new FedError('MESSAGE_INVALID', `the generated set: expected ${expected}`, 'install the same version at both ends');
