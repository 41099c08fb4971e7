/**
 * Data parallelism: the micro-batches of every update are shared out over replicas, processes with the same weights, each
 * of which adds up the gradients of its own. They exchange these sums, not weights: with the same sums all take the
 * same step, and so keep the same weights. The number of replicas changes no bit of what is learnt (gradient-sum.ts).
 */
import { createHash } from 'node:crypto';
import * as tf from '@tensorflow/tfjs-core';
import { FedError } from '#proto/errors.ts';
import { bytesOf, tensorsOf } from '../checkpoint/network-file.ts';
import type { ModelConfig } from '../config.ts';
import type { ParameterSet } from '../layers/parameters.ts';
import { type GradientSum, summed } from './gradient-sum.ts';

/** Tells every replica's bytes to every other. */
export interface AllGather {
  readonly rank: number;
  readonly replicas: number;
  /** In order of rank; all give as many bytes under the same tag. @throws FedError */
  gathered(own: Uint8Array, tag: string): Promise<readonly Uint8Array[]>;
}

export class GradientExchange {
  /** 0 .. replicas - 1. */
  readonly rank: number;
  readonly replicas: number;
  readonly #channel: AllGather;

  /** @param channel with two replicas at least */
  constructor(channel: AllGather) {
    this.rank = channel.rank;
    this.replicas = channel.replicas;
    this.#channel = channel;
  }

  /**
   * The sums that all replicas have made of their micro-batches, in order of rank; the caller's to free.
   * @param own gradients of this one's micro-batches, which are freed
   * @param update names it, the same at every replica
   * @throws FedError WORKER_DIED, FILE_CORRUPT, and what else the channel throws
   */
  async gathered(own: Iterable<GradientSum>, update: string): Promise<GradientSum[]> {
    const { names, sizes, bytes } = plain(own);
    // What the numbers stand for is part of the tag: replicas with other losses or variables are no replicas.
    const tag = `${update}: ${[...names, ...sizes.map(list => `[${list}]`)].join()}`;
    const all = await this.#channel.gathered(bytes, tag);
    return all.map(given => tensors(given, names, sizes));
  }

  /**
   * Makes sure that all replicas have the same numbers in these networks.
   * @throws FedError INTERNAL when they do not
   */
  async agree(networks: readonly ParameterSet[], update: string): Promise<void> {
    const hash = createHash('sha256');
    for (const [name, tensor] of tensorsOf(networks)) hash.update(name).update(bytesOf(tensor));
    const all = await this.#channel.gathered(hash.digest(), `the weights before ${update}`);
    const other = all.findIndex(digest => Buffer.compare(digest, all[0] as Uint8Array) !== 0);
    if (other < 0) return;
    throw new FedError(
      'INTERNAL',
      `expected the same weights at every replica before ${update}; those of replica ${other} are not those of replica 0`,
      'the same command goes on from the checkpoint; give all replicas the same kind of GPU and driver',
    );
  }
}

/**
 * @throws FedError CONFIG_INVALID when the micro-batches of a batch cannot be shared out over so many replicas such that
 *   their gradients are added up in the order of one process
 */
export function requireShares({ batchSize, microBatchSize }: ModelConfig, replicas: number): void {
  const parts = microBatchSize === 0 ? 1 : batchSize / microBatchSize;
  const share = parts / replicas;
  if (replicas === 1 || (share >= 1 && Number.isInteger(Math.log2(share)))) return;
  const found = `batchSize ${batchSize} with microBatchSize ${microBatchSize} is ${parts} micro-batch${parts === 1 ? '' : 'es'}`;
  throw new FedError(
    'CONFIG_INVALID',
    `${replicas} replicas: expected 1, 2, 4, 8 ... micro-batches for each; ${found}`,
    `set microBatchSize to batchSize / ${replicas}, or to half or a quarter of that`,
  );
}

interface Plain {
  readonly names: readonly string[];
  /** Of each optimiser's flat tensors. */
  readonly sizes: readonly (readonly number[])[];
  /** The losses in the order of their names, then the flat tensors, float32. */
  readonly bytes: Uint8Array;
}

function plain(own: Iterable<GradientSum>): Plain {
  let result: Plain | undefined;
  tf.tidy(() => {
    const { losses, packed } = summed(own).sum;
    const sources = [tf.stack(Object.values(losses)), ...packed.flat()];
    const values = new Float32Array(sources.reduce((total, { size }) => total + size, 0));
    let end = 0;
    for (const source of sources) {
      values.set(source.dataSync(), end);
      end += source.size;
    }
    tf.dispose([...Object.values(losses), ...packed.flat()]);
    const sizes = packed.map(list => list.map(({ size }) => size));
    result = { names: Object.keys(losses), sizes, bytes: new Uint8Array(values.buffer) };
  });
  return result as Plain;
}

function tensors(bytes: Uint8Array, names: Plain['names'], sizes: Plain['sizes']): GradientSum {
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  let end = names.length;
  const next = (size: number): tf.Tensor1D => {
    end += size;
    return tf.tensor1d(values.subarray(end - size, end));
  };
  return {
    losses: Object.fromEntries(names.map((name, i) => [name, tf.scalar(values[i] as number)])),
    packed: sizes.map(list => list.map(next)),
  };
}
