/** Do generated reports follow the labels that they were requested for? A finding's keywords, requested against not. */
import {
  cochranMantelHaenszel,
  type StratifiedTest,
  type Stratum,
} from '#privacy/audit/statistics/cochran-mantel-haenszel.ts';
import { fisherGreater } from '#privacy/audit/statistics/fisher.ts';
import type { Label } from '../labels.ts';
import type { Random } from '../random.ts';
import { FINDINGS, mentionedFindings } from './keyword-mentions.ts';

export interface RequestedReport {
  /** The labels that it was generated for. */
  readonly labels: ReadonlySet<Label>;
  readonly report: string;
}

/** `hits` of `trials` reports requested for the finding mention it, `controlHits` of `controlTrials` others. */
export interface FindingDependence extends Stratum {
  readonly finding: string;
  /** Fisher's exact test, one-sided. */
  readonly p: number;
}

export interface LabelDependence {
  readonly reports: number;
  /** "No Finding" comes last; a report that mentions no finding counts as mentioning it. */
  readonly findings: readonly FindingDependence[];
  /** Over all findings but "No Finding", each a stratum. */
  readonly stratified: StratifiedTest;
  /**
   * One-sided, of the same number of hits when reports are dealt out to requests at random. A report is in every stratum, so
   * that strata are not independent as the stratified test has it; this one holds whatever findings occur together.
   */
  readonly permutationP: number;
  readonly permutations: number;
}

const NO_FINDING = 'No Finding';

/** Reports that were requested for no label at all are left out. */
export function labelDependence(
  reports: readonly RequestedReport[],
  random: Random,
  permutations = 9999,
): LabelDependence {
  const used = reports.filter(({ labels }) => labels.size > 0);
  const requested = used.map(({ labels }) => maskOf(FINDINGS.map(finding => finding.labels.some(l => labels.has(l)))));
  const mentioned = used.map(({ report }) => {
    const names = mentionedFindings(report);
    return maskOf(FINDINGS.map(({ name }) => names.has(name)));
  });
  const findings = FINDINGS.map(({ name }, k) => rowOf(name, requested.map(bit(k)), mentioned.map(bit(k))));
  const normal = rowOf(
    NO_FINDING,
    used.map(({ labels }) => labels.has(NO_FINDING)),
    mentioned.map(mask => mask === 0),
  );
  return {
    reports: used.length,
    findings: [...findings, normal],
    stratified: cochranMantelHaenszel(findings),
    permutationP: permutationP(requested, mentioned, random, permutations),
    permutations,
  };
}

/** Bit k says whether FINDINGS[k] is among them. */
const maskOf = (flags: readonly boolean[]): number =>
  flags.reduce((mask, flag, k) => (flag ? mask | (1 << k) : mask), 0);
const bit = (k: number) => (mask: number) => ((mask >> k) & 1) === 1;

function rowOf(finding: string, requested: readonly boolean[], mentioned: readonly boolean[]): FindingDependence {
  const count = (asked: boolean) => requested.filter((r, i) => r === asked && mentioned[i]).length;
  const trials = requested.filter(Boolean).length;
  const table = { hits: count(true), trials, controlHits: count(false), controlTrials: requested.length - trials };
  return { finding, ...table, p: fisherGreater(table.hits, trials, table.controlHits, table.controlTrials) };
}

/** Phipson & Smyth, SAGMB 9 (2010): the arrangement that was observed is one of those that could have been. */
function permutationP(
  requested: readonly number[],
  mentioned: readonly number[],
  random: Random,
  count: number,
): number {
  const hits = (dealt: readonly number[]) =>
    requested.reduce((sum, mask, i) => sum + bitsOf(mask & (dealt[i] as number)), 0);
  const observed = hits(mentioned);
  let asMany = 0;
  for (let n = 0; n < count; n++) if (hits(random.shuffled(mentioned)) >= observed) asMany++;
  return (asMany + 1) / (count + 1);
}

function bitsOf(mask: number): number {
  let bits = 0;
  for (let left = mask; left !== 0; left &= left - 1) bits++;
  return bits;
}
