/** What a caller may ask of the backend, and where such wishes come from. */
import { homedir } from 'node:os';
import path from 'node:path';
import { FedError } from '#proto/errors.ts';

/** `native` takes TensorFlow on the CPU even where there is a GPU; `cpu` is plain JavaScript, for tests of tiny shapes. */
const backendDemands = ['cuda', 'native', 'wasm', 'cpu'] as const;
export type BackendDemand = (typeof backendDemands)[number];

/** What CUDA_VISIBLE_DEVICES says to hide every GPU. */
export const NO_GPU = '-1';

export interface BackendOptions {
  /** Exactly this backend or an error; without it the ladder CUDA, native CPU, wasm. */
  readonly demand?: BackendDemand;
  /** Threads of native kernels, at least 1; without it one for each core that this process may use. */
  readonly threads?: number;
  /** The only GPU to see, as CUDA_VISIBLE_DEVICES names it; without it all that this process may use. */
  readonly gpu?: string;
  /** Folder that the set-up keeps native backends in. */
  readonly cacheRoot?: string;
  /** The hospital's own TensorFlow library, as given to the set-up. */
  readonly libraryDir?: string;
}

/** `${XDG_CACHE_HOME:-$HOME/.cache}/emixer`, as scripts/setup/cache.mjs computes it. */
export function cacheRootOf(env: Readonly<Record<string, string | undefined>>): string {
  const base = env['XDG_CACHE_HOME'];
  return path.join(base && path.isAbsolute(base) ? base : path.join(env['HOME'] || homedir(), '.cache'), 'emixer');
}

/**
 * Reads EMIXER_BACKEND, EMIXER_THREADS, EMIXER_LIBTENSORFLOW, XDG_CACHE_HOME and HOME. The only place of model/ that knows
 * their names; the environment itself is passed in.
 * @throws FedError CONFIG_INVALID for a value that is none of the allowed ones
 */
export function backendOptionsFromEnvironment(env: Readonly<Record<string, string | undefined>>): BackendOptions {
  const demand = env['EMIXER_BACKEND'] || undefined;
  const threads = env['EMIXER_THREADS'] || undefined;
  const libraryDir = env['EMIXER_LIBTENSORFLOW'] || undefined;
  return {
    cacheRoot: cacheRootOf(env),
    ...(demand === undefined ? {} : { demand: parseDemand(demand) }),
    ...(threads === undefined ? {} : { threads: parseThreads(threads) }),
    ...(libraryDir === undefined ? {} : { libraryDir: path.resolve(libraryDir) }),
  };
}

function parseDemand(text: string): BackendDemand {
  const found = backendDemands.find(name => name === text);
  if (found !== undefined) return found;
  throw new FedError(
    'CONFIG_INVALID',
    `EMIXER_BACKEND must be one of ${backendDemands.join(', ')}; it is ${JSON.stringify(text)}`,
    'unset it to let the best backend be chosen',
  );
}

function parseThreads(text: string): number {
  const threads = Number(text);
  if (Number.isInteger(threads) && threads >= 1 && threads <= 1024) return threads;
  throw new FedError(
    'CONFIG_INVALID',
    `EMIXER_THREADS must be a whole number from 1 to 1024; it is ${JSON.stringify(text)}`,
    'unset it to use every core',
  );
}
