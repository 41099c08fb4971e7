/**
 * The words of phantom reports. `{side}`, `{zone}`, `{size}` and `{trend}` are filled in; a choice of
 * phrasings for each statement, affirmed, hedged and denied.
 */
import type { DrawnLabel, Trend } from './findings.ts';

interface Wording {
  readonly positive: readonly string[];
  readonly uncertain: readonly string[];
  readonly negative: readonly string[];
  /** For the impression. */
  readonly summary: readonly string[];
  readonly summaryUncertain: readonly string[];
}

export const WORDING: Readonly<Record<DrawnLabel, Wording>> = {
  Cardiomegaly: {
    positive: [
      'The heart is {size} enlarged.',
      'There is {size} cardiomegaly.',
      'The cardiac silhouette is {size} enlarged{trend}.',
      'Heart size is {size} increased.',
      '{Size} cardiomegaly is noted{trend}.',
    ],
    uncertain: ['The heart may be enlarged.'],
    negative: [
      'The heart is normal in size.',
      'Heart size is normal.',
      'The cardiac silhouette is within normal limits.',
      'Cardiac size is within normal limits.',
      'The heart size and mediastinal contours are normal.',
      'The cardiomediastinal silhouette is normal.',
      'There is no cardiomegaly.',
    ],
    summary: ['{Size} cardiomegaly.', 'Enlarged heart{trend}.', '{Size} enlargement of the cardiac silhouette.'],
    summaryUncertain: ['Possible cardiomegaly.'],
  },
  'Pleural Effusion': {
    positive: [
      'There is a {size} {side} pleural effusion{trend}.',
      'A {size} {side} effusion is present{trend}.',
      '{Size} {side} pleural effusion is seen{trend}.',
      'Blunting of the {side} costophrenic angle is due to a {size} pleural effusion.',
      'The {side} costophrenic angle is blunted, consistent with a {size} effusion.',
    ],
    uncertain: [
      'There may be a {size} {side} pleural effusion.',
      'Blunting of the {side} costophrenic angle may represent a {size} effusion.',
      'A {size} {side} pleural effusion cannot be excluded.',
    ],
    negative: [
      'There is no pleural effusion.',
      'No pleural effusion is seen.',
      'The costophrenic angles are sharp, without effusion.',
      'No effusion is identified.',
      'There are no pleural effusions.',
    ],
    summary: ['{Size} {side} pleural effusion{trend}.', '{Side} pleural effusion{trend}.'],
    summaryUncertain: ['Possible {size} {side} pleural effusion.'],
  },
  Consolidation: {
    positive: [
      'There is a {size} consolidation in the {side} {zone}{trend}.',
      'There is consolidation of the {side} {zone}{trend}.',
      '{Size} airspace consolidation is present in the {side} {zone}.',
      'A {size} area of consolidation is seen in the {side} {zone}{trend}.',
      'Consolidation with air bronchograms is noted in the {side} {zone}.',
    ],
    uncertain: [
      'A faint opacity in the {side} {zone} may represent early consolidation.',
      'Possible consolidation in the {side} {zone}.',
      'Consolidation in the {side} {zone} cannot be excluded.',
    ],
    negative: [
      'There is no focal consolidation.',
      'No focal consolidation is seen.',
      'The lungs are clear without consolidation.',
      'No consolidation is identified.',
      'There is no evidence of focal consolidation.',
    ],
    summary: [
      '{Side} {zone} consolidation{trend}, concerning for pneumonia.',
      'Consolidation in the {side} {zone}{trend}.',
      '{Side} {zone} consolidation.',
    ],
    summaryUncertain: ['Possible early consolidation in the {side} {zone}.'],
  },
  Edema: {
    positive: [
      'There is {size} pulmonary edema{trend}.',
      'Perihilar haze and indistinct vessels are consistent with {size} pulmonary edema.',
      '{Size} interstitial edema is present{trend}.',
      'Bilateral perihilar opacities reflect {size} pulmonary edema{trend}.',
    ],
    uncertain: ['Prominent interstitial markings may represent {size} edema.', 'Possible {size} interstitial edema.'],
    negative: [
      'There is no pulmonary edema.',
      'No evidence of pulmonary edema.',
      'The pulmonary vasculature is normal, without edema.',
      'There is no overt edema.',
    ],
    summary: ['{Size} pulmonary edema{trend}.', 'Findings of {size} pulmonary edema.'],
    summaryUncertain: ['Possible {size} pulmonary edema.'],
  },
  Pneumothorax: {
    positive: [
      'There is a {size} {side} pneumothorax{trend}.',
      'A {size} {side} apical pneumothorax is seen{trend}.',
      'A pleural line is visible, with a {size} {side} pneumothorax.',
      '{Size} {side} pneumothorax is present{trend}.',
    ],
    uncertain: ['A small {side} pneumothorax cannot be excluded.'],
    negative: [
      'There is no pneumothorax.',
      'No pneumothorax is seen.',
      'No evidence of pneumothorax.',
      'No pneumothorax is identified.',
    ],
    summary: ['{Size} {side} pneumothorax{trend}.', '{Side} pneumothorax{trend}.'],
    summaryUncertain: ['Possible {side} pneumothorax.'],
  },
  Atelectasis: {
    positive: [
      'There is {side} basilar atelectasis{trend}.',
      'Linear opacities at the {side} base are consistent with atelectasis.',
      '{Size} {side} basilar atelectasis is noted{trend}.',
      'Bandlike atelectasis is seen at the {side} lung base{trend}.',
    ],
    uncertain: [
      'Streaky opacity at the {side} base may represent atelectasis.',
      'Opacity at the {side} base is probably atelectasis.',
    ],
    negative: ['There is no atelectasis.', 'No atelectasis is seen.'],
    summary: ['{Side} basilar atelectasis{trend}.', '{Size} {side} basilar atelectasis.'],
    summaryUncertain: ['Probable {side} basilar atelectasis.'],
  },
  'Lung Lesion': {
    positive: [
      'There is a {size} nodule in the {side} {zone}{trend}.',
      'A {size} round nodule projects over the {side} {zone}.',
      'A {size} pulmonary nodule is seen in the {side} {zone}{trend}.',
    ],
    uncertain: ['A possible nodule projects over the {side} {zone}.'],
    negative: ['No nodule or mass is seen.', 'There is no pulmonary nodule.'],
    summary: ['{Side} {zone} nodule{trend}.', 'Nodule in the {side} {zone}, for which CT is recommended.'],
    summaryUncertain: ['Possible {side} {zone} nodule.'],
  },
  'Support Devices': {
    positive: [
      'Support devices are in standard position.',
      'Lines and tubes are in unchanged position.',
      'The indwelling device is in satisfactory position.',
      'The supporting hardware projects in the expected position.',
    ],
    uncertain: ['A support device may be present.'],
    negative: ['No lines or tubes are present.', 'There are no support devices.'],
    summary: ['Support devices in standard position.', 'Satisfactory position of the support device.'],
    summaryUncertain: ['Possible support device.'],
  },
};

