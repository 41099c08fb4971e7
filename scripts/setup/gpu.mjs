/** Whether this machine has an NVIDIA driver: then the CUDA build is worth its 3 GB. */
import { access } from 'node:fs/promises';
import { run } from './run.mjs';

/** @param {NodeJS.ProcessEnv} env */
export async function hasNvidiaGpu(env) {
  const driver = await access('/proc/driver/nvidia/version').then(
    () => true,
    () => false,
  );
  return driver || (await run('nvidia-smi', ['-L'], { env })).code === 0;
}
