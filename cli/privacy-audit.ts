/** `emixer privacy audit`: one holder's audit of a generated folder against its own training and holdout folders. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { AuditRecords } from '#privacy/audit/audit-records.ts';
import { decide, type GateReport } from '#privacy/audit/gate.ts';
import { reportHtml } from '#privacy/audit/report-html.ts';
import { auditSite } from '#privacy/audit/site-audit.ts';
import type { SiteAudit } from '#privacy/audit/site-audit-schema.ts';
import { resolveThresholds } from '#privacy/audit/thresholds.ts';
import { FedError } from '#proto/errors.ts';
import { SOFTWARE_VERSION } from '#proto/version.ts';
import { decodeImage } from '#site-agent/data/image.ts';
import { mapOrdered } from '#site-agent/data/ordered.ts';
import { loaderOf } from '#site-agent/data/registry.ts';
import type { DataSource } from './options.ts';

export interface PrivacyAuditOptions {
  readonly generated: DataSource;
  readonly train: DataSource;
  readonly holdout: DataSource;
  /** The `audit` section of a run configuration. */
  readonly thresholds: unknown;
  /** Side at which images are read; copies are looked for at this size. */
  readonly resolution: number;
  readonly seed: number;
  /** Where report.html and audit.json go; nothing is written without it. */
  readonly out: string | undefined;
  readonly nowMs: number;
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface PrivacyAuditResult {
  readonly verdict: GateReport['verdict'];
  readonly sentence: string;
  readonly gates: GateReport['gates'];
  /** The gate over the audit itself: were its positive controls found. */
  readonly validity: GateReport['gates'][number] | null;
  readonly report: string | null;
  /** Certificates are signed by a coordinator; this version makes none here. */
  readonly certificate: null;
}

const LOCAL = 'local';

/** @throws FedError DATA_INVALID | NO_USABLE_RECORDS when a folder cannot be read, CONFIG_INVALID, CANCELLED */
export async function privacyAudit(options: PrivacyAuditOptions): Promise<PrivacyAuditResult> {
  const { resolution, seed, out, nowMs, onProgress } = options;
  const thresholds = resolveThresholds(options.thresholds);
  const generated = await readRecords('generated', options.generated, options);
  const train = await readRecords('train', options.train, options);
  const holdout = await readRecords('holdout', options.holdout, options);
  onProgress('comparing');
  const audit: SiteAudit = await auditSite({
    resolution,
    imageChannels: 1,
    generated,
    train,
    holdout,
    seed,
    thresholds,
  });
  const report = decide([{ site: LOCAL, audit }], {
    // There is a folder and no run: what was audited is named by its own content.
    modelSha256: ABSENT,
    syntheticSha256: audit.generatedSha256,
    runSha256: ABSENT,
    thresholds,
  });
  let page: string | null = null;
  if (out !== undefined) {
    await mkdir(out, { recursive: true });
    page = join(out, 'report.html');
    const about = { madeAt: new Date(nowMs).toISOString(), software: `emixer ${SOFTWARE_VERSION}` };
    await writeFile(page, reportHtml(report, about));
    await writeFile(join(out, 'audit.json'), `${JSON.stringify(report, null, 2)}\n`);
  }
  const { verdict, sentence, gates } = report;
  const validity = gates.find(({ id }) => id === 'G0') ?? null;
  return { verdict, sentence, gates, validity, report: page, certificate: null };
}

/** SHA-256 of nothing: there is no model and no run behind a folder. */
const ABSENT = createHash('sha256').digest('hex');

async function readRecords(
  name: string,
  { kind, dir }: DataSource,
  { resolution, onProgress, signal }: PrivacyAuditOptions,
): Promise<AuditRecords> {
  const settings = { resolution, imageChannels: 1, fit: 'pad' } as const;
  let skipped = 0;
  const decoded = mapOrdered(
    loaderOf(kind).records(dir, () => skipped++),
    2 * availableParallelism(),
    async record => {
      if (signal.aborted) throw new FedError('CANCELLED', 'interrupted');
      return { record, image: await decodeImage(record.imagePath, settings) };
    },
  );
  const images: Uint8Array[] = [];
  const patients: string[] = [];
  const studies: string[] = [];
  const reports: (string | null)[] = [];
  for await (const { record, image } of decoded) {
    if (!image.ok) {
      skipped++;
      continue;
    }
    images.push(image.pixels);
    patients.push(record.patient);
    studies.push(`${record.patient}/${record.study}`);
    reports.push(record.report);
  }
  if (images.length === 0) {
    throw new FedError(
      'NO_USABLE_RECORDS',
      `expected usable images in the ${name} folder; ${skipped} were skipped`,
      'see emixer data describe',
    );
  }
  onProgress(`${name}: ${images.length} images, ${skipped} skipped`);
  return { images: Buffer.concat(images), patients, studies, reports };
}
