/** A row of CheXpert's 14 labels as one number: bit k says whether label k is positive. */
import { LABELS } from '#model/labels.ts';

export type LabelMask = number;

export const maskOf = (positives: readonly number[]): LabelMask => positives.reduce((mask, k) => mask | (1 << k), 0);

/** y [K] of zeros and ones. */
export const rowOf = (mask: LabelMask): readonly number[] => LABELS.map((_, k) => (mask >> k) & 1);
