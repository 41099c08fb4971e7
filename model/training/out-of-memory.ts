/** What TensorFlow says when a device's memory is full, as an error that says which batch to take instead. */
import { FedError } from '#proto/errors.ts';
import type { ModelConfig } from '../config.ts';

const OUT_OF_MEMORY = /\bOOM\b|out of memory|RESOURCE_EXHAUSTED|failed to allocate/i;

/**
 * A step's activations, nearly all of its memory, grow with the micro-batch: half of it needs about half.
 * @returns LIMIT_EXCEEDED where `thrown` is about memory, else `thrown` itself
 */
export function explainedMemory(thrown: unknown, config: Pick<ModelConfig, 'batchSize' | 'microBatchSize'>): unknown {
  if (!(thrown instanceof Error) || !OUT_OF_MEMORY.test(thrown.message)) return thrown;
  const { batchSize, microBatchSize } = config;
  const current = microBatchSize === 0 ? batchSize : microBatchSize;
  const smaller = largestDivisor(batchSize, current / 2);
  const remedy =
    smaller === undefined
      ? 'take a smaller resolution or fewer channels: a single record does not fit'
      : `set microBatchSize to ${smaller}: it needs about ${Math.round((100 * smaller) / current)} % of the memory and takes the same step on batchSize ${batchSize}`;
  return new FedError(
    'LIMIT_EXCEEDED',
    `a step on ${current} records at once does not fit into the memory of the device`,
    remedy,
    { cause: thrown },
  );
}

function largestDivisor(of: number, atMost: number): number | undefined {
  for (let divisor = Math.floor(atMost); divisor >= 1; divisor--) if (of % divisor === 0) return divisor;
  return undefined;
}
