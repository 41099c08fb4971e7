/** The site's data key: what turns patients' ids into hashes that only this site can make again. */
import { createHmac, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { FedError } from '#proto/errors.ts';
import { writePrivateFile } from '../state.ts';

const KEY_BYTES = 32;

/**
 * The key in `file`, made on first use (mode 0600). It must lie where the training worker cannot read it: with it,
 * a short list of ids could be tried against the hashes.
 * @throws FedError FILE_CORRUPT when the file does not hold a key
 */
export async function loadOrCreateDataKey(file: string): Promise<Buffer> {
  try {
    const key = await readFile(file);
    if (key.length === KEY_BYTES) return key;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const key = randomBytes(KEY_BYTES);
    await writePrivateFile(file, key);
    return key;
  }
  throw new FedError(
    'FILE_CORRUPT',
    `expected a data key of ${KEY_BYTES} bytes in ${file}`,
    'restore it from a backup, or delete it and prepare the data again',
  );
}

/** HMAC-SHA-256 of an id within a namespace ('patient', 'study', 'split'), 128 bits as hex. */
export const keyedHash = (key: Uint8Array, space: string, id: string): string =>
  createHmac('sha256', key)
    .update(JSON.stringify([space, id]))
    .digest('hex')
    .slice(0, 32);
