/**
 * What a site keeps of a run between tasks and through a crash: every network it trains, the optimisers' moments, and how
 * far a task has come. One safetensors file, replaced atomically; resuming from it goes on to the bit.
 */
import { access } from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs-core';
import { FedError } from '#proto/errors.ts';
import { assignFrom, saveTensors, tensorsOf } from '../checkpoint/network-file.ts';
import { openSafetensors, type SafetensorsFile } from '../checkpoint/safetensors.ts';
import type { ParameterSet } from '../layers/parameters.ts';
import type { Adam } from '../optimiser/adam.ts';

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

export async function saveLocalState(
  path: string,
  networks: readonly ParameterSet[],
  optimisers: Optimisers,
  progress: Progress,
): Promise<void> {
  const moments = Object.entries(optimisers).flatMap(([name, optimiser]) =>
    [...optimiser.state()].map(([tensor, value]) => [optimiserTensor(name, tensor), value] as const),
  );
  try {
    await saveTensors(path, [...tensorsOf(networks), ...moments], { progress: JSON.stringify(progress) });
  } finally {
    tf.dispose(moments.map(([, value]) => value));
  }
}

/**
 * Restores the networks and optimisers that the file knows (an earlier stage knew fewer, a first task none).
 * @returns how far which task had come, or null without a file
 * @throws FedError FILE_CORRUPT on a damaged file or one of another architecture
 */
export async function loadLocalState(
  path: string,
  networks: readonly ParameterSet[],
  optimisers: Optimisers,
): Promise<Progress | null> {
  const there = await access(path).then(
    () => true,
    () => false,
  );
  if (!there) return null;
  const file = await openSafetensors(path);
  try {
    for (const [name, variable] of tensorsOf(networks)) {
      if (file.entries.has(name)) await assignFrom(file, name, variable);
    }
    for (const [name, optimiser] of Object.entries(optimisers)) await restoreOptimiser(file, name, optimiser);
    return parseProgress(file.metadata['progress'], path);
  } finally {
    await file.close();
  }
}

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

function parseProgress(json: string | undefined, path: string): Progress {
  try {
    return JSON.parse(json ?? '') as Progress;
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
