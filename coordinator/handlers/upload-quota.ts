/** How much a site may upload for one step, so that no site can fill the coordinator's disk. */
import type { RunFiles } from '#coordinator/store/run-files.ts';
import { FedError } from '#proto/errors.ts';

/** A file takes a block of the disk, however little is in it. */
const BLOCK_BYTES = 4_096;

export class UploadQuota {
  readonly #maxBytes: number;
  /** By run and site. What lies on the disk from before a restart counts. */
  readonly #used = new Map<string, { step: string; bytes: number }>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @throws FedError LIMIT_EXCEEDED when `bytes` more would be too much */
  async take(runId: string, site: string, step: string, bytes: number, files: RunFiles): Promise<void> {
    const key = `${runId}/${site}`;
    let used = this.#used.get(key);
    if (used?.step !== step) {
      used = { step, bytes: await files.uploads(site).totalBytes() };
      this.#used.set(key, used);
    }
    const taken = Math.max(bytes, BLOCK_BYTES);
    if (used.bytes + taken > this.#maxBytes) {
      throw new FedError(
        'LIMIT_EXCEEDED',
        `a site may upload ${this.#maxBytes} bytes a step; this would be more`,
        'use a smaller model, or raise uploadQuotaBytes in coordinator.yaml',
      );
    }
    used.bytes += taken;
  }
}
