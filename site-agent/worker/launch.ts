/** How this site's training worker is started: which module, what it may read and write, what it is told. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { backendReadPaths, repositoryRoot } from '#model/backend/read-paths.ts';
import { FedError } from '#proto/errors.ts';
import { type WorkerSettings, workerEnvironment } from './environment.ts';
import type { WorkerLaunch } from './process.ts';

export interface WorkerModule {
  /** Absolute path. */
  readonly entry: string;
  readonly nodeFlags?: readonly string[];
}

/** The built worker, whether the agent itself runs from the build or from its sources. */
export const builtWorker = (): WorkerModule => ({ entry: join(repositoryRoot(), 'dist/site-agent/worker/main.js') });

/**
 * @param data the folder above the prepared set
 * @param run the run's folder, readable; `writable` below it
 * @throws FedError CONFIG_INVALID when the worker was not built
 */
export function workerLaunch(options: {
  readonly module: WorkerModule;
  readonly settings: WorkerSettings;
  readonly parentEnvironment: Readonly<Record<string, string | undefined>>;
  readonly data: string;
  readonly run: string;
  readonly writable: string;
}): WorkerLaunch {
  const { module, settings, parentEnvironment } = options;
  if (!existsSync(module.entry)) {
    throw new FedError(
      'CONFIG_INVALID',
      `expected the training worker at ${module.entry}; it is not there`,
      'npm run build',
    );
  }
  // Compiled steps pass through a folder on their way to TensorFlow: the worker may write below `writable` alone.
  const environment = { ...workerEnvironment(settings, parentEnvironment), TMPDIR: options.writable };
  const backend = backendReadPaths(backendOptionsFromEnvironment(environment));
  return {
    ...module,
    environment,
    paths: { read: [module.entry, ...backend, options.data, options.run], write: [options.writable] },
  };
}
