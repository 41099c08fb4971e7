/** What passes between `emixer model train` and its replicas, over the channel of the fork. */
import type { RunConfig } from '#model/federated.ts';
import type { StreamKeys } from '#model/training/trainer.ts';

/** To a replica, once. */
export interface ReplicaOrder {
  readonly run: RunConfig;
  readonly keys: StreamKeys;
  readonly vocabulary: readonly string[];
  readonly preparedDir: string;
  readonly checkpoint: string;
  /** Where gradients are exchanged. */
  readonly folder: string;
  readonly rank: number;
  readonly replicas: number;
  readonly timeoutMs: number;
}

/** From a replica. */
export type ReplicaMessage =
  | { readonly type: 'ready'; readonly backend: string }
  | { readonly type: 'failed'; readonly code: string; readonly message: string; readonly remedy: string };
