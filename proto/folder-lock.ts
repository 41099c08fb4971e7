/** One service a folder: a lock that ends with the process, however it ends. */
import LibsqlDatabase from 'libsql';
import { FedError } from './errors.ts';

/**
 * Holds SQLite's exclusive lock on a file of its own, which the system releases when the process dies. A file that names
 * a process would not do: after a restart of the machine, or in another container, the same number is somebody else.
 * @param service what there may be one of, e.g. "coordinator"
 * @returns how to release it
 * @throws FedError CONFIG_INVALID when another process holds it
 */
export function lockFolder(path: string, service: string): () => void {
  const database = new LibsqlDatabase(path);
  try {
    database.exec('begin exclusive');
  } catch (cause) {
    database.close();
    throw new FedError(
      'CONFIG_INVALID',
      `expected to be the only ${service} of this folder; another process holds the lock ${path}`,
      'stop it first, or use another folder',
      { cause },
    );
  }
  return () => database.close();
}
