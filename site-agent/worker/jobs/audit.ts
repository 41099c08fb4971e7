/** STAGE_AUDIT: the synthetic set against this site's own training and holdout records; only aggregates come back. */
import * as tf from '@tensorflow/tfjs-core';
import { readSyntheticSet } from '#model/generation/synthetic-file.ts';
import type { AuditRecords } from '#privacy/audit/audit-records.ts';
import { auditSite } from '#privacy/audit/site-audit.ts';
import { resolveThresholds } from '#privacy/audit/thresholds.ts';
import type { PreparedSet } from '../../data/prepared.ts';
import type { Split } from '../../data/record.ts';
import type { AuditJob } from '../messages.ts';
import { preparedSet } from './context.ts';
import type { ReportProgress } from './run-job.ts';

export async function audit(job: AuditJob, onProgress: ReportProgress): Promise<object> {
  const data = await preparedSet(job.preparedDir, job.run);
  const { pixels, reports } = await readSyntheticSet(job.syntheticPath);
  return auditSite({
    resolution: data.resolution,
    imageChannels: data.imageChannels,
    generated: { images: pixels, reports },
    train: await auditRecords(data, ['train']),
    // Neither trained on: both halves of the holdout serve as controls.
    holdout: await auditRecords(data, ['validation', 'test']),
    seed: job.run.seed,
    thresholds: resolveThresholds(job.run.audit),
    multiply,
    onProgress: share => onProgress(Math.round(share * 100), 100, {}),
  });
}

async function auditRecords(data: PreparedSet, splits: readonly Split[]): Promise<AuditRecords> {
  const records = data.records.filter(record => splits.includes(record.split));
  return {
    images: await data.readImages(records.map(record => record.index)),
    patients: records.map(record => record.patient),
    studies: records.map(record => record.study),
    reports: records.map(record => record.report),
  };
}

/** a b^T on the backend: [n, d] and [m, d] -> [n, m]. */
async function multiply(a: Float32Array, b: Float32Array, d: number): Promise<Float32Array> {
  return tf.tidy(() => {
    const left = tf.tensor2d(a, [a.length / d, d]);
    const right = tf.tensor2d(b, [b.length / d, d]);
    return tf.matMul(left, right, false, true).dataSync() as Float32Array;
  });
}
