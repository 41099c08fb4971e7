/** Small phantom collections and temporary folders for tests. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, onTestFinished } from 'vitest';
import { writePhantomCollection } from '#site-agent/data/phantom/collection.ts';
import type { Loader, Skipped, SourceRecord } from '#site-agent/data/record.ts';

/** A folder that is gone when the test has finished. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'emixer-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Collections drawn so far for this test file: drawing is slow, copying is not. */
const drawn = new Map<string, Promise<string>>();

/** A phantom collection of its own for one test, which may change it. */
export async function phantomFolder(patients: number, seed = 1): Promise<string> {
  const name = `${patients}-${seed}`;
  const original = drawn.get(name) ?? draw(patients, seed);
  drawn.set(name, original);
  const folder = join(await temporaryFolder(), 'collection');
  await cp(await original, folder, { recursive: true });
  return folder;
}

async function draw(patients: number, seed: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'emixer-phantoms-'));
  await writePhantomCollection({ out: folder, patients, seed });
  return folder;
}

afterAll(async () => {
  for (const folder of drawn.values()) await rm(await folder, { recursive: true, force: true });
});

/** Everything that a loader yields and skips. */
export async function readAll(
  loader: Loader,
  folder: string,
): Promise<{ records: SourceRecord[]; skipped: Skipped[] }> {
  const records: SourceRecord[] = [];
  const skipped: Skipped[] = [];
  for await (const record of loader.records(folder, skip => skipped.push(skip))) records.push(record);
  return { records, skipped };
}

/** Rewrites one of the collection's gzipped tables. */
export async function editTable(folder: string, name: string, edit: (csv: string) => string): Promise<void> {
  const file = join(folder, `mimic-cxr-2.0.0-${name}.csv.gz`);
  await writeFile(file, gzipSync(edit(gunzipSync(await readFile(file)).toString('utf8'))));
}
