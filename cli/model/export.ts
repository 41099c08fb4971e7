/** `emixer model export`: the averaged G and F of a model file with all that is needed to use them elsewhere. */
import { realpath } from 'node:fs/promises';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { withContentHash } from '#model/checkpoint/content-hash.ts';
import { openModelFile } from '#model/checkpoint/model-file.ts';
import { writeSafetensors } from '#model/checkpoint/safetensors.ts';
import { disposeGenerators, loadGenerators } from '#model/generation/load-generators.ts';
import { FedError } from '#proto/errors.ts';
import { SOFTWARE_VERSION } from '#proto/version.ts';
import { sha256OfFile } from './generated-folder.ts';

export interface ExportResult {
  readonly out: string;
  readonly sha256: string;
  readonly source: { readonly path: string; readonly sha256: string };
  readonly tensors: number;
  /** Of G and F, buffers included. */
  readonly scalars: number;
  readonly resolution: number;
  readonly channels: number;
  readonly vocabulary: number;
}

/**
 * The file appears whole or not at all.
 * @throws FedError NOT_FOUND | FILE_CORRUPT when the model is missing, damaged, changed, or not what its configuration says
 */
export async function exportModel(
  path: string,
  out: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ExportResult> {
  const model = await openModelFile(path);
  try {
    if ((await realpath(out).catch(() => undefined)) === (await realpath(path))) {
      throw new FedError('USAGE', `--out is the model itself, ${out}; expected another file`, 'choose another name');
    }
    await loadBackend(backendOptionsFromEnvironment(env));
    // That every tensor is there, with its shape, is only known once the networks stand.
    disposeGenerators(await loadGenerators(model));
    const source = { path, sha256: await sha256OfFile(path) };
    const { file, config, vocabulary } = model;
    const entries = [...file.entries.values()];
    const { chunk_bytes: chunkBytes, ...described } = file.metadata;
    const metadata = { ...described, exported_by: `emixer ${SOFTWARE_VERSION}`, source_sha256: source.sha256 };
    await writeSafetensors(
      out,
      entries.map(({ name, dtype, shape }) => ({ name, dtype, shape, data: file.stream(name) })),
      withContentHash(metadata, model.tensors, chunkBytes === undefined ? undefined : Number(chunkBytes)),
    );
    const { resolution, channels } = config;
    const scalars = entries.reduce((sum, { byteLength }) => sum + byteLength / 4, 0);
    const counts = { tensors: entries.length, scalars, resolution, channels, vocabulary: vocabulary.tokens.length };
    return { out, sha256: await sha256OfFile(out), source, ...counts };
  } finally {
    await model.file.close();
  }
}
