/** How much of the average of weights a step keeps; free of TensorFlow, since the coordinator averages too. */

/**
 * min(decay, (1 + n) / (10 + n)) after generator step n = 1, 2, ...: with `decay` from the first step on, a short training
 * would release an average that is mostly its starting values.
 */
export const emaDecayAt = (decay: number, step: number): number => Math.min(decay, (1 + step) / (10 + step));
