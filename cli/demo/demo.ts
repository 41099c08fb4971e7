/** The demo from beginning to end: a coordinator and its sites as real processes, one run, its audit and its pictures. */
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import type { Notice } from '#coordinator/notices.ts';
import { modelConfigOf, type RunConfig } from '#model/federated.ts';
import { FedError } from '#proto/errors.ts';
import type { DataSource } from '../options.ts';
import type { Terminal } from '../terminal.ts';
import { Crew, type Member } from './crew.ts';
import { type DemoSettings, demoRunConfig } from './demo-config.ts';
import { writeEgress } from './egress.ts';
import { createFolders, type DemoFolders, removeWork } from './folders.ts';
import { watchPeakRss } from './memory.ts';
import { type DemoResult, writeOutputs } from './outputs.ts';
import { createProgress, type DemoProgress } from './progress.ts';
import { RunRecord } from './run-record.ts';
import { provideSiteData } from './site-data.ts';
import { enrolSite, prepareSite, type SiteSummary } from './site-setup.ts';

export interface DemoOptions extends DemoSettings {
  /** Real collections; phantoms are drawn where there is none. */
  readonly data: readonly DataSource[];
  readonly out: string;
}

interface Stage {
  readonly options: DemoOptions;
  readonly config: RunConfig;
  readonly folders: DemoFolders;
  readonly crew: Crew;
  readonly progress: DemoProgress;
  readonly record: RunRecord;
}

/**
 * Ends with a result whatever the verdict; no process is left, however it ends.
 * @throws FedError of the process that failed, CANCELLED on Ctrl-C, USAGE when the output folder is not the demo's
 */
export async function runDemo(options: DemoOptions, terminal: Terminal): Promise<DemoResult> {
  const startedMs = terminal.now();
  const config = demoRunConfig(options);
  const folders = await createFolders(resolve(options.out));
  const progress = createProgress(terminal, config);
  const crew = new Crew({ logs: folders.logs, env: terminal.env, signal: terminal.signal });
  const stage: Stage = { options, config, folders, crew, progress, record: new RunRecord() };
  try {
    const result = await federate(stage, () => (terminal.now() - startedMs) / 1_000);
    await writeFile(join(folders.out, 'demo.json'), `${JSON.stringify(result, null, 2)}\n`);
    return result;
  } catch (thrown) {
    // What ended the crew is the reason; what the flow then stumbled over is its consequence.
    throw crew.signal.aborted ? crew.signal.reason : thrown;
  } finally {
    progress.close();
    await crew.stop();
    await removeWork(folders);
  }
}

async function federate(stage: Stage, seconds: () => number): Promise<DemoResult> {
  const { options, config, folders, crew, progress, record } = stage;
  const coordinatorDir = join(folders.work, 'coordinator');
  const source = options.data.length === 0 ? 'drawing phantoms' : 'sharing out patients';
  progress.say(`setting up a coordinator and ${config.sites.length} hospitals on 127.0.0.1; ${source}`);
  const dataReady = provideSiteData({
    sources: options.data,
    sites: config.sites.length,
    seed: options.seed,
    work: folders.work,
    signal: crew.signal,
  });
  // It is awaited below; a failure before then must not count as unhandled.
  dataReady.catch(() => {});
  const coordinator = await startCoordinator(stage, coordinatorDir);
  const peakRssBytes = watchPeakRss(coordinator.service.pid);

  const siteDirs = config.sites.map(site => join(folders.work, site));
  for (const [index, site] of config.sites.entries()) {
    await enrolSite({
      crew,
      site,
      dir: siteDirs[index] ?? '',
      coordinatorDir,
      work: folders.work,
      sites: config.sites.length,
    });
  }
  const data = await dataReady;
  const model = modelConfigOf(config);
  const sites = await Promise.all(
    config.sites.map((site, index) => {
      const own = data[index] ?? { sources: [], patientsFile: null };
      return prepareSite({ crew, site, dir: siteDirs[index] ?? '', data: own, model });
    }),
  );
  for (const site of sites) progress.say(siteLine(site));

  const members = config.sites.map((site, index) =>
    crew.start(site, ['site', 'start', '--dir', siteDirs[index] ?? '']),
  );
  await Promise.all(members.map(member => member.waitFor(event => event.event === 'connected')));
  const runFile = join(folders.work, 'run.yaml');
  await writeFile(runFile, stringify(config));
  const { runId } = await crew.command('run', ['coordinator', 'run', runFile, '--dir', coordinatorDir]);
  progress.say(`adversarial rounds: ${config.adversarial.rounds}, each of ${config.adversarial.steps} local steps`);

  const finished = await verdictOf(coordinator, folders);
  progress.close();
  const outputs = await writeOutputs({ folders, config, record, runFolder: finished.out, verdict: finished.verdict });
  const egress = await writeEgress(config.sites, siteDirs, join(folders.out, 'egress.json'));
  return {
    out: folders.out,
    runId: String(runId),
    sites,
    ...outputs,
    egress,
    coordinator: { peakRssBytes: await peakRssBytes() },
    wallSeconds: Number(seconds().toFixed(2)),
  };
}

async function startCoordinator({ crew, progress, record }: Stage, dir: string): Promise<Member> {
  const loopback = '127.0.0.1';
  const anyPort = `${loopback}:0`;
  await crew.command('coordinator-init', ['coordinator', 'init', '--dir', dir, '--name', loopback]);
  const addresses = ['--listen', anyPort, '--enrol-listen', anyPort, '--http', anyPort];
  const coordinator = crew.start('coordinator', ['coordinator', 'start', '--dir', dir, ...addresses], event => {
    // Its own process and version: what it prints are notices.
    const notice = event as unknown as Notice;
    record.add(notice);
    // Where the coordinator has put its output is of no interest: the folder goes, the demo copies what is to stay.
    if (notice.event !== 'run-finished') progress.notice(notice);
  });
  await coordinator.waitFor(event => event.event === 'listening');
  return coordinator;
}

type Finished = Extract<Notice, { event: 'run-finished' }>;

/** @throws FedError when the run was stopped, naming why */
async function verdictOf(coordinator: Member, { logs }: DemoFolders): Promise<Finished> {
  const event = await coordinator.waitFor(({ event: name }) => name === 'run-finished' || name === 'run-stopped');
  const notice = event as unknown as Notice;
  if (notice.event === 'run-finished') return notice;
  const reason = notice.event === 'run-stopped' ? notice.reason : '';
  throw new FedError(
    'INTERNAL',
    `expected the run to finish; it was stopped: ${reason}`,
    `look into the logs in ${logs}`,
  );
}

const LABELS_SHOWN = 5;

function siteLine({ name, records, labels }: SiteSummary): string {
  const positives = Object.entries(labels)
    .map(([label, { positive }]) => ({ label, positive }))
    .filter(({ positive }) => positive > 0)
    .sort((a, b) => b.positive - a.positive)
    .slice(0, LABELS_SHOWN);
  return `${name}: ${records} records; ${positives.map(({ label, positive }) => `${label} ${positive}`).join(', ')}`;
}
