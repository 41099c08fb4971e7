/** Files that a collection's tables name: only those that truly lie in its folder. */
import { realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, sep } from 'node:path';
import { FedError } from '#proto/errors.ts';

export type Located = { readonly ok: true; readonly path: string } | { readonly ok: false; readonly reason: string };

/**
 * A function that finds files by their path relative to `folder`, refusing what leads out of it: absolute paths, "..",
 * symbolic links that end elsewhere. The folder itself may be a link.
 * @throws FedError DATA_INVALID when `folder` is not a folder
 */
export async function filesIn(folder: string): Promise<(relative: string) => Promise<Located>> {
  const root = await realpath(folder).catch(() => undefined);
  const isFolder = root !== undefined && (await stat(root)).isDirectory();
  if (!isFolder) {
    throw new FedError(
      'DATA_INVALID',
      `expected a folder at ${folder}, found none`,
      'check the path after --data KIND=',
    );
  }
  const inside = root.endsWith(sep) ? root : `${root}${sep}`;
  return async relative => {
    if (leadsOut(relative)) return { ok: false, reason: 'its path leads out of the folder' };
    const path = join(folder, relative);
    try {
      const real = await realpath(path);
      if (!real.startsWith(inside)) return { ok: false, reason: 'a symbolic link out of the folder' };
      return (await stat(real)).isFile() ? { ok: true, path } : { ok: false, reason: 'not a file' };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return { ok: false, reason: code === 'ENOENT' ? 'listed, but absent' : `not readable (${code ?? 'unknown'})` };
    }
  };
}

const leadsOut = (relative: string): boolean =>
  relative.includes('\0') || isAbsolute(relative) || relative.split(/[\\/]/).includes('..');
