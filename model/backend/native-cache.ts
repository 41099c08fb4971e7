/** What the set-up (scripts/setup.mjs) has prepared for this Node: where it lies, and why it is not there. */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { type BackendOptions, cacheRootOf } from './options.ts';

/** The TensorFlow that scripts/setup/pins.mjs pins. */
export const tensorflowVersion = '2.21.0';

export interface PreparedBackend {
  readonly directory: string;
  readonly cuda: boolean;
  /** Absolute path of libtensorflow_framework. */
  readonly frameworkLibrary: string;
  readonly bindingFile: string;
  readonly quietLoadFile: string;
}

/** Folders in which a native backend may lie, the preferred one first. */
export function nativeDirectories(options: BackendOptions): readonly string[] {
  const root = options.cacheRoot ?? cacheRootOf({});
  const suffix = `${process.versions.modules}-${process.arch}`;
  if (options.libraryDir !== undefined) {
    const key = createHash('sha256').update(path.resolve(options.libraryDir)).digest('hex').slice(0, 12);
    return [path.join(root, `own-${key}-${suffix}`)];
  }
  const cpu = path.join(root, `${tensorflowVersion}-${suffix}`);
  const cuda = `${cpu}-cuda`;
  // The CUDA build computes on the CPU as well, so it serves `native` where it is the only one there.
  return options.demand === 'native' ? [cpu, cuda] : [cuda, cpu];
}

export type Prepared =
  | { readonly ok: true; readonly backend: PreparedBackend }
  | { readonly ok: false; readonly reason: string };

/**
 * Looks at one such folder. Sizes are compared with the checksum file here, because a truncated library ends the process
 * when it is loaded; the set-up and `emixer doctor` compare hashes.
 */
export function preparedBackend(directory: string): Prepared {
  const manifest = readManifest(directory);
  if (manifest === null)
    return { ok: false, reason: failureReason(directory) ?? 'it has not been set up (npm run setup)' };
  for (const [name, bytes] of Object.entries(manifest.bytes)) {
    const found = statSync(path.join(directory, name), { throwIfNoEntry: false })?.size;
    if (found !== bytes) {
      return { ok: false, reason: `${path.join(directory, name)} is damaged (npm run setup makes it again)` };
    }
  }
  return {
    ok: true,
    backend: {
      directory,
      cuda: manifest.cuda,
      frameworkLibrary: path.resolve(directory, manifest.frameworkLibrary),
      bindingFile: path.join(directory, 'tfjs_binding.node'),
      quietLoadFile: path.join(directory, 'quiet_load.node'),
    },
  };
}

interface Manifest {
  readonly cuda: boolean;
  readonly frameworkLibrary: string;
  /** Size of each file by its name. */
  readonly bytes: Readonly<Record<string, number>>;
}

function readManifest(directory: string): Manifest | null {
  const parsed = readJson(path.join(directory, 'manifest.json'));
  if (parsed === null) return null;
  const { cuda, frameworkLibrary, files } = parsed;
  if (typeof cuda !== 'boolean' || typeof frameworkLibrary !== 'string' || !isRecord(files)) return null;
  const bytes: Record<string, number> = {};
  for (const [name, entry] of Object.entries(files)) {
    const size = isRecord(entry) ? entry['bytes'] : undefined;
    if (typeof size !== 'number') return null;
    bytes[name] = size;
  }
  return { cuda, frameworkLibrary, bytes };
}

/** Why the last set-up could not prepare this folder, or null. */
function failureReason(directory: string): string | null {
  const reason = readJson(`${directory}.failed.json`)?.['reason'];
  return typeof reason === 'string' ? reason : null;
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

function readJson(file: string): Record<string, unknown> | null {
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return isRecord(parsed) ? parsed : null;
  } catch {
    // Missing, unreadable under the permission model, or cut off by a full disk: in each case there is nothing to load.
    return null;
  }
}
