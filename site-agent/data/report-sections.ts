/** Findings and impression in a radiologist's free text. */
import { cleanReport, joinReport } from '#model/text/report-cleaner.ts';

/** A heading in capitals at the start of a line, up to its colon; lengths are bounded so that any text costs linear time. */
const HEADING = /^[ \t]{0,40}([A-Z][A-Z0-9 /&,()-]{2,60}):/gm;

const FINDINGS = /^(FINDINGS?|FINDINGS AND IMPRESSION|REPORT|CHEST FINDINGS)$/;
const IMPRESSION =
  /^(IMPRESSIONS?|CONCLUSIONS?|IMPRESSION AND RECOMMENDATIONS?|FINDINGS\/IMPRESSION|IMPRESSION\/RECOMMENDATIONS?)$/;

export interface ReportSections {
  readonly findings: string | null;
  readonly impression: string | null;
}

/** The two sections that describe the film, white space joined; null where a report has no such section. */
export function findSections(text: string): ReportSections {
  const headings = [...text.matchAll(HEADING)];
  const found: { findings: string | null; impression: string | null } = { findings: null, impression: null };
  for (const [index, heading] of headings.entries()) {
    const name = (heading[1] ?? '').replace(/\s+/g, ' ').trim();
    const section = FINDINGS.test(name) ? 'findings' : IMPRESSION.test(name) ? 'impression' : undefined;
    if (section === undefined) continue;
    const from = heading.index + heading[0].length;
    const to = headings[index + 1]?.index ?? text.length;
    const body = text.slice(from, to).replace(/\s+/g, ' ').trim();
    // Of two (an addendum comes first in MIMIC-CXR) the last is the report's own.
    if (body !== '') found[section] = body;
  }
  return found;
}

/** Findings, then impression; null when there is neither. */
export function joinSections({ findings, impression }: ReportSections): string | null {
  const parts = [findings, impression].filter(part => part !== null && part !== '');
  return parts.length === 0 ? null : parts.join('\n\n');
}

/**
 * A report as it is stored, and how many of its sentences are its findings. The sections are cleaned apart, so that a
 * sentence belongs to one of them.
 * @param report as joinSections gives it
 * @param findings with which the report begins, or null
 */
export function cleanSections(
  report: string | null,
  findings: string | null,
): { readonly report: string | null; readonly findingsSentences: number } {
  const first = findings === null ? [] : cleanReport(findings);
  const others = report === null ? [] : cleanReport(report.slice(findings?.length ?? 0));
  const cleaned = joinReport([...first, ...others]);
  return { report: cleaned === '' ? null : cleaned, findingsSentences: first.length };
}
