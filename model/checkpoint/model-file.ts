/**
 * A trained G and F as one file: averaged (EMA) weights, standing statistics, and in the metadata all that is needed to
 * generate with them. It is what a run releases, and what `emixer model export` writes. No TensorFlow in here.
 */

import { FedError } from '#proto/errors.ts';
import { type ModelConfig, resolveModelConfig } from '../config.ts';
import { canonicalJson, type GlobalStatistics, modelConfigOf, type RunConfig } from '../federated.ts';
import { Vocabulary } from '../text/vocabulary.ts';
import { type HashedTensor, requireContent } from './content-hash.ts';
import { openSafetensors, type SafetensorsFile } from './safetensors.ts';

export interface ModelFile {
  readonly path: string;
  readonly file: SafetensorsFile;
  readonly tensors: readonly HashedTensor[];
  readonly config: ModelConfig;
  readonly vocabulary: Vocabulary;
  /** Positive training records by label name, totals of the federation. */
  readonly labelTotals: Readonly<Record<string, number>>;
}

/** What a run writes beside the weights. The configuration is whole: presets may change between versions. */
export function modelMetadata(
  run: RunConfig,
  vocabulary: readonly string[],
  statistics: GlobalStatistics | undefined,
): Record<string, string> {
  return {
    format: FORMAT,
    model_config: canonicalJson(modelConfigOf(run)),
    run_config: canonicalJson(run),
    vocabulary: JSON.stringify(vocabulary),
    statistics: canonicalJson(statistics ?? {}),
  };
}

const FORMAT = 'emixer-model-1';

/**
 * Opens a model and checks every byte of it; the caller closes `file`.
 * @throws FedError NOT_FOUND without the file; FILE_CORRUPT when it is damaged, changed, or no model
 */
export async function openModelFile(path: string): Promise<ModelFile> {
  const file = await openSafetensors(path);
  try {
    if (file.metadata['format'] !== FORMAT) {
      const came = file.metadata['format'] ?? 'none';
      throw corrupt(path, `"format": "${FORMAT}" in its metadata; ${came.slice(0, 60)} came`);
    }
    const tensors = await requireContent(file, path);
    const config = parsedConfig(path, parsed(path, file, 'model_config'));
    const vocabulary = parsed(path, file, 'vocabulary');
    if (!isTexts(vocabulary)) throw corrupt(path, 'a list of words as its vocabulary');
    return {
      path,
      file,
      tensors,
      config,
      vocabulary: new Vocabulary(vocabulary),
      labelTotals: totals(path, file),
    };
  } catch (thrown) {
    await file.close();
    throw thrown;
  }
}

function parsed(path: string, { metadata }: SafetensorsFile, key: string): unknown {
  try {
    return JSON.parse(metadata[key] ?? '');
  } catch (cause) {
    throw corrupt(path, `JSON under "${key}" in its metadata`, cause);
  }
}

/** A field that is newer than the file has the preset's value. */
function parsedConfig(path: string, value: unknown): ModelConfig {
  if (value === null || typeof value !== 'object') throw corrupt(path, 'a model configuration in its metadata');
  try {
    return resolveModelConfig('biggan128', value);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw corrupt(path, `a model configuration that this version knows (${reason})`, cause);
  }
}

function totals(path: string, file: SafetensorsFile): Record<string, number> {
  const statistics = parsed(path, file, 'statistics') as { readonly labels?: unknown } | null;
  const labels = Object.entries((statistics?.labels ?? {}) as Record<string, unknown>);
  if (labels.some(([, count]) => typeof count !== 'number' || !Number.isFinite(count) || count < 0)) {
    throw corrupt(path, 'counts of records as its label totals');
  }
  return Object.fromEntries(labels) as Record<string, number>;
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every(item => typeof item === 'string');

const corrupt = (path: string, expected: string, cause?: unknown): FedError =>
  new FedError(
    'FILE_CORRUPT',
    `${path} is no model of this program: expected ${expected}`,
    "use the model.safetensors of a run's release, or what emixer model export wrote",
    { cause },
  );
