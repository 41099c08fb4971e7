/** libtensorflow for the binding to link with: from the pinned wheels, or one that the hospital already has. */
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SetupError } from './error.mjs';
import { step } from './log.mjs';
import { cpuWheel, cudaWheels } from './pins.mjs';
import { lastWords, run } from './run.mjs';
import { checkedWheel, downloadWheel } from './wheels.mjs';

const unpackScript = fileURLToPath(new URL('./unpack.py', import.meta.url));

/** @typedef {{ includeDir: string, libraryFiles: string[], rpath: string }} Library */

/**
 * Fetches the wheels, unpacks what is needed and deletes them.
 * @param {{ directory: string, work: string, cuda: boolean, python: string, env: NodeJS.ProcessEnv }} job
 * @returns {Promise<Library>}
 */
export async function downloadedLibrary({ directory, work, cuda, python, env }) {
  const wheels = cuda ? cudaWheels : [cpuWheel];
  const downloads = path.join(work, 'wheels');
  await mkdir(downloads, { recursive: true });
  const includeDir = path.join(work, 'include');
  const offline = env.EMIXER_OFFLINE || undefined;
  // One wheel after the other, so that the disk never holds all 3 GB of CUDA twice.
  for (const wheel of wheels) {
    const file =
      offline === undefined
        ? await step(`download ${wheel.name} ${wheel.version} with pip`, () => downloadWheel(wheel, downloads, env))
        : await step(`check ${wheel.name} ${wheel.version}`, () =>
            checkedWheel(wheel, path.resolve(offline, 'wheels')),
          );
    await step(`unpack the libraries of ${wheel.name}`, async () => {
      const result = await run(python, ['-I', unpackScript, directory, includeDir, file], { env });
      if (result.code !== 0) {
        throw new SetupError(
          `unpacking ${wheel.file} failed: ${lastWords(result)}`,
          'check the free space in the cache folder',
        );
      }
    });
    if (offline === undefined) await rm(file, { force: true });
  }
  const files = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];
  return {
    includeDir,
    libraryFiles: files.map(name => path.join(directory, 'tensorflow', name)),
    rpath: '$ORIGIN/tensorflow',
  };
}

/**
 * A TensorFlow C library as TensorFlow distributes it (lib/, include/) or as a wheel lays it out (tensorflow/).
 * @param {string} libraryDir
 * @returns {Promise<Library>}
 */
export async function ownLibrary(libraryDir) {
  const layouts = [
    { lib: 'lib', include: 'include' },
    { lib: '.', include: 'include' },
    { lib: 'tensorflow', include: 'tensorflow/include' },
  ];
  for (const layout of layouts) {
    const folder = path.join(libraryDir, layout.lib);
    const includeDir = path.join(libraryDir, layout.include);
    const names = await readdir(folder).catch(() => []);
    const pick = pattern => names.filter(name => pattern.test(name)).sort((a, b) => a.length - b.length)[0];
    const main = pick(/^libtensorflow(_cc)?\.so(\.\d+)*$/);
    const framework = pick(/^libtensorflow_framework\.so(\.\d+)*$/);
    if (main === undefined || framework === undefined) continue;
    if (!(await stat(path.join(includeDir, 'tensorflow/c/c_api.h')).catch(() => null))) continue;
    return { includeDir, libraryFiles: [main, framework].map(name => path.join(folder, name)), rpath: folder };
  }
  throw new SetupError(
    `EMIXER_LIBTENSORFLOW=${libraryDir} holds no libtensorflow with its headers`,
    'it needs lib/libtensorflow.so.2, lib/libtensorflow_framework.so.2 and include/tensorflow/c/c_api.h',
  );
}
