/** Training never waits for a batch: it arrives while TensorFlow computes, during which no JavaScript runs. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { BatchStream } from '#model/training/batches.ts';
import type { TrainingData } from '#model/training/dataset.ts';
import { mimicCxrJpg } from '#site-agent/data/mimic-cxr-jpg.ts';
import { prepare } from '#site-agent/data/prepare.ts';
import { openPrepared, preparedFiles } from '#site-agent/data/prepared.ts';
import { phantomFolder, temporaryFolder } from '../../support/phantoms.ts';

/** As a step of TensorFlow: the event loop stands still. */
function compute(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** Turns of the event loop that each of five batches was waited for, after a step that gave its reads time. */
async function turnsWaited(data: TrainingData): Promise<number[]> {
  const stream = new BatchStream(data, data.records, 8, 'seed');
  await stream.batch(0);
  const waited: number[] = [];
  for (let step = 1; step <= 5; step++) {
    compute(100);
    let turns = 0;
    let arrived = false;
    const next = stream.batch(step).then(() => {
      arrived = true;
    });
    while (!arrived) {
      turns++;
      await setImmediate();
    }
    await next;
    waited.push(turns);
  }
  return waited;
}

describe('the next batch of a prepared set', () => {
  it('is there when the step before it ends: it is waited for no longer than it takes to hand it over', async () => {
    const out = join(await temporaryFolder(), 'prepared');
    const folder = await phantomFolder(8);
    await prepare({ loader: mimicCxrJpg, folder, out, resolution: 64, imageChannels: 1, key: Buffer.alloc(32, 1) });
    const data = await openPrepared(out);
    expect(Math.max(...(await turnsWaited(data)))).toBeLessThanOrEqual(2);
    // The control: reads that begin only when a file has been opened do not begin before the step does.
    const late: TrainingData = {
      ...data,
      readImages: async indices => {
        const file = await open(preparedFiles(out).pixels);
        await file.close();
        return data.readImages(indices);
      },
    };
    expect(Math.min(...(await turnsWaited(late)))).toBeGreaterThan(2);
  });
});
