/** SubmitResult: signed by the site, stored whole, counted once. */
import type { ActiveRun } from '#coordinator/rounds/active-run.ts';
import type { SiteResult } from '#coordinator/rounds/events.ts';
import type { StepState } from '#coordinator/rounds/state.ts';
import { parseTaskId, stepId } from '#coordinator/rounds/steps.ts';
import { FedError, isErrorCode, toFedError } from '#proto/errors.ts';
import type { SubmitResultRequest, SubmitResultResponse, TaskFailure } from '#proto/gen/fed/v1/federation.ts';
import type { Manifest } from '#proto/gen/fed/v1/tensors.ts';
import { chunkAddresses } from '#proto/manifest.ts';
import { resultDigest, verifyDigest } from '#proto/signing.ts';
import { type Caller, type HandlerContext, runFor } from './context.ts';
import { checkOutcome, requireSameModel } from './outcome.ts';

/**
 * Idempotent: a task that has an answer, or whose step has closed, is answered `accepted: false`.
 * @throws FedError UNAUTHENTICATED on a task or signature of somebody else; NOT_FOUND on an unknown run;
 * MESSAGE_INVALID when chunks are still missing (push them and submit again) or the result is refused
 */
export async function submitResult(
  request: SubmitResultRequest,
  caller: Caller,
  context: HandlerContext,
): Promise<SubmitResultResponse> {
  const parts = parseTaskId(request.taskId);
  if (parts === undefined || parts.site !== caller.site) {
    throw new FedError('UNAUTHENTICATED', 'expected the result of a task of the calling site; another came');
  }
  if (!verifyDigest(caller.publicKeyPem, resultDigest(request), request.signature)) {
    throw new FedError(
      'UNAUTHENTICATED',
      `the signature of the result of ${request.taskId} is not that of the site's key`,
      'enrol the site again if its key was replaced',
    );
  }
  const run = runFor(parts.runId, caller, context);
  const { step } = run.state;
  const expected =
    run.state.status === 'running' &&
    step?.collecting &&
    stepId(step) === parts.step &&
    step.sites[caller.site]?.status === 'waiting';
  const accepted = expected ? await takeIn(request, run, step, caller, context) : false;
  context.sessions.of(caller.site)?.forgetTask(parts.runId);
  return { accepted };
}

async function takeIn(
  request: SubmitResultRequest,
  run: ActiveRun,
  step: StepState,
  caller: Caller,
  context: HandlerContext,
): Promise<boolean> {
  const { site } = caller;
  if (request.outcome?.$case === 'failure') return recordFailure(run, step, site, request.outcome.value, context);
  let result: SiteResult;
  try {
    const checked = checkOutcome(request.outcome, run.state, step, site);
    await requireModelOfRun(request, run);
    await requireChunks(request, run, site);
    result = { ...checked, submission: await run.files.putSubmission(request) };
  } catch (thrown) {
    const error = toFedError(thrown);
    // Refused for what it is, not for what is missing or full: the same would come again, so the step goes on without.
    if (error.code === 'MESSAGE_INVALID' || error.code === 'LIMIT_EXCEEDED') {
      if (!(error instanceof MissingChunk)) {
        await recordFailure(run, step, site, { code: error.code, message: error.message }, context);
      }
    }
    throw error;
  }
  return run.record(
    { type: 'SiteResult', step: stepId(step), site, result, atMs: context.clock.nowMs() },
    {
      actor: `site:${site}`,
      action: 'result.accepted',
      detail: { task: request.taskId, submission: result.submission, signature: request.signature.toString('base64') },
    },
  );
}

function recordFailure(
  run: ActiveRun,
  step: StepState,
  site: string,
  { code, message }: TaskFailure,
  { clock }: HandlerContext,
): Promise<boolean> {
  const reason = message.slice(0, 500).replace(/\p{C}/gu, '?');
  const known = isErrorCode(code) ? code : 'INTERNAL';
  return run.record(
    { type: 'SiteFailed', step: stepId(step), site, code: known, reason, atMs: clock.nowMs() },
    { actor: `site:${site}`, action: 'task.failed', detail: { run: run.state.runId, step: stepId(step), code: known } },
  );
}

async function requireModelOfRun({ outcome }: SubmitResultRequest, { state, files }: ActiveRun): Promise<void> {
  const asked = state.emaWeights ?? state.weights;
  if (outcome?.$case !== 'generate' || outcome.value.model === undefined || asked === undefined) return;
  requireSameModel(outcome.value.model, await files.manifest(asked));
}

class MissingChunk extends FedError {}

/** Every chunk is on this disk, durably, before the result counts; a generated set becomes part of the run. */
async function requireChunks({ outcome }: SubmitResultRequest, run: ActiveRun, site: string): Promise<void> {
  const manifests: (Manifest | undefined)[] =
    outcome?.$case === 'train'
      ? [outcome.value.contribution]
      : outcome?.$case === 'generate'
        ? [outcome.value.synthetic, outcome.value.model]
        : [];
  const uploads = run.files.uploads(site);
  for (const manifest of manifests) {
    const missing = manifest && (await run.files.missingChunk(site, manifest));
    if (missing !== undefined) {
      throw new MissingChunk(
        'MESSAGE_INVALID',
        `expected all chunks before the result; ${missing} is missing`,
        'push the missing chunks, then submit again',
      );
    }
  }
  if (manifests.length > 0) await uploads.sync();
  if (outcome?.$case !== 'generate') return;
  const adopted: string[] = [];
  for (const address of manifests.flatMap(manifest => (manifest ? chunkAddresses(manifest) : []))) {
    if (!(await run.files.global.has(address))) adopted.push(address);
  }
  await run.files.global.adopt(uploads, adopted);
}
