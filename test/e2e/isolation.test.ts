/**
 * While a run trains: who listens where, what the coordinator's process has loaded, who is let in, and what the training
 * worker can read. (Issue 3, acceptance 5; spec/federation.md.)
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { stopRun } from '#coordinator/commands.ts';
import { Manifest } from '#proto/gen/fed/v1/tensors.ts';
import { manifestBytes } from '#proto/manifest.ts';
import { runPaths, sitePaths } from '#site-agent/state.ts';
import { testAuthority } from '../support/certificates.ts';
import { Federation, PRETRAINING, SITES, type Site } from '../support/federation.ts';
import { commandOf, environmentOf, listenersOf } from '../support/process-table.ts';
import { ofType, runEvents } from '../support/run-events.ts';

/** What a hospital's agent may have in its environment, and its worker must not. */
const SECRETS = { HOSPITAL_DB_PASSWORD: 'hunter2', AWS_SECRET_ACCESS_KEY: 'hunter2', NODE_OPTIONS: '--no-deprecation' };
/** Of site-agent/worker/environment.ts, and what Node itself adds for the channel. */
const WORKERS_NAMES =
  /^(PATH|LANG|TZ|HOME|TMPDIR|XDG_CACHE_HOME|EMIXER_(LIBTENSORFLOW|BACKEND|THREADS)|CUDA_VISIBLE_DEVICES|NODE_CHANNEL_(FD|SERIALIZATION_MODE))$/;

let federation: Federation;
let runId: string;

beforeAll(async () => {
  federation = await Federation.create();
  await federation.startCoordinator();
  await federation.startSites({ env: SECRETS });
  // More steps than a test waits for: it trains until it is stopped.
  runId = await federation.createRun({ ...PRETRAINING, adversarial: { rounds: 1, steps: 10_000 } });
  for (const site of SITES) {
    await federation
      .agent(site)
      .waitFor(
        'adversarial training',
        ({ event, taskId }) => event === 'progress' && String(taskId).includes('/adversarial/'),
      );
  }
});

