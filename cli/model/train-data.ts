/** A single site's records for `emixer model train`: prepared once into the output folder, with a vocabulary of their own. */
import { createHash } from 'node:crypto';
import type { ModelConfig } from '#model/config.ts';
import type { GlobalStatistics, RunConfig } from '#model/federated.ts';
import { combineVocabulary } from '#model/text/federated-vocabulary.ts';
import { parseReport } from '#model/text/report-cleaner.ts';
import { FedError } from '#proto/errors.ts';
import { combineSources } from '#site-agent/data/combined.ts';
import { prepare } from '#site-agent/data/prepare.ts';
import { openPrepared, type PreparedSet } from '#site-agent/data/prepared.ts';
import { loaderOf } from '#site-agent/data/registry.ts';
import { siteStatistics } from '#site-agent/worker/jobs/statistics.ts';
import type { DataSource } from '../options.ts';
import type { TrainPaths } from './train-folder.ts';

export interface PreparationOptions {
  readonly sources: readonly DataSource[];
  readonly paths: TrainPaths;
  readonly config: ModelConfig;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/**
 * The prepared set in the output folder, made where it is not there yet.
 * @throws FedError NO_USABLE_RECORDS, DATA_INVALID, FILE_CORRUPT, DISK_FULL, CANCELLED
 */
export async function preparedData(options: PreparationOptions): Promise<PreparedSet> {
  const { sources, paths, config, seed, signal, say } = options;
  const present = await openPrepared(paths.prepared).catch(thrown => {
    if (thrown instanceof FedError && thrown.code === 'NOT_FOUND') return undefined;
    throw thrown;
  });
  if (present !== undefined) return present;
  say('preparing the data');
  const { records, patients, reports, skipped } = await prepare({
    ...combineSources(sources.map(({ kind, dir }) => ({ loader: loaderOf(kind), folder: dir }))),
    out: paths.prepared,
    resolution: config.resolution,
    imageChannels: config.imageChannels,
    key: keyOf(seed),
    signal,
  });
  say(`${records} records of ${patients} patients, ${reports} with a report; ${skipped.length} files skipped`);
  return openPrepared(paths.prepared);
}

/**
 * The same seed makes the same split. A hospital's agent has a secret key in its place, which hides patients' ids from the
 * training process; here one person owns collection, prepared set and training.
 */
const keyOf = (seed: number): Buffer => createHash('sha256').update(`emixer model train ${seed}`).digest();

export interface LocalFacts {
  /** Most frequent first. */
  readonly vocabulary: readonly string[];
  /** What the model file says of the records it was trained on. */
  readonly statistics: GlobalStatistics;
}

/**
 * What a federation finds out in its first stage, from one site alone. A word of fewer patients than `minPatients` stays
 * out, as in a run: the model file holds the vocabulary, and a name that de-identification missed is such a word.
 */
export function localFacts({ records }: Pick<PreparedSet, 'records'>, run: RunConfig, config: ModelConfig): LocalFacts {
  const { tokens, labels, records: trained } = siteStatistics(records, run);
  const seen = new Map<string, number>();
  for (const { split, report } of records) {
    if (split !== 'train' || report === null) continue;
    for (const token of parseReport(report).flat()) seen.set(token, (seen.get(token) ?? 0) + 1);
  }
  const frequent = Object.entries(tokens).filter(([token]) => (seen.get(token) ?? 0) >= config.report.minOccurrences);
  const known = Object.entries(labels).flatMap(([label, count]) => (count === null ? [] : [[label, count] as const]));
  return {
    vocabulary: combineVocabulary([Object.fromEntries(frequent)], 1, run.vocabulary.maxTokens),
    statistics: { records: trained, sites: 1, labels: Object.fromEntries(known) },
  };
}
