/** Chunks up and down: only missing ones travel, only checked ones are stored, only visible ones are given out. */
import type { ActiveRun } from '#coordinator/rounds/active-run.ts';
import { stepId } from '#coordinator/rounds/steps.ts';
import { SHA256_BYTES, verifiedChunk } from '#proto/chunks.ts';
import { FedError } from '#proto/errors.ts';
import type {
  MissingChunksRequest,
  MissingChunksResponse,
  PullChunksRequest,
  PullChunksResponse,
  PushChunksRequest,
  PushChunksResponse,
} from '#proto/gen/fed/v1/tensors.ts';
import { type Caller, type HandlerContext, runFor } from './context.ts';

/** 64 GiB in chunks of 1 MiB. */
const MAX_ADDRESSES = 65_536;

/** Which of these are neither uploaded by this site nor part of the global weights, in the order asked. */
export async function missingChunks(
  { runId, sha256 }: MissingChunksRequest,
  caller: Caller,
  context: HandlerContext,
): Promise<MissingChunksResponse> {
  const run = runFor(runId, caller, context);
  const addresses = requireAddresses(sha256);
  const visible = await run.visible.for(run.state);
  const uploads = run.files.uploads(caller.site);
  const missing: Buffer[] = [];
  for (const [i, address] of addresses.entries()) {
    if (!visible.has(address) && !(await uploads.has(address))) missing.push(sha256[i] as Buffer);
  }
  return { sha256: missing };
}

/** Stores chunks of one run; each is durable before the next is read. @throws FedError LIMIT_EXCEEDED | MESSAGE_INVALID */
export async function pushChunks(
  requests: AsyncIterable<PushChunksRequest>,
  caller: Caller,
  context: HandlerContext,
): Promise<PushChunksResponse> {
  let stored = 0;
  let bytes = 0;
  for await (const request of requests) {
    const run = runFor(request.runId, caller, context);
    const step = requireUploadStep(run, caller.site);
    const { sha256, data } = verifiedChunk(request.chunk);
    await context.quota.take(request.runId, caller.site, step, data.length, run.files);
    await run.files.uploads(caller.site).put(data, sha256.toString('hex'));
    stored++;
    bytes += data.length;
  }
  return { stored, bytes: BigInt(bytes) };
}

/** @throws FedError NOT_FOUND at the first chunk that this run's tasks do not name */
export async function* pullChunks(
  { runId, sha256 }: PullChunksRequest,
  caller: Caller,
  context: HandlerContext,
): AsyncGenerator<PullChunksResponse, void, undefined> {
  const run = runFor(runId, caller, context);
  const addresses = requireAddresses(sha256);
  const visible = await run.visible.for(run.state);
  for (const [i, address] of addresses.entries()) {
    if (!visible.has(address)) {
      throw new FedError('NOT_FOUND', `expected a chunk of the run's present weights; ${address} is none`);
    }
    yield { chunk: { sha256: sha256[i] as Buffer, data: await run.files.global.get(address) } };
  }
}

function requireAddresses(sha256: readonly Buffer[]): string[] {
  if (sha256.length > MAX_ADDRESSES) {
    throw new FedError('LIMIT_EXCEEDED', `at most ${MAX_ADDRESSES} chunks a call; ${sha256.length} came`);
  }
  if (sha256.some(hash => hash.length !== SHA256_BYTES)) {
    throw new FedError('MESSAGE_INVALID', 'expected hashes of 32 bytes; others came');
  }
  return sha256.map(hash => hash.toString('hex'));
}

/** The step for which this site owes weights now. @throws FedError MESSAGE_INVALID when there is none */
function requireUploadStep({ state }: ActiveRun, site: string): string {
  const { step, status } = state;
  const owes = status === 'running' && step?.collecting && step.sites[site]?.status === 'waiting';
  if (!owes || (step.kind !== 'train' && step.kind !== 'generate')) {
    throw new FedError('MESSAGE_INVALID', 'this run expects no weights from this site now', 'wait for the next task');
  }
  return stepId(step);
}