describe.runIf(process.platform === 'linux')('while a run trains', () => {
  it('only the coordinator listens, and on 127.0.0.1 alone', async () => {
    const { grpc, enrolment, http } = federation.addresses;
    const listeners = await listenersOf(federation.coordinator.pid);
    expect(listeners).toEqual([grpc, enrolment, http].sort());
    for (const address of listeners) expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
    for (const site of SITES) {
      expect(await listenersOf(federation.agent(site).pid)).toEqual([]);
      expect(await listenersOf(federation.workerOf(site))).toEqual([]);
    }
  });

  it("TensorFlow is in the workers' processes and not in the coordinator's, which stays small", async () => {
    const { pid } = federation.coordinator;
    const maps = (of: number) => readFile(`/proc/${of}/maps`, 'utf8');
    expect(await maps(pid)).not.toMatch(/tensorflow|tfjs/);
    for (const site of SITES) {
      expect(await maps(federation.agent(site).pid)).not.toMatch(/tensorflow|tfjs/);
      // The look itself is tested where the native backend is what trains.
      const { backend } = federation.agent(site).events('worker-started')[0] ?? {};
      if (/^(native|cuda)/.test(String(backend)))
        expect(await maps(federation.workerOf(site))).toMatch(/libtensorflow/);
    }
    const aggregated = ofType(await runEvents(federation.coordinatorDir, runId), 'Aggregated').at(-1);
    const document = join(federation.coordinatorDir, 'runs', runId, 'documents', aggregated?.weights ?? '');
    const modelBytes = manifestBytes(Manifest.decode(await readFile(document)));
    const peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
    expect(peak).toBeGreaterThan(0);
    expect(peak).toBeLessThan(150e6 + 2 * modelBytes);
  });

  it("the worker's environment holds none of the agent's variables but those it needs", async () => {
    for (const site of SITES) {
      expect(await environmentOf(federation.agent(site).pid)).toMatchObject(SECRETS);
      const names = Object.keys(await environmentOf(federation.workerOf(site)));
      expect(names).toContain('PATH');
      expect(names.filter(name => !WORKERS_NAMES.test(name))).toEqual([]);
      // Its own folder, not the agent's temporary one.
      const { worker } = runPaths(sitePaths(federation.siteDir(site)).dir, runId);
      expect((await environmentOf(federation.workerOf(site)))['TMPDIR']).toBe(worker);
    }
  });

  it('code that runs as the worker does can read the prepared data, and neither the key nor anything beside it', async () => {
    const site: Site = 'hospital-b';
    const paths = sitePaths(federation.siteDir(site));
    const { worker } = runPaths(paths.dir, runId);
    const [node = '', ...words] = await commandOf(federation.workerOf(site));
    const flags = words.slice(
      0,
      words.findIndex(word => !word.startsWith('-')),
    );
    expect(flags.join(' ')).toMatch(/--(experimental-)?permission/);
    // Where the worker may write, and so where code that it was talked into writing would lie.
    const script = join(worker, 'intruder.mjs');
    await writeFile(script, INTRUDER);
    const targets = {
      key: paths.key,
      dataKey: paths.dataKey,
      otherSitesKey: sitePaths(federation.siteDir('hospital-a')).key,
      configuration: paths.config,
      egressLog: paths.egressLog,
      throughProc: `/proc/self/root${paths.key}`,
      throughParent: `${worker}/../../../identity/key.pem`,
    };
    const allowed = join(paths.prepared, 'pixels.u8');
    const { stdout } = await promisify(execFile)(node, [
      ...flags,
      script,
      JSON.stringify({ targets, allowed, worker }),
    ]);
    const found = JSON.parse(stdout) as { allowed: string; denied: Record<string, string> };
    expect(found.allowed).toBe('read');
    expect(Object.keys(found.denied).length).toBeGreaterThan(3 * Object.keys(targets).length);
    expect(Object.entries(found.denied).filter(([, outcome]) => outcome !== 'ERR_ACCESS_DENIED')).toEqual([]);
    // The same program without the worker's flags does read the key: what denied it was the permission model.
    const free = await promisify(execFile)(node, [script, JSON.stringify({ targets, allowed, worker })]);
    expect((JSON.parse(free.stdout) as typeof found).denied['readFileSync key']).toBe('read');
  });

  describe('the main listener', () => {
    const identity = (site: Site): ConnectionOptions => {
      const paths = sitePaths(federation.siteDir(site));
      return { ca: readFileSync(paths.ca), cert: readFileSync(paths.certificate), key: readFileSync(paths.key) };
    };
    const ca = (): ConnectionOptions => ({ ca: readFileSync(sitePaths(federation.siteDir('hospital-a')).ca) });

    it('speaks TLS 1.3 to a site with its certificate', async () => {
      expect(await greeting({ ...identity('hospital-a') })).toEqual({ protocol: 'TLSv1.3', answered: true });
    });

    it('refuses a connection without a client certificate', async () => {
      expect(await greeting(ca())).toMatch(/certificate required/i);
    });

    it("refuses a client certificate that is not of the coordinator's authority", async () => {
      const { certPem, keyPem } = testAuthority('another authority').issue('hospital-a');
      // Node ends such a connection without an alert; what matters is that nothing is answered.
      expect(await greeting({ ...ca(), cert: certPem, key: keyPem })).toMatch(/^closed$|ECONNRESET|unknown ca/i);
    });

    it('refuses TLS 1.2, with a certificate too', async () => {
      const old: ConnectionOptions = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' };
      expect(await greeting({ ...identity('hospital-a'), ...old })).toMatch(/protocol version/i);
    });

    it('refuses plain text', async () => {
      const socket = connectTcp(mainPort(), '127.0.0.1');
      const pieces: Buffer[] = [];
      socket.on('data', piece => pieces.push(piece)).on('error', () => {});
      socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
      await once(socket, 'close');
      // A TLS alert record at most: no HTTP/2 settings frame.
      expect([0, 7]).toContain(Buffer.concat(pieces).length);
    });

    it.runIf(hasOpenssl())('refuses openssl s_client without a certificate', async () => {
      const paths = sitePaths(federation.siteDir('hospital-a'));
      const { grpc } = federation.addresses;
      const common = ['s_client', '-connect', grpc, '-CAfile', paths.ca, '-alpn', 'h2', '-quiet', '-no_ign_eof'];
      const refused = await openssl(common);
      expect(refused.output).toMatch(/alert certificate required|alert bad certificate/);
      expect(refused.code).not.toBe(0);
    });
  });
});

