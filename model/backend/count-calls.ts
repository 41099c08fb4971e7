/** Counts what crosses from JavaScript into TensorFlow: at small sizes these calls, not arithmetic, are the time of a step. */
import * as tf from '@tensorflow/tfjs-core';
import { hasNativeOps } from './execute-op.ts';

export interface CallCounter {
  /** Kernels and whole graphs that were run since counting began; undefined on a backend that is not native. */
  readonly calls: number | undefined;
  /** Puts back what was there before. */
  stop(): void;
}

/** What runs something in TensorFlow; the binding's other functions move data. */
const RUNNING = ['executeOp', 'runSavedModel'] as const;

type Binding = Record<string, unknown>;

/** Begins to count. The binding's own properties are read-only, so the backend is given another object in its place. */
export function countCalls(): CallCounter {
  if (!hasNativeOps()) return { calls: undefined, stop: () => {} };
  const backend = tf.backend() as unknown as { binding: Binding };
  const inner = backend.binding;
  let calls = 0;
  const counting: Binding = Object.create(inner) as Binding;
  for (const name of Object.getOwnPropertyNames(inner)) define(counting, name, inner[name]);
  for (const name of RUNNING) {
    const run = inner[name];
    if (typeof run !== 'function') continue;
    define(counting, name, (...given: unknown[]): unknown => {
      calls++;
      return run.apply(inner, given);
    });
  }
  backend.binding = counting;
  return {
    get calls() {
      return calls;
    },
    stop: () => {
      backend.binding = inner;
    },
  };
}

function define(target: Binding, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true });
}
