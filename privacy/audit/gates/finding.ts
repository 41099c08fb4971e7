/** What a gate finds: a verdict and the numbers it rests on. */
import type { SiteAudit } from '../site-audit-schema.ts';
import type { Thresholds } from '../thresholds.ts';

export type Verdict = 'pass' | 'insufficient-evidence' | 'fail';
export type GateId = 'G0' | 'G1' | 'G2' | 'G3' | 'G4' | 'G5' | 'G6' | 'G7';

export interface Finding {
  readonly verdict: Verdict;
  /** What was observed; null where nothing was. */
  readonly statistic: number | null;
  /** What the observation bounds, with the configured confidence. */
  readonly bound: number | null;
  readonly threshold: number | null;
  /** Units the statistic was taken over. */
  readonly n: number | null;
  /** One sentence for a reader who knows no statistics, with the numbers. */
  readonly reason: string;
}

/** P-values of one site's tests, adjusted over all tests of all sites, and the level at which the first would reject. */
export interface SiteTests {
  readonly imageExcess: number;
  readonly rareReports: number;
  readonly distinctiveReports: number;
  readonly strictestAlpha: number;
}

export interface SiteEvidence {
  readonly audit: SiteAudit;
  readonly thresholds: Thresholds;
  readonly tests: SiteTests;
}

/** `fail` goes before `insufficient-evidence` before `pass`. */
export const severity = (verdict: Verdict): number =>
  verdict === 'fail' ? 2 : verdict === 'insufficient-evidence' ? 1 : 0;

export const notMeasured = (reason: string): Finding => ({
  verdict: 'insufficient-evidence',
  statistic: null,
  bound: null,
  threshold: null,
  n: null,
  reason,
});

export const thousands = (value: number): string => value.toLocaleString('en-US');

/** Three significant digits of a share, as per cent. */
export const percent = (share: number): string => `${Number((100 * share).toPrecision(3))} %`;
