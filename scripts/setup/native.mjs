/** The native TensorFlow backend: prepared once into the cache, checked before every use, never fatal when it fails. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { buildBinding, quietLoadSource, requireCompiler } from './binding.mjs';
import { nativeDirectory } from './cache.mjs';
import { filesUnder, manifestProblem, writeManifest } from './checksum.mjs';
import { SetupError } from './error.mjs';
import { clearFailure, recordFailure } from './failure.mjs';
import { hasNvidiaGpu } from './gpu.mjs';
import { downloadedLibrary, ownLibrary } from './library.mjs';
import { withLock } from './lock.mjs';
import { say, step } from './log.mjs';
import { tensorflowVersion } from './pins.mjs';
import { findPython } from './python.mjs';

/**
 * Prepares CUDA where there is a GPU, else (or where that fails) the CPU build.
 * @param {{ repository: string, env: NodeJS.ProcessEnv }} context
 * @returns {Promise<void>} also where nothing could be prepared: the reason is said and kept for `emixer doctor`
 */
export async function prepareNative({ repository, env }) {
  if (env.EMIXER_BACKEND === 'wasm' || env.EMIXER_BACKEND === 'cpu') {
    say(`native TensorFlow left out: EMIXER_BACKEND=${env.EMIXER_BACKEND}`);
    return;
  }
  const variants = await wantedVariants(env);
  for (const variant of variants) {
    const directory = nativeDirectory(env, variant);
    try {
      await prepareVariant({ repository, env, variant, directory });
      await clearFailure(directory);
      return;
    } catch (error) {
      const fix = error instanceof SetupError ? error.fix : 'see the message above; try again with npm run setup';
      const next = variants.at(-1) === variant ? 'the slow wasm fallback will run' : 'the CPU build is tried next';
      say(`native TensorFlow${variant.cuda ? ' with CUDA' : ''} is not available: ${error.message}; ${next}`);
      process.stderr.write(`  fix: ${fix}\n`);
      await recordFailure(directory, error.message, fix);
    }
  }
}

/** @returns {Promise<{ cuda: boolean, libraryDir?: string }[]>} the preferred one first */
async function wantedVariants(env) {
  if (env.EMIXER_LIBTENSORFLOW) return [{ cuda: false, libraryDir: env.EMIXER_LIBTENSORFLOW }];
  if (env.EMIXER_BACKEND === 'native') return [{ cuda: false }];
  if (await hasNvidiaGpu(env)) return [{ cuda: true }, { cuda: false }];
  await recordFailure(nativeDirectory(env, { cuda: true }), 'no NVIDIA driver answers on this machine', '');
  return [{ cuda: false }];
}

/**
 * Everything a prepared backend was made from: another TensorFlow or another binding makes another hash.
 * @param {string} packageDir
 */
export async function buildInputs(packageDir) {
  const hash = createHash('sha256').update(`${tensorflowVersion}\n${process.versions.modules}\n`);
  const sources = path.join(packageDir, 'binding');
  const names = (await filesUnder(sources)).map(name => path.join(sources, name));
  for (const file of [...names, quietLoadSource]) hash.update(`${path.basename(file)} `).update(await readFile(file));
  return hash.digest('hex');
}

async function prepareVariant({ repository, env, variant, directory }) {
  const packageDir = path.join(repository, 'node_modules/@tensorflow/tfjs-node-gpu');
  const inputs = await buildInputs(packageDir);
  if ((await manifestProblem(directory, { inputs })) === null) return;
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    if (variant.libraryDir === undefined) {
      throw new SetupError(
        `no TensorFlow library is pinned for ${process.platform}-${process.arch}`,
        'set EMIXER_LIBTENSORFLOW to a folder with the TensorFlow C library',
      );
    }
  }
  await requireCompiler(env);
  const python = await findPython(env);
  await withLock(`${directory}.lock`, async () => {
    const problem = await manifestProblem(directory, { inputs });
    if (problem === null) return;
    if (problem !== 'it is not there yet') say(`the native backend in ${directory} is made again: ${problem}`);
    await removeLeftovers(directory);
    const staging = `${directory}.building-${process.pid}`;
    try {
      await assemble({ packageDir, env, variant, directory: staging, inputs, python });
      await replaceFolder(directory, staging);
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  });
}

/** Puts the new folder in the old one's place; a process that has loaded the old library keeps it. */
async function replaceFolder(directory, replacement) {
  const aside = `${replacement}.old`;
  await rename(directory, aside).catch(error => {
    if (error.code !== 'ENOENT') throw error;
  });
  await rename(replacement, directory);
  await rm(aside, { recursive: true, force: true });
}

/** Staging folders of builds that were killed; called only while holding the lock, so none of them is in use. */
async function removeLeftovers(directory) {
  const prefix = `${path.basename(directory)}.building-`;
  for (const name of await readdir(path.dirname(directory))) {
    if (name.startsWith(prefix)) await rm(path.join(path.dirname(directory), name), { recursive: true, force: true });
  }
}

async function assemble({ packageDir, env, variant, directory, inputs, python }) {
  await mkdir(directory, { recursive: true });
  const work = path.join(directory, 'work');
  const library =
    variant.libraryDir === undefined
      ? await downloadedLibrary({ directory, work, cuda: variant.cuda, python, env })
      : await ownLibrary(path.resolve(variant.libraryDir));
  await step('compile the binding between Node and TensorFlow', () =>
    buildBinding({
      packageDir,
      buildDir: path.join(work, 'binding'),
      targetDir: directory,
      python,
      offline: Boolean(env.EMIXER_OFFLINE),
      env,
      library,
    }),
  );
  await rm(work, { recursive: true, force: true });
  const framework = library.libraryFiles[1] ?? '';
  const facts = {
    tensorflow: tensorflowVersion,
    cuda: variant.cuda,
    // Relative for what lies in this folder, which is renamed when it is complete.
    frameworkLibrary: variant.libraryDir === undefined ? path.relative(directory, framework) : framework,
    inputs,
  };
  await step('write the checksums', () => writeManifest(directory, facts));
}
