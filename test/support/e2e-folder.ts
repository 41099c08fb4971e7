/** A folder that the files of one end-to-end run share: what takes seconds to set up is set up once and copied. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    e2eFolder: string;
  }
}

export async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'emixer-e2e-'));
  provide('e2eFolder', folder);
  return () => rm(folder, { recursive: true, force: true });
}
