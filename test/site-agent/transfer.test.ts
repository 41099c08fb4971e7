import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openSafetensors } from '#model/checkpoint/safetensors.ts';
import { parseRunConfig } from '#model/federated.ts';
import { chunkAddresses } from '#proto/manifest.ts';
import { systemClock } from '#site-agent/clock.ts';
import { Egress } from '#site-agent/egress.ts';
import { EgressLog, egressSummary } from '#site-agent/egress-log.ts';
import { download, upload } from '#site-agent/transfer.ts';
import { testAuthority } from '../support/certificates.ts';
import { TestCoordinator } from '../support/test-coordinator.ts';
import { writeWeights } from '../support/weights.ts';

const run = parseRunConfig({ sites: ['a', 'b'] });
const signal = new AbortController().signal;
const authority = testAuthority();
const identity = authority.issue('a');
/** 1.5 MiB (two chunks) and small ones. */
const WEIGHTS = {
  'G/linear/w': { elements: 393_216, value: 1 },
  'F/encoder/w': { elements: 8, value: 2 },
  'F/decoder/w': { elements: 300_000, value: 3 },
};

let dir: string;
let coordinator: TestCoordinator;
let egress: Egress;
let log: EgressLog;

beforeAll(async () => {
  coordinator = new TestCoordinator(authority, 'a');
  await coordinator.start();
});

afterAll(() => coordinator.stop());

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'emixer-transfer-'));
  coordinator.forget();
  log = await EgressLog.open(dir, () => 0);
  const { address } = coordinator;
  const options = { log, blocked: [], minimumCell: 5, clock: systemClock, caPem: authority.caPem };
  egress = new Egress({ address, ...identity, ...options });
});

afterEach(async () => {
  egress.close();
  await log.close();
  rmSync(dir, { recursive: true, force: true });
});

const admitted = async (name: string, tensors: Parameters<typeof writeWeights>[1] = WEIGHTS) => {
  const path = join(dir, name);
  await writeWeights(path, tensors);
  return egress.admit({ kind: 'weights', runId: 'run-1', run, path });
};

describe('upload', () => {
  it('after a cut in the middle pushes only what is missing', async () => {
    const outgoing = await admitted('w.safetensors');
    coordinator.cutAfterChunks = 2;
    await expect(upload(egress, outgoing, signal)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    const before = [...coordinator.pushed];
    expect(before).toHaveLength(2);
    expect(await upload(egress, outgoing, signal)).toEqual({ chunks: 3 });
    expect(new Set(coordinator.pushed).size).toBe(5);
    expect(coordinator.pushed).toHaveLength(5);
    expect(chunkAddresses(outgoing.manifest).every(address => coordinator.chunks.has(address))).toBe(true);
    expect(await upload(egress, outgoing, signal)).toEqual({ chunks: 0 });
  });

  it('writes a line with kind, bytes and hash for every chunk that left, and none for what did not', async () => {
    const outgoing = await admitted('w.safetensors');
    await upload(egress, outgoing, signal);
    const lines = (await egressSummary({ dir })).filter(({ kind }) => kind === 'weights');
    expect(lines.map(({ sha256 }) => sha256).sort()).toEqual([...coordinator.pushed].sort());
    expect(lines.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(4 * (393_216 + 8 + 300_000));
  });

  it('pushes nothing of a file that changed after it was checked', async () => {
    const outgoing = await admitted('w.safetensors');
    await writeWeights(join(dir, 'w.safetensors'), { ...WEIGHTS, 'F/encoder/w': { elements: 8, value: 9 } });
    await expect(upload(egress, outgoing, signal)).rejects.toMatchObject({ code: 'FILE_CORRUPT' });
    const address = coordinator.pushed.find(hash => coordinator.chunks.get(hash)?.length === 32);
    expect(address).toBeUndefined();
  });
});

describe('download', () => {
  const path = () => join(dir, 'global.safetensors');
  const get = (manifest: Parameters<typeof download>[0]['manifest'], reuse = [path()]) =>
    download({ egress, runId: 'run-1', manifest, path: path(), reuse, signal });
  const uploaded = async (tensors: Parameters<typeof writeWeights>[1]) => {
    const outgoing = await admitted('source.safetensors', tensors);
    await upload(egress, outgoing, signal);
    return outgoing.manifest;
  };

  it('gives the same file, and resumes a cut without fetching anything twice', async () => {
    const manifest = await uploaded(WEIGHTS);
    coordinator.cutAfterChunks = 3;
    await expect(get(manifest)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await expect(openSafetensors(path())).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await get(manifest);
    expect(coordinator.pulled).toHaveLength(5);
    expect(new Set(coordinator.pulled).size).toBe(5);
    expect(readFileSync(path()).equals(readFileSync(join(dir, 'source.safetensors')))).toBe(true);
    expect(await get(manifest)).toEqual({ chunks: 0, bytes: 0 });
  });

  it('fetches only the tensors that changed since the last round', async () => {
    await get(await uploaded(WEIGHTS));
    coordinator.pulled.length = 0;
    const next = await uploaded({ ...WEIGHTS, 'F/encoder/w': { elements: 8, value: 20 } });
    expect(await get(next)).toEqual({ chunks: 1, bytes: 32 });
    const file = await openSafetensors(path());
    expect([...new Float32Array(Uint8Array.from(await file.read('F/encoder/w')).buffer)][0]).toBe(20);
    await file.close();
  });

  it('fetches everything anew where the earlier file was damaged', async () => {
    const manifest = await uploaded(WEIGHTS);
    await get(manifest);
    const bytes = readFileSync(path());
    bytes.fill(0xff, bytes.length - 100);
    writeFileSync(path(), bytes);
    const next = await uploaded({ ...WEIGHTS, 'F/encoder/w': { elements: 8, value: 20 } });
    await get(next);
    expect(readFileSync(path()).equals(readFileSync(join(dir, 'source.safetensors')))).toBe(true);
    truncateSync(path(), 10);
    await get(await uploaded(WEIGHTS));
    const file = await openSafetensors(path());
    expect(file.entries.size).toBe(3);
    await file.close();
  });

  it('refuses bytes that are not those of their address', async () => {
    const manifest = await uploaded(WEIGHTS);
    const [address] = chunkAddresses(manifest);
    coordinator.chunks.set(address as string, Buffer.from('something else'));
    await expect(get(manifest)).rejects.toMatchObject({ code: 'MESSAGE_INVALID' });
  });

  it('refuses a manifest out of bounds before anything is fetched', async () => {
    const manifest = await uploaded(WEIGHTS);
    const tensors = manifest.tensors.map(tensor => ({ ...tensor, shape: [2 ** 31, 2 ** 31] }));
    await expect(get({ ...manifest, tensors })).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    expect(coordinator.pulled).toEqual([]);
  });
});
