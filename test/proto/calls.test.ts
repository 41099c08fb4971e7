import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callClientStream, callDuplex, callServerStream, callUnary } from '#proto/calls.ts';
import { chunkOf } from '#proto/chunks.ts';
import { FedError } from '#proto/errors.ts';
import {
  FederationServiceService as Federation,
  FederationServiceClient,
  type HeartbeatRequest,
  type HeartbeatResponse,
  type OpenSessionRequest,
  type OpenSessionResponse,
} from '#proto/gen/fed/v1/federation.ts';
import type {
  MissingChunksRequest,
  MissingChunksResponse,
  PullChunksRequest,
  PullChunksResponse,
  PushChunksRequest,
  PushChunksResponse,
} from '#proto/gen/fed/v1/tensors.ts';
import {
  type CallContext,
  handleClientStream,
  handleDuplex,
  handleServerStream,
  handleUnary,
} from '#proto/handlers.ts';
import { channelCredentials, grpcOptions } from '#proto/tls.ts';
import { testAuthority } from '../support/certificates.ts';
import { startServer, type TestServer } from '../support/rpc-server.ts';

const CHUNK = 256 * 1024;
const timeoutMs = 10_000;
/** What each handler does is set by the test that needs it. */
const behaviour = {
  missing: async (request: MissingChunksRequest, _context: CallContext): Promise<MissingChunksResponse> => request,
  push: async (_requests: AsyncIterable<PushChunksRequest>, _context: CallContext): Promise<PushChunksResponse> => ({
    stored: 0,
    bytes: 0n,
  }),
  async *pull(_request: PullChunksRequest, _context: CallContext): AsyncGenerator<PullChunksResponse> {},
  async *beat(_requests: AsyncIterable<HeartbeatRequest>, _context: CallContext): AsyncGenerator<HeartbeatResponse> {},
  async *session(_request: OpenSessionRequest, _context: CallContext): AsyncGenerator<OpenSessionResponse> {},
};
const original = { ...behaviour };
const failures: unknown[] = [];
let server: TestServer;
let client: FederationServiceClient;

beforeAll(async () => {
  const authority = testAuthority();
  const onFailure = (thrown: unknown) => failures.push(thrown);
  server = await startServer(authority, Federation, {
    missingChunks: handleUnary((r: MissingChunksRequest, c) => behaviour.missing(r, c), onFailure),
    pushChunks: handleClientStream((r: AsyncIterable<PushChunksRequest>, c) => behaviour.push(r, c), onFailure),
    pullChunks: handleServerStream((r: PullChunksRequest, c) => behaviour.pull(r, c), onFailure),
    heartbeat: handleDuplex((r: AsyncIterable<HeartbeatRequest>, c) => behaviour.beat(r, c), onFailure),
    openSession: handleServerStream((r: OpenSessionRequest, c) => behaviour.session(r, c), onFailure),
  });
  const credentials = channelCredentials({ caPem: authority.caPem, ...authority.issue('site-a') });
  client = new FederationServiceClient(server.address, credentials, grpcOptions);
});
afterAll(() => {
  client.close();
  server.stop();
});
beforeEach(() => {
  Object.assign(behaviour, original);
  failures.length = 0;
});

const missing = (settings = {}) =>
  callUnary(client, Federation.missingChunks, { runId: 'r', sha256: [] }, { timeoutMs, ...settings });
const chunk = (i: number): PushChunksRequest => ({ runId: 'r', chunk: chunkOf(Buffer.alloc(CHUNK, i)) });

