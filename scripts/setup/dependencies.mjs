/** npm dependencies, exactly as locked, with install scripts off. */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SetupError } from './error.mjs';
import { step } from './log.mjs';
import { npmCli } from './npm.mjs';
import { lastWords, run } from './run.mjs';

/**
 * @param {{ repository: string, env: NodeJS.ProcessEnv }} context
 * @throws {SetupError} when npm fails
 */
export async function installDependencies({ repository, env }) {
  const lock = await readFile(path.join(repository, 'package-lock.json'), 'utf8');
  const wanted = createHash('sha256').update(lock).digest('hex');
  const marker = path.join(repository, 'node_modules/.emixer-lock.sha256');
  if ((await readFile(marker, 'utf8').catch(() => '')) === wanted) return;
  const installed = await readFile(path.join(repository, 'node_modules/.package-lock.json'), 'utf8').catch(() => '{}');
  if (!matchesLock(JSON.parse(lock), JSON.parse(installed))) {
    const offline = env.EMIXER_OFFLINE || undefined;
    const source = offline === undefined ? [] : ['--offline', '--cache', path.join(path.resolve(offline), 'npm')];
    await step('install the npm dependencies (npm ci, install scripts off)', () => npmCi(repository, env, source));
  }
  await writeFile(marker, wanted);
}

/**
 * @param {string} directory holds package.json and package-lock.json
 * @param {NodeJS.ProcessEnv} env
 * @param {readonly string[]} options
 */
export async function npmCi(directory, env, options) {
  const cli = await npmCli(env);
  const args = [cli, 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--include=dev', ...options];
  const result = await run(process.execPath, args, { cwd: directory, env });
  if (result.code !== 0) {
    throw new SetupError(
      `npm ci failed: ${lastWords(result)}`,
      "check the network, or npm's registry and proxy settings; without network see docs/offline-install.md",
    );
  }
}

/**
 * Whether npm's own record of what it installed is what the lock asks for, so that an `npm ci` made by hand is not
 * repeated. Optional packages may be absent: most are for another platform.
 * @param {{ packages?: Record<string, { version?: string, integrity?: string, optional?: boolean }> }} lock
 * @param {{ packages?: Record<string, { version?: string, integrity?: string }> }} installed
 */
export function matchesLock(lock, installed) {
  const found = installed.packages ?? {};
  return Object.entries(lock.packages ?? {}).every(([name, wanted]) => {
    const actual = found[name];
    if (name === '' || (actual === undefined && wanted.optional === true)) return true;
    return actual !== undefined && actual.version === wanted.version && actual.integrity === wanted.integrity;
  });
}
