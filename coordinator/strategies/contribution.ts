/** What a strategy averages: the updates of some sites, read chunk by chunk. */
import type { WeightGroup } from '#model/federated.ts';
import { weightGroupOf } from '#model/federated.ts';
import type { ErrorCode } from '#proto/errors.ts';
import { type Manifest, type TensorEntry, TensorType } from '#proto/gen/fed/v1/tensors.ts';

/** Global weights as they are stored. */
export interface StoredWeights {
  readonly manifest: Manifest;
  /** The bytes under a chunk address of the manifest. */
  readonly chunk: (address: string) => Promise<Uint8Array>;
}

export interface Contribution extends StoredWeights {
  readonly site: string;
  /** Records that trained each group; a group that is not named has none. */
  readonly records: Readonly<Partial<Record<WeightGroup, number>>>;
}

/** A contribution that cannot be averaged, and why: the round goes on without it. */
export class RejectedContribution extends Error {
  readonly site: string;
  readonly code: ErrorCode;

  constructor(site: string, code: ErrorCode, message: string) {
    super(message);
    this.name = 'RejectedContribution';
    this.site = site;
    this.code = code;
  }
}

/** Why this tensor may not be averaged, or undefined when it may. */
export function refusalOf({ name, dtype }: TensorEntry): string | undefined {
  if (weightGroupOf(name) === undefined) return `tensor ${name} is of no module that may leave a site`;
  return dtype === TensorType.F32 ? undefined : `tensor ${name} is not float32`;
}

const sameTensor = (a: TensorEntry, b: TensorEntry): boolean =>
  a.dtype === b.dtype && a.shape.length === b.shape.length && a.shape.every((size, axis) => size === b.shape[axis]);

/** Names, types, shapes and cut: contributions are comparable only when these are equal. */
const schemaOf = ({ chunkBytes, tensors }: Manifest): string =>
  JSON.stringify([chunkBytes, tensors.map(({ name, dtype, shape }) => [name, dtype, shape])]);

/**
 * Checks that contributions can be averaged with each other and over the weights so far. Where they differ, the
 * schema that most sites have is right, and among equally many that of the first site by name.
 * @param contributions in canonical order
 * @throws RejectedContribution the first that does not fit
 */
export function requireComparable(contributions: readonly Contribution[], previous: Manifest | undefined): void {
  const known = new Map(previous?.tensors.map(tensor => [tensor.name, tensor]));
  const votes = new Map<string, number>();
  for (const { site, manifest } of contributions) {
    requireAllowed(site, manifest, previous?.chunkBytes);
    for (const tensor of manifest.tensors) {
      const before = known.get(tensor.name);
      if (before !== undefined && !sameTensor(before, tensor)) {
        const came = `[${tensor.shape}]; expected [${before.shape}]`;
        throw new RejectedContribution(site, 'MESSAGE_INVALID', `tensor ${tensor.name} has shape ${came}`);
      }
    }
    const schema = schemaOf(manifest);
    votes.set(schema, (votes.get(schema) ?? 0) + 1);
  }
  // Map keeps insertion order and the sort is stable: equal votes leave the first site's schema first.
  const [right] = [...votes].sort(([, a], [, b]) => b - a);
  const odd = contributions.find(({ manifest }) => schemaOf(manifest) !== right?.[0]);
  if (odd !== undefined) {
    throw new RejectedContribution(odd.site, 'MESSAGE_INVALID', 'its tensors differ from those of the other sites');
  }
}

/** @throws RejectedContribution */
function requireAllowed(site: string, manifest: Manifest, chunkBytes: number | undefined): void {
  const reason =
    manifest.tensors.length === 0
      ? 'it holds no tensor'
      : manifest.chunkBytes % 4 !== 0
        ? `its chunks of ${manifest.chunkBytes} bytes cut through numbers`
        : chunkBytes !== undefined && manifest.chunkBytes !== chunkBytes
          ? `its chunks have ${manifest.chunkBytes} bytes; expected ${chunkBytes}`
          : manifest.tensors.map(refusalOf).find(refusal => refusal !== undefined);
  if (reason !== undefined) throw new RejectedContribution(site, 'MESSAGE_INVALID', reason);
}
