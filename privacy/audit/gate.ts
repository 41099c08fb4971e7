/**
 * The release gate: what the sites found, combined into one verdict. Every number is computed anew from the sites'
 * counts. Fails closed: what is missing, stale or contradictory is insufficient evidence, and the worst site binds.
 */
import { contradiction } from './gates/consistency.ts';
import {
  type Finding,
  type GateId,
  notMeasured,
  type SiteEvidence,
  type SiteTests,
  severity,
  type Verdict,
} from './gates/finding.ts';
import { imageGate } from './gates/image-gate.ts';
import { pairGate } from './gates/pair-gate.ts';
import { phiGate } from './gates/phi-gate.ts';
import { reportGate } from './gates/report-gate.ts';
import { validityGate } from './gates/validity.ts';
import type { SiteAudit } from './site-audit-schema.ts';
import { fisherGreater } from './statistics/fisher.ts';
import { holm } from './statistics/holm.ts';
import { type Thresholds, thresholdsSha256 } from './thresholds.ts';

export const GATE_REPORT_VERSION = 1;

/** What the verdict is about; hashes in hex. */
export interface GateContext {
  readonly modelSha256: string;
  readonly syntheticSha256: string;
  readonly runSha256: string;
  readonly thresholds: Thresholds;
}

export interface SiteSubmission {
  readonly site: string;
  /** Null when the site sent none. */
  readonly audit: SiteAudit | null;
}

export interface GateResult extends Finding {
  readonly id: GateId;
  readonly name: string;
  /** The site whose finding binds; null where the gate is not about sites. */
  readonly site: string | null;
  readonly sites: readonly (Finding & { readonly site: string })[];
}

export interface GateReport {
  readonly schemaVersion: typeof GATE_REPORT_VERSION;
  readonly verdict: Verdict;
  /** The verdict with the reason that binds, in one sentence. */
  readonly sentence: string;
  readonly binding: { readonly gate: GateId; readonly site: string | null; readonly reason: string };
  readonly stamps: readonly string[];
  readonly gates: readonly GateResult[];
  readonly sites: readonly SiteSubmission[];
  readonly context: GateContext;
  readonly notTested: readonly string[];
}

type SiteGate = (evidence: SiteEvidence) => Finding;

const VALIDITY = 'Validity of the audit';

const SITE_GATES: readonly (readonly [GateId, string, SiteGate])[] = [
  ['G1', 'Protected health information', phiGate],
  ['G2', 'Image copies', imageGate],
  ['G3', 'Report copies', reportGate],
  ['G4', 'Pair copies and linkability', pairGate],
];

const NOT_MEASURED: readonly (readonly [GateId, string, string])[] = [
  ['G5', 'Membership inference', 'not measured in this version'],
  ['G6', 'Canaries (one-run audit)', 'not measured in this version'],
  [
    'G7',
    'Privacy ledger',
    'not measured in this version: there is no ledger, so the release is stamped "no DP guarantee"',
  ],
];

const NOT_TESTED: readonly string[] = [
  'Membership inference: whether a patient was in the training set at all (WP29: inference).',
  'Residual linkability of images with reports across patients (WP29: linkability); copies of whole pairs were looked for.',
  'Canaries and a lower bound of epsilon: no differential privacy is claimed.',
  'Copies changed beyond the searched transformations (listed with the thresholds; shifts only where configured), or blended from several images.',
  'Paraphrased reports; facility names and rare free-text identifiers; identifiers burnt into the pixels.',
  'Releases taken together with other releases from the same training set.',
];

