/** Node's permission model for the training worker: which paths it may read and write, whatever its code tries. */
import { realpathSync } from 'node:fs';
import { resolve, sep } from 'node:path';

export interface WorkerPaths {
  /** Files and existing folders; a folder stands for all that is below it. */
  readonly read: readonly string[];
  /** Existing folders; readable too. */
  readonly write: readonly string[];
}

/**
 * The flags that start Node without access to anything else: no other file, no child process, no worker thread.
 * Addons are allowed, since TensorFlow is one: native code could get around the model, JavaScript cannot.
 * The flag lost its "experimental" in Node 23.5.
 */
export function permissionFlags({ read, write }: WorkerPaths, nodeVersion = process.versions.node): string[] {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  const stable = major > 23 || (major === 23 && minor >= 5);
  return [
    stable ? '--permission' : '--experimental-permission',
    '--allow-addons',
    ...outermost([...read, ...write]).map(path => `--allow-fs-read=${path}`),
    ...outermost(write).map(path => `--allow-fs-write=${path}`),
    // The warning that the model is experimental is known to whoever reads the lines above.
    '--disable-warning=ExperimentalWarning',
    '--disable-warning=SecurityWarning',
  ];
}

/** Each path once and none below another: Node 20 aborts on a path that is listed twice. */
function outermost(paths: readonly string[]): string[] {
  const all = [...new Set(paths.flatMap(spellings))];
  return all.filter(path => !all.some(other => other !== path && path.startsWith(other + sep)));
}

/** The model compares spellings: a folder that is reached through a link is opened under either name. */
function spellings(path: string): string[] {
  const absolute = resolve(path);
  try {
    return [absolute, realpathSync(absolute)];
  } catch {
    return [absolute];
  }
}
