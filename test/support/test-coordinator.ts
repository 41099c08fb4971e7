/**
 * The coordinator's end of the wire for tests of the agent: real gRPC over real mutual TLS on a free port, state in
 * memory, and faults on demand. It decides nothing: a test says which tasks go out.
 */
import { FedError } from '#proto/errors.ts';
import {
  FederationServiceService,
  type OpenSessionResponse,
  type ReportMetricsRequest,
  type SubmitResultRequest,
  type Task,
} from '#proto/gen/fed/v1/federation.ts';
import type { Chunk, PullChunksRequest, PushChunksRequest } from '#proto/gen/fed/v1/tensors.ts';
import { handleClientStream, handleDuplex, handleServerStream, handleUnary } from '#proto/handlers.ts';
import { resultDigest, verifyDigest } from '#proto/signing.ts';
import { PROTOCOL_VERSION } from '#proto/version.ts';
import type { TestAuthority } from './certificates.ts';
import { startServer, type TestServer } from './rpc-server.ts';

export class TestCoordinator {
  readonly chunks = new Map<string, Buffer>();
  /** Addresses in the order in which their bytes travelled. */
  readonly pushed: string[] = [];
  readonly pulled: string[] = [];
  readonly results: SubmitResultRequest[] = [];
  readonly signaturesValid: boolean[] = [];
  readonly metrics: ReportMetricsRequest[] = [];
  readonly beats: string[] = [];
  sessions = 0;
  /** Pushes and pulls fail as a lost connection does after this many chunks; once. */
  cutAfterChunks = Number.POSITIVE_INFINITY;
  /** The next submissions are taken in, but their answer is lost. */
  loseAnswers = 0;
  welcome: { site: string; clockOffMs: number; protocolVersion: number; heartbeatIntervalMs: number };
  readonly #authority: TestAuthority;
  readonly #tasks: Task[] = [];
  #server: TestServer | undefined;
  #wake: () => void = () => undefined;
  #queue: OpenSessionResponse[] = [];

  constructor(authority: TestAuthority, site: string) {
    this.#authority = authority;
    this.welcome = { site, clockOffMs: 0, protocolVersion: PROTOCOL_VERSION, heartbeatIntervalMs: 100 };
  }

  get address(): string {
    return this.#server?.address ?? '';
  }

  /** Sends a task now, and again whenever a session opens while it has no result. */
  assign(task: Task): void {
    this.#tasks.push(task);
    this.#queue.push({ event: { $case: 'task', value: task } });
    this.#wake();
  }

  cancel(taskId: string, reason: string): void {
    this.#queue.push({ event: { $case: 'cancel', value: { taskId, reason } } });
    this.#wake();
  }

  /** Another test begins: nothing was ever uploaded. */
  forget(): void {
    this.chunks.clear();
    this.cutAfterChunks = Number.POSITIVE_INFINITY;
    for (const list of [this.pushed, this.pulled]) list.length = 0;
  }

  async start(): Promise<void> {
    const quiet = (): void => undefined;
    this.#server = await startServer(this.#authority, FederationServiceService, {
      openSession: handleServerStream((_request, context) => this.#session(context.signal), quiet),
      heartbeat: handleDuplex<{ taskId: string }, { clockMs: bigint }>(requests => this.#heartbeats(requests), quiet),
      missingChunks: handleUnary<{ sha256: Buffer[] }, { sha256: Buffer[] }>(
        async ({ sha256: hashes }) => ({ sha256: hashes.filter(hash => !this.chunks.has(hash.toString('hex'))) }),
        quiet,
      ),
      pushChunks: handleClientStream<PushChunksRequest, { stored: number; bytes: bigint }>(
        requests => this.#push(requests),
        quiet,
      ),
      pullChunks: handleServerStream<PullChunksRequest, { chunk: Chunk }>(request => this.#pull(request), quiet),
      submitResult: handleUnary<SubmitResultRequest, { accepted: boolean }>(
        async (request, context) => this.#submit(request, context.peer().publicKeyPem),
        quiet,
      ),
      reportMetrics: handleUnary<ReportMetricsRequest, object>(async request => {
        this.metrics.push(request);
        return {};
      }, quiet),
    });
  }

  /** Drops every connection at once, as a crash does. */
  stop(): void {
    this.#server?.stop();
    this.#wake();
  }

  async *#session(signal: AbortSignal): AsyncGenerator<OpenSessionResponse> {
    this.sessions++;
    const { site, clockOffMs, protocolVersion, heartbeatIntervalMs } = this.welcome;
    const clockMs = BigInt(Date.now() + clockOffMs);
    const welcome = { site, protocolVersion, softwareVersion: 'test', clockMs, heartbeatIntervalMs };
    yield { event: { $case: 'welcome', value: welcome } };
    const answered = new Set(this.results.map(({ taskId }) => taskId));
    this.#queue = this.#tasks
      .filter(({ taskId }) => !answered.has(taskId))
      .map(task => ({ event: { $case: 'task', value: task } }));
    signal.addEventListener('abort', () => this.#wake());
    while (!signal.aborted) {
      const next = this.#queue.shift();
      if (next !== undefined) yield next;
      else {
        await new Promise<void>(resolve => {
          this.#wake = resolve;
        });
      }
    }
  }

  async *#heartbeats(requests: AsyncIterable<{ taskId: string }>) {
    for await (const { taskId } of requests) {
      this.beats.push(taskId);
      yield { clockMs: BigInt(Date.now()) };
    }
  }

  async #push(requests: AsyncIterable<PushChunksRequest>) {
    let stored = 0;
    for await (const { chunk } of requests) {
      this.#maybeCut(stored);
      if (chunk === undefined) continue;
      const address = chunk.sha256.toString('hex');
      this.chunks.set(address, chunk.data);
      this.pushed.push(address);
      stored++;
    }
    return { stored, bytes: 0n };
  }

  async *#pull({ sha256: hashes }: PullChunksRequest) {
    let sent = 0;
    for (const hash of hashes) {
      this.#maybeCut(sent);
      const data = this.chunks.get(hash.toString('hex'));
      if (data === undefined) throw new FedError('NOT_FOUND', 'no such chunk');
      this.pulled.push(hash.toString('hex'));
      sent++;
      yield { chunk: { sha256: hash, data } };
    }
  }

  #submit(request: SubmitResultRequest, publicKeyPem: string): { accepted: boolean } {
    this.signaturesValid.push(verifyDigest(publicKeyPem, resultDigest(request), request.signature));
    const accepted = !this.results.some(({ taskId }) => taskId === request.taskId);
    if (accepted) this.results.push(request);
    if (this.loseAnswers > 0) {
      this.loseAnswers--;
      throw cut();
    }
    return { accepted };
  }

  #maybeCut(chunks: number): void {
    if (chunks < this.cutAfterChunks) return;
    this.cutAfterChunks = Number.POSITIVE_INFINITY;
    throw cut();
  }
}

const cut = (): FedError => new FedError('UNREACHABLE', 'connection lost (by the test)');
