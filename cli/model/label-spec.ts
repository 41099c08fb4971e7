/**
 * `--labels` of `model generate`: `training` (the federation's totals), counts such as "Cardiomegaly=10,Edema=5" (with
 * "Edema+Cardiomegaly=3" for both in one pair), or a CSV file of label rows.
 */
import { type LabelDistribution, marginalLabels } from '#model/generation/label-distribution.ts';
import { LABELS } from '#model/labels.ts';
import { Random } from '#model/random.ts';
import { FedError } from '#proto/errors.ts';
import { nearest } from '#proto/validate.ts';
import { type LabelMask, maskOf, rowOf } from './label-mask.ts';
import { readLabelRows } from './label-table.ts';

export interface LabelPlan {
  /** What the manifest says of it; the same text means the same labels. */
  readonly description: string;
  /** y of pair `from`, then of the one after it, and so on. */
  startingAt(from: number): LabelDistribution;
}

/**
 * @param totals of the model file
 * @throws FedError USAGE on counts that do not read, an unknown label, counts that do not add up to `count`; DATA_INVALID
 *   on a table that cannot be used
 */
export async function planLabels(
  spec: string,
  count: number,
  totals: Readonly<Record<string, number>>,
  seed: number,
): Promise<LabelPlan> {
  if (spec === 'training') {
    const draw = marginalLabels({ records: 0, sites: 0, labels: totals });
    return { description: spec, startingAt: () => draw };
  }
  if (spec.includes('=')) return inTurn(spec, countedLabels(spec, count, seed));
  const { rows, sha256 } = await readLabelRows(spec);
  return inTurn(`rows of a table, SHA-256 ${sha256}`, rows);
}

/** The rows one after the other, from the first again after the last. */
const inTurn = (description: string, rows: readonly LabelMask[]): LabelPlan => ({
  description,
  startingAt: from => {
    let next = from;
    return () => rowOf(rows[next++ % rows.length] ?? 0);
  },
});

/** In an order drawn from the seed, so that the first pairs are not all of one kind. */
function countedLabels(spec: string, count: number, seed: number): LabelMask[] {
  const masks = spec.split(',').flatMap(part => {
    const match = /^\s*([^=]+?)\s*=\s*(\d{1,8})\s*$/.exec(part);
    if (match === null) {
      throw usage(`--labels has "${part.slice(0, 80)}"; expected LABEL=COUNT`, 'e.g. --labels Cardiomegaly=10,Edema=5');
    }
    const [, names = '', pairs = ''] = match;
    return new Array<LabelMask>(Number(pairs)).fill(maskOf(names.split('+').map(labelIndex)));
  });
  if (masks.length !== count) {
    const message = `the counts of --labels add up to ${masks.length}; expected ${count}, as --count says`;
    throw usage(message, `give --count ${masks.length}, or correct the counts`);
  }
  return new Random('label counts', seed).shuffled(masks);
}

function labelIndex(name: string): number {
  const wanted = name.trim().toLowerCase();
  const index = LABELS.findIndex(label => label.toLowerCase() === wanted);
  if (index >= 0) return index;
  const near = nearest(wanted, LABELS);
  const hint = near === undefined ? `known are ${LABELS.join(', ')}` : `did you mean "${near}"?`;
  throw usage(`--labels has the unknown label "${name.trim().slice(0, 60)}"`, hint);
}

const usage = (message: string, remedy: string): FedError => new FedError('USAGE', message, remedy);
