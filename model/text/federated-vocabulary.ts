/**
 * The vocabulary of a federation: what a site reveals about its words and how the coordinator combines it. A word that
 * few patients share (a name that de-identification missed) must not leave the site, nor enter what all sites see.
 */
import { isReportToken, parseReport } from './report-cleaner.ts';

/** Longer tokens are never revealed: they are glued text or identifiers, not words. */
const MAX_TOKEN_CHARS = 64;

export interface PatientReport {
  readonly patient: string;
  /** In the form of joinReport, or null. */
  readonly report: string | null;
}

/**
 * Token -> number of patients that used it, only for tokens that at least `minPatients` patients used. Patients are
 * counted, not occurrences: one patient with thirty reports reveals no more than a patient with one.
 */
export function siteTokenCounts(reports: Iterable<PatientReport>, minPatients: number): Record<string, number> {
  const patients = new Map<string, Set<string>>();
  for (const { patient, report } of reports) {
    if (report === null) continue;
    for (const token of parseReport(report).flat()) {
      if (token.length > MAX_TOKEN_CHARS || !isReportToken(token)) continue;
      const users = patients.get(token);
      if (users === undefined) patients.set(token, new Set([patient]));
      else users.add(patient);
    }
  }
  const counts = [...patients].map(([token, users]) => [token, users.size] as const);
  return Object.fromEntries(counts.filter(([, users]) => users >= minPatients).sort(byFrequency));
}

/**
 * The tokens that at least `minSites` sites revealed, most frequent (patients over all sites) first, ties in code-point
 * order, at most `maxTokens`: the same whatever the order of the sites. Of `minOccurrences` patients count, for occurrences
 * never leave a site: a word of so many patients has at least as many occurrences. Entries that no site following siteTokenCounts
 * would send are ignored.
 */
export function combineVocabulary(
  siteCounts: readonly Readonly<Record<string, number>>[],
  minSites: number,
  maxTokens: number,
  minOccurrences = 1,
): string[] {
  const totals = new Map<string, { sites: number; patients: number }>();
  for (const counts of siteCounts) {
    for (const [token, patients] of Object.entries(counts)) {
      if (token.length > MAX_TOKEN_CHARS || !isReportToken(token)) continue;
      if (!Number.isSafeInteger(patients) || patients < 1) continue;
      const total = totals.get(token) ?? { sites: 0, patients: 0 };
      totals.set(token, { sites: total.sites + 1, patients: total.patients + patients });
    }
  }
  return [...totals]
    .filter(([, total]) => total.sites >= minSites && total.patients >= minOccurrences)
    .map(([token, total]) => [token, total.patients] as const)
    .sort(byFrequency)
    .slice(0, maxTokens)
    .map(([token]) => token);
}

type Counted = readonly [token: string, count: number];

const byFrequency = ([a, countA]: Counted, [b, countB]: Counted): number => countB - countA || byCodePoint(a, b);

/** JavaScript's own order is that of UTF-16 units; UTF-8 bytes sort as code points do. */
const byCodePoint = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