describe('callUnary', () => {
  it('carries the caller as its certificate says', async () => {
    behaviour.missing = async (_request, context) => ({ sha256: [Buffer.from(context.peer().commonName)] });
    expect((await missing()).sha256[0]?.toString()).toBe('site-a');
  });

  it('brings a FedError over with its code, message and remedy', async () => {
    behaviour.missing = async () => {
      throw new FedError(
        'TOKEN_INVALID',
        'expected an unused token – "ü"',
        'ask for a new invitation, s’il vous plaît',
      );
    };
    await expect(missing()).rejects.toMatchObject({
      name: 'FedError',
      code: 'TOKEN_INVALID',
      message: 'expected an unused token – "ü"',
      remedy: 'ask for a new invitation, s’il vous plaît',
    });
  });

  it('keeps the text of an unexpected error at the server, where it is reported', async () => {
    behaviour.missing = async () => {
      throw new Error('cannot read /srv/secret/path');
    };
    const error = (await missing().catch(thrown => thrown)) as FedError;
    expect(error.code).toBe('INTERNAL');
    const sent = JSON.stringify([error.message, error.remedy, (error.cause as Error).message]);
    expect(sent).not.toContain('secret');
    expect((failures[0] as Error).message).toContain('/srv/secret/path');
  });

  it('gives up at its deadline, and the server is told', async () => {
    let told = (_reason: unknown) => {};
    const cancelled = new Promise(resolve => {
      told = resolve;
    });
    behaviour.missing = (_request, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          told('cancelled');
          reject(new FedError('CANCELLED', 'gone'));
        });
      });
    await expect(missing({ timeoutMs: 200 })).rejects.toMatchObject({ code: 'UNREACHABLE' });
    expect(await cancelled).toBe('cancelled');
  });

  it('ends with CANCELLED when its signal aborts, before or during the call', async () => {
    await expect(missing({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'CANCELLED' });
    const controller = new AbortController();
    behaviour.missing = async (_request, { signal }) => {
      controller.abort();
      await once(signal, 'abort');
      throw new Error('too late to matter');
    };
    await expect(missing({ signal: controller.signal })).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('says UNREACHABLE where nobody listens', async () => {
    const credentials = channelCredentials({ caPem: testAuthority().caPem });
    const lost = new FederationServiceClient('127.0.0.1:1', credentials, grpcOptions);
    const call = callUnary(lost, Federation.missingChunks, { runId: 'r', sha256: [] }, { timeoutMs });
    await expect(call).rejects.toMatchObject({ code: 'UNREACHABLE' });
    lost.close();
  });
});

describe('callClientStream', () => {
  it('sends all, and no faster than the server reads', async () => {
    const total = 120;
    let produced = 0;
    let consumed = 0;
    let furthestAhead = 0;
    behaviour.push = async requests => {
      for await (const { chunk: data } of requests) {
        consumed++;
        expect(data?.data[0]).toBe(consumed - 1);
        furthestAhead = Math.max(furthestAhead, produced - consumed);
        // Let every pending write run: a producer without back-pressure would be done by now.
        await new Promise(resolve => setImmediate(resolve));
      }
      return { stored: consumed, bytes: BigInt(consumed) * BigInt(CHUNK) };
    };
    async function* produce() {
      for (; produced < total; produced++) yield chunk(produced);
    }
    const response = await callClientStream(client, Federation.pushChunks, produce(), { timeoutMs });
    expect(response).toEqual({ stored: total, bytes: BigInt(total * CHUNK) });
    // The flow control window holds 8 MiB = 32 of these; twice that leaves room for both ends' buffers.
    expect(furthestAhead).toBeLessThan(90);
  });

  it('stops producing when the server refuses early', async () => {
    behaviour.push = async requests => {
      for await (const _request of requests) throw new FedError('LIMIT_EXCEEDED', 'too much', 'send less');
      throw new Error('expected a chunk');
    };
    let produced = 0;
    let finished = false;
    async function* endless() {
      try {
        for (;;) yield chunk(produced++ % 256);
      } finally {
        finished = true;
      }
    }
    await expect(callClientStream(client, Federation.pushChunks, endless(), { timeoutMs })).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
    });
    expect(finished).toBe(true);
  });

  it('throws what the producer threw, and the server sees no clean end', async () => {
    let seen = (_outcome: unknown) => {};
    const outcome = new Promise(resolve => {
      seen = resolve;
    });
    behaviour.push = async requests => {
      try {
        for await (const _request of requests);
        seen('clean end');
      } catch (thrown) {
        seen((thrown as FedError).code);
      }
      return { stored: 0, bytes: 0n };
    };
    async function* broken() {
      yield chunk(1);
      throw new FedError('FILE_CORRUPT', 'the disk lies', '');
    }
    await expect(callClientStream(client, Federation.pushChunks, broken(), { timeoutMs })).rejects.toMatchObject({
      code: 'FILE_CORRUPT',
    });
    expect(await outcome).toBe('CANCELLED');
  });
});