it('a run that is stopped by the operator is dropped by its sites', async () => {
  await stopRun(federation.coordinatorDir, runId);
  expect(await federation.ended(runId)).toMatchObject({ event: 'run-stopped' });
  for (const site of SITES) {
    await federation.agent(site).waitFor('the cancelled task', ({ event }) => event === 'task-cancelled');
  }
});

const mainPort = (): number => Number(federation.addresses.grpc.split(':').at(-1));

/** An HTTP/2 client preface over TLS: what the server answers, or how it refuses. */
async function greeting(options: ConnectionOptions): Promise<{ protocol: string | null; answered: boolean } | string> {
  const to = { host: '127.0.0.1', port: mainPort(), servername: '', ALPNProtocols: ['h2'] };
  return new Promise(resolve => {
    const socket: TLSSocket = connect({ ...to, ...options });
    socket.once('error', error => resolve(`${error.message} ${(error as NodeJS.ErrnoException).code}`));
    socket.once('close', () => resolve('closed'));
    socket.once('secureConnect', () => {
      const empty = Buffer.from('000000040000000000', 'hex');
      socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), empty]));
    });
    socket.once('data', () => {
      resolve({ protocol: socket.getProtocol(), answered: true });
      socket.destroy();
    });
  });
}

function hasOpenssl(): boolean {
  return (process.env['PATH'] ?? '').split(':').some(folder => {
    try {
      return readFileSync(join(folder, 'openssl')).length > 0;
    } catch {
      return false;
    }
  });
}

async function openssl(args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn('openssl', args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  child.stdin.on('error', () => {});
  child.stdin.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

/** Tries to read each target in every way that JavaScript has; run with the worker's own flags. */
const INTRUDER = `
import fs from 'node:fs';
const { targets, allowed, worker } = JSON.parse(process.argv[2]);
const outcome = async attempt => {
  try {
    await attempt();
    return 'read';
  } catch (error) {
    return error.code ?? error.message;
  }
};
const denied = {};
let links = 0;
for (const [name, path] of Object.entries(targets)) {
  const ways = {
    readFileSync: () => fs.readFileSync(path),
    openSync: () => fs.openSync(path, 'r'),
    promise: () => fs.promises.readFile(path),
    stream: () => new Promise((resolve, reject) => fs.createReadStream(path).on('data', resolve).on('error', reject)),
    bytes: () => fs.readFileSync(Buffer.from(path)),
    url: () => fs.readFileSync(new URL('file://' + path)),
    copy: () => fs.copyFileSync(path, worker + '/copy-' + links++),
    hardLink: () => fs.linkSync(path, worker + '/link-' + links++),
    list: () => fs.readdirSync(path.replace(/\\/[^/]*$/, '')),
  };
  for (const [way, attempt] of Object.entries(ways)) denied[way + ' ' + name] = await outcome(attempt);
}
denied['a shell'] = await outcome(async () => (await import('node:child_process')).execSync('cat ' + targets.key));
denied['a thread'] = await outcome(async () => new (await import('node:worker_threads')).Worker('1', { eval: true }));
denied['a write elsewhere'] = await outcome(() => fs.writeFileSync(targets.configuration, ''));
console.log(JSON.stringify({ allowed: await outcome(() => fs.readFileSync(allowed)), denied }));
`;
