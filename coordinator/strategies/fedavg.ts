/**
 * Federated averaging (McMahan et al. 2017, arXiv:1602.05629, algorithm 1), each tensor weighted by the records that
 * trained its group: a site without reports has no weight in the report decoder.
 */
import { weightGroupOf } from '#model/federated.ts';
import type { TensorEntry } from '#proto/gen/fed/v1/tensors.ts';
import { chunkLength } from '#proto/manifest.ts';
import { type Contribution, RejectedContribution, requireComparable, type StoredWeights } from './contribution.ts';

/** One chunk of the average, in the order of names and positions. */
export interface AveragedChunk {
  readonly tensor: TensorEntry;
  readonly index: number;
  /** Float32, little-endian. */
  readonly bytes: Uint8Array;
}

/**
 * Streams the average. Sums in float64 over the sites in the order of their names, so that the order of arrival
 * changes no bit; holds one chunk at a time, whatever the number of sites and the size of the model.
 *
 * A group that nobody trained keeps its previous value; before there is one, it is the plain mean of what the sites
 * sent, which is the initial value that all of them share. Tensors that no contribution holds are kept as they are.
 * @param previous the global weights so far, if any
 * @throws RejectedContribution naming the site whose update cannot be averaged; leave it out and begin again
 */
export async function* fedAvg(
  contributions: readonly Contribution[],
  previous: StoredWeights | undefined,
): AsyncGenerator<AveragedChunk, void, undefined> {
  const ordered = [...contributions].sort((a, b) => (a.site < b.site ? -1 : 1));
  requireComparable(ordered, previous?.manifest);
  const [first] = ordered;
  const chunkBytes = first?.manifest.chunkBytes ?? previous?.manifest.chunkBytes ?? 4;
  const contributed = new Map(first?.manifest.tensors.map((tensor, position) => [tensor.name, { tensor, position }]));
  const before = new Map(previous?.manifest.tensors.map(tensor => [tensor.name, tensor]));
  for (const name of [...new Set([...contributed.keys(), ...before.keys()])].sort()) {
    const found = contributed.get(name);
    const kept = before.get(name);
    const weights = found === undefined ? undefined : weightsFor(name, ordered, kept !== undefined);
    if (found !== undefined && weights !== undefined) {
      yield* averaged(found.tensor, found.position, chunkBytes, ordered, weights);
    } else if (kept !== undefined && previous !== undefined) {
      yield* copied(kept, previous);
    }
  }
}

/** Weight of each site in a tensor; undefined when the previous value is to be kept. */
function weightsFor(name: string, contributions: readonly Contribution[], hasPrevious: boolean): number[] | undefined {
  const group = weightGroupOf(name);
  const records = contributions.map(({ records }) => (group === undefined ? 0 : (records[group] ?? 0)));
  if (records.some(count => count > 0)) return records;
  return hasPrevious ? undefined : records.map(() => 1);
}

async function* averaged(
  tensor: TensorEntry,
  position: number,
  chunkBytes: number,
  contributions: readonly Contribution[],
  weights: readonly number[],
): AsyncGenerator<AveragedChunk, void, undefined> {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  for (let index = 0; index < tensor.chunkSha256.length; index++) {
    const bytes = chunkLength(tensor, index, chunkBytes);
    const sum = new Float64Array(bytes / 4);
    for (const [which, contribution] of contributions.entries()) {
      // A site without weight is read all the same: what is not finite is rejected whatever it counts.
      const address = contribution.manifest.tensors[position]?.chunkSha256[index]?.toString('hex') ?? '';
      const values = floats(await contribution.chunk(address));
      if (values.length !== sum.length) {
        throw new RejectedContribution(
          contribution.site,
          'MESSAGE_INVALID',
          `a chunk of ${tensor.name} has ${values.length * 4} bytes; expected ${bytes}`,
        );
      }
      if (!accumulate(sum, values, weights[which] ?? 0)) {
        throw new RejectedContribution(contribution.site, 'NON_FINITE', `tensor ${tensor.name} is not finite`);
      }
    }
    yield { tensor, index, bytes: divided(sum, total) };
  }
}

/** sum += weight * values; false when a value is not finite. */
function accumulate(sum: Float64Array, values: Float32Array, weight: number): boolean {
  // 0 * x is NaN exactly for x infinite or NaN, and NaN survives every sum: one test at the end sees them all.
  let probe = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    probe += value * 0;
    sum[i] = (sum[i] as number) + weight * value;
  }
  return probe === 0;
}

function divided(sum: Float64Array, total: number): Uint8Array {
  const mean = new Float32Array(sum.length);
  for (let i = 0; i < sum.length; i++) mean[i] = (sum[i] as number) / total;
  return new Uint8Array(mean.buffer);
}

async function* copied(tensor: TensorEntry, { chunk }: StoredWeights): AsyncGenerator<AveragedChunk, void, undefined> {
  for (const [index, address] of tensor.chunkSha256.entries()) {
    yield { tensor, index, bytes: await chunk(address.toString('hex')) };
  }
}

/** A view where the buffer allows it, a copy where not: pooled Node buffers begin anywhere. */
export function floats(bytes: Uint8Array): Float32Array {
  // Not slice(): a Buffer's slice is a view too.
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Float32Array(aligned.buffer, aligned.byteOffset, Math.floor(aligned.byteLength / 4));
}
