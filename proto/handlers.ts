/** Server side of the four kinds of call: a handler is an async function or generator of messages and a context. */
import type { Readable } from 'node:stream';
import type {
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  ServerDuplexStream,
  ServerWritableStream,
  StatusObject,
} from '@grpc/grpc-js';
import { drained } from './calls.ts';
import { FedError } from './errors.ts';
import { toServiceError } from './status.ts';
import { type AuthenticatedCall, type PeerIdentity, peerCertificate } from './tls.ts';

export interface CallContext {
  /** The caller's certificate. @throws FedError UNAUTHENTICATED on a listener that asks for none */
  peer(): PeerIdentity;
  /** The caller's network address, for logs. */
  readonly address: string;
  /** e.g. "/fed.v1.FederationService/SubmitResult". */
  readonly path: string;
  /**
   * Aborts when the caller cancels, disconnects or the deadline passes. A handler that waits for anything but the caller
   * must end on it.
   */
  readonly signal: AbortSignal;
}

/** Told every failure with its private text, which the caller never sees: log it here. */
export type OnFailure = (thrown: unknown, context: CallContext) => void;

interface ServerCall extends AuthenticatedCall, NodeJS.EventEmitter {
  readonly cancelled: boolean;
  getPeer(): string;
}

function contextOf(call: ServerCall): CallContext {
  const controller = new AbortController();
  if (call.cancelled) controller.abort();
  else call.once('cancelled', () => controller.abort());
  return {
    peer: () => peerCertificate(call),
    address: call.getPeer(),
    path: call.getPath(),
    signal: controller.signal,
  };
}

export const handleUnary =
  <Request, Response>(
    handler: (request: Request, context: CallContext) => Promise<Response>,
    onFailure: OnFailure,
  ): handleUnaryCall<Request, Response> =>
  (call, callback) => {
    const context = contextOf(call);
    handler(call.request, context).then(
      response => callback(null, response),
      thrown => callback(reported(thrown, context, onFailure)),
    );
  };

export const handleClientStream =
  <Request, Response>(
    handler: (requests: AsyncIterable<Request>, context: CallContext) => Promise<Response>,
    onFailure: OnFailure,
  ): handleClientStreamingCall<Request, Response> =>
  (call, callback) => {
    const context = contextOf(call);
    handler(requestsOf<Request>(call, context), context).then(
      response => callback(null, response),
      thrown => callback(reported(thrown, context, onFailure)),
    );
  };

export const handleServerStream =
  <Request, Response>(
    handler: (request: Request, context: CallContext) => AsyncIterable<Response>,
    onFailure: OnFailure,
  ): handleServerStreamingCall<Request, Response> =>
  call => {
    const context = contextOf(call);
    void send(call, handler(call.request, context), context, onFailure);
  };

export const handleDuplex =
  <Request, Response>(
    handler: (requests: AsyncIterable<Request>, context: CallContext) => AsyncIterable<Response>,
    onFailure: OnFailure,
  ): handleBidiStreamingCall<Request, Response> =>
  call => {
    const context = contextOf(call);
    void send(call, handler(requestsOf<Request>(call, context), context), context, onFailure);
  };

/** Writes every response with back-pressure; leaves the handler's generator (its finally runs) when the caller is gone. */
async function send<Request, Response>(
  call: ServerWritableStream<Request, Response> | ServerDuplexStream<Request, Response>,
  responses: AsyncIterable<Response>,
  context: CallContext,
  onFailure: OnFailure,
): Promise<void> {
  try {
    for await (const response of responses) {
      if (context.signal.aborted) return;
      if (!call.write(response)) await drained(call);
    }
    if (!context.signal.aborted) call.end();
  } catch (thrown) {
    const failure = reported(thrown, context, onFailure);
    if (!context.signal.aborted) call.emit('error', failure);
  }
}

/** The caller's messages; a caller that goes away in the middle is a CANCELLED error, never a clean end. */
async function* requestsOf<Request>(call: Readable, context: CallContext): AsyncGenerator<Request, void, undefined> {
  try {
    // Leaving a plain loop over the stream would destroy the call before its status is sent.
    for await (const request of call.iterator({ destroyOnReturn: false })) yield request as Request;
    // HTTP/2 ends the stream of a cancelled call first, and says only then that it was cancelled.
    await new Promise(resolve => setImmediate(resolve));
  } catch (cause) {
    if (context.signal.aborted) throw gone(cause);
    throw cause;
  }
  if (context.signal.aborted) throw gone();
}

const gone = (cause?: unknown): FedError =>
  new FedError('CANCELLED', 'expected more messages; the caller went away', '', { cause });

function reported(thrown: unknown, context: CallContext, onFailure: OnFailure): Partial<StatusObject> & Error {
  onFailure(thrown, context);
  return toServiceError(thrown);
}
