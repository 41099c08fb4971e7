/** The N-API binding between Node and libtensorflow, compiled by the node-gyp that npm carries. */
import { cp, mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SetupError } from './error.mjs';
import { npmCli } from './npm.mjs';
import { firstThatRuns, lastWords, run } from './run.mjs';

const bindingName = 'tfjs_binding';

/** Our own addition: a second, tiny addon. */
const quietLoadName = 'quiet_load';
export const quietLoadSource = fileURLToPath(new URL('./quiet-load.cc', import.meta.url));

/**
 * The package's own binding.gyp expects the library inside node_modules; this one takes it from wherever it lies.
 * @param {{ includeDir: string, libraryFiles: readonly string[], rpath: string }} library
 */
function gypFile({ includeDir, libraryFiles, rpath }) {
  const target = {
    target_name: bindingName,
    sources: ['binding/tfjs_backend.cc', 'binding/tfjs_binding.cc'],
    include_dirs: [includeDir],
    defines: ['NAPI_VERSION=8'],
    // gyp writes make rules: $$ is a dollar for make, the quotes keep the shell from expanding $ORIGIN.
    libraries: [...libraryFiles, `'-Wl,-rpath,${rpath.replace('$', '$$$$')}'`],
  };
  const quiet = { target_name: quietLoadName, sources: [path.basename(quietLoadSource)], defines: ['NAPI_VERSION=8'] };
  return `${JSON.stringify({ targets: [target, quiet] }, null, 1)}\n`;
}

/** The folder with include/node/node_api.h of the Node that runs this, so that no headers are downloaded. */
async function headerPrefix() {
  const prefixes = [path.dirname(path.dirname(process.execPath)), process.config.variables.node_prefix];
  for (const prefix of prefixes) {
    if (typeof prefix !== 'string') continue;
    if (await stat(path.join(prefix, 'include/node/node_api.h')).catch(() => null)) return prefix;
  }
  return null;
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @throws {SetupError} where g++ or make is missing
 */
export async function requireCompiler(env) {
  for (const tool of [env.CXX || 'g++', 'make']) {
    if ((await firstThatRuns([[tool]], env)) === null) {
      throw new SetupError(`no ${tool} was found`, 'install a C++ compiler and make (Debian: apt install g++ make)');
    }
  }
}

/**
 * @param {{ packageDir: string, buildDir: string, targetDir: string, python: string, offline: boolean, env: NodeJS.ProcessEnv,
 *   library: { includeDir: string, libraryFiles: readonly string[], rpath: string } }} job
 */
export async function buildBinding({ packageDir, buildDir, targetDir, python, offline, env, library }) {
  await mkdir(buildDir, { recursive: true });
  await cp(path.join(packageDir, 'binding'), path.join(buildDir, 'binding'), { recursive: true });
  await cp(quietLoadSource, path.join(buildDir, path.basename(quietLoadSource)));
  await writeFile(path.join(buildDir, 'binding.gyp'), gypFile(library));
  await writeFile(path.join(buildDir, 'package.json'), '{"name":"emixer-binding","version":"0.0.0"}\n');
  const prefix = await headerPrefix();
  if (prefix === null && offline) {
    throw new SetupError(
      'the headers of this Node are not installed',
      'install them (Debian: apt install libnode-dev)',
    );
  }
  let nodeGyp;
  try {
    nodeGyp = createRequire(await npmCli(env)).resolve('node-gyp/bin/node-gyp.js');
  } catch {
    throw new SetupError(
      'npm does not carry node-gyp here',
      'install the npm that comes with Node, or node-gyp beside it',
    );
  }
  const args = ['rebuild', '--jobs', 'max', '--python', python, ...(prefix === null ? [] : [`--nodedir=${prefix}`])];
  const result = await run(process.execPath, [nodeGyp, ...args], { cwd: buildDir, env });
  if (result.code !== 0) {
    throw new SetupError(
      `compiling the binding failed: ${lastWords(result)}`,
      'install a current g++ and make, then try again',
    );
  }
  for (const name of [bindingName, quietLoadName]) {
    await rename(path.join(buildDir, 'build/Release', `${name}.node`), path.join(targetDir, `${name}.node`));
  }
}
