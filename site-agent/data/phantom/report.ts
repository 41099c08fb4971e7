/** A phantom's report: text that follows its findings, and the labels that follow the text, as CheXpert's do. */
import type { Label } from '#model/labels.ts';
import type { Random } from '#model/random.ts';
import type { LabelValue } from '../record.ts';
import { DRAWN_LABELS, type DrawnLabel, type Finding, type Zone } from './findings.ts';
import {
  COMBINED_NEGATIVE,
  INDICATIONS,
  NO_OPACITY,
  NORMAL_IMPRESSION,
  REMARKS,
  TECHNIQUE,
  TREND_WORDS,
  WORDING,
} from './phrases.ts';

export interface PhantomReport {
  /** Free text as in MIMIC-CXR: header, FINDINGS, IMPRESSION. */
  readonly text: string;
  /** What the text says; a label that it does not mention is missing. */
  readonly labels: Readonly<Partial<Record<Label, LabelValue>>>;
}

const pick = <T>(random: Random, items: readonly T[]): T => items[random.integer(items.length)] as T;

/** How likely a finding that is absent is denied: what a radiologist always says, and what only now and then. */
const DENIED: Readonly<Record<DrawnLabel, number>> = {
  Cardiomegaly: 0.9,
  'Pleural Effusion': 0.95,
  Consolidation: 0.9,
  Edema: 0.5,
  Pneumothorax: 0.95,
  Atelectasis: 0.15,
  'Lung Lesion': 0.15,
  'Support Devices': 0.08,
};

export function writeReport(
  random: Random,
  findings: readonly Finding[],
  study: { readonly view: 'PA' | 'AP'; readonly first: boolean },
): PhantomReport {
  const labels: Partial<Record<Label, LabelValue>> = {};
  const statements: string[] = [];
  for (const finding of findings) {
    labels[finding.label] = finding.certain ? 1 : -1;
    const wording = WORDING[finding.label];
    statements.push(fill(random, pick(random, finding.certain ? wording.positive : wording.uncertain), finding));
  }
  addOpacity(labels, findings);

  const denied = DRAWN_LABELS.filter(label => labels[label] === undefined && random.uniform() < DENIED[label]);
  for (const label of denied) labels[label] = 0;
  // One sentence of either kind may stand first: some begin with the heart, some with what is wrong.
  const negatives = deny(random, denied);
  if (labels['Lung Opacity'] === undefined && random.uniform() < 0.6) {
    negatives.push(pick(random, NO_OPACITY));
    labels['Lung Opacity'] = 0;
  }
  const body = random.uniform() < 0.6 ? [...statements, ...negatives] : random.shuffled([...statements, ...negatives]);
  if (random.uniform() < 0.45) body.push(pick(random, REMARKS));

  const notable = findings.filter(finding => finding.label !== 'Support Devices');
  if (notable.length === 0) labels['No Finding'] = 1;
  const impression =
    notable.length === 0
      ? [pick(random, NORMAL_IMPRESSION)]
      : random.shuffled(findings).map(finding => {
          const wording = WORDING[finding.label];
          return fill(random, pick(random, finding.certain ? wording.summary : wording.summaryUncertain), finding);
        });
  return { text: layOut(random, body, impression, study), labels };
}

/** Findings that make the lung opaque are also "Lung Opacity", CheXpert's parent of them. */
function addOpacity(labels: Partial<Record<Label, LabelValue>>, findings: readonly Finding[]): void {
  const opaque = findings.filter(({ label }) => OPAQUE.includes(label));
  if (opaque.length > 0) labels['Lung Opacity'] = opaque.some(finding => finding.certain) ? 1 : -1;
}

const OPAQUE: readonly DrawnLabel[] = ['Consolidation', 'Edema', 'Atelectasis', 'Lung Lesion'];

/** Denials, some of them joined into one sentence, in a varying order. */
function deny(random: Random, labels: readonly DrawnLabel[]): string[] {
  const left = new Set(labels);
  const sentences: string[] = [];
  for (const group of random.shuffled(COMBINED_NEGATIVE)) {
    if (random.uniform() < 0.75 && group.labels.every(label => left.has(label))) {
      sentences.push(pick(random, group.text));
      for (const label of group.labels) left.delete(label);
    }
  }
  for (const label of left) sentences.push(pick(random, WORDING[label].negative));
  return random.shuffled(sentences);
}

