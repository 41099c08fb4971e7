/** G0: would this audit have found copies, and are its controls controls? Never a reason to fail, always one not to pass. */
import { IMAGE_PLANTS, type SiteAudit } from '../site-audit-schema.ts';
import { clopperPearsonLower, trialsForZeroHits } from '../statistics/binomial.ts';
import type { Thresholds } from '../thresholds.ts';
import { type Finding, percent, type SiteEvidence, thousands } from './finding.ts';

interface Plants {
  readonly what: string;
  readonly planted: number;
  readonly found: number;
}

export function validityGate({ audit, thresholds }: SiteEvidence): Finding {
  const worst = worstPlants(audit, thresholds);
  const recall = worst === undefined ? 0 : recallBound(worst, thresholds);
  const problems = [...controlProblems(audit, thresholds), ...plantProblems(audit, thresholds)];
  const base = {
    statistic: worst === undefined || worst.planted === 0 ? null : worst.found / worst.planted,
    bound: worst === undefined ? null : recall,
    threshold: thresholds.plantRecall,
    n: worst?.planted ?? null,
  };
  if (problems.length > 0) return { ...base, verdict: 'insufficient-evidence', reason: problems.join('; ') };
  return {
    ...base,
    verdict: 'pass',
    reason: `planted copies of every kind were found under ${thresholds.seeds} seeds (recall of the worst at least ${percent(recall)}), and no holdout patient is in the training set`,
  };
}

function controlProblems({ disjoint, images }: SiteAudit, thresholds: Thresholds): string[] {
  const problems: string[] = [];
  if (disjoint.sharedPatients > 0) {
    problems.push(
      `${thousands(disjoint.sharedPatients)} patients are in both the training set and the holdout: split by patient`,
    );
  }
  if (disjoint.sharedStudies > 0) {
    problems.push(`${thousands(disjoint.sharedStudies)} studies are in both the training set and the holdout`);
  }
  if (disjoint.identicalImages > 0) {
    problems.push(
      `${thousands(disjoint.identicalImages)} holdout images equal a training image pixel by pixel: one film under two patients`,
    );
  }
  if (images.controlPatients < thresholds.minControls) {
    problems.push(
      `${thousands(images.controlPatients)} holdout patients are too few to tell a copy from a look-alike: ${thousands(thresholds.minControls)} are needed`,
    );
  }
  return problems;
}

/** Every set of plants that has to be found; a set that is missing from the audit counts as none planted. */
function requiredPlants(audit: SiteAudit, thresholds: Thresholds): Plants[] {
  const seeds = Array.from({ length: thresholds.seeds }, (_, seed) => seed);
  const images = IMAGE_PLANTS.flatMap(kind =>
    seeds.map(seed => {
      const plants = audit.images.plants.find(plant => plant.kind === kind && plant.seed === seed);
      return { what: `images (${kind})`, planted: plants?.planted ?? 0, found: plants?.found ?? 0 };
    }),
  );
  const reports = seeds.map(seed => {
    const plants = audit.reports.plants.find(plant => plant.seed === seed);
    return { what: 'distinctive reports', planted: plants?.planted ?? 0, found: plants?.found ?? 0 };
  });
  return [
    ...images,
    // A site without reports has none that could be copied.
    ...(audit.train.reports > 0 && audit.generated.reports > 0 ? reports : []),
    { what: 'identifiers', planted: audit.phi.planted, found: audit.phi.found },
  ];
}

const recallBound = ({ planted, found }: Plants, { confidence }: Thresholds): number =>
  clopperPearsonLower(found, planted, confidence);

const worstPlants = (audit: SiteAudit, thresholds: Thresholds): Plants | undefined =>
  requiredPlants(audit, thresholds).sort((a, b) => recallBound(a, thresholds) - recallBound(b, thresholds))[0];

function plantProblems(audit: SiteAudit, thresholds: Thresholds): string[] {
  const needed = trialsForZeroHits(1 - thresholds.plantRecall, thresholds.confidence);
  const worst = new Map<string, Plants>();
  for (const plants of requiredPlants(audit, thresholds)) {
    const known = worst.get(plants.what);
    if (known === undefined || recallBound(plants, thresholds) < recallBound(known, thresholds)) {
      worst.set(plants.what, plants);
    }
  }
  return [...worst.values()]
    .filter(plants => recallBound(plants, thresholds) < thresholds.plantRecall)
    .map(
      ({ what, planted, found }) =>
        `${thousands(found)} of ${thousands(planted)} planted ${what} were found, which does not show a recall of ${percent(thresholds.plantRecall)}${planted < needed ? ` (${needed} or more have to be planted)` : ''}`,
    );
}
