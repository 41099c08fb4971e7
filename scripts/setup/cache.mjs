/** Where the native backend is kept: outside node_modules, so that `npm ci` does not throw it away. */
import { createHash } from 'node:crypto';
import os from 'node:os';
import path from 'node:path';
import { tensorflowVersion } from './pins.mjs';

/** @param {NodeJS.ProcessEnv} env */
export function cacheRoot(env) {
  const base = env.XDG_CACHE_HOME;
  // The XDG specification: a relative XDG_CACHE_HOME is invalid and is ignored.
  const home = env.HOME || os.homedir();
  return path.join(base && path.isAbsolute(base) ? base : path.join(home, '.cache'), 'emixer');
}

/** @param {string} text */
const shortHash = text => createHash('sha256').update(text).digest('hex').slice(0, 12);

/** @param {string} repository */
export const repositoryKey = repository => `clone-${shortHash(repository)}`;

/**
 * The folder of one prepared backend. model/backend/native-cache.ts computes the same names; a test holds them together.
 * @param {NodeJS.ProcessEnv} env
 * @param {{ cuda: boolean, libraryDir?: string }} variant
 */
export function nativeDirectory(env, variant) {
  const suffix = `${process.versions.modules}-${process.arch}`;
  const name =
    variant.libraryDir === undefined
      ? `${tensorflowVersion}-${suffix}${variant.cuda ? '-cuda' : ''}`
      : `own-${shortHash(path.resolve(variant.libraryDir))}-${suffix}`;
  return path.join(cacheRoot(env), name);
}
