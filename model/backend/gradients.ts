/** The gradients of tfjs's operations. */
import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';

/**
 * @tensorflow/tfjs-core alone registers no gradient in Node; its union package does, for the same engine. The native
 * backend loads that package anyway, wasm and plain JavaScript do not.
 */
export function registerGradients(): void {
  if (tf.getGradient('Add') !== undefined) return;
  const require = createRequire(import.meta.url);
  createRequire(require.resolve('@tensorflow/tfjs-node-gpu/package.json'))('@tensorflow/tfjs');
}
