/**
 * MIMIC-CXR-JPG (Johnson et al. 2019, arXiv:1901.07042) with MIMIC-CXR's reports laid beside its images:
 * files/p10/p<subject>/s<study>/<dicom>.jpg and files/p10/p<subject>/s<study>.txt.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LABELS, type Label } from '#model/labels.ts';
import { readTable } from './csv-table.ts';
import type { LabelValue, Loader, Skipped, SourceRecord } from './record.ts';
import { findSections, joinSections, type ReportSections } from './report-sections.ts';
import { filesIn, type Located } from './safe-path.ts';

const FRONTAL = new Set(['PA', 'AP']);
const SUBJECT = /^\d{2,12}$/;
const STUDY = /^\d{1,12}$/;
const IMAGE = /^[A-Za-z0-9_-]{1,128}$/;
const MAX_REPORT_BYTES = 65_536;

export const mimicCxrJpg: Loader = { kind: 'mimic-cxr-jpg', records };

async function* records(folder: string, skip: (skipped: Skipped) => void): AsyncGenerator<SourceRecord> {
  const locate = await filesIn(folder);
  const labels = await labelsByStudy(join(folder, 'mimic-cxr-2.0.0-chexpert.csv.gz'));
  const reports = new ReportCache(locate, skip);
  const seen = new Set<string>();
  const columns = ['dicom_id', 'subject_id', 'study_id', 'ViewPosition'] as const;
  for await (const row of readTable(join(folder, 'mimic-cxr-2.0.0-metadata.csv.gz'), columns)) {
    const { dicom_id: image, subject_id: patient, study_id: study, ViewPosition: view } = row;
    if (!SUBJECT.test(patient) || !STUDY.test(study) || !IMAGE.test(image)) {
      skip({
        path: `files/${[patient, study, image].join('/').slice(0, 200)}`,
        reason: 'an id that is no MIMIC-CXR id',
      });
      continue;
    }
    const studyPath = `files/p${patient.slice(0, 2)}/p${patient}/s${study}`;
    const path = `${studyPath}/${image}.jpg`;
    if (!FRONTAL.has(view)) {
      skip({ path, reason: `not a frontal view (${view.slice(0, 20) || 'view not stated'})` });
      continue;
    }
    if (seen.has(image)) {
      skip({ path, reason: 'listed twice' });
      continue;
    }
    seen.add(image);
    const located = await locate(path);
    if (!located.ok) {
      skip({ path, reason: located.reason });
      continue;
    }
    const sections = await reports.of(`${studyPath}.txt`);
    yield {
      patient,
      study,
      image,
      imagePath: located.path,
      report: joinSections(sections),
      findings: sections.findings,
      labels: unpack(labels.get(Number(study)) ?? 0),
    };
  }
}

/** Two bits a label: with 227,827 studies, an object each would cost more memory than all else. */
const CODES: readonly LabelValue[] = [null, 1, 0, -1];

async function labelsByStudy(path: string): Promise<Map<number, number>> {
  const labels = new Map<number, number>();
  for await (const row of readTable(path, ['study_id', ...LABELS] as const)) {
    if (!STUDY.test(row.study_id)) continue;
    let packed = 0;
    for (const [index, label] of LABELS.entries()) {
      const text = row[label];
      const code = text === '' ? 0 : CODES.indexOf(Number(text) as LabelValue);
      packed |= Math.max(0, code) << (2 * index);
    }
    labels.set(Number(row.study_id), packed);
  }
  return labels;
}

const unpack = (packed: number): Readonly<Partial<Record<Label, LabelValue>>> =>
  Object.fromEntries(LABELS.map((label, index) => [label, CODES[(packed >> (2 * index)) & 3] ?? null]));

const NO_SECTIONS: ReportSections = { findings: null, impression: null };

/** The last study's report: the metadata lists a study's images one after the other. */
class ReportCache {
  readonly #locate: (relative: string) => Promise<Located>;
  readonly #skip: (skipped: Skipped) => void;
  #path = '';
  #sections = NO_SECTIONS;

  constructor(locate: (relative: string) => Promise<Located>, skip: (skipped: Skipped) => void) {
    this.#locate = locate;
    this.#skip = skip;
  }

  async of(path: string): Promise<ReportSections> {
    if (path !== this.#path) {
      this.#path = path;
      this.#sections = await this.#read(path);
    }
    return this.#sections;
  }

  /** A study without a report is a record without one; a report that cannot be used is told. */
  async #read(path: string): Promise<ReportSections> {
    const located = await this.#locate(path);
    if (!located.ok) {
      if (located.reason !== 'listed, but absent') this.#skip({ path, reason: located.reason });
      return NO_SECTIONS;
    }
    if ((await stat(located.path)).size > MAX_REPORT_BYTES) {
      this.#skip({ path, reason: `a report larger than ${MAX_REPORT_BYTES / 1024} KiB` });
      return NO_SECTIONS;
    }
    return findSections(await readFile(located.path, 'utf8'));
  }
}
