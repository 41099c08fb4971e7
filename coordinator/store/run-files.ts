/** The files of one run: documents, global weights, and a separate folder for what each site uploads. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SubmitResultRequest } from '#proto/gen/fed/v1/federation.ts';
import { Manifest } from '#proto/gen/fed/v1/tensors.ts';
import { chunkAddresses, encodeManifest } from '#proto/manifest.ts';
import { BlobFolder } from './blobs.ts';

export class RunFiles {
  /** Holds `release/` or `withheld/` in the end. */
  readonly folder: string;
  /** Signed submissions, manifests, the vocabulary. Small; kept as the run's record. */
  readonly documents: BlobFolder;
  /** Chunks of the global weights and of the generated set: what sites of the run may download. */
  readonly global: BlobFolder;

  constructor(folder: string) {
    this.folder = folder;
    this.documents = new BlobFolder(join(folder, 'documents'));
    this.global = new BlobFolder(join(folder, 'chunks'));
  }

  /** Chunks that one site uploaded. Apart, so that no site can ask whether another has sent certain bytes. */
  uploads(site: string): BlobFolder {
    return new BlobFolder(join(this.folder, 'uploads', site));
  }

  /** Contributions have done their work once they are in the global weights. */
  async deleteUploads(): Promise<void> {
    await rm(join(this.folder, 'uploads'), { recursive: true, force: true });
  }

  async putManifest(manifest: Manifest): Promise<string> {
    const address = await this.documents.put(encodeManifest(manifest));
    await this.documents.sync();
    return address;
  }

  /** @throws FedError NOT_FOUND | FILE_CORRUPT */
  async manifest(address: string): Promise<Manifest> {
    return Manifest.decode(await this.documents.get(address));
  }

  async putSubmission(request: SubmitResultRequest): Promise<string> {
    const address = await this.documents.put(SubmitResultRequest.encode(request).finish());
    await this.documents.sync();
    return address;
  }

  /** @throws FedError NOT_FOUND | FILE_CORRUPT */
  async submission(address: string): Promise<SubmitResultRequest> {
    return SubmitResultRequest.decode(await this.documents.get(address));
  }

  /** The manifest of a training contribution. @throws FedError NOT_FOUND | FILE_CORRUPT */
  async contribution(submission: string): Promise<Manifest> {
    const { outcome } = await this.submission(submission);
    const manifest = outcome?.$case === 'train' ? outcome.value.contribution : undefined;
    return manifest ?? { chunkBytes: 1, tensors: [] };
  }

  /** One chunk of a site's contribution: its own upload, or one of the global weights that it left as it was. */
  async contributed(site: string, address: string): Promise<Buffer> {
    const uploads = this.uploads(site);
    return (await uploads.has(address)) ? uploads.get(address) : this.global.get(address);
  }

  /** The first chunk of a manifest that neither the site has uploaded nor the global weights hold. */
  async missingChunk(site: string, manifest: Manifest): Promise<string | undefined> {
    const uploads = this.uploads(site);
    for (const address of chunkAddresses(manifest)) {
      if (!(await uploads.has(address)) && !(await this.global.has(address))) return address;
    }
    return undefined;
  }
}
