/** Weights of F's encoder from a file, for a training that starts with them. */
import type * as tf from '@tensorflow/tfjs-core';
import { FedError } from '#proto/errors.ts';
import type { ImageEncoder } from '../emixer/image-encoder.ts';
import { requireContent } from './content-hash.ts';
import { ENCODER_FORMAT } from './import-densenet.ts';
import { assignFrom } from './network-file.ts';
import { openSafetensors } from './safetensors.ts';

/** The encoder's own: its findings are this project's, and its projection follows from the seed. */
const OWN = /^F\/encoder\/(classifier\/|projection$)/;

/**
 * Assigns a file that importDenseNet wrote to the encoder. Its classifier keeps its starting values: pre-train the encoder
 * for at least a few steps where its logits are wanted; its features need none.
 * @throws FedError NOT_FOUND without the file, FILE_CORRUPT when it was changed, is of another format or another network
 */
export async function loadEncoder(path: string, encoder: ImageEncoder): Promise<void> {
  const file = await openSafetensors(path);
  try {
    const { format } = file.metadata;
    if (format !== ENCODER_FORMAT) {
      throw new FedError(
        'FILE_CORRUPT',
        `expected encoder weights (format ${ENCODER_FORMAT}) in ${path}; its format is ${format?.slice(0, 60) ?? 'not said'}`,
        'make the file with `emixer model import-encoder`',
      );
    }
    await requireContent(file, path);
    const variables = [...encoder.parameters.entries()].filter(([name]) => !OWN.test(name));
    const surplus = [...file.entries.keys()].find(name => !variables.some(([known]) => known === name));
    if (surplus !== undefined) {
      throw new FedError(
        'FILE_CORRUPT',
        `expected the encoder of this configuration in ${path}; it is a DenseNet with ${file.metadata['encoder'] ?? 'other blocks'} (it holds ${surplus})`,
        'choose the preset that it was made for',
      );
    }
    for (const [name, { variable }] of variables) await assignFrom(file, name, variable as tf.Variable);
  } finally {
    await file.close();
  }
}
