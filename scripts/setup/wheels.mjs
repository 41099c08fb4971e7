/** Wheels with pinned hashes, from PyPI (or the mirror that pip is configured for) or from an offline folder. */
import { access, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { sha256File } from './checksum.mjs';
import { SetupError } from './error.mjs';
import { findPip } from './python.mjs';
import { lastWords, run } from './run.mjs';

/** Platform tags under which the pinned wheels are published. */
const platforms = ['manylinux_2_27_x86_64', 'manylinux2014_x86_64', 'manylinux_2_17_x86_64', 'manylinux2010_x86_64'];

/**
 * Downloads one wheel. pip gets no cache: the unpacked library is the cache, and 275 MB need not lie on the disk twice.
 * @param {import('./pins.mjs').Wheel} wheel
 * @param {string} directory
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string>} path of the wheel, its hash checked
 */
export async function downloadWheel(wheel, directory, env) {
  const [command = '', ...leading] = await findPip(env);
  await mkdir(directory, { recursive: true });
  const requirements = path.join(directory, `${wheel.name}.txt`);
  await writeFile(requirements, `${wheel.name}==${wheel.version} --hash=sha256:${wheel.sha256}\n`);
  const fixed = ['--no-deps', '--only-binary=:all:', '--implementation', 'cp', '--python-version', '3.11'];
  const quiet = ['--quiet', '--disable-pip-version-check', '--no-cache-dir', '--retries', '2', '--timeout', '20'];
  const tags = platforms.flatMap(platform => ['--platform', platform]);
  const result = await run(
    command,
    [...leading, 'download', ...quiet, ...fixed, ...tags, '--require-hashes', '--dest', directory, '-r', requirements],
    { env },
  );
  if (result.code !== 0) {
    throw new SetupError(
      `downloading ${wheel.name} ${wheel.version} with pip failed: ${lastWords(result)}`,
      "check the network, or pip's index and proxy settings; without network see docs/offline-install.md",
    );
  }
  return checkedWheel(wheel, directory);
}

/**
 * A wheel that already lies in a folder.
 * @param {import('./pins.mjs').Wheel} wheel
 * @param {string} directory
 * @returns {Promise<string>}
 * @throws {SetupError} where it is missing or is not the pinned file
 */
export async function checkedWheel(wheel, directory) {
  const file = path.join(directory, wheel.file);
  const there = await access(file).then(
    () => true,
    () => false,
  );
  if (!there) {
    throw new SetupError(`${file} is missing`, 'fill the folder again: node scripts/setup.mjs --fetch DIR');
  }
  const found = await sha256File(file);
  if (found !== wheel.sha256) {
    throw new SetupError(`${file} has SHA-256 ${found} instead of ${wheel.sha256}`, 'delete it and fetch it again');
  }
  return file;
}
