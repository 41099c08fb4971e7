/**
 * The one way out. Everything that leaves the site passes here: this file alone holds the gRPC client and the site's
 * key, every kind of data has its check (egress-checks.ts), can be blocked by policy, and is written into a chained log
 * before it goes. A test sees to it that no other file of the agent opens a connection.
 */
import { callClientStream, callDuplex, callServerStream, callUnary } from '#proto/calls.ts';
import { verifiedChunk } from '#proto/chunks.ts';
import { FedError } from '#proto/errors.ts';
import {
  EnrollRequest,
  type EnrollResponse,
  EnrolmentServiceClient,
  EnrolmentServiceService,
  FederationServiceClient,
  HeartbeatRequest,
  type HeartbeatResponse,
  OpenSessionRequest,
  type OpenSessionResponse,
  ReportMetricsRequest,
  SubmitResultRequest,
  type SubmitResultResponse,
  FederationServiceService as service,
} from '#proto/gen/fed/v1/federation.ts';
import { type Chunk, MissingChunksRequest, PullChunksRequest } from '#proto/gen/fed/v1/tensors.ts';
import { resultDigest, signDigest } from '#proto/signing.ts';
import { channelCredentials, grpcOptions } from '#proto/tls.ts';
import { PROTOCOL_VERSION, SOFTWARE_VERSION } from '#proto/version.ts';
import type { Clock } from './clock.ts';
import { checkFailure, checkMetrics, refused } from './egress-checks.ts';
import type { EgressKind } from './egress-kinds.ts';
import type { EgressLog } from './egress-log.ts';
import { checkOutcome, type Outcome, outcomeKind } from './egress-results.ts';
import { Outgoing, type OutgoingSource } from './outgoing.ts';
import type { CheckedTask } from './policy.ts';
import { asUntrusted, ofUntrusted } from './untrusted-failure.ts';

const UNARY_TIMEOUT_MS = 30_000;
/** A batch of 64 MiB in ten minutes: 110 kB/s is the slowest link that still gets anywhere. */
const TRANSFER_TIMEOUT_MS = 600_000;
const PUSH_BATCH = 64;
const ADDRESS_BATCH = 8_192;

export interface EgressOptions {
  /** host:port of the coordinator's main listener. */
  readonly address: string;
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
  readonly log: EgressLog;
  readonly blocked: readonly EgressKind[];
  /** Counts below this never leave. */
  readonly minimumCell: number;
  readonly clock: Clock;
}

export class Egress {
  readonly #client: FederationServiceClient;
  readonly #options: EgressOptions;
  readonly #outgoing = new WeakSet<Outgoing>();

  /** @throws FedError CONFIG_INVALID when certificate and key do not belong together */
  constructor(options: EgressOptions) {
    this.#options = options;
    const { caPem, certPem, keyPem } = options;
    const credentials = channelCredentials({ caPem, certPem, keyPem });
    this.#client = new FederationServiceClient(options.address, credentials, grpcOptions);
  }

