import { describe, expect, it } from 'vitest';
import { explainedMemory } from '#model/training/out-of-memory.ts';

const full = new Error('OOM when allocating tensor with shape[512,64,64,96] and type float on GPU:0');

describe('a device without enough memory', () => {
  it.each([
    [{ batchSize: 512, microBatchSize: 0 }, /512 records/, /microBatchSize to 256/],
    [{ batchSize: 512, microBatchSize: 32 }, /32 records/, /microBatchSize to 16: it needs about 50 %/],
    [{ batchSize: 9, microBatchSize: 0 }, /9 records/, /microBatchSize to 3/],
    [{ batchSize: 4, microBatchSize: 1 }, /1 records/, /fewer channels/],
  ])('names the batch that did not fit and the next that may: %o', (config, message, remedy) => {
    expect(explainedMemory(full, config)).toMatchObject({
      code: 'LIMIT_EXCEEDED',
      message: expect.stringMatching(message),
      remedy: expect.stringMatching(remedy),
    });
  });

  it('leaves every other error alone', () => {
    const other = new Error('Incompatible shapes: [4,2] vs. [3]');
    expect(explainedMemory(other, { batchSize: 8, microBatchSize: 0 })).toBe(other);
    expect(explainedMemory('text', { batchSize: 8, microBatchSize: 0 })).toBe('text');
  });
});
