import { describe, expect, it } from 'vitest';
import { FINDINGS, mentionedFindings } from '#model/evaluate/keyword-mentions.ts';
import { LABELS } from '#model/labels.ts';

it.each<[sentence: string, findings: string[]]>([
  ['The heart is mildly enlarged.', ['Cardiomegaly']],
  ['Stable cardiomegaly.', ['Cardiomegaly']],
  ['There is enlargement of the cardiac silhouette.', ['Cardiomegaly']],
  ['The heart is normal in size.', []],
  ['The heart is not enlarged.', []],
  ['The aorta is enlarged.', []],
  ['The cardiomediastinal silhouette is enlarged.', ['Enlarged Cardiomediastinum']],
  ['Mediastinal widening and an enlarged heart.', ['Cardiomegaly', 'Enlarged Cardiomediastinum']],
  ['Patchy opacities in the left base, possibly atelectasis.', ['Atelectasis', 'Lung Opacity']],
  ['Right lower lobe airspace disease.', ['Lung Opacity']],
  ['The lungs are clear of infiltrate or consolidation.', []],
  ['Small bilateral pleural effusions.', ['Pleural Effusion']],
  ['No pleural effusion or pneumothorax.', []],
  ['Mild pulmonary vascular congestion.', ['Edema']],
  ['Negative for edema.', []],
  ['The consolidation in the right middle lobe is consistent with pneumonia.', ['Consolidation/Pneumonia']],
  ['The previous pneumonia has resolved.', []],
  ['Moderate left hydropneumothorax.', ['Pneumothorax']],
  ['Old healed rib fractures.', ['Fracture']],
  ['A left-sided PICC is in place.', ['Support Devices']],
  ['The lines of the central diaphragm are sharp.', []],
  ['A 1.5 cm nodule in the right apex.', ['Lung Lesion']],
  ['Massive hiatal hernia.', []],
  ['Calcified granuloma.', []],
  ['Without free air. The bones show a fracture', ['Fracture']],
  ['No effusion; nodular opacity in the left\nupper lobe', ['Lung Lesion', 'Lung Opacity']],
  ['', []],
])('"%s"', (sentence, findings) => {
  expect([...mentionedFindings(sentence)].sort()).toEqual(findings);
});

describe('the findings', () => {
  it('are all labels but two, each once', () => {
    const covered = FINDINGS.flatMap(({ labels }) => labels);
    expect(covered.sort()).toEqual(LABELS.filter(label => label !== 'No Finding' && label !== 'Pleural Other'));
  });
  it('have keywords that are each mentioned by themselves', () => {
    for (const { name, keywords } of FINDINGS) {
      for (const keyword of keywords) expect(mentionedFindings(keyword), keyword).toContain(name);
    }
  });
});