export const COMBINED_NEGATIVE: readonly {
  readonly labels: readonly DrawnLabel[];
  readonly text: readonly string[];
}[] = [
  {
    labels: ['Pleural Effusion', 'Pneumothorax'],
    text: [
      'There is no pleural effusion or pneumothorax.',
      'No pleural effusion or pneumothorax is seen.',
      'No pneumothorax or pleural effusion.',
      'There is no effusion or pneumothorax.',
    ],
  },
  {
    labels: ['Consolidation', 'Pleural Effusion', 'Pneumothorax'],
    text: [
      'There is no focal consolidation, pleural effusion or pneumothorax.',
      'No focal consolidation, effusion, or pneumothorax is seen.',
      'The lungs are clear without consolidation, effusion or pneumothorax.',
    ],
  },
  {
    labels: ['Consolidation', 'Edema'],
    text: ['There is no focal consolidation or pulmonary edema.', 'No consolidation or edema is seen.'],
  },
];

export const NORMAL_IMPRESSION: readonly string[] = [
  'No acute cardiopulmonary process.',
  'No acute cardiopulmonary abnormality.',
  'Normal chest.',
  'No acute intrathoracic process.',
  'No evidence of acute cardiopulmonary disease.',
  'Normal chest radiograph.',
];

export const NO_OPACITY: readonly string[] = [
  'There is no focal opacity.',
  'No focal opacity is seen.',
  'The lungs are well expanded, without opacity.',
  'No airspace opacity is identified.',
];

/** Sentences that state nothing about the drawn labels. */
export const REMARKS: readonly string[] = [
  'The bony structures are intact.',
  'The visualized osseous structures are unremarkable.',
  'No acute osseous abnormality is seen.',
  'The aorta is tortuous.',
  'The mediastinal contours are unremarkable.',
  'The hilar contours are normal.',
  'Degenerative changes are seen in the spine.',
  'The upper abdomen is unremarkable.',
];

export const TECHNIQUE: Readonly<Record<'PA' | 'AP', readonly string[]>> = {
  PA: ['CHEST (PA AND LAT)', 'CHEST RADIOGRAPH, PA', 'PA CHEST'],
  AP: ['CHEST (PORTABLE AP)', 'PORTABLE CHEST RADIOGRAPH', 'CHEST (SINGLE VIEW)'],
};

export const INDICATIONS: readonly string[] = [
  'cough',
  'dyspnea',
  'chest pain',
  'fever',
  'shortness of breath',
  'preoperative evaluation',
  'weakness',
  'follow up',
];

export const TREND_WORDS: Readonly<Record<Trend, readonly string[]>> = {
  new: [', new from prior', ', which is new'],
  worse: [', increased from prior', ', larger than before'],
  better: [', decreased from prior', ', improved from prior'],
  stable: [', unchanged', ', stable from prior'],
};
