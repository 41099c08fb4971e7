/** Client side of the four kinds of call: callbacks become promises, streams become AsyncIterables, errors FedErrors. */
import { type CallOptions, type Client, Metadata, type ServiceError } from '@grpc/grpc-js';
import { FedError } from './errors.ts';
import { fromServiceError } from './status.ts';

/** One entry of a generated service definition, e.g. `FederationServiceService.submitResult`. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (value: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

export interface CallSettings {
  /** The call fails with UNREACHABLE after this long. Leave it out only for streams that live as long as a session. */
  readonly timeoutMs?: number;
  /** Aborting cancels the call, which then fails with CANCELLED. */
  readonly signal?: AbortSignal;
}

interface Cancellable {
  cancel(): void;
}

// The deadline is gRPC's own, a wall-clock instant: nothing that decides anything reads this clock.
const optionsOf = (settings: CallSettings): CallOptions =>
  settings.timeoutMs === undefined ? {} : { deadline: Date.now() + settings.timeoutMs };

function refuseIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new FedError('CANCELLED', 'the call was cancelled before it began');
}

/** Cancels `call` when the signal aborts; returns how to stop listening. */
function cancelOn(signal: AbortSignal | undefined, call: Cancellable): () => void {
  const onAbort = (): void => call.cancel();
  signal?.addEventListener('abort', onAbort, { once: true });
  return () => signal?.removeEventListener('abort', onAbort);
}

/** One request, one response. @throws FedError whatever the other end answered, UNREACHABLE, CANCELLED */
export async function callUnary<Request, Response>(
  client: Client,
  method: Method<Request, Response>,
  request: Request,
  settings: CallSettings & { readonly timeoutMs: number },
): Promise<Response> {
  refuseIfAborted(settings.signal);
  let release = (): void => {};
  try {
    return await new Promise<Response>((resolve, reject) => {
      const call = client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        new Metadata(),
        optionsOf(settings),
        settle(resolve, reject),
      );
      release = cancelOn(settings.signal, call);
    });
  } finally {
    release();
  }
}

/** Many requests with back-pressure, one response. @throws FedError as callUnary, and what `requests` throws */
export async function callClientStream<Request, Response>(
  client: Client,
  method: Method<Request, Response>,
  requests: AsyncIterable<Request> | Iterable<Request>,
  settings: CallSettings = {},
): Promise<Response> {
  refuseIfAborted(settings.signal);
  let settled = false;
  let settleCall = (_error: ServiceError | null, _value?: Response): void => {};
  const response = new Promise<Response>((resolve, reject) => {
    settleCall = settle(resolve, reject);
  });
  const call = client.makeClientStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    new Metadata(),
    optionsOf(settings),
    (error: ServiceError | null, value?: Response) => {
      settled = true;
      call.destroy();
      settleCall(error, value);
    },
  );
  const release = cancelOn(settings.signal, call);
  // The other end may answer, with an error too, before all is written: whichever comes first ends the writing.
  response.catch(() => {});
  call.on('error', () => {});
  try {
    for await (const request of requests) {
      if (settled) break;
      if (!call.write(request)) await drained(call);
    }
    if (!settled) call.end();
    return await response;
  } catch (thrown) {
    call.cancel();
    throw fromServiceError(thrown);
  } finally {
    release();
  }
}

/** One request, many responses; leaving the loop cancels the call. @throws FedError as callUnary */
export async function* callServerStream<Request, Response>(
  client: Client,
  method: Method<Request, Response>,
  request: Request,
  settings: CallSettings = {},
): AsyncGenerator<Response, void, undefined> {
  refuseIfAborted(settings.signal);
  const call = client.makeServerStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    request,
    new Metadata(),
    optionsOf(settings),
  );
  yield* received(call, settings.signal);
}

/** Many requests and many responses at once; leaving the loop cancels the call. @throws FedError as callUnary */
export async function* callDuplex<Request, Response>(
  client: Client,
  method: Method<Request, Response>,
  requests: AsyncIterable<Request>,
  settings: CallSettings = {},
): AsyncGenerator<Response, void, undefined> {
  refuseIfAborted(settings.signal);
  const call = client.makeBidiStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    new Metadata(),
    optionsOf(settings),
  );
  let writeFailure: unknown;
  const write = async (): Promise<void> => {
    for await (const request of requests) {
      if (call.destroyed) return;
      if (!call.write(request)) await drained(call);
    }
    call.end();
  };
  write().catch(thrown => {
    writeFailure = thrown;
    call.cancel();
  });
  try {
    yield* received(call, settings.signal);
  } catch (thrown) {
    throw writeFailure === undefined ? thrown : fromServiceError(writeFailure);
  }
}

/** The messages of a readable call in order, then its error if it has one. */
async function* received<Response>(
  call: AsyncIterable<Response> & Cancellable & NodeJS.EventEmitter,
  signal: AbortSignal | undefined,
): AsyncGenerator<Response, void, undefined> {
  const release = cancelOn(signal, call);
  let failure: unknown;
  // grpc-js emits the error without destroying the stream: before or after the loop listens, it must not get lost.
  call.on('error', error => {
    failure = error;
  });
  try {
    for await (const message of call) yield message;
    if (failure !== undefined) throw failure;
  } catch (thrown) {
    throw fromServiceError(failure ?? thrown);
  } finally {
    release();
    call.cancel();
  }
}

const settle =
  <Response>(resolve: (value: Response) => void, reject: (error: FedError) => void) =>
  (error: ServiceError | null, value?: Response): void => {
    if (error !== null) reject(fromServiceError(error));
    else resolve(value as Response);
  };

/** Resolves when a full stream takes more, or when it is over: then the next write is dropped and the status tells why. */
export function drained(stream: NodeJS.EventEmitter & { readonly destroyed: boolean }): Promise<void> {
  if (stream.destroyed) return Promise.resolve();
  return new Promise(resolve => {
    const done = (): void => {
      for (const event of events) stream.off(event, done);
      resolve();
    };
    const events = ['drain', 'close', 'error', 'cancelled'] as const;
    for (const event of events) stream.on(event, done);
  });
}
