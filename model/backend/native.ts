/**
 * TensorFlow's own kernels, loaded straight from the set-up's cache: the package's index.js would look for the binding inside
 * node_modules, which is never changed here.
 */
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import * as tf from '@tensorflow/tfjs-core';
import type { NodeJSKernelBackend } from '@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js';
import type { TFJSBinding } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import { FedError } from '#proto/errors.ts';
import type { PreparedBackend } from './native-cache.ts';

/** The name under which the package's kernels are registered; tfjs calls it, wherever the kernels run, so. */
export const nativeBackendName = 'tensorflow';

export interface NativeBackend {
  readonly version: string;
  readonly threads: number;
  readonly usesGpu: boolean;
}

const require = createRequire(import.meta.url);
let loaded: NativeBackend | undefined;

/**
 * Loads libtensorflow (0.3-1 s, 390 MB) and makes it the current backend. A process loads it once; its thread count and its
 * use of the GPU are fixed by then, because TensorFlow reads them when its library is loaded.
 * Must run in a process's main thread: elsewhere `process.env` is a copy that the library does not see.
 * @param visibleGpu the only one that TensorFlow is to see, as CUDA_VISIBLE_DEVICES names it; undefined for all
 * @throws FedError USAGE when it is already loaded with another number of threads
 */
export function useNative(
  prepared: PreparedBackend,
  threads: number | undefined,
  visibleGpu: string | undefined,
): NativeBackend {
  loaded ??= load(prepared, threads ?? availableParallelism(), visibleGpu);
  if (threads !== undefined && threads !== loaded.threads) {
    throw new FedError(
      'USAGE',
      `TensorFlow is already loaded with ${loaded.threads} threads; ${threads} were asked for`,
      'start another process: the number of threads is fixed when the library is loaded',
    );
  }
  tf.setBackend(nativeBackendName);
  return loaded;
}

function load(prepared: PreparedBackend, threads: number, visibleGpu: string | undefined): NativeBackend {
  const environment = process.env;
  // The one libtensorflow setting worth a factor of 2 (oneDNN's convolutions); the same on every site, so that results are.
  environment['TF_ENABLE_ONEDNN_OPTS'] = '1';
  environment['TF_NUM_INTRAOP_THREADS'] = String(threads);
  // Of a compiled step, whose kernels run side by side.
  environment['TF_NUM_INTEROP_THREADS'] = String(threads);
  environment['TF_CPP_MIN_LOG_LEVEL'] = '2';
  // Otherwise TensorFlow takes all of a GPU's memory at once, whatever else runs there.
  environment['TF_FORCE_GPU_ALLOW_GROWTH'] = 'true';
  if (visibleGpu !== undefined) environment['CUDA_VISIBLE_DEVICES'] = visibleGpu;
  addRemovedNodeFunctions();
  const kernelBackend = require('@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js') as {
    readonly NodeJSKernelBackend: typeof NodeJSKernelBackend;
  };
  const errorsOnly = 2;
  const { quietLoad } = require(prepared.quietLoadFile) as { quietLoad(path: string, level: number): void };
  quietLoad(prepared.frameworkLibrary, errorsOnly);
  const binding = require(prepared.bindingFile) as TFJSBinding;
  require('@tensorflow/tfjs-node-gpu/dist/register_all_kernels.js');
  const backend = new kernelBackend.NodeJSKernelBackend(binding, '@tensorflow/tfjs-node-gpu');
  const priority = 3;
  tf.registerBackend(nativeBackendName, () => backend, priority);
  return { version: binding.TF_Version, threads, usesGpu: backend.isUsingGpuDevice };
}

/** The package still calls two functions that Node 23 removed and that Node 22 warns about. */
function addRemovedNodeFunctions(): void {
  const util = require('node:util') as Record<string, unknown>;
  util['isNullOrUndefined'] = (value: unknown): boolean => value === null || value === undefined;
  util['isArray'] = Array.isArray;
}
