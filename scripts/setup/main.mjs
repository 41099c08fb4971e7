/** What `node scripts/setup.mjs` does, in order, and which failures end it. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildTypeScript } from './build.mjs';
import { cacheRoot, repositoryKey } from './cache.mjs';
import { installDependencies } from './dependencies.mjs';
import { SetupError } from './error.mjs';
import { fetchOffline } from './fetch.mjs';
import { withLock } from './lock.mjs';
import { say, seconds } from './log.mjs';
import { prepareNative } from './native.mjs';

const repository = fileURLToPath(new URL('../..', import.meta.url));

const usage = `usage: node scripts/setup.mjs [--only dependencies|native|build] [--fetch DIR [--gpu]]

  (no option)   prepare whatever is missing: dependencies, native TensorFlow, build
  --only PART   only that part (may be given more than once)
  --fetch DIR   fill DIR with all that a set-up without network needs, and stop
  --gpu         with --fetch: the CUDA libraries too (about 3 GB)

  EMIXER_OFFLINE=DIR         set up from such a folder, without network
  EMIXER_LIBTENSORFLOW=DIR   use the TensorFlow C library in DIR instead of fetching one
  EMIXER_BACKEND=wasm|cpu    leave the native backend out
  XDG_CACHE_HOME             where the native backend is kept (default ~/.cache)
`;

const parts = ['dependencies', 'native', 'build'];

/**
 * @param {string[]} argv options after the script's name
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<number>} exit code: 0 ready (perhaps with the slow fallback), 1 not ready, 2 wrong usage
 */
export async function main(argv, env) {
  let options;
  try {
    options = parseArgs({
      args: argv,
      options: {
        only: { type: 'string', multiple: true },
        fetch: { type: 'string' },
        gpu: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }).values;
    const unknown = (options.only ?? []).find(part => !parts.includes(part));
    if (unknown !== undefined) throw new Error(`--only takes ${parts.join(', ')}; it was ${unknown}`);
  } catch (error) {
    process.stderr.write(`setup: ${error.message}\n${usage}`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  const startedMs = performance.now();
  try {
    if (options.fetch !== undefined) {
      await fetchOffline({ repository, directory: path.resolve(options.fetch), gpu: options.gpu === true, env });
    } else {
      const wanted = new Set(options.only ?? parts);
      // Two commands started together in one clone must not both install or build.
      await withLock(path.join(cacheRoot(env), `${repositoryKey(repository)}.lock`), async () => {
        if (wanted.has('dependencies')) await installDependencies({ repository, env });
        if (wanted.has('native')) await prepareNative({ repository, env });
        if (wanted.has('build')) await buildTypeScript({ repository, env });
      });
    }
  } catch (error) {
    // A full disk, a folder without permission: the system's own message says it; anything else is a fault of this program.
    if (!(error instanceof SetupError) && typeof error.code !== 'string') throw error;
    say(error.message);
    process.stderr.write(`  fix: ${error.fix ?? 'see the message above, then run npm run setup again'}\n`);
    return 1;
  }
  say(`ready (${seconds(performance.now() - startedMs)})`);
  return 0;
}
