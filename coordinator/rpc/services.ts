/** gRPC shells: every call is authorised, then handed to its handler. Nothing else happens here. */
import { type EnrolmentContext, enroll } from '#coordinator/enrolment/enroll.ts';
import { authorise } from '#coordinator/handlers/authorise.ts';
import { missingChunks, pullChunks, pushChunks } from '#coordinator/handlers/chunks.ts';
import type { Caller, HandlerContext } from '#coordinator/handlers/context.ts';
import { submitResult } from '#coordinator/handlers/results.ts';
import { heartbeat, openSession, reportMetrics } from '#coordinator/handlers/session.ts';
import { toFedError } from '#proto/errors.ts';
import type { EnrolmentServiceServer, FederationServiceServer } from '#proto/gen/fed/v1/federation.ts';
import {
  type CallContext,
  handleClientStream,
  handleDuplex,
  handleServerStream,
  handleUnary,
  type OnFailure,
} from '#proto/handlers.ts';

type Unary<Request, Response> = (request: Request, caller: Caller, context: HandlerContext) => Promise<Response>;
type Streaming<Request, Response> = (
  request: Request,
  caller: Caller,
  context: HandlerContext,
) => AsyncIterable<Response>;

/** The main listener's service. */
export function federationService(context: HandlerContext): FederationServiceServer {
  const onFailure = logged(context);
  const callerOf = (call: CallContext): Promise<Caller> => authorise(call.peer(), context.store, call.signal);
  const unary =
    <Request, Response>(handler: Unary<Request, Response>) =>
    async (request: Request, call: CallContext) =>
      handler(request, await callerOf(call), context);
  const streaming = <Request, Response>(handler: Streaming<Request, Response>) =>
    async function* (request: Request, call: CallContext): AsyncIterable<Response> {
      yield* handler(request, await callerOf(call), context);
    };
  return {
    openSession: handleServerStream(streaming(openSession), onFailure),
    heartbeat: handleDuplex(streaming(heartbeat), onFailure),
    missingChunks: handleUnary(unary(missingChunks), onFailure),
    pushChunks: handleClientStream(unary(pushChunks), onFailure),
    pullChunks: handleServerStream(streaming(pullChunks), onFailure),
    submitResult: handleUnary(unary(submitResult), onFailure),
    reportMetrics: handleUnary(unary(reportMetrics), onFailure),
  };
}

/** The enrolment listener's service: its callers have no certificate yet. */
export function enrolmentService(context: EnrolmentContext): EnrolmentServiceServer {
  return { enroll: handleUnary(request => enroll(request, context), logged(context)) };
}

/** Refusals are news, crashes are errors: only those carry their stack. */
const logged =
  ({ log }: Pick<HandlerContext, 'log'>): OnFailure =>
  (thrown, { path, address }) => {
    const error = toFedError(thrown);
    if (error.code === 'INTERNAL') log.error({ path, address, err: error }, 'call failed');
    else log.warn({ path, address, code: error.code, reason: error.message }, 'call refused');
  };
