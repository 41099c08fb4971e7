/** The end of the statistics stage: the federated vocabulary and the totals that every site is told. */
import type { RunFiles } from '#coordinator/store/run-files.ts';
import { type GlobalStatistics, modelConfigOf, type RunConfig, type SiteStatistics } from '#model/federated.ts';
import { combineVocabulary } from '#model/text/federated-vocabulary.ts';
import type { Submission } from './plan.ts';

export interface FixedVocabulary {
  /** Document: JSON array of tokens. */
  readonly vocabulary: string;
  readonly tokens: number;
  readonly statistics: GlobalStatistics;
}

export async function fixVocabulary(
  files: RunFiles,
  config: RunConfig,
  results: readonly Submission[],
): Promise<FixedVocabulary> {
  const sites: SiteStatistics[] = [];
  for (const { result } of results) sites.push(await statisticsOf(files, result.submission));
  const { minSites, maxTokens } = config.vocabulary;
  const tokens = combineVocabulary(
    sites.map(site => site.tokens),
    // A federation of one site cannot ask for two.
    Math.min(minSites, config.sites.length),
    maxTokens,
    modelConfigOf(config).report.minOccurrences,
  );
  const vocabulary = await files.documents.put(Buffer.from(JSON.stringify(tokens)));
  await files.documents.sync();
  return { vocabulary, tokens: tokens.length, statistics: totals(sites) };
}

/** Already checked when it was submitted (handlers/results.ts). */
async function statisticsOf(files: RunFiles, submission: string): Promise<SiteStatistics> {
  const { outcome } = await files.submission(submission);
  return JSON.parse(outcome?.$case === 'statistics' ? outcome.value.statisticsJson : '{}') as SiteStatistics;
}

function totals(sites: readonly SiteStatistics[]): GlobalStatistics {
  const labels: Record<string, number> = {};
  for (const site of sites) {
    for (const [label, count] of Object.entries(site.labels)) {
      if (count !== null) labels[label] = (labels[label] ?? 0) + count;
    }
  }
  return { records: sites.reduce((sum, site) => sum + site.records, 0), sites: sites.length, labels };
}
