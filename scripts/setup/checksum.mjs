/** The checksum file of a prepared backend: what lies there, so that a truncated or changed library is never loaded. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

const manifestName = 'manifest.json';

/** @param {string} file */
export async function sha256File(file) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest('hex');
}

/** @param {string} directory @returns {Promise<string[]>} relative paths, sorted */
export async function filesUnder(directory) {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter(entry => entry.isFile())
    .map(entry => path.relative(directory, path.join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

/**
 * Writes the checksums of everything in a folder.
 * @param {string} directory
 * @param {Record<string, unknown>} facts kept beside them (version, variant, hash of the build's inputs)
 */
export async function writeManifest(directory, facts) {
  /** @type {Record<string, { bytes: number, mtimeMs: number, sha256: string }>} */
  const files = {};
  for (const name of await filesUnder(directory)) {
    const file = path.join(directory, name);
    const { size, mtimeMs } = await stat(file);
    files[name] = { bytes: size, mtimeMs, sha256: await sha256File(file) };
  }
  await writeFile(path.join(directory, manifestName), `${JSON.stringify({ ...facts, files }, null, 1)}\n`);
}

/**
 * What is wrong with a prepared backend, or null. A file whose size and time are as recorded is not hashed again: 850 MB
 * before every command would be seconds; `emixer doctor` hashes all.
 * @param {string} directory
 * @param {{ inputs: string, everyByte?: boolean }} expected hash of what the build would use now
 * @returns {Promise<string | null>}
 */
export async function manifestProblem(directory, expected) {
  let manifest;
  try {
    manifest = JSON.parse(await readFile(path.join(directory, manifestName), 'utf8'));
  } catch (error) {
    return error.code === 'ENOENT' ? 'it is not there yet' : 'its manifest is unreadable';
  }
  if (manifest.inputs !== expected.inputs) return 'it was made from other sources';
  if (typeof manifest.files !== 'object' || manifest.files === null) return 'its manifest is unreadable';
  for (const [name, recorded] of Object.entries(manifest.files)) {
    const file = path.join(directory, name);
    const found = await stat(file).catch(() => null);
    if (found === null) return `${name} is missing`;
    if (found.size !== recorded.bytes) return `${name} has ${found.size} bytes instead of ${recorded.bytes}`;
    const untouched = found.mtimeMs === recorded.mtimeMs && expected.everyByte !== true;
    if (!untouched && (await sha256File(file)) !== recorded.sha256)
      return `the checksum of ${name} is not the recorded one`;
  }
  return null;
}
