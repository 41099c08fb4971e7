/** Patients of one collection shared out over the sites of a demonstration, non-identically by label. */
import { LABELS } from '#model/labels.ts';
import { Random } from '#model/random.ts';
import { FedError } from '#proto/errors.ts';
import type { SourceRecord } from './record.ts';

export interface PartitionOptions {
  readonly records: Iterable<Pick<SourceRecord, 'patient' | 'labels'>>;
  readonly sites: number;
  /** Dirichlet concentration: 0.3 very uneven, 100 nearly even. */
  readonly alpha: number;
  readonly seed: number;
}

/** No site holds more patients than this times an even share. */
const LARGEST_SHARE = 1.3;

/**
 * Every patient at exactly one site. Patients are grouped by the rarest label that is positive in any of their records;
 * each group is shared out by its own Dirichlet draw (Hsu, Qi & Brown 2019, arXiv:1909.06335), the rare groups first, so
 * that the common ones even out the sizes.
 * @returns patient ids by site, sorted; no site is empty
 * @throws FedError DATA_INVALID when there are fewer patients than sites
 */
export function partitionPatients({ records, sites, alpha, seed }: PartitionOptions): string[][] {
  const positives = new Map<string, Set<string>>();
  for (const { patient, labels } of records) {
    const of = positives.get(patient) ?? new Set();
    for (const label of LABELS) if (labels[label] === 1) of.add(label);
    positives.set(patient, of);
  }
  if (positives.size < sites) {
    throw new FedError(
      'DATA_INVALID',
      `expected at least one patient a site, got ${positives.size} patients for ${sites} sites`,
      'use fewer sites or more data',
    );
  }
  const random = new Random('partition', seed);
  const capacity = Math.ceil((LARGEST_SHARE * positives.size) / sites);
  const result: string[][] = Array.from({ length: sites }, () => []);
  for (const group of groupsByRarestLabel(positives)) {
    const shares = dirichlet(random, sites, alpha);
    for (const patient of random.shuffled(group)) {
      const open = shares.map((share, site) => ((result[site] as string[]).length < capacity ? share + 1e-9 : 0));
      (result[draw(random, open)] as string[]).push(patient);
    }
  }
  fillEmpty(result);
  for (const patients of result) patients.sort();
  return result;
}

/** Groups of patients, rarest label first; patients without any positive label last. Ids are sorted: order is fixed. */
function groupsByRarestLabel(positives: ReadonlyMap<string, ReadonlySet<string>>): string[][] {
  const counts = new Map<string, number>();
  for (const labels of positives.values()) for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  const order = [...counts].sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1)).map(([label]) => label);
  const groups = new Map<string, string[]>([...order, ''].map(label => [label, []]));
  for (const patient of [...positives.keys()].sort()) {
    const labels = positives.get(patient) as ReadonlySet<string>;
    groups.get(order.find(label => labels.has(label)) ?? '')?.push(patient);
  }
  return [...groups.values()];
}

/** Gives an empty site half of the largest one's patients: with few patients a Dirichlet draw may leave one out. */
function fillEmpty(result: string[][]): void {
  for (const patients of result) {
    if (patients.length > 0) continue;
    const largest = result.reduce((a, b) => (b.length > a.length ? b : a));
    patients.push(...largest.splice(0, Math.max(1, Math.floor(largest.length / 2))));
  }
}

/** Index drawn in proportion to `weights`. */
function draw(random: Random, weights: readonly number[]): number {
  let left = random.uniform() * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [index, weight] of weights.entries()) {
    left -= weight;
    if (left < 0) return index;
  }
  return weights.findLastIndex(weight => weight > 0);
}

/** One draw of a symmetric Dirichlet(alpha) over `size` categories: normalised gamma variates. */
export function dirichlet(random: Random, size: number, alpha: number): number[] {
  const draws = Array.from({ length: size }, () => Math.max(Number.MIN_VALUE, gamma(random, alpha)));
  const sum = draws.reduce((a, b) => a + b, 0);
  return draws.map(value => value / sum);
}

/** Gamma(shape, 1) by Marsaglia & Tsang (2000), with their boost for shapes below 1. */
function gamma(random: Random, shape: number): number {
  if (shape < 1) return gamma(random, shape + 1) * (1 - random.uniform()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}
