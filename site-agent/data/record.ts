/** The one shape every collection is read into, whatever its files look like. */
import type { Label } from '#model/labels.ts';

/** 1 positive, 0 negative, -1 uncertain, null missing: never zeros for missing. */
export type LabelValue = 1 | 0 | -1 | null;

/** One frontal image with what belongs to it. Ids are the collection's own; they never leave the site. */
export interface SourceRecord {
  readonly patient: string;
  readonly study: string;
  readonly image: string;
  /** Absolute path of the image file. */
  readonly imagePath: string;
  /** Raw report text (findings, impression or both), or null where there is none. */
  readonly report: string | null;
  /** The findings in it alone, raw, with which it begins; null where it has no such section. */
  readonly findings: string | null;
  readonly labels: Readonly<Partial<Record<Label, LabelValue>>>;
}

export interface Skipped {
  /** Relative to the collection's folder. */
  readonly path: string;
  readonly reason: string;
}

export interface Loader {
  readonly kind: string;
  /**
   * Streams the collection's frontal images; what cannot be used is reported through `skip`, never thrown.
   * @throws FedError DATA_INVALID when the folder as a whole cannot be this collection
   */
  records(folder: string, skip: (skipped: Skipped) => void): AsyncIterable<SourceRecord>;
}

export type Split = 'train' | 'validation' | 'test';

/** A record of a site's prepared set: pixels lie in a flat file, at `index * resolution^2 * imageChannels` bytes. */
export interface PreparedRecord {
  readonly index: number;
  /** Keyed hashes, never the collection's ids. */
  readonly patient: string;
  readonly study: string;
  readonly split: Split;
  /** Cleaned report: sentences of tokens joined by " . ", or null. */
  readonly report: string | null;
  /** How many of the report's sentences, the first ones, are its findings; the others are the impression. */
  readonly findingsSentences: number;
  /** The first record of the set with the very same pixels, or null where this is the first. */
  readonly duplicateOf: number | null;
  /** In the order of LABELS. */
  readonly labels: readonly LabelValue[];
}
