import { execFileSync } from 'node:child_process';
import { mkdir, readdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BlobFolder } from '#coordinator/store/blobs.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** A disk of `bytes` that can really be full, or undefined where this user may not mount one. */
async function smallDisk(bytes: number): Promise<string | undefined> {
  const folder = join(await temporaryFolder(), 'disk');
  await mkdir(folder);
  try {
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  onTestFinished(() => void execFileSync('/bin/umount', [folder]));
  return folder;
}

describe('blobs', () => {
  it('are found under their hash, and stored once', async () => {
    const folder = await temporaryFolder();
    const blobs = new BlobFolder(join(folder, 'blobs'));
    const address = await blobs.put(Buffer.from('abc'));
    // FIPS 180-2, appendix B.1.
    expect(address).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    await blobs.put(Buffer.from('abc'));
    expect(await readdir(join(folder, 'blobs'))).toEqual([address]);
    expect((await blobs.get(address)).toString()).toBe('abc');
    expect(await blobs.totalBytes()).toBe(3);
  });

  it('that are lost or damaged are never handed out', async () => {
    const folder = await temporaryFolder();
    const blobs = new BlobFolder(folder);
    const address = await blobs.put(Buffer.from('weights'));
    await writeFile(join(folder, address), 'Weights');
    await expect(blobs.get(address)).rejects.toMatchObject({ code: 'FILE_CORRUPT' });
    await truncate(join(folder, address), 2);
    await expect(blobs.get(address)).rejects.toMatchObject({ code: 'FILE_CORRUPT' });
    await expect(blobs.get('0'.repeat(64))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('have no address that could leave their folder', async () => {
    const blobs = new BlobFolder(await temporaryFolder());
    for (const address of ['../secret', '/etc/passwd', 'A'.repeat(64), '']) {
      await expect(blobs.get(address)).rejects.toMatchObject({ code: 'MESSAGE_INVALID' });
      await expect(blobs.put(Buffer.from('x'), address)).rejects.toMatchObject({ code: 'MESSAGE_INVALID' });
    }
  });

  it('are deleted unless they are kept, with what a crash in the middle of a write has left', async () => {
    const folder = await temporaryFolder();
    const blobs = new BlobFolder(folder);
    const kept = await blobs.put(Buffer.from('kept'));
    await blobs.put(Buffer.from('superseded'));
    await writeFile(join(folder, '.123-0.partial'), 'half');
    await blobs.retain(new Set([kept]));
    expect(await readdir(folder)).toEqual([kept]);
    await new BlobFolder(join(folder, 'none')).retain(new Set());
  });

  it('are adopted from another folder, and outlive it', async () => {
    const folder = await temporaryFolder();
    const uploads = new BlobFolder(join(folder, 'uploads'));
    const global = new BlobFolder(join(folder, 'global'));
    const address = await uploads.put(Buffer.from('model'));
    await global.adopt(uploads, [address]);
    await global.adopt(uploads, [address]);
    await uploads.retain(new Set());
    expect((await global.get(address)).toString()).toBe('model');
    await expect(global.adopt(uploads, ['1'.repeat(64)])).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('leave nothing half-written on a full disk, and go on when there is space again', async context => {
    const disk = await smallDisk(256 * 1024);
    if (disk === undefined) return context.skip('this user may not mount a small disk');
    const blobs = new BlobFolder(join(disk, 'blobs'));
    const small = await blobs.put(Buffer.alloc(64 * 1024, 1));
    await expect(blobs.put(Buffer.alloc(512 * 1024, 2))).rejects.toMatchObject({ code: 'DISK_FULL', exitCode: 1 });
    expect(await readdir(join(disk, 'blobs'))).toEqual([small]);
    await expect(blobs.put(Buffer.alloc(64 * 1024, 3))).resolves.toMatch(/^[0-9a-f]{64}$/);
  });
});
