/** One aggregation: contributions on disk to new global weights on disk, chunk by chunk, and the average over rounds. */
import type { RunFiles } from '#coordinator/store/run-files.ts';
import type { Contribution, StoredWeights } from '#coordinator/strategies/contribution.ts';
import { emaChunk, emaDecayOver } from '#coordinator/strategies/ema.ts';
import { fedAvg } from '#coordinator/strategies/fedavg.ts';
import { type Manifest, type TensorEntry, TensorType } from '#proto/gen/fed/v1/tensors.ts';
import type { Submission } from './plan.ts';
import type { RunState } from './state.ts';
import { localSteps } from './steps.ts';

export interface Aggregation {
  /** Documents: encoded manifests. */
  readonly weights: string;
  readonly emaWeights: string;
}

/**
 * Deterministic: after a crash in the middle it is done again, with the same bytes. Between chunks it waits for the
 * disk, which lets the event loop go on; the longest piece of work is one chunk of one site.
 * @throws RejectedContribution naming a site to leave out; FedError DISK_FULL; the signal's reason
 */
export async function aggregate(
  files: RunFiles,
  state: RunState,
  results: readonly Submission[],
  signal: AbortSignal,
): Promise<Aggregation> {
  const previous = await stored(files, state.weights);
  const average = await averageBefore(files, state);
  const weights: TensorEntry[] = [];
  const emaWeights: TensorEntry[] = [];
  const contributions = await contributionsOf(files, results);
  for await (const { tensor, index, bytes } of fedAvg(contributions, previous)) {
    signal.throwIfAborted();
    weights.push(...(index === 0 ? [emptied(tensor)] : []));
    emaWeights.push(...(index === 0 ? [emptied(tensor)] : []));
    const address = Buffer.from(await files.global.put(bytes), 'hex');
    weights.at(-1)?.chunkSha256.push(address);
    const smoothed = average && emaChunk(await average.chunk(tensor.name, index), bytes, average.kept);
    const unchanged = smoothed === undefined || smoothed === bytes;
    emaWeights.at(-1)?.chunkSha256.push(unchanged ? address : Buffer.from(await files.global.put(smoothed), 'hex'));
  }
  await files.global.sync();
  const chunkBytes = contributions[0]?.manifest.chunkBytes ?? previous?.manifest.chunkBytes ?? 1;
  return {
    weights: await files.putManifest({ chunkBytes, tensors: weights }),
    emaWeights: await files.putManifest({ chunkBytes, tensors: emaWeights }),
  };
}

const emptied = ({ name, shape }: TensorEntry): TensorEntry => ({
  name,
  dtype: TensorType.F32,
  shape,
  chunkSha256: [],
});

async function contributionsOf(files: RunFiles, results: readonly Submission[]): Promise<Contribution[]> {
  return Promise.all(
    results.map(async ({ site, result }) => ({
      site,
      records: result.kind === 'train' ? result.records : {},
      manifest: await files.contribution(result.submission),
      chunk: (address: string) => files.contributed(site, address),
    })),
  );
}

async function stored(files: RunFiles, address: string | undefined): Promise<StoredWeights | undefined> {
  if (address === undefined) return undefined;
  return { manifest: await files.manifest(address), chunk: chunk => files.global.get(chunk) };
}

/** The average so far, where this step smooths: before the first adversarial step it is the weights themselves. */
async function averageBefore(files: RunFiles, { step, config, emaWeights, generatorSteps }: RunState) {
  if (step?.stage !== 'adversarial' || emaWeights === undefined) return undefined;
  const manifest: Manifest = await files.manifest(emaWeights);
  const byName = new Map(manifest.tensors.map(tensor => [tensor.name, tensor]));
  return {
    kept: emaDecayOver(config.emaDecay, generatorSteps, localSteps(config, step.stage)),
    async chunk(name: string, index: number): Promise<Uint8Array | undefined> {
      const address = byName.get(name)?.chunkSha256[index];
      return address && files.global.get(address.toString('hex'));
    },
  };
}
