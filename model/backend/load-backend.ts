/** The ladder: CUDA, native CPU, wasm; or exactly the backend that is demanded. */
import { availableParallelism, cpus } from 'node:os';
import * as tf from '@tensorflow/tfjs-core';
import { FedError } from '#proto/errors.ts';
import type { Backend, BackendName, Rejected } from './backend.ts';
import { gpuName } from './gpu-name.ts';
import { registerGradients } from './gradients.ts';
import { type NativeBackend, useNative } from './native.ts';
import { nativeDirectories, preparedBackend } from './native-cache.ts';
import { type BackendDemand, type BackendOptions, NO_GPU } from './options.ts';
import { useWasm } from './wasm-backend.ts';

/**
 * Loads the best backend that the options allow and makes it tfjs's current one. May be called again; the native library
 * is loaded once a process.
 * @throws FedError BACKEND_UNAVAILABLE when the demanded backend cannot run; USAGE when other threads are asked for later
 */
export async function loadBackend(options: BackendOptions = {}): Promise<Backend> {
  const { demand } = options;
  const rejected: Rejected[] = [];
  if (demand !== 'wasm' && demand !== 'cpu') {
    const native = tryNative(options, rejected);
    const name: BackendName = native?.usesGpu ? 'cuda' : 'native-cpu';
    if (native !== null && !(demand === 'cuda' && !native.usesGpu)) {
      const device = native.usesGpu ? gpuName() : cpuName();
      return finish({ name, version: native.version, device, threads: native.threads, rejected });
    }
    if (demand !== undefined) throw unavailable(demand, rejected);
  }
  if (demand === 'cpu') {
    const cpu = await import('@tensorflow/tfjs-backend-cpu');
    await tf.setBackend('cpu');
    return finish({ name: 'cpu', version: cpu.version_cpu, device: cpuName(), threads: 1, rejected });
  }
  const version = await useWasm();
  return finish({ name: 'wasm', version, device: cpuName(), threads: 1, rejected });
}

async function finish(facts: Omit<Backend, 'tf'>): Promise<Backend> {
  await tf.ready();
  registerGradients();
  return { ...facts, tf };
}

/** The first prepared folder whose library loads; why the others did not goes to `rejected`. */
function tryNative(options: BackendOptions, rejected: Rejected[]): NativeBackend | null {
  for (const directory of nativeDirectories(options)) {
    const name = directory.endsWith('-cuda') ? 'cuda' : 'native-cpu';
    const prepared = preparedBackend(directory);
    if (!prepared.ok) {
      if (!(name === 'cuda' && options.demand === 'native')) rejected.push({ name, reason: prepared.reason });
      continue;
    }
    try {
      const native = useNative(prepared.backend, options.threads, options.demand === 'native' ? NO_GPU : options.gpu);
      if (prepared.backend.cuda && !native.usesGpu && options.demand !== 'native') {
        rejected.push({ name: 'cuda', reason: 'TensorFlow found no usable GPU (is the NVIDIA driver current?)' });
      }
      return native;
    } catch (error) {
      if (error instanceof FedError) throw error;
      rejected.push({ name, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  return null;
}

function unavailable(demand: BackendDemand, rejected: readonly Rejected[]): FedError {
  const reasons = rejected.map(({ name, reason }) => `${name}: ${reason}`).join('; ');
  return new FedError(
    'BACKEND_UNAVAILABLE',
    `the backend ${demand} was demanded and cannot run here (${reasons})`,
    'run npm run setup and emixer doctor, or unset EMIXER_BACKEND to take the best that runs',
  );
}

function cpuName(): string {
  const model = cpus()[0]?.model.trim() || process.arch;
  return `${model}, ${availableParallelism()} cores`;
}
