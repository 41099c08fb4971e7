import { describe, expect, it } from 'vitest';
import { labelDependence, type RequestedReport } from '#model/evaluate/label-dependence.ts';
import type { Label } from '#model/labels.ts';
import { Random } from '#model/random.ts';

const report = (labels: Label[], text: string): RequestedReport => ({ labels: new Set(labels), report: text });
const times = (count: number, item: RequestedReport): RequestedReport[] => Array.from({ length: count }, () => item);

describe('reports against the labels that they were requested for', () => {
  const reports = [
    ...times(8, report(['Edema'], 'pulmonary edema .')),
    ...times(2, report(['Edema'], 'lungs are clear .')),
    ...times(5, report(['Pneumonia'], 'focal consolidation .')),
    ...times(4, report(['Pneumonia'], 'no edema .')),
    ...times(1, report(['Pneumonia', 'Fracture'], 'edema . rib fracture .')),
    ...times(6, report(['No Finding'], 'normal chest .')),
    ...times(3, report([], 'pulmonary edema .')),
  ];
  const result = labelDependence(reports, new Random('test'), 999);
  const row = (name: string) => result.findings.find(({ finding }) => finding === name);

  it('are counted by finding, without those that were requested for nothing', () => {
    expect(result.reports).toBe(26);
    expect(row('Edema')).toMatchObject({ hits: 8, trials: 10, controlHits: 1, controlTrials: 16 });
    // (C(9,8) C(17,2) + C(9,9) C(17,1)) / C(26,10)
    expect(row('Edema')?.p).toBeCloseTo((9 * 136 + 17) / 5_311_735, 12);
    expect(row('Consolidation/Pneumonia')).toMatchObject({ hits: 5, trials: 10, controlHits: 0, controlTrials: 16 });
    expect(row('Fracture')).toMatchObject({ hits: 1, trials: 1, controlHits: 0, controlTrials: 25 });
    expect(row('Fracture')?.p).toBeCloseTo(1 / 26, 12);
    expect(row('Pneumothorax')).toMatchObject({ hits: 0, trials: 0, controlHits: 0, controlTrials: 26, p: 1 });
  });

  it('count as no finding when they mention none', () => {
    expect(row('No Finding')).toMatchObject({ hits: 6, trials: 6, controlHits: 6, controlTrials: 20 });
    expect(result.findings.at(-1)?.finding).toBe('No Finding');
  });

  it('depend on them, over all findings', () => {
    expect(result.stratified.p).toBeLessThan(1e-4);
    expect(result.permutationP).toBe(1 / 1000);
  });

  it('no longer do when each label gets the same reports, or those of the others', () => {
    const texts = ['pulmonary edema .', 'focal consolidation .', 'normal chest .'];
    const labels = ['Edema', 'Consolidation', 'No Finding'] as const;
    const equal = labels.flatMap(label => texts.flatMap(text => times(5, report([label], text))));
    const unrelated = labelDependence(equal, new Random('test'), 999);
    expect(unrelated.stratified).toEqual({ z: 0, p: 0.5 });
    expect(unrelated.permutationP).toBeGreaterThan(0.4);
    const others = labels.flatMap((label, k) => times(10, report([label], texts[(k + 1) % 3] as string)));
    const opposite = labelDependence(others, new Random('test'), 999);
    expect(opposite.stratified.p).toBeGreaterThan(0.99);
    expect(opposite.permutationP).toBeGreaterThan(0.99);
  });
});

it('twenty requests that mean nothing are found to mean something about as often as the level says', () => {
  // Each report mentions exactly one finding: the strata are as dependent as they can be.
  const texts = ['pulmonary edema .', 'rib fracture .', 'lung nodule .', 'pneumothorax .'];
  const labels = ['Edema', 'Fracture', 'Lung Lesion', 'Pneumothorax'] as const;
  const random = new Random('level');
  let found = 0;
  const trials = 400;
  for (let n = 0; n < trials; n++) {
    const reports = Array.from({ length: 40 }, () =>
      report([labels[random.integer(4)] as Label], texts[random.integer(4)] as string),
    );
    if (labelDependence(reports, random, 99).permutationP <= 0.05) found++;
  }
  // Binomial(400, 0.05): 20 expected, standard deviation 4.4; fewer, as ties count against.
  expect(found).toBeLessThan(38);
  expect(found).toBeGreaterThan(2);
});
