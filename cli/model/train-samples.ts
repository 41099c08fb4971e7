/** What a training shows of itself: a sheet of samples from the averaged weights, and how far apart G's images lie. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Emixer } from '#model/emixer/emixer.ts';
import type { LabelDistribution } from '#model/generation/label-distribution.ts';
import { sampleSheet } from '#model/generation/sample-sheet.ts';
import { makeStanding } from '#model/generation/standing.ts';
import type { DiversityProbe } from '#model/monitoring/diversity.ts';
import type { Samples } from '#model/monitoring/training-monitor.ts';
import type { WeightAverage } from '#model/training/weight-average.ts';
import { sheetPicture, sheetText } from './sample-picture.ts';

/** Images of each label on a sheet. */
const SAMPLES = 4;

export interface SampleSource {
  readonly model: Emixer;
  readonly labels: LabelDistribution;
  readonly seed: number;
}

/** Makes G standing, as it must be for sampling; call it with the average in the networks' place. */
export function standForSampling({ model, labels, seed }: SampleSource): void {
  const { standingBatches: batches, batchSize, microBatchSize } = model.config;
  makeStanding(model.generator, { batches, batchSize: microBatchSize || batchSize, labels, seed });
}

/** Draws the sheet, writes it as `step-N.png` and `step-N.txt`, and hands it on. */
export async function writeSamples(
  source: SampleSource,
  average: WeightAverage,
  probe: DiversityProbe,
  folder: string,
  globalStep: number,
): Promise<Samples> {
  const { config } = source.model;
  const diversity = probe.share();
  const rows = await average.during(() => {
    standForSampling(source);
    return sampleSheet(source.model, SAMPLES, source.seed);
  });
  const { png, width, height } = await sheetPicture(rows, config.resolution, config.imageChannels);
  const text = sheetText(rows);
  const name = join(folder, `step-${String(globalStep).padStart(6, '0')}`);
  await writeFile(`${name}.png`, png, { mode: 0o600 });
  await writeFile(`${name}.txt`, text, { mode: 0o600 });
  return { diversity, reports: rows.flatMap(row => row.reports), sheet: { png, width, height, channels: 3 }, text };
}
