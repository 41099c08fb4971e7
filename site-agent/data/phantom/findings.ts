/** What may be wrong with a phantom, and how it develops from one study of a patient to the next. */
import type { Label } from '#model/labels.ts';
import type { Random } from '#model/random.ts';

/** The labels that phantoms are drawn with. The others stay blank, but for those that follow from them. */
export const DRAWN_LABELS = [
  'Cardiomegaly',
  'Pleural Effusion',
  'Consolidation',
  'Edema',
  'Pneumothorax',
  'Atelectasis',
  'Lung Lesion',
  'Support Devices',
] as const satisfies readonly Label[];
export type DrawnLabel = (typeof DRAWN_LABELS)[number];

export type Side = 'left' | 'right';
export type Zone = 'upper' | 'mid' | 'lower';
export type Trend = 'new' | 'worse' | 'better' | 'stable';

export interface Finding {
  readonly label: DrawnLabel;
  /** The patient's side; null where a finding has none (heart, oedema). */
  readonly side: Side | 'both' | null;
  readonly zone: Zone | null;
  /** 0 barely visible, 1 gross. */
  readonly severity: number;
  /** False: the report hedges ("may represent"), and the label is -1. */
  readonly certain: boolean;
  /** Against the study before; null in a first study. */
  readonly trend: Trend | null;
  /** Fixes a finding's shape over the studies in which it stays. */
  readonly shape: number;
}

/** How likely each drawn label is in a patient's first study. */
export type LabelPrior = Readonly<Record<DrawnLabel, number>>;

export const DEFAULT_PRIOR: LabelPrior = {
  Cardiomegaly: 0.22,
  'Pleural Effusion': 0.22,
  Consolidation: 0.16,
  Edema: 0.12,
  Pneumothorax: 0.09,
  Atelectasis: 0.16,
  'Lung Lesion': 0.07,
  'Support Devices': 0.14,
};

/** About a third of the patients are well, whatever the prior of the others: films of the healthy are the commonest. */
const HEALTHY = 0.33;

export function firstFindings(random: Random, prior: LabelPrior): Finding[] {
  if (random.uniform() < HEALTHY) return [];
  return DRAWN_LABELS.filter(label => random.uniform() < prior[label] / (1 - HEALTHY)).map(label =>
    newFinding(random, label, null),
  );
}

/** The findings of the next study: old ones grow, shrink or go, new ones come. */
export function nextFindings(random: Random, prior: LabelPrior, before: readonly Finding[]): Finding[] {
  const kept = before.flatMap(finding => develop(random, finding));
  const present = new Set(before.map(finding => finding.label));
  const fresh = DRAWN_LABELS.filter(label => !present.has(label) && random.uniform() < 0.3 * prior[label]);
  return [...kept, ...fresh.map(label => newFinding(random, label, 'new'))];
}

function develop(random: Random, finding: Finding): Finding[] {
  const lasting = finding.label === 'Cardiomegaly' || finding.label === 'Lung Lesion';
  if (random.uniform() < (lasting ? 0.02 : 0.25)) return [];
  const u = random.uniform();
  if (lasting || finding.label === 'Support Devices' || u < 0.4) return [{ ...finding, trend: 'stable' }];
  const worse = u < 0.7;
  const severity = worse ? Math.min(1, finding.severity + 0.25) : Math.max(0.15, finding.severity - 0.25);
  if (severity === finding.severity) return [{ ...finding, trend: 'stable' }];
  return [{ ...finding, severity, trend: worse ? 'worse' : 'better' }];
}

const SIDED: readonly DrawnLabel[] = [
  'Pleural Effusion',
  'Consolidation',
  'Pneumothorax',
  'Atelectasis',
  'Lung Lesion',
];
const ZONED: readonly DrawnLabel[] = ['Consolidation', 'Lung Lesion'];
const HEDGED: readonly DrawnLabel[] = ['Consolidation', 'Pleural Effusion', 'Atelectasis', 'Edema'];

function newFinding(random: Random, label: DrawnLabel, trend: Trend | null): Finding {
  const severity = 0.2 + 0.8 * random.uniform();
  const both = (label === 'Pleural Effusion' || label === 'Atelectasis') && random.uniform() < 0.3;
  const side = random.uniform() < 0.5 ? 'left' : 'right';
  const zones: readonly Zone[] = ['upper', 'mid', 'lower', 'lower'];
  const zone = zones[random.integer(zones.length)] ?? 'lower';
  // Radiologists hedge about what is small.
  const certain = !(HEDGED.includes(label) && severity < 0.45 && random.uniform() < 0.4);
  return {
    label,
    side: SIDED.includes(label) ? (both ? 'both' : side) : null,
    zone: ZONED.includes(label) ? zone : null,
    severity,
    certain,
    trend,
    shape: random.uint32(),
  };
}

/** The sides a finding is drawn on, as signs of x: the patient's right is image left. */
export function signsOf(side: Finding['side']): readonly number[] {
  return side === 'both' ? [-1, 1] : side === null ? [] : [side === 'right' ? -1 : 1];
}
