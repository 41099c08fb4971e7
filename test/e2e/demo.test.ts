/**
 * `emixer demo` as a person runs it: its document, its files, and that nothing of it stays behind. (spec/cli.md) The run
 * that goes to its end has a small collection given, which saves drawing three hospitals' phantoms; the one that is
 * interrupted draws its own.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { type TSchema, Type } from 'typebox';
import { Value } from 'typebox/value';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSafetensors } from '#model/checkpoint/safetensors.ts';
import { weightGroupOf } from '#model/federated.ts';
import { LABELS } from '#model/labels.ts';
import { writePhantomCollection } from '#site-agent/data/phantom/collection.ts';
import { EmixerProcess, endProcesses } from '../support/emixer-process.ts';
import { isRunning, processesNaming } from '../support/process-table.ts';

const finite = Type.Number();
const count = Type.Integer({ minimum: 0 });
const text = Type.String({ minLength: 1 });
const sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });
const orNull = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);
const byName = <S extends TSchema>(schema: S) => Type.Record(text, schema);

/** The document of spec/cli.md; more fields are welcome. */
const DemoDocument = Type.Object({
  out: text,
  sites: Type.Array(
    Type.Object({
      name: text,
      records: count,
      labels: byName(Type.Object({ positive: count, negative: count, uncertain: count, missing: count })),
    }),
  ),
  rounds: Type.Array(
    Type.Object({
      round: Type.Integer({ minimum: 1 }),
      sites: Type.Array(Type.Object({ name: text, records: count })),
      seconds: Type.Number({ exclusiveMinimum: 0 }),
      losses: byName(finite),
      evaluation: Type.Object({
        perplexity: orNull(finite),
        unigramPerplexity: orNull(finite),
        fid: orNull(finite),
        fidUntrained: orNull(finite),
      }),
    }),
  ),
  model: Type.Object({ path: text, sha256 }),
  audit: Type.Object({
    verdict: Type.Enum(['pass', 'fail', 'insufficient-evidence']),
    path: text,
  }),
  gallery: text,
  report: text,
  curves: Type.Object({ png: text, html: text }),
  synthetic: Type.Object({ path: text, sha256, pairs: count }),
  coordinator: Type.Object({ peakRssBytes: Type.Integer({ minimum: 1 }) }),
  wallSeconds: Type.Number({ exclusiveMinimum: 0 }),
});
type DemoDocument = Type.Static<typeof DemoDocument>;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emixer-demo-'));
});
afterAll(async () => {
  await endProcesses();
  await rm(folder, { recursive: true, force: true });
});

/** The demo's processes and their workers: every one of them is told a path below its output folder. */
const processesOf = async (out: string): Promise<string[][]> =>
  (await processesNaming(out)).map(({ command }) => command.filter(word => !word.startsWith('--')));

