/** The backend for the report: what is demanded, or, where that cannot run, what would run instead. */
import type { Backend } from '#model/backend/backend.ts';
import { loadBackend } from '#model/backend/load-backend.ts';
import { type BackendOptions, backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { FedError } from '#proto/errors.ts';

export interface Loaded {
  readonly options: BackendOptions;
  readonly backend: Backend;
  /** Why the demanded backend is not the one in `backend`. */
  readonly refusal: string | null;
}

export async function loadForDoctor(env: Readonly<Record<string, string | undefined>>): Promise<Loaded> {
  const options = backendOptionsFromEnvironment(env);
  try {
    return { options, backend: await loadBackend(options), refusal: null };
  } catch (error) {
    if (!(error instanceof FedError) || error.code !== 'BACKEND_UNAVAILABLE') throw error;
    const { demand: _, ...rest } = options;
    return { options, backend: await loadBackend(rest), refusal: error.message };
  }
}
