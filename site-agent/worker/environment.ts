/** The worker's whole environment: nothing of the agent's is inherited, since it may hold secrets. */

export interface WorkerSettings {
  /** `auto`: what the agent's own environment asks for, or the best there is. */
  readonly backend: 'auto' | 'cuda' | 'native' | 'wasm' | 'cpu';
  /** 0: what the agent's own environment asks for, or as many as there are cores. */
  readonly threads: number;
}

/** Names that the numeric backend and the dynamic linker need; values come from the agent's own environment. */
const PASSED_ON = [
  'PATH',
  'LANG',
  'TZ',
  'HOME',
  'XDG_CACHE_HOME',
  'EMIXER_LIBTENSORFLOW',
  'EMIXER_BACKEND',
  'EMIXER_THREADS',
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
    ...(settings.backend === 'auto' ? {} : { EMIXER_BACKEND: settings.backend }),
    ...(settings.threads === 0 ? {} : { EMIXER_THREADS: String(settings.threads) }),
  };
}
