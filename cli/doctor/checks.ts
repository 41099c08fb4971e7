/** The single checks of `emixer doctor`. Each says what it found, and what to do where that is not good. */
import { access, constants } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { nativeDirectories, preparedBackend } from '#model/backend/native-cache.ts';
import { damagedFile } from '#model/backend/verify-cache.ts';
import type { Loaded } from './load.ts';

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  /** Empty where nothing is to be done. */
  readonly fix: string;
}

/** A demo's coordinator, three agents and three workers; training at 128 pixels needs more. */
const leastMemoryBytes = 4 * 2 ** 30;
/** Library, dependencies, and the weights of a run. */
const leastDiskBytes = 5 * 2 ** 30;

const check = (name: string, ok: boolean, detail: string, fix: string): Check => ({
  name,
  ok,
  detail,
  fix: ok ? '' : fix,
});
const gigabytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

export async function environmentChecks(facts: {
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly workingFolder: string;
}): Promise<Check[]> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const writable = await access(facts.workingFolder, constants.W_OK).then(
    () => true,
    () => false,
  );
  return [
    check(
      'node',
      major > 20 || (major === 20 && minor >= 19),
      `${process.version} (20.19 or later is needed)`,
      'install a current Node LTS',
    ),
    check(
      'memory',
      facts.memoryBytes >= leastMemoryBytes,
      `${gigabytes(facts.memoryBytes)} (4 GiB are needed)`,
      'use a larger machine, or raise the limit of the container',
    ),
    check(
      'disk',
      facts.diskBytes >= leastDiskBytes,
      `${gigabytes(facts.diskBytes)} free (5 GiB are needed)`,
      'free space on this disk',
    ),
    check('working folder', writable, facts.workingFolder, 'choose a folder that you may write to'),
    await loopbackCheck(),
  ];
}

/** The demo's processes talk over 127.0.0.1 with a port that the system chooses. */
function loopbackCheck(): Promise<Check> {
  return new Promise(resolve => {
    const server = createServer();
    const fix = 'allow local connections in the firewall or the sandbox';
    server.once('error', error =>
      resolve(check('loopback', false, `cannot listen on 127.0.0.1: ${error.message}`, fix)),
    );
    server.listen(0, '127.0.0.1', () => {
      server.close(() => resolve(check('loopback', true, 'can listen on 127.0.0.1', fix)));
    });
  });
}

export async function computeChecks(
  loaded: Loaded,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Check[]> {
  const { backend, options, refusal } = loaded;
  const native = backend.name === 'cuda' || backend.name === 'native-cpu';
  const wanted = native || options.demand === backend.name;
  const reasons = refusal ?? backend.rejected.map(({ name, reason }) => `${name}: ${reason}`).join('; ');
  const checks = [
    check(
      'backend',
      wanted && refusal === null,
      wanted && refusal === null ? backend.name : `${backend.name} runs instead, many times slower (${reasons})`,
      'npm run setup',
    ),
    arithmeticCheck(loaded),
  ];
  const directory = nativeDirectories(options).find(folder => preparedBackend(folder).ok);
  if (native && directory !== undefined) {
    const damage = await damagedFile(directory);
    checks.push(
      check('library', damage === null, damage ?? `${directory}, every byte as it was made`, 'npm run setup'),
    );
  }
  if (!native) checks.push(...(await toolChecks(env)));
  return checks;
}

/** One convolution with a known result: a library for another processor may load and compute nonsense. */
function arithmeticCheck({ backend: { tf } }: Loaded): Check {
  const found = tf.tidy(() => {
    const image = tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]);
    const filter = tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8, 9], [3, 3, 1, 1]);
    return Array.from(tf.conv2d(image, filter, 1, 'same').dataSync());
  });
  const expected = [77, 67, 47, 37];
  const right = expected.every((value, index) => value === found[index]);
  const detail = right ? 'a convolution has the known result' : `a convolution gave ${found} instead of ${expected}`;
  return check('arithmetic', right, detail, 'npm run setup; if it stays so, run with EMIXER_BACKEND=wasm');
}

/** What the set-up needs to make the native backend; asked only where that is missing. */
async function toolChecks(env: Readonly<Record<string, string | undefined>>): Promise<Check[]> {
  const folders = (env['PATH'] ?? '').split(path.delimiter);
  const tools = [
    ['python3', 'apt install python3 python3-pip'],
    ['g++', 'apt install g++'],
    ['make', 'apt install make'],
  ] as const;
  return Promise.all(
    tools.map(async ([tool, fix]) => {
      const found = await Promise.any(
        folders.map(folder => access(path.join(folder, tool), constants.X_OK).then(() => path.join(folder, tool))),
      ).catch(() => null);
      return check(tool, found !== null, found ?? 'not on the PATH', fix);
    }),
  );
}
