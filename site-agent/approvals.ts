/** Which runs a person at the site approved: by the hash of what they saw, never by a name that someone else chose. */
import { type Static, Type } from 'typebox';
import { FedError } from '#proto/errors.ts';
import { parseWith } from '#proto/validate.ts';
import { readIfThere, sitePaths, writePrivateFile } from './state.ts';

const closed = { additionalProperties: false };
const sha256Hex = Type.String({ pattern: '^[0-9a-f]{64}$' });

const ApprovalsSchema = Type.Object({ approved: Type.Record(sha256Hex, Type.Integer(), { default: {} }) }, closed);
const PendingSchema = Type.Object(
  {
    runs: Type.Record(
      Type.String(),
      Type.Object({ sha256: sha256Hex, config: Type.Unknown(), firstSeenMs: Type.Integer() }, closed),
      { default: {} },
    ),
  },
  closed,
);
export type PendingRun = Static<typeof PendingSchema>['runs'][string];

/** Hashes of approved run configurations, with the time of approval. */
async function readApproved(dir: string): Promise<Readonly<Record<string, number>>> {
  const text = await readIfThere(sitePaths(dir).approvals);
  return parseWith(ApprovalsSchema, text === undefined ? {} : JSON.parse(text), 'approvals.json').approved;
}

export const readApprovals = async (dir: string): Promise<ReadonlySet<string>> =>
  new Set(Object.keys(await readApproved(dir)));

export async function readPending(dir: string): Promise<Readonly<Record<string, PendingRun>>> {
  const text = await readIfThere(sitePaths(dir).pending);
  return parseWith(PendingSchema, text === undefined ? {} : JSON.parse(text), 'pending.json').runs;
}

/**
 * Writes down what waits for approval, so that a person can read the configuration before saying yes.
 * @throws FedError POLICY_REFUSED when the run waits with another configuration: a person may be reading that one
 */
export async function addPending(dir: string, runId: string, run: PendingRun): Promise<void> {
  const pending = await readPending(dir);
  const before = Object.hasOwn(pending, runId) ? pending[runId] : undefined;
  if (before !== undefined && before.sha256 !== run.sha256) {
    throw new FedError(
      'POLICY_REFUSED',
      `expected run ${runId} as it waits for approval, with configuration ${before.sha256}; it came with ${run.sha256}`,
      'create a new run for another configuration',
    );
  }
  if (before !== undefined) return;
  const runs = { ...pending, [runId]: run };
  // A coordinator that keeps inventing runs must not fill the disk: the oldest are forgotten.
  const kept = Object.entries(runs)
    .sort(([, a], [, b]) => b.firstSeenMs - a.firstSeenMs)
    .slice(0, 100);
  await writePrivateFile(sitePaths(dir).pending, `${JSON.stringify({ runs: Object.fromEntries(kept) }, null, 2)}\n`);
}

/**
 * Approves a run that waits (by its id) or any configuration by its SHA-256 in hex.
 * @returns the hash that is now approved
 * @throws FedError NOT_FOUND when no such run waits
 */
export async function approveRun(dir: string, run: string, nowMs: number): Promise<string> {
  const sha256 = /^[0-9a-f]{64}$/.test(run) ? run : (await readPending(dir))[run]?.sha256;
  if (sha256 === undefined) {
    const waiting = Object.keys(await readPending(dir)).join(', ') || 'none';
    throw new FedError('NOT_FOUND', `no run "${run}" waits for approval; waiting: ${waiting}`, 'start the agent first');
  }
  const approved = { ...(await readApproved(dir)), [sha256]: nowMs };
  await writePrivateFile(sitePaths(dir).approvals, `${JSON.stringify({ approved }, null, 2)}\n`);
  return sha256;
}
