/** The fallback: tfjs's WebAssembly kernels (SIMD, one thread in Node), read from the installed package, never fetched. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { setWasmPaths, version_wasm } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { registerWasmTrainingKernels } from './wasm/register.ts';

let ready = false;

/**
 * Makes wasm the current backend.
 * @returns the version of the tfjs package
 */
export async function useWasm(): Promise<string> {
  if (!ready) {
    const entry = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
    setWasmPaths(`${path.dirname(entry)}${path.sep}`);
    registerWasmTrainingKernels();
    ready = true;
  }
  await tf.setBackend('wasm');
  return version_wasm;
}
