/**
 * Invented patients with smooth random images that look alike as chest films do, and reports from templates with
 * varied findings: the truth about what a "generator" made of them copied is known.
 */
import type { AuditRecords } from '#privacy/audit/audit-records.ts';
import { type Random, seededRandom } from '#privacy/random.ts';

export interface Cohort extends AuditRecords {
  readonly reports: readonly string[];
}

const WAVES = 14;

/** One image [side, side]: a common shape plus the patient's own slow waves. */
function drawImage(side: number, random: Random): Uint8Array {
  const waves = Array.from({ length: WAVES }, () => ({
    fx: random.gaussian() * 1.6,
    fy: random.gaussian() * 1.6,
    phase: random.uniform() * 2 * Math.PI,
    height: 9 * random.gaussian(),
  }));
  const image = new Uint8ClampedArray(side * side);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const [u, v] = [x / side, y / side];
      const lungs =
        Math.exp(-((u - 0.28) ** 2 + (v - 0.45) ** 2 * 0.5) * 30) +
        Math.exp(-((u - 0.74) ** 2 + (v - 0.45) ** 2 * 0.5) * 30);
      let value = 150 - 70 * lungs;
      for (const { fx, fy, phase, height } of waves)
        value += height * Math.cos(2 * Math.PI * (fx * u + fy * v) + phase);
      image[y * side + x] = value + random.gaussian();
    }
  }
  return new Uint8Array(image);
}

const NORMAL = [
  'the heart is normal in size . the lungs are clear . no pleural effusion or pneumothorax .',
  'no acute cardiopulmonary process .',
  'heart size and mediastinal contour are within normal limits . no focal consolidation .',
];
const words = (list: string): readonly string[] => list.split(', ');
const SIZES = words('small, moderate, large, trace, subtle, stable, new, resolving, vague, dense, linear, patchy');
const FINDINGS = words(
  'effusion, opacity, atelectasis, nodule, granuloma, scarring, consolidation, thickening, bulla, calcification, mass, infiltrate',
);
const PLACES = words(
  'left base, right base, right apex, lingula, left hilum, middle lobe, left apex, costophrenic angle, right hilum, upper zone',
);
const TAILS = words(
  'likely chronic, suspicious for infection, unchanged since prior, of uncertain significance, better seen on lateral view, may be artefact, with volume loss, of no concern',
);

function writeReport(random: Random): string {
  const pick = (list: readonly string[]) => list[Math.floor(random.uniform() * list.length)] ?? '';
  if (random.uniform() < 0.25) return pick(NORMAL);
  return Array.from(
    { length: 5 },
    () => `${pick(SIZES)} ${pick(FINDINGS)} in the ${pick(PLACES)} ${pick(TAILS)} .`,
  ).join(' ');
}

/** `patients` invented patients of which every fifth has a second image of the same study. */
export function cohort(patients: number, side: number, seed: number, prefix = 'p'): Cohort {
  const random = seededRandom(seed, `cohort ${prefix}`);
  const images: Uint8Array[] = [];
  const ids: string[] = [];
  const reports: string[] = [];
  for (let p = 0; p < patients; p++) {
    const image = drawImage(side, random);
    const report = writeReport(random);
    for (let view = 0; view < (p % 5 === 0 ? 2 : 1); view++) {
      images.push(view === 0 ? image : image.map(value => Math.min(255, value + 2)));
      ids.push(`${prefix}${p}`);
      reports.push(report);
    }
  }
  return { images: concat(images), patients: ids, studies: ids.map(id => `${id}-study`), reports };
}

export function concat(images: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(images.reduce((sum, image) => sum + image.length, 0));
  let offset = 0;
  for (const image of images) {
    all.set(image, offset);
    offset += image.length;
  }
  return all;
}

/** Image `index` of a cohort. */
export const imageOf = (records: AuditRecords, side: number, index: number): Uint8Array =>
  records.images.slice(index * side * side, (index + 1) * side * side);
