/** What a process must be allowed to read to load this backend: for `--allow-fs-read` of the training worker. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { nativeDirectories } from './native-cache.ts';
import type { BackendOptions } from './options.ts';

/** The folder that holds package.json: two above model/backend in the sources, three above dist/model/backend. */
export function repositoryRoot(from: string = fileURLToPath(import.meta.url)): string {
  let folder = path.dirname(from);
  while (!existsSync(path.join(folder, 'package.json')) && folder !== path.dirname(folder))
    folder = path.dirname(folder);
  return folder;
}

/**
 * Absolute paths, folders with everything below them. The product's own code (dist/), its dependencies, package.json (it
 * resolves the `#model/...` imports) and the prepared native backends; nothing of a site's state is below any of them.
 */
export function backendReadPaths(options: BackendOptions = {}): string[] {
  const root = repositoryRoot();
  const own = ['dist', 'node_modules', 'package.json'].map(name => path.join(root, name));
  const cached = nativeDirectories(options).flatMap(folder => [folder, `${folder}.failed.json`]);
  return [...own, ...cached, ...(options.libraryDir === undefined ? [] : [path.resolve(options.libraryDir)])];
}
