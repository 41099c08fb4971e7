/** What teacher forcing needs of a batch of reports, as tensors: the inputs of a compiled step. */
import * as tf from '@tensorflow/tfjs-core';
import type { ReportGrid } from '#model/text/vocabulary.ts';
import { type Buckets, teacherRows } from './report-rows.ts';

/** The arrays of TeacherRows (report-rows.ts); how many steps there are is in their shapes. */
export type TeacherTensors = {
  /** [N] */
  readonly rows: tf.Tensor1D;
  /** [S', B] */
  readonly stopTargets: tf.Tensor2D;
  readonly stopWeights: tf.Tensor2D;
  /** [T' - 1, N] */
  readonly previous: tf.Tensor2D;
  /** [M] */
  readonly wordRows: tf.Tensor1D;
  readonly wordTargets: tf.Tensor1D;
  readonly wordWeights: tf.Tensor1D;
  /** Sentences and words that count, each at least 1. */
  readonly sentenceCount: tf.Scalar;
  readonly wordCount: tf.Scalar;
};

export function teacherTensors(grid: ReportGrid, buckets: Buckets): TeacherTensors {
  const rows = teacherRows(grid, buckets);
  const ids = (values: Int32Array): tf.Tensor1D => tf.tensor1d(values, 'int32');
  const { reports } = grid;
  return {
    rows: ids(rows.rows),
    stopTargets: tf.tensor2d(rows.stopTargets, [rows.steps, reports], 'int32'),
    stopWeights: tf.tensor2d(rows.stopWeights, [rows.steps, reports]),
    previous: tf.tensor2d(rows.previous, [rows.words - 1, rows.rows.length], 'int32'),
    wordRows: ids(rows.wordRows),
    wordTargets: ids(rows.wordTargets),
    wordWeights: tf.tensor1d(rows.wordWeights),
    sentenceCount: tf.scalar(Math.max(1, rows.count)),
    wordCount: tf.scalar(Math.max(1, rows.wordCount)),
  };
}
