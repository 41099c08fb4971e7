/** npm's own command-line file, to run it with the Node that runs this. */
import { access, realpath } from 'node:fs/promises';
import path from 'node:path';
import { SetupError } from './error.mjs';

/** @param {NodeJS.ProcessEnv} env @returns {Promise<string>} path of npm-cli.js */
export async function npmCli(env) {
  const besideNode = path.join(path.dirname(process.execPath), 'npm');
  const onPath = (env.PATH ?? '').split(path.delimiter).map(folder => path.join(folder, 'npm'));
  const shipped = path.join(path.dirname(process.execPath), '../lib/node_modules/npm/bin/npm-cli.js');
  for (const candidate of [env.npm_execpath, besideNode, shipped, ...onPath]) {
    if (candidate === undefined) continue;
    const file = await realpath(candidate).catch(() => null);
    // Another package manager also sets npm_execpath, and a version manager's `npm` may be a shell script.
    if (file === null || path.basename(file) !== 'npm-cli.js') continue;
    if (
      await access(file).then(
        () => true,
        () => false,
      )
    )
      return file;
  }
  throw new SetupError('npm was not found beside Node or on the PATH', 'install npm, which comes with Node');
}
