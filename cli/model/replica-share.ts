/** What each replica gets of the machine: a GPU, or its share of the cores. */
import { availableParallelism } from 'node:os';
import { type BackendOptions, NO_GPU } from '#model/backend/options.ts';

export interface Share {
  readonly gpu: string;
  readonly threads: number;
}

/**
 * GPU number `rank` of those that CUDA_VISIBLE_DEVICES names, or of all; none for a replica for which there is no GPU left.
 * @param options of the whole training
 */
export function shareOf(
  rank: number,
  replicas: number,
  options: BackendOptions,
  env: Readonly<Record<string, string | undefined>>,
): Share {
  const named = env['CUDA_VISIBLE_DEVICES'];
  const gpu = named === undefined ? String(rank) : (named.split(',')[rank]?.trim() ?? NO_GPU);
  const threads = options.threads ?? availableParallelism();
  return { gpu, threads: Math.max(1, Math.floor(threads / replicas)) };
}
