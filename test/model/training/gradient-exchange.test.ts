import { mkdtemp, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { ParameterSet } from '#model/layers/parameters.ts';
import { GradientExchange, requireShares } from '#model/training/gradient-exchange.ts';
import { divided, type GradientSum, summed } from '#model/training/gradient-sum.ts';
import { ReplicaFiles } from '#model/training/replica-files.ts';
import { FedError } from '#proto/errors.ts';
import { tinyConfig } from '../../support/tiny-training.ts';

let folder: string;
beforeAll(async () => {
  await loadBackend({ demand: 'cpu' });
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emixer-exchange-'));
});
afterEach(() => rm(folder, { recursive: true }));

const files = (rank: number, over: { replicas?: number; timeoutMs?: number; signal?: AbortSignal } = {}) =>
  new ReplicaFiles({
    folder,
    rank,
    replicas: 2,
    timeoutMs: 20_000,
    signal: new AbortController().signal,
    nowMs: Date.now,
    ...over,
  });
const bytes = (...values: number[]) => Uint8Array.from(values);
const gradient = (values: readonly number[]): GradientSum => ({
  losses: { 'D_image/adversarial': tf.scalar(values[0] as number) },
  packed: [[tf.tensor1d([...values])], [tf.tensor1d(values.slice(0, 1)), tf.tensor1d(values.slice(1))]],
});
const valuesOf = ({ losses, packed }: GradientSum): number[] =>
  [...Object.values(losses), ...packed.flat()].flatMap(tensor => [...tensor.dataSync()]);
const code = (expected: string) => expect.objectContaining({ code: expected });

describe('the sum of micro-batches', () => {
  const floats = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 3, maxLength: 3 });

  it('is the sum of the sums of neighbours, to the bit, wherever they were made', () => {
    const shared = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 5 }));
    const cases = shared.chain(([k, n]) =>
      fc.tuple(fc.constant(2 ** k), fc.array(floats, { minLength: 2 ** k * n, maxLength: 2 ** k * n })),
    );
    fc.assert(
      fc.property(cases, ([share, parts]) => {
        tf.tidy(() => {
          const whole = valuesOf(summed(parts.map(gradient)).sum);
          const sums = Array.from({ length: parts.length / share }, (_, rank) =>
            summed(parts.slice(rank * share, (rank + 1) * share).map(gradient)),
          );
          expect(valuesOf(summed(sums.map(({ sum }) => sum)).sum)).toEqual(whole);
        });
      }),
      { numRuns: 50 },
    );
  });

  it('counts its parts, frees them, and is divided by their number', () => {
    const { numTensors } = tf.memory();
    const { sum, count } = summed([1, 2, 3, 4, 5].map(n => gradient([n, 10 * n, -n])));
    const mean = divided(sum, count);
    expect(count).toBe(5);
    expect(valuesOf(mean).map(value => Number(value.toFixed(5)))).toEqual([3, 3, 30, -3, 3, 30, -3]);
    tf.dispose([...Object.values(mean.losses), ...mean.packed.flat()]);
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});

describe('an exchange over files', () => {
  it("gives everybody's bytes to all in order of rank, and keeps no more than two rounds", async () => {
    const all = [0, 1, 2].map(rank => files(rank, { replicas: 3 }));
    for (let round = 0; round < 4; round++) {
      const given = await Promise.all(all.map(one => one.gathered(bytes(round, one.rank), `round ${round}`)));
      for (const got of given) expect(got.map(part => [...part])).toEqual([0, 1, 2].map(rank => [round, rank]));
    }
    expect((await readdir(folder)).sort()).toEqual(['3-0', '3-1', '3-2']);
  });

  it('ends within its deadline when a replica is missing, and says which', async () => {
    const startedMs = Date.now();
    await expect(files(0, { timeoutMs: 100 }).gathered(bytes(1), 'step 3 G')).rejects.toThrow(
      expect.objectContaining({
        code: 'WORKER_DIED',
        message: 'expected replica 1 to give its share of "step 3 G" within 100 ms; nothing came',
      }),
    );
    expect(Date.now() - startedMs).toBeLessThan(5_000);
  });

  it('ends at once with the reason of its signal', async () => {
    const controller = new AbortController();
    const waiting = files(0, { signal: controller.signal }).gathered(bytes(1), 'a');
    controller.abort(new FedError('WORKER_DIED', 'replica 1 ended with SIGKILL'));
    await expect(waiting).rejects.toThrow('replica 1 ended with SIGKILL');
  });

  it('waits for no file that is still being written', async () => {
    await writeFile(join(folder, '0-1.part'), Buffer.alloc(36));
    await expect(files(0, { timeoutMs: 50 }).gathered(bytes(1, 2, 3, 4), 'a')).rejects.toThrow(code('WORKER_DIED'));
  });

  it.each([
    ['a truncated file', (path: string) => truncate(path, 34)],
    ['a longer one', (path: string) => truncate(path, 1 << 30)],
    ['other content', (path: string) => writeFile(path, Buffer.alloc(36, 7))],
    ['a link', (path: string) => rm(path).then(() => symlink('/etc/hostname', path))],
  ])('refuses %s', async (_what, spoil) => {
    const other = files(1, { timeoutMs: 1 }).gathered(bytes(1, 2, 3, 4), 'a');
    await expect(other).rejects.toThrow(code('WORKER_DIED'));
    await spoil(join(folder, '0-1'));
    await expect(files(0).gathered(bytes(1, 2, 3, 4), 'a')).rejects.toThrow(code('FILE_CORRUPT'));
  });

  it('refuses the bytes of another update', async () => {
    const both = await Promise.allSettled([
      files(0).gathered(bytes(1), 'step 1'),
      files(1).gathered(bytes(1), 'step 2'),
    ]);
    for (const one of both) expect(one).toMatchObject({ status: 'rejected', reason: { code: 'FILE_CORRUPT' } });
  });
});