export function decide(submissions: readonly SiteSubmission[], context: GateContext): GateReport {
  const unusable = new Map<string, string>();
  const usable: { site: string; audit: SiteAudit }[] = [];
  for (const { site, audit } of submissions) {
    const problem = audit === null ? 'the site sent no audit' : refusal(audit, context);
    if (audit !== null && problem === undefined) usable.push({ site, audit });
    else unusable.set(site, problem ?? '');
  }
  const tests = adjustedTests(usable, context.thresholds);
  // A problem of validity only: what one of the sites found in its set still counts as a failure.
  const oneSet = new Set(usable.map(({ audit }) => audit.generatedSha256)).size <= 1;
  const validity: SiteGate = oneSet
    ? validityGate
    : () => notMeasured('the sites did not audit the same synthetic set');

  const findings = (gate: SiteGate) =>
    submissions.map(({ site }, i) => {
      const index = usable.findIndex(entry => entry.site === site);
      const [entry, siteTests] = [usable[index], tests[index]];
      const repeated = submissions.findIndex(other => other.site === site) !== i;
      const finding =
        entry === undefined || siteTests === undefined || repeated
          ? notMeasured(repeated ? 'the site sent two audits' : (unusable.get(site) ?? ''))
          : gate({ audit: entry.audit, thresholds: context.thresholds, tests: siteTests });
      return { site, ...finding };
    });

  const gates: GateResult[] = [
    combine('G0', VALIDITY, findings(validity)),
    ...SITE_GATES.map(([id, name, gate]) => combine(id, name, findings(gate))),
    ...NOT_MEASURED.map(([id, name, reason]) => ({ id, name, site: null, sites: [], ...notMeasured(reason) })),
  ];
  const binding = worst(gates) ?? combine('G0', VALIDITY, []);
  return {
    schemaVersion: GATE_REPORT_VERSION,
    verdict: binding.verdict,
    sentence: sentenceOf(binding),
    binding: { gate: binding.id, site: binding.site, reason: binding.reason },
    stamps: ['no DP guarantee'],
    gates,
    sites: submissions,
    context,
    notTested: NOT_TESTED,
  };
}

/** Why an audit cannot be used, or undefined. */
function refusal(audit: SiteAudit, context: GateContext): string | undefined {
  if (audit.thresholdsSha256 !== thresholdsSha256(context.thresholds)) {
    return 'the site audited under other thresholds than the run states';
  }
  const contradicting = contradiction(audit);
  return contradicting === undefined ? undefined : `the figures contradict each other (${contradicting})`;
}

/** The p-values of all sites are one family. */
function adjustedTests(usable: readonly { audit: SiteAudit }[], thresholds: Thresholds): SiteTests[] {
  const raw = usable.flatMap(({ audit: { images, reports, generated, holdout } }) => [
    fisherGreater(images.excess.generated, generated.images, images.excess.holdout, images.controlPatients),
    fisherGreater(reports.rare.generated, generated.reports, reports.rare.holdout, holdout.reports),
    fisherGreater(reports.distinctive.generated, generated.reports, reports.distinctive.holdout, holdout.reports),
  ]);
  const adjusted = holm(raw);
  return usable.map((_, i) => ({
    imageExcess: adjusted[3 * i] ?? 0,
    rareReports: adjusted[3 * i + 1] ?? 0,
    distinctiveReports: adjusted[3 * i + 2] ?? 0,
    strictestAlpha: thresholds.familywiseAlpha / raw.length,
  }));
}

/** The first of the worst: gates are in the order of their weight, sites in the order of the run. */
const worst = <F extends Finding>(findings: readonly F[]): F | undefined =>
  findings.reduce<F | undefined>(
    (bad, finding) => (bad === undefined || severity(finding.verdict) > severity(bad.verdict) ? finding : bad),
    undefined,
  );

function combine(id: GateId, name: string, sites: GateResult['sites']): GateResult {
  const binding = worst(sites);
  if (binding === undefined) return { id, name, site: null, sites, ...notMeasured('no site audited') };
  return { id, name, sites, ...binding };
}

function sentenceOf({ id, name, verdict, site, reason }: GateResult): string {
  const at = site === null ? '' : ` at site ${site}`;
  const verb = { pass: 'Pass', fail: 'Fail', 'insufficient-evidence': 'Insufficient evidence' }[verdict];
  return verdict === 'pass' ? 'Pass: every gate passed at every site.' : `${verb}: ${id} (${name})${at}: ${reason}.`;
}
