/** One coordinator a folder: a lock that ends with the process, however it ends. */
import LibsqlDatabase from 'libsql';
import { FedError } from '#proto/errors.ts';

/**
 * Holds SQLite's exclusive lock on a file of its own, which the system releases when the process dies.
 * @returns how to release it
 * @throws FedError CONFIG_INVALID when another process holds it
 */
export function lockFolder(path: string): () => void {
  const database = new LibsqlDatabase(path);
  try {
    database.exec('begin exclusive');
  } catch (cause) {
    database.close();
    throw new FedError(
      'CONFIG_INVALID',
      `expected to be the only coordinator of this folder; another process holds ${path}`,
      'stop it first, or use another folder',
      { cause },
    );
  }
  return () => database.close();
}
