/** How a site of the demo comes to be: invited, enrolled, allowed to take part without a person, its data prepared. */
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { ModelConfig } from '#model/config.ts';
import { writeSiteConfig } from '#site-agent/config.ts';
import type { Crew } from './crew.ts';
import type { SiteData } from './site-data.ts';

export interface LabelCount {
  readonly positive: number;
  readonly negative: number;
  readonly uncertain: number;
  readonly missing: number;
}

export interface SiteSummary {
  readonly name: string;
  readonly records: number;
  readonly patients: number;
  readonly reports: number;
  /** Counted by the site over its own records, and shown on this machine only. */
  readonly labels: Readonly<Record<string, LabelCount>>;
  readonly skipped: number;
}

interface EnrolOptions {
  readonly crew: Crew;
  readonly site: string;
  readonly dir: string;
  readonly coordinatorDir: string;
  readonly work: string;
  readonly sites: number;
}

/** The three commands that an operator and a hospital would type, and the hospital's policy. */
export async function enrolSite({ crew, site, dir, coordinatorDir, work, sites }: EnrolOptions): Promise<void> {
  const invite = join(work, `${site}.invite`);
  await crew.command(`${site}-setup`, ['coordinator', 'invite', site, '--dir', coordinatorDir, '--out', invite]);
  await crew.command(`${site}-setup`, ['site', 'enroll', '--invite', invite, '--dir', dir]);
  await writeSiteConfig(dir, {
    policy: { approval: 'automatic', minimumCohort: Math.min(2, sites) },
    // All sites share this machine's cores.
    worker: { threads: Math.max(1, Math.floor(cpus().length / sites)) },
  });
}

interface PrepareOptions {
  readonly crew: Crew;
  readonly site: string;
  readonly dir: string;
  readonly data: SiteData;
  readonly model: Pick<ModelConfig, 'resolution' | 'imageChannels'>;
}

/** @throws FedError NO_USABLE_RECORDS | DATA_INVALID as `site prepare` says */
export async function prepareSite({ crew, site, dir, data, model }: PrepareOptions): Promise<SiteSummary> {
  const summary = await crew.command(`${site}-setup`, [
    ...['site', 'prepare', '--dir', dir],
    ...data.sources.flatMap(source => ['--data', `${source.kind}=${source.dir}`]),
    ...(data.patientsFile === null ? [] : ['--patients-file', data.patientsFile]),
    ...['--resolution', String(model.resolution), '--image-channels', String(model.imageChannels)],
  ]);
  const { records, patients, reports, labels, skipped } = summary as unknown as Omit<
    SiteSummary,
    'name' | 'skipped'
  > & {
    readonly skipped: readonly unknown[];
  };
  return { name: site, records, patients, reports, labels, skipped: skipped.length };
}
