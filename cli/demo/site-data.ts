/** What each site of the demo gets: phantoms of its own, or its share of the patients of real collections. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FedError } from '#proto/errors.ts';
import { combineSources } from '#site-agent/data/combined.ts';
import { partitionPatients } from '#site-agent/data/partition.ts';
import { writePhantomCollection } from '#site-agent/data/phantom/collection.ts';
import { sitePriors } from '#site-agent/data/phantom/priors.ts';
import type { SourceRecord } from '#site-agent/data/record.ts';
import { loaderOf } from '#site-agent/data/registry.ts';
import type { DataSource } from '../options.ts';

export interface SiteData {
  readonly sources: readonly DataSource[];
  /** One patient id a line; null when the site takes all of its sources. */
  readonly patientsFile: string | null;
}

export interface SiteDataOptions {
  readonly sources: readonly DataSource[];
  readonly sites: number;
  readonly seed: number;
  readonly work: string;
  readonly signal: AbortSignal;
}

/** Dirichlet concentration of labels over sites: clearly uneven, and no site without anything. */
const ALPHA = 0.7;
/** Patients a site, falling from the first to the last: hospitals differ in size too. */
const MOST_PHANTOM_PATIENTS = 130;
const FEWEST_PHANTOM_PATIENTS = 100;

/** @throws FedError DATA_INVALID when a collection cannot be read or has fewer patients than sites; CANCELLED */
export function provideSiteData(options: SiteDataOptions): Promise<SiteData[]> {
  return options.sources.length === 0 ? drawPhantoms(options) : sharePatients(options);
}

async function drawPhantoms({ sites, seed, work, signal }: SiteDataOptions): Promise<SiteData[]> {
  const priors = sitePriors(sites, ALPHA, seed);
  const result: SiteData[] = [];
  for (const [index, prior] of priors.entries()) {
    const dir = join(work, 'phantoms', String(index + 1));
    const share = sites === 1 ? 0 : index / (sites - 1);
    const patients = Math.round(MOST_PHANTOM_PATIENTS - share * (MOST_PHANTOM_PATIENTS - FEWEST_PHANTOM_PATIENTS));
    // Seeds far apart: two sites must not draw the same patients.
    await writePhantomCollection({ out: dir, patients, seed: seed * 1_000 + index, prior, signal });
    result.push({ sources: [{ kind: 'mimic-cxr-jpg', dir }], patientsFile: null });
  }
  return result;
}

async function sharePatients({ sources, sites, seed, work, signal }: SiteDataOptions): Promise<SiteData[]> {
  const folder = join(work, 'patients');
  await mkdir(folder, { recursive: true });
  const records: Pick<SourceRecord, 'patient' | 'labels'>[] = [];
  // Read as each site will read them, so that a patient has the same id here and there.
  const { loader, folder: collection } = combineSources(
    sources.map(({ kind, dir }) => ({ loader: loaderOf(kind), folder: dir })),
  );
  for await (const { patient, labels } of loader.records(collection, () => {})) {
    if (signal.aborted) throw new FedError('CANCELLED', 'interrupted');
    records.push({ patient, labels });
  }
  const parts = partitionPatients({ records, sites, alpha: ALPHA, seed });
  return Promise.all(
    parts.map(async (patients, index) => {
      const patientsFile = join(folder, `${index + 1}.txt`);
      await writeFile(patientsFile, patients.map(patient => `${patient}\n`).join(''), { mode: 0o600 });
      return { sources, patientsFile };
    }),
  );
}
