/** Which chunks the sites of a run may download at this moment: those of the manifests that its tasks name. */
import type { RunFiles } from '#coordinator/store/run-files.ts';
import { chunkAddresses } from '#proto/manifest.ts';
import type { RunState } from './state.ts';
import { generatedManifests } from './tasks.ts';

export class VisibleChunks {
  readonly #files: RunFiles;
  #of = '';
  #addresses: Promise<ReadonlySet<string>> = Promise.resolve(new Set());

  constructor(files: RunFiles) {
    this.#files = files;
  }

  /** Addresses for this state; read from the documents only when they have changed. */
  for(state: RunState): Promise<ReadonlySet<string>> {
    const key = JSON.stringify([state.weights, state.emaWeights, state.generated?.submission]);
    if (key !== this.#of) {
      this.#of = key;
      this.#addresses = this.#read(state);
    }
    return this.#addresses;
  }

  async #read(state: RunState): Promise<ReadonlySet<string>> {
    const addresses = new Set<string>();
    for (const document of [state.weights, state.emaWeights]) {
      if (document === undefined) continue;
      for (const address of chunkAddresses(await this.#files.manifest(document))) addresses.add(address);
    }
    const generated = await generatedManifests(state, this.#files);
    for (const address of generated ? chunkAddresses(generated.synthetic) : []) addresses.add(address);
    return addresses;
  }
}