const LOBES: Readonly<Record<'right' | 'left', Readonly<Record<Zone, readonly string[]>>>> = {
  right: { upper: ['upper lobe', 'upper lung'], mid: ['middle lobe', 'mid lung'], lower: ['lower lobe', 'lung base'] },
  left: { upper: ['upper lobe', 'upper lung'], mid: ['mid lung', 'lingula'], lower: ['lower lobe', 'lung base'] },
};

function fill(random: Random, template: string, finding: Finding): string {
  const { label, side, zone, severity, trend } = finding;
  const sizes = SIZES_OF[label] ?? SIZES;
  const size = pick(random, sizes[severity < 0.45 ? 0 : severity < 0.75 ? 1 : 2] ?? ['moderate']);
  const where = zone === null || side === null || side === 'both' ? '' : pick(random, LOBES[side][zone]);
  const adverb = template.includes('{size} enlarged') || template.includes('{size} increased');
  const values: Readonly<Record<string, string>> = {
    side: side === 'both' ? 'bilateral' : (side ?? ''),
    zone: where,
    size: adverb ? `${size}ly`.replace('severely', 'markedly') : size,
    trend: trend === null ? '' : pick(random, TREND_WORDS[trend]),
  };
  const text = template.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name.toLowerCase()] ?? '';
    return name[0] === name[0]?.toUpperCase() ? value.charAt(0).toUpperCase() + value.slice(1) : value;
  });
  const spoken = side === 'both' ? pluralised(text) : text;
  return spoken.replace(/\b(a) (?=[aeio])/gi, '$1n ');
}

/** "a small bilateral pleural effusion" is not said. */
const pluralised = (text: string): string =>
  text
    .replace(
      /There is an? (\w+ )?bilateral (pleural )?effusion/,
      (_, size = '', pleural = '') => `There are ${size}bilateral ${pleural}effusions`,
    )
    .replace(
      /There may be an? (\w+ )?bilateral pleural effusion/,
      (_, size = '') => `There may be ${size}bilateral pleural effusions`,
    )
    .replace(
      /^An? (\w+) bilateral (pleural )?effusion (is|cannot)/,
      (_, size: string, pleural = '', verb: string) =>
        `${size.charAt(0).toUpperCase()}${size.slice(1)} bilateral ${pleural}effusions ${verb === 'is' ? 'are' : verb}`,
    )
    .replace(/bilateral pleural effusion is/, 'bilateral pleural effusions are')
    .replace(/^The bilateral costophrenic angle is/, 'Both costophrenic angles are')
    .replace('the bilateral costophrenic angle', 'both costophrenic angles')
    .replace(/the bilateral (lung base|base)/, 'both lung bases')
    .replace(/^both/, 'Both');

const SIZES = [['small', 'minimal'], ['moderate'], ['large', 'extensive']] as const;
const HEART_SIZES = [['mild', 'slight'], ['moderate'], ['severe']] as const;
const NODULE_SIZES = [['small', 'tiny'], ['medium-sized'], ['large']] as const;
const GRADES = [['mild', 'minimal'], ['moderate'], ['severe']] as const;
const SIZES_OF: Readonly<Partial<Record<DrawnLabel, readonly (readonly string[])[]>>> = {
  Cardiomegaly: HEART_SIZES,
  Edema: GRADES,
  Atelectasis: GRADES,
  'Lung Lesion': NODULE_SIZES,
};

/** MIMIC-CXR's look: a header, indented sections, lines of at most about 78 characters, blanked-out names as `___`. */
function layOut(
  random: Random,
  findings: readonly string[],
  impression: readonly string[],
  study: { readonly view: 'PA' | 'AP'; readonly first: boolean },
): string {
  const numbered =
    impression.length > 1 && random.uniform() < 0.5
      ? impression.map((line, index) => ` ${index + 1}. ${line}`).join('\n')
      : wrap(impression.join('  '));
  const sections = [
    '                                 FINAL REPORT',
    ` EXAMINATION:  ${pick(random, TECHNIQUE[study.view])}`,
    ` INDICATION:  ___ year old ${random.uniform() < 0.5 ? 'woman' : 'man'} with ${pick(random, INDICATIONS)}.`,
    ` COMPARISON:  ${study.first ? 'None.' : 'Chest radiograph of ___.'}`,
    ` FINDINGS: \n \n${wrap(findings.join('  '))}`,
    ` IMPRESSION: \n \n${numbered}`,
  ];
  return `${sections.join('\n \n')}\n`;
}

function wrap(text: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const current = lines[lines.length - 1] ?? '';
    if (current.length + word.length > 76) lines.push(` ${word}`);
    else lines[lines.length - 1] = `${current} ${word}`;
  }
  return lines.join('\n');
}
