/** Open-i's MeSH headings ("Thickening/pleura/apex/right") as CheXpert's labels. */
import { LABELS, type Label } from '#model/labels.ts';
import type { LabelValue } from './record.ts';

interface Rule {
  readonly label: Label;
  readonly heading: string;
  /** A part after the heading that must be there. */
  readonly part?: string;
}

/** The mapping table. Headings that are not in it (bones, calcifications, granulomas ...) are none of the 14. */
export const MESH_RULES: readonly Rule[] = [
  { label: 'Atelectasis', heading: 'Pulmonary Atelectasis' },
  { label: 'Cardiomegaly', heading: 'Cardiomegaly' },
  { label: 'Cardiomegaly', heading: 'Cardiac Shadow', part: 'enlarged' },
  { label: 'Consolidation', heading: 'Consolidation' },
  { label: 'Edema', heading: 'Pulmonary Edema' },
  { label: 'Enlarged Cardiomediastinum', heading: 'Mediastinum' },
  { label: 'Fracture', heading: 'Fractures, Bone' },
  { label: 'Lung Lesion', heading: 'Nodule' },
  { label: 'Lung Lesion', heading: 'Mass' },
  { label: 'Lung Opacity', heading: 'Opacity' },
  { label: 'Lung Opacity', heading: 'Airspace Disease' },
  { label: 'Lung Opacity', heading: 'Infiltrate' },
  { label: 'Pleural Effusion', heading: 'Pleural Effusion' },
  { label: 'Pleural Other', heading: 'Pleura' },
  { label: 'Pleural Other', heading: 'Thickening', part: 'pleura' },
  { label: 'Pneumonia', heading: 'Pneumonia' },
  { label: 'Pneumothorax', heading: 'Pneumothorax' },
  { label: 'Pneumothorax', heading: 'Hydropneumothorax' },
  { label: 'Pneumothorax', heading: 'Hemopneumothorax' },
  { label: 'Support Devices', heading: 'Catheters, Indwelling' },
  { label: 'Support Devices', heading: 'Tube, Inserted' },
  { label: 'Support Devices', heading: 'Implanted Medical Device' },
  { label: 'Support Devices', heading: 'Medical Device' },
];

const UNINDEXED = 'no indexing';
const NORMAL = 'normal';

/**
 * Labels of one study from its major headings. The films were indexed by hand and completely, so a finding without its
 * heading is negative; a study that was not indexed has no labels. "No Finding" is positive exactly for "normal".
 */
export function labelsOfMesh(majors: readonly string[]): Partial<Record<Label, LabelValue>> {
  const terms = majors.map(major => major.split('/').map(part => part.trim().toLowerCase()));
  const headings = terms.map(parts => parts[0] ?? '');
  if (headings.length === 0 || headings.every(heading => heading === UNINDEXED)) return {};
  const labels: Partial<Record<Label, LabelValue>> = Object.fromEntries(LABELS.map(label => [label, 0]));
  for (const { label, heading, part } of MESH_RULES) {
    const named = terms.some(
      parts => parts[0] === heading.toLowerCase() && (part === undefined || parts.slice(1).includes(part)),
    );
    if (named) labels[label] = 1;
  }
  labels['No Finding'] = headings.includes(NORMAL) ? 1 : 0;
  return labels;
}
