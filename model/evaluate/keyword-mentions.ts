/**
 * Which findings a report mentions, by plain keywords: enough to see whether reports follow the labels that they were
 * generated for, and no labeller. Keywords are common ones among the phrases of CheXpert's labeller (Irvin et al., AAAI
 * 2019); as in Open-i's labels, granulomas and scars are none of the findings.
 */
import type { Label } from '../labels.ts';

export interface Finding {
  readonly name: string;
  /** A report was requested for the finding when it was for any of these. */
  readonly labels: readonly Label[];
  /** A sentence mentions the finding when it holds all words of one of these, in any order. */
  readonly keywords: readonly string[];
}

/** Every label but "No Finding", which is the absence of them, and "Pleural Other", which no few words stand for. */
export const FINDINGS: readonly Finding[] = [
  {
    name: 'Cardiomegaly',
    labels: ['Cardiomegaly'],
    keywords: ['cardiomegaly', ...pairs(['heart', 'cardiac'], ['enlarged', 'enlargement'])],
  },
  {
    name: 'Lung Opacity',
    labels: ['Lung Opacity'],
    keywords: ['opacity', 'opacities', 'opacification', 'infiltrate', 'infiltrates', 'airspace disease'],
  },
  { name: 'Atelectasis', labels: ['Atelectasis'], keywords: ['atelectasis', 'atelectases', 'atelectatic'] },
  { name: 'Pleural Effusion', labels: ['Pleural Effusion'], keywords: ['effusion', 'effusions', 'pleural fluid'] },
  { name: 'Edema', labels: ['Edema'], keywords: ['edema', 'congestion', 'congested'] },
  {
    name: 'Consolidation/Pneumonia',
    labels: ['Consolidation', 'Pneumonia'],
    keywords: ['consolidation', 'consolidations', 'consolidative', 'pneumonia', 'pneumonias'],
  },
  {
    name: 'Pneumothorax',
    labels: ['Pneumothorax'],
    keywords: ['pneumothorax', 'pneumothoraces', 'hydropneumothorax', 'hemopneumothorax'],
  },
  { name: 'Fracture', labels: ['Fracture'], keywords: ['fracture', 'fractures', 'fractured'] },
  {
    name: 'Support Devices',
    labels: ['Support Devices'],
    keywords: [
      ...['catheter', 'catheters', 'device', 'devices', 'tube', 'tubes', 'pacemaker', 'defibrillator', 'picc'],
      ...['mediport', 'hardware', 'central line'],
    ],
  },
  {
    name: 'Enlarged Cardiomediastinum',
    labels: ['Enlarged Cardiomediastinum'],
    keywords: pairs(
      ['mediastinum', 'mediastinal', 'cardiomediastinum', 'cardiomediastinal'],
      ['enlarged', 'enlargement', 'widened', 'widening', 'prominent'],
    ),
  },
  { name: 'Lung Lesion', labels: ['Lung Lesion'], keywords: ['nodule', 'nodules', 'nodular', 'mass', 'masses'] },
];

function pairs(nouns: readonly string[], words: readonly string[]): string[] {
  return nouns.flatMap(noun => words.map(word => `${noun} ${word}`));
}

/** Of the whole sentence: "no effusion, but an opacity" mentions nothing. */
const NEGATION = /\b(no|not|without|negative|resolved|free of|clear of)\b/;
/** A full stop within a number ends no sentence; the end of a line does not either. */
const SENTENCE_END = /[.;!?](?:\s+|$)/;

const PHRASES = FINDINGS.map(({ name, keywords }) => ({ name, phrases: keywords.map(phrase => phrase.split(' ')) }));

/** Names of the findings that a sentence of the report mentions and does not negate. */
export function mentionedFindings(report: string): ReadonlySet<string> {
  const mentioned = new Set<string>();
  for (const sentence of report.toLowerCase().split(SENTENCE_END)) {
    if (NEGATION.test(sentence)) continue;
    const words = new Set(sentence.match(/[a-z]+/g));
    for (const { name, phrases } of PHRASES) {
      if (phrases.some(phrase => phrase.every(word => words.has(word)))) mentioned.add(name);
    }
  }
  return mentioned;
}
