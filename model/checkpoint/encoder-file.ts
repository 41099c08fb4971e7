/** Weights of F's encoder from a file, for a training that starts with them. */
import type * as tf from '@tensorflow/tfjs-core';
import { FedError } from '#proto/errors.ts';
import type { ModelConfig } from '../config.ts';
import type { ImageEncoder } from '../emixer/image-encoder.ts';
import { requireContent } from './content-hash.ts';
import { denseNetTensors, denseNetText } from './densenet-names.ts';
import { ENCODER_FORMAT } from './import-densenet.ts';
import { assignFrom } from './network-file.ts';
import { openSafetensors, type SafetensorsFile } from './safetensors.ts';

/** The encoder's own: its findings are this project's, and its projection follows from the seed. */
const OWN = /^F\/encoder\/(classifier\/|projection$)/;

/**
 * Assigns a file that importDenseNet wrote to the encoder. Its classifier keeps its starting values: pre-train the encoder
 * for at least a few steps where its logits are wanted; its features need none.
 * @throws FedError NOT_FOUND without the file, FILE_CORRUPT when it was changed, is of another format or another network
 */
export async function loadEncoder(path: string, encoder: ImageEncoder): Promise<void> {
  const file = await openEncoder(path);
  try {
    const variables = [...encoder.parameters.entries()].filter(([name]) => !OWN.test(name));
    requireNoOther(file, path, new Set(variables.map(([name]) => name)));
    for (const [name, { variable }] of variables) await assignFrom(file, name, variable as tf.Variable);
  } finally {
    await file.close();
  }
}

/**
 * That loadEncoder will take the file for this configuration's encoder, found out before there is one.
 * @throws FedError as loadEncoder
 */
export async function requireEncoderFile(path: string, config: ModelConfig): Promise<void> {
  const file = await openEncoder(path);
  try {
    const wanted = denseNetTensors(config).map(({ name, shape }) => ({ name: `F/encoder/${name}`, shape }));
    requireNoOther(file, path, new Set(wanted.map(({ name }) => name)));
    for (const { name, shape } of wanted) {
      const came = file.entries.get(name)?.shape;
      if (came?.join() !== shape.join()) {
        const had = came === undefined ? 'none such' : `[${came}]`;
        throw ofAnother(
          `expected tensor ${name} [${shape}] in ${path}, of a DenseNet with ${denseNetText(config.encoder)} for images of ` +
            `${config.imageChannels} channels; it has ${had}`,
        );
      }
    }
  } finally {
    await file.close();
  }
}

/** The whole of it checked against its hash; the caller closes it. */
async function openEncoder(path: string): Promise<SafetensorsFile> {
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
    return file;
  } catch (thrown) {
    await file.close();
    throw thrown;
  }
}

function requireNoOther({ entries, metadata }: SafetensorsFile, path: string, known: ReadonlySet<string>): void {
  const surplus = [...entries.keys()].find(name => !known.has(name));
  if (surplus === undefined) return;
  throw ofAnother(
    `expected the encoder of this configuration in ${path}; it is a DenseNet with ${metadata['encoder'] ?? 'other blocks'} (it holds ${surplus})`,
  );
}

const ofAnother = (message: string): FedError =>
  new FedError('FILE_CORRUPT', message, 'choose the preset that it was made for');
