/**
 * The names under which a scalar may leave a site. A number under another name is refused: a key is text, and text
 * that training code makes up could carry anything. Add a name here when the model gets a new loss.
 */
const LOSSES = [
  'loss',
  'bce',
  'mle',
  'perplexity',
  'gradNorm',
  'gumbelBeta',
  'temperature',
  'lossD',
  'lossG',
  'lossF',
  'dImage',
  'dReport',
  'dJoint',
  'gImage',
  'gReport',
  'gJoint',
  'fReport',
  'fJoint',
  'fMle',
  'dRotation',
  'gRotation',
  'rotationD',
  'rotationG',
  'imageD',
  'imageG',
  'reportD',
  'reportG',
  'jointD',
  'jointG',
  'discriminator',
  'generator',
  'report',
  'encoder',
] as const;

const PROGRESS = ['step', 'steps', 'seconds', 'secondsPerStep', 'records', 'learningRate', 'skippedSteps'] as const;

export const METRIC_KEYS: ReadonlySet<string> = new Set<string>([...LOSSES, ...PROGRESS]);
