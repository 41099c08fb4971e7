/** Wrong input from the outside: the exit code that is promised, two lines that say what to do, and nothing lost. (Issue 3) */
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { invite } from '#coordinator/commands.ts';
import { writePhantomCollection } from '#site-agent/data/phantom/collection.ts';
import { sitePaths } from '#site-agent/state.ts';
import { EmixerProcess, type Ended, emixer, endProcesses, type Line } from '../support/emixer-process.ts';
import { Federation, SITES } from '../support/federation.ts';

let folder: string;
let federation: Federation;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emixer-bad-input-'));
  federation = await Federation.create();
});
afterAll(async () => {
  await endProcesses();
  await rm(folder, { recursive: true, force: true });
});

/** An error as spec/cli.md wants it: the exit code, two lines on stderr without a stack, one document on stdout. */
function expectError(ended: Ended, exitCode: number, code: string, ...saying: readonly (string | RegExp)[]): void {
  expect(ended).toMatchObject({ code: exitCode, documents: [{ error: { code } }] });
  const lines = ended.stderr
    .trim()
    .split('\n')
    .filter(line => !line.startsWith('{'));
  expect(lines.slice(-2)).toEqual([expect.stringMatching(/^error: \S/), expect.stringMatching(/^ {2}to do: \S/)]);
  expect(ended.stderr).not.toMatch(/\n\s+at .*:\d+:\d+/);
  for (const said of saying) expect(ended.stderr).toMatch(said);
}

describe('configuration', () => {
  const run = async (config: object): Promise<Ended> => {
    const file = join(folder, 'run.yaml');
    await writeFile(file, stringify({ sites: SITES, ...config }));
    return emixer(['coordinator', 'run', file, '--dir', federation.coordinatorDir, '--json']);
  };

  it('an unknown preset ends with 2 and names the known ones, before anything is written', async () => {
    const out = join(folder, 'unknown-preset');
    const ended = await emixer(['demo', '--preset', 'phantom23', '--out', out, '--json']);
    expectError(ended, 2, 'CONFIG_INVALID', 'unknown preset "phantom23"', 'phantom32');
    await expect(stat(out)).rejects.toMatchObject({ code: 'ENOENT' });
    expectError(await run({ preset: 'openi46' }), 2, 'CONFIG_INVALID', 'unknown preset "openi46"', 'openi64');
  });

  it('an unknown key ends with 2 and names the nearest, in a run, in its model and among the options', async () => {
    expectError(await run({ adversarail: {} }), 2, 'CONFIG_INVALID', '"adversarail"', 'did you mean "adversarial"');
    const misspelt = await run({ model: { optimiser: { textrate: 1 } } });
    expectError(misspelt, 2, 'CONFIG_INVALID', '"textrate"', 'did you mean "textRate"');
    const options = join(folder, 'options.yaml');
    await writeFile(options, 'ruonds: 2\n');
    const ended = await emixer(['demo', '--config', options, '--json']);
    expectError(ended, 2, 'CONFIG_INVALID', 'ruonds', 'did you mean "rounds"');
  });

  it('a run for a site that is not enrolled ends with 2 and names the nearest; no run was created', async () => {
    const ended = await run({ sites: ['hospital-a', 'hospitl-b'] });
    expectError(ended, 2, 'CONFIG_INVALID', '"hospitl-b" is not enrolled', 'did you mean "hospital-b"');
    const runs = await emixer(['coordinator', 'runs', '--dir', federation.coordinatorDir, '--json']);
    expect(runs.documents).toEqual([{ runs: [] }]);
  });
});

