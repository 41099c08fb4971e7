/** G2: no generated image is a copy of a training image, and enough were looked at to say so. */
import { clopperPearsonUpper, trialsForZeroHits } from '../statistics/binomial.ts';
import { type Finding, percent, type SiteEvidence, thousands } from './finding.ts';

export function imageGate({ audit: { images, generated }, thresholds, tests }: SiteEvidence): Finding {
  const { confidence, hitRateBound, familywiseAlpha, marginFactor } = thresholds;
  const n = generated.images;
  const bound = clopperPearsonUpper(images.marginHits, n, confidence);
  const base = { statistic: n === 0 ? null : images.marginHits / n, bound, threshold: hitRateBound, n };
  if (images.marginHits > 0) {
    return {
      ...base,
      verdict: 'fail',
      reason: `${thousands(images.marginHits)} of ${thousands(n)} generated images are copies of training images: closer than ${marginFactor} times the closest control`,
    };
  }
  if (tests.imageExcess <= familywiseAlpha) {
    return {
      ...base,
      verdict: 'fail',
      reason: `${thousands(images.excess.generated)} of ${thousands(n)} generated images lie closer to training images than holdout patients do (adjusted p = ${tests.imageExcess.toPrecision(2)})`,
    };
  }
  if (bound > hitRateBound) {
    const needed = trialsForZeroHits(hitRateBound, confidence);
    return {
      ...base,
      verdict: 'insufficient-evidence',
      reason: `no copy among ${thousands(n)} generated images, which only shows that fewer than ${percent(bound)} are copies: ${thousands(needed)} pairs are needed for ${percent(hitRateBound)}`,
    };
  }
  return {
    ...base,
    verdict: 'pass',
    reason: `no copy among ${thousands(n)} generated images: fewer than ${percent(bound)} are copies, with ${percent(confidence)} confidence`,
  };
}
