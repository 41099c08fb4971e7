/** Whether this site could take part now: each part that a run needs, looked at without starting anything. */
import { statfs } from 'node:fs/promises';
import { nativeDirectories, preparedBackend } from '#model/backend/native-cache.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { FedError, toFedError } from '#proto/errors.ts';
import { MAX_CLOCK_DIFFERENCE_MS } from '#proto/version.ts';
import type { Clock } from './clock.ts';
import { readSiteConfig } from './config.ts';
import { openPrepared } from './data/prepared.ts';
import { Egress } from './egress.ts';
import { EgressLog } from './egress-log.ts';
import { readIdentity } from './identity.ts';
import { takeLock } from './lock.ts';
import { sitePaths } from './state.ts';
import { workerEnvironment } from './worker/environment.ts';

export interface Check {
  readonly name: 'configuration' | 'certificate' | 'coordinator' | 'clock' | 'prepared data' | 'backend' | 'disk';
  readonly ok: boolean;
  readonly detail: string;
  /** What to do; empty where nothing is to be done. */
  readonly fix: string;
}

export interface PreflightOptions {
  readonly dir: string;
  readonly clock: Clock;
  /** The process's environment: where the numeric backend is looked for. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const DIAL_TIMEOUT_MS = 10_000;
const CERTIFICATE_WARNING_MS = 14 * 24 * 3_600_000;
/** Weights, checkpoints and chunks of a run of the largest preset, with room to spare. */
const DISK_BYTES = 5 * 1024 ** 3;

export async function preflight(options: PreflightOptions): Promise<Check[]> {
  const network = await checkNetwork(options);
  return [
    await checked('configuration', async () => {
      const { policy } = await readSiteConfig(options.dir);
      return `runs are approved ${policy.approval === 'automatic' ? 'automatically' : 'by a person'}`;
    }),
    await checked('certificate', () => certificate(options)),
    ...network,
    await checked('prepared data', () => preparedData(options.dir)),
    await checked('backend', () => backend(options)),
    await checked('disk', () => disk(options.dir)),
  ];
}

async function checked(name: Check['name'], look: () => Promise<string>): Promise<Check> {
  try {
    return { name, ok: true, detail: await look(), fix: '' };
  } catch (thrown) {
    const { message, remedy } = toFedError(thrown);
    return { name, ok: false, detail: message, fix: remedy };
  }
}

async function certificate({ dir, clock }: PreflightOptions): Promise<string> {
  const { site, validUntilMs } = await readIdentity(dir);
  const until = new Date(validUntilMs).toISOString();
  if (validUntilMs - clock.nowMs() < CERTIFICATE_WARNING_MS) {
    throw new FedError('CONFIG_INVALID', `the certificate of ${site} is valid until ${until} only`, 'enrol again soon');
  }
  return `${site}, valid until ${until}`;
}

/** Dials the coordinator with the site's certificate and asks for its clock. */
async function checkNetwork(options: PreflightOptions): Promise<Check[]> {
  let release: (() => void) | undefined;
  try {
    release = await takeLock(sitePaths(options.dir).lock);
    const { address, offMs } = await dial(options);
    const within = Math.abs(offMs) <= MAX_CLOCK_DIFFERENCE_MS;
    return [
      { name: 'coordinator', ok: true, detail: `${address} answers and knows this site`, fix: '' },
      {
        name: 'clock',
        ok: within,
        detail: `the coordinator's clock is ${Math.round(offMs / 100) / 10} s ahead of this one`,
        fix: within ? '' : 'set the clock (NTP) at the end that is wrong',
      },
    ];
  } catch (thrown) {
    const { message, remedy } = toFedError(thrown);
    return [{ name: 'coordinator', ok: false, detail: message, fix: remedy }];
  } finally {
    release?.();
  }
}

async function dial({ dir, clock }: PreflightOptions): Promise<{ address: string; offMs: number }> {
  const config = await readSiteConfig(dir);
  const { coordinator, caPem, certPem, keyPem } = await readIdentity(dir);
  const address = config.coordinator ?? coordinator;
  const log = await EgressLog.open(dir, () => clock.nowMs());
  const { blockedEgress: blocked, minimumCell } = config.policy;
  const egress = new Egress({ address, caPem, certPem, keyPem, log, blocked, minimumCell, clock });
  try {
    // A heartbeat of no task: it is answered with the clock, and opens no session that would push out a running one.
    async function* once() {
      yield { taskId: '', step: 0, steps: 0 };
    }
    for await (const { clockMs } of egress.heartbeats(once(), AbortSignal.timeout(DIAL_TIMEOUT_MS))) {
      return { address, offMs: Number(clockMs) - clock.nowMs() };
    }
    throw new FedError('UNREACHABLE', `expected ${address} to answer; it closed the connection`, 'ask its operator');
  } finally {
    egress.close();
    await log.close();
  }
}

async function preparedData(dir: string): Promise<string> {
  const { manifest } = await openPrepared(sitePaths(dir).prepared);
  const { records, patients, resolution, imageChannels } = manifest;
  return `${records} records of ${patients} patients, ${resolution}x${resolution}x${imageChannels}`;
}

async function backend({ dir, environment }: PreflightOptions): Promise<string> {
  const { worker } = await readSiteConfig(dir);
  const wishes = backendOptionsFromEnvironment(workerEnvironment(worker, environment));
  if (wishes.demand === 'wasm' || wishes.demand === 'cpu') return `${wishes.demand}, as configured`;
  const found = nativeDirectories(wishes).map(preparedBackend);
  if (found.some(({ ok }) => ok)) return 'the native backend is set up';
  const reasons = found.flatMap(look => (look.ok ? [] : [look.reason])).join('; ');
  throw new FedError('BACKEND_UNAVAILABLE', `only the slow fallback is there: ${reasons}`, 'npm run setup');
}

async function disk(dir: string): Promise<string> {
  const { bavail, bsize } = await statfs(dir);
  const free = bavail * bsize;
  const gib = `${Math.floor(free / 1024 ** 3)} GiB free`;
  if (free < DISK_BYTES) throw new FedError('DISK_FULL', `expected at least 5 GiB free; ${gib}`, 'free space');
  return gib;
}
