/**
 * Published DenseNet weights (torchxrayvision's, from a safetensors file) as F's encoder. No TensorFlow in here: weights
 * are only laid out anew, convolutions from OIHW to HWIO. PyTorch's batch norm has the same epsilon, 1e-5; its counters
 * of batches say nothing that is used.
 *
 * torchxrayvision's networks read images in [-1024, 1024], EMIXER's lie in [-1, 1]: the factor is multiplied into the first
 * convolution, which is exact (a power of two) and leaves the encoder one kind of input, whoever trained it.
 */
import { CHUNK_BYTES, sha256, splitChunks } from '#proto/chunks.ts';
import { FedError } from '#proto/errors.ts';
import type { ModelConfig } from '../config.ts';
import { withContentHash } from './content-hash.ts';
import { type DenseNetTensor, denseNetTensors, denseNetText, describeDenseNet } from './densenet-names.ts';
import { openSafetensors, type SafetensorsFile, type TensorToWrite, writeSafetensors } from './safetensors.ts';

/** `format` in the metadata of a file of encoder weights. */
export const ENCODER_FORMAT = 'emixer-encoder-1';
const INPUT_SCALE = 1024;

/** Not part of the trunk: another number of findings, their thresholds, PyTorch's counters. */
const LEFT_OUT = /^(classifier\.(weight|bias)|op_threshs|.*\.num_batches_tracked)$/;

export interface ImportedEncoder {
  readonly tensors: number;
  /** Trainable scalars of the trunk: 6,947,584 of DenseNet-121 with one channel. */
  readonly parameters: number;
  /** What of the file was not taken, by name. */
  readonly leftOut: readonly string[];
}

/**
 * Writes the trunk in `weights` as encoder weights of `config` to `out`; loadEncoder takes them. The classifier stays
 * behind: its findings are others. A configuration of three channels gets a third of the grey kernel for each.
 * @throws FedError NOT_FOUND without the file, FILE_CORRUPT where it is no safetensors file, DATA_INVALID with the tensor's
 *   name, what was expected and what came where it is another network's
 */
export async function importDenseNet(weights: string, config: ModelConfig, out: string): Promise<ImportedEncoder> {
  const file = await openSafetensors(weights, { acceptForeign: true });
  try {
    const wanted = denseNetTensors(config);
    const stem = wanted[0] as DenseNetTensor;
    // The published networks are grey; for colour the kernel is spread below.
    const sources = wanted.map(tensor =>
      tensor === stem ? { ...tensor, sourceShape: greyed(tensor.sourceShape) } : tensor,
    );
    requireSame(file, sources, config);
    const tensors: TensorToWrite[] = [];
    for (const tensor of sources) {
      const values = await floatsOf(file, tensor.source);
      const laidOut = tensor.shape.length === 4 ? toHwio(values, tensor.sourceShape) : values;
      const data = tensor.source === stem.source ? forOurImages(laidOut, config.imageChannels) : laidOut;
      requireFinite(tensor.source, data);
      tensors.push({ name: `F/encoder/${tensor.name}`, dtype: 'F32', shape: tensor.shape, data: bytesOf(data) });
    }
    await writeSafetensors(out, tensors, await metadataOf(tensors, config));
    const trainable = wanted.filter(({ name }) => !/\/(mean|variance)$/.test(name));
    return {
      tensors: tensors.length,
      parameters: trainable.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
      leftOut: [...file.entries.keys(), ...file.foreign.map(({ name }) => name)]
        .filter(name => LEFT_OUT.test(name))
        .sort(),
    };
  } finally {
    await file.close();
  }
}

