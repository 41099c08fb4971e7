/**
 * A federation of three hospitals for end-to-end tests: a coordinator's folder and three enrolled sites with prepared
 * phantoms, made once a test run and copied for each test file, and the real processes on them.
 */
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, inject } from 'vitest';
import { createRun, initCoordinator, invite, showRun } from '#coordinator/commands.ts';
import type { RunView } from '#coordinator/http/schemas.ts';
import { enroll, prepareSite } from '#site-agent/commands.ts';
import { writeSiteConfig } from '#site-agent/config.ts';
import { writePhantomCollection } from '#site-agent/data/phantom/collection.ts';
import { startTestCoordinator } from './coordinator-fixture.ts';
import { EmixerProcess, endProcesses, type Line, type StartOptions } from './emixer-process.ts';

/** Patients of each: hospitals differ in size. */
const PATIENTS = { 'hospital-a': 30, 'hospital-b': 14, 'hospital-c': 6 } as const;
export type Site = keyof typeof PATIENTS;
export const SITES = Object.keys(PATIENTS) as Site[];
/** Of hospital-c's studies, every how many has no report: the groups of tensors then have different weights. */
const EVERY_WITHOUT_REPORT = 3;

/** Networks so small that a step takes a fraction of a second. */
const TINY_MODEL = {
  channels: 8,
  batchSize: 4,
  encoder: { growth: 4, blocks: [1, 1, 1, 1] },
  report: { maxSentences: 2, maxWords: 4, hidden: 16, embedding: 16, wordLayers: 1 },
  reportDiscriminator: { embedding: 8, hidden: 16, maxTokens: 12 },
  jointDiscriminator: { embedding: 8, hidden: 16 },
  optimiser: { discriminatorSteps: 1 },
  standingBatches: 2,
};

/** For runs that are to have every stage: without it they begin with the first adversarial round. */
export const PRETRAINING = {
  encoderPretraining: { rounds: 1, steps: 1 },
  reportPretraining: { rounds: 1, steps: 1 },
};

const TINY_RUN = {
  name: 'e2e',
  seed: 7,
  model: TINY_MODEL,
  encoderPretraining: { rounds: 0, steps: 1 },
  reportPretraining: { rounds: 0, steps: 1 },
  adversarial: { rounds: 1, steps: 4 },
  emaDecay: 0.9,
  evaluationImages: 16,
  pairs: 8,
};

const LOOPBACK = '127.0.0.1';

async function drawHospitals(folder: string, coordinatorDir: string): Promise<void> {
  await initCoordinator({ dir: coordinatorDir, name: LOOPBACK });
  const coordinator = await startTestCoordinator(coordinatorDir);
  try {
    for (const [index, site] of SITES.entries()) {
      const inviteFile = join(folder, `${site}.invite`);
      await invite({ dir: coordinatorDir, site, out: inviteFile });
      const dir = join(folder, site);
      await enroll({ inviteFile, dir });
      const collection = join(folder, `${site}-collection`);
      await writePhantomCollection({ out: collection, patients: PATIENTS[site], seed: 100 + index });
      if (site === 'hospital-c') await removeReports(collection);
      const data = [{ kind: 'mimic-cxr-jpg', folder: collection }];
      await prepareSite({ dir, data, resolution: 32, imageChannels: 1 });
      await rm(collection, { recursive: true });
    }
  } finally {
    await coordinator.close();
  }
}

async function removeReports(collection: string): Promise<void> {
  const reports = (await readdir(collection, { recursive: true })).filter(name => name.endsWith('.txt')).sort();
  for (const [index, name] of reports.entries()) {
    if (index % EVERY_WITHOUT_REPORT === 0) await rm(join(collection, name));
  }
}

/** Made by the first file that asks. */
async function template(): Promise<string> {
  const folder = join(inject('e2eFolder'), 'federation');
  if (existsSync(folder)) return folder;
  const draft = await mkdtemp(join(inject('e2eFolder'), 'draft-'));
  await drawHospitals(draft, join(draft, 'coordinator'));
  try {
    await rename(draft, folder);
  } catch (thrown) {
    // Another file's test made it meanwhile: the first one counts.
    if (!['ENOTEMPTY', 'EEXIST'].includes((thrown as NodeJS.ErrnoException).code ?? '')) throw thrown;
    await rm(draft, { recursive: true });
  }
  return folder;
}

const roots: string[] = [];
/** Hooks run last first: folders go only after the processes that write into them. */
afterAll(async () => {
  await endProcesses();
  for (const root of roots) await rm(root, { recursive: true, force: true });
});

