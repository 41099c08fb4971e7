/** The exponential moving average of the global weights, kept on the coordinator. */
import { emaDecayAt } from '#model/training/ema-decay.ts';
import { floats } from './fedavg.ts';

/**
 * What is left of the old average after generator steps `stepsBefore + 1 ... stepsBefore + steps`: the product of
 * min(decay, (1 + n) / (10 + n)). Between two rounds only their ends are known, so a round is one update.
 */
export function emaDecayOver(decay: number, stepsBefore: number, steps: number): number {
  let product = 1;
  for (let n = stepsBefore + 1; n <= stepsBefore + steps; n++) product *= emaDecayAt(decay, n);
  return product;
}

/**
 * kept * average + (1 - kept) * current, element by element in float64.
 * @param average the average so far, float32 bytes; undefined where the tensor is new
 * @param current the new global weights, float32 bytes of the same length
 */
export function emaChunk(average: Uint8Array | undefined, current: Uint8Array, kept: number): Uint8Array {
  if (average === undefined || average.length !== current.length || kept === 0) return current;
  const old = floats(average);
  const now = floats(current);
  const result = new Float32Array(now.length);
  for (let i = 0; i < now.length; i++) {
    const value = now[i] as number;
    // Written as a step from `value`: where both are equal the result is too, bit for bit (the frozen encoder).
    result[i] = value + kept * ((old[i] as number) - value);
  }
  return new Uint8Array(result.buffer);
}
