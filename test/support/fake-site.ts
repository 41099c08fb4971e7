/**
 * Test support: a scripted site that speaks the real protocol (gRPC, mutual TLS, signatures, chunks) and trains nothing.
 * What it contributes is a function of its name, the task and the weights it was sent, so that runs can be repeated.
 */
import { createHash, generateKeyPairSync } from 'node:crypto';
import forge from 'node-forge';
import type { ModelConfig } from '#model/config.ts';
import { modelConfigOf, parseRunConfig, type RunConfig } from '#model/federated.ts';
import { LABELS } from '#model/labels.ts';
import { callClientStream, callServerStream, callUnary } from '#proto/calls.ts';
import { chunkOf } from '#proto/chunks.ts';
import type { ErrorCode } from '#proto/errors.ts';
import {
  EnrolmentServiceClient,
  EnrolmentServiceService,
  FederationServiceClient,
  FederationServiceService,
  Stage,
  type SubmitResultRequest,
  type Task,
  TaskKind,
} from '#proto/gen/fed/v1/federation.ts';
import type { Manifest } from '#proto/gen/fed/v1/tensors.ts';
import type { Invite } from '#proto/invite.ts';
import { buildManifest, chunkAddresses, type TensorSource } from '#proto/manifest.ts';
import { resultDigest, signDigest } from '#proto/signing.ts';
import { channelCredentials, grpcOptions } from '#proto/tls.ts';
import { PROTOCOL_VERSION, SOFTWARE_VERSION } from '#proto/version.ts';
import { emptyHandedAudit } from './fake-audit.ts';

const service = FederationServiceService;
const timeoutMs = 20_000;

export interface FakeIdentity {
  readonly site: string;
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

/** A key of 2048 bits: quicker to make than a real site's. */
export function makeRequest(commonName: string): { csrPem: string; keyPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const request = forge.pki.createCertificationRequest();
  request.publicKey = forge.pki.publicKeyFromPem(publicKey.export({ type: 'spki', format: 'pem' }).toString());
  request.setSubject([{ name: 'commonName', value: commonName }]);
  request.sign(forge.pki.privateKeyFromPem(keyPem), forge.md.sha256.create());
  return { csrPem: forge.pki.certificationRequestToPem(request), keyPem };
}

/** Enrols over the real listener. @throws FedError as the coordinator answers */
export async function enrolFake({ site, token, enrolment, caPem }: Omit<Invite, 'coordinator' | 'expiresMs'>) {
  const client = new EnrolmentServiceClient(enrolment, channelCredentials({ caPem }), grpcOptions);
  try {
    const { csrPem, keyPem } = makeRequest(site);
    const response = await callUnary(client, EnrolmentServiceService.enroll, { token, csrPem }, { timeoutMs });
    return { site: response.site, caPem: response.caPem, certPem: response.certificatePem, keyPem };
  } finally {
    client.close();
  }
}

export interface Received {
  readonly task: Task;
  readonly accepted: boolean;
}

export interface FakeSiteOptions {
  readonly identity: FakeIdentity;
  readonly address: string;
  readonly records: number;
  /** Fails these tasks instead of answering them. */
  readonly fail?: (task: Task) => { readonly code: ErrorCode; readonly message: string } | undefined;
  /** Leaves these tasks unanswered. */
  readonly ignore?: (task: Task) => boolean;
  /** Changes the tensors of a contribution. */
  readonly tamper?: (tensors: TensorSource[], task: Task) => TensorSource[];
}

export class FakeSite {
  readonly client: FederationServiceClient;
  readonly received: Received[] = [];
  readonly errors: unknown[] = [];
  readonly #options: FakeSiteOptions;
  readonly #stop = new AbortController();
  #session: Promise<void> | undefined;

  constructor(options: FakeSiteOptions) {
    this.#options = options;
    const { caPem, certPem, keyPem } = options.identity;
    this.client = new FederationServiceClient(
      options.address,
      channelCredentials({ caPem, certPem, keyPem }),
      grpcOptions,
    );
  }

  /** Opens a session and answers tasks until it ends or `stop` is called. */
  start(): this {
    this.#session = this.#serve().catch(error => {
      if (!this.#stop.signal.aborted) this.errors.push(error);
    });
    return this;
  }

