/** The end of a run: audits to verdict, chunks to files, in `release/` or, with any verdict but `pass`, in `withheld/`. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withContentHash } from '#model/checkpoint/content-hash.ts';
import { modelMetadata } from '#model/checkpoint/model-file.ts';
import { type TensorToWrite, writeSafetensors } from '#model/checkpoint/safetensors.ts';
import { runHash } from '#model/federated.ts';
import { decide, type GateReport, type SiteSubmission } from '#privacy/audit/gate.ts';
import { reportHtml } from '#privacy/audit/report-html.ts';
import { parseSiteAudit } from '#privacy/audit/site-audit-schema.ts';
import { resolveThresholds } from '#privacy/audit/thresholds.ts';
import { FedError } from '#proto/errors.ts';
import type { Manifest, TensorEntry } from '#proto/gen/fed/v1/tensors.ts';
import { dtypeOf } from '#proto/manifest.ts';
import { SOFTWARE_VERSION } from '#proto/version.ts';
import { generatedSha256 } from './generated-sha256.ts';
import type { Verdict } from './rounds/events.ts';
import type { Submission } from './rounds/plan.ts';
import type { RunState } from './rounds/state.ts';
import { generatedManifests, readVocabulary } from './rounds/tasks.ts';
import { runView } from './run-view.ts';
import type { RunFiles } from './store/run-files.ts';

/**
 * Writes the output of a run and returns its verdict. The folder appears whole; it may be written again after a crash.
 * @throws FedError DISK_FULL; FILE_CORRUPT | NOT_FOUND when a stored chunk is damaged or lost
 */
export async function concludeRun(
  state: RunState,
  files: RunFiles,
  audits: readonly Submission[],
  nowMs: number,
): Promise<Verdict> {
  const generated = await generatedManifests(state, files);
  if (generated === undefined) throw new FedError('NOT_FOUND', 'expected the generated set of the run; there is none');
  const partial = join(files.folder, '.output.partial');
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true, mode: 0o700 });
  const modelPath = join(partial, 'model.safetensors');
  const syntheticPath = join(partial, 'synthetic.safetensors');
  await writeSafetensors(modelPath, tensorsOf(generated.model, files), await describe(state, files, generated.model));
  await writeSafetensors(syntheticPath, tensorsOf(generated.synthetic, files), { run_id: state.runId });
  const audited = await generatedSha256(generated.synthetic, tensor => chunksOf(tensor, files));
  const report = decide(await submissions(state, files, audits, audited), {
    modelSha256: await fileSha256(modelPath),
    syntheticSha256: await fileSha256(syntheticPath),
    runSha256: runHash(state.config).toString('hex'),
    thresholds: resolveThresholds(state.config.audit),
  });
  await writeReports(partial, state, files, report, nowMs);
  await publish(partial, files.folder, report.verdict);
  return report.verdict;
}

/**
 * Every site whose updates are in the weights must have audited; others count when they have. An audit of anything but
 * the very set that is written here is no audit of it.
 */
async function submissions(
  state: RunState,
  files: RunFiles,
  audits: readonly Submission[],
  audited: string,
): Promise<SiteSubmission[]> {
  const bySite = new Map(audits.map(({ site, result }) => [site, result.submission]));
  const sites = state.config.sites.filter(site => state.contributors.includes(site) || bySite.has(site));
  return Promise.all(
    sites.map(async site => {
      const address = bySite.get(site);
      const outcome = address === undefined ? undefined : (await files.submission(address)).outcome;
      const audit = outcome?.$case === 'audit' ? parseSiteAudit(outcome.value.auditJson) : null;
      return { site, audit: audit?.generatedSha256 === audited ? audit : null };
    }),
  );
}

function tensorsOf({ tensors }: Manifest, files: RunFiles): TensorToWrite[] {
  return tensors.map(tensor => ({
    name: tensor.name,
    dtype: dtypeOf(tensor.dtype),
    shape: tensor.shape,
    data: chunksOf(tensor, files),
  }));
}

async function* chunksOf(tensor: TensorEntry, { global }: RunFiles): AsyncGenerator<Uint8Array, void, undefined> {
  for (const address of tensor.chunkSha256) yield await global.get(address.toString('hex'));
}

/** What is needed to generate with the model alone, and to see that it is this one. */
async function describe(
  state: RunState,
  files: RunFiles,
  { tensors, chunkBytes }: Manifest,
): Promise<Record<string, string>> {
  const vocabulary = state.vocabulary ? await readVocabulary(files, state.vocabulary.sha256) : [];
  const metadata = {
    run_id: state.runId,
    run_sha256: runHash(state.config).toString('hex'),
    ...modelMetadata(state.config, vocabulary, state.statistics),
  };
  const hashed = tensors.map(({ name, dtype, shape, chunkSha256 }) => ({
    name,
    dtype: dtypeOf(dtype),
    shape,
    chunks: chunkSha256.map(hash => hash.toString('hex')),
  }));
  return withContentHash(metadata, hashed, chunkBytes);
}

async function fileSha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest('hex');
}

async function writeReports(
  folder: string,
  state: RunState,
  files: RunFiles,
  report: GateReport,
  nowMs: number,
): Promise<void> {
  const { modelSha256, syntheticSha256 } = report.context;
  const run = {
    ...runView(state, files.folder),
    status: 'finished',
    step: null,
    verdict: report.verdict,
    out: files.folder,
    modelSha256,
    syntheticSha256,
    runSha256: report.context.runSha256,
  };
  await writeFile(join(folder, 'audit.json'), `${JSON.stringify(report, null, 2)}\n`, { flush: true });
  const about = { madeAt: new Date(nowMs).toISOString(), software: `emixer ${SOFTWARE_VERSION}` };
  await writeFile(join(folder, 'audit.html'), reportHtml(report, about), { flush: true });
  await writeFile(join(folder, 'run.json'), `${JSON.stringify(run, null, 2)}\n`, { flush: true });
}

/** One of the two folders at most ever exists: what an earlier attempt left is removed first. */
async function publish(partial: string, folder: string, verdict: Verdict): Promise<void> {
  for (const name of ['release', 'withheld']) await rm(join(folder, name), { recursive: true, force: true });
  await syncFolder(partial);
  await rename(partial, join(folder, outputFolder(verdict)));
  // The verdict is recorded next, and the chunks that this was made of go: the output must be on the disk by then.
  await syncFolder(folder);
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export const outputFolder = (verdict: Verdict): 'release' | 'withheld' => (verdict === 'pass' ? 'release' : 'withheld');