  /** Opens the session: versions and the clock leave, nothing else. */
  async *openSession(signal: AbortSignal): AsyncGenerator<OpenSessionResponse> {
    const request: OpenSessionRequest = {
      protocolVersion: PROTOCOL_VERSION,
      softwareVersion: SOFTWARE_VERSION,
      clockMs: BigInt(this.#options.clock.nowMs()),
    };
    await this.#permit('session', OpenSessionRequest.encode(request).finish());
    yield* callServerStream(this.#client, service.openSession, request, { signal });
  }

  /** Sends beats as they come; yields the coordinator's answers. */
  async *heartbeats(beats: AsyncIterable<HeartbeatRequest>, signal: AbortSignal): AsyncGenerator<HeartbeatResponse> {
    yield* callDuplex(this.#client, service.heartbeat, this.#permittedBeats(beats), { signal });
  }

  async *#permittedBeats(beats: AsyncIterable<HeartbeatRequest>): AsyncGenerator<HeartbeatRequest> {
    for await (const { taskId, step, steps } of beats) {
      const beat: HeartbeatRequest = { taskId, step, steps };
      await this.#permit('heartbeat', HeartbeatRequest.encode(beat).finish());
      yield beat;
    }
  }

  /** @throws FedError POLICY_REFUSED on an unknown name or a number that is not finite */
  async reportMetrics(
    progress: { taskId: string; step: number; steps: number; metrics: Record<string, number> },
    signal: AbortSignal,
  ): Promise<void> {
    const { taskId, step, steps, metrics } = progress;
    const checked = ofUntrusted(() => checkMetrics(metrics));
    const request: ReportMetricsRequest = { taskId, step, steps, metricsJson: JSON.stringify(checked) };
    await this.#permit('metrics', ReportMetricsRequest.encode(request).finish());
    await callUnary(this.#client, service.reportMetrics, request, { signal, timeoutMs: UNARY_TIMEOUT_MS });
  }

  /**
   * Reads and checks a file that is to be uploaded; only what this returns can be pushed.
   * @throws FedError POLICY_REFUSED on a tensor that may not leave, NON_FINITE naming the tensor
   */
  async admit(source: OutgoingSource): Promise<Outgoing> {
    const outgoing = await Outgoing.read(source).catch(thrown => {
      throw asUntrusted(thrown);
    });
    this.#outgoing.add(outgoing);
    return outgoing;
  }

  /** Addresses (hexadecimal) of the chunks that the coordinator does not hold. */
  async missingChunks(outgoing: Outgoing, signal: AbortSignal): Promise<string[]> {
    const missing: string[] = [];
    for (const batch of batches([...outgoing.addresses], ADDRESS_BATCH)) {
      const request: MissingChunksRequest = { runId: outgoing.runId, sha256: batch.map(fromHex) };
      await this.#permit('chunk-addresses', MissingChunksRequest.encode(request).finish());
      const settings = { signal, timeoutMs: UNARY_TIMEOUT_MS };
      const response = await callUnary(this.#client, service.missingChunks, request, settings);
      missing.push(...response.sha256.map(hash => hash.toString('hex')));
    }
    return missing;
  }

  /** Pushes those chunks of an admitted file; what arrived before a cut stays at the coordinator. */
  async pushChunks(outgoing: Outgoing, addresses: readonly string[], signal: AbortSignal): Promise<void> {
    if (!this.#outgoing.has(outgoing)) throw refused('weights', 'expected a file that was admitted; this one was not');
    for (const batch of batches(addresses, PUSH_BATCH)) {
      const requests = this.#permittedChunks(outgoing, batch);
      await callClientStream(this.#client, service.pushChunks, requests, { signal, timeoutMs: TRANSFER_TIMEOUT_MS });
    }
  }

  async *#permittedChunks(outgoing: Outgoing, addresses: readonly string[]) {
    for await (const chunk of outgoing.chunks(addresses)) {
      await this.#permit(outgoing.kind, chunk.data, chunk.sha256);
      yield { runId: outgoing.runId, chunk };
    }
  }

  /** Chunks in the order they come, each checked against its address. */
  async *pullChunks(runId: string, addresses: readonly string[], signal: AbortSignal): AsyncGenerator<Chunk> {
    for (const batch of batches(addresses, PUSH_BATCH)) {
      const request: PullChunksRequest = { runId, sha256: batch.map(fromHex) };
      await this.#permit('chunk-addresses', PullChunksRequest.encode(request).finish());
      const settings = { signal, timeoutMs: TRANSFER_TIMEOUT_MS };
      for await (const { chunk } of callServerStream(this.#client, service.pullChunks, request, settings)) {
        yield verifiedChunk(chunk);
      }
    }
  }

  /**
   * Checks, signs with the site's key and submits the result of a task.
   * @throws FedError POLICY_REFUSED when the outcome holds more than its kind may
   */
  async submit(
    checked: CheckedTask,
    outcome: Exclude<Outcome, { $case: 'failure' }>,
    signal: AbortSignal,
  ): Promise<SubmitResultResponse> {
    ofUntrusted(() => checkOutcome(checked, outcome, this.#options.minimumCell));
    return this.#submit(checked.task.taskId, outcome, signal);
  }

  /** Says that a task could not be done: the code, and only the public half of the text. */
  submitFailure(taskId: string, failure: FedError, signal: AbortSignal): Promise<SubmitResultResponse> {
    return this.#submit(taskId, { $case: 'failure', value: checkFailure(failure) }, signal);
  }

  async #submit(taskId: string, outcome: Outcome, signal: AbortSignal): Promise<SubmitResultResponse> {
    const request: SubmitResultRequest = { taskId, outcome, signature: Buffer.alloc(0) };
    request.signature = signDigest(this.#options.keyPem, resultDigest(request));
    await this.#permit(outcomeKind(outcome), SubmitResultRequest.encode(request).finish());
    return await callUnary(this.#client, service.submitResult, request, { signal, timeoutMs: UNARY_TIMEOUT_MS });
  }

  close(): void {
    this.#client.close();
  }

  async #permit(kind: EgressKind, data: Uint8Array, hash?: Uint8Array): Promise<void> {
    if (this.#options.blocked.includes(kind)) {
      throw new FedError(
        'POLICY_REFUSED',
        `expected that "${kind}" may leave the site; its policy blocks it`,
        `take "${kind}" out of policy.blockedEgress of site.yaml`,
      );
    }
    await this.#options.log.record(kind, data, hash);
  }
}

/** The only other thing that leaves: the one-time token and the certificate request, before there is a certificate. */
export async function sendEnrolment(options: {
  readonly address: string;
  readonly caPem: string;
  readonly token: string;
  readonly csrPem: string;
  readonly log: EgressLog;
}): Promise<EnrollResponse> {
  const request: EnrollRequest = { token: options.token, csrPem: options.csrPem };
  const credentials = channelCredentials({ caPem: options.caPem });
  const client = new EnrolmentServiceClient(options.address, credentials, grpcOptions);
  try {
    await options.log.record('enrolment', EnrollRequest.encode(request).finish());
    return await callUnary(client, EnrolmentServiceService.enroll, request, { timeoutMs: UNARY_TIMEOUT_MS });
  } finally {
    client.close();
  }
}

const fromHex = (address: string): Buffer => Buffer.from(address, 'hex');

function* batches<T>(items: readonly T[], size: number): Generator<T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}