describe('a demo of one round', () => {
  let out: string;
  let demo: EmixerProcess;
  let document: DemoDocument;
  let mostProcesses = 0;

  beforeAll(async () => {
    out = join(folder, 'out');
    const collection = join(folder, 'collection');
    await writePhantomCollection({ out: collection, patients: 60, seed: 5 });
    const options = ['--data', `mimic-cxr-jpg=${collection}`, '--rounds', '1', '--steps', '2', '--out', out];
    demo = new EmixerProcess(['demo', ...options, '--json']);
    await demo.waitForText(/round 1 training/);
    mostProcesses = (await processesOf(out)).length;
    expect(await demo.exited).toEqual({ code: 0, signal: null });
    document = JSON.parse(demo.stdout) as DemoDocument;
  });

  it('prints one JSON document on stdout, of the shape that is promised', () => {
    expect(demo.stdout.trim().split('\n')).toHaveLength(1);
    expect([...Value.Errors(DemoDocument, document)]).toEqual([]);
    expect(document.out).toBe(out);
    expect(document.sites.map(({ name }) => name)).toEqual(['hospital-1', 'hospital-2', 'hospital-3']);
    for (const { records, labels } of document.sites) {
      expect(records).toBeGreaterThan(5);
      expect(Object.keys(labels)).toEqual([...LABELS]);
      for (const { positive, negative, uncertain, missing } of Object.values(labels)) {
        expect(positive + negative + uncertain + missing).toBe(records);
      }
    }
    expect(document.rounds.map(({ round, sites }) => [round, sites.length])).toEqual([[1, 3]]);
    const [{ losses, evaluation } = { losses: {}, evaluation: {} }] = document.rounds;
    expect(Object.keys(losses)).toEqual(
      expect.arrayContaining(['G/adversarial', 'D_image/adversarial', 'F/mle', 'D_report/adversarial']),
    );
    for (const figure of Object.values(evaluation)) expect(figure).not.toBeNull();
  });

  it('says honestly that a few pairs are no evidence, and withholds model and pairs', async () => {
    expect(document.audit.verdict).toBe('insufficient-evidence');
    expect((await readdir(out)).sort()).not.toContain('release');
    for (const path of [document.model.path, document.synthetic.path, document.gallery]) {
      expect(dirname(path)).toBe(join(out, 'withheld'));
    }
    // Only its owner may look into it.
    expect((await stat(join(out, 'withheld'))).mode & 0o077).toBe(0);
  });

  it('leaves a model and pairs whose hashes are those of the document and of the audit', async () => {
    const audit = JSON.parse(await readFile(document.audit.path, 'utf8')) as { verdict: string; context: object };
    expect(audit.verdict).toBe('insufficient-evidence');
    const { model, synthetic } = document;
    expect(audit.context).toMatchObject({ modelSha256: model.sha256, syntheticSha256: synthetic.sha256 });
    for (const { path, sha256: told } of [model, synthetic]) {
      expect(
        createHash('sha256')
          .update(await readFile(path))
          .digest('hex'),
      ).toBe(told);
    }
    const weights = await openSafetensors(model.path);
    const names = [...weights.entries.keys()];
    await weights.close();
    expect(new Set(names.map(weightGroupOf))).toEqual(new Set(['G', 'F/encoder', 'F/decoder']));
  });

  it('leaves pictures and a report that show something', async () => {
    for (const path of [document.gallery, document.curves.png]) {
      const { width, height } = await sharp(path).metadata();
      const { channels } = await sharp(path).stats();
      expect([path, width > 500, height > 200]).toEqual([path, true, true]);
      expect(Math.max(...channels.map(({ stdev }) => stdev))).toBeGreaterThan(10);
    }
    const report = await readFile(document.report, 'utf8');
    expect(report).toMatch(/^<!doctype html>/i);
    for (const said of ['insufficient-evidence', ...document.sites.map(({ name }) => name)])
      expect(report).toContain(said);
    expect(await readFile(document.curves.html, 'utf8')).toContain('<svg');
    expect(JSON.parse(await readFile(join(out, 'demo.json'), 'utf8'))).toEqual(document);
  });

  it.runIf(process.platform === 'linux')('was done by processes of their own, and leaves none of them', async () => {
    // The demo, the coordinator, three agents and their workers.
    expect(mostProcesses).toBeGreaterThanOrEqual(8);
    expect(await processesOf(out)).toEqual([]);
    // Keys, databases and prepared data are gone with them.
    expect((await readdir(out)).filter(name => name.startsWith('work'))).toEqual([]);
  });
});

it.runIf(process.platform === 'linux')(
  'Ctrl-C in the middle of training ends it with 130, and leaves no process and no data',
  async () => {
    const out = join(folder, 'interrupted');
    const options = ['--sites', '1', '--rounds', '1', '--steps', '4', '--out', out];
    const demo = new EmixerProcess(['demo', ...options, '--json']);
    await demo.waitForText(/encoder pretraining\b.*step \d/);
    const pids = (await processesNaming(out)).map(({ pid }) => pid);
    // The demo, the coordinator, an agent and its worker.
    expect(pids.length).toBeGreaterThanOrEqual(4);
    demo.kill('SIGINT');
    expect(await demo.exited).toEqual({ code: 130, signal: null });
    expect(await Promise.all(pids.map(isRunning))).toEqual(pids.map(() => false));
    expect(await processesOf(out)).toEqual([]);
    expect((await readdir(out)).filter(name => name.startsWith('work'))).toEqual([]);
    expect(demo.lines).toEqual([{ error: expect.objectContaining({ code: 'CANCELLED' }) }]);
  },
);
