/** `emixer model bench`: the cost of a training step on this machine. */
import type { Backend } from '#model/backend/backend.ts';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { type BenchOptions, type BenchResult, measureSteps } from '#model/bench/measure.ts';

export interface BenchDocument extends BenchResult {
  readonly part: string;
  readonly preset: string;
  readonly resolution: number;
  readonly channels: number;
  readonly batch: number;
  readonly backend: Omit<Backend, 'tf'>;
}

/** @throws FedError BACKEND_UNAVAILABLE, NON_FINITE, CANCELLED */
export async function benchModel(
  preset: string,
  options: Omit<BenchOptions, 'nowMs' | 'processStartMs' | 'seed'>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<BenchDocument> {
  const { tf: _, ...backend } = await loadBackend(backendOptionsFromEnvironment(env));
  const { resolution, channels, batchSize } = options.config;
  // performance.now() counts from the start of the process.
  const clock = { nowMs: () => performance.now(), processStartMs: 0 };
  const result = await measureSteps({ ...options, ...clock, seed: 1 });
  return { ...result, part: options.part, preset, resolution, channels, batch: batchSize, backend };
}

export function benchText(document: BenchDocument): string {
  const { secondsPerIteration: seconds, opsPerIteration, peakRssBytes, tensorsBefore, tensorsAfter } = document;
  const { backend, part, preset, resolution, channels, batch, iterations, firstStepSeconds } = document;
  const shown = (value: number): string => value.toFixed(3);
  return [
    `${preset} at ${resolution} px, channels ${channels}, batch ${batch}, part ${part}, on ${backend.name} (${backend.device})`,
    `seconds an iteration  median ${shown(seconds.median)}, min ${shown(seconds.min)}, max ${shown(seconds.max)} of ${iterations}`,
    `calls an iteration    ${opsPerIteration ?? 'not counted on this backend'}`,
    `first step after      ${firstStepSeconds.toFixed(1)} s`,
    `peak memory           ${(peakRssBytes / 2 ** 20).toFixed(0)} MiB`,
    `tensors               ${tensorsBefore} before, ${tensorsAfter} after`,
  ].join('\n');
}