describe('callServerStream', () => {
  const pull = (settings = {}) => callServerStream(client, Federation.pullChunks, { runId: 'r', sha256: [] }, settings);

  it('delivers everything in order, then the error', async () => {
    behaviour.pull = async function* () {
      for (let i = 0; i < 50; i++) yield { chunk: chunkOf(Buffer.alloc(CHUNK, i)) };
      throw new FedError('NOT_FOUND', 'no chunk 50', '');
    };
    let count = 0;
    const read = async () => {
      for await (const { chunk: data } of pull()) expect(data?.data[0]).toBe(count++);
    };
    await expect(read()).rejects.toMatchObject({ code: 'NOT_FOUND', message: 'no chunk 50' });
    expect(count).toBe(50);
  });

  it("leaving the loop ends the server's generator", async () => {
    let ended = (_reason: unknown) => {};
    const end = new Promise(resolve => {
      ended = resolve;
    });
    behaviour.pull = async function* () {
      try {
        for (;;) yield { chunk: chunkOf(Buffer.alloc(CHUNK)) };
      } finally {
        ended('finally ran');
      }
    };
    for await (const _response of pull()) break;
    expect(await end).toBe('finally ran');
  });

  it('is not faster than its reader', async () => {
    let sent = 0;
    behaviour.pull = async function* () {
      for (; sent < 300; sent++) yield { chunk: chunkOf(Buffer.alloc(CHUNK)) };
    };
    let received = 0;
    let furthestAhead = 0;
    for await (const _response of pull()) {
      received++;
      furthestAhead = Math.max(furthestAhead, sent - received);
      await new Promise(resolve => setImmediate(resolve));
    }
    expect(received).toBe(300);
    expect(furthestAhead).toBeLessThan(150);
  });

  it('a server that stops is UNREACHABLE, never a clean end', async () => {
    const authority = testAuthority();
    const other = await startServer(authority, Federation, {
      openSession: handleServerStream(
        async function* (_request: OpenSessionRequest, { signal }): AsyncGenerator<OpenSessionResponse> {
          yield { event: { $case: 'cancel', value: { taskId: 't', reason: '' } } };
          await once(signal, 'abort');
        },
        () => {},
      ),
    });
    const credentials = channelCredentials({ caPem: authority.caPem, ...authority.issue('s') });
    const own = new FederationServiceClient(other.address, credentials, grpcOptions);
    const request = { protocolVersion: 1, softwareVersion: '', clockMs: 0n };
    const read = async () => {
      for await (const _event of callServerStream(own, Federation.openSession, request)) other.stop();
    };
    await expect(read()).rejects.toMatchObject({ code: expect.stringMatching(/UNREACHABLE|CANCELLED/) });
    own.close();
  });
});

describe('callDuplex', () => {
  it('answers each request as it comes, and ends when the requests end', async () => {
    behaviour.beat = async function* (requests) {
      for await (const { step } of requests) yield { clockMs: BigInt(step) };
    };
    let release = () => {};
    async function* beats() {
      for (let step = 1; step <= 3; step++) {
        yield { taskId: 't', step, steps: 3 };
        await new Promise<void>(resolve => {
          release = resolve;
        });
      }
    }
    const answers: bigint[] = [];
    for await (const { clockMs } of callDuplex(client, Federation.heartbeat, beats(), { timeoutMs })) {
      answers.push(clockMs);
      release();
    }
    expect(answers).toEqual([1n, 2n, 3n]);
  });

  it('throws what the producer threw', async () => {
    behaviour.beat = async function* (requests) {
      for await (const _request of requests) yield { clockMs: 0n };
    };
    async function* broken() {
      yield { taskId: 't', step: 1, steps: 1 };
      throw new FedError('WORKER_DIED', 'no pulse', '');
    }
    const read = async () => {
      for await (const _answer of callDuplex(client, Federation.heartbeat, broken(), { timeoutMs }));
    };
    await expect(read()).rejects.toMatchObject({ code: 'WORKER_DIED' });
  });
});
