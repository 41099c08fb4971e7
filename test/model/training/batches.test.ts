import { describe, expect, it } from 'vitest';
import { BatchStream } from '#model/training/batches.ts';
import type { TrainingData, TrainingRecord } from '#model/training/dataset.ts';

const record = (index: number): TrainingRecord => ({ index, split: 'train', report: null, labels: [null] });

function dataOf(count: number): TrainingData & { reads: number } {
  const data = {
    records: Array.from({ length: count }, (_, i) => record(i)),
    resolution: 1,
    imageChannels: 1,
    reads: 0,
    readImages: async (indices: readonly number[]) => {
      data.reads++;
      return Uint8Array.from(indices);
    },
  };
  return data;
}

describe('BatchStream', () => {
  it('visits every record once an epoch, in another order each epoch', async () => {
    const data = dataOf(12);
    const stream = new BatchStream(data, data.records, 4, 'seed', 1);
    const epochs: number[][] = [[], []];
    for (let n = 0; n < 6; n++) epochs[Math.floor(n / 3)]?.push(...(await stream.batch(n)).records.map(r => r.index));
    for (const epoch of epochs) expect([...epoch].sort((a, b) => a - b)).toEqual([...Array(12).keys()]);
    expect(epochs[0]).not.toEqual(epochs[1]);
  });

  it('gives batch 5 the same content whether or not the first five were asked for', async () => {
    const data = dataOf(7);
    const stream = new BatchStream(data, data.records, 3, 'seed', 1);
    for (let n = 0; n < 5; n++) await stream.batch(n);
    const late = await new BatchStream(data, data.records, 3, 'seed', 1).batch(5);
    expect((await stream.batch(5)).pixels).toEqual(late.pixels);
  });

  it('has the next batch on its way when a batch is handed out', async () => {
    const data = dataOf(8);
    const stream = new BatchStream(data, data.records, 2, 'seed');
    await stream.batch(0);
    expect(data.reads).toBe(2);
    await stream.batch(1);
    expect(data.reads).toBe(3);
  });

  it('reports a failed read at the step that needs the batch', async () => {
    const data = dataOf(4);
    const read = data.readImages;
    data.readImages = async indices => {
      if (data.reads > 0) throw new Error('disk gone');
      return read(indices);
    };
    const stream = new BatchStream(data, data.records, 2, 'seed');
    await stream.batch(0);
    await expect(stream.batch(1)).rejects.toThrow('disk gone');
  });
});
