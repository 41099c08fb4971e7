/** The output folder of `emixer model train`: what lies where, and what it was begun with. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalJson } from '#model/federated.ts';
import { FedError } from '#proto/errors.ts';
import { lockFolder } from '#proto/folder-lock.ts';
import { privateFolders, writePrivateFile } from '#site-agent/state.ts';

/** What may not change when a training goes on, beside what the checkpoint says of itself. */
export interface TrainRecord {
  readonly data: readonly { readonly kind: string; readonly dir: string }[];
  readonly preset: string;
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly seed: number;
  /** SHA-256 of the file that the encoder's weights come from, wherever it lies; null for none. */
  readonly encoder: string | null;
}

export const trainPaths = (out: string) => ({
  record: join(out, 'train.json'),
  lock: join(out, 'train.lock'),
  prepared: join(out, 'data', 'prepared'),
  checkpoint: join(out, 'checkpoint.safetensors'),
  metrics: join(out, 'metrics.jsonl'),
  events: join(out, 'events'),
  samples: join(out, 'samples'),
  kept: join(out, 'kept-step'),
  model: join(out, 'model.safetensors'),
});
export type TrainPaths = ReturnType<typeof trainPaths>;

const REMEDY = 'go on with the options that it was begun with, or choose another --out';

/**
 * Makes the folder (mode 0700), or takes up that of an earlier start, and locks it.
 * @returns how to release it
 * @throws FedError USAGE when it holds something else; CONFIG_INVALID when it was begun with other options, or is in use
 */
export async function openTrainFolder(out: string, record: TrainRecord): Promise<() => void> {
  const present = await readdir(out).catch((): string[] => []);
  const paths = trainPaths(out);
  if (present.length > 0 && !present.includes('train.json')) {
    throw new FedError(
      'USAGE',
      `expected an empty folder or one of an earlier training at ${out}; it holds other files`,
      'choose another with --out',
    );
  }
  await privateFolders(out, join(out, 'data'), paths.samples);
  const release = lockFolder(paths.lock, 'training');
  try {
    if (present.length > 0) requireSame(await readRecord(paths.record), record, out);
    else await writePrivateFile(paths.record, `${JSON.stringify(record, null, 2)}\n`);
    return release;
  } catch (thrown) {
    release();
    throw thrown;
  }
}

async function readRecord(path: string): Promise<Partial<TrainRecord>> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Partial<TrainRecord>;
  } catch (cause) {
    throw new FedError(
      'FILE_CORRUPT',
      `expected what a training was begun with in ${path}; it does not parse`,
      REMEDY,
      {
        cause,
      },
    );
  }
}

function requireSame(begun: Partial<TrainRecord>, asked: TrainRecord, out: string): void {
  for (const key of ['data', 'preset', 'overrides', 'seed', 'encoder'] as const) {
    const [was, is] = [canonicalJson(begun[key] ?? null), canonicalJson(asked[key])];
    if (was === is) continue;
    throw new FedError(
      'CONFIG_INVALID',
      `the training in ${out} was begun with ${key} ${was}; this one has ${is}`,
      REMEDY,
    );
  }
}