  /** Resolves when the session has ended. */
  async ended(): Promise<void> {
    await this.#session;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#session;
    this.client.close();
  }

  openSession(overrides: { protocolVersion?: number; clockMs?: bigint } = {}) {
    const request = {
      protocolVersion: PROTOCOL_VERSION,
      softwareVersion: SOFTWARE_VERSION,
      clockMs: BigInt(Date.now()),
      ...overrides,
    };
    return callServerStream(this.client, service.openSession, request, { signal: this.#stop.signal });
  }

  async #serve(): Promise<void> {
    for await (const { event } of this.openSession()) {
      if (event?.$case !== 'task' || this.#options.ignore?.(event.value)) continue;
      try {
        await this.answer(event.value);
      } catch (error) {
        this.errors.push(error);
      }
    }
  }

  async answer(task: Task): Promise<void> {
    const failure = this.#options.fail?.(task);
    const outcome: SubmitResultRequest['outcome'] = failure
      ? { $case: 'failure', value: failure }
      : await this.outcome(task);
    const { accepted } = await this.submit(this.sign({ taskId: task.taskId, outcome, signature: Buffer.alloc(0) }));
    this.received.push({ task, accepted });
  }

  sign(request: SubmitResultRequest): SubmitResultRequest {
    return { ...request, signature: signDigest(this.#options.identity.keyPem, resultDigest(request)) };
  }

  submit(request: SubmitResultRequest) {
    return callUnary(this.client, service.submitResult, request, { timeoutMs });
  }

  async outcome(task: Task): Promise<SubmitResultRequest['outcome']> {
    const { records } = this.#options;
    const run = parseRunConfig(JSON.parse(task.runConfigJson));
    switch (task.kind) {
      case TaskKind.STATISTICS:
        return { $case: 'statistics', value: { statisticsJson: JSON.stringify(statistics(records)) } };
      case TaskKind.TRAIN: {
        const before = task.weights && (await this.pull(task.runId, task.weights));
        const trained = trainedTensors(this.#options.identity.site, task, before);
        const contribution = await this.push(task.runId, this.#options.tamper?.(trained, task) ?? trained);
        return {
          $case: 'train',
          value: { contribution, records: recordsOf(task, records), metricsJson: JSON.stringify({ loss: 1 }) },
        };
      }
      case TaskKind.EVALUATE:
        return { $case: 'evaluate', value: { metricsJson: JSON.stringify(evaluation(records)) } };
      case TaskKind.GENERATE:
        return {
          $case: 'generate',
          value: {
            synthetic: await this.push(task.runId, syntheticTensors(run)),
            model: await this.push(task.runId, modelTensors(await this.pull(task.runId, task.emaWeights))),
          },
        };
      default:
        return { $case: 'audit', value: { auditJson: JSON.stringify(emptyHandedAudit(run, syntheticSha256(run))) } };
    }
  }

  /** Uploads what is missing. */
  async push(runId: string, tensors: TensorSource[]): Promise<Manifest> {
    const chunks = new Map<string, Buffer>();
    const manifest = await buildManifest(tensors, (hash, data) => void chunks.set(hash.toString('hex'), data));
    const sha256 = [...chunks.keys()].map(address => Buffer.from(address, 'hex'));
    const missing = await callUnary(this.client, service.missingChunks, { runId, sha256 }, { timeoutMs });
    const wanted = missing.sha256.map(hash => ({ runId, chunk: chunkOf(chunks.get(hash.toString('hex')) as Buffer) }));
    if (wanted.length > 0) await callClientStream(this.client, service.pushChunks, wanted, { timeoutMs });
    return manifest;
  }

  /** Downloads weights: name -> values. */
  async pull(runId: string, manifest: Manifest | undefined): Promise<Map<string, Float32Array>> {
    const addresses = manifest ? chunkAddresses(manifest) : [];
    const chunks = new Map<string, Buffer>();
    const request = { runId, sha256: addresses.map(address => Buffer.from(address, 'hex')) };
    for await (const { chunk } of callServerStream(this.client, service.pullChunks, request, { timeoutMs })) {
      if (chunk !== undefined) chunks.set(chunk.sha256.toString('hex'), chunk.data);
    }
    const values = (hashes: readonly Buffer[]) => {
      const bytes = Buffer.concat(hashes.map(hash => chunks.get(hash.toString('hex')) as Buffer));
      return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    };
    return new Map(manifest?.tensors.map(({ name, chunkSha256 }) => [name, values(chunkSha256)]));
  }
}

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  'F/decoder/b': [5],
  'F/encoder/w': [3, 4],
  'G/w': [2, 7],
};

/** Numbers in [-1, 1) that depend on the key alone. */
function numbers(key: string, length: number): Float32Array {
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    values[i] = createHash('sha256').update(`${key} ${i}`).digest().readInt32LE(0) / 2 ** 31;
  }
  return values;
}

/** "Training": the weights so far (or an initialisation all sites share) plus something of this site and task. */
export function trainedTensors(
  site: string,
  task: Pick<Task, 'stage' | 'round'>,
  before: ReadonlyMap<string, Float32Array> | undefined,
): TensorSource[] {
  return Object.entries(SHAPES).map(([name, shape]) => {
    const length = shape.reduce((product, size) => product * size, 1);
    const start = before?.get(name) ?? numbers(`initial ${name}`, length);
    const step = trains(name, task.stage) ? numbers(`${site} ${task.stage} ${task.round} ${name}`, length) : undefined;
    return floatTensor(
      name,
      shape,
      start.map((value, i) => value + 0.1 * (step?.[i] ?? 0)),
    );
  });
}

export const floatTensor = (name: string, shape: readonly number[], values: Float32Array): TensorSource => ({
  name,
  dtype: 'F32',
  shape,
  bytes: [new Uint8Array(values.buffer, values.byteOffset, values.byteLength)],
});

const trains = (name: string, stage: Stage): boolean =>
  stage === Stage.ENCODER_PRETRAINING
    ? name.startsWith('F/encoder/')
    : stage === Stage.REPORT_PRETRAINING
      ? name.startsWith('F/decoder/')
      : !name.startsWith('F/encoder/');

function recordsOf({ stage }: Task, records: number) {
  const modules =
    stage === Stage.ENCODER_PRETRAINING
      ? ['F/encoder']
      : stage === Stage.REPORT_PRETRAINING
        ? ['F/decoder']
        : ['G', 'F/decoder'];
  return modules.map(module => ({ module, records: BigInt(records) }));
}

const statistics = (records: number) => ({
  patients: records,
  records,
  recordsWithReport: records,
  labels: { Edema: 10, Fracture: null },
  tokens: { heart: records, lungs: 5, [`only-${records}`]: 4 },
});

const evaluation = (records: number) => ({
  nllSum: 2 * records,
  tokens: records,
  unigramNllSum: 3 * records,
  fid: 10,
  fidUntrained: 20,
  extractorSha256: 'ab'.repeat(32),
  images: records,
});

const REPORT = 'no acute disease .';

const syntheticPixels = ({ pairs }: RunConfig, { resolution, imageChannels }: ModelConfig): Buffer =>
  Buffer.alloc(pairs * resolution * resolution * imageChannels, 7);

/** The hash that an honest site's audit of the set below carries (privacy/audit/site-audit.ts). */
function syntheticSha256(run: RunConfig): string {
  const model = modelConfigOf(run);
  return createHash('sha256')
    .update(`${run.pairs}x${model.resolution}x${model.resolution}x${model.imageChannels}\n`)
    .update(syntheticPixels(run, model))
    .update(`${JSON.stringify(REPORT)}\n`.repeat(run.pairs))
    .digest('hex');
}

function syntheticTensors(run: RunConfig): TensorSource[] {
  const { resolution, imageChannels } = modelConfigOf(run);
  const { pairs } = run;
  const images = syntheticPixels(run, modelConfigOf(run));
  const reports = Buffer.from(`${JSON.stringify({ report: REPORT })}\n`.repeat(pairs));
  return [
    { name: 'images', dtype: 'U8', shape: [pairs, resolution, resolution, imageChannels], bytes: [images] },
    { name: 'labels', dtype: 'U8', shape: [pairs, LABELS.length], bytes: [Buffer.alloc(pairs * LABELS.length)] },
    { name: 'reports', dtype: 'U8', shape: [reports.length], bytes: [reports] },
  ];
}

const modelTensors = (weights: ReadonlyMap<string, Float32Array>): TensorSource[] =>
  [...weights].map(([name, values]) => floatTensor(name, SHAPES[name] ?? [values.length], values));