describe('an exchange of gradients', () => {
  it('gives every replica the sums of all, and frees what it was given', async () => {
    const pair = [0, 1].map(rank => new GradientExchange(files(rank)));
    const { numTensors } = tf.memory();
    const parts = [[gradient([1, 2, 3]), gradient([0.5, 0, 1e-8])], [gradient([4, 5, 6])]];
    const given = await Promise.all(pair.map((one, rank) => one.gathered(parts[rank] as GradientSum[], 'step 0 D0')));
    const expected = [
      [1.5, 1.5, 2, 3, 1.5, 2, 3],
      [4, 4, 5, 6, 4, 5, 6],
    ];
    for (const sums of given) expect(sums.map(valuesOf)).toEqual(expected);
    tf.dispose(given.flat().flatMap(({ losses, packed }) => [...Object.values(losses), ...packed.flat()]));
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  it('refuses replicas whose losses are others', async () => {
    const pair = [0, 1].map(rank => new GradientExchange(files(rank)));
    const renamed: GradientSum = { ...gradient([1, 2, 3]), losses: { 'G/adversarial': tf.scalar(1) } };
    const both = await Promise.allSettled([
      pair[0]?.gathered([gradient([1, 2, 3])], 'a'),
      pair[1]?.gathered([renamed], 'a'),
    ]);
    for (const one of both) expect(one).toMatchObject({ status: 'rejected', reason: { code: 'FILE_CORRUPT' } });
  });

  it('notices weights that are not the same everywhere', async () => {
    const sets = [1, 1, 1.0000001].map(value => {
      const set = new ParameterSet('G');
      set.trainable('w', tf.tensor1d([0, value]));
      return set;
    });
    const compare = async (second: number) => {
      const pair = [0, 1].map(rank => new GradientExchange(files(rank)));
      const both = await Promise.allSettled([
        pair[0]?.agree([sets[0] as ParameterSet], 'step 5'),
        pair[1]?.agree([sets[second] as ParameterSet], 'step 5'),
      ]);
      await rm(folder, { recursive: true });
      folder = await mkdtemp(join(tmpdir(), 'emixer-exchange-'));
      return both.map(one => (one.status === 'rejected' ? String(one.reason.message) : 'the same'));
    };
    expect(await compare(1)).toEqual(['the same', 'the same']);
    const said = 'before step 5; those of replica 1 are not those of replica 0';
    expect(await compare(2)).toEqual([expect.stringContaining(said), expect.stringContaining(said)]);
    for (const set of sets) set.dispose();
  });
});

describe('micro-batches for every replica', () => {
  const config = (batchSize: number, microBatchSize: number) => ({ ...tinyConfig, batchSize, microBatchSize });

  it.each([
    [8, 2, 2],
    [8, 2, 4],
    [12, 4, 3],
    [512, 32, 8],
    [4, 0, 1],
    [12, 4, 1],
  ])('batch %i in micro-batches of %i over %i', (batch, micro, replicas) => {
    expect(() => requireShares(config(batch, micro), replicas)).not.toThrow();
  });

  it.each([
    [8, 0, 2],
    [8, 4, 4],
    [12, 4, 2],
    [24, 4, 2],
  ])('are missing with batch %i in micro-batches of %i over %i', (batch, micro, replicas) => {
    expect(() => requireShares(config(batch, micro), replicas)).toThrow(code('CONFIG_INVALID'));
  });
});