describe('data', () => {
  let collection: string;
  beforeAll(async () => {
    collection = join(folder, 'collection');
    await writePhantomCollection({ out: collection, patients: 6, seed: 9 });
  });
  const filesOf = async (dir: string, ending: string): Promise<string[]> =>
    (await readdir(dir, { recursive: true })).filter(name => name.endsWith(ending)).sort();
  const prepare = (dir: string): Promise<Ended> => {
    const site = join(folder, 'preparing-site');
    return emixer(['site', 'prepare', '--dir', site, '--data', `mimic-cxr-jpg=${dir}`, '--resolution', '32', '--json']);
  };

  it('an empty folder ends with 3', async () => {
    const empty = join(folder, 'empty');
    await mkdir(empty);
    expectError(await prepare(empty), 3, 'DATA_INVALID');
    expectError(await prepare(join(folder, 'nowhere')), 3, 'DATA_INVALID');
  });

  it('no usable record ends with 3, says why, names no file, and leaves no prepared set', async () => {
    const broken = join(folder, 'broken');
    await cp(collection, broken, { recursive: true });
    const images = await filesOf(broken, '.jpg');
    for (const image of images) await truncate(join(broken, image), 300);
    const ended = await prepare(broken);
    expectError(ended, 3, 'NO_USABLE_RECORDS', `(${images.length} truncated)`);
    expect(ended.stderr + ended.stdout).not.toContain('.jpg');
    expect(await readdir(join(folder, 'preparing-site', 'data'))).toEqual([]);
  });

  it('a truncated image is skipped and counted, and a study without a report is fine', async () => {
    const flawed = join(folder, 'flawed');
    await cp(collection, flawed, { recursive: true });
    const images = await filesOf(flawed, '.jpg');
    const reports = await filesOf(flawed, '.txt');
    const [truncated = ''] = images;
    await truncate(join(flawed, truncated), Math.floor((await stat(join(flawed, truncated))).size / 2));
    const unreported = reports.at(-1) ?? '';
    await rm(join(flawed, unreported));
    const withoutReport = images.filter(name => name.startsWith(unreported.replace(/\.txt$/, '/'))).length;
    expect(withoutReport).toBeGreaterThan(0);
    const ended = await prepare(flawed);
    expect(ended.code).toBe(0);
    expect(ended.documents).toEqual([
      expect.objectContaining({
        records: images.length - 1,
        reports: images.length - 1 - withoutReport,
        skipped: [{ path: truncated, reason: expect.stringMatching(/truncated/) }],
      }),
    ]);
  });
});

describe('the network', () => {
  let occupied: Server;
  let taken: string;
  beforeAll(async () => {
    occupied = createServer().listen(0, '127.0.0.1');
    await once(occupied, 'listening');
    taken = `127.0.0.1:${(occupied.address() as AddressInfo).port}`;
    await federation.startCoordinator();
  });
  afterAll(async () => {
    occupied.close();
    await federation.coordinator.end();
  });

  it('a port in use ends with 2 and names the address, whichever of the three it is', async () => {
    const dir = join(folder, 'second-coordinator');
    await cp(federation.coordinatorDir, dir, { recursive: true });
    const any = '127.0.0.1:0';
    for (const busy of ['--listen', '--enrol-listen', '--http']) {
      const ports = ['--listen', '--enrol-listen', '--http'].flatMap(name => [name, name === busy ? taken : any]);
      const ended = await emixer(['coordinator', 'start', '--dir', dir, ...ports, '--json']);
      expectError(ended, 2, 'PORT_IN_USE', taken);
    }
  });

  it('a wrong token and a used one end with 4, and neither site has an identity afterwards', async () => {
    const inviteFile = join(folder, 'new-site.invite');
    await invite({ dir: federation.coordinatorDir, site: 'new-site', out: inviteFile });
    const wrongFile = join(folder, 'wrong.invite');
    const content = JSON.parse(await readFile(inviteFile, 'utf8')) as object;
    await writeFile(wrongFile, JSON.stringify({ ...content, token: 'x'.repeat(43) }));
    const enroll = (file: string, dir: string): Promise<Ended> =>
      emixer(['site', 'enroll', '--invite', file, '--dir', join(folder, dir), '--json']);
    expectError(await enroll(wrongFile, 'wrong'), 4, 'TOKEN_INVALID', 'one-time token', 'new invite');
    expect((await enroll(inviteFile, 'first')).code).toBe(0);
    expectError(await enroll(inviteFile, 'second'), 4, 'TOKEN_INVALID', 'used');
    for (const dir of ['wrong', 'second']) {
      await expect(stat(sitePaths(join(folder, dir)).certificate)).rejects.toMatchObject({ code: 'ENOENT' });
    }
    const unreachable = join(folder, 'unreachable.invite');
    await writeFile(unreachable, JSON.stringify({ ...content, enrolment: '127.0.0.1:1' }));
    expectError(await enroll(unreachable, 'third'), 4, 'UNREACHABLE');
  });

  it('an agent without its coordinator says so, goes on trying, connects when it comes, and ends when told to', async () => {
    await federation.coordinator.end();
    await federation.writeSiteConfig('hospital-a');
    const agent = new EmixerProcess(['site', 'start', '--dir', federation.siteDir('hospital-a'), '--json']);
    const waits = (): Line[] => agent.events('waiting');
    await agent.waitFor('a second wait', () => waits().length >= 2);
    for (const wait of waits()) {
      expect(wait).toMatchObject({ for: expect.stringContaining(federation.addresses.grpc) });
      expect(wait['reason']).toMatch(/^UNREACHABLE/);
      expect(Number(wait['untilMs'])).toBeGreaterThan(0);
    }
    await federation.startCoordinator();
    await agent.waitFor('the connection', ({ event }) => event === 'connected');
    agent.kill('SIGTERM');
    expect(await agent.exited).toEqual({ code: 0, signal: null });
    expect(agent.lines.at(-1)).toMatchObject({ event: 'stopped' });
  });
});
