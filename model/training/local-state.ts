/**
 * What a site keeps of a run between tasks and through a crash: every network it trains, the optimisers' moments, and how
 * far a task has come. One safetensors file, replaced atomically; resuming from it goes on to the bit.
 */
import { access } from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs-core';
import { FedError } from '#proto/errors.ts';
import { assignFrom, tensorsOf } from '../checkpoint/network-file.ts';
import type { SafetensorsFile } from '../checkpoint/safetensors.ts';
import type { ParameterSet } from '../layers/parameters.ts';
import type { Adam } from '../optimiser/adam.ts';
import { openSnapshot, type Snapshot, takeSnapshot } from './state-file.ts';
import { requireIdentity, type StateIdentity } from './state-identity.ts';

export interface Progress {
  /** The task that these weights are a state of. */
  readonly taskId: string;
  /** Steps of the task that are done. */
  readonly step: number;
  /** Sums of the losses over these steps. */
  readonly lossSums: Readonly<Record<string, number>>;
}

type Optimisers = Readonly<Record<string, Adam>>;

const optimiserTensor = (optimiser: string, tensor: string): string => `optimiser/${optimiser}/${tensor}`;

/**
 * The state as it is now, to be written while training goes on.
 * @param identity what the weights belong to; `loadLocalState` with another one refuses them
 */
export function snapshotState(
  networks: readonly ParameterSet[],
  optimisers: Optimisers,
  progress: object,
  identity?: StateIdentity,
): Snapshot {
  const moments = Object.entries(optimisers).flatMap(([name, optimiser]) =>
    [...optimiser.state()].map(([tensor, value]) => [optimiserTensor(name, tensor), value] as const),
  );
  try {
    const metadata = { ...identity, progress: JSON.stringify(progress) };
    return takeSnapshot([...tensorsOf(networks), ...moments], metadata);
  } finally {
    tf.dispose(moments.map(([, value]) => value));
  }
}

/** @throws FedError DISK_FULL through toFedError */
export const saveLocalState = (
  path: string,
  networks: readonly ParameterSet[],
  optimisers: Optimisers,
  progress: object,
  identity?: StateIdentity,
): Promise<void> => snapshotState(networks, optimisers, progress, identity).write(path);

/**
 * Restores the networks and optimisers that the file knows (an earlier stage knew fewer, a first task none).
 * @returns how far which task had come, or null without a file
 * @throws FedError FILE_CORRUPT on a damaged or changed file, or one of another architecture; CONFIG_INVALID when it
 *   belongs to something else than `identity`
 */
export async function loadLocalState<P extends object = Progress>(
  path: string,
  networks: readonly ParameterSet[],
  optimisers: Optimisers,
  identity?: StateIdentity,
): Promise<P | null> {
  const there = await access(path).then(
    () => true,
    () => false,
  );
  if (!there) return null;
  const file = await openSnapshot(path);
  try {
    if (identity !== undefined) requireIdentity(file.metadata, identity, `the checkpoint ${path}`);
    for (const [name, variable] of tensorsOf(networks)) {
      if (file.entries.has(name)) await assignFrom(file, name, variable);
    }
    for (const [name, optimiser] of Object.entries(optimisers)) await restoreOptimiser(file, name, optimiser);
    return parseProgress<P>(file.metadata['progress'], path);
  } finally {
    await file.close();
  }
}

/**
 * How far the training of a file had come, without its weights.
 * @returns null without a file
 * @throws as loadLocalState
 */
export const loadProgress = <P extends object = Progress>(path: string, identity: StateIdentity): Promise<P | null> =>
  loadLocalState<P>(path, [], {}, identity);

async function restoreOptimiser(file: SafetensorsFile, name: string, optimiser: Adam): Promise<void> {
  const prefix = optimiserTensor(name, '');
  const state = new Map<string, tf.Tensor>();
  for (const { name: tensor, shape } of file.entries.values()) {
    if (!tensor.startsWith(prefix)) continue;
    const bytes = await file.read(tensor);
    const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    state.set(tensor.slice(prefix.length), tf.tensor(values, [...shape]));
  }
  try {
    if (state.size > 0) optimiser.restore(state);
  } finally {
    tf.dispose([...state.values()]);
  }
}

function parseProgress<P extends object>(json: string | undefined, path: string): P {
  try {
    return JSON.parse(json ?? '') as P;
  } catch (cause) {
    throw new FedError(
      'FILE_CORRUPT',
      `${path} does not say how far it had come`,
      'delete it to begin the round again',
      {
        cause,
      },
    );
  }
}