export class Federation {
  /** Of this test file alone; gone after it. */
  readonly root: string;
  readonly coordinatorDir: string;
  /** Those that take part. */
  readonly sites: readonly Site[];
  readonly #agents = new Map<Site, EmixerProcess>();
  #coordinator: EmixerProcess | undefined;
  #listening: Line | undefined;

  private constructor(root: string, coordinatorDir: string, sites: readonly Site[]) {
    this.root = root;
    this.coordinatorDir = coordinatorDir;
    this.sites = sites;
  }

  /** @param options.coordinatorDir where the coordinator's folder is to be; in `root` by default */
  static async create(options: { coordinatorDir?: string; sites?: readonly Site[] } = {}): Promise<Federation> {
    const root = await mkdtemp(join(tmpdir(), 'emixer-federation-'));
    roots.push(root);
    await cp(await template(), root, { recursive: true });
    const { coordinatorDir = join(root, 'coordinator'), sites = SITES } = options;
    if (options.coordinatorDir !== undefined) await cp(join(root, 'coordinator'), coordinatorDir, { recursive: true });
    return new Federation(root, coordinatorDir, sites);
  }

  siteDir(site: Site): string {
    return join(this.root, site);
  }

  get coordinator(): EmixerProcess {
    if (this.#coordinator === undefined) throw new Error('the coordinator was not started');
    return this.#coordinator;
  }

  /** The site's agent, the last one that was started. */
  agent(site: Site): EmixerProcess {
    const agent = this.#agents.get(site);
    if (agent === undefined) throw new Error(`${site} was not started`);
    return agent;
  }

  /** The process that trains for a site now. */
  workerOf(site: Site): number {
    const { pid } = this.agent(site).events('worker-started').at(-1) ?? {};
    if (typeof pid !== 'number') throw new Error(`${site} has no worker`);
    return pid;
  }

  /** Addresses as the coordinator told them. */
  get addresses(): { readonly grpc: string; readonly enrolment: string; readonly http: string } {
    const { grpc, enrolment, http } = this.#listening ?? {};
    return { grpc: String(grpc), enrolment: String(enrolment), http: String(http) };
  }

  /** On ports of the system's choice at first, on the same ones again after that. Keeps every contribution. */
  async startCoordinator(): Promise<EmixerProcess> {
    const any = `${LOOPBACK}:0`;
    const { grpc, enrolment, http } =
      this.#listening === undefined ? { grpc: any, enrolment: any, http: any } : this.addresses;
    const ports = ['--listen', grpc, '--enrol-listen', enrolment, '--http', http];
    const args = ['coordinator', 'start', '--dir', this.coordinatorDir, ...ports, '--keep-intermediate', '--json'];
    this.#coordinator = new EmixerProcess(args);
    this.#listening = await this.#coordinator.waitFor('listening', ({ event }) => event === 'listening');
    return this.#coordinator;
  }

  /** Starts a site's agent, which takes part in every run, and waits until it is connected. */
  async startSite(site: Site, options: StartOptions = {}): Promise<EmixerProcess> {
    await this.writeSiteConfig(site);
    const agent = new EmixerProcess(['site', 'start', '--dir', this.siteDir(site), '--json'], options);
    this.#agents.set(site, agent);
    await agent.waitFor('connected', ({ event }) => event === 'connected');
    return agent;
  }

  async startSites(options: StartOptions = {}): Promise<void> {
    await Promise.all(this.sites.map(site => this.startSite(site, options)));
  }

  /** One thread a worker: three share the machine, and sums of floats are then in the same order every time. */
  writeSiteConfig(site: Site): Promise<unknown> {
    return writeSiteConfig(this.siteDir(site), {
      coordinator: this.addresses.grpc,
      policy: { approval: 'automatic' },
      worker: { threads: 1, checkpointEverySteps: 2 },
    });
  }

  async createRun(overrides: object = {}): Promise<string> {
    const { runId } = await createRun(this.coordinatorDir, { ...TINY_RUN, sites: this.sites, ...overrides });
    return runId;
  }

  showRun(runId: string): Promise<RunView> {
    return showRun(this.coordinatorDir, runId);
  }

  /** The run's end as the present coordinator tells it. */
  async ended(runId: string): Promise<Line> {
    return this.coordinator.waitFor(
      `the end of ${runId}`,
      ({ event, run }) => run === runId && (event === 'run-finished' || event === 'run-stopped'),
    );
  }
}
