/** The fixed words of the report. */

export const GLOSSARY: readonly (readonly [string, string])[] = [
  [
    'Holdout',
    'Records of patients that no site trained on; how close they lie to the training records shows what is ordinary.',
  ],
  ['Margin hit', 'A generated image far closer to a training image than any control: a copy, not a look-alike.'],
  [
    'Distance 1 − r',
    'Pearson correlation r of the grey values of two images, after the best of the searched transformations; 0 is a copy.',
  ],
  ['Rare hit', 'A generated report equal or nearly equal to the report of exactly one training study.'],
  [
    'Distinctive hit',
    'A generated report that is nearly equal to a training report and shares more wording with it than templates explain.',
  ],
  ['Planted copies', 'Known copies given to the audit to see that it finds them.'],
  [
    'Upper bound',
    'The largest rate that is still compatible with what was seen, at the stated confidence (Clopper-Pearson).',
  ],
  [
    'Adjusted p',
    'Probability of such an excess without any copying (Fisher), multiplied for the number of tests (Holm).',
  ],
  ['Detection limit', 'The smallest share of copied reports that this audit would have found with the stated power.'],
];

export const TESTED: readonly string[] = [
  'Images: exact and near copies of training images, against the distances of holdout patients (WP29: singling out).',
  'Reports: copies of single training studies, against the holdout (WP29: singling out).',
  'Pairs: image and report copied from the same study (part of WP29: linkability).',
  'Text of the reports: patterns of names, addresses and zip codes, dates, ages over 89, telephone, e-mail, URL, IP address, social security, record and other identifying numbers (HIPAA Safe Harbor items that text can hold).',
];

export const METHOD = `Every site compares the synthetic set with its own training and holdout records and lets only the counts below
leave. The coordinator computes every rate, bound and p-value anew from those counts. Cut-offs come from each site's own
controls, never from the literature. The worst site binds.`;
