/** Python's two uses here: pip as the downloader of wheels, and node-gyp's need for python3. */
import { SetupError } from './error.mjs';
import { firstThatRuns } from './run.mjs';

/** @param {NodeJS.ProcessEnv} env @returns {Promise<string>} the command */
export async function findPython(env) {
  const found = await firstThatRuns([['python3'], ['python']], env);
  if (found === null) throw new SetupError('no python3 was found', 'install Python 3 (Debian: apt install python3)');
  return found[0] ?? 'python3';
}

/** @param {NodeJS.ProcessEnv} env @returns {Promise<readonly string[]>} the command and its leading arguments */
export async function findPip(env) {
  const found = await firstThatRuns([['python3', '-m', 'pip'], ['pip3'], ['pip']], env);
  if (found === null) {
    throw new SetupError('no pip was found', 'install pip (Debian: apt install python3-pip), or set EMIXER_OFFLINE');
  }
  return found;
}
