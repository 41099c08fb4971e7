/**
 * What the coordinator averaged is what three sites sent, weighted by records: recomputed here from the uploaded bytes,
 * with arithmetic of this file's own. (Issue 3, acceptance 3; McMahan et al. 2017, arXiv:1602.05629, algorithm 1.)
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunEvent } from '#coordinator/rounds/events.ts';
import { SubmitResultRequest } from '#proto/gen/fed/v1/federation.ts';
import { Manifest } from '#proto/gen/fed/v1/tensors.ts';
import { openPrepared } from '#site-agent/data/prepared.ts';
import { sitePaths } from '#site-agent/state.ts';
import { Federation, PRETRAINING, SITES, type Site } from '../support/federation.ts';
import { ofType, runEvents } from '../support/run-events.ts';

interface Upload {
  readonly site: Site;
  readonly manifest: Manifest;
  readonly records: Readonly<Record<string, number>>;
}

interface Averaging {
  readonly step: string;
  readonly uploads: readonly Upload[];
  readonly weights: Manifest;
}

let federation: Federation;
let run: string;
let averagings: Averaging[];

const document = (address: string): Promise<Buffer> => readFile(join(run, 'documents', address));

/** Every aggregation of the run, with what each site had signed and uploaded for it. */
async function readAveragings(events: readonly RunEvent[]): Promise<Averaging[]> {
  const found: Averaging[] = [];
  for (const event of ofType(events, 'Aggregated')) {
    const uploads: Upload[] = [];
    for (const answer of ofType(events, 'SiteResult').filter(({ step }) => step === event.step)) {
      const { outcome } = SubmitResultRequest.decode(await document(answer.result.submission));
      if (outcome?.$case !== 'train') throw new Error(`${answer.site} did not train in ${event.step}`);
      const { contribution, records } = outcome.value;
      const counts = Object.fromEntries(records.map(({ module, records: count }) => [module, Number(count)]));
      uploads.push({ site: answer.site as Site, manifest: contribution as Manifest, records: counts });
    }
    const weights = Manifest.decode(await document(event.weights));
    found.push({ step: event.step, uploads, weights });
  }
  return found;
}

/** A tensor's float32 values, from the chunks under their addresses in the first of `folders` that has them. */
async function valuesOf(manifest: Manifest, name: string, ...folders: string[]): Promise<number[]> {
  const tensor = manifest.tensors.find(candidate => candidate.name === name);
  if (tensor === undefined) throw new Error(`no tensor ${name}`);
  const values: number[] = [];
  for (const hash of tensor.chunkSha256) {
    const bytes = await firstOf(folders, hash.toString('hex'));
    for (let at = 0; at < bytes.length; at += 4) values.push(bytes.readFloatLE(at));
  }
  return values;
}

async function firstOf(folders: readonly string[], name: string): Promise<Buffer> {
  for (const folder of folders) {
    const bytes = await readFile(join(folder, name)).catch(() => undefined);
    if (bytes !== undefined) return bytes;
  }
  throw new Error(`no chunk ${name}`);
}

const uploadedBy = ({ site, manifest }: Upload, name: string): Promise<number[]> =>
  // What a site left as it was it does not upload: it is among the global weights.
  valuesOf(manifest, name, join(run, 'uploads', site), join(run, 'chunks'));

const groupOf = (tensor: string): string => tensor.split('/', tensor.startsWith('G/') ? 1 : 2).join('/');

beforeAll(async () => {
  federation = await Federation.create();
  await federation.startCoordinator();
  await federation.startSites();
  const runId = await federation.createRun(PRETRAINING);
  expect(await federation.ended(runId)).toMatchObject({ event: 'run-finished' });
  run = join(federation.coordinatorDir, 'runs', runId);
  averagings = await readAveragings(await runEvents(federation.coordinatorDir, runId));
});

describe('the average', () => {
  it('was taken in every training step over all three sites, each once', () => {
    expect(averagings.map(({ step }) => step)).toEqual([
      'encoder-pretraining/1/train',
      'report-pretraining/1/train',
      'adversarial/1/train',
    ]);
    for (const { uploads } of averagings) expect(uploads.map(({ site }) => site).sort()).toEqual(SITES);
  });

  it('holds tensors of G and F only, as does every upload', () => {
    for (const { uploads, weights } of averagings) {
      for (const { tensors } of [...uploads.map(({ manifest }) => manifest), weights]) {
        expect(tensors.length).toBeGreaterThan(10);
        expect(tensors.map(({ name }) => name).filter(name => !/^[GF]\//.test(name))).toEqual([]);
      }
    }
  });

  it('weighs by the training records that each site has, and by its reports where reports were trained on', async () => {
    const [, , adversarial] = averagings;
    const sizes = new Set<number>();
    for (const { site, records } of adversarial?.uploads ?? []) {
      const prepared = await openPrepared(sitePaths(federation.siteDir(site)).prepared);
      const train = prepared.records.filter(({ split }) => split === 'train');
      const reported = train.filter(({ report }) => report !== null).length;
      expect(records).toEqual({ G: train.length, 'F/encoder': 0, 'F/decoder': reported });
      if (site === 'hospital-c') expect(reported).toBeLessThan(train.length);
      sizes.add(train.length);
    }
    expect(sizes.size).toBe(3);
  });

  it('equals to 1e-6 the weighted mean of the three uploads, tensor by tensor', async () => {
    for (const [position, { step, uploads, weights }] of averagings.entries()) {
      let moved = 0;
      for (const { name } of weights.tensors) {
        const group = groupOf(name);
        const sent = await Promise.all(uploads.map(upload => uploadedBy(upload, name)));
        const averaged = await valuesOf(weights, name, join(run, 'chunks'));
        const counts = uploads.map(({ records }) => records[group] ?? 0);
        const total = counts.reduce((sum, count) => sum + count, 0);
        const before = averagings[position - 1];
        // Nobody trained it: it stays what it was, and in the first step what all three began with.
        const kept = before ? await valuesOf(before.weights, name, join(run, 'chunks')) : sent[0];
        let worst = 0;
        for (const [i, value] of averaged.entries()) {
          const mean =
            total === 0
              ? (kept?.[i] as number)
              : sent.reduce((sum, values, site) => sum + (counts[site] as number) * (values[i] as number), 0) / total;
          worst = Math.max(worst, Math.abs(value - mean));
          if (sent.some(values => values[i] !== sent[0]?.[i])) moved++;
        }
        expect([step, name, worst < 1e-6]).toEqual([step, name, true]);
      }
      // The three did differ: a mean of equal numbers would prove nothing.
      expect(moved).toBeGreaterThan(1_000);
    }
  });
});
