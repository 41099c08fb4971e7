/** Batches as tensors. */
import * as tf from '@tensorflow/tfjs-core';
import { type LabelDistribution, onePositive } from '../generation/label-distribution.ts';
import type { Random } from '../random.ts';
import { parseReport } from '../text/report-cleaner.ts';
import type { ReportGrid, Vocabulary } from '../text/vocabulary.ts';
import { isLabelled, multiHot, type TrainingData, type TrainingRecord } from './dataset.ts';

/** Pixels 0..255 -> [B, H, W, C] in [-1, 1]. */
export function imageTensor(pixels: Uint8Array, data: Pick<TrainingData, 'resolution' | 'imageChannels'>): tf.Tensor4D {
  const { resolution, imageChannels } = data;
  // Loops here and below: `from` with a function takes thirty times as long, half a second a batch of 64 at 128 pixels.
  const values = new Float32Array(pixels.length);
  for (let i = 0; i < values.length; i++) values[i] = (pixels[i] as number) / 127.5 - 1;
  return tf.tensor4d(values, [
    values.length / (resolution ** 2 * imageChannels),
    resolution,
    resolution,
    imageChannels,
  ]);
}

/** Images in [-1, 1] -> pixels 0..255, the levels that a real image can have. */
export function pixelsOf(images: tf.Tensor4D): Uint8Array {
  const values = images.dataSync();
  const pixels = new Uint8Array(values.length);
  for (let i = 0; i < pixels.length; i++) {
    pixels[i] = Math.round((Math.min(1, Math.max(-1, values[i] as number)) + 1) * 127.5);
  }
  return pixels;
}

/**
 * The y of records, [B, K]: in the form that generated images have theirs, else D_image could tell real from fake by how
 * many labels there are.
 */
export function labelTensor(
  records: readonly TrainingRecord[],
  mode: 'multihot' | 'onehot',
  random: Random,
): tf.Tensor2D {
  const rows = records.map(multiHot);
  return tf.tensor2d(mode === 'onehot' ? rows.map(row => [...onePositive(row, random)]) : rows);
}

/** 1 where a record has the finding, else 0: [B, K]. */
export const labelTargets = (records: readonly TrainingRecord[]): tf.Tensor2D => tf.tensor2d(records.map(multiHot));

/**
 * Which entries of y are labels that are certain, and which rows belong to a record with labels: two masks [B, K]. (Of a
 * labelled record, what is uncertain or not mentioned counts as negative in the projection, and teaches the label head
 * nothing.)
 */
export function maskTensors(records: readonly TrainingRecord[]): { certain: tf.Tensor2D; known: tf.Tensor2D } {
  return {
    certain: tf.tensor2d(records.map(({ labels }) => labels.map(label => Number(label === 1 || label === 0)))),
    known: tf.tensor2d(records.map(record => record.labels.map(() => Number(isLabelled(record))))),
  };
}

/** The rows of x [B, ...] at these positions, [positions, ...]. */
export const rowsAt = <T extends tf.Tensor>(x: T, positions: readonly number[]): T =>
  tf.gather(x, tf.tensor1d([...positions], 'int32'));

/** The y of what is generated, [B, K]. */
export const drawLabels = (batch: number, draw: LabelDistribution, random: Random): tf.Tensor2D =>
  tf.tensor2d(Array.from({ length: batch }, () => [...draw(random)]));

/** z ~ N(0, 1), [B, zLength]. */
export const drawNoise = (batch: number, zLength: number, random: Random): tf.Tensor2D =>
  tf.tensor2d(random.normals(batch * zLength), [batch, zLength]);

interface ReportLimits {
  readonly maxSentences: number;
  readonly maxWords: number;
}

/** Reports of records as ids [B, S, T]; a record without one is a row of padding. */
export const reportGrid = (
  records: readonly TrainingRecord[],
  vocabulary: Vocabulary,
  { maxSentences, maxWords }: ReportLimits,
): ReportGrid =>
  vocabulary.encode(
    records.map(({ report }) => (report === null ? [] : parseReport(report))),
    maxSentences,
    maxWords,
  );
