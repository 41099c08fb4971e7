/** A phantom patient: a body, one to four studies, and what each shows and says. */
import { createHash } from 'node:crypto';
import { Random } from '#model/random.ts';
import { type Anatomy, drawAnatomy, drawExposure, type Exposure } from './anatomy.ts';
import { type Finding, firstFindings, type LabelPrior, nextFindings } from './findings.ts';
import { type PhantomReport, writeReport } from './report.ts';

export interface PhantomImage {
  /** In the form of MIMIC-CXR-JPG's dicom_id. */
  readonly id: string;
  readonly exposure: Exposure;
}

export interface PhantomStudy {
  /** Eight digits. */
  readonly id: string;
  /** YYYYMMDD, in the far future like MIMIC's shifted dates. */
  readonly date: string;
  readonly time: string;
  readonly findings: readonly Finding[];
  readonly report: PhantomReport;
  readonly exposures: readonly PhantomImage[];
}

export interface PhantomPatient {
  readonly anatomy: Anatomy;
  readonly studies: readonly PhantomStudy[];
}

/** Patient number `index` of the collection that `seed` and `prior` define. */
export function drawPatient(seed: number, index: number, prior: LabelPrior): PhantomPatient {
  const random = new Random('phantom patient', seed, index);
  const anatomy = drawAnatomy(random);
  const count = 1 + (random.uniform() < 0.45 ? 1 + random.integer(3) : 0);
  const studies: PhantomStudy[] = [];
  let findings = firstFindings(random, prior);
  for (let k = 0; k < count; k++) {
    if (k > 0) findings = nextFindings(random, prior, findings);
    // The very ill are filmed lying, with a portable machine.
    const ill = findings.length > 1 || findings.some(finding => finding.label === 'Support Devices');
    const view = random.uniform() < (ill ? 0.6 : 0.15) ? 'AP' : 'PA';
    const report = writeReport(random, findings, { view, first: k === 0 });
    const images = random.uniform() < 0.06 ? 2 : 1;
    const exposures = Array.from({ length: images }, (_, image): PhantomImage => {
      return { id: imageId(seed, index, k, image), exposure: drawExposure(random, view) };
    });
    const day = new Date(Date.UTC(2150, 0, 1 + random.integer(200) + 200 * k));
    const date = day.toISOString().slice(0, 10).replaceAll('-', '');
    const time = String(80_000 + 100 * random.integer(900));
    const id = String(50_000_000 + ((index * 4 + k) % 9_000_000));
    studies.push({ id, date, time, findings, report, exposures });
  }
  return { anatomy, studies };
}

function imageId(...keys: readonly number[]): string {
  const hex = createHash('sha256')
    .update(`phantom image ${keys.join(' ')}`)
    .digest('hex');
  return [0, 8, 16, 24, 32].map(at => hex.slice(at, at + 8)).join('-');
}