/** The same names, types and shapes, no more and no fewer: else it is another network, whatever would fit. */
function requireSame(file: SafetensorsFile, sources: readonly DenseNetTensor[], { encoder }: ModelConfig): void {
  const all = [...file.entries.values(), ...file.foreign];
  const came = describeDenseNet(new Map(all.map(({ name, shape }) => [name, shape])));
  if (came === undefined) {
    throw invalid(
      `expected a DenseNet's tensors (features.denseblock1.denselayer1.conv2.weight and so on), found none`,
      "export the model's state_dict() with safetensors.torch.save_file",
    );
  }
  if (came !== denseNetText(encoder)) {
    throw invalid(
      `expected the preset's encoder, a DenseNet with ${denseNetText(encoder)}; the file's has ${came}`,
      'choose a preset with that encoder; biggan128, paper and mimic128 have DenseNet-121',
    );
  }
  const types = new Map<string, string>(all.map(({ name, dtype }) => [name, dtype]));
  for (const { source, sourceShape } of sources) {
    const dtype = types.get(source);
    if (dtype === undefined) throw invalid(`expected a tensor ${source} [${sourceShape}]; the file has none`, WHOLE);
    if (dtype !== 'F32')
      throw invalid(`expected tensor ${source} as F32; it is ${dtype}`, 'convert the weights to float32');
    const shape = file.entries.get(source)?.shape ?? [];
    if (shape.join() !== sourceShape.join()) {
      const channels = source === sources[0]?.source && shape[1] === 3;
      throw invalid(
        `expected tensor ${source} of shape [${sourceShape}]; it has [${shape}]`,
        channels
          ? "use weights for grey films, such as torchxrayvision's; those of ImageNet read another kind of image"
          : WHOLE,
      );
    }
  }
  const known = new Set(sources.map(({ source }) => source));
  const surplus = all.find(({ name }) => !known.has(name) && !LEFT_OUT.test(name));
  if (surplus !== undefined) {
    throw invalid(`expected no tensor ${surplus.name.slice(0, 120)}: a DenseNet has none such; the file does`, WHOLE);
  }
}

const WHOLE = 'use the whole state_dict() of a DenseNet and nothing else';
const invalid = (message: string, remedy: string): FedError => new FedError('DATA_INVALID', message, remedy);

const greyed = ([outputs = 0, , height = 0, width = 0]: readonly number[]): number[] => [outputs, 1, height, width];

async function floatsOf(file: SafetensorsFile, name: string): Promise<Float32Array> {
  const bytes = await file.read(name);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** [O, I, H, W] -> [H, W, I, O] */
function toHwio(
  values: Float32Array,
  [outputs = 0, inputs = 0, height = 0, width = 0]: readonly number[],
): Float32Array {
  const result = new Float32Array(values.length);
  let from = 0;
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      for (let place = 0; place < height * width; place++) {
        result[(place * inputs + i) * outputs + o] = values[from++] as number;
      }
    }
  }
  return result;
}

/** The stem [7, 7, 1, O] for images in [-1, 1] of 1 or 3 channels: three equal channels give what one gives. */
function forOurImages(kernel: Float32Array, channels: 1 | 3): Float32Array {
  const outputs = kernel.length / STEM_PLACES;
  const result = new Float32Array(kernel.length * channels);
  for (let place = 0; place < STEM_PLACES; place++) {
    for (let channel = 0; channel < channels; channel++) {
      for (let o = 0; o < outputs; o++) {
        const value = (kernel[place * outputs + o] as number) * INPUT_SCALE;
        result[(place * channels + channel) * outputs + o] = value / channels;
      }
    }
  }
  return result;
}
const STEM_PLACES = 49;

function requireFinite(name: string, values: Float32Array): void {
  if (!values.every(Number.isFinite)) {
    throw invalid(
      `expected finite numbers in tensor ${name}; at least one is not`,
      'take the file from its source again',
    );
  }
}

async function metadataOf(tensors: readonly TensorToWrite[], config: ModelConfig): Promise<Record<string, string>> {
  const hashed = [];
  for (const { name, dtype, shape, data } of tensors) {
    const chunks: string[] = [];
    for await (const chunk of splitChunks([data as Uint8Array], CHUNK_BYTES))
      chunks.push(sha256(chunk).toString('hex'));
    hashed.push({ name, dtype, shape, chunks });
  }
  const metadata = {
    format: ENCODER_FORMAT,
    encoder: denseNetText(config.encoder),
    input_scale: String(INPUT_SCALE),
  };
  return withContentHash(metadata, hashed);
}
