/** Which patients train, which validate, which are held out. */
import { keyedHash } from './keyed-hash.ts';
import type { Split } from './record.ts';

export type SplitShares = Readonly<Record<Split, number>>;

/** The audits need holdout patients at every site: 30 % in all. */
export const DEFAULT_SHARES: SplitShares = { train: 0.7, validation: 0.15, test: 0.15 };

/**
 * A split for every patient, so that no patient is in two: patients stand in the order of their keyed hash and are cut
 * at the shares. So the shares are exact, and from 3 patients on none is empty; the order depends on nothing but the
 * site's key. Records added later may move a patient: a run is audited against the prepared set that it trained on.
 * @param patients ids in any form, as long as it is the same every time
 */
export function splitPatients(
  patients: Iterable<string>,
  key: Uint8Array,
  shares: SplitShares = DEFAULT_SHARES,
): Map<string, Split> {
  const ranked = [...new Set(patients)]
    .map(patient => ({ patient, rank: keyedHash(key, 'split', patient) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0));
  const held = (share: number) =>
    share <= 0 ? 0 : Math.max(ranked.length >= 3 ? 1 : 0, Math.round(share * ranked.length));
  const test = held(shares.test);
  const validation = held(shares.validation);
  return new Map(
    ranked.map(({ patient }, index): [string, Split] => [
      patient,
      index < test ? 'test' : index < test + validation ? 'validation' : 'train',
    ]),
  );
}
