/** The worker's whole environment: nothing of the agent's is inherited, since it may hold secrets. */

export interface WorkerSettings {
  readonly backend: 'auto' | 'native' | 'wasm' | 'cpu';
  /** 0: as many as there are cores. */
  readonly threads: number;
  readonly checkpointEverySteps: number;
}

/** Names that the numeric backend and the dynamic linker need to find their files; values come from the agent's own. */
const PASSED_ON = [
  'PATH',
  'LANG',
  'TZ',
  'HOME',
  'XDG_CACHE_HOME',
  'EMIXER_LIBTENSORFLOW',
  'CUDA_VISIBLE_DEVICES',
] as const;

/** @param parent the agent's environment, as its main read it */
export function workerEnvironment(
  settings: WorkerSettings,
  parent: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const passed = PASSED_ON.flatMap(name => {
    const value = parent[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(passed),
    EMIXER_BACKEND: settings.backend,
    EMIXER_CHECKPOINT_STEPS: String(settings.checkpointEverySteps),
    ...(settings.threads === 0 ? {} : { EMIXER_THREADS: String(settings.threads) }),
  };
}
