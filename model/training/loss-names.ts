/** Every loss of training, "<network that minimises it>/<what>": the only scalars of a step that may leave a site. */
export const LOSS_NAMES = [
  'encoder/bce',
  'report/mle',
  'D_image/adversarial',
  'D_image/rotation',
  'D_image/labels',
  'D_report/adversarial',
  'D_joint/adversarial',
  'G/adversarial',
  'G/rotation',
  'F/report',
  'F/joint',
  'F/mle',
] as const;

export type LossName = (typeof LOSS_NAMES)[number];
