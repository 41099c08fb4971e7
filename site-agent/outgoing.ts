/** A file that may leave: read once and checked tensor by tensor; afterwards only chunks with the checked hashes can be read. */
import { open } from 'node:fs/promises';
import { openSafetensors, type SafetensorsFile } from '#model/checkpoint/safetensors.ts';
import type { RunConfig } from '#model/federated.ts';
import { sha256 } from '#proto/chunks.ts';
import { FedError } from '#proto/errors.ts';
import { TaskKind } from '#proto/gen/fed/v1/federation.ts';
import type { Chunk, Manifest } from '#proto/gen/fed/v1/tensors.ts';
import { buildManifest, type TensorSource } from '#proto/manifest.ts';
import {
  checkFinite,
  checkSameTensors,
  checkSynthetic,
  checkSyntheticContent,
  checkWeightNames,
} from './egress-checks.ts';
import type { CheckedTask } from './policy.ts';

export interface OutgoingSource {
  readonly kind: 'weights' | 'synthetic';
  readonly runId: string;
  readonly run: RunConfig;
  /** A safetensors file. */
  readonly path: string;
  /** The tensors that weights must be. */
  readonly reference?: Manifest | undefined;
  /** Weights may also hold G's buffers. */
  readonly buffersOfG?: boolean;
  /** The words of generated reports. */
  readonly vocabulary?: readonly string[];
}

/** A file that the worker made for a task, with all that it is checked against. */
export const outgoingOf = (
  { task, run }: CheckedTask,
  file: Pick<OutgoingSource, 'kind' | 'path'>,
): OutgoingSource => ({
  ...file,
  runId: task.runId,
  run,
  reference: file.kind === 'weights' ? task.weights : undefined,
  buffersOfG: task.kind === TaskKind.GENERATE,
  vocabulary: task.vocabulary,
});

/** Where the bytes of a chunk lie in the file. */
interface Place {
  readonly position: number;
  readonly length: number;
}

export class Outgoing {
  readonly kind: 'weights' | 'synthetic';
  readonly runId: string;
  readonly manifest: Manifest;
  readonly #path: string;
  readonly #places: ReadonlyMap<string, Place>;

  private constructor(source: OutgoingSource, manifest: Manifest, places: ReadonlyMap<string, Place>) {
    this.kind = source.kind;
    this.runId = source.runId;
    this.manifest = manifest;
    this.#path = source.path;
    this.#places = places;
  }

  /** @throws FedError POLICY_REFUSED | NON_FINITE naming the tensor, FILE_CORRUPT, NOT_FOUND */
  static async read(source: OutgoingSource): Promise<Outgoing> {
    const places = new Map<string, Place>();
    const filled = new Map<string, number>();
    const file = await openSafetensors(source.path);
    try {
      const manifest = await buildManifest(tensorsOf(file), (hash, data, tensor) => {
        if (source.kind === 'weights') checkFinite(tensor, data);
        const before = filled.get(tensor) ?? 0;
        filled.set(tensor, before + data.length);
        const position = (file.entries.get(tensor)?.byteOffset ?? 0) + before;
        places.set(hash.toString('hex'), { position, length: data.length });
      });
      if (source.kind === 'synthetic') {
        checkSynthetic(manifest, source.run);
        const content = { labels: file.stream('labels'), reports: file.stream('reports') };
        await checkSyntheticContent(content, source.run.pairs, source.vocabulary ?? []);
      } else {
        checkWeightNames(manifest);
      }
      if (source.reference !== undefined) {
        checkSameTensors(manifest, source.reference, { buffersOfG: source.buffersOfG ?? false });
      }
      return new Outgoing(source, manifest, places);
    } finally {
      await file.close();
    }
  }

  get addresses(): Iterable<string> {
    return this.#places.keys();
  }

  /**
   * The chunks at these addresses; addresses of other chunks are passed over: the coordinator cannot ask for them.
   * @throws FedError FILE_CORRUPT when the file is no longer what was checked
   */
  async *chunks(addresses: readonly string[]): AsyncGenerator<Chunk> {
    const file = await open(this.#path, 'r');
    try {
      for (const address of addresses) {
        const place = this.#places.get(address);
        if (place === undefined) continue;
        const data = Buffer.alloc(place.length);
        await file.read(data, 0, place.length, place.position);
        const hash = sha256(data);
        if (hash.toString('hex') !== address) {
          throw new FedError('FILE_CORRUPT', 'expected the file as it was checked; it has changed', 'train again');
        }
        yield { sha256: hash, data };
      }
    } finally {
      await file.close();
    }
  }
}

function* tensorsOf(file: SafetensorsFile): Generator<TensorSource> {
  for (const [name, { dtype, shape }] of file.entries) yield { name, dtype, shape, bytes: file.stream(name) };
}
