import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { setupModule } from './setup-module.ts';

interface ChecksumModule {
  writeManifest(directory: string, facts: object): Promise<void>;
  manifestProblem(directory: string, expected: { inputs: string; everyByte?: boolean }): Promise<string | null>;
}

describe('the checksum file of a prepared backend', () => {
  let module: ChecksumModule;
  let folder: string;
  const library = () => path.join(folder, 'tensorflow/lib.so');

  beforeAll(async () => {
    module = await setupModule<ChecksumModule>('checksum');
  });
  beforeEach(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'emixer-checksum-'));
    mkdirSync(path.join(folder, 'tensorflow'));
    writeFileSync(library(), 'abc');
    writeFileSync(path.join(folder, 'binding.node'), 'xyz');
    await module.writeManifest(folder, { inputs: 'i1' });
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('holds the SHA-256 of every file (FIPS 180-4: "abc")', async () => {
    const manifest = JSON.parse(readFileSync(path.join(folder, 'manifest.json'), 'utf8'));
    expect(Object.keys(manifest.files)).toEqual(['binding.node', 'tensorflow/lib.so']);
    expect(manifest.files['tensorflow/lib.so']).toMatchObject({
      bytes: 3,
      sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    });
    expect(await module.manifestProblem(folder, { inputs: 'i1' })).toBeNull();
  });

  it.each<[string, (file: string) => void, RegExp]>([
    ['a changed byte', file => writeFileSync(file, 'abd'), /checksum of tensorflow\/lib\.so/],
    ['a truncated file', file => writeFileSync(file, 'ab'), /2 bytes instead of 3/],
    ['a missing file', file => rmSync(file), /missing/],
  ])('finds %s', async (_name, damage, problem) => {
    damage(library());
    expect(await module.manifestProblem(folder, { inputs: 'i1' })).toMatch(problem);
  });

  it('finds a changed byte under an unchanged time when every byte is read', async () => {
    const recorded = JSON.parse(readFileSync(path.join(folder, 'manifest.json'), 'utf8')).files['tensorflow/lib.so'];
    writeFileSync(library(), 'abd');
    utimesSync(library(), recorded.mtimeMs / 1000, recorded.mtimeMs / 1000);
    expect(await module.manifestProblem(folder, { inputs: 'i1', everyByte: true })).toMatch(/checksum/);
  });

  it('accepts files that only got another time, as a copied cache has', async () => {
    utimesSync(library(), 1, 1);
    expect(await module.manifestProblem(folder, { inputs: 'i1' })).toBeNull();
  });

  it('is out of date when the binding would be built from other sources', async () => {
    expect(await module.manifestProblem(folder, { inputs: 'i2' })).toMatch(/other sources/);
  });

  it.each(['', '{"inputs":"i1"}', '{"inputs":"i1","files":{'])('is not trusted when it reads %j', async text => {
    writeFileSync(path.join(folder, 'manifest.json'), text);
    expect(await module.manifestProblem(folder, { inputs: 'i1' })).toMatch(/unreadable/);
  });
});
