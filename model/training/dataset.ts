/** The records a site trains on, as the training engine sees them: nothing of where they came from. */

export interface TrainingRecord {
  /** Position in the pixel file. */
  readonly index: number;
  readonly split: 'train' | 'validation' | 'test';
  /** Cleaned report, or null. */
  readonly report: string | null;
  /** 1, 0, -1 uncertain, null missing; in the order of LABELS. */
  readonly labels: readonly (1 | 0 | -1 | null)[];
}

export interface TrainingData {
  readonly records: readonly TrainingRecord[];
  readonly resolution: number;
  readonly imageChannels: number;
  /** Pixels of the records at these indices, [N, H, W, C], 0..255; read from disk, never all at once. */
  readImages(indices: readonly number[]): Promise<Uint8Array>;
  /** Told of every batch that a step takes, so that a step that goes wrong can say which records it saw. */
  readonly onBatch?: (use: BatchUse) => void;
}

export interface BatchUse {
  /** Which of the stage's streams, e.g. "pairs". */
  readonly stream: string;
  readonly batchIndex: number;
  /** Positions in the pixel file. */
  readonly positions: readonly number[];
}

/** y for the projection and for G: 1 where positive, 0 elsewhere. Only meaningful where `isLabelled`. */
export const multiHot = (record: TrainingRecord): number[] => record.labels.map(value => (value === 1 ? 1 : 0));

/** An all-zero y is a real label; a record without any label is not, and is kept out of what needs one. */
export const isLabelled = (record: TrainingRecord): boolean => record.labels.some(value => value !== null);

export const inSplit = (data: TrainingData, ...splits: TrainingRecord['split'][]): TrainingRecord[] =>
  data.records.filter(record => splits.includes(record.split));
