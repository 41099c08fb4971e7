/** What a demo leaves: the model and its pairs (released or withheld), the audit, the pictures. */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { outputFolder } from '#coordinator/output.ts';
import type { Verdict } from '#coordinator/rounds/events.ts';
import type { RunConfig } from '#model/federated.ts';
import { readSyntheticSet } from '#model/generation/synthetic-file.ts';
import { LABELS } from '#model/labels.ts';
import type { GateReport } from '#privacy/audit/gate.ts';
import { reportHtml } from '#privacy/audit/report-html.ts';
import { SOFTWARE_VERSION } from '#proto/version.ts';
import { renderCurvesHtml, renderCurvesPng } from '../pictures/curves.ts';
import { renderGallery } from '../pictures/gallery.ts';
import type { EgressSummary } from './egress.ts';
import type { DemoFolders } from './folders.ts';
import type { RoundRecord, RunRecord } from './run-record.ts';
import type { SiteSummary } from './site-setup.ts';

export interface DemoOutputs {
  readonly rounds: readonly RoundRecord[];
  readonly model: { readonly path: string; readonly sha256: string };
  readonly synthetic: { readonly path: string; readonly sha256: string; readonly pairs: number };
  readonly audit: { readonly verdict: Verdict; readonly sentence: string; readonly path: string };
  /** PNG of generated pairs; lies with them, in `withheld/` too. */
  readonly gallery: string;
  /** HTML. */
  readonly report: string;
  readonly curves: { readonly png: string; readonly html: string };
}

/** The document of `emixer demo --json` and demo.json. */
export interface DemoResult extends DemoOutputs {
  readonly egress: EgressSummary;
  readonly out: string;
  readonly runId: string;
  readonly sites: readonly SiteSummary[];
  readonly coordinator: { readonly peakRssBytes: number };
  readonly wallSeconds: number;
}

export interface OutputOptions {
  readonly folders: DemoFolders;
  readonly config: RunConfig;
  readonly record: RunRecord;
  /** The coordinator's folder of the run. */
  readonly runFolder: string;
  readonly verdict: Verdict;
}

const GALLERY_PAIRS = 12;

export async function writeOutputs({
  folders,
  config,
  record,
  runFolder,
  verdict,
}: OutputOptions): Promise<DemoOutputs> {
  const { out } = folders;
  const name = outputFolder(verdict);
  const from = join(runFolder, name);
  const to = join(out, name);
  await mkdir(to, { mode: 0o700 });
  const model = join(to, 'model.safetensors');
  const synthetic = join(to, 'synthetic.safetensors');
  await copyFile(join(from, 'model.safetensors'), model);
  await copyFile(join(from, 'synthetic.safetensors'), synthetic);

  const auditJson = await readFile(join(from, 'audit.json'), 'utf8');
  const audit = JSON.parse(auditJson) as GateReport;
  const auditPath = join(out, 'audit.json');
  const report = join(out, 'report.html');
  await writeFile(auditPath, auditJson);
  const run = JSON.parse(await readFile(join(from, 'run.json'), 'utf8')) as { readonly createdAtMs: number };
  const madeAt = new Date(run.createdAtMs).toISOString();
  await writeFile(report, reportHtml(audit, { madeAt, software: `emixer ${SOFTWARE_VERSION}` }));

  const gallery = join(to, 'gallery.png');
  const pairs = await writeGallery(synthetic, gallery, verdict);
  const curves = { png: join(out, 'curves.png'), html: join(out, 'curves.html') };
  const title = `${config.name}: ${config.sites.length} sites, preset ${config.preset}, seed ${config.seed}`;
  const panels = record.panels();
  await writeFile(curves.png, await renderCurvesPng(title, panels));
  await writeFile(curves.html, renderCurvesHtml(title, panels));
  const { modelSha256, syntheticSha256 } = audit.context;
  return {
    rounds: record.rounds(),
    model: { path: model, sha256: modelSha256 },
    synthetic: { path: synthetic, sha256: syntheticSha256, pairs },
    audit: { verdict, sentence: audit.sentence, path: auditPath },
    gallery,
    report,
    curves,
  };
}

/** @returns how many pairs the set holds */
async function writeGallery(syntheticPath: string, path: string, verdict: Verdict): Promise<number> {
  const set = await readSyntheticSet(syntheticPath);
  const imageBytes = set.resolution * set.resolution * set.imageChannels;
  const shown = Math.min(GALLERY_PAIRS, set.count);
  const pairs = Array.from({ length: shown }, (_, i) => ({
    pixels: set.pixels.subarray(i * imageBytes, (i + 1) * imageBytes),
    labels: LABELS.filter((_label, k) => set.labelRows[i * set.labels + k] === 1),
    report: set.reports[i] ?? '',
  }));
  const title = verdict === 'pass' ? 'Generated pairs' : `Generated pairs, withheld: ${verdict}`;
  const subtitle = `The first ${shown} of ${set.count} synthetic pairs, each with the labels it was generated for.`;
  const imageChannels = set.imageChannels === 3 ? 3 : 1;
  await writeFile(path, await renderGallery({ title, subtitle, resolution: set.resolution, imageChannels, pairs }));
  return set.count;
}
