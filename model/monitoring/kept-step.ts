/**
 * What is kept of a step that went wrong, so that it can be looked at: numbers and positions only, never a pixel or a word
 * of a record.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FedError } from '#proto/errors.ts';
import type { BatchUse } from '../training/dataset.ts';
import type { SpectralNormOf } from './spectral-norms.ts';

export interface KeptStep {
  readonly stage: string;
  /** Number of the step in its stage, from 0. */
  readonly step: number;
  readonly globalStep: number;
  readonly seed: number;
  readonly site: number;
  readonly code: string;
  readonly message: string;
  /** Steps that the last checkpoint holds; null where there is none yet. */
  readonly checkpointStep: number | null;
  /** The batches that the step took: positions in the prepared set. */
  readonly batches: readonly BatchUse[];
  /** Of the last steps before it, the latest last. */
  readonly history: readonly {
    readonly globalStep: number;
    readonly losses: Readonly<Record<string, number>>;
    readonly gradientNorms: Readonly<Record<string, number>>;
  }[];
  readonly spectralNorms: readonly SpectralNormOf[];
}

/** @returns the path of the file */
export async function writeKeptStep(folder: string, kept: KeptStep): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `step-${kept.globalStep}.json`);
  await writeFile(path, `${JSON.stringify(kept, null, 2)}\n`, { mode: 0o600, flush: true });
  return path;
}

/** The error that ended the step, with where to look and what to change. */
export function explained(error: FedError, kept: KeptStep, path: string): FedError {
  const { stage, step, checkpointStep } = kept;
  const saved =
    checkpointStep === null ? 'there is no checkpoint yet' : `the checkpoint of step ${checkpointStep} is as it was`;
  const rates =
    stage === 'adversarial'
      ? 'lower optimiser.generatorRate, optimiser.discriminatorRate or optimiser.textRate'
      : 'lower optimiser.pretrainingRate or optimiser.clipNorm';
  return new FedError(
    error.code,
    `step ${step} of ${stage}: ${error.message}; ${saved}`,
    `look into ${path} (losses, gradient norms, positions of its records), then ${rates} in another folder`,
    { cause: error },
  );
}
