/** The site's folder: what lies where, and that nobody else on the machine can read it. */
import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FedError } from '#proto/errors.ts';

/** Paths inside a site's folder. The worker may read `data` and one run's folder, and write that run's `worker`. */
export interface SitePaths {
  readonly dir: string;
  readonly config: string;
  /** PKCS#8 PEM, mode 0600; made here, never leaves. */
  readonly key: string;
  readonly certificate: string;
  readonly ca: string;
  readonly identity: string;
  /** Turns patients' ids into hashes; out of the worker's reach, like the private key. */
  readonly dataKey: string;
  readonly data: string;
  readonly prepared: string;
  readonly approvals: string;
  readonly pending: string;
  readonly egressLog: string;
  readonly auditLog: string;
  readonly lock: string;
  readonly runs: string;
}

export function sitePaths(dir: string): SitePaths {
  const at = (...parts: string[]) => join(dir, ...parts);
  return {
    dir,
    config: at('site.yaml'),
    key: at('identity', 'key.pem'),
    certificate: at('identity', 'certificate.pem'),
    ca: at('identity', 'ca.pem'),
    identity: at('identity', 'identity.json'),
    dataKey: at('identity', 'data.key'),
    data: at('data'),
    prepared: at('data', 'prepared'),
    approvals: at('state', 'approvals.json'),
    pending: at('state', 'pending.json'),
    egressLog: at('state', 'egress.jsonl'),
    auditLog: at('state', 'audit.jsonl'),
    lock: at('state', 'agent.lock'),
    runs: at('runs'),
  };
}

/** Folders of one run at one site. `worker` is all that the training process may write. */
export interface RunPaths {
  readonly root: string;
  readonly weights: string;
  readonly results: string;
  readonly worker: string;
  /** Local D, optimiser state, checkpoints: kept between the tasks of the run. */
  readonly workerState: string;
  job(taskId: string): string;
  result(taskId: string): string;
}

const RUN_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;

/** @throws FedError MESSAGE_INVALID when the run's id could lead out of the folder */
export function runPaths(dir: string, runId: string): RunPaths {
  if (!RUN_ID.test(runId)) {
    throw new FedError('MESSAGE_INVALID', `expected a run id of letters, digits, - and _; got ${runId.length} others`);
  }
  const root = join(sitePaths(dir).runs, runId);
  const worker = join(root, 'worker');
  return {
    root,
    worker,
    weights: join(root, 'weights'),
    results: join(root, 'results'),
    workerState: join(worker, 'state'),
    job: taskId => join(worker, 'jobs', shortHash(taskId)),
    result: taskId => join(root, 'results', `${shortHash(taskId)}.pb`),
  };
}

/** Task ids hold slashes and come over the wire: their hash is the file name. */
const shortHash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32);

/** Creates folders for their owner only, and tightens those that exist. */
export async function privateFolders(...folders: string[]): Promise<void> {
  for (const folder of folders) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chmod(folder, 0o700);
  }
}

/** Writes a file (mode 0600) so that after a crash there is the old one or the new one, whole. */
export async function writePrivateFile(path: string, data: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

/** The file's text, or undefined where there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
