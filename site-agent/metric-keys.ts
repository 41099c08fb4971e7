/**
 * The names under which a scalar may leave a site. A number under another name is refused: a key is text, and text
 * that training code makes up could carry anything.
 */
import { LOSS_NAMES } from '#model/training/loss-names.ts';

const PROGRESS = ['step', 'steps', 'seconds', 'secondsPerStep', 'records', 'skippedSteps'] as const;

export const METRIC_KEYS: ReadonlySet<string> = new Set<string>([...LOSS_NAMES, ...PROGRESS]);
